"""What a set of pairs says of itself, and the writing of one as HDF5.

The layout of the file is that of `starbench.tasks.own.hdf5`; where pairs are rows of a table, the
same facts lie in one text of JSON.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from tqdm import tqdm

from starbench.tasks.base import SPLITS, Split, Task
from starbench.tasks.errors import DataError

# Of a table: the column whose first row holds the JSON; of a Parquet file: the metadata's key too.
ABOUT = "starbench"
FORMATS = ("hdf5", "parquet", "datasets")
_TEXTS = ("nuisance_names", "nuisance_units", "elements")

Chunks = Callable[[str], Iterable[tuple[slice, Split]]]


@dataclass(frozen=True)
class About:
    """What a set of pairs says of itself.

    Attributes
    ----------
    wavelength : numpy.ndarray [n_pixels], float64
    wavelength_unit : str
    nuisance_names, nuisance_units, elements : tuple of str
    facts : dict
        What the set was made from: task, version, scale, fingerprint.
    """

    wavelength: np.ndarray
    wavelength_unit: str
    nuisance_names: tuple[str, ...]
    nuisance_units: tuple[str, ...]
    elements: tuple[str, ...]
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of_task(cls, task: Task, scale: str) -> "About":
        """Gather what a task says of itself; its data have to be there."""
        facts = {
            "task": task.name,
            "version": task.version,
            "scale": scale,
            "fingerprint": task.fingerprint(scale),
        }
        if task.snr is not None:
            facts["snr"] = task.snr
        return cls(
            np.asarray(task.wavelength, np.float64),
            getattr(task, "wavelength_unit", "Angstrom"),
            tuple(task.nuisance_names),
            tuple(task.nuisance_units),
            tuple(task.elements),
            facts,
        )

    def to_json(self) -> str:
        """Return all of it as JSON."""
        texts = {name: list(getattr(self, name)) for name in _TEXTS}
        return json.dumps(
            {
                **self.facts,
                **texts,
                "wavelength_unit": self.wavelength_unit,
                "wavelength": self.wavelength.tolist(),
            }
        )

    @classmethod
    def from_json(cls, text: str, source: str) -> "About":
        """Read what a table says of itself.

        Parameters
        ----------
        text : str
        source : str
            What the message calls the table.

        Raises
        ------
        DataError
            If something is missing or of the wrong kind.
        """
        try:
            found = json.loads(text)
        except ValueError as error:
            raise DataError(
                f"{source}: its metadata `{ABOUT}` is not JSON ({error}); write it again."
            ) from error
        if not isinstance(found, dict):
            raise DataError(f"{source}: its metadata `{ABOUT}` is no JSON object; write it again.")
        found.setdefault("elements", [])
        for name in ("wavelength", *_TEXTS):
            kind = (int, float) if name == "wavelength" else str
            values = found.get(name)
            if not isinstance(values, list) or not all(isinstance(x, kind) for x in values):
                what = "numbers" if name == "wavelength" else "texts"
                raise DataError(
                    f"{source}: its metadata `{ABOUT}` needs {name}, a list of {what}; add it."
                )
        return cls(
            np.array(found["wavelength"], np.float64),
            str(found.get("wavelength_unit", "Angstrom")),
            *(tuple(found[name]) for name in _TEXTS),
        )

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of flux, nuisance or composition of one pair."""
        return {
            "flux": (2, len(self.wavelength)),
            "nuisance": (2, len(self.nuisance_names)),
            "composition": (len(self.elements),),
        }[name]

    def n_bytes(self, sizes: dict[str, int]) -> int:
        """Return the size of the numbers of a set [bytes]."""
        numbers = sum(int(np.prod(self.shape(n))) for n in ("flux", "nuisance", "composition"))
        return 4 * numbers * sum(sizes.values()) + self.wavelength.nbytes


def write_hdf5(
    path: Path, about: About, sizes: dict[str, int], composed: tuple[str, ...], chunks: Chunks
) -> None:
    """Write a set of pairs as HDF5, one piece at a time.

    Parameters
    ----------
    path : pathlib.Path
        Written in place: the caller moves it once it is whole.
    about : About
    sizes : dict of str to int
        Number of pairs of each split.
    composed : tuple of str
        Splits whose composition is written.
    chunks : callable
        Takes a split and yields its pieces in order, each with the range of pairs it covers.
    """
    with h5py.File(path, "w") as file:
        file["wavelength"] = about.wavelength
        file["wavelength"].attrs["unit"] = about.wavelength_unit
        for name in _TEXTS if about.elements else _TEXTS[:-1]:
            file.attrs[name] = list(getattr(about, name))
        file.attrs.update(about.facts)
        for split in SPLITS:
            fields = ["flux", "nuisance", *(["composition"] if split in composed else [])]
            places = {
                name: file.create_dataset(
                    f"{split}/{name}", (sizes[split], *about.shape(name)), "<f4", track_times=False
                )
                for name in fields
            }
            for rows, piece in chunks(split):
                for name, place in places.items():
                    place[rows] = getattr(piece, name)


def counted(chunks: Chunks, bar: tqdm) -> Chunks:
    """Return `chunks`, advancing a progress bar by the pairs of each piece once it is used."""

    def count(split: str) -> Iterator[tuple[slice, Split]]:
        for rows, piece in chunks(split):
            yield rows, piece
            bar.update(len(piece))

    return count
