"""Views of a split: shuffled spectra with the labels that a method's label access allows.

The two spectra of a pair are adjacent in the data, so the spectra are shuffled before a method
gets them. The harness restores the order in the method's output.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from starbench.common.paging import expect_order, release, rows_on_disk, walk
from starbench.common.parallel import in_parts
from starbench.common.progress import stage
from starbench.methods.base import Method, View, unmasked_mean
from starbench.tasks.base import Task
from starbench.tasks.errors import DataError
from starbench.tasks.faults import read_chunks
from starbench.tasks.storage.cache import cache_folder
from starbench.tasks.streams import inverse, permutation

_PART = 64  # pairs that are worth a thread
_ROWS = 4096  # spectra at a time
LARGEST_IN_MEMORY = 2 * 10**9  # bytes of flux, and of errors; 69,000 spectra of 7,214 pixels

_LABELS = ("nuisance", "composition", "unseen", "group", "nuisance_error")
_OF_PAIRS = ("composition", "group")  # both spectra share them
# What a method of each label access sees besides the spectra: fields of `View`.
_NUISANCE = ("nuisance", "nuisance_error")
_SEEN: dict[str, tuple[str, ...]] = {
    "none": (),
    "nuisance": _NUISANCE,
    "pairs": (*_NUISANCE, "twin", "group"),
    "oracle": (*_NUISANCE, "twin", "group", "composition", "unseen"),
}


@dataclass(frozen=True)
class Labels:
    """The labels of the pairs of a split, in the order of the data.

    Attributes
    ----------
    nuisance : numpy.ndarray [n_pairs, 2, n_nuisance], float32
        In the task's units.
    composition : numpy.ndarray [n_pairs, n_elements], float32, or None
        [dex]; None if the data do not hold it.
    nuisance_names, elements : tuple of str
    unseen : numpy.ndarray [n_pairs, 2, n_unseen], float32, or None
        Parameters that no method is given, for oracle controls.
    group : numpy.ndarray [n_stars], int64, or None
        In a survey, whose arrays are shaped [n_stars, 1, ...], the sibling group of each star.
    """

    nuisance: np.ndarray
    composition: np.ndarray | None
    nuisance_names: tuple[str, ...]
    elements: tuple[str, ...]
    unseen: np.ndarray | None = None
    group: np.ndarray | None = None

    def of_stars(self, stars: np.ndarray) -> "Labels":
        """Return the labels of some stars of a survey."""
        names = ("nuisance", "composition", "unseen", "group")
        known = {name: getattr(self, name) for name in names}
        return replace(
            self, **{name: values[stars] for name, values in known.items() if values is not None}
        )

    @property
    def has_siblings(self) -> bool:
        """Whether some star has a sibling, as all stars of pairs have."""
        return self.group is None or len(np.unique(self.group)) < len(self.group)

    @classmethod
    def of_task(cls, task: Task, split: str, scale: str) -> "Labels":
        """Read the labels of a split without its flux."""
        nuisance, composition = task.labels_on_disk(split, scale)
        group = task.groups(split, scale)
        return cls(nuisance, composition, task.nuisance_names, task.elements, group=group)


@dataclass(frozen=True)
class SplitView:
    """A split as a method sees it, with the order and the labels that only the harness knows.

    Attributes
    ----------
    view : View
        All that the method gets.
    order : numpy.ndarray [n_spectra], int64
        For each row of the view, its spectrum in the data, as `shuffled_order` numbers them.
    labels : Labels
        All labels, independent of the method's label access.
    """

    view: View
    order: np.ndarray
    labels: Labels


def shuffled_order(seed: int, split: str, n_spectra: int) -> np.ndarray:
    """Return the random order in which a view holds the spectra of a split.

    Parameters
    ----------
    seed : int
        The run's seed.
    split : str
    n_spectra : int

    Returns
    -------
    numpy.ndarray [n_spectra], int64
        For each row of the view, its spectrum in the data, numbered 2 * pair + half.

    Examples
    --------
    >>> sorted(shuffled_order(0, "train", n_spectra=4).tolist())
    [0, 1, 2, 3]
    """
    return permutation(f"starbench/order/{seed}/{split}", n_spectra)


def unshuffle(shuffled: np.ndarray, order: np.ndarray, each: int = 2) -> np.ndarray:
    """Reorder values of spectra [2n, ...] from a view's order into the data's pairs [n, 2, ...].

    With ``each=1`` they are those of stars of one spectrum each, [n, ...] and [n, 1, ...].

    Examples
    --------
    >>> unshuffle(np.array([10, 11, 12, 13]), order=np.array([3, 0, 2, 1])).tolist()
    [[11, 13], [12, 10]]
    """
    ordered = np.empty_like(shuffled)
    ordered[order] = shuffled
    return ordered.reshape(len(order) // each, each, *shuffled.shape[1:])


def view_split(task: Task, split: str, scale: str, label_access: str, seed: int) -> SplitView:
    """Read a split into the view of a method with some label access.

    Each piece of the split is written straight to its shuffled rows: at the full scale the spectra
    take 1.4 GB, and a second copy would double the memory of a run. Flux and errors of more than
    `LARGEST_IN_MEMORY` each are `numpy.memmap` arrays.

    Parameters
    ----------
    task : Task
    split : {"train", "validation", "test", "stars"}
    scale : str
    label_access : {"none", "nuisance", "pairs", "oracle"}
    seed : int
        The run's seed.
    """
    n_pairs, each = task.sizes(scale)[split], task.card.spectra_each(split)
    order = shuffled_order(seed, split, each * n_pairs)
    rows_of_pair = inverse(order).reshape(n_pairs, each)
    flux, error, known = _read(task, split, scale, rows_of_pair)
    labels = Labels(
        known["nuisance"],
        known.get("composition"),
        task.nuisance_names,
        task.elements,
        known.get("unseen"),
        known.get("group"),
    )
    if each == 2:
        known["twin"] = rows_of_pair[:, ::-1]
    seen = allowed(known, label_access)
    covariance = task.card.nuisance_covariance if "nuisance" in seen else None
    view = View(
        flux,
        **{name: _in_order(name, values, order, each) for name, values in seen.items()},
        error=error,
        noise=None if task.snr is None else 1 / task.snr,
        nuisance_covariance=None if covariance is None else np.array(covariance),
    )
    return SplitView(view, order, labels)


def allowed(known: Mapping[str, np.ndarray], label_access: str) -> dict[str, np.ndarray]:
    """Return those of the labels of a split that a method of some label access may see.

    Parameters
    ----------
    known : mapping of str to numpy.ndarray
        By the name of a field of `View`.
    label_access : {"none", "nuisance", "pairs", "oracle"}

    Examples
    --------
    >>> list(allowed({"nuisance": np.ones((3, 2, 1)), "composition": np.ones((3, 4))}, "pairs"))
    ['nuisance']
    """
    return {name: values for name, values in known.items() if name in _SEEN[label_access]}


def _in_order(name: str, values: np.ndarray, order: np.ndarray, each: int) -> np.ndarray:
    """Return labels of pairs [n_pairs, ...] or of spectra [n_pairs, each, ...] as a view's rows."""
    of_rows: np.ndarray
    if name in _OF_PAIRS:
        of_rows = values[order // each]
    else:
        of_rows = values.reshape(len(order), *values.shape[2:])[order]
    return of_rows


def _read(
    task: Task, split: str, scale: str, rows_of_pair: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None, dict[str, np.ndarray]]:
    """Read a split: its flux and errors to the rows of a view, its labels in the data's order."""
    n_pairs, each = rows_of_pair.shape
    shape = each * n_pairs, len(task.wavelength)
    flux, error = _empty(*shape, task.cache), None
    known = {"nuisance": np.empty((n_pairs, each, len(task.nuisance_names)), np.float32)}
    with stage(f"read {split}", total=n_pairs, unit="pair") as read:
        for pairs, piece in read_chunks(task, split, scale):
            _scatter(piece.flux, rows_of_pair[pairs], flux)
            if piece.error is not None:
                if error is None:
                    error = _empty(*shape, task.cache)
                _scatter(piece.error, rows_of_pair[pairs], error)
                release(error)
            release(flux)
            for name in _LABELS:
                values = getattr(piece, name)
                if values is not None:
                    if name not in known:
                        known[name] = np.empty((n_pairs, *values.shape[1:]), values.dtype)
                    known[name][pairs] = values
            read.update(len(piece))
    for array in (flux, error):
        expect_order(array, in_order=True)
    return flux, error, known


@dataclass
class Views:
    """The views of a method: with errors if it takes them, else with masked pixels filled.

    Masked pixels are filled by the mean of the training spectra in which the pixel is not masked.

    Attributes
    ----------
    task : Task
    scale : str
    method : type of Method
    seed : int
        The run's seed.
    filling : numpy.ndarray [n_pixels] or None
        That mean, once it has been needed.
    """

    task: Task
    scale: str
    method: type[Method]
    seed: int
    filling: np.ndarray | None = None

    def of(self, split: str) -> SplitView:
        """Read a split into the view of the method."""
        access = self.method.label_access
        split_view = view_split(self.task, split, self.scale, access, self.seed)
        view = split_view.view
        if view.error is None or self.method.takes_errors:
            return split_view
        if self.filling is None:
            training = self.task.training_split(access)
            if split != training:
                self.of(training)
            else:
                self.filling = unmasked_mean(view.flux, view.error)
        return split_view if self.filling is None else without_errors(split_view, self.filling)


def without_errors(split_view: SplitView, filling: np.ndarray) -> SplitView:
    """Return a view without errors, whose masked pixels hold a mean spectrum [n_pixels].

    The flux is changed in place, as a copy would double the memory.
    """
    view = split_view.view
    if view.error is None:
        return split_view
    for _, flux, error in walk(_ROWS, view.flux, view.error):
        np.copyto(flux, filling, where=~np.isfinite(error))
    return replace(split_view, view=replace(view, error=None))


def _empty(n_spectra: int, n_pixels: int, cache: Path | None) -> np.ndarray:
    """Return an array [n_spectra, n_pixels], float32: in memory, or in a file if it is large.

    The file lies in the cache folder without a name, so that it is gone when the process ends. Its
    rows are expected to be written in a random order.

    Raises
    ------
    DataError
        If the disk has no room for it.
    """
    shape, n_bytes = (n_spectra, n_pixels), 4 * n_spectra * n_pixels
    if n_bytes <= LARGEST_IN_MEMORY:
        return np.empty(shape, np.float32)
    folder = cache_folder(cache)
    try:
        array = rows_on_disk(shape, folder)
    except OSError as error:
        raise DataError(
            f"{folder} has no room for {n_bytes / 1e9:,.1f} GB of spectra in the order of this "
            "run; free some space, or name another folder with --cache or STARBENCH_CACHE."
        ) from error
    expect_order(array, in_order=False)
    return array


def _scatter(flux: np.ndarray, rows: np.ndarray, target: np.ndarray) -> None:
    """Write flux [n, k, n_pixels] to the rows [n, k] of `target`."""

    def copy(pairs: range) -> None:
        part = slice(pairs.start, pairs.stop)
        for half in range(rows.shape[1]):
            target[rows[part, half]] = flux[part, half]

    in_parts(copy, len(flux), _PART)
