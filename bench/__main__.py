"""``python -m starbench`` is ``starbench``."""

from starbench.cli.main import main

main(prog_name="starbench")
