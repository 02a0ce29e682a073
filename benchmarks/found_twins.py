"""What `found-twins` gains with a twin of every star in the training set, and with none.

    python -m benchmarks.found_twins --scale full

Fits it with and without its rounds (without, it is `fader`) to two training sets of equal size:
both spectra of half of the pairs, and one spectrum of each pair. Prints the shares of nearest twins
on validation.
"""

import sys

import click
import numpy as np
import torch
from tabulate import tabulate

from starbench.evaluation.encoding import encode_split
from starbench.evaluation.views import view_split
from starbench.methods.base import Silent, View
from starbench.methods.found_twins import FoundTwins
from starbench.metrics import twin_ranks
from starbench.tasks.registry import get_task


def with_all_twins(view: View) -> np.ndarray:
    """Return the rows [n / 2] of both spectra of the first half of the pairs of a view [n]."""
    first = np.flatnonzero(np.arange(len(view)) < view.twin)
    kept = first[: len(first) // 2]
    return np.sort(np.concatenate([kept, view.twin[kept]]))


def without_twins(view: View) -> np.ndarray:
    """Return the rows [n / 2] of one spectrum of each pair of a view [n]."""
    return np.flatnonzero(np.arange(len(view)) < view.twin)


@click.command(help=__doc__)
@click.option("--task", "name", default="apogee-giants-snr50", show_default=True)
@click.option("--scale", default="mini", show_default=True)
@click.option("--epochs", default=0, help="Epochs before the first round; 0: the default.")
def main(name: str, scale: str, epochs: int) -> None:
    torch.set_num_threads(1)
    task = get_task(name)
    train, validation = (view_split(task, split, scale, "pairs", 0)
                         for split in ("train", "validation"))  # fmt: skip
    lines = []
    for title, chosen in {"every star": with_all_twins, "no star": without_twins}.items():
        rows = chosen(train.view)
        part = View(train.view.flux[rows], train.view.nuisance[rows], noise=train.view.noise)
        shares = []
        for rounds in (0, FoundTwins.Hyperparameters().rounds):
            method = FoundTwins(FoundTwins.Hyperparameters(rounds=rounds, epochs=epochs))
            method.fit(part, validation.view, Silent())
            shares.append((twin_ranks(encode_split(method, validation)).rank == 1).mean())
        lines.append([title, len(rows), *(f"{100 * share:.1f}" for share in shares)])
        click.echo(f"{title}: {lines[-1][2:]}", err=True)
    head = ("has a twin", "spectra", "fader", "found-twins")
    click.echo(tabulate(lines, head, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    sys.exit(main())
