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
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from starbench.leaderboard.statistics.aggregate import RANKED_BY, Group, Section
from starbench.leaderboard.statistics.compare import ranks_of
from starbench.leaderboard.statistics.resampling import (
    Floats,
    OfSeeds,
    found_shares,
    mean_over_all_seeds,
    resample_all,
)
from starbench.leaderboard.statistics.suite_order import sorting_key, with_ranks
from starbench.leaderboard.statistics.suite_remarks import remarks_on, why_missing
from starbench.leaderboard.statistics.suite_scores import (
    SuiteLine,
    SuiteScore,
    SuiteScores,
    TrackScore,
)
from starbench.leaderboard.statistics.verdict import BOUND
from starbench.metrics import resample_pairs
from starbench.metrics.bootstrap import interval
from starbench.tasks.suites import Suite, SuiteTrack


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
    used = _used_sections(suite, all_sections)
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
        competing = [group for group in groups if _counts(group, newest)]
        if bound is None and not competing:
            continue
        of_bound, scores, by_chance = _on_track(track, bound, competing, ranks)
        if of_bound is not None:
            bounds[track.task] = of_bound
        if track in suite.tracks:
            chance[track.task] = by_chance
        for score in scores:
            by_settings.setdefault(score.group.row.settings_digest, {})[track.task] = score
    lines = sorted(
        (
            _line(suite, tracks, used)
            for tracks in by_settings.values()
            if any(task in tracks for task in suite.tasks)
        ),
        key=sorting_key,
    )
    remarks = remarks_on(suite, all_sections, used, bounds, chance)
    return SuiteScores(suite, with_ranks(lines), bounds, chance, remarks)


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


def _used_sections(suite: Suite, all_sections: Sequence[Section]) -> dict[str, Section]:
    """Return by task the first section of each track in the suite's version."""
    used: dict[str, Section] = {}
    for track in suite.compared:
        for section in all_sections:
            if (section.task, section.task_version) == (track.task, track.version):
                used.setdefault(track.task, section)
    return used


def _newest_versions(groups: Sequence[Group]) -> dict[str, int]:
    """Return the newest version of each method."""
    newest: dict[str, int] = {}
    for group in groups:
        row = group.row
        newest[row.method] = max(row.method_version, newest.get(row.method, 0))
    return newest


def _bound(groups: Sequence[Group]) -> Group | None:
    """Return the newest rows of the information bound with its default settings."""
    bounds = [group for group in groups if group.label == BOUND and group.entries]
    return max(bounds, key=lambda group: group.row.method_version, default=None)


def _counts(group: Group, newest: Mapping[str, int]) -> bool:
    """Return whether a method's rows are of its newest version, and scored runs the majority.

    Where most runs diverged, the mean over the others is biased.
    """
    return (
        group.row.method_version == newest.get(group.row.method)
        and group.label != BOUND
        and bool(group.entries)
        and len(group.entries) >= len(group.diverged)
    )


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
    """Return a method's line from its scores by task."""
    tracks = {task: score for task, score in scores.items() if task in suite.tasks}
    beside = {task: score for task, score in scores.items() if task not in suite.tasks}
    row = next(iter(tracks.values())).group.row
    missing = {
        task: why_missing(row, used[task].groups if task in used else ())
        for task in suite.tasks
        if task not in tracks
    }
    return SuiteLine(tracks, missing, _score(suite, tracks), beside)


def _score(suite: Suite, tracks: dict[str, TrackScore]) -> SuiteScore | None:
    """Return a method's score; None if a track is missing, or has no gap closed."""
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
