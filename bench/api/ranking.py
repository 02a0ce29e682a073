"""Rank twins and siblings by the distance of their latents."""

from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy.typing as npt

from starbench.api.latents import pairs_of
from starbench.common.arrays import real_numbers
from starbench.common.paths import user_path
from starbench.common.threads import most_threads, too_many

if TYPE_CHECKING:
    import torch

    from starbench.metrics import Counting, SiblingRanks, TwinRanks

Ranks = TypeVar("Ranks")


def twin_ranks(
    latent: npt.ArrayLike,
    *,
    n_threads: int | None = None,
    device: "str | torch.device" = "cpu",
    checkpoint: str | Path | None = None,
    quiet: bool = False,
) -> "TwinRanks":
    """Rank every star's twin among all stars by L1 distance, exactly.

    A million stars of 20 dimensions take minutes on a CPU, seconds on a GPU.

    Parameters
    ----------
    latent : array_like [n_pairs, 2, d] or [2 n_pairs, d], float32
        In the second shape the spectra of a pair are consecutive: 0 and 1, 2 and 3, ...
    n_threads : int, optional
        Number of threads; one for each available core by default.
    device : str or torch.device
        Such as ``"cuda"``; the ranks are the same on all.
    checkpoint : str or path-like, optional
        File in which a ranking that takes long, or is interrupted, is kept, so that the same call
        continues it; removed at the end. One of other latents is replaced, any other file refused.
    quiet : bool
        Draw no progress.

    Returns
    -------
    TwinRanks
        Its `rank` [n_pairs, 2] is 1 where the twin is nearer than every other star; `tied` counts
        the stars exactly as far as the twin. See `starbench.metrics.ranking`.

    Raises
    ------
    ValueError
        If `latent` has another shape, is empty, masked or not of real numbers, `n_threads` is
        no integer, below 1 or far above the number of cores, or `checkpoint` is a file of another
        kind.

    Examples
    --------
    >>> import starbench as sb
    >>> sb.twin_ranks([[0.0], [1.0], [4.0], [6.0], [2.0], [9.0]]).rank.tolist()
    [[1, 2], [2, 1], [5, 3]]
    """
    from starbench.metrics import Ranking

    _check_threads(n_threads)
    ranking = Ranking(pairs_of(latent), n_threads=n_threads, device=_ranking_device(device))
    return _ranks_of(ranking, checkpoint, quiet)


def sibling_ranks(
    latent: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    n_threads: int | None = None,
    checkpoint: str | Path | None = None,
    quiet: bool = False,
) -> "SiblingRanks":
    """Rank every sibling of every star among strangers by L1 distance, exactly.

    Siblings are stars of one composition, such as members of a cluster or visits of one star.

    Parameters
    ----------
    latent : array_like [n_stars, d], float32
    group : array_like [n_stars], integers
        Equal for siblings; a group of one is a star of the field.
    n_threads, checkpoint, quiet
        See `twin_ranks`.

    Returns
    -------
    SiblingRanks
        Its `rank` [n_ordered] is that of each ordered pair of siblings, by star and then by
        sibling: 1 where the sibling is nearer than every stranger. See
        `starbench.metrics.siblings`.

    Raises
    ------
    ValueError
        If the shapes do not match, an array is masked or not of real numbers, no star has a
        sibling, `n_threads` is no integer, below 1 or far above the number of cores, or
        `checkpoint` is a file of another kind.

    Examples
    --------
    >>> import starbench as sb
    >>> sb.sibling_ranks([[0.0], [1.0], [0.6], [9.0]], [7, 7, 1, 2]).rank.tolist()
    [2, 2]
    """
    from starbench.metrics import SiblingRanking

    _check_threads(n_threads)
    stars, groups = real_numbers(latent, "latent"), real_numbers(group, "group")
    ranking = SiblingRanking(stars, groups, n_threads=n_threads)
    return _ranks_of(ranking, checkpoint, quiet)


def _ranks_of(ranking: "Counting[Ranks]", checkpoint: str | Path | None, quiet: bool) -> Ranks:
    """Finish a ranking, and remove its checkpoint."""
    from starbench.evaluation.ranking import rank_resumably, require_replaceable

    path = None if checkpoint is None else user_path(checkpoint)
    if path is not None:
        require_replaceable(path)
    ranks = rank_resumably(ranking, path, quiet=quiet)
    if path is not None:
        path.unlink(missing_ok=True)
    return ranks


def _ranking_device(device: "str | torch.device") -> str:
    """Return the checked name of a device; the processor needs no torch."""
    if str(device) == "cpu":
        return "cpu"
    from starbench.runs.runner import resolved_device

    return resolved_device(device)


def _check_threads(n_threads: int | None) -> None:
    if n_threads is None:
        return
    if not isinstance(n_threads, Integral) or isinstance(n_threads, bool) or n_threads < 1:
        raise ValueError(f"n_threads is {n_threads!r}; give an integer of at least 1")
    if fault := too_many(n_threads, most_threads()):
        raise ValueError(f"n_threads: {fault}")
