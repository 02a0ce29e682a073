"""Write the site: pages, figures, rows and static files, in one folder."""

import json
import lzma
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from starbench.common.files import atomic_path
from starbench.leaderboard.store.board import Entry
from starbench.leaderboard.store.published import published_results
from starbench.leaderboard.store.task import BoardTask
from starbench.leaderboard.store.traces import Trace, read_trace, reading_traces
from starbench.leaderboard.web.drawing import SiteFigure
from starbench.leaderboard.web.heat import style_sheet
from starbench.leaderboard.web.method_figures import (
    method_profile,
    method_spectra,
    method_training,
)
from starbench.leaderboard.web.model import (
    Progress,
    Scored,
    Standing,
    Track,
    no_progress,
    summarise,
)
from starbench.leaderboard.web.pages import Pages
from starbench.leaderboard.web.pictures import track_picture
from starbench.leaderboard.web.track_figures import casts, noise_figure, track_figures
from starbench.results.example import Example
from starbench.results.schema import row_text
from starbench.results.text import RowError, printable
from starbench.runs.diagnostics import declared_diagnostics

LIST = "files.txt"  # the paths of all files of a site, one a line


def build_site(
    entries: Sequence[Entry],
    out: Path,
    *,
    get_task: Callable[[str], BoardTask],
    progress: Progress = no_progress,
) -> dict[str, int]:
    """Write the site, replacing an older one.

    Parameters
    ----------
    entries : sequence of Entry
    out : pathlib.Path
        A folder that does not exist, is empty, or holds a site and nothing else.
    get_task : callable
        From a task's name to the task.
    progress : callable
        Wraps a list whose items take time.

    Returns
    -------
    dict of str to int
        Bytes of each file by its path in the site.

    Raises
    ------
    RowError
        If the folder holds anything else, such as ``.git`` or a file named ``CNAME``, or a file
        beside a row is invalid.
    """
    out = Path(out)
    _check_free(out)
    with atomic_path(out) as staged:
        sizes: dict[str, int] = {}

        def write(name: str, content: bytes) -> None:
            path = staged / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            sizes[name] = len(content)

        with reading_traces(entry.path for entry in entries):
            for name, content in _contents(entries, get_task, progress):
                write(name, content)
        write(LIST, "".join(f"{name}\n" for name in sorted([*sizes, LIST])).encode())
    return sizes


def _check_free(out: Path) -> None:
    """Raise unless all that the folder holds was written by an earlier call: it is replaced."""
    if not out.exists():
        return
    if not out.is_dir():
        raise RowError(f"--out {printable(out)}: is a file; name a new or an empty folder")
    listed = out / LIST
    lines = listed.read_text(encoding="utf-8", errors="replace") if listed.is_file() else ""
    own = set(lines.splitlines())
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        if name not in own and (path.is_symlink() or not path.is_dir() or not any(path.iterdir())):
            raise RowError(
                f"--out {printable(out)}: holds {printable(name)}, which no site has; name a new "
                "or an empty folder"
            )


def _contents(
    entries: Sequence[Entry], get_task: Callable[[str], BoardTask], progress: Progress
) -> Iterator[tuple[str, bytes]]:
    """Yield the path and the bytes of every file."""
    summary = summarise(entries, get_task, progress)
    pages = Pages(summary, published_results())
    of_casts = casts(summary.tracks)
    noise = noise_figure(summary.tracks, of_casts)
    drawn = [noise] if noise else []
    yield from _images(drawn)
    yield "index.html", pages.index(drawn).encode()
    yield "results.html", pages.results().encode()
    for track in progress(summary.tracks):
        pictures, drawn = track_picture(track), track_figures(track, of_casts)
        yield from _images([*pictures, *drawn])
        yield f"tracks/{track.task}.html", pages.track(track, pictures, drawn).encode()
    for method in progress(pages.methods):
        drawn = _method_figures(method, pages.of_method(method), summary.tracks)
        yield from _images(drawn)
        yield f"methods/{method}.html", pages.method(method, drawn).encode()
    yield "rows.jsonl.xz", _archive(entries)
    yield "static/heat.css", style_sheet().encode()
    yield from _static(files("starbench.leaderboard.web").joinpath("static"), "static")


def _images(figures: Iterable[SiteFigure]) -> Iterator[tuple[str, bytes]]:
    for figure in figures:
        for panel in figure.panels:
            yield f"figures/{panel.name}.svg", panel.image


def _method_figures(
    method: str, standings: Sequence[Standing], tracks: Sequence[Track]
) -> list[SiteFigure]:
    """Draw a method's figures, on each track for its best current settings."""
    best: dict[str, Scored] = {}
    for standing in standings:
        if standing.current and isinstance(standing, Scored):
            best.setdefault(standing.row.task, standing)
    runs: dict[str, list[Trace]] = {}
    examples: dict[str, Example] = {}
    for track in tracks:
        if track.task not in best:
            continue
        traces = [read_trace(entry.path) for entry in best[track.task].group.entries]
        runs.setdefault(track.family, []).extend(traces)
        # The first track of each family: eleven spectra of one method would be mostly alike.
        first = next(each.task for each in tracks if each.family == track.family)
        stars = [trace.example for trace in traces if trace.example is not None]
        if stars and track.task == first:
            examples[track.task] = stars[0]
    figures = (
        method_profile(method, tracks, best),
        method_training(method, runs, declared_diagnostics(method)),
        method_spectra(method, examples, {track.task: track.nuisance_names for track in tracks}),
    )
    return [figure for figure in figures if figure is not None]


def _archive(entries: Sequence[Entry]) -> bytes:
    """Return all rows, one a line with the name of its file, as an xz file.

    Files of their own would be larger than the figures. Gzip takes a third more.
    """
    lines = [
        json.dumps({"file": entry.path.name, **json.loads(row_text(entry.row))})
        for entry in sorted(entries, key=lambda entry: entry.path.name)
    ]
    return lzma.compress("".join(f"{line}\n" for line in lines).encode(), preset=9)


def _static(folder: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _static(item, f"{name}/{item.name}")
        else:
            yield f"{name}/{item.name}", item.read_bytes()
