"""What figures need of a run beyond its row and ranks: the history of the fit, one star's spectra.

A run's folder holds both whole; beside a row of the leaderboard lies what a figure shows of them:
``<row>.history.csv``, a line an epoch, and ``<row>.example.h5``, the 300 pixels of one test star in
which its spectrum varies most. Either may be missing. These files come from strangers as rows do:
only numbers are taken from them, each checked, and column names of plain characters.
"""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from starbench.common.files import replacing, write_hdf5
from starbench.common.hdf5_guards import local_object
from starbench.results.ranks import refuse_wide_chunks
from starbench.results.text import RowError, printable
from starbench.runs.plots import densest_window, segments

MAX_HISTORY_BYTES = 2_000_000  # of a file that is read
MAX_EXAMPLE_BYTES = 8_000_000
MAX_EPOCHS = 300  # of a history that is kept: more than the width of a figure shows
_MAX_LINES = 100_000
_MAX_COLUMNS = 24
_MAX_PIXELS = 100_000
_MAX_NUISANCE = 8
_COLUMN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_SPECTRA = ("wavelength", "flux", "reconstruction", "swapped_reconstruction")


@dataclass(frozen=True)
class Example:
    """One test star: true, reconstructed and from its twin's latent.

    Attributes
    ----------
    pair, half : int
        Which star of the test split it is.
    nuisance, twin_nuisance : tuple of float
        Its nuisance and its twin's.
    wavelength, flux, reconstruction, swapped_reconstruction : numpy.ndarray [n_pixels], float32
    """

    pair: int
    half: int
    nuisance: tuple[float, ...]
    twin_nuisance: tuple[float, ...]
    wavelength: np.ndarray
    flux: np.ndarray
    reconstruction: np.ndarray
    swapped_reconstruction: np.ndarray


@dataclass(frozen=True)
class Trace:
    """What is known of a run beside its row.

    Attributes
    ----------
    history : tuple of dict of str to float
        What each epoch reported, its number as ``epoch``; empty if nothing is known.
    example : Example or None
    """

    history: tuple[dict[str, float], ...] = ()
    example: Example | None = None


def trace_files(row: Path) -> tuple[Path, Path]:
    """Return where history and example of a row lie: in the folder of a run, or beside the row."""
    if row.name == "row.json":
        return row.with_name("history.csv"), row.with_name("example.h5")
    stem = row.name.removesuffix(".json")
    return row.with_name(f"{stem}.history.csv"), row.with_name(f"{stem}.example.h5")


def read_trace(row: Path) -> Trace:
    """Read and check what lies beside a row.

    Raises
    ------
    RowError
        With one sentence that names the file and what is wrong.
    """
    history, example = trace_files(Path(row))
    return Trace(
        read_history(history) if history.exists() else (),
        read_example(example) if example.exists() else None,
    )


def write_trace(row: Path, trace: Trace) -> None:
    """Keep beside a row what a figure shows of a trace, and nothing where there is nothing."""
    history, example = trace_files(Path(row))
    if trace.history:
        with replacing(history) as temporary:
            temporary.write_bytes(_history_text(trace.history).encode())
    else:
        history.unlink(missing_ok=True)
    if trace.example is not None:
        _write_example(example, trace.example)
    else:
        example.unlink(missing_ok=True)


# ------------------------------------------------------------------------------------------ history


def read_history(path: Path) -> tuple[dict[str, float], ...]:
    """Read and check a history: a header of plain names, ``epoch`` first, and finite numbers.

    Raises
    ------
    RowError
    """
    name = printable(path)
    _check_size(path, MAX_HISTORY_BYTES)
    try:
        lines = list(csv.reader(io.StringIO(path.read_bytes().decode("ascii")), strict=True))
    except (UnicodeDecodeError, csv.Error):
        raise RowError(f"{name}: not a history in CSV; remove it to do without") from None
    if not lines:
        return ()
    header, *body = lines
    if not body:
        return ()
    if header[0] != "epoch" or len(set(header)) < len(header) or len(header) > _MAX_COLUMNS:
        raise RowError(
            f"{name}: a history has the column `epoch` first, each name once, and at most "
            f"{_MAX_COLUMNS} of them; restore it as the run wrote it"
        )
    if not all(_COLUMN.fullmatch(column) for column in header) or len(body) > _MAX_LINES:
        raise RowError(
            f"{name}: a history has columns named by letters, digits and `_.-`, and at most "
            f"{_MAX_LINES:,} lines; restore it as the run wrote it"
        )
    rows = []
    for number, line in enumerate(body, start=2):
        if len(line) != len(header):
            raise RowError(f"{name}: line {number} has another number of fields than the header")
        rows.append(
            {
                column: _number(text, f"{name}: line {number}, `{column}`")
                for column, text in zip(header, line, strict=True)
                if text
            }
        )
    epochs = [row.get("epoch", -1.0) for row in rows]
    if any(b <= a for a, b in zip([-1.0, *epochs], epochs, strict=False)):
        raise RowError(f"{name}: `epoch` should rise from line to line")
    return tuple(rows)


def _number(text: str, place: str) -> float:
    """Read a number no larger than figures can draw."""
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not abs(value) < 1e30:  # and so neither NaN nor infinite
        raise RowError(f"{place} should be a number below 1e30; restore it as the run wrote it")
    return value


def _history_text(history: tuple[dict[str, float], ...]) -> str:
    columns = list(dict.fromkeys(column for row in history for column in row))
    step = -(-len(history) // MAX_EPOCHS)
    # The last epochs are what was chosen from, so the thinning counts from the end.
    kept = history[::-1][::step][::-1]
    lines = [",".join(columns)]
    lines += [
        ",".join(f"{row[name]:.6g}" if name in row else "" for name in columns) for row in kept
    ]
    return "\n".join(lines) + "\n"


# ------------------------------------------------------------------------------------------ example


def read_example(path: Path) -> Example:
    """Read and check the spectra of a star.

    Raises
    ------
    RowError
    """
    name = printable(path)
    _check_size(path, MAX_EXAMPLE_BYTES)
    try:
        with h5py.File(path, "r") as file:
            spectra = {field: _spectrum(file, field, name) for field in _SPECTRA}
            pair, half = (int(_attribute(file, field, "iu", 0, name)) for field in ("pair", "half"))
            nuisance, twin = (
                tuple(float(value) for value in _attribute(file, field, "f", 1, name))
                for field in ("nuisance", "twin_nuisance")
            )
    except (OSError, RuntimeError, KeyError, TypeError):  # where HDF5 notices damage varies
        raise RowError(f"{name}: not a whole HDF5 file; remove it to do without") from None
    if len({len(values) for values in spectra.values()}) > 1 or len(nuisance) != len(twin):
        raise RowError(f"{name}: spectra, and nuisances, should be of one length")
    if not (np.diff(spectra["wavelength"]) > 0).all():
        raise RowError(f"{name}: `wavelength` should rise")
    if pair < 0 or half not in (0, 1):
        raise RowError(f"{name}: `pair` should be 0 or more, and `half` 0 or 1")
    return Example(pair, half, nuisance, twin, **spectra)


def _spectrum(file: h5py.File, field: str, name: str) -> np.ndarray:
    """Read one dataset, once its type and shape are known to be plain."""
    dataset = local_object(file, field)
    if not isinstance(dataset, h5py.Dataset):
        raise RowError(f"{name}: `{field}` should be a plain dataset")
    if dataset.dtype.kind != "f" or dataset.ndim != 1 or not 2 <= len(dataset) <= _MAX_PIXELS:
        raise RowError(f"{name}: `{field}` should be 2 to {_MAX_PIXELS:,} floating-point numbers")
    refuse_wide_chunks(dataset, name)
    return _finite(dataset[()], field, name)


def _attribute(file: h5py.File, field: str, kind: str, ndim: int, name: str) -> Any:
    described = file.attrs.get_id(field)
    if (
        described.dtype.kind not in kind
        or len(described.shape) != ndim
        or np.prod(described.shape, dtype=int) > _MAX_NUISANCE
    ):
        raise RowError(f"{name}: attribute `{field}` is not of the type that a run writes")
    return _finite(np.asarray(file.attrs[field]), field, name) if kind == "f" else file.attrs[field]


def _finite(values: np.ndarray, field: str, name: str) -> np.ndarray:
    if not (np.abs(values) < 1e30).all():
        raise RowError(f"{name}: `{field}` should be numbers below 1e30")
    return values.astype(np.float32)


def _write_example(path: Path, example: Example) -> None:
    """Write the stretch of the spectra that a figure shows: some 8 KB."""
    # Of several detector chips the one where most happens; a window across a gap shows the gap.
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


def _check_size(path: Path, most: int) -> None:
    if not path.is_file() or path.stat().st_size > most:
        raise RowError(f"{printable(path)}: not a file of at most {most:,} bytes; remove it")
