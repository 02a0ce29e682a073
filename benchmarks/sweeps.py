"""Run one plan in every way that a sweep can be run, or kill a sweep again and again: same rows.

``python -m benchmarks.sweeps ways`` runs it one run after the other, two at a time, in two shards
at once, through submitit's local executor, and on a Dask cluster whose workers are killed at
random. ``python -m benchmarks.sweeps kills`` kills the process group of a sweep at random moments
and starts it again. Both fail if the rows differ in more than time and machine.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import psutil
from tabulate import tabulate

from starbench.sweeps.groups import expand_methods, expand_tasks
from starbench.sweeps.plan import PlannedRun, make_plan, parse_seeds, write_plan

# Of time and machine; all else must be equal.
MACHINE = ("seconds", "load", "peak_memory_mb", "hardware")
Rows = dict[str, dict[str, Any]]


class Sweep:
    """Commands that work off one plan into a folder."""

    def __init__(self, plan: Path, out: Path) -> None:
        self.out = out
        self.command = [
            sys.executable, "-m", "starbench", "sweep", "--from-plan", str(plan),
            "--out", str(out), "--device", "cpu", "--threads", "1", "--quiet",
        ]  # fmt: skip

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """Start the sweep in a process group of its own."""
        return subprocess.Popen(
            [*self.command, *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def run(self, *options: str) -> None:
        """Run the sweep to its end."""
        ended(self.start(*options))

    def rows(self) -> Rows:
        """Return the rows by their folder, without what time and machine decide."""
        rows = {}
        for path in self.out.glob("*/*/*/row.json"):
            content = json.loads(path.read_text())
            for name in MACHINE:
                del content[name]
            rows[str(path.parent.relative_to(self.out))] = content
        return rows


def ended(sweep: subprocess.Popen[bytes]) -> None:
    """Wait for a sweep; fail unless it has run to its end, where a run may have diverged."""
    if sweep.wait() not in (0, 1):
        raise click.ClickException(f"a sweep ended with exit code {sweep.returncode}")


def differences(rows: Rows, expected: Rows) -> list[str]:
    """Return a sentence for each row that is not the expected one."""
    found = [f"{folder} is missing" for folder in expected.keys() - rows.keys()]
    found += [f"{folder} is not expected" for folder in rows.keys() - expected.keys()]
    for folder in rows.keys() & expected.keys():
        row, other = rows[folder], expected[folder]
        names = [name for name in row.keys() | other.keys() if row.get(name) != other.get(name)]
        if names:
            found.append(f"{folder} differs in {', '.join(sorted(names))}")
    return sorted(found)


def require_equal(rows: Rows, expected: Rows) -> None:
    """Fail unless the rows are the expected ones."""
    if found := differences(rows, expected):
        raise click.ClickException("; ".join(found))


def kill_workers(sweep: subprocess.Popen[bytes], pause: float, kills: int) -> int:
    """Kill random workers of a sweep's Dask cluster while it runs; return how many."""
    killed = 0
    draws = random.Random(0)
    parent = psutil.Process(sweep.pid)
    while sweep.poll() is None and killed < kills:
        time.sleep(draws.uniform(0.5, 1.5) * pause)
        workers = [each for each in parent.children() if "spawn_main" in " ".join(each.cmdline())]
        if workers and sweep.poll() is None:
            draws.choice(workers).kill()
            killed += 1
    return killed


def sequential(sweep: Sweep) -> str:
    sweep.run()
    return ""


def two_jobs(sweep: Sweep) -> str:
    sweep.run("--jobs", "2")
    return ""


def two_shards(sweep: Sweep) -> str:
    shards = [sweep.start("--shard", f"{number}/2") for number in (1, 2)]
    for shard in shards:
        ended(shard)
    return ""


def submitit_local(sweep: Sweep) -> str:
    config = sweep.out.with_suffix(".yml")
    config.write_text("executor: local\nminutes: 600\n")
    sweep.run("--backend", "submitit", "--config", str(config), "--jobs", "2", "--wait")
    return ""


def dask_with_kills(sweep: Sweep, pause: float = 30.0, kills: int = 6) -> str:
    config = sweep.out.with_suffix(".yml")
    config.write_text("cluster: local\nworkers: 2\n")
    process = sweep.start("--backend", "dask", "--config", str(config))
    killed = kill_workers(process, pause, kills)
    ended(process)
    return f"{killed} workers killed"


WAYS: dict[str, Callable[[Sweep], str]] = {
    "one after the other": sequential,
    "--jobs 2": two_jobs,
    "two shards at once": two_shards,
    "submitit, local executor, 2 jobs": submitit_local,
    "Dask, 2 workers killed at random": dask_with_kills,
}


@click.group(help=__doc__)
def main() -> None:
    pass


def planning(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a plan."""
    options = (
        click.option("--method", "methods", multiple=True, default=["constant-latent", "pca"]),
        click.option(
            "--short",
            multiple=True,
            metavar="METHOD",
            default=["fader"],
            help="Methods with networks, which are given four epochs.",
        ),
        click.option(
            "--task", "tasks", multiple=True, default=["apogee-giants", "apogee-giants-snr50"]
        ),
        click.option("--seeds", default="0-1"),
        click.option("--scale", default="tiny"),
    )
    for add in reversed(options):
        command = add(command)
    return command


def planned(
    methods: tuple[str, ...], short: tuple[str, ...], tasks: tuple[str, ...], seeds: str, scale: str
) -> list[PlannedRun]:
    """Return the runs of the options."""
    names, numbers = expand_tasks(tasks), parse_seeds(seeds)
    return [
        *make_plan(expand_methods(methods), names, numbers, scale=scale),
        *make_plan(expand_methods(short), names, numbers, ["epochs=4"], scale=scale),
    ]


@main.command()
@planning
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder that keeps the runs; the same command then leaves out the ways that have ended.",
)
def ways(out: Path | None, **options: Any) -> None:
    """Run one plan in every way, and compare rows and times."""
    plan = planned(**options)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) if out is None else out
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "plan.jsonl"
        before = file.read_text() if file.exists() else None
        write_plan(file, plan)
        if before not in (None, file.read_text()):
            file.write_text(before)
            raise click.ClickException(f"{folder} holds the runs of another plan; choose another.")
        table: list[list[str]] = []
        first: tuple[float, Rows] | None = None
        wrong = 0
        for number, (way, run) in enumerate(WAYS.items()):
            sweep = Sweep(file, folder / str(number))
            seconds, remark = timed(run, sweep, folder / f"{number}.json")
            rows = sweep.rows()
            first = first or (seconds, rows)
            found = differences(rows, first[1])
            wrong += len(found)
            for sentence in found:
                click.echo(f"{way}: {sentence}", err=True)
            n_equal = sum(rows.get(run_folder) == row for run_folder, row in first[1].items())
            equal = f"{n_equal} of {len(plan)}"
            table.append([way, equal, f"{seconds:.0f}", f"{seconds / first[0]:.2f}", remark])
            click.echo(f"{way}: {seconds:.0f} s, {equal} {remark}", err=True)
    click.echo(
        tabulate(table, ["way", "equal rows", "seconds", "ratio", ""], disable_numparse=True)
    )
    if wrong:
        raise click.ClickException(f"{wrong} rows differ; see above")


def timed(run: Callable[[Sweep], str], sweep: Sweep, record: Path) -> tuple[float, str]:
    """Run a sweep in one way and record its time and its remark, or return what was recorded."""
    if record.exists():
        seconds, remark = json.loads(record.read_text())
        return float(seconds), str(remark)
    shutil.rmtree(sweep.out, ignore_errors=True)  # of a way that was interrupted: its time is lost
    began = time.perf_counter()
    remark = run(sweep)
    seconds = time.perf_counter() - began
    record.write_text(json.dumps([seconds, remark]))
    return seconds, remark


@main.command()
@planning
@click.option("--kills", "n_kills", default=20)
@click.option("--longest", default=40.0, help="Longest time until a kill [s].")
def kills(n_kills: int, longest: float, **options: Any) -> None:
    """Kill the process group of a sweep at random moments, and start it again."""
    plan = planned(**options)
    draws = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "plan.jsonl"
        write_plan(file, plan)
        undisturbed = Sweep(file, Path(folder) / "undisturbed")
        undisturbed.run("--jobs", "2")
        sweep = Sweep(file, Path(folder) / "killed")
        done = dict[Path, int]()
        lines = []
        for number in range(1, n_kills + 1):
            process = sweep.start("--jobs", "2")
            seconds = draws.uniform(0, longest)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            rows = {path: path.stat().st_mtime_ns for path in sweep.out.glob("*/*/*/row.json")}
            if any(rows.get(path) != written for path, written in done.items()):
                raise click.ClickException(f"kill {number}: a finished run was lost or run again")
            lines.append([number, f"{seconds:.1f}", len(rows) - len(done), len(rows)])
            done = rows
            click.echo(f"kill {number} after {seconds:.1f} s: {len(rows)} rows", err=True)
            if len(rows) == len(plan):  # begin anew, so that every kill meets work to do
                require_equal(sweep.rows(), undisturbed.rows())
                sweep, done = Sweep(file, Path(folder) / f"killed-{number}"), {}
        sweep.run("--jobs", "2")
        require_equal(sweep.rows(), undisturbed.rows())
        left = list(sweep.out.rglob("*.tmp*"))
    if left:
        raise click.ClickException(f"left behind: {left}")
    headers = ["kill", "after [s]", "rows since", "rows"]
    click.echo(tabulate(lines, headers, disable_numparse=True))
    click.echo(f"{n_kills} kills: {len(plan)} rows as undisturbed; none lost, none run twice.")


if __name__ == "__main__":
    sys.exit(main())
