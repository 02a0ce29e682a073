"""Write the site: pages, figures, rows and static files, in one folder."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from starbench.common.files import atomic_path
from starbench.leaderboard.store.board import Entry
from starbench.leaderboard.store.published import published_results
from starbench.leaderboard.store.task import BoardTask
from starbench.leaderboard.store.traces import Trace, read_trace
from starbench.leaderboard.web.drawing import SiteFigure
from starbench.leaderboard.web.figures import comparisons
from starbench.leaderboard.web.method_figures import (
    method_recovery,
    method_spectra,
    method_training,
)
from starbench.leaderboard.web.model import Progress, Scored, Standing, no_progress, tracks
from starbench.leaderboard.web.pages import Pages
from starbench.results.schema import row_text
from starbench.results.text import RowError, printable
from starbench.runs.diagnostics import declared_diagnostics

MARK = "starbench leaderboard site"  # in every page of a site


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
        A folder that does not exist, is empty, or holds a site.
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
        If the folder holds anything else, or a file beside a row is invalid.
    """
    out = Path(out)
    _check_free(out)
    with atomic_path(out) as staged:
        sizes = {}
        for name, content in _contents(entries, get_task, progress):
            path = staged / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            sizes[name] = len(content)
    return sizes


def _check_free(out: Path) -> None:
    if not out.exists():
        return
    index = out / "index.html"
    is_site = index.is_file() and MARK in index.read_text(encoding="utf-8", errors="replace")
    if not is_site and (not out.is_dir() or any(out.iterdir())):
        raise RowError(
            f"--out {printable(out)}: holds something other than a site; name a new or an "
            "empty folder"
        )


def _contents(
    entries: Sequence[Entry], get_task: Callable[[str], BoardTask], progress: Progress
) -> Iterator[tuple[str, bytes]]:
    """Yield the path and the bytes of every file."""
    all_tracks = tracks(entries, get_task, progress)
    pages = Pages(all_tracks, published_results())
    yield "index.html", pages.index().encode()
    drawn = [figure for draw in progress(comparisons(all_tracks)) if (figure := draw()) is not None]
    for figure in drawn:
        yield f"figures/{figure.name}.svg", figure.image
    yield "figures.html", pages.comparison(drawn).encode()
    names = {track.task: track.nuisance_names for track in all_tracks}
    for method in progress(pages.methods):
        drawn = _method_figures(method, pages.of_method(method), names)
        for figure in drawn:
            yield f"figures/{figure.name}.svg", figure.image
        yield f"methods/{method}.html", pages.method(method, drawn).encode()
    for entry in entries:
        yield f"rows/{entry.path.name}", row_text(entry.row).encode()
    yield from _static(files("starbench.leaderboard.web").joinpath("static"), "static")


def _method_figures(
    method: str, standings: Sequence[Standing], names: Mapping[str, Sequence[str]]
) -> list[SiteFigure]:
    """Draw a method's figures, on each track for its best current settings."""
    best: dict[str, Scored] = {}
    for standing in standings:
        if standing.current and isinstance(standing, Scored):
            best.setdefault(standing.row.task, standing)
    runs: dict[str, list[Trace]] = {
        task: [read_trace(entry.path) for entry in standing.group.entries]
        for task, standing in best.items()
    }
    examples = {
        task: next(trace.example for trace in traces if trace.example is not None)
        for task, traces in runs.items()
        if any(trace.example is not None for trace in traces)
    }
    figures = (
        method_recovery(method, list(best.values())),
        method_training(method, runs, declared_diagnostics(method)),
        method_spectra(method, examples, names),
    )
    return [figure for figure in figures if figure is not None]


def _static(folder: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _static(item, f"{name}/{item.name}")
        else:
            yield f"{name}/{item.name}", item.read_bytes()
