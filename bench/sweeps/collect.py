"""Tables of the runs of a sweep: their main metrics, and what failed and why."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from starbench.common.settings import bounded_int
from starbench.metrics import METRICS
from starbench.results.schema import Row
from starbench.results.text import printable
from starbench.runs.run_folder import RunFolder
from starbench.sweeps.locate import LocatedRun
from starbench.sweeps.plan import PlannedRun
from starbench.sweeps.state import FAULTY, State, reason_of, row_of, state_of

# Metrics of the table, and how each is formatted.
_COLUMNS = {
    "doppelganger_free": ".1%",
    "doppelganger_1": ".1%",
    "swapped_reconstruction_mse": ".2e",
}
_WIDTH_OF_REASONS = 80
# Columns that are shown where they differ: anywhere, or within one task or method.
_CONDITIONS = {"scale": None, "device": None, "task version": "task", "method version": "method"}


def runs_in(out: Path) -> list[LocatedRun]:
    """Return the runs that have a folder below `out`, as their rows and paths describe them.

    Copies may lack the hidden lock, which many programs leave out; a row tells them.
    """
    runs = []
    files = (file for name in (".lock", "row.json") for file in out.glob(f"*/*/*/{name}"))
    for path in sorted({file.parent for file in files}):
        folder = RunFolder(path)
        row = row_of(folder)
        if row is None:
            task, method, name = folder.path.parts[-3:]
            scale = folder.read_settings().get("scale")
            scale = scale if isinstance(scale, str) and scale else None
            run = PlannedRun(method, task, scale=scale, seed=_seed(name))
        else:
            settings = tuple(f"{key}={value}" for key, value in row.overrides.items())
            run = PlannedRun(
                row.method, row.task, scale=row.scale, seed=row.seed, preset=row.preset,
                settings=settings,
            )  # fmt: skip
        runs.append(LocatedRun(run, folder))
    return runs


def _seed(name: str) -> int:
    """Return the seed in the name of a run's folder, or 0 where that names none."""
    seed = name.partition("-")[0]
    return (bounded_int(seed) if seed.isdecimal() else None) or 0


def chosen(
    runs: Iterable[LocatedRun],
    *,
    tasks: Collection[str] = (),
    seeds: Collection[int] = (),
    scale: str | None = None,
) -> list[LocatedRun]:
    """Return the runs of some tasks, some seeds and a scale; of all where none is given."""
    return [
        each
        for each in runs
        if (not tasks or each.run.task in tasks)
        and (not seeds or each.run.seed in seeds)
        and (scale is None or each.run.scale == scale)
    ]


def summary_table(runs: Iterable[LocatedRun]) -> str:
    """Return a table of the main metrics, one line per run.

    Scale, device and versions have columns where runs differ in them, as figures of different ones
    are not comparable.
    """
    lines = []
    for located in runs:
        run, folder = located.run, located.folder
        row = row_of(folder)
        line = {
            "method": run.method if row is None else row.method,
            "task": run.data or run.task if row is None else row.task,
            "settings": " ".join(run.settings) or run.preset or "defaults",
            "seed": run.seed,
            **_conditions(run, folder, row),
            "status": _state_of(located).value,
        }
        for name, form in _COLUMNS.items():
            estimate = None if row is None else row.metrics.get(name)
            line[METRICS[name].label] = "" if estimate is None else f"{estimate.value:{form}}"
        line["fit [s]"] = "" if row is None else f"{row.seconds.get('fit', 0):.0f}"
        lines.append(line)
    for name, whose in _CONDITIONS.items():
        found = {(line[whose] if whose else "", line[name]) for line in lines if line[name] != ""}
        if len(found) == len({of for of, _ in found}):
            for line in lines:
                del line[name]
    return tabulate(lines, headers="keys", disable_numparse=True)


def _conditions(run: PlannedRun, folder: RunFolder, row: Row | None) -> dict[str, Any]:
    """Return what a run was made under; empty texts where that is not known."""
    if row is None:
        settings = folder.read_settings()
        found = [run.scale or settings.get("scale"), settings.get("device_type"),
                 settings.get("task_version"), settings.get("method_version")]  # fmt: skip
    else:
        device = row.hardware.device.partition(":")[0]
        found = [row.scale, device, row.task_version, row.method_version]
    words = ("" if value is None else printable(value) for value in found)
    return dict(zip(_CONDITIONS, words, strict=True))


def faults_table(runs: Iterable[LocatedRun], faulty: Collection[State] = FAULTY) -> str:
    """Return a table of the runs in faulty states, and why; empty without any."""
    lines = [
        {
            "run": str(located.run),
            "status": state.value,
            "why": located.fault or reason_of(located.folder),
            "folder": "" if located.fault else located.folder.path,
        }
        for located in runs
        if (state := _state_of(located)) in faulty
    ]
    widths = [None, None, _WIDTH_OF_REASONS, None]
    return tabulate(lines, headers="keys", disable_numparse=True, maxcolwidths=widths)


def counts(runs: Sequence[LocatedRun]) -> str:
    """Return how many runs are in which state, in words."""
    found = Counter(map(_state_of, runs))
    return ", ".join(f"{found[state]} {state.value}" for state in State if found[state])


def _state_of(located: LocatedRun) -> State:
    """Return how far a run is; one that cannot be started has failed."""
    return state_of(located.folder) if located.fault is None else State.FAILED
