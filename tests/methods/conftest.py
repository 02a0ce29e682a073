import sys
from pathlib import Path

# Tests are imported by path (importlib mode); their shared helpers lie beside them.
sys.path.insert(0, str(Path(__file__).parent))
