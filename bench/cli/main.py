"""The program `starbench`. Commands import slow modules only when they run, so help is instant."""

import os

import click

from starbench import __version__
from starbench.cli.catalogue import check, methods, tasks
from starbench.cli.commands import Program
from starbench.cli.data import data
from starbench.cli.leaderboard import leaderboard
from starbench.cli.predictions import predict, score
from starbench.cli.run import plot, run
from starbench.cli.sweep import sweep
from starbench.cli.tune import tune

SHELL_COMPLETION = """\
bash  eval "$(_STARBENCH_COMPLETE=bash_source starbench)"
zsh   eval "$(_STARBENCH_COMPLETE=zsh_source starbench)"
fish  _STARBENCH_COMPLETE=fish_source starbench | source
"""


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"]},
    example="starbench run --method fader --scale mini",
    shell_completion=SHELL_COMPLETION,
)
@click.version_option(__version__, prog_name="starbench")
def main() -> None:
    """Benchmark disentanglement methods on paired synthetic spectra of stars."""
    # No command opens a window. A program started from a notebook inherits the notebook's backend,
    # and importing matplotlib fails if that backend is not installed.
    os.environ["MPLBACKEND"] = "agg"
    # OpenBLAS's threads spin (`starbench.common.threads`): beside other work on two cores
    # `leaderboard verify` took 260 s of processor time with two of them, and 49 s with one.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


for command in (run, sweep, tune, predict, score, plot, methods, tasks, check, data, leaderboard):
    main.add_command(command)
