"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from starbench.cli.commands import UserPath, option
from starbench.common.settings import MAX_INT
from starbench.common.threads import most_threads, too_many

method_option = option(
    "--method",
    required=True,
    metavar="METHOD",
    help="A name listed by `starbench methods`, or PATH.py:CLASS.",
)
task_option = option(
    "--task",
    metavar="TASK",
    show_default="apogee-giants",
    help="A name listed by `starbench tasks`, or PATH.py:CLASS.",
)
data_option = option(
    "--data",
    type=UserPath(path_type=Path),
    metavar="PAIRS",
    help="Your own pairs, or a survey, in place of a task: an HDF5 file, a folder written by "
    "`starbench data export` or DatasetDict.save_to_disk, or a data set user/name on the Hugging "
    "Face Hub.",
)
backend_option = option(
    "--backend",
    type=click.Choice(["submitit", "dask"]),
    is_eager=True,  # known before the numbers that only this machine limits
    help="Hand the work to a cluster; needs starbench[cluster].",
)
config_option = option(
    "--config",
    type=UserPath(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="YAML file that describes the cluster and the size of a job, for --backend.",
)
snr_option = option(
    "--snr",
    type=float,
    metavar="SNR",
    show_default="that of the file, or no noise",
    help="Declare the noise of --data: signal-to-noise ratio per pixel, of a continuum of 1.",
)
max_dropped_option = option(
    "--max-dropped",
    type=float,
    metavar="SHARE",
    show_default="0.1",
    help="Largest share of a split of --data that may be left out because all pixels are masked.",
)
scale_option = option(
    "--scale",
    metavar="SCALE",
    show_default="full, or the first scale of the task",
    help="Size of the splits; standard tasks have full (for the leaderboard), mini and tiny.",
)
seed_option = option(
    "--seed",
    type=click.IntRange(0, MAX_INT - 1),
    default=0,
    show_default=True,
    metavar="N",
    help="Seed of all random numbers.",
)
set_option = option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a hyperparameter listed by `starbench methods METHOD`; may be repeated.",
)
device_option = option(
    "--device",
    default="auto",
    show_default=True,
    metavar="DEVICE",
    help="auto (a CUDA GPU if there is one, otherwise the CPU), cpu, cuda, cuda:1, ...",
)
out_option = option(
    "--out",
    type=UserPath(file_okay=False, path_type=Path),
    default=Path("runs"),
    show_default=True,
    metavar="DIR",
    help="Folder in which run folders are created.",
)
cache_option = option(
    "--cache",
    type=UserPath(file_okay=False, path_type=Path),
    metavar="DIR",
    show_default="$STARBENCH_CACHE, or your cache folder",
    help="Folder in which data sets are kept.",
)
outside_data_option = option(
    "--outside-data",
    metavar="TEXT",
    help="Say in the row which data the method learned from besides those of the task.",
)
pretraining_option = option(
    "--pretraining",
    metavar="TEXT",
    help="Say in the row what was trained before, and on what.",
)
code_from_option = option(
    "--code-from",
    metavar="TEXT",
    help="Say in the row where others can fetch the method's code, such as a repository and a "
    "commit.",
)


def few_enough(most: Callable[[], int]) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Return the callback of an option for work on this machine, which refuses larger numbers."""

    def checked(context: click.Context, parameter: click.Parameter, value: int | None) -> Any:
        on_cluster = context.params.get("backend") is not None
        if value is not None and not on_cluster and (fault := too_many(value, most())):
            raise click.BadParameter(fault, context, parameter)
        return value

    return checked


def threads_option(default: str) -> Callable[[Any], Any]:
    """Return the option ``--threads``, whose help names the default in words."""
    return option(
        "--threads",
        type=click.IntRange(min=1),
        metavar="N",
        show_default=default,
        callback=few_enough(most_threads),
        help="Number of CPU threads.",
    )


quiet_option = option("--quiet", is_flag=True, help="Draw no progress bars.")
