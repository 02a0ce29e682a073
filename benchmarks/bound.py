"""Whether least-squares fits of spectra scatter as the information bound predicts, on each track.

    python -m benchmarks.bound apogee-giants-labels apogee-giants-hidden --stars 500

Takes noisy test spectra, and fits to each the composition and all that is unknown on the track by
Levenberg and Marquardt's method, with what the task states of it besides the flux (the errors of
labels, the prior of an instrument's parameters). The ratio is the mean square of the deviations of
the fits from the true composition over the variance that the bound predicts for each star. It is 1
where fits attain the bound, and above where a spectrum is not a linear function of the composition
over an error. Errors above 0.1 dex are left out. A ratio of n fits has a standard error of
sqrt(2 / n), so only elements with at least 400 fits have one of their own.

By default all tracks with noise are checked. Without noise the bound is the composition itself.
"""

import sys
from dataclasses import dataclass

import click
import numpy as np
import torch
from tabulate import tabulate

from starbench.evaluation.views import view_split
from starbench.methods.base import Silent
from starbench.methods.controls.information_bound import InformationBound
from starbench.tasks.base import Task
from starbench.tasks.forward import ForwardModel, parameters_of
from starbench.tasks.registry import get_task, task_names

LARGEST_ERROR = 0.1  # [dex], beyond which spectra are not linear over an error
FEWEST_FITS = 400  # of an element, for a ratio of its own
_ITERATIONS = 2000  # a fit takes five, but one in a thousand zigzags along a narrow valley
_GAIN = 0.01  # of the next step in chi^2, where 1 is one standard error
_AT_ONCE = 64


@dataclass(frozen=True)
class Fits:
    """Fits of the compositions of n stars.

    Attributes
    ----------
    deviation : numpy.ndarray [n, n_elements]
        Fitted minus true composition [dex].
    error : numpy.ndarray [n, n_elements]
        Standard deviation that the bound predicts [dex].
    elements : tuple of str
    """

    deviation: np.ndarray
    error: np.ndarray
    elements: tuple[str, ...]

    @property
    def used(self) -> np.ndarray:
        """Which elements [n, n_elements] of which stars the spectra constrain."""
        return self.error < LARGEST_ERROR

    def ratios(self) -> dict[str, float]:
        """Return the ratio of each element that enough stars constrain."""
        square = (self.deviation / self.error) ** 2
        return {
            name: float(square[used, i].mean())
            for i, (name, used) in enumerate(zip(self.elements, self.used.T, strict=True))
            if used.sum() >= FEWEST_FITS
        }

    def ratio(self) -> float:
        """Return the ratio over all elements and stars."""
        return float(((self.deviation / self.error) ** 2)[self.used].mean())


def fitted_parameters(
    forward: ForwardModel,
    observed: np.ndarray,
    start: np.ndarray,
    unknown: np.ndarray,
    noise: np.ndarray,
) -> np.ndarray:
    """Fit the parameters of spectra, from a start.

    Parameters
    ----------
    forward : ForwardModel
    observed : numpy.ndarray [n, k]
        Coordinates of noisy spectra.
    start : numpy.ndarray [n, p]
    unknown : numpy.ndarray [m], int
        Columns of the parameters that are fitted.
    noise : numpy.ndarray [n, k]
        Standard deviation of each coordinate; infinite in masked pixels.

    Returns
    -------
    numpy.ndarray [n, p]

    Raises
    ------
    RuntimeError
        If a fit does not converge.
    """
    parts = [slice(i, i + _AT_ONCE) for i in range(0, len(start), _AT_ONCE)]
    return np.concatenate(
        [_fitted(forward, observed[part], start[part], unknown, noise[part]) for part in parts]
    )


def _fitted(
    forward: ForwardModel,
    observed: np.ndarray,
    start: np.ndarray,
    unknown: np.ndarray,
    noise: np.ndarray,
) -> np.ndarray:
    model, constraint = forward.model, forward.constraint
    along = np.eye(model.n_parameters)[unknown]

    def misfit(residual: np.ndarray, parameters: np.ndarray, noise: np.ndarray) -> np.ndarray:
        square = ((residual / noise) ** 2).sum(axis=1)
        return square if constraint is None else square + constraint.misfit(parameters)

    parameters, damping = start.copy(), np.full(len(start), 1e-3)
    moving = np.arange(len(start))
    for _ in range(_ITERATIONS):
        at, slopes = (x.astype(np.float64) for x in model.tangents(parameters[moving], along))
        residual, error = observed[moving] - at, noise[moving]
        slopes /= error[:, :, None]
        information = slopes.transpose(0, 2, 1) @ slopes
        score = np.einsum("nki,nk->ni", slopes, residual / error)
        if constraint is not None:
            information += constraint.information(along)
            score += constraint.score(parameters[moving], along)
        diagonal = np.diagonal(information, axis1=1, axis2=2)
        damped = information + (damping[moving, None] * diagonal)[:, None] * np.eye(len(along))
        step = np.linalg.solve(damped, score[..., None])[..., 0]
        trial = parameters[moving] + step @ along
        with np.errstate(invalid="ignore"):  # a step out of an instrument's range is refused
            left = observed[moving] - model.coordinates(trial)
        before = misfit(residual, parameters[moving], error)
        better = misfit(left, trial, error) <= before
        parameters[moving[better]] = trial[better]
        damping[moving] *= np.where(better, 0.1, 10)
        gain = np.einsum("ni,ni->n", step, score)
        moving = moving[~(gain <= _GAIN)]  # also where every step is refused
        if len(moving) == 0:
            return parameters
    raise RuntimeError(f"{len(moving)} of {len(start)} fits have not converged")


def fits(task: Task, scale: str, n_stars: int) -> Fits:
    """Fit the first test stars of a task, and compare with its information bound.

    Parameters
    ----------
    task : Task
        With noise.
    scale : str
    n_stars : int
        At most the number of the scale's test spectra.
    """
    bound = InformationBound()
    forward = bound.forward = task.forward_model()
    assert forward is not None
    splits = (task.training_split("oracle"), "test")
    train, test = (view_split(task, split, scale, "oracle", 0).view for split in splits)
    bound.fit(train, test, Silent())
    stars = slice(n_stars)
    labels = (test.nuisance, test.composition, test.unseen)
    known = [None if array is None else array[stars] for array in labels]
    truth = parameters_of(*known)
    unknown = np.setdiff1d(np.arange(len(task.nuisance_names), truth.shape[1]), forward.known)
    observed = forward.model.project(test.flux[stars])
    error = None if test.error is None else test.error[stars]
    noise = np.full(observed.shape, 1 / (task.snr or 1.0)) if error is None else error
    estimate = fitted_parameters(forward, observed, truth, unknown, noise)
    information, _ = bound.information(*known, error=error)
    covariance = bound.axes @ np.linalg.inv(information) @ bound.axes.T
    composition = slice(unknown[0], unknown[0] + len(task.elements))
    return Fits(
        (estimate - truth)[:, composition],
        np.sqrt(np.diagonal(covariance, axis1=1, axis2=2)),
        task.elements,
    )


def tracks() -> list[str]:
    """Return the names of the tasks whose bound is a matter of noise."""
    tasks = [get_task(name) for name in task_names()]
    return [task.name for task in tasks if _is_noisy(task) and task.forward_model()]


def _is_noisy(task: Task) -> bool:
    return task.snr is not None or task.card.survey


@click.command(help=__doc__)
@click.argument("names", metavar="[TRACK]...", nargs=-1)
@click.option("--stars", default=1000, type=click.IntRange(10, 1000), show_default=True)
@click.option("--scale", default="mini", type=click.Choice(["mini", "tiny"]), show_default=True)
def main(names: tuple[str, ...], stars: int, scale: str) -> None:
    torch.set_num_threads(1)
    lines = []
    for name in names or tracks():
        task = get_task(name)
        if not _is_noisy(task) or task.forward_model() is None:
            raise click.UsageError(f"{name} has no noise or no forward model; name another track.")
        done = fits(task, scale, stars)
        ratios = sorted((ratio, element) for element, ratio in done.ratios().items())
        extremes = [f"{ratio:.3f} ({element})" for ratio, element in ratios[:1] + ratios[-1:]]
        lines.append([name, len(ratios), f"{done.ratio():.3f}", *extremes])
        click.echo(f"{name}: {done.ratio():.3f}", err=True)
    head = ("track", "elements", "ratio", "lowest", "highest")
    click.echo(tabulate(lines, head, tablefmt="github"))


if __name__ == "__main__":
    sys.exit(main())
