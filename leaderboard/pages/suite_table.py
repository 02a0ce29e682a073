"""The table of a suite: methods by tracks, with the score over all of them."""

from textwrap import fill

from tabulate import tabulate

from starbench.leaderboard.pages.budget_text import HOW, tried
from starbench.leaderboard.pages.escape import markdown
from starbench.leaderboard.pages.names import method_name
from starbench.leaderboard.pages.order_text import order_section
from starbench.leaderboard.pages.survival_text import survival_section
from starbench.leaderboard.pages.tables import table
from starbench.leaderboard.pages.verdict_text import points
from starbench.leaderboard.statistics.columns import percent
from starbench.leaderboard.statistics.suite_order import suite_verdicts
from starbench.leaderboard.statistics.suite_remarks import missing_tracks
from starbench.leaderboard.statistics.suite_scores import (
    SuiteLine,
    SuiteScore,
    SuiteScores,
    TrackScore,
)
from starbench.leaderboard.statistics.verdict import BOUND, MIN_SEEDS
from starbench.leaderboard.store.budgets import budgets
from starbench.leaderboard.store.levels import lowest

WIDTH = 100  # of the notes in the terminal
_NAME_WIDTH = 32

_HOW = """\
The columns of tracks give the share of stars whose twin is nearest [%], a mean over seeds. The
score is the mean over families of the mean over their tracks of the gap closed, (share - chance) /
(bound - chance). The bound is that of `information-bound`, on the last line; chance is one in all
candidates. A method has a score if it has rows on every track, and methods are compared only within
one label access. Brackets are the 95 % interval of the score over pairs and seeds: tracks of the
same stars share the resampled pairs, and Student's t accounts for the number of seeds. No method
moves the score of another."""

_RANKS = """\
Rank: 1 + the number of methods of the same label access whose score is significantly higher.
Controls have none, nor have methods with fewer than three seeds on a track, whose interval omits or
hardly knows the scatter between seeds, nor methods with a row that is only submitted. "Seeds" is
the fewest on any track, "Level" the lowest of any row."""


def short_names(scores: SuiteScores) -> dict[str, str]:
    """Return for each column its task without the beginning that it shares with the first.

    The first track keeps its name.
    """
    first, *others = scores.columns
    return {first: first} | {task: task.removeprefix(first) for task in others}


def beside_note(scores: SuiteScores) -> str:
    """Return a sentence on the columns that count in no score; empty without one."""
    short = short_names(scores)
    names = [short[task] for task in short if task not in scores.suite.tasks]
    if not names:
        return ""
    show, count = ("shows", "counts") if len(names) == 1 else ("show", "count")
    return f"{', '.join(names)} {show} the share of nearest siblings, and {count} in no score."


def families(scores: SuiteScores) -> str:
    """Return the tracks of each family in words, such as ``noise: -snr100, -snr50``."""
    short = short_names(scores)
    return "; ".join(
        f"{family}: {', '.join(short[track.task] for track in members)}"
        for family, members in scores.suite.families.items()
    )


def score_text(score: SuiteScore | None) -> str:
    """Return a score in per cent with its interval; empty without one."""
    if score is None:
        return ""
    return rf"{percent(score.value)} \[{percent(score.low)}, {percent(score.high)}\]"


def suite_cells(line: SuiteLine, scores: SuiteScores) -> list[str]:
    """Return the score and the share on each track, as Markdown."""
    return [score_text(line.score), *_shares(line.tracks | line.beside, scores)]


def bound_cells(scores: SuiteScores) -> list[str]:
    """Return the cells of the bound, as `suite_cells` does."""
    return ["", *_shares(scores.bound, scores)]


def bound_level(scores: SuiteScores) -> str:
    """Return the lowest level of the rows of the bound."""
    return lowest(track.group.level for track in scores.bound.values())


def headings(scores: SuiteScores) -> list[str]:
    """Return the titles of the columns of `suite_cells`."""
    return ["Score [%]", *map(markdown, short_names(scores).values())]


def suite_section(scores: SuiteScores) -> list[str]:
    """Return the blocks of the section on a suite in LEADERBOARD.md."""
    groups, known = [line.group for line in scores.lines], budgets()
    lines = [
        (
            str(line.rank or ""),
            method_name(line.group, groups),
            line.level,
            line.row.label_access,
            str(line.n_seeds),
            tried(line.row, known),
            *suite_cells(line, scores),
        )
        for line in scores.lines
    ]
    lines.append(
        ("", f"{BOUND} *(control)*", bound_level(scores), "oracle", "", "", *bound_cells(scores))
    )
    header = ("Rank", "Method", "Level", "Label access", "Seeds", "Tried", *headings(scores))
    return [
        f"## The suite {markdown(scores.suite.name)}",
        table(header, "rlll" + "r" * (len(header) - 4), lines),
        *_verdicts(scores),
        _HOW,
        markdown(f"Families: {families(scores)}. {beside_note(scores)}".strip()),
        _RANKS,
        HOW,
        *_left_out(scores),
        *map(markdown, scores.remarks),
        *survival_section(scores),
        *order_section(scores),
    ]


def suite_text(scores: SuiteScores) -> str:
    """Return the table for the terminal, and what does not count."""
    lines = [
        [
            line.rank or "",
            line.group.label + (" (control)" if line.row.control else ""),
            line.level,
            line.row.label_access,
            line.n_seeds,
            *(cell.replace("\\", "") for cell in suite_cells(line, scores)),
        ]
        for line in scores.lines
    ]
    lines.append(
        ["", f"{BOUND} (control)", bound_level(scores), "oracle", "", *bound_cells(scores)]
    )
    header = ["Rank", "Method", "Level", "Label\naccess", "Seeds", "Score [%]"]
    header += [name.strip("-").replace("-", "\n") for name in short_names(scores).values()]
    rows = tabulate(
        lines,
        headers=header,
        colalign=["right", "left", "left", "left", *["right"] * (len(header) - 4)],
        maxcolwidths=[None, _NAME_WIDTH],
        disable_numparse=True,
    )
    note = (
        "Share of stars whose twin is nearest [%] on each track; the score is the mean over "
        f"families ({families(scores)}) of the gap between chance and the information bound that a "
        "method closes, with its 95 % interval. Methods without a score lack tracks; methods with "
        "fewer than three seeds on a track, or with a row that is only submitted, have no rank. "
        f"{beside_note(scores)}"
    )
    return "\n\n".join([rows, *(fill(text, WIDTH) for text in (note, *scores.remarks))])


def _shares(tracks: dict[str, TrackScore], scores: SuiteScores) -> list[str]:
    return [percent(tracks[task].share) if task in tracks else "" for task in scores.columns]


def _verdicts(scores: SuiteScores) -> list[str]:
    """Return a list of the best method of each label access in which methods have ranks."""
    items = []
    for access, verdict in suite_verdicts(scores).items():
        groups = [line.group for line in verdict.lines]
        names = [method_name(group, groups) for group in groups]
        text = f"- Label access {access}: **{names[0]}** has the highest score"
        if verdict.comparisons:
            lead = points(verdict.comparisons[0])
            text += f" of the {len(names)} ranked methods, {lead} above {names[1]}"
        tied = [names[place] for place in verdict.tied]
        text += f"; statistically tied with it: {', '.join(tied)}" if tied else ""
        items.append(f"{text}.")
    return ["\n".join(items)] if items else []


def _left_out(scores: SuiteScores) -> list[str]:
    """Say which methods have no score or no rank, and why."""
    groups = [line.group for line in scores.lines]
    by_reason: dict[str, list[str]] = {}
    few, unchecked = [], []
    for line in scores.lines:
        name = method_name(line.group, groups)
        if line.row.control:
            continue
        if line.missing:
            by_reason.setdefault(missing_tracks(line), []).append(name)
        elif line.score is not None and line.n_seeds < MIN_SEEDS:
            few.append(name)
        elif line.score is not None and line.level == "submitted":
            unchecked.append(name)
    blocks = []
    if by_reason:
        reasons = "\n".join(
            f"- {markdown(reason)}: {', '.join(names)}" for reason, names in by_reason.items()
        )
        blocks += ["Without a score, as tracks are missing:", reasons]
    if few:
        blocks.append(f"Without a rank, as they have fewer than three seeds: {', '.join(few)}.")
    if unchecked:
        blocks.append(f"Without a rank, as a row is only submitted: {', '.join(unchecked)}.")
    return blocks
