"""The spectra of an import, checked, on the survey's pixels, divided by a continuum."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from starbench.common.progress import bar
from starbench.tasks.arrays import Floats, Spectra
from starbench.tasks.survey import continuum as continua
from starbench.tasks.survey.choices import WavelengthScale
from starbench.tasks.survey.plan import SPARE_ADVICE, Plan
from starbench.tasks.survey.report import Report
from starbench.tasks.survey.resample import coincide, resample
from starbench.tasks.survey.spectra import COMBINED, LIGHT, Piece, Source
from starbench.tasks.survey.tables import MISSING
from starbench.tasks.survey.wavelengths import fits_in, likely_unit

_COARSE = 1.5  # width of a source's pixel, in pixels of the survey, from which it is said


class Star(NamedTuple):
    """One spectrum on the survey's pixels."""

    row: int  # of the plan's table
    flux: Spectra
    error: Spectra | None
    snr: float
    masked: float


class Reading:
    """The second pass: spectra on the survey's pixels, one after the other.

    Attributes
    ----------
    stars : iterator of Star
    pixels : numpy.ndarray
        Known once the first star has been taken.
    n_normalised : int
        Number of spectra that were divided by a pseudo-continuum.
    n_assumed : int
        Number of those of which the source does not say whether they are normalised.
    """

    pixels: Floats

    def __init__(
        self,
        sources: Sequence[Source],
        plan: Plan,
        pixels: Floats | None,
        continuum: str,
        report: Report,
        progress: bool,
    ):
        self._sources, self._plan, self._report = sources, plan, report
        self._continuum, self._progress = continuum, progress
        self._with_error: bool | None = None
        self._keeps_pixels = pixels is None  # --pixels source
        if pixels is not None:
            self.pixels = pixels
        self._n_read = self._n_resampled = 0
        # Number of spectra by what to do if their wavelengths are in another medium than assumed.
        self._n_unlike: Counter[str] = Counter()
        self._last_wavelength: Floats = np.empty(0)
        self._coincide, self._unlike = True, ""  # what `_compare` found of them
        self._scale: WavelengthScale | None = None  # of the source that is read
        self.n_normalised = self.n_assumed = 0
        self.stars = self._read()

    def note_resampled(self) -> None:
        """Report what became of spectra on other pixels; known once all stars have been taken."""
        for advice, n in self._n_unlike.items():
            self._report.note(f"Wavelengths of {n} spectra fit the survey's pixels as if {advice}.")
        if self._n_resampled:
            advice = ""
            if not self._keeps_pixels and not self._n_unlike:
                advice = "; --pixels source keeps the pixels of the first spectrum"
            self._report.note(
                f"{self._n_resampled} of {self._n_read} spectra were resampled to other pixels, "
                "whose errors count as independent although neighbours share noise, and which are "
                f"masked where they touch a masked one{advice}."
            )

    def _read(self) -> Iterator[Star]:
        """Yield all spectra that can be used, then spare ones of stars that have none."""
        spare = self._plan.spare
        if spare.empty:
            yield from self._of(self._plan.table)
            return
        name = self._plan.table["star"].to_numpy()
        found = set()
        for star in self._of(self._plan.table):
            found.add(name[star.row])
            yield star
        is_lost = ~spare["star"].isin(found)
        for row in spare[~is_lost].itertuples():
            self._report.drop(row.identifier, row.source, COMBINED, SPARE_ADVICE, is_bad=False)
        if is_lost.any():
            yield from self._of(spare[is_lost])

    def _of(self, table: pd.DataFrame) -> Iterator[Star]:
        with bar(label="import", total=len(table), unit="star", quiet=not self._progress) as count:
            for number, source in enumerate(self._sources):
                of_source = table[table["source_number"] == number]
                if of_source.empty:
                    continue
                wanted = np.zeros(self._plan.offered[number], bool)
                wanted[of_source["row"]] = True
                rows = np.zeros(len(wanted), np.int64)
                rows[of_source["row"]] = of_source.index
                self._scale, self._last_wavelength = source.scale, np.empty(0)
                for piece in source.pieces(wanted):
                    count.update(len(piece.rows))
                    yield from self._stars(piece, rows[piece.rows])

    def _stars(self, piece: Piece, rows: npt.NDArray[np.int64]) -> Iterator[Star]:
        flux, error = self._checked(piece, rows)
        keep = np.flatnonzero(np.isfinite(error).any(axis=1))
        if not len(keep):
            return
        flux, error, rows = flux[keep], error[keep], rows[keep]
        if not hasattr(self, "pixels"):
            self.pixels = piece.wavelength
        new_flux, new_error, is_new = self._resampled(piece, keep, flux, error)
        if self._continuum == "all" or (self._continuum == "auto" and not piece.is_normalised):
            new_flux, new_error = continua.normalised(self.pixels, new_flux, new_error)
            self.n_normalised += len(rows)
            self.n_assumed += len(rows) if piece.is_normalised is None else 0
        for row, one, its_error, is_resampled in zip(
            rows, new_flux, new_error, is_new, strict=True
        ):
            measured = np.isfinite(its_error)
            if not measured.any():
                self._drop_outside(row, piece.wavelength)
                continue
            if piece.error is None and not measured.all():
                self._drop(row, "lacks flux in some pixels but has no errors", "; add errors")
                continue
            if self._with_error is None:
                self._with_error = piece.error is not None
            if self._with_error != (piece.error is not None):
                self._drop(row, "has no errors, unlike the others or the reverse", "; add them")
                continue
            self._n_read += 1
            self._n_resampled += int(is_resampled)
            if self._unlike:
                self._n_unlike[self._unlike] += 1
            snr = np.nan
            if piece.error is not None:
                snr = float(np.median(one[measured] / its_error[measured]))
            yield Star(
                int(row), one, None if piece.error is None else its_error, snr, 1 - measured.mean()
            )

    def _checked(self, piece: Piece, rows: npt.NDArray[np.int64]) -> tuple[Spectra, Spectra]:
        """Return flux and error, all of a star masked that is reported as bad."""
        error = np.ones_like(piece.flux) if piece.error is None else piece.error.copy()
        missing = ~np.isfinite(piece.flux) | (piece.flux <= MISSING)
        if piece.error is not None:
            missing |= np.isnan(error) | (error <= MISSING)
        error[missing] = np.inf
        for place, row in enumerate(rows):
            wrong = error[place] <= 0
            if wrong.any():
                where = piece.wavelength[np.argmax(wrong)]
                self._drop(
                    row,
                    "has errors that are zero or negative",
                    f"in {wrong.sum()} pixels, first at {where:.2f} A; mask them or correct them",
                )
                error[place] = np.inf
            elif not np.isfinite(error[place]).any():
                self._drop(row, "has all its pixels masked", "; leave it out")
            elif piece.shift is not None and not np.isfinite(piece.shift[place]):
                self._drop(row, "is not in its rest frame and has no velocity", "; add it")
                error[place] = np.inf
        return piece.flux, error

    def _resampled(
        self, piece: Piece, keep: npt.NDArray[np.int64], flux: Spectra, error: Spectra
    ) -> tuple[Spectra, Spectra, npt.NDArray[np.bool_]]:
        """Return flux and error on the survey's pixels, and which are not copied unchanged."""
        if not np.array_equal(piece.wavelength, self._last_wavelength):  # as in most pieces
            self._last_wavelength = piece.wavelength
            self._compare(piece.wavelength)
        if piece.shift is None:
            is_new = np.full(len(flux), not self._coincide)
            return *resample(piece.wavelength, flux, error, self.pixels), is_new
        at_rest = [piece.wavelength / (1 + shift / LIGHT) for shift in piece.shift[keep]]
        is_new = np.array([not coincide(each, self.pixels) for each in at_rest])
        pairs = [
            resample(each, one[None], its[None], self.pixels)
            for each, one, its in zip(at_rest, flux, error, strict=True)
        ]
        fluxes, errors = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
        return fluxes, errors, is_new

    def _compare(self, wavelength: Floats) -> None:
        """Compare pixels, those of a piece and maybe of pieces after it, to the survey's."""
        self._coincide = coincide(wavelength, self.pixels)
        self._unlike = "" if self._coincide else self._other_medium(wavelength)
        self._note_coarse(wavelength)

    def _other_medium(self, wavelength: Floats) -> str:
        """Return what to do if wavelengths seem to be in another medium; empty if they do not."""
        if self._scale is not None and self._scale.medium == "air":
            other, advice = "vacuum", "omit --medium air"
        elif self._scale is not None:
            other, advice = "air", "give --medium air"
        else:
            other, advice = "air", "correct the medium that the file states"
        if not fits_in(other, wavelength, self.pixels):
            return ""
        return f"they were in {other}; {advice} if they are"

    def _note_coarse(self, wavelength: Floats) -> None:
        """Say so if pixels are cut into narrower ones, which share their noise."""
        inside = (self.pixels >= wavelength[0]) & (self.pixels <= wavelength[-1])
        if inside.sum() < 2 or len(wavelength) < 2:
            return
        ratio = np.median(np.diff(wavelength)) / np.median(np.diff(self.pixels[inside]))
        if ratio > _COARSE:
            advice = "give --pixels source to keep them"
            if self._keeps_pixels:
                advice = "give the file with the widest pixels first"
            self._report.note(
                f"Pixels of the files are {ratio:.1f} times as wide as the survey's, so neighbours "
                f"share noise that counts as independent; {advice}."
            )

    def _drop_outside(self, row: int, wavelength: Floats) -> None:
        if wavelength[0] < self.pixels[-1] and wavelength[-1] > self.pixels[0]:
            self._drop(row, "has all the survey's pixels masked", "; leave it out")
            return
        unit = likely_unit(wavelength, self.pixels)
        advice = "; give --pixels source to keep its own pixels"
        if self._keeps_pixels:
            advice = "; import it separately"
        if unit is not None:
            advice = f", as if they were in {unit}; give --wavelength-unit {unit}"
            if self._scale is None:
                advice = f", as if they were in {unit}; correct the unit that the file states"
        self._drop(
            row,
            "does not overlap the survey's pixels",
            f"({wavelength[0]:.6g}-{wavelength[-1]:.6g} A for {self.pixels[0]:.0f}-"
            f"{self.pixels[-1]:.0f} A){advice}",
        )

    def _drop(self, row: int, reason: str, advice: str) -> None:
        identifier, source = self._plan.spectra.loc[row, ["identifier", "source"]]
        self._report.drop(identifier, source, reason, advice)
