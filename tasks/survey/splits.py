"""Which split a star belongs to: by a hash of its name, with whole groups in one split."""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from starbench.tasks.card import SPLITS
from starbench.tasks.errors import DataError

DEFAULT_SHARES = (0.8, 0.1, 0.1)
FEWEST = (2, 1, 1)
"""Groups that each split needs: in train a nuisance must vary."""

_Numbers = npt.NDArray[np.int64]


def assign(
    groups: Sequence[str], shares: tuple[float, float, float] = DEFAULT_SHARES
) -> npt.NDArray[np.object_]:
    """Return the split of each spectrum.

    Field stars are shared out between train, validation and test, groups of siblings between
    validation and test only, in the proportion of those two shares. The hash of a name decides, so
    that a star stays where it is when others come or go. Only where a split would lack what it
    needs (two field stars to train on, siblings to test, then siblings to validate) are the groups
    moved whose hashes lie nearest, from where there are more.

    Parameters
    ----------
    groups : sequence of str
        Name of the group of each spectrum; of a field star, its own.
    shares : tuple of float
        Of train, validation and test, which add up to 1.

    Raises
    ------
    DataError
        If there are fewer than four groups.

    Examples
    --------
    >>> groups = ["M67", "M67", "M67", "a", "b", "c", "d", "NGC 6819", "NGC 6819"]
    >>> [str(split) for split in assign(groups)]  # doctest: +NORMALIZE_WHITESPACE
    ['test', 'test', 'test', 'train', 'train', 'train', 'train', 'validation', 'validation']
    """
    names, position, counts = np.unique(
        np.asarray(groups, dtype=object).astype(str), return_inverse=True, return_counts=True
    )
    if len(names) < sum(FEWEST):
        raise DataError(
            f"There are {len(names)} groups and field stars in all; give at least {sum(FEWEST)}, "
            "so that there is something to train on, to validate and to test."
        )
    place = np.array([_uniform(name) for name in names])
    siblings = counts > 1
    train, validation, test = shares
    held = validation / (validation + test)
    split = np.where(
        siblings,
        np.where(place < held, 1, 2),
        np.searchsorted(np.cumsum([train, validation]), place, side="right"),
    )
    _repair(split, siblings, place)
    chosen: npt.NDArray[np.object_] = np.array(SPLITS, object)[split][position]
    return chosen


def _repair(split: _Numbers, siblings: npt.NDArray[np.bool_], place: np.ndarray) -> None:
    """Move groups, in place, so that each split has what it needs."""
    everything = np.ones(len(split), bool)
    needs = [
        (2, siblings, min(siblings.sum(), 1)),
        (1, siblings, min(siblings.sum() - 1, 1)),
        (0, ~siblings, FEWEST[0]),
        *((each, everything, FEWEST[each]) for each in (0, 2, 1)),
    ]
    for to, kind, fewest in needs:
        while (kind & (split == to)).sum() < fewest:
            sizes = np.bincount(split, minlength=len(SPLITS))
            can_give = kind & (split != to)
            if to != 2 or kind is everything:  # what gives siblings to test is filled up below
                can_give &= (sizes > np.array(FEWEST))[split]
            if kind is everything and (siblings & (split == 2)).sum() == 1:
                can_give &= ~(siblings & (split == 2))  # the only siblings of test
            if not can_give.any():
                break
            candidates = np.flatnonzero(can_give)
            order = np.lexsort((place[candidates], sizes[split[candidates]]))
            split[candidates[order[-1]]] = to


def _uniform(name: str) -> float:
    """Return a number in [0, 1) that depends on a name alone."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
