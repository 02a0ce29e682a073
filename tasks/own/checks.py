"""Checks of the numbers of users' own pairs and surveys, made while all of them are read once."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from starbench.common.text import listed
from starbench.tasks.arrays import Floats, Labels, Spectra
from starbench.tasks.base import Split
from starbench.tasks.card import PAIRS, spectra_each
from starbench.tasks.errors import DataError

FIELDS = ("flux", "nuisance", "composition", "error", "nuisance_error", "group")
# What surveys write for a missing value; refused only where it lies outside all other values.
_SENTINELS = np.array([-9999.99, -9999, -999.99, -999, -99.99, -99, 9999, 99999], np.float32)
_FAR = 100  # interquartile ranges from the median
_RARE = 0.01  # share of values that may be called far outside the rest
_FLUX_RANGE = (1e-10, 1e10)  # of the largest flux; squares of much else leave float32
_COARSE = 0.1  # step of float32 in standard deviations
_CONTINUUM = (0.1, 10.0)  # of the mean flux of spectra that are divided by their continuum
_NOISE_SLACK = 1.2  # of few spectra the standard deviation is uncertain

Numbers = npt.NDArray[np.float32]


class Content(NamedTuple):
    """What is remembered of the numbers of a file.

    Attributes
    ----------
    digest : str
        Of all of them.
    level : float
        Mean flux of train.
    spread : float
        Standard deviation of the flux of train within a pixel, over all pixels.
    dropped : dict of str to list of int
        Rows of each split that are left out, because all pixels of a spectrum are masked.
    """

    digest: str
    level: float
    spread: float
    dropped: dict[str, list[int]]


def check_noise(source: str, snr: float, content: Content) -> None:
    """Check that the flux of a file can have the noise that is declared.

    Raises
    ------
    DataError
        If its continuum is not 1, or it varies by less than the noise.
    """
    if not has_continuum_of_one(content):
        raise DataError(
            f"{source}: snr is relative to a continuum of 1, but the mean flux is "
            f"{content.level:.3g}; divide the flux by its continuum."
        )
    if 1 / snr > _NOISE_SLACK * content.spread:
        raise DataError(
            f"{source}: snr = {snr:g} is noise of standard deviation {1 / snr:.3g} in every pixel, "
            f"but the flux of train varies by only {content.spread:.3g}; correct snr."
        )


def has_continuum_of_one(content: Content) -> bool:
    """Return whether the mean flux may be that of spectra divided by their continuum."""
    low, high = _CONTINUUM
    return low <= content.level <= high


class NumberCheck:
    """The checks of one file, given piece by piece.

    Parameters
    ----------
    source : str
        What error messages call the file.
    nuisance_names, elements : tuple of str
    survey : bool
        Whether all splits but ``pairs`` hold stars in place of pairs.
    identifiers : mapping of str to sequence of str
        Names of the stars or pairs of splits that have them.

    Attributes
    ----------
    dropped : dict of str to list of int
        As in `Content`.
    """

    def __init__(
        self,
        source: str,
        nuisance_names: tuple[str, ...],
        elements: tuple[str, ...],
        *,
        survey: bool = False,
        identifiers: Mapping[str, Sequence[str]] | None = None,
    ):
        self._source, self._survey = source, survey
        self._identifiers = identifiers or {}
        self._rows: dict[str, list[npt.NDArray[np.int64]]] = {}
        self.dropped: dict[str, list[int]] = {}
        self._names = {"nuisance": nuisance_names, "composition": elements}
        self._labels: dict[tuple[str, str], list[Numbers]] = {}
        self._digests: dict[str, list[npt.NDArray[np.uint64]]] = {}
        self._largest_flux = 0.0
        self._n_train = 0
        self._sums = np.zeros((2, 1))  # of the flux of train in each pixel, and of its square

    def add(self, split: str, start: int, piece: Split) -> Split:
        """Check a piece of a split whose first pair has the number `start`.

        Returns
        -------
        Split
            The piece without pairs of which a spectrum has no pixel that is not masked.

        Raises
        ------
        DataError
            If a value is not finite, an error is not above 0, or a flux stands for a missing one.
        """
        rows = np.arange(start, start + len(piece))
        if piece.error is not None:
            self._check_errors(split, rows, piece.error)
            kept: npt.NDArray[np.bool_] = (piece.error.min(axis=2) < np.inf).all(axis=1)
            if not kept.all():
                self.dropped.setdefault(split, []).extend(rows[~kept].tolist())
                rows, piece = rows[kept], subset(piece, kept)
        if not len(piece):
            return piece
        for field in ("flux", "nuisance", "composition", "nuisance_error"):
            values = getattr(piece, field)
            if values is not None:
                self._check_finite(split, field, rows, values)
                if field in ("nuisance", "composition"):
                    self._labels.setdefault((split, field), []).append(values)
        self._check_label_errors(split, rows, piece.nuisance_error)
        flux = piece.flux
        self._largest_flux = max(self._largest_flux, float(np.abs(flux).max()))
        if flux.min() <= _SENTINELS[_SENTINELS < 0].max():
            missing = np.isin(flux, _SENTINELS)
            if missing.any():
                pair, half, pixel = np.argwhere(missing)[0]
                raise DataError(
                    f"{self._source}: {split}/flux is {flux[pair, half, pixel]:g} in "
                    f"{self._name(split, rows[pair])}, which stands for a missing value; give a "
                    f"flux there or leave the {self._item(split)} out."
                )
        if split == "train":
            self._add_moments(flux.reshape(-1, flux.shape[2]))
        digests = [_digest(spectrum) for spectrum in flux.reshape(-1, flux.shape[2])]
        self._digests.setdefault(split, []).append(np.array(digests, np.uint64))
        self._rows.setdefault(split, []).append(rows)
        return piece

    def _each(self, split: str) -> int:
        return spectra_each(split, survey=self._survey)

    def _item(self, split: str) -> str:
        return "star" if self._each(split) == 1 else "pair"

    def _name(self, split: str, row: int) -> str:
        """Return how messages call a star or a pair: by its number, and its name if it has one."""
        names = self._identifiers.get(split)
        return f"{self._item(split)} {row}" + (
            "" if names is None else f" ({listed([names[row]])})"
        )

    def _check_errors(self, split: str, rows: npt.NDArray[np.int64], error: Numbers) -> None:
        """Check that errors are above 0; infinite ones mask a pixel."""
        wrong = ~(error > 0)
        if not wrong.any():
            return
        item, half, pixel = np.argwhere(wrong)[0]
        value = error[item, half, pixel]
        raise DataError(
            f"{self._source}: {split}/error is {value:g} in pixel {pixel} of "
            f"{self._name(split, rows[item])}; give a standard deviation above 0, or infinity "
            "where the pixel is masked."
        )

    def _check_label_errors(
        self, split: str, rows: npt.NDArray[np.int64], error: Numbers | None
    ) -> None:
        if error is None or (error >= 0).all():
            return
        item, half, column = np.argwhere(error < 0)[0]
        raise DataError(
            f"{self._source}: {split}/nuisance_error is {error[item, half, column]:g} in "
            f"{self._name(split, rows[item])}; give a standard deviation of at least 0."
        )

    def _add_moments(self, spectra: Spectra) -> None:
        squares = np.einsum("np,np->p", spectra, spectra, dtype=np.float64)
        self._sums = self._sums + np.stack([spectra.sum(axis=0, dtype=np.float64), squares])
        self._n_train += len(spectra)

    def finish(self) -> tuple[float, float]:
        """Check what shows only once all pieces are known.

        Returns
        -------
        level, spread : float
            As in `Content`.

        Raises
        ------
        DataError
            If the flux is too faint or too bright for float32, a label stands for a missing value
            or lies far outside the rest, a nuisance does not vary in train, or a spectrum occurs
            twice.
        """
        low, high = _FLUX_RANGE
        if not low <= self._largest_flux <= high:
            raise DataError(
                f"{self._source}: the largest flux is {self._largest_flux:.2g}, whose squares "
                "float32 does not hold; divide the flux by its continuum or by a constant."
            )
        for field, names in self._names.items():
            splits = {s: np.concatenate(x) for (s, f), x in self._labels.items() if f == field}
            for column, name in enumerate(names):
                self._check_column(
                    field, name, {s: values[..., column] for s, values in splits.items()}
                )
        self._check_repeats()
        mean, mean_square = self._sums / self._n_train
        spread = np.sqrt(np.maximum(mean_square - mean**2, 0).mean())
        return float(mean.mean()), float(spread)

    def _check_column(self, field: str, name: str, splits: dict[str, Numbers]) -> None:
        """Check the values [n_pairs] or [n_pairs, 2] of one label in all splits."""
        if not splits:
            return
        wrong = _missing(np.concatenate([x.ravel() for x in splits.values()]))
        for split, values in splits.items():
            found = np.isin(values, wrong)
            if found.any():
                place = np.argwhere(found)[0]
                raise DataError(
                    f"{self._source}: {split}/{field} has {name} = {values[tuple(place)]:.10g} in "
                    f"{self._name(split, self._row(split, int(place[0])))}, far outside all other "
                    "values, as if it stood for a missing one; correct that "
                    f"{self._item(split)} or leave it out."
                )
        if field == "nuisance":
            for split in ("train", PAIRS):
                if split in splits:
                    self._check_spread(split, name, splits[split].astype(np.float64))

    def _check_spread(self, split: str, name: str, values: Floats) -> None:
        """Check that a nuisance varies in a split to train on, by more than float32 rounds."""
        if values.min() == values.max():
            raise DataError(
                f"{self._source}: the nuisance {name} has the same value in all spectra of {split} "
                f"as float32 ({values.flat[0]:.10g}); remove it or, if it varies by less than "
                "float32 holds, subtract a constant from it in all splits."
            )
        step = float(np.spacing(np.float32(np.abs(values).max())))
        if step > _COARSE * values.std():
            raise DataError(
                f"{self._source}: the nuisance {name} varies in {split} by a standard deviation of "
                f"{values.std():.3g}, but float32 near {values.flat[0]:.10g} has steps of "
                f"{step:g}; subtract a constant from it in all splits."
            )

    def _check_repeats(self) -> None:
        """Refuse a spectrum that occurs twice: its twin is not the only match."""
        splits = list(self._digests)
        digests = [np.concatenate(self._digests[split]) for split in splits]
        _, first, inverse = np.unique(
            np.concatenate(digests), return_index=True, return_inverse=True
        )
        again = np.flatnonzero(first[inverse] != np.arange(len(inverse)))
        if not len(again):
            return
        ends = np.cumsum([len(x) for x in digests])

        def place(spectrum: int) -> tuple[str, str]:
            number = int(np.searchsorted(ends, spectrum, side="right"))
            split = splits[number]
            first = int(ends[number]) - len(digests[number])
            row = self._row(split, (spectrum - first) // self._each(split))
            return split, self._name(split, row)

        one, other = place(int(first[inverse[again[0]]])), place(int(again[0]))
        if one == other:
            raise DataError(
                f"{self._source}: the two spectra of {one[1]} of {one[0]} are the same; give "
                "two different spectra of the star or leave the pair out."
            )
        raise DataError(
            f"{self._source}: {one[1]} of {one[0]} and {other[1]} of {other[0]} hold "
            f"the same spectrum ({len(again)} such spectra); keep each spectrum once in all splits."
        )

    def _row(self, split: str, kept: int) -> int:
        """Return the row in the file of the pair or star that is the n-th of those kept."""
        return int(np.concatenate(self._rows[split])[kept])

    def _check_finite(
        self, split: str, field: str, rows: npt.NDArray[np.int64], values: Spectra
    ) -> None:
        if np.isfinite(values).all():
            return
        wrong = ~np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
        item = int(np.argmax(wrong))
        what = "NaN" if np.isnan(values[item]).any() else "infinite"
        masks = " or give an infinite error where the pixel is masked," if field == "flux" else ""
        raise DataError(
            f"{self._source}: {split}/{field} holds a value that is {what}, first in "
            f"{self._name(split, rows[item])}; correct that {self._item(split)}"
            f"{',' * bool(masks)}{masks} or leave it out."
        )


def check_identifiers(
    source: str,
    identifiers: Mapping[str, Sequence[str]],
    groups: Mapping[str, npt.NDArray[np.int64]],
) -> None:
    """Check that no star is in two splits, nor in two groups of one.

    Parameters
    ----------
    source : str
    identifiers : mapping of str to sequence of str
        Of the splits that have them.
    groups : mapping of str to numpy.ndarray [n_stars], int64
        Of a survey's splits; empty for pairs.

    Raises
    ------
    DataError
    """
    known: dict[str, tuple[str, int]] = {}
    for split, names in identifiers.items():
        for row, name in enumerate(names):
            earlier, first = known.setdefault(name, (split, row))
            if earlier != split:
                raise DataError(
                    f"{source}: {listed([name])} is in {earlier} and in {split}; keep all spectra "
                    "of a star in one split."
                )
            if split in groups and groups[split][first] != groups[split][row]:
                raise DataError(
                    f"{source}: {listed([name])} is in two groups of {split}, "
                    f"{groups[split][first]} and {groups[split][row]}; give all spectra of a star "
                    "the same group."
                )


def subset(piece: Split, kept: npt.NDArray[np.bool_]) -> Split:
    """Return some pairs of a piece, whose noiseless flux is its flux."""

    def some(values: Labels | None) -> Labels | None:
        return None if values is None else values[kept]

    flux = piece.flux[kept]
    return Split(
        flux,
        piece.nuisance[kept],
        some(piece.composition),
        flux,
        error=some(piece.error),
        group=None if piece.group is None else piece.group[kept],
        nuisance_error=some(piece.nuisance_error),
    )


def _digest(spectrum: Numbers) -> int:
    return int.from_bytes(
        hashlib.blake2b(spectrum.data.cast("B"), digest_size=8).digest(), "little"
    )


def _missing(values: Numbers) -> Numbers:
    """Return those values of a label [n] that cannot be measurements."""
    ordinary = values[~np.isin(values, _SENTINELS)]
    if not len(ordinary):
        return ordinary
    quarter, median, three = np.percentile(ordinary.astype(np.float64), [25, 50, 75])
    spread = max(three - quarter, 1e-3 * abs(median))
    low, high = float(ordinary.min()) - spread, float(ordinary.max()) + spread
    sentinels = _SENTINELS[~((low <= _SENTINELS) & (high >= _SENTINELS))]
    far = np.unique(ordinary[np.abs(ordinary - median) > _FAR * spread])
    share = np.isin(ordinary, far).sum() / len(ordinary)
    if not spread or share > max(_RARE, 1.5 / len(ordinary)):
        far = far[:0]
    return np.concatenate([sentinels, far])
