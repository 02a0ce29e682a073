"""Writing sets of pairs in the layout of `starbench.tasks.storage.layout`, piece by piece."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import h5py
from tqdm import tqdm

from starbench.common.files import NewHdf5, new_hdf5
from starbench.tasks.base import Split
from starbench.tasks.storage.about import NAMES, About
from starbench.tasks.storage.layout import ERRORS

Chunks = Callable[[str], Iterable[tuple[slice, Split]]]


def write_pairs(
    path: Path,
    about: About,
    sizes: dict[str, int],
    with_composition: tuple[str, ...],
    chunks: Chunks,
) -> None:
    """Write a set of pairs as HDF5, one piece at a time.

    Parameters
    ----------
    path : pathlib.Path
        Written in place: the caller moves it once it is complete.
    about : About
    sizes : dict of str to int
        Number of pairs of each split.
    with_composition : tuple of str
        Splits whose composition is written.
    chunks : callable
        Takes a split and yields its pieces in order, each with the range of pairs it covers.
    """
    with new_hdf5(path) as file:
        file["wavelength"] = about.wavelength
        file["wavelength"].attrs["unit"] = about.wavelength_unit
        file["wavelength"].attrs["medium"] = about.wavelength_medium
        for name in NAMES if about.elements else NAMES[:-1]:
            file.attrs[name] = list(getattr(about, name))
        file.attrs.update(about.facts)
        if about.snr is not None:
            file.attrs["snr"] = about.snr
        for split, n in sizes.items():
            write_split(
                file, about, split, n, chunks(split), with_composition=split in with_composition
            )


def write_split(
    file: NewHdf5,
    about: About,
    split: str,
    n: int,
    pieces: Iterable[tuple[slice, Split]],
    *,
    with_composition: bool,
) -> None:
    """Write one split to an open file, one piece at a time.

    Parameters
    ----------
    file : NewHdf5
    about : About
    split : str
    n : int
        Number of its pairs.
    pieces : iterable
        In order, each with the range of pairs it covers.
    with_composition : bool
        Whether the composition is written.
    """
    places: dict[str, h5py.Dataset] = {}
    for rows, piece in pieces:
        if not places:
            places = _places(file, split, n, about, piece, with_composition)
        for name, place in places.items():
            values = getattr(piece, name)
            place[rows] = values.reshape(len(piece), *about.shape(name, split))
        file.check()


def _places(
    file: h5py.File, split: str, n: int, about: About, piece: Split, with_composition: bool
) -> dict[str, h5py.Dataset]:
    """Create the datasets of a split for the fields that its first piece has."""
    names = ["flux", "nuisance", *(["composition"] if with_composition else [])]
    names += [name for name in (*ERRORS, "group") if getattr(piece, name) is not None]
    return {
        name: file.create_dataset(
            f"{split}/{name}",
            (n, *about.shape(name, split)),
            "<i8" if name == "group" else "<f4",
            track_times=False,
        )
        for name in names
    }


def counted(chunks: Chunks, bar: "tqdm[Any]") -> Chunks:
    """Return `chunks`, advancing a progress bar by the pairs of each piece once it is used."""

    def count(split: str) -> Iterator[tuple[slice, Split]]:
        for rows, piece in chunks(split):
            yield rows, piece
            bar.update(len(piece))

    return count
