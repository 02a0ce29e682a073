"""Why a method has no score on a suite, and which rows do not count."""

from collections.abc import Sequence

from starbench.common.text import joined
from starbench.leaderboard.statistics.aggregate import Group, Section
from starbench.leaderboard.statistics.suite_scores import SuiteLine, SuiteScores, TrackScore
from starbench.leaderboard.statistics.verdict import BOUND
from starbench.results.schema import Row
from starbench.results.text import RowError
from starbench.tasks.suites import Suite


def remarks_on(
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


def why_missing(row: Row, groups: Sequence[Group]) -> str:
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


def missing_tracks(line: SuiteLine) -> str:
    """Return which tracks a method lacks and why, as a phrase without markup."""
    by_reason: dict[str, list[str]] = {}
    for task, reason in line.missing.items():
        by_reason.setdefault(reason, []).append(task)
    return "; ".join(f"{reason} on {joined(tasks)}" for reason, tasks in by_reason.items())


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
    """Return the line of a method that has a score; see `choose_lines`."""
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
