"""Rank the twins or siblings of latents, by L1 or by an oracle control's own distance."""

from pathlib import Path

import numpy as np

from starbench import metrics
from starbench.evaluation.encoding import OutputError
from starbench.evaluation.ranking import rank_resumably, ranking_device
from starbench.evaluation.views import Labels
from starbench.methods.base import Method, OracleControl, SettingError, required

Ranks = metrics.TwinRanks | metrics.SiblingRanks


def rank_stars(
    method: Method,
    latent: np.ndarray,
    labels: Labels,
    *,
    error: np.ndarray | None = None,
    checkpoint: Path | None = None,
    quiet: bool = True,
) -> Ranks:
    """Rank the twins of a method's latents by L1, or by an oracle control's own distance.

    A method on a CUDA device is ranked there, any other on the CPU; so are the siblings of a
    survey, always by L1.

    Parameters
    ----------
    method : Method
    latent : numpy.ndarray [n, 2, d], float32
        Of the first n pairs.
    labels : Labels
        Of at least these pairs; in a survey of the same stars.
    error : numpy.ndarray [n, 2, n_pixels], optional
        Of the flux of these pairs, for oracle controls that take errors.
    checkpoint : pathlib.Path, optional
        See `rank_resumably`.
    quiet : bool
        Draw no progress.

    Raises
    ------
    OutputError
        If a method's own ranks are not ranks of these stars.
    """
    own: Ranks | None = None
    if isinstance(method, OracleControl):
        own_ranks = _own_twin_ranks if labels.group is None else _own_sibling_ranks
        own = own_ranks(method, latent, labels, error)
    if own is not None:
        return own
    device = str(getattr(method, "device", "cpu"))  # a method may have its own constructor
    return rank_latents(latent, labels, device=device, checkpoint=checkpoint, quiet=quiet)


def rank_latents(
    latent: np.ndarray,
    labels: Labels,
    *,
    device: str = "cpu",
    checkpoint: Path | None = None,
    quiet: bool = True,
) -> Ranks:
    """Rank the twins of pairs, or the siblings of a survey, by L1.

    Parameters
    ----------
    latent : numpy.ndarray [n_pairs, 2, d] or [n_stars, 1, d], float32
    labels : Labels
        Their group says whether it is a survey.
    device : str
        A torch device. Siblings are ranked on the CPU, and so are twins unless it is a CUDA device.
    checkpoint : pathlib.Path, optional
        See `rank_resumably`.
    quiet : bool
        Draw no progress.
    """
    if labels.group is None:
        pairs = metrics.Ranking(latent, device=ranking_device(device))
        return rank_resumably(pairs, checkpoint, quiet=quiet)
    siblings = metrics.SiblingRanking(latent[:, 0], labels.group)
    return rank_resumably(siblings, checkpoint, quiet=quiet)


def _own_twin_ranks(
    method: OracleControl, latent: np.ndarray, labels: Labels, error: np.ndarray | None
) -> metrics.TwinRanks | None:
    """Return the ranks of twins by a control's own distance; None if it has none."""
    pairs = slice(len(latent))
    known = _known(method, labels, error, pairs)
    own = method.rank_twins(latent, labels.nuisance[pairs], _composition(labels)[pairs], **known)
    if own is None:
        return None
    rank, tied = (np.asarray(part) for part in own)
    if (
        not (rank.shape == tied.shape == latent.shape[:2])
        or not (rank.dtype.kind == tied.dtype.kind == "i")
        or not ((tied >= 0) & (tied < rank) & (rank < 2 * len(latent))).all()
    ):
        raise OutputError(
            f"rank_twins of {method.name} must return integer ranks and ties [{len(latent)}, 2]."
        )
    return metrics.TwinRanks(rank.astype(np.int64), tied.astype(np.int64))


def _own_sibling_ranks(
    method: OracleControl, latent: np.ndarray, labels: Labels, error: np.ndarray | None
) -> metrics.SiblingRanks | None:
    """Return the ranks of siblings by a control's own distance; None if it has none."""
    group = required(labels.group, "group")
    known = {
        name: values.reshape(len(group), -1)
        for name, values in _known(method, labels, error, slice(len(group))).items()
    }
    nuisance, composition = labels.nuisance[:, 0], _composition(labels)
    own = method.rank_siblings(latent[:, 0], nuisance, composition, group, **known)
    if own is None:
        return None
    pairs = metrics.ordered_pairs(group)
    rank, tied = (np.asarray(part) for part in own)
    ranks = metrics.SiblingRanks(rank, tied, pairs.group, len(group))
    if (
        not (rank.shape == tied.shape == pairs.query.shape)
        or not (rank.dtype.kind == tied.dtype.kind == "i")
        or not ((tied >= 0) & (tied < rank) & (rank <= 1 + ranks.n_strangers)).all()
    ):
        raise OutputError(
            f"rank_siblings of {method.name} must return integer ranks and ties [{len(pairs)}]."
        )
    return ranks


def _known(
    method: OracleControl, labels: Labels, error: np.ndarray | None, pairs: slice
) -> dict[str, np.ndarray]:
    """Return what an oracle control is told of spectra besides their labels."""
    known = {} if labels.unseen is None else {"unseen": labels.unseen[pairs]}
    if error is not None and method.takes_errors:
        known["error"] = error
    return known


def _composition(labels: Labels) -> np.ndarray:
    if labels.composition is None:
        raise SettingError(
            "The method needs the composition, which these data lack; choose data with it."
        )
    return labels.composition
