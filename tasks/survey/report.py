"""What an import left out, and why."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from starbench.common.files import atomic_path
from starbench.common.text import one_line
from starbench.tasks.errors import DataError

_NAMED = 5  # examples of a reason that provenance names


class Dropped(NamedTuple):
    """A star, spectrum or file that was left out.

    Attributes
    ----------
    identifier : str
        Of the star or spectrum; empty for a file of which nothing could be read.
    source : str
        File that it comes from.
    reason : str
        What is wrong with it: a phrase without its numbers, the same for all such stars.
    advice : str
        The numbers, and what can be done about it.
    is_bad : bool
        Whether it counts as bad, unlike what another spectrum of the import replaces.
    """

    identifier: str
    source: str
    reason: str
    advice: str
    is_bad: bool

    @property
    def named(self) -> str:
        """The star, or the file if it is not known."""
        return self.identifier or self.source

    @property
    def sentence(self) -> str:
        """All of it in one sentence."""
        star = f": star {self.identifier}" if self.identifier else ""
        gap = "" if self.advice[:1] in (";", ",", "") else " "
        return f"{self.source}{star} {self.reason}{gap}{self.advice}."


@dataclass
class Report:
    """What was left out of an import, and what else the user should know.

    Attributes
    ----------
    dropped : list of Dropped
    notes : list of str
    read : pandas.DataFrame or None
        What is known of the spectra, as `starbench.tasks.survey.plan.summary` returns it; None
        until their catalogues have been read. A refused import leaves it for `to_csv`.
    """

    dropped: list[Dropped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    read: pd.DataFrame | None = None

    def drop(
        self, identifier: object, source: object, reason: str, advice: str, *, is_bad: bool = True
    ) -> None:
        """Record a star, spectrum or file that is left out; see `Dropped`."""
        self.dropped.append(Dropped(str(identifier), str(source), reason, advice, is_bad))

    def drop_unreadable(self, identifier: object, source: object, error: Exception) -> None:
        """Record a star or file that cannot be read."""
        advice = f"({one_line(error)[:150]}); download it again"
        self.drop(identifier, source, "cannot be read", advice)

    def note(self, sentence: str) -> None:
        """Record a sentence that concerns the whole import."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def counts(self, *, bad: bool) -> dict[str, int]:
        """Return how many were left out for each reason, the most frequent first."""
        counted = Counter(each.reason for each in self.dropped if each.is_bad == bad)
        return dict(counted.most_common())

    def check(self, n_kept: int, max_dropped: float) -> None:
        """Refuse an import of which too much is bad.

        Parameters
        ----------
        n_kept : int
            Number of spectra that were not left out.
        max_dropped : float
            Largest share of bad ones.

        Raises
        ------
        DataError
            With the sentence of the first star that has the most frequent fault.
        """
        bad = self._bad()
        if not bad or len(bad) <= max_dropped * (len(bad) + n_kept):
            return
        first = bad[0]
        if len(bad) == 1 and not n_kept:
            raise DataError(first.sentence)
        raise DataError(
            f"{len(bad)} of {len(bad) + n_kept} spectra are bad, more than --max-dropped "
            f"{max_dropped:g} allows; the most frequent fault: {first.sentence}"
        )

    def explained(self, sentence: str) -> str:
        """Add to a sentence on what is lacking what was left out as bad, which may be why.

        Examples
        --------
        >>> report = Report()
        >>> report.drop("", "a.fits", "is empty", "; download it again")
        >>> report.explained("There are 3 stars.")
        'There are 3 stars; 1 file or spectrum was left out: a.fits is empty; download it again.'
        """
        bad = self._bad()
        if not bad:
            return sentence
        number = "1 file or spectrum was left out"
        if len(bad) > 1:
            number = f"{len(bad)} files or spectra were left out, first"
        return f"{sentence.removesuffix('.')}; {number}: {bad[0].sentence}"

    def _bad(self) -> list[Dropped]:
        """Return what is bad, the first that has the most frequent fault before all others."""
        bad = [each for each in self.dropped if each.is_bad]
        reason = next(iter(self.counts(bad=True)), None)
        return sorted(bad, key=lambda each: each.reason != reason)

    def to_csv(self, path: Path, stars: pd.DataFrame | None = None) -> None:
        """Write a line for each spectrum: what is known of it, or why it was left out.

        Parameters
        ----------
        path : pathlib.Path
        stars : pandas.DataFrame, optional
            Of the spectra that were imported; by default those that were read and not left out.
        """
        if stars is None and self.read is not None:
            left_out = {(each.identifier, each.source) for each in self.dropped}
            names = zip(self.read["identifier"], self.read["source"], strict=True)
            stars = self.read[[name not in left_out for name in names]]
        dropped = pd.DataFrame(
            [(each.identifier, each.source, each.sentence) for each in self.dropped],
            columns=["identifier", "source", "left_out"],
        )
        with atomic_path(path) as new:
            table = dropped if stars is None else pd.concat([stars, dropped])
            table.to_csv(new, index=False)

    def provenance(self) -> dict[str, Any]:
        """Return counts and examples for the file, short however much was left out."""
        examples: dict[str, list[str]] = {}
        for each in self.dropped:
            named = examples.setdefault(each.reason, [])
            if len(named) < _NAMED:
                named.append(each.identifier or Path(each.source).name)
        counts = self.counts(bad=True) | self.counts(bad=False)
        return {
            "dropped": {
                reason: {"number": number, "first": examples[reason]}
                for reason, number in counts.items()
            },
            "notes": self.notes,
        }
