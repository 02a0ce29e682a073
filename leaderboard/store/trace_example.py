"""One star's spectra beside a row: read from an untrusted file, written as figures show them."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from starbench.common.files import write_hdf5
from starbench.common.hdf5_guards import local_object
from starbench.results.ranks import refuse_wide_chunks
from starbench.results.text import RowError, printable
from starbench.runs.plots import densest_window, segments

MAX_BYTES = 8_000_000
_MAX_PIXELS = 100_000
_MAX_NUISANCE = 8
_SPECTRA = ("wavelength", "flux", "reconstruction", "swapped_reconstruction")


@dataclass(frozen=True)
class Example:
    """A test star: true, reconstructed, and reconstructed from its twin's latent.

    Attributes
    ----------
    pair, half : int
        Place of the star in the test split.
    nuisance, twin_nuisance : tuple of float
        Of the star and of its twin.
    wavelength, flux, reconstruction, swapped_reconstruction : numpy.ndarray [n_pixels], float32
    """

    pair: int
    half: int
    nuisance: tuple[float, ...]
    twin_nuisance: tuple[float, ...]
    wavelength: npt.NDArray[np.float32]
    flux: npt.NDArray[np.float32]
    reconstruction: npt.NDArray[np.float32]
    swapped_reconstruction: npt.NDArray[np.float32]


def read_example(path: Path) -> Example:
    """Read and check the spectra of a star.

    Raises
    ------
    RowError
    """
    name = printable(path)
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise RowError(f"{name}: not a file of at most {MAX_BYTES:,} bytes; remove it")
    try:
        with h5py.File(path, "r") as file:
            spectra = {field: _spectrum(file, field, name) for field in _SPECTRA}
            pair, half = (_integer(file, field, name) for field in ("pair", "half"))
            nuisance, twin_nuisance = (
                _numbers(file, field, name) for field in ("nuisance", "twin_nuisance")
            )
    except (OSError, RuntimeError, KeyError, TypeError):  # where HDF5 notices damage varies
        raise RowError(f"{name}: not a complete HDF5 file; restore or remove it") from None
    if len({len(values) for values in spectra.values()}) > 1 or len(nuisance) != len(twin_nuisance):
        raise RowError(f"{name}: spectra, and nuisances, should be of one length; remove it")
    if not (np.diff(spectra["wavelength"]) > 0).all():
        raise RowError(f"{name}: `wavelength` should rise; remove it")
    if pair < 0 or half not in (0, 1):
        raise RowError(f"{name}: `pair` should be 0 or more, and `half` 0 or 1; remove it")
    return Example(pair, half, nuisance, twin_nuisance, **spectra)


def write_example(path: Path, example: Example) -> None:
    """Write the window of the spectra that a figure shows, some 8 KB."""
    # Within one detector chip, as a window across two would show the gap between them.
    windows = [densest_window(example.flux, part) for part in segments(example.wavelength)]
    window = max(windows, key=lambda part: float(np.var(example.flux[part])))
    write_hdf5(
        path,
        {field: getattr(example, field)[window] for field in _SPECTRA},
        {
            "pair": example.pair,
            "half": example.half,
            "nuisance": np.array(example.nuisance),
            "twin_nuisance": np.array(example.twin_nuisance),
        },
    )


def _spectrum(file: h5py.File, field: str, name: str) -> npt.NDArray[np.float32]:
    """Read a dataset after checking its type and shape."""
    dataset = local_object(file, field)
    if not isinstance(dataset, h5py.Dataset):
        raise RowError(f"{name}: `{field}` should be a plain dataset")
    if dataset.dtype.kind != "f" or dataset.ndim != 1 or not 2 <= len(dataset) <= _MAX_PIXELS:
        raise RowError(f"{name}: `{field}` should be 2 to {_MAX_PIXELS:,} floating-point numbers")
    refuse_wide_chunks(dataset, name)
    return _finite(dataset[()], field, name)


def _integer(file: h5py.File, field: str, name: str) -> int:
    _check_attribute(file, field, "iu", 0, name)
    return int(file.attrs[field])


def _numbers(file: h5py.File, field: str, name: str) -> tuple[float, ...]:
    _check_attribute(file, field, "f", 1, name)
    return tuple(float(value) for value in _finite(np.asarray(file.attrs[field]), field, name))


def _check_attribute(file: h5py.File, field: str, kind: str, ndim: int, name: str) -> None:
    declared = file.attrs.get_id(field)
    if (
        declared.dtype.kind not in kind
        or len(declared.shape) != ndim
        or np.prod(declared.shape, dtype=int) > _MAX_NUISANCE
    ):
        raise RowError(f"{name}: attribute `{field}` is not of the type that a run writes")


def _finite(values: np.ndarray, field: str, name: str) -> npt.NDArray[np.float32]:
    if not (np.abs(values) < 1e30).all():
        raise RowError(f"{name}: `{field}` should be numbers below 1e30")
    return values.astype(np.float32)
