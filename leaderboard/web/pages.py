"""The pages of the site, rendered from templates that escape all text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

import jinja2

from starbench.leaderboard.pages.budget_text import budget_sentence
from starbench.leaderboard.pages.claims import CEILING, LEVELS, REPRESENTATION, SOURCES
from starbench.leaderboard.pages.names import ACCESS_TITLES, remarks
from starbench.leaderboard.pages.tables import mean_with_deviation, seeds, with_interval
from starbench.leaderboard.statistics.aggregate import Group, rank_order
from starbench.leaderboard.statistics.columns import (
    COLUMNS,
    Column,
    column_values,
    column_values_of_row,
    percent,
    two_decimals,
)
from starbench.leaderboard.statistics.verdict import BOUND
from starbench.leaderboard.store.board import Entry
from starbench.leaderboard.store.budgets import budgets
from starbench.leaderboard.store.checks import interval_of
from starbench.leaderboard.store.levels import Level
from starbench.leaderboard.store.published import Published
from starbench.leaderboard.web.approaches import approaches
from starbench.leaderboard.web.drawing import SiteFigure
from starbench.leaderboard.web.heat import level
from starbench.leaderboard.web.maps import element_map
from starbench.leaderboard.web.model import Scored, Standing, Summary, Track
from starbench.leaderboard.web.suite import FAMILY_TITLES, heat_map, suite_verdict_lines
from starbench.leaderboard.web.verdicts import verdict_lines
from starbench.metrics import METRICS
from starbench.metrics.recovery import PER_MILLE, threshold
from starbench.results.schema import Row
from starbench.tasks.card import FAMILIES

_RULES = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'"
)


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes
    ----------
    text : str
    interval : str
        The 95 % interval, empty where there is none.
    order : float
        Sort key; missing values come last when the best come first.
    """

    text: str
    interval: str
    order: float


@dataclass(frozen=True)
class Line:
    """A line of the table of all tracks.

    Attributes
    ----------
    method : str
        Empty for published values.
    name, note, task, track, access, kind : str
        `note` is the source of published values; `track` is the task and whether its rows are old;
        `kind` is empty, ``"control"`` or ``"published"``.
    level : str
        How far its rows have been checked; empty for published values.
    rank : int or None
        None for controls, published values, older versions and submitted rows.
    seeds : str
    rows : tuple of Entry
    cells : tuple of Cell
    """

    method: str
    name: str
    note: str
    task: str
    track: str
    access: str
    kind: str
    level: Level | Literal[""]
    rank: int | None
    seeds: str
    rows: tuple[Entry, ...]
    cells: tuple[Cell, ...]


class Pages:
    """Renders pages from the templates that ship with starbench.

    Parameters
    ----------
    summary : Summary
    published : sequence of Published
    """

    def __init__(self, summary: Summary, published: Sequence[Published]):
        self._tracks = summary.tracks
        self._summary = summary
        self._published = published
        self._budgets = budgets()
        self._templates = jinja2.Environment(
            loader=jinja2.FunctionLoader(_template),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["percent"] = percent
        self._templates.globals |= {
            "columns": [
                {
                    "key": column.key,
                    "title": column.title,
                    "meaning": _meaning(column),
                    "higher": column.higher_is_better,
                }
                for column in COLUMNS
            ],
            "access_titles": ACCESS_TITLES,
            "families": FAMILY_TITLES,
            "rules": _RULES,
            "representation": REPRESENTATION,
            "ceiling": CEILING,
            "sources": SOURCES,
            "levels": LEVELS,
        }

    @property
    def methods(self) -> list[str]:
        """Names of the methods, each of which has a page."""
        return sorted({each.row.method for track in self._tracks for each in track.standings})

    def index(self, figures: Sequence[SiteFigure]) -> str:
        """Return the first page: the suite, the verdicts, and where to go from there."""
        heat, decided = heat_map(self._summary), suite_verdict_lines(self._summary)
        return self._render(
            "index.html",
            root="",
            heat=heat,
            suite_verdicts=decided,
            approaches=approaches(self._summary),
            unranked=[
                part.title
                for part in heat.parts
                if part.competing and part.title not in {each.access for each in decided}
            ],
            verdicts=verdict_lines(self._summary),
            all_tracks=[track for track in self._tracks if track.standings],
            suite=self._summary.suite.suite,
            remarks=self._summary.suite.remarks,
            tracks=self._by_family(),
            methods=self._methods_by_access(),
            bound_method=BOUND,
            figures=figures,
        )

    def results(self) -> str:
        """Return the page with the table of all tracks."""
        lines = [line(each) for track in self._tracks for each in track.standings]
        lines += [_published_line(each) for each in self._published]
        places = {track.task: place for place, track in enumerate(self._tracks)}
        lines.sort(key=lambda each: (places.get(each.task, len(places)), _place(each)))
        accesses = [name for name in ACCESS_TITLES if any(each.access == name for each in lines)]
        return self._render(
            "results.html", root="", lines=lines,
            tracks=list(dict.fromkeys(each.track for each in lines)), accesses=accesses,
            n_rows=sum(len(each.rows) for each in lines),
        )  # fmt: skip

    def track(
        self, track: Track, pictures: Sequence[SiteFigure], figures: Sequence[SiteFigure]
    ) -> str:
        """Return the page of a track."""
        lines = [line(each) for each in track.standings if each.current or not each.group.entries]
        lines += [_published_line(each) for each in self._published if each.task == track.task]
        lines.sort(key=_place)
        places = [
            place
            for place, column in enumerate(COLUMNS)
            if not column.later or any(each.cells[place].text for each in lines)
        ]
        return self._render(
            "track.html",
            places=places,
            root="../",
            track=track,
            base_page=track.card is not None
            and any(each.task == track.card.base for each in self._tracks),
            verdicts=verdict_lines(self._summary, track.task),
            tables={
                title: members
                for access, title in ACCESS_TITLES.items()
                if (members := [each for each in lines if each.access == access])
            },
            older=any(not each.current and each.group.entries for each in track.standings),
            elements=element_map(track),
            level=level,
            two_decimals=two_decimals,
            pictures=pictures,
            figures=figures,
        )

    def method(self, method: str, figures: Sequence[SiteFigure]) -> str:
        """Return the page of a method."""
        standings = self.of_method(method)
        by_settings: dict[str, list[Standing]] = {}
        for each in standings:
            by_settings.setdefault(each.row.settings_digest, []).append(each)
        ordered = sorted(
            by_settings.items(),
            key=lambda item: (-item[1][0].row.method_version, item[1][0].name, item[0]),
        )
        settings = [
            {
                "row": members[0].row,
                "name": members[0].name,
                "digest": digest[:8],
                "lines": [line(each) for each in members],
                "rows": [_run(entry) for each in members for entry in _entries(each.group)],
            }
            for digest, members in ordered
        ]
        scores = [
            heat for of_access in heat_map(self._summary).parts for heat in of_access.lines
            if heat.method == method
        ]  # fmt: skip
        return self._render(
            "method.html", root="../", row=standings[0].row, settings=settings, scores=scores,
            tracks=heat_map(self._summary).tracks, figures=figures,
            budget=budget_sentence(standings[0].row, self._budgets),
        )  # fmt: skip

    def of_method(self, method: str) -> list[Standing]:
        """Return the standings of a method, in the order of the tracks."""
        return [
            each for track in self._tracks for each in track.standings
            if each.row.method == method
        ]  # fmt: skip

    def _by_family(self) -> dict[str, list[Track]]:
        """Return the tracks by family, in the order of `FAMILIES`, unknown families last."""
        names = dict.fromkeys([*FAMILIES, *(track.family for track in self._tracks)])
        by_family = {
            name: [track for track in self._tracks if track.family == name] for name in names
        }
        return {name: members for name, members in by_family.items() if members}

    def _methods_by_access(self) -> dict[str, list[str]]:
        """Return the names of the competing methods by label access, and of the controls."""
        rows = [each.row for track in self._tracks for each in track.standings]
        names: Mapping[str, set[str]] = {
            title: {row.method for row in rows if row.label_access == access and not row.control}
            for access, title in ACCESS_TITLES.items()
        }
        names = {**names, "Controls": {row.method for row in rows if row.control}}
        return {title: sorted(members) for title, members in names.items() if members}

    def _render(self, template: str, **context: Any) -> str:
        return self._templates.get_template(template).render(context)


def line(standing: Standing) -> Line:
    """Return the line of a group of rows."""
    row, group = standing.row, standing.group
    older = "" if standing.current or not group.entries else " (older)"
    return Line(
        row.method,
        standing.name,
        "",
        row.task,
        row.task + older,
        row.label_access,
        "control" if row.control else "",
        group.level,
        standing.rank,
        seeds(group),
        tuple(_entries(group)),
        tuple(_cell(standing, column) for column in COLUMNS),
    )


def _cell(standing: Standing, column: Column) -> Cell:
    text, interval = mean_with_deviation(standing.group, column, _interval(standing, column))
    value = standing.group.mean.get(column.key)
    return Cell(text, f"[{interval}]" if interval else "", _order(value, column))


def _interval(standing: Standing, column: Column) -> tuple[float, float] | None:
    if column.key in PER_MILLE and isinstance(standing, Scored):
        curve = standing.curve
        (place,) = (curve.k == threshold(PER_MILLE[column.key], standing.n_stars)).nonzero()
        if len(place):
            return float(curve.low[place[0]]), float(curve.high[place[0]])
    if len(standing.group.entries) == 1:
        estimate = standing.row.metrics.get(column.key)
        return None if estimate is None else interval_of(estimate)
    return None


def _published_line(line: Published) -> Line:
    values = column_values(line.values)
    return Line(
        "",
        line.method,
        f"{line.source}; {line.gallery_size:,} stars",
        line.task,
        line.task,
        line.label_access,
        "published",
        "",
        None,
        "",
        (),
        tuple(
            Cell(
                column.write(values[column.key]) if column.key in values else "",
                "",
                _order(values.get(column.key), column),
            )
            for column in COLUMNS
        ),
    )


def _place(line: Line) -> tuple[object, ...]:
    """Sort the lines of a track like LEADERBOARD.md: by label access, the best first."""
    nearest = line.cells[0].order if line.cells[0].text else None
    return (
        line.track,
        list(ACCESS_TITLES).index(line.access),
        rank_order(line.kind == "control", line.level or "submitted", nearest, line.name),
    )


def _order(value: float | None, column: Column) -> float:
    if value is None:
        return -1e99 if column.higher_is_better else 1e99
    return value


def _meaning(column: Column) -> str:
    if column.key in METRICS:
        return METRICS[column.key].definition
    return column.meaning.replace("`", "")


def _entries(group: Group) -> list[Entry]:
    return sorted([*group.entries, *group.diverged], key=lambda entry: entry.row.seed)


def _run(entry: Entry) -> dict[str, Any]:
    row: Row = entry.row
    values = column_values_of_row(row)
    first = COLUMNS[0]
    return {
        "row": row,
        "name": entry.path.stem,
        "nearest": with_interval(row.metrics.get(first.key), first),
        "minutes": f"{values['minutes']:.1f}" if "minutes" in values else "",
        "load": _load_in_words(row),
        "level": entry.level,
        "remarks": remarks(row),
        "command": (f"git checkout {row.commit} && " if row.commit else "") + row.command,
    }


def _load_in_words(row: Row) -> str:
    """Return the time of a row in reference kernels and how many runs shared the machine."""
    words = [] if row.kernels is None else [f"{row.kernels:,.0f} kernels"]
    if row.load is not None and row.load.runs_at_once > 1:
        words.append(f"{row.load.runs_at_once} runs at once")
    return ", ".join(words)


def _template(name: str) -> str:
    return (
        files("starbench.leaderboard.web").joinpath("templates", name).read_text(encoding="utf-8")
    )
