"""The scores of a fitted method on a split, of pairs or of a survey, standard or fresh."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starbench.evaluation.encoding import encode_split
from starbench.evaluation.reconstruction import Errors, decoder, reconstruction_errors
from starbench.evaluation.scoring import Probes, Scores, score
from starbench.evaluation.siblings import sibling_decoder, sibling_errors
from starbench.evaluation.star_ranks import rank_stars
from starbench.evaluation.views import Labels, SplitView, unshuffle
from starbench.methods.base import Method
from starbench.tasks.base import Task
from starbench.tasks.faults import read_noiseless_flux


@dataclass(frozen=True)
class ScoredSplit:
    """What a method returned for a split, and its scores.

    Attributes
    ----------
    scores : Scores
    latent : numpy.ndarray [n_pairs, 2, d] or [n_stars, 1, d], float32
        In the order of the data.
    errors : Errors or None
        Of its reconstructions; None without a decoder.
    """

    scores: Scores
    latent: np.ndarray
    errors: Errors | None


def score_split(
    method: Method,
    task: Task,
    split: str,
    scale: str,
    split_view: SplitView,
    *,
    probes: Probes | None = None,
    checkpoint: Path | None = None,
    advance: Callable[[int], object] | None = None,
    quiet: bool = False,
) -> ScoredSplit:
    """Encode a split, decode its latents if the method can, rank, and score.

    Parameters
    ----------
    method : Method
    task : Task
    split, scale : str
    split_view : SplitView
        Of that split.
    probes : Probes, optional
        Without them probes are left out.
    checkpoint : pathlib.Path, optional
        See `starbench.evaluation.ranking.rank_resumably`.
    advance : callable, optional
        Called with the number of spectra after each batch.
    quiet : bool
        Draw no progress of the ranking.

    Raises
    ------
    OutputError, Diverged
        If the method's output cannot be scored.
    """
    labels = split_view.labels
    latent = encode_split(method, split_view, advance)
    errors = None
    if method.has_decoder:
        errors = _errors(method, task, split, scale, latent, labels, advance)
    error = None
    if method.control and split_view.view.error is not None:  # their own distances use it
        error = unshuffle(split_view.view.error, split_view.order, latent.shape[1])
    ranks = rank_stars(method, latent, labels, error=error, checkpoint=checkpoint, quiet=quiet)
    return ScoredSplit(
        score(latent, labels, ranks=ranks, errors=errors, probes=probes), latent, errors
    )


def _errors(
    method: Method,
    task: Task,
    split: str,
    scale: str,
    latent: np.ndarray,
    labels: Labels,
    advance: Callable[[int], object] | None,
) -> Errors:
    """Return the errors of reconstructions, of pairs or of the siblings of a survey."""
    flux, n_pixels = read_noiseless_flux(task, split, scale), len(task.wavelength)
    if labels.group is not None:
        decode = sibling_decoder(method, latent[:, 0], labels.nuisance[:, 0], n_pixels)
        return sibling_errors(flux, labels.group, decode, advance)
    reconstruct = decoder(method, latent, labels.nuisance, n_pixels)
    return reconstruction_errors(flux, len(latent), reconstruct, advance)
