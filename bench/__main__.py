"""``python -m starbench`` is ``starbench``."""

from starbench.cli import main

main(prog_name="starbench")
