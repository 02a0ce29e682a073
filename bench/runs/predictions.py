"""Files of predictions: their layout, and reading them.

A file of predictions is HDF5:

==========================  ======================  =====================================
dataset                     shape
==========================  ======================  =====================================
``latent``                  [n_pairs, 2, d]         of the test split, in its order
``reconstruction``          [n_pairs, 2, n_pixels]  from a star's own latent; optional
``swapped_reconstruction``  [n_pairs, 2, n_pixels]  from its twin's; with the other
``train/latent``            [n_train, 2, d]         for the probes; optional
``validation/...``          as for test             optional
==========================  ======================  =====================================

In a survey ``latent`` is [n_stars, d], without the axis of the pairs, and reconstructions are not
scored. Of an export with shuffled test spectra, the root attribute ``test_order`` is copied, and
``latent`` is in the order of the file; without it, in that of the task.

`starbench.runs.predictions_scoring` scores such a file, and `starbench.runs.predictions_writing`
writes one from a run.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np

from starbench.common.hdf5_guards import (
    UNREADABLE,
    local_object,
    open_hdf5,
    read_attribute,
    read_numbers,
    require_end,
)
from starbench.common.text import one_line
from starbench.evaluation.latents import MAX_LATENT, as_float32, offset_of, storage_fault
from starbench.evaluation.views import unshuffle
from starbench.results.text import shorten
from starbench.tasks.base import Task
from starbench.tasks.errors import DataError
from starbench.tasks.storage.files import text_list
from starbench.tasks.storage.shuffled import ATTRIBUTE, order_name, order_of

_MUCH_NEARER = 0.5  # ratio of the distances of twins in two orders, which is not by chance
_FEWEST = 50  # pairs below which it may be
RECONSTRUCTIONS = ("reconstruction", "swapped_reconstruction")


class PredictionsError(DataError):
    """A file of predictions that cannot be scored: one sentence that names what to change."""


class Predictions:
    """An open file of predictions, checked against a task.

    Parameters
    ----------
    path : pathlib.Path
    task : Task
    scale : str

    Raises
    ------
    PredictionsError
        If it is not HDF5, or a dataset has another shape or type than the task asks for.
    """

    def __init__(self, path: Path, task: Task, scale: str) -> None:
        self.path, self._task, self._sizes = path, task, task.sizes(scale)
        self._scale = scale
        if not path.is_file():
            raise PredictionsError(f"{path} is not a file; give an HDF5 file of predictions.")
        if not h5py.is_hdf5(path):
            raise PredictionsError(
                f"{path} cannot be read as HDF5; write an HDF5 file with the dataset latent of "
                f"shape [{self._axes('test')}, d], in the order of the test split, such as "
                "with h5py.File('predictions.h5', 'w') as file: file['latent'] = latent."
            )
        with ExitStack() as undo:
            try:
                require_end(lambda: self._open(undo))
                self._open(undo)
                self._offset = self._latent_offset()
            except PredictionsError:
                raise
            except UNREADABLE as error:
                reason = shorten(one_line(error))
                raise PredictionsError(
                    f"{path} cannot be read as HDF5 ({reason}); write it again."
                ) from error
            undo.pop_all()

    def _axes(self, split: str) -> str:
        """Return the leading axes of a split's arrays, for messages."""
        return ", ".join(str(n) for n in self._leading(split))

    def _leading(self, split: str) -> tuple[int, ...]:
        """Return the length of the leading axes of a split's arrays."""
        n = self._sizes[split]
        return (n,) if self._task.card.survey else (n, 2)

    def _open(self, stack: ExitStack) -> None:
        """Open the file and check its structure."""
        self._file = stack.enter_context(open_hdf5(self.path))
        self._width: int | None = None
        self._check_order()
        self._check_names()
        self._check_latent("test", required=True)
        for split in ("train", "validation"):
            self._check_latent(split, required=False)
        for split in ("validation", "test"):
            self._check_reconstructions(split)

    def __enter__(self) -> "Predictions":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def has(self, split: str, name: str = "latent") -> bool:
        """Return whether the file holds a dataset of a split."""
        group = self._file if split == "test" else local_object(self._file, split)
        return isinstance(group, h5py.Group) and isinstance(local_object(group, name), h5py.Dataset)

    def latent(self, split: str) -> np.ndarray:
        """Return the latents [n_pairs, 2, d] or [n_stars, 1, d], float32, of a split."""
        place = place_of(split, "latent")
        if self._file[place].dtype.itemsize <= 4:
            latent = self._read(place, slice(None))
        else:
            latent = as_float32(self._read_stored(place, slice(None)) - self._offset)
        if self._task.card.survey:
            return latent[:, None]
        if split != "test":
            return latent
        n, shuffled = len(latent), order_of(order_name(self._task, self._scale), 2 * len(latent))
        as_exported = unshuffle(latent.reshape(2 * n, -1), shuffled)
        if self._is_shuffled:
            return as_exported
        if n >= _FEWEST and _apart(as_exported) < _MUCH_NEARER * _apart(latent):
            raise PredictionsError(
                f"{self.path}: latent is in the order of an export with shuffled test spectra; "
                f"copy the attribute {ATTRIBUTE} from the export, so that twins are found."
            )
        return latent

    def _latent_offset(self) -> np.ndarray:
        """Return what is subtracted from latents [d] of float64: of test, for all splits."""
        if self._file["latent"].dtype.itemsize <= 4:  # need not be read
            return np.zeros(self._width or 1)
        return offset_of(self._read_stored("latent", slice(None)))

    def reconstruct(self, split: str) -> Callable[[slice], tuple[np.ndarray, np.ndarray]]:
        """Return a function that reads the two reconstructions of a range of pairs."""

        def read(pairs: slice) -> tuple[np.ndarray, np.ndarray]:
            plain, swapped = (self._read(place_of(split, name), pairs) for name in RECONSTRUCTIONS)
            return plain, swapped

        return read

    def _read(self, place: str, rows: slice) -> np.ndarray:
        return as_float32(self._read_stored(place, rows))

    def _read_stored(self, place: str, rows: slice) -> np.ndarray:
        try:
            values: np.ndarray = read_numbers(self._file[place], rows)
        except UNREADABLE as error:
            raise PredictionsError(
                f"{self.path}: {place} cannot be read; write it again."
            ) from error
        return values

    def _check_order(self) -> None:
        """Read in which order the test spectra are; refuse that of another export."""
        self._is_shuffled = ATTRIBUTE in self._file.attrs
        if not self._is_shuffled:
            return
        expected = order_name(self._task, self._scale)
        found = text_list(read_attribute(self._file, ATTRIBUTE))
        if found != (expected,):
            scales = [s for s in self._task.card.sizes if found == (order_name(self._task, s),)]
            advice = f"give --scale {scales[0]}" if scales else "export that task, and encode it"
            raise PredictionsError(
                f"{self.path}: {ATTRIBUTE} is not that of {self._task.name} at scale "
                f"{self._scale}; {advice}."
            )
        if any(self.has("test", name) for name in RECONSTRUCTIONS):
            raise PredictionsError(
                f"{self.path}: reconstructions need to know the twins; encode an export made with "
                f"--twins, and leave the attribute {ATTRIBUTE} out."
            )

    def _check_names(self) -> None:
        """Refuse unknown names: a misspelt one would leave its metrics out."""
        allowed = {place_of(split, "latent") for split in ("train", "validation", "test")}
        allowed |= {
            place_of(split, name) for split in ("validation", "test") for name in RECONSTRUCTIONS
        }
        names = set(self._file) - {"train", "validation"}
        for split in {"train", "validation"} & set(self._file):
            group = local_object(self._file, split)
            if isinstance(group, h5py.Group):
                names |= {f"{split}/{name}" for name in group}
            else:
                names.add(split)
        for place in sorted(names & allowed):
            split, _, name = place.rpartition("/")
            if not self.has(split or "test", name):
                raise PredictionsError(
                    f"{self.path}: {place} is not a dataset of this file; write its numbers "
                    "there (links are refused)."
                )
        if other := sorted(names - allowed):
            raise PredictionsError(
                f"{self.path} holds the unknown dataset {shorten(other[0])}; remove it, or rename "
                f"it to one of {', '.join(sorted(allowed))}."
            )

    def _check_latent(self, split: str, *, required: bool) -> None:
        place = place_of(split, "latent")
        if not self.has(split):
            if required:
                raise PredictionsError(f"{self.path} has no dataset {place}; add it.")
            return
        shape = self._file[place].shape
        if shape[:-1] != self._leading(split) or not shape[-1]:
            raise PredictionsError(
                f"{self.path}: {place} has shape {list(shape)}; this task needs "
                f"[{self._axes(split)}, d] at scale {self._scale}{self._other_scale(shape)}."
            )
        width = shape[-1]
        if width > MAX_LATENT:
            raise PredictionsError(
                f"{self.path}: {place} has {width} dimensions; give at most {MAX_LATENT}."
            )
        self._check_type(place)
        if self._width not in (None, width):
            raise PredictionsError(
                f"{self.path}: {place} has {width} dimensions, but latent has {self._width}; "
                "give the latents of one encoder for all splits."
            )
        self._width = width

    def _other_scale(self, shape: tuple[int, ...]) -> str:
        """Return what to give if test latents of this shape are those of another scale."""
        for scale, sizes in self._task.card.sizes.items():
            if scale != self._scale and shape[:-1] == (sizes["test"], *self._leading("test")[1:]):
                return f"; give --scale {scale}"
        return ""

    def _check_reconstructions(self, split: str) -> None:
        present = [name for name in RECONSTRUCTIONS if self.has(split, name)]
        if present and self._task.card.survey:
            raise PredictionsError(
                f"{self.path} has {place_of(split, present[0])}, but reconstructions of a survey "
                "are not scored; remove it."
            )
        if len(present) == 1:
            raise PredictionsError(
                f"{self.path} has only {place_of(split, present[0])}; give both "
                f"{' and '.join(RECONSTRUCTIONS)}, or neither."
            )
        expected = (self._sizes[split], 2, len(self._task.wavelength))
        for place in (place_of(split, name) for name in present):
            if self._file[place].shape != expected:
                raise PredictionsError(
                    f"{self.path}: {place} has shape {list(self._file[place].shape)}; this task "
                    f"and scale need {list(expected)}."
                )
            self._check_type(place)

    def _check_type(self, place: str) -> None:
        if fault := storage_fault(self._file[place]):
            raise PredictionsError(f"{self.path}: {place} {fault}")


def _apart(latent: np.ndarray) -> float:
    """Return the median L1 distance of what stands as twins [n, 2, d]."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.median(np.abs(latent[:, 0] - latent[:, 1]).sum(axis=1)))


def place_of(split: str, name: str) -> str:
    """Return where a file of predictions has an array of a split."""
    return name if split == "test" else f"{split}/{name}"
