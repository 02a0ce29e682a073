"""What the noise model of the autoencoders finds at the epoch that was selected.

    python -m benchmarks.noise_model runs/apogee-giants-branch/gandalf/0-*

The refinement of latents and the map that matches their axes to the noise are fitted once, after
the last epoch, so that a scored state of an earlier epoch has neither. For each run this fits both
to the networks of the scored state, on the spectra that a fit holds out for them, and prints the
shares of nearest twins of validation and test as scored, and with that noise model. Where the last
epoch was selected, they are equal.
"""

from pathlib import Path

import click
import numpy as np
import torch
from tabulate import tabulate

from starbench.evaluation.encoding import encode_split
from starbench.evaluation.star_ranks import rank_stars
from starbench.evaluation.views import SplitView, Views
from starbench.methods.base import Method
from starbench.methods.parts.autoencoder import Autoencoder
from starbench.methods.parts.errors import typical_noise, with_plain_noise
from starbench.methods.parts.noise_matching import n_held_out
from starbench.runs.restore import restore
from starbench.runs.run_folder import RunFolder
from starbench.tasks.registry import get_task


def fit_noise_model(method: Autoencoder, training: SplitView) -> None:
    """Fit the noise model of a fitted method anew, as the end of `Autoencoder.fit` does.

    Raises
    ------
    ValueError
        If the training spectra have no noise of one level in all pixels.
    """
    train = with_plain_noise(training.view)
    noise = typical_noise(train)
    if noise is None or train.error is not None:
        raise ValueError("this needs a task whose noise is the same in all pixels")
    rows = slice(len(train) - n_held_out(len(train)), None)
    model = method._fitted.model
    inputs = model.inputs.of_flux(train.flux, None)[rows].to(method.device)
    nuisance = method._nuisance(train.nuisance, len(train))[rows]
    model.noise_model.fit(model.objective.networks, inputs, nuisance, noise)


def nearest_share(method: Method, split: SplitView) -> float:
    """Return the share of stars whose twin is nearest."""
    return float((rank_stars(method, encode_split(method, split), split.labels).rank == 1).mean())


@click.command(help=__doc__)
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
def main(runs: tuple[Path, ...]) -> None:
    torch.set_num_threads(1)
    lines = []
    for folder in runs:
        method, row = restore(RunFolder(folder))
        if not isinstance(method, Autoencoder):
            raise click.BadParameter(f"{row.method} is not one of the shared autoencoders.")
        task = get_task(row.task)
        views = Views(task, row.scale, type(method), row.seed)
        splits = [views.of(split) for split in ("validation", "test")]
        scored = [nearest_share(method, split) for split in splits]
        fit_noise_model(method, views.of(task.training_split(method.label_access)))
        fitted = [nearest_share(method, split) for split in splits]
        shares = [
            f"{100 * share:.1f}" for share in np.ravel(list(zip(scored, fitted, strict=True)))
        ]
        epoch = "" if row.selection is None else f"{row.selection.epoch} of {row.epochs}"
        lines.append([row.task, row.method, row.seed, epoch, *shares])
        click.echo(f"{row.task} {row.method}: {shares}", err=True)
    head = ("task", "method", "seed", "epoch",
            "validation", "with noise model", "test", "with noise model")  # fmt: skip
    click.echo(tabulate(lines, head, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
