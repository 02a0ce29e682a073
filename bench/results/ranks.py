"""Ranks files: HDF5 with ``rank`` and ``tied`` of each star, checked when read.

Both datasets are ``[n_pairs, 2]``, in the smallest integers that hold their values. In a survey
they are ``[n_ordered]``, one for each ordered pair of siblings, beside ``group`` of the same shape
and the attribute ``n_stars``; see `starbench.metrics.siblings`.
"""

import hashlib
import io
import stat
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from starbench.common.files import atomic_path
from starbench.common.hdf5_guards import (
    UNREADABLE,
    holds_itself,
    local_object,
    open_hdf5,
    read_number,
    read_numbers,
)
from starbench.metrics import SiblingRanks, TwinRanks
from starbench.metrics.bootstrap import group_means, pair_means
from starbench.metrics.recovery import PER_MILLE, within
from starbench.results.text import RowError, printable

MAX_RANKS_BYTES = 16_000_000
MAX_PAIRS = 1_000_000


class Ranks(NamedTuple):
    """The ranks of a run's test stars.

    Attributes
    ----------
    rank, tied : numpy.ndarray [n_pairs, 2], int64
        The rank of each star's twin, and the number of stars tied with it; in a survey [n_ordered],
        of each ordered pair of siblings.
    group : numpy.ndarray [n_ordered], int64, or None
        Group of each ordered pair; None for pairs.
    n_stars : int or None
        Number of a survey's stars; None for pairs.
    """

    rank: np.ndarray
    tied: np.ndarray
    group: np.ndarray | None = None
    n_stars: int | None = None

    @classmethod
    def of(cls, ranks: TwinRanks | SiblingRanks) -> "Ranks":
        """Return what a file keeps of ranks."""
        if isinstance(ranks, SiblingRanks):
            return cls(ranks.rank, ranks.tied, ranks.group, ranks.n_stars)
        return cls(ranks.rank, ranks.tied)

    def measured(self) -> TwinRanks | SiblingRanks:
        """Return the ranks as metrics take them."""
        if self.group is None or self.n_stars is None:
            return TwinRanks(self.rank, self.tied)
        return SiblingRanks(self.rank, self.tied, self.group, self.n_stars)

    def found(self, metric: str) -> np.ndarray:
        """Return for each pair the fraction of its two stars that count in a share [n_pairs].

        In a survey for each group the fraction of its ordered pairs of siblings [n_groups].

        Parameters
        ----------
        metric : str
            One of `starbench.metrics.SHARES`.
        """
        low_enough = within(self.rank, PER_MILLE[metric], self.n_stars)
        if self.group is not None:
            return group_means(low_enough, self.group)
        return pair_means(low_enough)


def ranks_digest(rank: np.ndarray) -> str:
    """Return the SHA-256 of ranks as hexadecimal digits, which does not depend on their type."""
    return hashlib.sha256(np.ascontiguousarray(rank, dtype="<i4").reshape(-1).data).hexdigest()


def write_ranks(
    path: Path,
    rank: np.ndarray,
    tied: np.ndarray,
    group: np.ndarray | None = None,
    n_stars: int | None = None,
) -> None:
    """Write the ranks of a run as HDF5, atomically: equal ranks give equal bytes.

    Parameters
    ----------
    path : pathlib.Path
    rank, tied : numpy.ndarray [n_pairs, 2], integers
    group, n_stars
        As in `Ranks`.

    Raises
    ------
    RowError
        If they cannot be ranks.
    """
    ranks = Ranks(np.asarray(rank), np.asarray(tied), group, n_stars)
    ranks = _checked_ranks(ranks, "ranks")
    values_of = {"rank": ranks.rank, "tied": ranks.tied}
    if ranks.group is not None:
        values_of["group"] = ranks.group
    # Composed in memory: on a full disk the HDF5 library would crash the process as it exits.
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        for name, values in values_of.items():
            # Most ranks are small: with the bytes shuffled, gzip sees runs of zeros.
            file.create_dataset(
                name,
                data=values.astype(np.min_scalar_type(int(values.max()))),
                chunks=values.shape,
                compression="gzip",
                compression_opts=9,
                shuffle=True,
                track_times=False,
            )
        if ranks.n_stars is not None:
            file.attrs["n_stars"] = ranks.n_stars
    with atomic_path(path) as temporary:
        temporary.write_bytes(image.getbuffer())


def read_ranks(path: Path) -> Ranks:
    """Read and check the ranks of a run.

    Raises
    ------
    RowError
        With one sentence that names the file and what is wrong.
    """
    check_file_size(Path(path), MAX_RANKS_BYTES, "ranks file")
    name = printable(path)
    try:
        with open_hdf5(path) as file:
            survey = holds_itself(file, "group")
            fields = ("rank", "tied", "group") if survey else ("rank", "tied")
            stored = [_stored(file, field, name, survey=survey) for field in fields]
            n_stars = _n_stars(file, name) if survey else None
    except RowError:
        raise
    except UNREADABLE:
        raise RowError(f"{name}: a damaged HDF5 file; copy it or run it again") from None
    rank, tied, *group = stored
    ranks = Ranks(rank, tied, group[0] if group else None, n_stars)
    return _checked_ranks(ranks, name)


def check_file_size(path: Path, most: int, kind: str) -> None:
    """Refuse a path that is not a regular file or is too large, before any of it is read.

    Symlinks are refused: one in a pull request would name a file of whoever checks it.

    Parameters
    ----------
    path : pathlib.Path
    most : int
        Largest size [bytes].
    kind : str
        Name of such a file in errors.

    Raises
    ------
    RowError
    """
    try:
        status = path.lstat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a valid path"
        raise RowError(f"{printable(path)}: cannot be read ({reason})") from None
    if stat.S_ISLNK(status.st_mode):
        raise RowError(f"{printable(path)}: symlinks are refused; put the file itself there")
    if not stat.S_ISREG(status.st_mode):
        raise RowError(f"{printable(path)}: not a file")
    if status.st_size > most:
        raise RowError(
            f"{printable(path)}: has {status.st_size:,} bytes; a {kind} may have at most {most:,}"
        )


def _stored(file: h5py.File, name: str, path: str, *, survey: bool = False) -> np.ndarray:
    """Read one dataset of a ranks file, after a check of its type and shape."""
    if not holds_itself(file, name):
        raise RowError(f"{path}: dataset `{name}` is missing; a ranks file holds `rank` and `tied`")
    dataset = local_object(file, name)
    if not isinstance(dataset, h5py.Dataset):
        raise RowError(f"{path}: `{name}` should be a dataset stored in this file")
    axes, rest = ("[n_ordered]", ()) if survey else ("[n_pairs, 2]", (2,))
    if dataset.dtype.kind not in "iu" or not dataset.ndim or dataset.shape[1:] != rest:
        raise RowError(
            f"{path}: `{name}` should be integers {axes}, not {dataset.dtype} {dataset.shape}"
        )
    refuse_wide_chunks(dataset, path)
    if not 1 <= dataset.shape[0] <= (2 * MAX_PAIRS if survey else MAX_PAIRS):
        raise RowError(f"{path}: `{name}` should have 1 to {MAX_PAIRS:,} pairs")
    values: np.ndarray = read_numbers(dataset)
    return values


def _n_stars(file: h5py.File, path: str) -> int:
    """Read the number of a survey's stars."""
    try:
        n_stars = read_number(file, "n_stars")
    except (KeyError, ValueError):
        n_stars = 0
    if not 2 <= n_stars <= 2 * MAX_PAIRS:
        raise RowError(f"{path}: attribute `n_stars` should be the number of stars")
    return int(n_stars)


def refuse_wide_chunks(dataset: h5py.Dataset, path: str) -> None:
    """Refuse a dataset with chunks larger than itself: a small file could unpack to a large one.

    Raises
    ------
    RowError
    """
    chunks = dataset.chunks or dataset.shape
    if any(chunk > max(1, n) for chunk, n in zip(chunks, dataset.shape, strict=True)):
        raise RowError(
            f"{path}: `{dataset.name[1:]}` has chunks {dataset.chunks}; write it without chunks"
        )


def _checked_ranks(ranks: Ranks, name: str) -> Ranks:
    """Return ranks as int64, after a check that they can be ranks of pairs, or of siblings."""
    rank, tied, group, n_stars = ranks
    axes, shape = ("[n_ordered]", (len(rank),)) if group is not None else ("[n_pairs, 2]", None)
    for field, values, lowest in (("rank", rank, 1), ("tied", tied, 0)):
        if (
            values.dtype.kind not in "iu"
            or not (values.shape == shape or (shape is None and values.shape[1:] == (2,)))
            or not len(values)
        ):
            raise RowError(
                f"{name}: `{field}` should be integers {axes}, not {values.dtype} {values.shape}"
            )
        most = (values.size if n_stars is None else n_stars) - 1
        if values.min() < lowest or values.max() > most:
            raise RowError(f"{name}: `{field}` should lie between {lowest} and {most}")
    if rank.shape != tied.shape:
        raise RowError(
            f"{name}: `rank` and `tied` should have one shape, not {rank.shape} and {tied.shape}"
        )
    if (tied >= rank).any():
        raise RowError(f"{name}: `tied` should be less than `rank`, which counts the ties")
    rank, tied = rank.astype(np.int64), tied.astype(np.int64)
    if group is None or n_stars is None:
        return Ranks(rank, tied)
    group = _checked_groups(np.asarray(group), len(rank), n_stars, name)
    if (rank > 1 + SiblingRanks(rank, tied, group, n_stars).n_strangers).any():
        raise RowError(f"{name}: `rank` should be at most one more than the number of strangers")
    return Ranks(rank, tied, group, n_stars)


def _checked_groups(group: np.ndarray, n_ordered: int, n_stars: int, name: str) -> np.ndarray:
    """Return the groups of ordered pairs as int64, after a check that stars can have them."""
    if group.dtype.kind not in "iu" or group.shape != (n_ordered,) or group.min() < 0:
        raise RowError(f"{name}: `group` should be integers [{n_ordered}] of at least 0")
    if group.max() >= n_ordered:
        raise RowError(f"{name}: `group` should number the groups from 0 without a gap")
    size = np.bincount(group)
    members = (1 + np.sqrt(1 + 4 * size)) // 2
    if (members * (members - 1) != size).any() or not size.all():
        raise RowError(
            f"{name}: `group` should hold m (m - 1) ordered pairs of each group of m stars"
        )
    if members.sum() > n_stars:
        raise RowError(f"{name}: attribute `n_stars` should be at least {int(members.sum())}")
    return group.astype(np.int64)
