"""Tables of the runs of a sweep: their main metrics, and what failed and why."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from tabulate import tabulate

from starbench.metrics import METRICS
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


def runs_in(out: Path) -> list[LocatedRun]:
    """Return the runs that have a folder below `out`, as their rows and paths describe them."""
    runs = []
    for lock in sorted(out.glob("*/*/*/.lock")):
        folder = RunFolder(lock.parent)
        row = row_of(folder)
        if row is None:
            task, method, name = folder.path.parts[-3:]
            run = PlannedRun(method, task, seed=_seed(name))
        else:
            settings = tuple(f"{key}={value}" for key, value in row.overrides.items())
            run = PlannedRun(
                row.method, row.task, scale=row.scale, seed=row.seed, preset=row.preset,
                settings=settings,
            )  # fmt: skip
        runs.append(LocatedRun(run, folder))
    return runs


def _seed(name: str) -> int:
    seed = name.partition("-")[0]
    return int(seed) if seed.isdecimal() else 0


def summary_table(runs: Iterable[LocatedRun]) -> str:
    """Return a table of the main metrics, one line per run."""
    lines = []
    for located in runs:
        run, row = located.run, row_of(located.folder)
        line = {
            "method": run.method if row is None else row.method,
            "task": run.data or run.task if row is None else row.task,
            "settings": " ".join(run.settings) or run.preset or "defaults",
            "seed": run.seed,
            "status": _state_of(located).value,
        }
        for name, form in _COLUMNS.items():
            estimate = None if row is None else row.metrics.get(name)
            line[METRICS[name].label] = "" if estimate is None else f"{estimate.value:{form}}"
        line["fit [s]"] = "" if row is None else f"{row.seconds.get('fit', 0):.0f}"
        lines.append(line)
    return tabulate(lines, headers="keys", disable_numparse=True)


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
