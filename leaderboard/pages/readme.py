"""The README's table: the best methods of each label access, with noise and without."""

from collections.abc import Sequence
from typing import TypeAlias

from starbench.leaderboard.pages.names import method_name
from starbench.leaderboard.pages.tables import published_name, table
from starbench.leaderboard.statistics.aggregate import ACCESS_ORDER, Group, Section, sections
from starbench.leaderboard.statistics.columns import COLUMNS
from starbench.leaderboard.statistics.judgement import RANKED_BY, Judgement
from starbench.leaderboard.statistics.verdict import BOUND
from starbench.leaderboard.store.board import Entry
from starbench.leaderboard.store.published import published_results
from starbench.metrics import METRICS
from starbench.results.text import RowError

BEGIN, END = "<!-- leaderboard:begin -->", "<!-- leaderboard:end -->"
TASKS = {"apogee-giants": "no noise", "apogee-giants-snr50": "SNR 50"}
BEST = {"nuisance": 4, "none": 2, "pairs": 2, "oracle": 1}  # number of methods of each label access
PUBLISHED = ("fader", "fader (Teff, log g)")  # lines of published.csv for reference
SWAPPED = "swapped_reconstruction_mse"
COLUMN = {column.key: column for column in COLUMNS}

_NOTE = """\
"Nearest" is the share of 25,000 stars whose twin is the nearest star, a mean over seeds with its
95 % interval over seeds and pairs (over pairs only for a single seed). "Swapped MSE" is the squared
error of reconstructions from the twin's latent, without noise. The methods are the best of each
label access at SNR 50. The full board is
[leaderboard/LEADERBOARD.md](leaderboard/LEADERBOARD.md), and all numbers are in
[leaderboard/leaderboard.csv](leaderboard/leaderboard.csv)."""

Track: TypeAlias = dict[str, Group]


def readme_part(entries: Sequence[Entry], judged: Judgement | None = None) -> str:
    """Return the generated part of the README: a table of at most twelve lines and a note.

    Parameters
    ----------
    entries : sequence of Entry
        In any order.
    judged : Judgement, optional
        From the ranks beside the rows; without it the table has no intervals.
    """
    judged = judged or Judgement()
    tracks = _tracks(entries)
    lines = []
    for access in ACCESS_ORDER:
        lines += [_line(tracks, digest, judged) for digest in _best_settings(tracks, access)]
        lines += _published_lines(access)
    nearest = METRICS[RANKED_BY].label
    shares = [f"{nearest}, {noise} [%]" for noise in TASKS.values()]
    header = ("Method", "Label access", *shares, METRICS[SWAPPED].label)
    return f"{table(header, 'llrrr', lines)}\n\n{_NOTE}"


def _tracks(entries: Sequence[Entry]) -> list[Track]:
    """Return the scored, current groups of each task by the digest of their settings."""
    newest: dict[str, Section] = {}
    for section in sections(entries):
        newest.setdefault(section.task, section)
    return [
        {
            group.row.settings_digest: group
            for group in (newest[task].groups if task in newest else ())
            if group.entries and not newest[task].superseded(group)
        }
        for task in TASKS
    ]


def _best_settings(tracks: Sequence[Track], access: str) -> list[str]:
    """Return the digests of the best methods' settings, the best first, and of the bound's."""
    groups = {
        digest: group
        for track in tracks
        for digest, group in track.items()
        if group.row.label_access == access
    }

    def best_first(digest: str) -> tuple[float, ...]:
        shares = (track[digest].mean[RANKED_BY] if digest in track else -1.0 for track in tracks)
        return tuple(-share for share in reversed(list(shares)))

    digests = sorted(groups, key=lambda digest: (*best_first(digest), digest))
    by_method: dict[str, str] = {}
    for digest in digests:
        by_method.setdefault(groups[digest].row.method, digest)
    competing = [digest for digest in by_method.values() if not groups[digest].row.control]
    bound = [digest for method, digest in by_method.items() if method == BOUND]
    return competing[: BEST[access]] + bound


def _line(tracks: Sequence[Track], digest: str, judged: Judgement) -> tuple[str, ...]:
    groups = [track.get(digest) for track in tracks]
    group = next(each for each in groups if each is not None)
    of_task = [other for track in tracks for other in track.values()
               if other.row.task == group.row.task]  # fmt: skip
    return (
        method_name(group, of_task),
        group.row.label_access,
        *(_cell(each, RANKED_BY, judged) for each in groups),
        _cell(groups[0], SWAPPED, judged),
    )


def _cell(group: Group | None, key: str, judged: Judgement) -> str:
    if group is None or key not in group.mean:
        return ""
    interval = judged.intervals.get(group.key, {}).get(key)
    formatted = COLUMN[key].formatted(group.mean[key], interval=interval)
    return rf"{formatted.value} \[{formatted.interval}\]" if interval else formatted.value


def _published_lines(access: str) -> list[tuple[str, ...]]:
    lines = []
    for method in PUBLISHED:
        by_task = {
            line.task: line
            for line in published_results()
            if line.method == method and line.label_access == access
        }
        if first := by_task.get(next(iter(TASKS))):
            shares = [by_task[task].values.get(RANKED_BY) if task in by_task else None
                      for task in TASKS]  # fmt: skip
            lines.append(
                (
                    published_name(first),
                    access,
                    *(_published_cell(RANKED_BY, share) for share in shares),
                    _published_cell(SWAPPED, first.values.get(SWAPPED)),
                )
            )
    return lines


def _published_cell(key: str, value: float | None) -> str:
    return "" if value is None else COLUMN[key].write(value)


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
