"""Users' own pairs from an HDF5 file of the layout of `starbench.tasks.storage.layout`."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from starbench.tasks.arrays import Floats, Spectra
from starbench.tasks.base import SPLITS, Labels, Split, Task
from starbench.tasks.card import Card, Scale
from starbench.tasks.errors import DataError
from starbench.tasks.storage.layout import PairsFile

SCALE: Scale = "own"  # the only scale of users' own pairs
_NAME_LENGTH = 50  # characters of a file's name that become the task's
_CHUNK_BYTES = 2**25  # of flux that is held at once


class OwnData(Task):
    """A task made of a file of pairs.

    Parameters
    ----------
    path : pathlib.Path
    source : pathlib.Path, optional
        What the file is a copy of: named in place of it.
    reference : str, optional
        What the card says of where the pairs come from.

    Raises
    ------
    DataError
        If the file cannot be opened or its structure is wrong; its numbers are checked by
        `prepare`.
    """

    wavelength: Floats

    def __init__(self, path: Path, source: Path | None = None, reference: str | None = None):
        super().__init__()
        self.path = Path(path)
        self._source = self.path if source is None else source
        self._file = PairsFile(self.path, str(self._source))
        self._digest: str | None = None
        about = self._file.about
        self.wavelength = about.wavelength
        self.chunk_pairs = max(1, _CHUNK_BYTES // (8 * len(self.wavelength)))
        stem = self.path.stem if source is None else source.name
        words = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")
        self.card = Card(
            name="own-data-" + (words[:_NAME_LENGTH].strip("-") or "set"),
            version=1,
            family="own",
            reference=reference or f"pairs in {self._source.name}",
            licence="that of the file",
            nuisance_names=about.nuisance_names,
            nuisance_units=about.nuisance_units,
            elements=about.elements,
            sizes={SCALE: self._file.sizes},
            medium="unknown",
            wavelength_unit=about.wavelength_unit,
            changelog={1: "the file as it is; its fingerprint tells files apart"},
        )

    def prepare(self, scale: str, *, progress: bool = True) -> None:
        """Read everything once: check the numbers and take the digest of the content.

        Raises
        ------
        DataError
            If a number is NaN or infinite, or a nuisance is the same for all spectra of the train
            split.
        """
        sizes = self.sizes(scale)
        if self._digest is not None and not self._file.changed:
            return
        header = [self.wavelength.tolist(), self.nuisance_names, self.nuisance_units, self.elements]
        digest = hashlib.sha256(json.dumps([header, sizes]).encode())
        with tqdm(
            desc="check data", total=sum(sizes.values()), unit="pair", disable=not progress
        ) as bar:
            for split in SPLITS:
                low, high = np.inf, -np.inf
                for rows, piece in super().chunks(split, scale):
                    for field in ("flux", "nuisance", "composition"):
                        values = getattr(piece, field)
                        if values is not None:
                            self._check_finite(split, field, rows.start, values)
                            digest.update(values.data.cast("B"))
                    low = np.minimum(low, piece.nuisance.min(axis=(0, 1)))
                    high = np.maximum(high, piece.nuisance.max(axis=(0, 1)))
                    bar.update(len(piece))
                for name in np.array(self.nuisance_names)[low == high] if split == "train" else ():
                    raise DataError(
                        f"{self._source}: the nuisance {name} has the same value in all "
                        "spectra of train; remove it or give spectra in which it varies."
                    )
        self._digest = digest.hexdigest()[:16]

    def data_file(self, scale: str) -> Path:
        """Return the file of pairs."""
        return self.path

    def make(self, split: str, start: int, stop: int) -> Split:
        """Read any range of pairs."""
        return self._file.read(split, slice(start, stop))

    def chunks(self, split: str, scale: str) -> Iterator[tuple[slice, Split]]:
        """Yield a split piece by piece, in order."""
        self.prepare(scale, progress=False)
        return super().chunks(split, scale)

    def labels_on_disk(self, split: str, scale: str) -> tuple[Labels, Labels | None]:
        """Read nuisance and composition of a split without its flux."""
        self.sizes(scale)
        return self._file.labels(split)

    def fingerprint(self, scale: str) -> str:
        """Return a short digest of all that the file holds, as float32."""
        self.prepare(scale, progress=False)
        assert self._digest is not None  # which `prepare` has set
        return self._digest

    def _check_finite(self, split: str, field: str, start: int, values: Spectra) -> None:
        if np.isfinite(values).all():
            return
        wrong = ~np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
        pair = start + int(np.argmax(wrong))
        what = "NaN" if np.isnan(values[pair - start]).any() else "infinite"
        raise DataError(
            f"{self._source}: {split}/{field} holds a value that is {what}, first in pair {pair}; "
            "correct that pair or leave it out."
        )
