"""Suites: named sets of tracks that are scored together.

A suite names the version of each of its tracks, so that its scores stay what they are when a track
changes. The name ends in the version of the suite, which is raised once a score of it has been
released and a track is to be added or replaced.
"""

from dataclasses import dataclass

from starbench.tasks.errors import DataError


@dataclass(frozen=True)
class SuiteTrack:
    """A track of a suite.

    Attributes
    ----------
    task : str
        Name of the task.
    version : int
        Version of the task; rows of another version do not count.
    family : str
        The kind of question that the track asks, as on the task's card. Tracks of a family are
        averaged before families are.
    stars : str
        Name of the task that the test stars are of: another one where the track shows the same
        stars in another way, such as with noise. Tracks of the same stars share the resampled
        pairs.
    """

    task: str
    version: int
    family: str
    stars: str


@dataclass(frozen=True)
class Suite:
    """A named set of tracks.

    Attributes
    ----------
    name : str
    tracks : tuple of SuiteTrack
        In the order of the tables.
    beside : tuple of SuiteTrack
        Tracks outside of the scores, on which the order of methods is compared with that on the
        first track.
    unbroken : str
        The track with the noise of those that break an assumption, and no assumption broken; empty
        if there is none.
    """

    name: str
    tracks: tuple[SuiteTrack, ...]
    beside: tuple[SuiteTrack, ...] = ()
    unbroken: str = ""

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tracks."""
        return tuple(track.task for track in self.tracks)

    @property
    def compared(self) -> tuple[SuiteTrack, ...]:
        """The tracks on which orders of methods are compared: its own, then those beside it."""
        return self.tracks + self.beside

    @property
    def families(self) -> dict[str, tuple[SuiteTrack, ...]]:
        """The tracks of each family."""
        names = dict.fromkeys(track.family for track in self.tracks)
        return {
            name: tuple(track for track in self.tracks if track.family == name) for name in names
        }


GIANTS = Suite(
    "giants-v1",
    (
        SuiteTrack("apogee-giants", 1, "ideal", "apogee-giants"),
        SuiteTrack("apogee-giants-snr100", 1, "noise", "apogee-giants"),
        SuiteTrack("apogee-giants-snr50", 1, "noise", "apogee-giants"),
        SuiteTrack("apogee-giants-snr30", 1, "noise", "apogee-giants"),
        SuiteTrack("apogee-giants-dense", 1, "crowding", "apogee-giants-dense"),
        SuiteTrack("apogee-giants-dense-snr200", 1, "crowding", "apogee-giants-dense-snr200"),
        SuiteTrack("apogee-giants-branch", 1, "assumptions", "apogee-giants-branch"),
        SuiteTrack("apogee-giants-hidden", 1, "assumptions", "apogee-giants-hidden"),
        SuiteTrack("apogee-giants-labels", 1, "assumptions", "apogee-giants-labels"),
        SuiteTrack("apogee-giants-metallicity", 1, "assumptions", "apogee-giants-metallicity"),
        SuiteTrack("apogee-giants-mismatch", 2, "reality", "apogee-giants-mismatch"),
    ),
    beside=(SuiteTrack("apogee-giants-survey", 1, "reality", "apogee-giants-survey"),),
    unbroken="apogee-giants-snr100",
)
"""The suite of red giants; a track joins it together with its rows."""

SUITES = {suite.name: suite for suite in (GIANTS,)}
DEFAULT = GIANTS.name


def get_suite(name: str = DEFAULT) -> Suite:
    """Return a suite.

    Raises
    ------
    DataError
        If there is no such suite.

    Examples
    --------
    >>> get_suite("giants-v1").families["noise"][0].task
    'apogee-giants-snr100'
    """
    if not isinstance(name, str) or name not in SUITES:
        raise DataError(f"There is no suite {name!a}; choose one of {', '.join(SUITES)}.")
    return SUITES[name]
