"""Score latents and reconstructions that are given as arrays."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy.typing as npt

from starbench.api.latents import latent_of_split
from starbench.api.loading import load_task
from starbench.api.tables import metrics_frame
from starbench.common.arrays import real_numbers

if TYPE_CHECKING:
    import pandas as pd

    from starbench.evaluation.reconstruction import Errors
    from starbench.evaluation.scoring import Probes
    from starbench.tasks.base import Task


def score(
    latent: npt.ArrayLike,
    task: "str | Task | None" = None,
    split: str = "test",
    scale: str | None = None,
    *,
    train_latent: npt.ArrayLike | None = None,
    reconstruction: npt.ArrayLike | None = None,
    swapped_reconstruction: npt.ArrayLike | None = None,
    data: str | Path | None = None,
    cache: str | Path | None = None,
    quiet: bool = False,
) -> "pd.DataFrame":
    """Compute every metric that the given arrays allow, with the code that scores runs.

    Parameters
    ----------
    latent : array_like [n_pairs, 2, d] or [2 n_pairs, d], float32
        Latents of all stars of the split, in the order of ``task.load(split, scale)``; of a survey
        [n_stars, d].
    task : str or Task, optional
        See `load_task`; ``"apogee-giants"`` by default.
    split : {"test", "validation", "train"}
    scale : str, optional
        By default the task's own, ``"full"`` for standard tasks.
    train_latent : array_like, shaped alike, optional
        Latents of the train split, on which the probes of nuisance leakage and composition
        recovery are fitted; without them those metrics are left out.
    reconstruction, swapped_reconstruction : array_like [n_pairs, 2, n_pixels], optional
        Flux decoded at each star's nuisance from its own latent, and from its twin's; give both or
        neither, and neither for a survey.
    data, cache, quiet
        See `load_task`.

    Returns
    -------
    pandas.DataFrame
        A line for each metric, with the columns value, low and high; `low` and `high` are the ends
        of the 95 % interval.

    Raises
    ------
    ValueError
        If an array does not have the shape that the split asks for, or is masked or not of real
        numbers.

    Examples
    --------
    Random latents find no twins:

    >>> import numpy as np
    >>> import starbench as sb
    >>> latent = np.random.default_rng(0).normal(size=(64, 2, 5))
    >>> metrics = sb.score(latent, "apogee-giants", "test", scale="tiny")
    >>> low, high = metrics.loc["median_normalised_rank", ["low", "high"]]
    >>> bool(low < 0.5 < high)  # 0.5 by chance
    True
    """
    from starbench.common.progress import shown
    from starbench.evaluation.scoring import score as score_arrays
    from starbench.evaluation.views import Labels

    loaded = load_task(task, data=data, cache=cache, quiet=quiet)
    scale = loaded.default_scale if scale is None else scale
    with shown(quiet=quiet):
        loaded.prepare(scale, progress=not quiet)  # own data may leave stars out
        pairs = latent_of_split(latent, loaded, split, scale)
        scores = score_arrays(
            pairs,
            Labels.of_task(loaded, split, scale),
            errors=_errors(loaded, split, scale, reconstruction, swapped_reconstruction),
            probes=_probes(train_latent, loaded, scale, pairs.shape[2]),
        )
    return metrics_frame(scores.estimates)


def _probes(
    train_latent: npt.ArrayLike | None, task: "Task", scale: str, n_dimensions: int
) -> "Probes | None":
    """Return what the probes are fitted on."""
    from starbench.evaluation.scoring import Probes
    from starbench.evaluation.views import Labels

    if train_latent is None:
        return None
    split = task.probed_split
    pairs = latent_of_split(train_latent, task, split, scale, "train_latent")
    if pairs.shape[2] != n_dimensions:
        raise ValueError(
            f"train_latent has {pairs.shape[2]} dimensions and latent {n_dimensions}; give latents "
            "of one method"
        )
    return Probes(pairs, Labels.of_task(task, split, scale))


def _errors(
    task: "Task",
    split: str,
    scale: str,
    reconstruction: npt.ArrayLike | None,
    swapped_reconstruction: npt.ArrayLike | None,
) -> "Errors | None":
    """Return the mean squared error of each star's two reconstructions, None without any."""
    from starbench.evaluation.reconstruction import reconstruction_errors

    if reconstruction is None and swapped_reconstruction is None:
        return None
    if reconstruction is None or swapped_reconstruction is None:
        raise ValueError("give both reconstruction and swapped_reconstruction, or neither")
    if task.card.survey:
        raise ValueError("reconstructions of a survey are not scored; give neither")
    plain = real_numbers(reconstruction, "reconstruction")
    swapped = real_numbers(swapped_reconstruction, "swapped_reconstruction")
    expected = (task.sizes(scale)[split], 2, len(task.wavelength))
    for name, flux in (("reconstruction", plain), ("swapped_reconstruction", swapped)):
        if flux.shape != expected:
            raise ValueError(f"{name} has shape {list(flux.shape)}; it needs {list(expected)}")
    return reconstruction_errors(
        task.noiseless_flux(split, scale), expected[0], lambda pairs: (plain[pairs], swapped[pairs])
    )
