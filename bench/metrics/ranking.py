"""The rank of every star's twin among all stars, by L1 distance in the latent space.

For a star q with twin t, each other star c (a stranger) lies at a distance

    D(q, c) = sum_k |z_qk - z_ck|

in float32, added in the order of the dimensions. With

    closer = number of strangers with D(q, c) < D(q, t)
    tied   = number of strangers with D(q, c) = D(q, t)

the rank of the twin is 1 + closer + tied: ties count against the method. The query and its twin do
not count as strangers; they are excluded by index, not by distance, so that equal latents gain
nothing. With N pairs the gallery holds 2N - 1 stars, and a rank lies between 1 and 2N - 1.

A star whose latent is not finite is infinitely far from every other, so its twin ranks last, and so
does it for its twin. If all latents are equal, all strangers tie and all twins rank last. Finite
latents so large that their distance overflows float32 are infinitely far apart too.

The distance to the twin adds the same terms in the same order as those to the candidates, so that
equal latents give equal bits, on every device. Compared with sums in float64, an order can differ
only where two distances agree to a few units in the last place of float32.

The twin as ground truth for chemical similarity, and "doppelgangers": de Mijolla, Ness, Viti &
Wheeler 2021, ApJ 913, 12 (arXiv:2103.06377).
"""

import hashlib
import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, Protocol, TypeVar

import numpy as np

from starbench.common.arrays import real_numbers
from starbench.common.threads import default_threads


@dataclass(frozen=True)
class TwinRanks:
    """The rank of every star's twin, from which all recovery metrics follow.

    Attributes
    ----------
    rank : numpy.ndarray [n_pairs, 2], int64
        From 1, if the twin is closer than every stranger, to 2 n_pairs - 1, if no stranger is
        farther.
    tied : numpy.ndarray [n_pairs, 2], int64
        Number of strangers exactly as far as the twin; `rank` counts them too.
    """

    rank: np.ndarray
    tied: np.ndarray

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.rank)


Ranks = TypeVar("Ranks")


class Bands(Protocol):
    """The work of a ranking in pieces, which can be counted in any order and at the same time.

    Attributes
    ----------
    kind : str
        How the work is divided; counts of another kind cannot be continued.
    costs : numpy.ndarray [n_bands], int64
        Work of each band: about the number of distances that it computes.
    """

    kind: str
    costs: np.ndarray

    def count(self, band: int, counts: np.ndarray) -> None:
        """Add the counts of a band to `counts` [2, n_counted], int32.

        For each twin the strangers closer to its star than it is, and those closer or tied.
        """


class Counting(ABC, Generic[Ranks]):
    """A count of strangers, from which ranks follow, that can be stopped, stored and continued.

    Parameters
    ----------
    rows : numpy.ndarray [n_stars, d], float32
        As `finite_rows` returns them.
    bands : Bands
    n_counted : int
        Number of distances with which those to strangers are compared.
    n_workers : int
        Threads that count bands at the same time.

    Attributes
    ----------
    counts : numpy.ndarray [2, n_counted], int32
        For each such distance the strangers closer so far, and those closer or tied.
    n_done : int
        Number of bands that `counts` holds.
    costs : numpy.ndarray [n_bands], int64
        Work of each band: about the number of distances that it computes.
    """

    def __init__(self, rows: np.ndarray, bands: Bands, n_counted: int, n_workers: int) -> None:
        self._rows, self._bands = rows, bands
        self.costs = bands.costs
        self._n_workers = max(1, min(n_workers, len(self.costs)))
        self.counts = np.zeros((2, n_counted), np.int32)
        self.n_done = 0

    @cached_property
    def identity(self) -> str:
        """Digest of the latents and of how the work is divided.

        Counts and `n_done` of a count of the same identity may be put in place of these, to
        continue it.
        """
        digest = hashlib.sha256(f"{self._bands.kind} {self._rows.shape}".encode())
        digest.update(self._rows.data)
        return digest.hexdigest()

    @property
    def finished(self) -> bool:
        """Whether all bands are counted."""
        return self.n_done == len(self.costs)

    def advance(
        self, seconds: float = math.inf, report: Callable[[int], object] | None = None
    ) -> None:
        """Count bands until the time is up or none is left.

        An exception in this thread, such as KeyboardInterrupt, is raised once the bands at work are
        counted, a fraction of a second later: `counts` and `n_done` then belong together.

        Parameters
        ----------
        seconds : float
            No band is begun later than this.
        report : callable, optional
            Called with the cost of each band after it is counted, by one thread at a time.
        """
        end = time.monotonic() + seconds
        changed = threading.Condition()
        following, at_work, stopped = self.n_done, 0, False
        parts: list[np.ndarray] = [self.counts]
        failures: list[BaseException] = []

        def work() -> None:
            nonlocal following, at_work, stopped
            counts = np.zeros_like(self.counts)
            parts.append(counts)
            while True:
                with changed:
                    band = following
                    late = band > self.n_done and time.monotonic() > end
                    if stopped or late or band == len(self.costs):
                        return
                    following += 1
                    at_work += 1
                try:
                    self._bands.count(band, counts)
                except BaseException as error:
                    failures.append(error)
                    stopped = True
                with changed:
                    try:
                        if report and not stopped:
                            report(int(self.costs[band]))
                    finally:
                        at_work -= 1
                        changed.notify_all()

        # The kernel releases the GIL, so Python threads run in parallel; numba's thread pool would
        # not survive a fork. An interrupt can come at any line, even before a thread that has
        # started is known to the pool, so the threads themselves say whether they are at work.
        pool = ThreadPoolExecutor(self._n_workers)
        try:
            wait([pool.submit(work) for _ in range(self._n_workers)])
        finally:
            with changed:
                stopped = True
                changed.wait_for(lambda: not at_work)
            pool.shutdown()
            if not failures:
                self.counts, self.n_done = sum(parts[1:], parts[0]), following
        if failures:
            raise failures[0]

    def ranks(self) -> Ranks:
        """Return the ranks.

        Raises
        ------
        RuntimeError
            If bands are left.
        """
        if not self.finished:
            raise RuntimeError(f"{len(self.costs) - self.n_done} bands are not counted yet")
        closer, within = self.counts.astype(np.int64)
        return self._ranks(closer, within)

    @abstractmethod
    def _ranks(self, closer: np.ndarray, within: np.ndarray) -> Ranks:
        """Return the ranks that follow from the final counts [n_counted], int64."""


def finite_rows(latent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return latents [n_stars, ...] as rows that can be compared, and which of them are broken.

    Returns
    -------
    rows : numpy.ndarray [n_stars, d], float32
        Infinite where a latent is not finite.
    broken : numpy.ndarray [n_stars], bool
    """
    with np.errstate(over="ignore"):  # what overflows float32 is not finite, and ranks last
        rows = np.ascontiguousarray(latent.reshape(len(latent), -1), dtype=np.float32)
    broken: np.ndarray = ~np.all(np.isfinite(rows), axis=1)
    if broken.any():
        # Infinite values are infinitely far from all; NaN would be neither near nor far.
        rows = np.where(broken[:, None], np.float32(np.inf), rows)
    return rows, broken


class Ranking(Counting[TwinRanks]):
    """A ranking of every star's twin that can be stopped, stored and continued.

    The time is proportional to n_pairs^2 d and the memory to n_pairs d: on one core about a third
    of a second for 12,500 pairs of 20 dimensions, ten minutes for 500,000.

    Parameters
    ----------
    latent : numpy.ndarray [n_pairs, 2, d], float32
        Other real types are rounded to float32 first.
    n_threads : int, optional
        On the CPU; by default that of the run, or one for each available core.
    device : str
        A torch device. Neither it nor the number of threads changes a rank.

    Raises
    ------
    ValueError
        If `latent` is not of that shape, empty, masked or not of real numbers.
    """

    def __init__(
        self, latent: np.ndarray, *, n_threads: int | None = None, device: str = "cpu"
    ) -> None:
        latent = real_numbers(latent, "latent")
        if latent.ndim != 3 or latent.shape[1] != 2 or 0 in latent.shape:
            raise ValueError(
                "latents must be shaped [n_pairs, 2, d] with n_pairs and d at least 1, "
                f"not {list(latent.shape)}"
            )
        rows, self._broken = finite_rows(latent.reshape(2 * len(latent), -1))
        n_threads = default_threads() if n_threads is None else n_threads
        bands = _bands(rows, twin_distances(rows), device)
        super().__init__(rows, bands, len(rows), n_threads if device == "cpu" else 1)

    def _ranks(self, closer: np.ndarray, within: np.ndarray) -> TwinRanks:
        # All stars are infinitely far from one that is not finite, hence tied. That holds for
        # another such star too, where the difference of infinities gave NaN.
        within[self._broken], closer[self._broken] = len(within) - 2, 0
        return TwinRanks((1 + within).reshape(-1, 2), (within - closer).reshape(-1, 2))


def twin_ranks(
    latent: np.ndarray, *, n_threads: int | None = None, device: str = "cpu"
) -> TwinRanks:
    """Rank every star's twin by L1 distance, exactly.

    The first call on a machine compiles for a second or two, for each number of dimensions.

    Parameters
    ----------
    latent, n_threads, device
        See `Ranking`.

    Returns
    -------
    TwinRanks

    Raises
    ------
    ValueError
        If `latent` is not of that shape, or empty.

    Examples
    --------
    Three pairs on a line, at 0 and 1, 4 and 6, and 2 and 9. The star at 2 is as far from that at 1
    as its twin is: a tie. From the star at 2 all others are nearer than its twin.

    >>> latent = np.array([[[0.0], [1.0]], [[4.0], [6.0]], [[2.0], [9.0]]], np.float32)
    >>> ranks = twin_ranks(latent)
    >>> ranks.rank.tolist()
    [[1, 2], [2, 1], [5, 3]]
    >>> ranks.tied.tolist()
    [[0, 1], [1, 0], [0, 0]]
    """
    ranking = Ranking(latent, n_threads=n_threads, device=device)
    ranking.advance()
    return ranking.ranks()


def twin_distances(rows: np.ndarray) -> np.ndarray:
    """Return each star's distance to its twin.

    Its terms are added as in the kernels, so that the bits agree.

    Parameters
    ----------
    rows : numpy.ndarray [n_stars, d], float32
        Stars 2k and 2k + 1 are twins.

    Returns
    -------
    numpy.ndarray [n_stars], float32
    """
    distance = np.zeros(len(rows) // 2, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for first, second in zip(rows[::2].T, rows[1::2].T, strict=True):
            distance += np.abs(first - second)
    return np.repeat(distance, 2)


def _bands(rows: np.ndarray, thresholds: np.ndarray, device: str) -> Bands:
    """Return the work of a ranking on a device; the modules load a compiler or torch."""
    if device == "cpu":  # "cpu:0" uses the kernel for accelerators, which tests compare
        from starbench.metrics._l1 import CpuBands

        return CpuBands(rows, thresholds)
    from starbench.metrics._l1_torch import DeviceBands

    return DeviceBands(rows, thresholds, device)
