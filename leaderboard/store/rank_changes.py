"""How the ranks of a repeated run differ from those of a row, and whether by chance."""

import math
from dataclasses import dataclass

import numpy as np

from starbench.metrics.bootstrap import group_means
from starbench.metrics.recovery import PER_MILLE, within
from starbench.results.ranks import Ranks

LARGEST_EXCESS = 4.0
"""Standard errors by which a row may find more twins than the repeated run.

Runs that differ by rounding alone stay below 1. Training amplifies rounding until a run is like one
of another seed: on the leaderboard, the root mean square between two seeds of one method is 0.6 to
3.1 where shares scatter by at most half a point over seeds. Where they scatter more, the limit is
exceeded by chance too: at the scale mini, computing with AVX2 in place of AVX512 moved fader by 6
points and 5.9 standard errors. Only hardware that equals the row's can tell there.
"""


@dataclass(frozen=True)
class RankChanges:
    """Differences of the ranks of two runs on the same stars.

    Attributes
    ----------
    stars, differing : int
        All stars, and those whose ranks differ.
    only_row, only_again : int
        Stars whose twin is nearest in the row only, and in the repeated run only.
    excess : float
        By how much the row finds more twins than the repeated run, in standard errors; the largest
        over the three shares. Negative if the row finds fewer.
    """

    stars: int
    differing: int
    only_row: int
    only_again: int
    excess: float

    def __str__(self) -> str:
        if self.differing == 0:
            return "Ranks: the same for every star."
        return (
            f"Ranks: those of {self.differing:,} of {self.stars:,} stars differ. The twin is "
            f"nearest in the row only for {self.only_row:,} stars, in the repeated run only for "
            f"{self.only_again:,}; the row finds {self._direction}."
        )

    @property
    def _direction(self) -> str:
        share = 100 * (self.only_row - self.only_again) / self.stars
        if share == 0:
            return "as many"
        return f"{abs(share):.2f} points {'more' if share > 0 else 'fewer'}"


def rank_changes(row: Ranks, again: Ranks) -> RankChanges:
    """Compare the ranks of a row with those of the repeated run."""
    found, found_again = row.rank == 1, again.rank == 1
    return RankChanges(
        stars=row.rank.size,
        differing=int(np.count_nonzero(row.rank != again.rank)),
        only_row=int(np.count_nonzero(found & ~found_again)),
        only_again=int(np.count_nonzero(found_again & ~found)),
        excess=max(_excess(row, again, share) for share in PER_MILLE.values()),
    )


def _excess(row: Ranks, again: Ranks, per_mille: int) -> float:
    """Return the sign test over pairs, whose halves share their distance, in standard errors.

    In a survey it is one over groups, of the mean of each.
    """
    found, found_again = (within(each.rank, per_mille, each.n_stars) for each in (row, again))
    changed = found.astype(int) - found_again
    by_pair = changed.sum(axis=1) if row.group is None else group_means(changed, row.group)
    squares = float((by_pair**2).sum())
    return float(by_pair.sum() / math.sqrt(squares)) if squares else 0.0
