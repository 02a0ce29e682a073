"""The README's table: the best methods of each approach on the tracks of the suite."""

from textwrap import fill

from starbench.leaderboard.pages.names import method_name
from starbench.leaderboard.pages.suite_table import (
    beside_note,
    bound_cells,
    bound_level,
    families,
    headings,
    suite_cells,
)
from starbench.leaderboard.pages.tables import published_name, table
from starbench.leaderboard.statistics.aggregate import ACCESS_ORDER, RANKED_BY
from starbench.leaderboard.statistics.columns import percent
from starbench.leaderboard.statistics.suite_remarks import missing_tracks
from starbench.leaderboard.statistics.suite_scores import SuiteLine, SuiteScores
from starbench.leaderboard.statistics.verdict import BOUND
from starbench.leaderboard.store.published import published_results
from starbench.methods.approaches import ADVERSARY, MEANINGS, TWINS, approach
from starbench.results.text import RowError

BEGIN, END = "<!-- leaderboard:begin -->", "<!-- leaderboard:end -->"
SEVERAL = {ADVERSARY: 2, TWINS: 2}  # number of methods of an approach that are shown, if not one
PUBLISHED = ("fader", "fader (Teff, log g)")  # lines of published.csv for reference

_WIDTH = 100
_NOTE = """\
Share of stars whose twin is the nearest star [%], a mean over seeds, on each track of the suite
`{suite}` ({families}). The last line is the information bound: the highest share that a latent
computed from the spectrum can reach where the generator of the spectra is known. The score is the
mean over families of the gap between chance and that bound which a method closes, with its 95 %
interval over seeds and pairs. The methods are the best of each approach; those whose rows were
reproduced (a second run agreed) or confirmed (their fixed state did as well on new stars) come
before those that were only submitted. Label access is `none` for "no labels", `pairs` for "twins",
`oracle` for "compositions" and `nuisance` for the other approaches.{without}{beside} Published
values are of other spectra. The full board is
[leaderboard/LEADERBOARD.md](leaderboard/LEADERBOARD.md), and all numbers are in
[suite.csv](leaderboard/suite.csv) and [leaderboard.csv](leaderboard/leaderboard.csv)."""


def readme_part(scores: SuiteScores) -> str:
    """Return the generated part of the README: a table of at most twelve lines and a note.

    Parameters
    ----------
    scores : SuiteScores
    """
    lines, shown = [], []
    for access in ACCESS_ORDER:
        groups = [line.group for line in scores.of_access(access)]
        for line in _best(scores, access):
            shown.append(line)
            name, kind = method_name(line.group, groups), approach(line.row.method, access)
            lines.append((name, kind, line.level, *suite_cells(line, scores)))
        lines += _published_lines(scores, access)
    lines.append((f"{BOUND} *(control)*", "", bound_level(scores), *bound_cells(scores)))
    header = ("Method", "Approach", "Level", *headings(scores))
    without = " Those without a score lack tracks." if any(map(missing_tracks, shown)) else ""
    beside = f" {note}" if (note := beside_note(scores)) else ""
    note = _NOTE.format(
        suite=scores.suite.name, families=families(scores), without=without, beside=beside
    )
    wrapped = fill(note, _WIDTH, break_long_words=False, break_on_hyphens=False)
    return f"{table(header, 'lll' + 'r' * (len(header) - 3), lines)}\n\n{wrapped}"


def _best(scores: SuiteScores, access: str) -> list[SuiteLine]:
    """Return the best methods of each approach of a label access, each with its best settings."""
    by_approach: dict[str, dict[str, SuiteLine]] = {}
    for line in scores.of_access(access):
        if not line.row.control:
            method = line.row.method
            by_approach.setdefault(approach(method, access), {}).setdefault(method, line)
    return [
        line
        for name in MEANINGS
        for line in list(by_approach.get(name, {}).values())[: SEVERAL.get(name, 1)]
    ]


def _published_lines(scores: SuiteScores, access: str) -> list[tuple[str, ...]]:
    tasks = scores.suite.tasks
    lines = []
    for method in PUBLISHED:
        by_task = {
            line.task: line
            for line in published_results()
            if line.method == method and line.label_access == access and line.task in tasks
        }
        if not by_task:
            continue
        shares = [by_task[task].values.get(RANKED_BY) if task in by_task else None
                  for task in scores.columns]  # fmt: skip
        cells = ["" if share is None else percent(share) for share in shares]
        name = published_name(next(iter(by_task.values())))
        kind = approach(method.partition(" (")[0], access)
        lines.append((name, kind, "", "", *cells))
    return lines


def with_table(readme: str, content: str, name: str = "README.md") -> str:
    """Return a README with the text between its leaderboard markers replaced.

    Raises
    ------
    RowError
        Unless both markers appear exactly once, in order.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise RowError(
            f"{name}: the lines `{BEGIN}` and `{END}` should appear once each, in this order; "
            "add them"
        )
    return f"{before}{BEGIN}\n\n{content}\n\n{END}{after}"
