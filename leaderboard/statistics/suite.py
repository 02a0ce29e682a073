"""Scores of methods over the tracks of a suite.

On each track the share of nearest twins is put on a scale from chance to the information bound,

    gap closed = (share - chance) / (bound - chance).

Chance is 1 / (2 n_pairs - 1), as a random order of the candidates puts each first equally often;
the bound is the share of the control `information-bound` with its default settings, which knows
what the methods know of the nuisance. The score is the mean of the gap closed over the tracks of a
family, then over families. It depends on a method's own rows and those of the bound alone, so no
method moves another's score. A method without rows on every track has no score: a mean over other
tracks would be another quantity.

Intervals come from one joint resampling. Tracks of the same stars share the resampled pairs, for
the method and the bound; other tracks have resamples of their own. Within each resample the mean
over all seeds is drawn on each track as `starbench.leaderboard.statistics.resampling` describes,
and the score is computed from these shares. The draws of tracks are independent, as runs of one
seed on two tracks are: on the four tracks of ``apogee-giants`` the log-odds of equal seeds
correlate between tracks by 0.1 on average, over 16 pairs of tracks and six methods with 3 to 5
seeds. Many tracks with few seeds each know the scatter of the score better than one does, so
Student's t has the degrees of freedom of Satterthwaite (1946, Biometrics Bulletin 2, 110),

    nu = (sum v)^2 / sum(v^2 / (n - 1)),

with v the variance of the score from the seeds of each track and n their number; on a single track
nu = n - 1. In simulations of ten tracks with three seeds such intervals hold the truth in 97 % of
cases; with n - 1 on each track they would be 1.6 times as wide.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from starbench.common.text import joined
from starbench.leaderboard.statistics.aggregate import ACCESS_ORDER, RANKED_BY, Group, Section
from starbench.leaderboard.statistics.compare import Comparison, ranks_of
from starbench.leaderboard.statistics.resampling import (
    Floats,
    OfSeeds,
    Resampled,
    found_shares,
    mean_over_all_seeds,
    resample_all,
)
from starbench.leaderboard.statistics.verdict import BOUND, MIN_SEEDS
from starbench.leaderboard.store.levels import Level, lowest
from starbench.metrics import resample_pairs
from starbench.metrics.bootstrap import interval
from starbench.results.schema import Row
from starbench.results.text import RowError
from starbench.tasks.suites import Suite, SuiteTrack


@dataclass(frozen=True, eq=False)
class TrackScore:
    """A method on one track.

    Attributes
    ----------
    group : Group
        Its rows.
    share : float
        Share of stars whose twin is nearest, mean over seeds.
    chance : float
        That share by chance.
    gap_closed : float or None
        None where the track has no row of the bound, or the bound is at chance.
    resampled, bound : Resampled
        The shares of the method and of the bound in the joint resamples; no bound without a row.
    """

    group: Group
    share: float
    chance: float
    gap_closed: float | None
    resampled: Resampled = field(repr=False)
    bound: Resampled | None = field(repr=False)


@dataclass(frozen=True, eq=False)
class SuiteScore:
    """The score of a method.

    Attributes
    ----------
    value : float
        Mean of `families`.
    low, high : float
        95 % interval.
    families : dict of str to float
        Mean gap closed on the tracks of each family.
    draws : numpy.ndarray [n_resamples]
        The score in the joint resamples: the same pairs for all methods.
    """

    value: float
    low: float
    high: float
    families: dict[str, float]
    draws: Floats = field(repr=False)


@dataclass(frozen=True, eq=False)
class SuiteLine:
    """A method on the tracks of a suite.

    Attributes
    ----------
    tracks : dict of str to TrackScore
        By task, in the order of the suite; tracks without scored rows are absent.
    missing : dict of str to str
        Why a track is absent, by task: a phrase.
    score : SuiteScore or None
        None if a track is missing, or has no gap closed.
    beside : dict of str to TrackScore
        By task: tracks beside the suite, which count in nothing else.
    rank : int or None
        1 + the number of methods of the same label access whose score is significantly higher.
        None without a score, for controls, with submitted rows, and below `MIN_SEEDS` seeds on any
        track.
    """

    tracks: dict[str, TrackScore]
    missing: dict[str, str]
    score: SuiteScore | None
    beside: dict[str, TrackScore] = field(default_factory=dict)
    rank: int | None = None

    def on(self, task: str) -> TrackScore | None:
        """Return its score on a track of the suite or beside it, None without scored rows."""
        return self.tracks.get(task) or self.beside.get(task)

    @property
    def group(self) -> Group:
        """Its rows on the first track that it has, for what all tracks share."""
        return next(iter(self.tracks.values())).group

    @property
    def row(self) -> Row:
        """One of its rows: method, version, label access, settings."""
        return self.group.row

    @property
    def level(self) -> Level:
        """The lowest level of its scored rows on any track."""
        return lowest(track.group.level for track in self.tracks.values())

    @property
    def n_seeds(self) -> int:
        """The fewest scored seeds on any of its tracks."""
        return min(len(track.group.entries) for track in self.tracks.values())


@dataclass(frozen=True, eq=False)
class SuiteScores:
    """All methods on the tracks of a suite.

    Attributes
    ----------
    suite : Suite
    lines : tuple of SuiteLine
        By label access, nuisance labels first. Within it methods of checked rows, then those with
        submitted rows, then controls; of each those with a score, the best first, then those
        without, by their number of tracks. The bound is not among them.
    bound : dict of str to TrackScore
        The information bound by task; tracks without a row of it are absent.
    chance : dict of str to float
        Share of nearest twins by chance, by task; tracks without rows are absent.
    remarks : tuple of str
        What does not count and why, a sentence each, without markup.
    """

    suite: Suite
    lines: tuple[SuiteLine, ...]
    bound: dict[str, TrackScore]
    chance: dict[str, float]
    remarks: tuple[str, ...]

    def of_access(self, access: str) -> tuple[SuiteLine, ...]:
        """Return the methods of a label access."""
        return tuple(line for line in self.lines if line.row.label_access == access)


def chance_share(n_pairs: int) -> float:
    """Return the share of nearest twins of a random order of the 2 n_pairs - 1 candidates.

    Examples
    --------
    >>> chance_share(12_500) == 1 / 24_999
    True
    """
    return 1 / (2 * n_pairs - 1)


def gap_closed(share: float, chance: float, bound: float) -> float | None:
    """Return (share - chance) / (bound - chance); None where the bound is not above chance.

    Examples
    --------
    >>> gap_closed(0.25, 0.0, 0.5), gap_closed(0.0, 0.5, 1.0), gap_closed(0.2, 0.1, 0.1)
    (0.5, -1.0, None)
    """
    return (share - chance) / (bound - chance) if bound > chance else None


def score_suite(
    suite: Suite,
    all_sections: Sequence[Section],
    ranks: Callable[[Sequence[Group]], list[OfSeeds]] = ranks_of,
) -> SuiteScores:
    """Score the methods of a leaderboard over the tracks of a suite.

    Of a method the newest version with rows on any track counts, and each of its settings by
    itself.

    Parameters
    ----------
    suite : Suite
    all_sections : sequence of Section
        As `starbench.leaderboard.statistics.aggregate.sections` sorts them. Of several sections of
        a track in the suite's version the first counts.
    ranks : callable
        From groups to the ranks of each [n_seeds, n_pairs, 2]; by default those on disk.
    """
    used: dict[str, Section] = {}
    for track in suite.compared:
        for section in all_sections:
            if (section.task, section.task_version) == (track.task, track.version):
                used.setdefault(track.task, section)
    in_suite = [used[task] for task in suite.tasks if task in used]
    newest = _newest_versions([group for section in in_suite for group in section.groups])
    by_settings: dict[str, dict[str, TrackScore]] = {}
    bounds: dict[str, TrackScore] = {}
    chance: dict[str, float] = {}
    for track in suite.compared:
        if track.task not in used:
            continue
        groups = used[track.task].groups
        bound = _bound(groups)
        competing = [
            group
            for group in groups
            if group.row.method_version == newest.get(group.row.method)
            and group.label != BOUND
            and _scored(group)
        ]
        if bound is None and not competing:
            continue
        of_bound, scores, by_chance = _on_track(track, bound, competing, ranks)
        if track in suite.tracks:
            chance[track.task] = by_chance
            if of_bound is not None:
                bounds[track.task] = of_bound
        for score in scores:
            by_settings.setdefault(score.group.row.settings_digest, {})[track.task] = score
    lines = sorted(
        (
            _line(suite, tracks, used)
            for tracks in by_settings.values()
            if any(task in tracks for task in suite.tasks)
        ),
        key=_order,
    )
    remarks = _remarks(suite, all_sections, used, bounds, chance)
    return SuiteScores(suite, _with_ranks(lines), bounds, chance, remarks)


def drawn_gap(task: str, score: TrackScore, degrees: float | None = None) -> Floats:
    """Return the gap closed in the joint resamples [n_resamples]; NaN where there is none.

    Parameters
    ----------
    task : str
    score : TrackScore
    degrees : float, optional
        Degrees of freedom of Student's t, by default those of the track's own seeds.
    """
    # Draws of their own for each method and track, whatever else is on the leaderboard.
    names = (score.group.row.settings_digest, task)
    draws = np.random.default_rng([zlib.crc32(name.encode()) for name in names])
    share = mean_over_all_seeds(score.resampled.by_seed, draws, degrees)
    if score.bound is None:
        return np.full(len(share), np.nan)
    reach = score.bound.by_seed.mean(axis=1) - score.chance
    gap: Floats = np.divide(
        share - score.chance, reach, out=np.full(len(share), np.nan), where=reach > 0
    )
    return gap


def compare_lines(a: SuiteLine, b: SuiteLine) -> Comparison:
    """Compare two methods by their scores in the same resamples of the pairs.

    Raises
    ------
    ValueError
        If one has no score.
    """
    if a.score is None or b.score is None:
        raise ValueError("only methods with a score can be compared")
    low, high = interval(a.score.draws - b.score.draws)
    difference = a.score.value - b.score.value
    return Comparison(a.score.value, b.score.value, difference, low, high, a.n_seeds, b.n_seeds)


@dataclass(frozen=True, eq=False)
class SuiteVerdict:
    """How the ranked methods of one label access compare by their scores.

    Attributes
    ----------
    lines : tuple of SuiteLine
        The highest score first.
    comparisons : tuple of Comparison
        Of the first with each of the others.
    """

    lines: tuple[SuiteLine, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def tied(self) -> tuple[int, ...]:
        """Positions of the methods whose score does not differ significantly from the best."""
        return tuple(place for place, each in enumerate(self.comparisons, 1) if not each.separable)


def suite_verdicts(scores: SuiteScores) -> dict[str, SuiteVerdict]:
    """Return the verdict of each label access in which a method has a rank."""
    verdicts = {}
    for access in ACCESS_ORDER:
        ranked = tuple(line for line in scores.of_access(access) if line.rank is not None)
        if ranked:
            compared = tuple(compare_lines(ranked[0], line) for line in ranked[1:])
            verdicts[access] = SuiteVerdict(ranked, compared)
    return verdicts


def choose_lines(scores: SuiteScores, a: str, b: str) -> tuple[SuiteLine, SuiteLine]:
    """Return the lines of two methods that have a score.

    Parameters
    ----------
    scores : SuiteScores
    a, b : str
        Method names; where a method has a score with several settings, followed by the beginning
        of the settings' digest, as in ``fader@1a2b3c4d``.

    Raises
    ------
    RowError
        If a method has no score, or scores with several settings.
    """
    return _choose_line(scores, a), _choose_line(scores, b)


def _choose_line(scores: SuiteScores, name: str) -> SuiteLine:
    method, _, digest = name.partition("@")
    fitting = [
        line
        for line in scores.lines
        if line.row.method == method and line.row.settings_digest.startswith(digest)
    ]
    scored = [line for line in fitting if line.score is not None]
    if len(scored) == 1:
        return scored[0]
    if scored:
        choices = ", ".join(f"{method}@{line.row.settings_digest[:8]}" for line in scored)
        raise RowError(
            f"{name} has rows of several settings on {scores.suite.name}; choose from {choices}"
        )
    if not fitting:
        reason = "the leaderboard has no rows of it"
    elif fitting[0].missing:
        reason = missing_tracks(fitting[0])
    else:
        reason = " ".join(scores.remarks).rstrip(".")
    names = ", ".join(sorted({line.row.method for line in scores.lines if line.score is not None}))
    choice = f"choose from {names}" if names else "run what is missing"
    raise RowError(f"{name} has no score on {scores.suite.name} ({reason}); {choice}")


def missing_tracks(line: SuiteLine) -> str:
    """Return which tracks a method lacks and why, as a phrase without markup."""
    by_reason: dict[str, list[str]] = {}
    for task, reason in line.missing.items():
        by_reason.setdefault(reason, []).append(task)
    return "; ".join(f"{reason} on {joined(tasks)}" for reason, tasks in by_reason.items())


def _newest_versions(groups: Sequence[Group]) -> dict[str, int]:
    newest: dict[str, int] = {}
    for group in groups:
        row = group.row
        newest[row.method] = max(row.method_version, newest.get(row.method, 0))
    return newest


def _bound(groups: Sequence[Group]) -> Group | None:
    """Return the newest rows of the information bound with its default settings."""
    bounds = [group for group in groups if group.label == BOUND and group.entries]
    return max(bounds, key=lambda group: group.row.method_version, default=None)


def _scored(group: Group) -> bool:
    """Return whether the mean over the scored runs is not biased by those that diverged."""
    return bool(group.entries) and len(group.entries) >= len(group.diverged)


def _on_track(
    track: SuiteTrack,
    bound: Group | None,
    groups: Sequence[Group],
    ranks: Callable[[Sequence[Group]], list[OfSeeds]],
) -> tuple[TrackScore | None, list[TrackScore], float]:
    """Return the scores of the bound and of groups on a track, and the share by chance."""
    all_groups = ([] if bound is None else [bound]) + list(groups)
    found = [found_shares(of_seeds, RANKED_BY) for of_seeds in ranks(all_groups)]
    n_pairs = found[0].shape[1]
    counts = resample_pairs(n_pairs, seed=zlib.crc32(track.stars.encode()))
    chance = chance_share(n_pairs)
    resampled = resample_all(found, counts)
    of_bound = None if bound is None else resampled[0]
    scores = [
        TrackScore(
            group,
            method.share,
            chance,
            None if of_bound is None else gap_closed(method.share, chance, of_bound.share),
            method,
            of_bound,
        )
        for group, method in zip(all_groups, resampled, strict=True)
    ]
    return (None, scores, chance) if bound is None else (scores[0], scores[1:], chance)


def _line(suite: Suite, scores: dict[str, TrackScore], used: dict[str, Section]) -> SuiteLine:
    tracks = {task: score for task, score in scores.items() if task in suite.tasks}
    beside = {task: score for task, score in scores.items() if task not in suite.tasks}
    row = next(iter(tracks.values())).group.row
    missing = {
        task: _why_missing(row, used[task].groups if task in used else ())
        for task in suite.tasks
        if task not in tracks
    }
    return SuiteLine(tracks, missing, _score(suite, tracks), beside)


def _score(suite: Suite, tracks: dict[str, TrackScore]) -> SuiteScore | None:
    closed = {
        task: score.gap_closed for task, score in tracks.items() if score.gap_closed is not None
    }
    if len(closed) < len(suite.tracks):
        return None
    weights = {
        track.task: 1 / (len(members) * len(suite.families))
        for members in suite.families.values()
        for track in members
    }
    degrees = _degrees_of_freedom(tracks, weights)
    gaps = [weight * drawn_gap(task, tracks[task], degrees) for task, weight in weights.items()]
    draws: Floats = np.sum(gaps, axis=0)
    families = {
        family: sum(closed[track.task] for track in members) / len(members)
        for family, members in suite.families.items()
    }
    low, high = interval(draws)
    return SuiteScore(sum(families.values()) / len(families), low, high, families, draws)


def _degrees_of_freedom(tracks: dict[str, TrackScore], weights: dict[str, float]) -> float | None:
    """Return Satterthwaite's degrees of freedom; None where seeds agree, or each track has one."""
    total, of_tracks = 0.0, 0.0
    for task, weight in weights.items():
        score = tracks[task]
        by_seed = score.resampled.by_seed.mean(axis=0)
        if score.bound is None or len(by_seed) == 1:
            continue
        variance = by_seed.var(ddof=1) / len(by_seed)
        variance *= (weight / (score.bound.share - score.chance)) ** 2
        total += variance
        of_tracks += variance**2 / (len(by_seed) - 1)
    return total**2 / of_tracks if of_tracks else None


def _why_missing(row: Row, groups: Sequence[Group]) -> str:
    """Say in a phrase why a method has no score on a track."""
    of_method = [group for group in groups if group.row.method == row.method]
    for group in of_method:
        if group.row.settings_digest == row.settings_digest:
            n_runs = len(group.entries) + len(group.diverged)
            return f"{len(group.diverged)} of {n_runs} runs diverged"
    if any(group.row.method_version == row.method_version for group in of_method):
        return "only rows of other settings"
    if of_method:
        return f"only rows of version {max(group.row.method_version for group in of_method)}"
    return "no rows"


def _order(line: SuiteLine) -> tuple[int, bool, bool, bool, float, int, float, str]:
    """Return the key that sorts lines as `SuiteScores.lines` says."""
    shares = [track.share for track in line.tracks.values()]
    return (
        ACCESS_ORDER.index(line.row.label_access),
        line.row.control,
        line.level == "submitted" and not line.row.control,
        line.score is None,
        0.0 if line.score is None else -line.score.value,
        -len(line.tracks),
        -sum(shares),
        f"{line.group.label} {line.row.settings_digest}",
    )


def _with_ranks(lines: Sequence[SuiteLine]) -> tuple[SuiteLine, ...]:
    """Rank the methods of each label access; see `starbench.leaderboard.statistics.verdict`."""

    def ranked(line: SuiteLine) -> bool:
        return (
            line.score is not None
            and not line.row.control
            and line.level != "submitted"
            and line.n_seeds >= MIN_SEEDS
        )

    def rank(line: SuiteLine) -> int:
        better = {
            other.row.method
            for other in lines
            if ranked(other)
            and other.row.label_access == line.row.label_access
            and compare_lines(other, line).low > 0
        }
        return 1 + len(better - {line.row.method})

    return tuple(replace(line, rank=rank(line)) if ranked(line) else line for line in lines)


def _remarks(
    suite: Suite,
    all_sections: Sequence[Section],
    used: dict[str, Section],
    bounds: dict[str, TrackScore],
    chance: dict[str, float],
) -> tuple[str, ...]:
    """Say which rows of the suite's tracks do not count, and why methods have no score."""
    sentences = []
    for track in suite.tracks:
        name = f"{track.task} version {track.version}"
        if track.task not in chance:
            sentences.append(f"No method has a score, as there are no scored rows of {name}.")
        elif track.task not in bounds:
            sentences.append(
                f"No method has a score, as {BOUND} has no row with its default settings on {name}."
            )
        elif bounds[track.task].gap_closed is None:
            sentences.append(f"No method has a score, as the bound of {name} is at chance.")
        others = [section for section in all_sections if section.task == track.task
                  and section is not used.get(track.task)]  # fmt: skip
        versions = sorted({section.task_version for section in others} - {track.version})
        if versions:
            listed = joined([str(version) for version in versions])
            sentences.append(
                f"Rows of {track.task} version {listed} do not count, as {suite.name} has version "
                f"{track.version}."
            )
        if any(section.task_version == track.version for section in others):
            sentences.append(
                f"Of {name} only rows of data {used[track.task].data_fingerprint} and of the "
                "newest metric versions count."
            )
    return tuple(sentences)
