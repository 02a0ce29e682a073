"""Siblings among training spectra: twins, or members of one group of any size."""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch

from starbench.methods.base import SettingError, View

_HELD_OUT = 1024  # at most so many pairs are held out, to measure the scatter between siblings


def groups(train: View, method: str) -> np.ndarray:
    """Return the sibling group [n], int64, of each training spectrum.

    Parameters
    ----------
    train : View
        With twins or groups.
    method : str
        Name of the method that needs siblings, for the message.

    Raises
    ------
    SettingError
        If no two training spectra are siblings.
    """
    if train.twin is not None:
        first: np.ndarray = np.minimum(np.arange(len(train)), train.twin)
        return first
    if train.group is None or len(np.unique(train.group)) == len(train):
        raise SettingError(
            f"{method} learns from siblings, but no two stars of the training set share a group; "
            "choose data with groups of two or more."
        )
    return train.group


def pairs(group: np.ndarray) -> torch.Tensor:
    """Return the rows of pairs of siblings [n_pairs, 2], int64.

    Each spectrum is paired with the next one of its group, the last with the first; a group of two
    is one pair.

    Examples
    --------
    >>> pairs(np.array([3, 7, 3, 5, 7, 7])).tolist()
    [[0, 2], [1, 4], [4, 5], [5, 1]]
    """
    chain = np.argsort(group, kind="stable")
    _, start, size = np.unique(group[chain], return_index=True, return_counts=True)
    following = np.arange(len(chain)) + 1
    following[start + size - 1] = start
    next_one = np.empty_like(chain)
    next_one[chain] = chain[following]
    n_siblings = np.repeat(size, size)[np.argsort(chain, kind="stable")]
    rows = np.arange(len(chain))
    paired = (n_siblings > 2) | ((n_siblings == 2) & (rows < next_one))
    both = torch.from_numpy(np.stack([rows, next_one], 1)[paired])
    # In the order of the groups' first rows, so that a group's pairs are together.
    leader = chain[np.repeat(start, size)][np.argsort(chain, kind="stable")]
    return both[np.argsort(leader[paired], kind="stable")]


@dataclass(frozen=True)
class SiblingPairs:
    """Pairs of siblings, some of them held out from a fit.

    Attributes
    ----------
    held_out, learned : torch.Tensor [n_pairs, 2], int64
        Rows of pairs; no group has pairs in both.
    rows : torch.Tensor [n], int64
        Rows of all spectra to learn from, with and without siblings.
    """

    held_out: torch.Tensor
    learned: torch.Tensor
    rows: torch.Tensor

    @classmethod
    def of(cls, train: View, method: str) -> "SiblingPairs":
        """Hold out an eighth of the pairs of a training set, and at most 1024 of them.

        Raises
        ------
        SettingError
            If there are fewer than eight pairs.
        """
        group = groups(train, method)
        both = pairs(group)
        n_held_out = min(_HELD_OUT, len(both) // 8)
        if not n_held_out:
            raise SettingError(
                f"{method} holds out an eighth of the pairs of siblings to measure their scatter, "
                f"but the training set has {len(both)}; give at least 8."
            )
        if train.twin is None:  # up to the end of a group
            of_pair = group[both[:, 0].numpy()]
            n_held_out = int(np.flatnonzero(of_pair == of_pair[n_held_out - 1])[-1]) + 1
        held_out, learned = both[:n_held_out], both[n_held_out:]
        if train.twin is not None:
            return cls(held_out, learned, learned.flatten())
        kept = np.setdiff1d(np.arange(len(train)), held_out.flatten().numpy())
        return cls(held_out, learned, torch.from_numpy(kept))


@final
class Siblings:
    """Draws a sibling of each spectrum.

    Parameters
    ----------
    group : numpy.ndarray [n], int64
        Sibling group of each training spectrum.
    twin : numpy.ndarray [n], int64, optional
        Row of each one's twin, where all groups are pairs.
    n_fitted : int
        Number of spectra, from the first on, that may be drawn.
    """

    def __init__(self, group: np.ndarray, twin: np.ndarray | None, n_fitted: int) -> None:
        self._n_fitted = n_fitted
        self._twin = None if twin is None else torch.as_tensor(twin)
        chain = np.argsort(group[:n_fitted], kind="stable")
        _, start, size = np.unique(group[chain], return_index=True, return_counts=True)
        place = np.empty_like(chain)
        place[chain] = np.arange(len(chain)) - np.repeat(start, size)
        first, n_members = np.empty_like(chain), np.empty_like(chain)
        first[chain], n_members[chain] = np.repeat(start, size), np.repeat(size, size)
        self._chain, self._place, self._first, self._n_members = (
            torch.from_numpy(array) for array in (chain, place, first, n_members)
        )

    def draw(self, rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the row of a sibling of each of some fitted spectra, or its own if it has none.

        Parameters
        ----------
        rows : torch.Tensor [n], int64
        generator : torch.Generator
            Not used where all groups are pairs.
        """
        if self._twin is not None:
            twins = self._twin[rows]
            return torch.where(twins < self._n_fitted, twins, rows)
        others = self._n_members[rows] - 1
        steps = 1 + (torch.rand(len(rows), generator=generator) * others).long()
        place = (self._place[rows] + steps.clamp_max(others)) % self._n_members[rows]
        return self._chain[self._first[rows] + place]
