"""What separates a method's nearest-twin share from the information bound, fault by fault.

    python -m benchmarks.gap runs/apogee-giants-snr50/fader/0-0123456789

Takes the fitted method of a run with noise, and the validation spectra both with and without their
noise, though no method sees the latter. Each line removes one more fault:

- as it is: latents of the noisy spectra, ranked by L1, as they are scored.
- without the mean given the nuisance: a cubic in the nuisance, fitted to the training latents, is
  subtracted from each axis. This needs no oracle, and removes leaks that shift all stars of one
  temperature equally.
- twins agree: each latent is moved so that the latents of noiseless twins are equal. The share that
  is then missing is not a matter of disentanglement.
- composition, by L1: the maximum a posteriori composition given the true labels, in place of the
  latent, and scaled to its noise by the same rule.
- information bound, with `--bound` (minutes): the same estimates, ranked with the uncertainty of
  each star, which L1 distances of latents cannot express.
"""

import sys
from pathlib import Path

import click
import numpy as np
import torch
from tabulate import tabulate

from starbench.evaluation.encoding import encode_split
from starbench.evaluation.views import SplitView, view_split
from starbench.methods.base import Silent, View
from starbench.methods.controls.information_bound import InformationBound
from starbench.methods.parts.noise_matching import noise_matched_map
from starbench.methods.parts.polynomial import monomials
from starbench.methods.parts.refinement import noise_covariance
from starbench.metrics import twin_ranks
from starbench.runs.restore import restore
from starbench.runs.run_folder import RunFolder
from starbench.tasks.registry import get_task


def without_mean_given_nuisance(
    latent: np.ndarray, nuisance: np.ndarray, train: np.ndarray, train_nuisance: np.ndarray
) -> np.ndarray:
    """Subtract from latents [n, 2, d] a cubic in the nuisance, fitted to the training latents."""
    both = np.concatenate([train_nuisance.reshape(-1, nuisance.shape[-1]), nuisance.reshape(
        -1, nuisance.shape[-1])]).astype(np.float64)  # fmt: skip
    terms = monomials((both - both.mean(0)) / both.std(0), 3)
    flat = train.reshape(-1, train.shape[-1])
    solution = np.linalg.lstsq(terms[: len(flat)], flat, rcond=None)[0]
    return latent - (terms[len(flat) :] @ solution).reshape(latent.shape)


def with_twins_agreeing(noisy: np.ndarray, noiseless: np.ndarray) -> np.ndarray:
    """Give both stars of a pair the mean of their noiseless latents, and keep the noise."""
    return noiseless.mean(axis=1, keepdims=True) + (noisy - noiseless)


def best_latent(bound: InformationBound, train: SplitView, validation: SplitView) -> np.ndarray:
    """Return the bound's compositions [n, 2, n_elements], scaled to their noise for L1."""
    some = slice(4096)
    information, _ = bound.information(train.view.nuisance[some], train.view.composition[some])
    turned = np.linalg.inv(bound.axes)
    information = turned.T @ information @ turned  # of the composition in dex
    precision = np.linalg.inv(bound.axes @ bound.axes.T)
    latent = torch.from_numpy(bound.encode_stars(
        train.view.flux[some], train.view.nuisance[some], train.view.composition[some]
    ))  # fmt: skip
    covariance = noise_covariance(torch.from_numpy(information), torch.from_numpy(precision))
    return encode_split(bound, validation) @ noise_matched_map(latent, covariance).numpy()


@click.command(help=__doc__)
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--bound", "with_bound", is_flag=True, help="Rank by the bound's distance too.")
def main(run: Path, with_bound: bool) -> None:
    method, row = restore(RunFolder(run))
    task, scale = get_task(row.task), row.scale
    if task.snr is None:
        raise click.UsageError(f"{run} is a run without noise; its bound is 100 %.")
    torch.manual_seed(0)

    lines = []

    def say(name: str, ranks: np.ndarray) -> None:
        n = ranks.size
        shares = [float((ranks <= max(1, int(share * n))).mean()) for share in (0, 0.001, 0.01)]
        lines.append([name, *(f"{100 * share:.1f}" for share in shares)])
        click.echo(f"{name}: {lines[-1][1]} %", err=True)

    train = view_split(task, "train", scale, "oracle", row.seed)
    validation = view_split(task, "validation", scale, "oracle", row.seed)
    quiet = get_task(task.base.name)
    noiseless = view_split(quiet, "validation", scale, "oracle", row.seed)
    noisy = encode_split(method, validation)
    clean = encode_split(method, noiseless)
    say("as it is", twin_ranks(noisy).rank)
    leak_free = without_mean_given_nuisance(
        noisy, validation.labels.nuisance, encode_split(method, train), train.labels.nuisance
    )
    say("without the mean given the nuisance", twin_ranks(leak_free.astype(np.float32)).rank)
    agreeing = with_twins_agreeing(noisy, clean)
    say("twins agree", twin_ranks(agreeing.astype(np.float32)).rank)

    bound = InformationBound()
    view = train.view
    bound.fit(View(view.flux, view.nuisance, composition=view.composition, noise=view.noise),
              validation.view, Silent())  # fmt: skip
    say(
        "composition, by L1",
        twin_ranks(best_latent(bound, train, validation).astype(np.float32)).rank,
    )
    if with_bound:
        estimate = encode_split(bound, validation)
        ranks, _ = bound.rank_twins(
            estimate, validation.labels.nuisance, validation.labels.composition
        )
        say("information bound", ranks)
    click.echo(tabulate(lines, ("", "nearest", "0.1 %", "1 %"), tablefmt="github"))


if __name__ == "__main__":
    sys.exit(main())
