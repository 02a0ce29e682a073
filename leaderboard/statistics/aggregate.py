"""From single rows to the lines of a table: rows that differ in nothing but the seed, summed up.

Only what is comparable is averaged. Rows share a `Group` if method, version, settings and data are
the same and no metric has two versions; groups share a `Section`, and so a table, if task, scale
and data are the same and no metric has two versions among them.
"""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from starbench.leaderboard.statistics.columns import COLUMNS, figures_of_row
from starbench.leaderboard.store.board import Entry
from starbench.metrics import family
from starbench.results.schema import Row

_ACCESS = ("nuisance", "none", "pairs", "oracle")  # the question of the benchmark first


@dataclass(frozen=True)
class Group:
    """Rows that differ in nothing but the seed.

    Attributes
    ----------
    entries : tuple of Entry
        By seed; the scored ones.
    diverged : tuple of Entry
        By seed; runs of the same settings that left the finite numbers.
    mean, deviation : dict of str to float
        By column key: the mean over the scored rows, and their standard deviation where there are
        two or more. A figure that not all of them have is absent.
    partial : dict of str to int
        By column key: how many of the scored rows have a figure that not all of them have.
    """

    entries: tuple[Entry, ...]
    diverged: tuple[Entry, ...]
    mean: dict[str, float] = field(init=False)
    deviation: dict[str, float] = field(init=False)
    partial: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        """Sum up the figures."""
        figures = [figures_of_row(entry.row) for entry in self.entries]
        mean, deviation, partial = {}, {}, {}
        for column in COLUMNS:
            values = [each[column.key] for each in figures if column.key in each]
            if values and len(values) < len(figures):
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
        """A row of the group, for what all of them share."""
        return (self.entries or self.diverged)[0].row

    @property
    def key(self) -> str:
        """The name of its first row's file, without the ending: no other group has it."""
        return (self.entries or self.diverged)[0].path.stem

    @property
    def label(self) -> str:
        """The method, with what sets these settings apart from its defaults."""
        row = self.row
        changes = [f"preset {row.preset}"] if row.preset else []
        changes += [f"{key} = {value}" for key, value in sorted(row.overrides.items())]
        return f"{row.method} ({', '.join(changes)})" if changes else row.method


@dataclass(frozen=True)
class Section:
    """Groups that may be compared: one task, one set of data, one version of each metric.

    Attributes
    ----------
    task : str
    task_version : int
    scale : str
    data_fingerprint : str
    versions : dict of str to int
        Version of each metric that a row of the section has.
    groups : tuple of Group
        By label access; within it the controls last, and otherwise the best first.
    """

    task: str
    task_version: int
    scale: str
    data_fingerprint: str
    versions: dict[str, int]
    groups: tuple[Group, ...]

    def superseded(self, group: Group) -> bool:
        """Tell whether the section has rows of a newer version of a group's method.

        Those that diverged count: a newest version that always diverges does not hand its place
        back to the one before.
        """
        row = group.row
        return any(
            other.row.method == row.method and other.row.method_version > row.method_version
            for other in self.groups
        )


def metric_versions(row: Row) -> dict[str, int]:
    """Return the version of each metric of a row; a family of metrics counts once."""
    versions = {}
    for key, figure in sorted(row.metrics.items()):
        versions[family(key)] = figure.version
    return versions


def sections(entries: Sequence[Entry]) -> list[Section]:
    """Sort rows into sections by task, the newest task and metric versions first.

    Of several data of one task version, those with the most rows come first, so that a single row
    that names other data does not push the others from their place.

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
    found = []
    for (task, negative_version, scale, fingerprint), members in sorted(
        by_data.items(), key=lambda item: (*item[0][:3], -len(item[1]), item[0][3])
    ):
        for versions, comparable in _by_versions(members):
            found.append(
                Section(task, -negative_version, scale, fingerprint, versions, _groups(comparable))
            )
    return found


def rank_order(control: bool, nearest: float | None, label: str) -> tuple[bool, bool, float, str]:
    """Return the key that sorts the lines of a table: controls last, otherwise the best first."""
    return control, nearest is None, -(nearest or 0.0), label


def _by_versions(entries: list[Entry]) -> list[tuple[dict[str, int], list[Entry]]]:
    """Split rows so that no metric has two versions within a part, the newest versions first.

    A row without a metric, such as one without a decoder, fits whatever its version.
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
                _ACCESS.index(group.row.label_access),
                rank_order(
                    group.row.control,
                    group.mean.get("doppelganger_free"),
                    f"{group.label} {group.row.settings_digest}",
                ),
            ),
        )
    )
