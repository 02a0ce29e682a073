"""Rows that differ only in their seed, averaged into the lines of a table.

Only comparable rows are averaged. Rows share a `Group` if they have the same method, version,
settings, data and metric versions; groups share a `Section`, and so a table, if they have the same
task, scale, data and metric versions.
"""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from starbench.leaderboard.statistics.columns import COLUMNS, column_values_of_row
from starbench.leaderboard.store.board import Entry
from starbench.leaderboard.store.levels import Level, lowest
from starbench.metrics import family
from starbench.results.schema import Row

ACCESS_ORDER = ("nuisance", "none", "pairs", "oracle")  # the benchmark's main question first
RANKED_BY = "doppelganger_free"  # the share by which methods are ranked, compared and scored


@dataclass(frozen=True)
class Group:
    """Rows that differ only in their seed.

    Attributes
    ----------
    entries : tuple of Entry
        The scored rows, by seed.
    diverged : tuple of Entry
        The rows of the same settings that diverged, by seed.
    mean, deviation : dict of str to float
        By column key: mean over the scored rows, and standard deviation over two or more. Values
        that some scored rows lack are absent.
    partial : dict of str to int
        By column key: how many scored rows have a value that others lack.
    """

    entries: tuple[Entry, ...]
    diverged: tuple[Entry, ...]
    mean: dict[str, float] = field(init=False)
    deviation: dict[str, float] = field(init=False)
    partial: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        """Average the rows."""
        values_by_row = [column_values_of_row(entry.row) for entry in self.entries]
        mean: dict[str, float] = {}
        deviation: dict[str, float] = {}
        partial: dict[str, int] = {}
        for column in COLUMNS:
            values = [each[column.key] for each in values_by_row if column.key in each]
            if values and len(values) < len(values_by_row):
                partial[column.key] = len(values)
            elif values:
                mean[column.key] = statistics.fmean(values)
                if len(values) > 1:
                    deviation[column.key] = statistics.stdev(values)
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "deviation", deviation)
        object.__setattr__(self, "partial", partial)

    @property
    def row(self) -> Row:
        """One of the rows, for what all of them share."""
        return (self.entries or self.diverged)[0].row

    @property
    def level(self) -> Level:
        """The lowest level of its scored rows, as each moves the mean."""
        return lowest(entry.level for entry in self.entries)

    @property
    def key(self) -> str:
        """A unique name: the stem of its first row's file."""
        return (self.entries or self.diverged)[0].path.stem

    @property
    def label(self) -> str:
        """The method, with the settings that differ from its defaults."""
        row = self.row
        changes = [f"preset {row.preset}"] if row.preset else []
        changes += [f"{key} = {value}" for key, value in sorted(row.overrides.items())]
        return f"{row.method} ({', '.join(changes)})" if changes else row.method


@dataclass(frozen=True)
class Section:
    """Groups that may be compared: of one task, one data set and one version of each metric.

    Attributes
    ----------
    task : str
    task_version : int
    scale : str
    data_fingerprint : str
    versions : dict of str to int
        Version of each metric that a row of the section has.
    groups : tuple of Group
        By label access; within it those that may have a rank first, then submitted ones, then
        controls, the best first in each.
    """

    task: str
    task_version: int
    scale: str
    data_fingerprint: str
    versions: dict[str, int]
    groups: tuple[Group, ...]

    def superseded(self, group: Group) -> bool:
        """Return whether the section has rows of a newer version of a group's method.

        Diverged rows count: a newest version that always diverges still supersedes the one before.
        """
        row = group.row
        return any(
            other.row.method == row.method and other.row.method_version > row.method_version
            for other in self.groups
        )


def metric_versions(row: Row) -> dict[str, int]:
    """Return the version of each metric or metric family of a row."""
    return {family(key): estimate.version for key, estimate in sorted(row.metrics.items())}


def sections(entries: Sequence[Entry]) -> list[Section]:
    """Sort rows into sections by task, the newest task and metric versions first.

    Of several data sets of one task version, that with the most rows comes first, so that a single
    row of other data does not displace the others.

    Parameters
    ----------
    entries : sequence of Entry

    Returns
    -------
    list of Section
    """
    by_data = defaultdict(list)
    for entry in sorted(entries, key=lambda entry: entry.path.name):
        row = entry.row
        by_data[row.task, -row.task_version, row.scale, row.data_fingerprint].append(entry)
    result = []
    for (task, negative_version, scale, fingerprint), members in sorted(
        by_data.items(), key=lambda item: (*item[0][:3], -len(item[1]), item[0][3])
    ):
        for versions, comparable in _by_versions(members):
            result.append(
                Section(task, -negative_version, scale, fingerprint, versions, _groups(comparable))
            )
    return result


def rank_order(
    control: bool, level: Level, nearest: float | None, label: str
) -> tuple[bool, bool, bool, float, str]:
    """Return the key that sorts the lines of a table.

    Those that may have a rank come first, then those that nobody has checked, then controls; in
    each the best first.
    """
    return (
        control,
        level == "submitted" and not control,
        nearest is None,
        -(nearest or 0.0),
        label,
    )


def _by_versions(entries: list[Entry]) -> list[tuple[dict[str, int], list[Entry]]]:
    """Split rows into parts with one version of each metric, the newest versions first.

    A metric that a row lacks, as without a decoder, does not restrict its part.
    """
    parts: list[tuple[dict[str, int], list[Entry]]] = []

    def newest_first(entry: Entry) -> tuple[int, int, str]:
        versions = metric_versions(entry.row).values()
        return -max(versions, default=0), -sum(versions), entry.path.name

    for entry in sorted(entries, key=newest_first):
        versions = metric_versions(entry.row)
        for shared, members in parts:
            if all(shared.get(name, version) == version for name, version in versions.items()):
                shared.update(versions)
                members.append(entry)
                break
        else:
            parts.append((dict(versions), [entry]))
    return [(dict(sorted(shared.items())), members) for shared, members in parts]


def _groups(entries: list[Entry]) -> tuple[Group, ...]:
    by_settings = defaultdict(list)
    for entry in entries:
        by_settings[entry.row.settings_digest].append(entry)
    groups = []
    for members in by_settings.values():
        members = sorted(members, key=lambda entry: entry.row.seed)
        groups.append(
            Group(
                tuple(entry for entry in members if entry.row.status == "ok"),
                tuple(entry for entry in members if entry.row.status != "ok"),
            )
        )
    return tuple(
        sorted(
            groups,
            key=lambda group: (
                ACCESS_ORDER.index(group.row.label_access),
                rank_order(
                    group.row.control,
                    group.level,
                    group.mean.get(RANKED_BY),
                    f"{group.label} {group.row.settings_digest}",
                ),
            ),
        )
    )
