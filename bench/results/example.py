"""The example of a run: the spectra of one test star that its figures show.

The star is the one with the median swapped reconstruction error. A run's folder holds
its full spectra as ``example.h5``; the leaderboard keeps only the window that its figure shows.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from starbench.common.files import write_hdf5
from starbench.common.hdf5_guards import (
    UNREADABLE,
    ended_together,
    local_object,
    open_hdf5,
    read_numbers,
    require_end,
)
from starbench.results.ranks import refuse_wide_chunks
from starbench.results.text import RowError, printable

WINDOW_PIXELS = 300  # some 60 Angstrom of an APOGEE spectrum, enough to tell lines apart
GAP_FACTOR = 5.0  # a step in wavelength this many times the usual one separates two detector chips
MAX_EXAMPLE_BYTES = 40_000_000
_MAX_PIXELS = 1_000_000
_MAX_NUISANCE = 100
_MAX_NAME = 300
_LARGEST = 1e30  # larger numbers cannot be drawn
_SPECTRA = ("wavelength", "flux", "reconstruction", "swapped_reconstruction")
_TEXTS = ("nuisance_names", "nuisance_units")
_SINGLE_TEXTS = ("wavelength_unit", "wavelength_medium")

Spectrum = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Example:
    """One test star: its noiseless, reconstructed and swapped spectrum.

    Attributes
    ----------
    pair, half : int
        Which star of the test split it is.
    nuisance, twin_nuisance : tuple of float
        Of the star and of its twin, in the task's units.
    wavelength : numpy.ndarray [n_pixels], floating
    flux, reconstruction, swapped_reconstruction : numpy.ndarray [n_pixels], floating
        Noiseless, decoded from the star's own latent, and decoded from its twin's. The first is NaN
        in masked pixels.
    nuisance_names, nuisance_units : tuple of str
        Empty if the file does not say.
    wavelength_unit, wavelength_medium : str
        Empty if the file does not say.
    """

    pair: int
    half: int
    nuisance: tuple[float, ...]
    twin_nuisance: tuple[float, ...]
    wavelength: Spectrum
    flux: Spectrum
    reconstruction: Spectrum
    swapped_reconstruction: Spectrum
    nuisance_names: tuple[str, ...] = ()
    nuisance_units: tuple[str, ...] = ()
    wavelength_unit: str = ""
    wavelength_medium: str = ""

    def stretch(self) -> "Example":
        """Return the `WINDOW_PIXELS` pixels that vary most as float32, without names and units."""
        # A window across the gap between two detector chips would show the gap.
        windows = [densest_window(self.flux, part) for part in segments(self.wavelength)]
        window = max(windows, key=lambda part: _variance(self.flux[part]))
        spectra = {name: getattr(self, name)[window].astype(np.float32) for name in _SPECTRA}
        return replace(
            self,
            **spectra,
            nuisance_names=(),
            nuisance_units=(),
            wavelength_unit="",
            wavelength_medium="",
        )


def segments(wavelength: Spectrum) -> list[slice]:
    """Cut a wavelength grid [n_pixels] at its gaps, as between the chips of a detector."""
    step = np.diff(wavelength)
    cuts = (np.flatnonzero(step > GAP_FACTOR * np.median(step)) + 1).tolist() if len(step) else []
    return [slice(low, high) for low, high in pairwise([0, *cuts, len(wavelength)])]


def densest_window(flux: Spectrum, part: slice) -> slice:
    """Return the `WINDOW_PIXELS` pixels of a segment in which the flux varies most."""
    if part.stop - part.start <= WINDOW_PIXELS:
        return part
    sums = np.convolve(_deviation(flux[part]), np.ones(WINDOW_PIXELS), mode="valid")
    start = part.start + int(np.argmax(sums))
    return slice(start, start + WINDOW_PIXELS)


def _variance(flux: Spectrum) -> float:
    measured = flux[np.isfinite(flux)]
    return float(np.var(measured)) if len(measured) else 0.0


def _deviation(flux: Spectrum) -> Spectrum:
    """Return the squared deviation of each pixel from the median, 0 in masked pixels."""
    measured = np.isfinite(flux)
    middle = np.median(flux[measured]) if measured.any() else 0.0
    return np.where(measured, (flux - middle) ** 2, 0.0)


def write_example(path: Path, example: Example) -> None:
    """Write an example as HDF5, atomically."""
    attributes: dict[str, Any] = {
        "pair": example.pair,
        "half": example.half,
        "nuisance": np.array(example.nuisance),
        "twin_nuisance": np.array(example.twin_nuisance),
    }
    texts = {name: getattr(example, name) for name in (*_TEXTS, *_SINGLE_TEXTS)}
    attributes |= {
        name: value if isinstance(value, str) else list(value)
        for name, value in texts.items()
        if value
    }
    write_hdf5(path, {name: getattr(example, name) for name in _SPECTRA}, attributes)


def read_example(path: Path) -> Example:
    """Read and check an example.

    Raises
    ------
    RowError
        With one sentence that names the file and what is wrong.
    """
    name = printable(path)
    if not _is_small_file(path):
        raise RowError(f"{name}: not a file of at most {MAX_EXAMPLE_BYTES:,} bytes; remove it")
    try:
        require_end(lambda: _stored(path, name), path)
        example = _stored(path, name)
    except RowError:
        raise
    except UNREADABLE:
        raise RowError(f"{name}: a damaged HDF5 file; remove it to go without the figure") from None
    spectra = [getattr(example, field) for field in _SPECTRA]
    if len({len(values) for values in spectra}) > 1:
        raise RowError(f"{name}: {', '.join(_SPECTRA)} should have the same length")
    n_nuisances = len(example.nuisance)
    if n_nuisances != len(example.twin_nuisance):
        raise RowError(f"{name}: `nuisance` and `twin_nuisance` should have the same length")
    if not (np.diff(example.wavelength) > 0).all():
        raise RowError(f"{name}: `wavelength` should increase")
    named = (example.nuisance_names, example.nuisance_units)
    if any(texts and len(texts) != n_nuisances for texts in named):
        raise RowError(f"{name}: `nuisance`, its names and its units should have the same length")
    if example.pair < 0 or example.half not in (0, 1):
        raise RowError(f"{name}: `pair` should be 0 or more, and `half` 0 or 1")
    return example


def examples_end(paths: Iterable[Path]) -> AbstractContextManager[None]:
    """Return a context within which `read_example` reads these files without a child for each."""
    found = filter(_is_small_file, paths)
    return ended_together({path: partial(_stored, path, printable(path)) for path in found})


def _is_small_file(path: Path) -> bool:
    return path.is_file() and path.stat().st_size <= MAX_EXAMPLE_BYTES


def _stored(path: Path, name: str) -> Example:
    """Read an example, after a check of the type and shape of each part."""
    with open_hdf5(path) as file:
        spectra = {field: _spectrum(file, field, name) for field in _SPECTRA}
        pair, half = (int(_attribute(file, field, "iu", 0, name)) for field in ("pair", "half"))
        nuisance, twin = (
            tuple(float(value) for value in _attribute(file, field, "f", 1, name))
            for field in ("nuisance", "twin_nuisance")
        )
        names, units = (_texts(file, field, name) for field in _TEXTS)
        unit, medium = ("".join(_texts(file, field, name)) for field in _SINGLE_TEXTS)
    return Example(
        pair,
        half,
        nuisance,
        twin,
        **spectra,
        nuisance_names=names,
        nuisance_units=units,
        wavelength_unit=unit,
        wavelength_medium=medium,
    )


def _spectrum(file: h5py.File, field: str, name: str) -> Spectrum:
    """Read one dataset, after a check of its type and shape."""
    dataset = local_object(file, field)
    if not isinstance(dataset, h5py.Dataset):
        raise RowError(f"{name}: `{field}` should be a dataset stored in this file")
    if dataset.dtype.kind != "f" or dataset.ndim != 1 or not 1 <= len(dataset) <= _MAX_PIXELS:
        raise RowError(f"{name}: `{field}` should be 1 to {_MAX_PIXELS:,} floating-point numbers")
    refuse_wide_chunks(dataset, name)
    return _drawable(read_numbers(dataset), field, name)


def _attribute(file: h5py.File, field: str, kind: str, ndim: int, name: str) -> Any:
    described = file.attrs.get_id(field)
    if (
        described.dtype.kind not in kind
        or len(described.shape) != ndim
        or np.prod(described.shape, dtype=int) > _MAX_NUISANCE
    ):
        raise RowError(f"{name}: attribute `{field}` is not of the type that a run writes")
    value = file.attrs[field]
    return _drawable(np.asarray(value), field, name) if kind == "f" else value


def _texts(file: h5py.File, field: str, name: str) -> tuple[str, ...]:
    """Read an attribute of one or more short strings; empty if it is missing."""
    if field not in file.attrs:
        return ()
    ndim = 0 if field in _SINGLE_TEXTS else 1
    texts = tuple(np.atleast_1d(_attribute(file, field, "OS", ndim, name)).tolist())
    if not all(isinstance(text, str) and text.isprintable() and len(text) <= _MAX_NAME
               for text in texts):  # fmt: skip
        raise RowError(f"{name}: attribute `{field}` should hold short, printable strings")
    return texts


def _drawable(values: Spectrum, field: str, name: str) -> Spectrum:
    masked = np.isnan(values) & (field == "flux")
    if not (masked | (np.abs(values) < _LARGEST)).all():
        raise RowError(f"{name}: `{field}` should hold numbers between -1e30 and 1e30")
    return values
