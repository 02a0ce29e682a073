"""The metadata of a set of pairs, as JSON for tables of pairs."""

import json
import math
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from starbench.common.text import one_line
from starbench.tasks.base import Task
from starbench.tasks.card import Medium, spectra_each
from starbench.tasks.errors import DataError

# Of a table: the column whose first row holds the JSON; of a Parquet file: the metadata's key too.
ABOUT = "starbench"
NAMES = ("nuisance_names", "nuisance_units", "elements")
# Names become keys of a row, which holds at most 400 metrics and 100 characters for each.
MAX_NAME_LENGTH = 77
MAX_ELEMENTS = 190
MAX_PIXELS = 2**20
MAX_SNR = 1e6  # float32 holds flux near 1 in steps of 6e-8


def declared_snr(value: object, source: str) -> float:
    """Return a declared signal-to-noise ratio per pixel.

    Parameters
    ----------
    value : object
        What was declared, of any type.
    source : str
        How errors refer to where it was declared.

    Raises
    ------
    DataError
        If it is not a number above 0 that flux in float32 can have.
    """
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        array = np.zeros(0)
    snr = float(array.item()) if array.size == 1 and array.dtype.kind in "fiu" else math.nan
    if not 0 < snr <= MAX_SNR:
        shown = one_line(ascii(value))[:40]
        raise DataError(
            f"{source}: snr is {shown}; give one number above 0 and at most {MAX_SNR:g}, the "
            "signal-to-noise ratio per pixel at the continuum, or none for noiseless spectra."
        )
    return snr


def check_names(about: "About", source: str) -> None:
    """Check that a row can hold all names and units.

    Raises
    ------
    DataError
        If a name is too long or not printable, or there are too many.
    """
    if len(about.elements) > MAX_ELEMENTS:
        raise DataError(
            f"{source}: elements has {len(about.elements)} names; give at most {MAX_ELEMENTS}."
        )
    if len(about.wavelength) > MAX_PIXELS:
        raise DataError(
            f"{source}: wavelength has {len(about.wavelength)} values; give at most {MAX_PIXELS}."
        )
    for name in (*NAMES, "wavelength_unit"):
        values = getattr(about, name)
        for text in (values,) if isinstance(values, str) else values:
            if len(text) > MAX_NAME_LENGTH:
                raise DataError(
                    f"{source}: {name} holds {text[:20]!a}..., a text of {len(text)} characters; "
                    f"give at most {MAX_NAME_LENGTH}."
                )
            if not text.isprintable():
                raise DataError(f"{source}: {name} holds {text!a}; give printable characters only.")


def refuse_shuffled(facts: Container[str], source: str) -> None:
    """Refuse an export whose test spectra are not in pairs.

    Raises
    ------
    DataError
    """
    if "test_order" in facts:
        raise DataError(
            f"{source} is an export whose test spectra are shuffled, so nobody knows their twins; "
            "export the task again with --twins, or give --task."
        )


def medium(text: object, place: str, source: str) -> Medium:
    """Return the medium of wavelengths that a file states; `None` stands for no statement.

    Raises
    ------
    DataError
        If it states another medium than vacuum or air.
    """
    match text.lower() if isinstance(text, str) else text:
        case "vacuum":
            return "vacuum"
        case "air":
            return "air"
        case None | "unknown":
            return "unknown"
    raise DataError(f"{source}: {place} is {str(text)[:20]!a}; write vacuum or air.")


@dataclass(frozen=True)
class About:
    """Metadata of a set of pairs.

    Attributes
    ----------
    wavelength : numpy.ndarray [n_pixels], float64
    wavelength_unit : str
    wavelength_medium : {"vacuum", "air", "unknown"}
    nuisance_names, nuisance_units, elements : tuple of str
    snr : float or None
        Signal-to-noise ratio per pixel of the noise in the flux; None for noiseless flux, or where
        it is not known.
    facts : dict
        What the set was made from: task, version, scale, fingerprint.
    survey : bool
        Whether all splits but ``pairs`` hold stars in sibling groups in place of pairs; their
        arrays in a file then lack the axis of the pairs.
    """

    wavelength: npt.NDArray[np.float64]
    wavelength_unit: str
    wavelength_medium: Medium
    nuisance_names: tuple[str, ...]
    nuisance_units: tuple[str, ...]
    elements: tuple[str, ...]
    snr: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    survey: bool = False

    @classmethod
    def of_task(cls, task: Task, scale: str) -> "About":
        """Return the metadata of a task, whose data must have been prepared."""
        facts: dict[str, Any] = {
            "task": task.name,
            "version": task.version,
            "scale": scale,
            "fingerprint": task.fingerprint(scale),
        }
        return cls(
            np.asarray(task.wavelength, np.float64),
            task.wavelength_unit,
            task.card.medium,
            task.nuisance_names,
            task.nuisance_units,
            task.elements,
            task.snr,
            facts,
            task.card.survey,
        )

    def to_json(self) -> str:
        """Return the metadata as JSON."""
        names = {name: list(getattr(self, name)) for name in NAMES}
        return json.dumps(
            {
                **self.facts,
                **names,
                **({} if self.snr is None else {"snr": self.snr}),
                "wavelength_unit": self.wavelength_unit,
                "wavelength_medium": self.wavelength_medium,
                "wavelength": self.wavelength.tolist(),
            }
        )

    @classmethod
    def from_json(cls, text: str, source: str) -> "About":
        """Read the metadata of a table.

        Parameters
        ----------
        text : str
        source : str
            How errors refer to the table.

        Raises
        ------
        DataError
            If something is missing or of the wrong type.
        """
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{source}: its metadata `{ABOUT}` is not JSON ({error}); write it again."
            ) from error
        if not isinstance(content, dict):
            raise DataError(
                f"{source}: its metadata `{ABOUT}` is not a JSON object; write it again."
            )
        refuse_shuffled(content, source)
        content.setdefault("elements", [])
        for name in ("wavelength", *NAMES):
            kind = (int, float) if name == "wavelength" else str
            values = content.get(name)
            if not isinstance(values, list) or not all(isinstance(x, kind) for x in values):
                what = "numbers" if name == "wavelength" else "strings"
                raise DataError(
                    f"{source}: its metadata `{ABOUT}` needs {name}, a list of {what}; add it."
                )
        try:
            wavelength = np.array(content["wavelength"], np.float64)
        except OverflowError as error:
            raise DataError(
                f"{source}: its metadata `{ABOUT}` has a wavelength that float64 does not hold; "
                "correct it."
            ) from error
        return cls(
            wavelength,
            str(content.get("wavelength_unit", "Angstrom")),
            medium(content.get("wavelength_medium"), f"`{ABOUT}`, wavelength_medium", source),
            nuisance_names=tuple(content["nuisance_names"]),
            nuisance_units=tuple(content["nuisance_units"]),
            elements=tuple(content["elements"]),
            snr=None if content.get("snr") is None else declared_snr(content["snr"], source),
        )

    def holds_stars(self, split: str) -> bool:
        """Return whether a split is one of a survey's stars, without the axis of the pairs."""
        return self.survey and spectra_each(split, survey=True) == 1

    def shape(self, name: str, split: str = "train") -> tuple[int, ...]:
        """Return the shape of a field of one pair of a split, or of one star of a survey."""
        each = () if self.holds_stars(split) else (spectra_each(split),)
        flux, nuisance = (*each, len(self.wavelength)), (*each, len(self.nuisance_names))
        return {
            "flux": flux,
            "error": flux,
            "nuisance": nuisance,
            "nuisance_error": nuisance,
            "composition": (len(self.elements),),
            "group": (),
        }[name]

    def n_bytes(self, sizes: dict[str, int], *, errors: bool = False) -> int:
        """Return the size of the numbers of a set [bytes]."""
        fields = ["flux", "nuisance", "composition", *(["error"] if errors else [])]
        numbers = sum(
            n_pairs * int(np.prod(self.shape(name, split)))
            for split, n_pairs in sizes.items()
            for name in fields
        )
        return 4 * numbers + self.wavelength.nbytes
