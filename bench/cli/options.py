"""Options that several groups of commands share."""

from pathlib import Path

import click

# fmt: off
cache_option = click.option(
    "--cache", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Where data sets are kept; by default the user's cache folder.",
)
# fmt: on
OWN_PAIRS = (
    "Your own pairs instead of a standard task: an HDF5 file, a folder that `starbench data "
    "export` or Dataset.save_to_disk wrote, or a data set user/name of the Hugging Face Hub."
)
