"""Kill every command at random and at chosen moments, and give the same command again.

The second command must give the result of one that was never killed, leave no file that it would
not leave otherwise, and find nothing half-written. Run as ``python -m tests.campaigns.kills
--kills 100``; ``--only WORD`` picks the commands whose names contain a word.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from tests.campaigns import forked
from tests.campaigns.damage import write_pairs, write_predictions

ROOT = Path(__file__).parents[2]
ROWS = ("apogee-giants-v1__pca__seed0-9b0817a4", "apogee-giants-v1__random-latent__seed0-7e4ac720")
SECONDS = 900  # after which a command counts as stuck
# Differ between two runs of one command.
VARIABLE = {"commit", "dirty", "load", "message", "peak_memory_mb", "seconds", "_fingerprint"}


@dataclass(frozen=True)
class Scenario:
    """A command, and the commands and edits that come before it.

    Attributes
    ----------
    name : str
    command : str
        Words with ``*`` are patterns of files.
    before : tuple of str or callable
        Commands, or functions of the folder.
    target : str, optional
        Pattern of a file or folder that the command replaces: old or new and whole at any moment.
    finished : str, optional
        What the repeated command may say if the killed one had finished.
    """

    name: str
    command: str
    before: tuple[str | Callable[[Path], None], ...] = ()
    target: str | None = None
    finished: str | None = None


class Sandbox:
    """A folder in which commands run, with a cache that holds the smallest scale."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.work, self.prepared = folder, folder / "work", folder / "prepared"

    def prepare(self, scenario: Scenario) -> None:
        """Prepare the folder of a scenario, which `fresh` copies."""
        cache = self.folder / "cache"
        if not cache.exists():
            self.work.mkdir(parents=True)
            self._finish("data build --scale tiny --quiet")
            shutil.copytree(self.work / "cache", cache)
        shutil.rmtree(self.work)
        self.work.mkdir()
        if scenario.before or "build" not in scenario.command:
            shutil.copytree(cache, self.work / "cache")
        write_pairs(self.work / "pairs.h5", np.random.default_rng(0))
        for step in scenario.before:
            self._finish(step) if isinstance(step, str) else step(self.work)
        shutil.rmtree(self.prepared, ignore_errors=True)
        self.work.rename(self.prepared)

    def fresh(self) -> None:
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.prepared, self.work, symlinks=True)

    def start(self, command: str) -> int:
        return forked.start(self._words(command), self.folder / "output", **self._place())

    def call(self, command: str) -> forked.Ended:
        words = self._words(command)
        return forked.call(words, self.folder / "output", limit=SECONDS, **self._place())

    def files(self) -> dict[str, str]:
        """Return a digest of the content of each file, without what differs between two runs."""
        found = {name: digest(self.work / name) for name in sorted(self.names())}
        # The memory of checks is named after the file's time, and holds only its digest.
        stamps = [name for name in found if name.startswith("cache/checked/")]
        return found | {f"cache/checked/{i}": found.pop(name) for i, name in enumerate(stamps)}

    def names(self) -> set[str]:
        found = set()
        for folder, _, files in os.walk(self.work):
            found |= {os.path.relpath(Path(folder) / file, self.work) for file in files}
        return found

    def contents(self, pattern: str) -> list[tuple[str, str]]:
        """Return the name and the digest of all files of a target."""
        paths = [x for path in self.work.glob(pattern) for x in (path, *path.rglob("*"))]
        return sorted((str(x.relative_to(self.work)), digest(x)) for x in paths if x.is_file())

    def _finish(self, command: str) -> None:
        ended = self.call(command)
        assert ended.code == 0, ended.output

    def _words(self, command: str) -> list[object]:
        words: list[object] = []
        for word in command.split():
            found = sorted(self.work.glob(word)) if "*" in word else []
            words += [path.relative_to(self.work) for path in found] or [word]
        return words

    def _place(self):
        temporary = self.work / "temporary"
        temporary.mkdir(exist_ok=True)
        where = {"STARBENCH_CACHE": str(self.work / "cache"), "TMPDIR": str(temporary)}
        return {"cwd": self.work, "environment": where}


def digest(path: Path) -> str:
    """Return a digest of a file's content, without times and the machine."""
    content = path.read_bytes()
    if path.suffix == ".json" and path.name in ("row.json", "state.json", "dataset_info.json"):
        content = json.dumps(_stable(json.loads(content)), sort_keys=True).encode()
    elif path.suffix == ".h5" and "cache" not in path.parts:
        content = _arrays(path)
    elif path.suffix in (".safetensors", ".lock", ".png") or path.name == ".lock":
        content = b""  # the time stands in some, the process in others
    elif path.name == "history.csv":
        content = re.sub(rb"[^,\n]*$", b"", content, flags=re.MULTILINE)
    return hashlib.sha256(content).hexdigest()


def _stable(value: object) -> object:
    if isinstance(value, dict):
        return {key: _stable(x) for key, x in value.items() if key not in VARIABLE}
    return [_stable(x) for x in value] if isinstance(value, list) else value


def _arrays(path: Path) -> bytes:
    """Return all that an HDF5 file holds: two writings of it differ in their bytes."""
    found = []

    def add(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found.append(f"{name} {item.shape} {item.dtype}".encode() + np.asarray(item).tobytes())

    with h5py.File(path, "r") as file:
        file.visititems(add)
        found.append(
            repr(sorted((k, np.asarray(v).tolist()) for k, v in file.attrs.items())).encode()
        )
    return b"".join(found)


# What the commands need.


def _damaged_cache(work: Path) -> None:
    (path,) = work.glob("cache/*-tiny.h5")
    with h5py.File(path, "r+") as file:
        file["train/flux"][:3] = 0


def _half_built(work: Path) -> None:
    (path,) = work.glob("cache/*-tiny.h5")
    path.rename(path.with_name(path.name + ".partial"))


def _predictions(work: Path) -> None:
    write_predictions(work / "predictions.h5", np.random.default_rng(1))


def _board(*rows: str) -> Callable[[Path], None]:
    def make(work: Path) -> None:
        """Copy the generated files and some rows of this checkout."""
        folder = work / "checkout" / "leaderboard"
        (folder / "rows").mkdir(parents=True)
        shutil.copy(ROOT / "README.md", folder.parent)
        for name in ("published.csv", "LEADERBOARD.md", "suite.csv", "leaderboard.csv"):
            shutil.copy(ROOT / "leaderboard" / name, folder)
        for row in rows:
            for path in (ROOT / "leaderboard" / "rows").glob(f"{row}.*"):
                shutil.copy(path, folder / "rows")

    return make


def _second_row(work: Path) -> None:
    for path in (ROOT / "leaderboard" / "rows").glob(f"{ROWS[1]}.*"):
        shutil.copy(path, work / "checkout" / "leaderboard" / "rows")


def _candidates(work: Path) -> None:
    (work / "new").mkdir()
    for row in ROWS:
        for path in (ROOT / "leaderboard" / "rows").glob(f"{row}.*"):
            shutil.copy(path, work / "new")


def _older(work: Path) -> None:
    """Make the rows of the board differ from the candidates."""
    for path in (work / "checkout" / "leaderboard" / "rows").glob("*.json"):
        row = json.loads(path.read_text())
        row["seconds"] = {name: value + 1 for name, value in row["seconds"].items()}
        path.write_text(json.dumps(row))


PCA = "run --method pca --data pairs.h5 --quiet"
TINY = "run --method pca --scale tiny --quiet"
SMALL = " ".join(
    f"--set {name}"
    for name in (
        "epochs=12",
        "batch_size=16",
        "components=8",
        "encoder_widths=8",
        "decoder_widths=8",
    )
)
NETWORK = f"run --method conditional-autoencoder --data pairs.h5 --quiet {SMALL}"
BOARD = "--directory checkout/leaderboard"
SCORE = (
    "score predictions.h5 --data pairs.h5 --method-name m --label-access none --reference r --quiet"
)
EXISTS = "already exists"
SCENARIOS = (
    Scenario("run", NETWORK),
    Scenario("run on a task", TINY),
    Scenario("run --force", NETWORK + " --force", (NETWORK,)),
    Scenario("run on a folder", "run --method pca --data folder --quiet",
             ("data export folder --data pairs.h5 --quiet",)),
    Scenario("score", SCORE, (_predictions,)),
    Scenario("score again", SCORE, (_predictions, SCORE)),
    Scenario("predict", "predict runs/*/*/0-* predictions.h5 --data pairs.h5", (PCA,),
             finished=EXISTS),
    Scenario("predict --force", "predict runs/*/*/0-* old.h5 --data pairs.h5 --force",
             (PCA, "predict runs/*/*/0-* old.h5 --data pairs.h5"), target="old.h5"),
    Scenario("plot", "plot runs/*/*/0-*", (NETWORK,), target="runs/*/*/0-*/figures/*"),
    Scenario("check", "check pca"),
    Scenario("check --task", "check --task apogee-giants"),
    Scenario("data build", "data build --scale tiny --quiet"),
    Scenario("data build, continued", "data build --scale tiny --quiet", (_half_built,)),
    Scenario("data build --chunk", "data build --scale tiny --split test --chunk 0 --quiet",
             (_board(),)),
    Scenario("data verify --repair", "data verify --scale tiny --repair --quiet",
             (_damaged_cache,)),
    Scenario("data export", "data export new.h5 --scale tiny --quiet", finished="exists"),
    Scenario("data export --force", "data export old.h5 --scale tiny --quiet --force",
             ("data export old.h5 --data pairs.h5 --quiet",), target="old.h5"),
    Scenario("data export --force, parquet", "data export old --scale tiny --quiet --force",
             ("data export old --data pairs.h5 --quiet",), target="old"),
    Scenario("data export --force, datasets",
             "data export old --scale tiny --format datasets --quiet --force",
             ("data export old --data pairs.h5 --format datasets --quiet",), target="old"),
    Scenario("leaderboard add", f"leaderboard add new/*.json {BOARD} --quiet --allow-dirty",
             (_board(), _candidates)),
    Scenario("leaderboard add --replace",
             f"leaderboard add new/*.json {BOARD} --quiet --allow-dirty --replace",
             (_board(*ROWS), _older, _candidates), target="checkout/leaderboard/rows/*"),
    Scenario("leaderboard build", f"leaderboard build {BOARD}", (_board(*ROWS),),
             target="checkout/README.md"),
    Scenario("leaderboard site", f"leaderboard site {BOARD} --out site --quiet",
             (_board(*ROWS),)),
    Scenario("leaderboard site, replaced", f"leaderboard site {BOARD} --out site --quiet",
             (_board(ROWS[0]), f"leaderboard site {BOARD} --out site --quiet", _second_row),
             target="site"),
    Scenario("leaderboard verify", f"leaderboard verify {BOARD} --quiet", (_board(*ROWS),)),
    Scenario("leaderboard compare", f"leaderboard compare pca random-latent {BOARD}",
             (_board(*ROWS),)),
    Scenario("leaderboard reproduce", "leaderboard reproduce runs/*/*/0-* --quiet", (TINY,)),
    Scenario("leaderboard reproduce --out",
             "leaderboard reproduce runs/*/*/0-* --out again --quiet", (TINY,),
             finished="already holds this run"),
)  # fmt: skip


class Moments:
    """Moments at which to kill: at any time, or when the n-th new file appears."""

    def __init__(self, sandbox: Sandbox, scenario: Scenario, rng: np.random.Generator) -> None:
        self.sandbox, self.scenario, self.rng = sandbox, scenario, rng
        self.seconds, self.n_new = 0.0, 0

    def reference(self) -> tuple[int, dict[str, str]]:
        """Run the command to its end; return its exit code and the files that it leaves."""
        self.sandbox.fresh()
        began = time.monotonic()
        status, new = self._watch(self.sandbox.start(self.scenario.command), lambda _: False)
        self.seconds, self.n_new = time.monotonic() - began, len(new)
        return os.waitstatus_to_exitcode(status), self.sandbox.files()

    def kill(self) -> str | None:
        """Start the command and kill it; return the moment, or None if it ended before."""
        self.sandbox.fresh()
        began = time.monotonic()
        process = self.sandbox.start(self.scenario.command)
        if self.n_new and self.rng.random() < 0.6:
            n = int(self.rng.integers(1, self.n_new + 1))
            delay = float(self.rng.choice([0, 0, 0.003, 0.02]))
            status, new = self._watch(process, lambda new: len(new) >= n, delay)
            moment = f"after {new[-1] if new else 'nothing'}"
        else:
            end = began + float(self.rng.uniform(0, self.seconds))
            status, new = self._watch(process, lambda _: time.monotonic() >= end)
            moment = f"after {time.monotonic() - began:.2f} s"
        return moment if os.WIFSIGNALED(status) else None

    def _watch(self, process: int, due, delay: float = 0) -> tuple[int, list[str]]:
        """Wait for the end of a process, or kill it when due; return its status and new files."""
        known, new = self.sandbox.names(), []
        while True:
            done, status = os.waitpid(process, os.WNOHANG)
            if done:
                return status, new
            names = self.sandbox.names()
            new += sorted(names - known)
            known |= names
            if due(new):
                time.sleep(delay)
                os.kill(process, signal.SIGKILL)
                return os.waitpid(process, 0)[1], new


def faults(
    sandbox: Sandbox, scenario: Scenario, code: int, expected: dict[str, str], old
) -> list[str]:
    """Repeat the killed command; return what is not as if it had never been killed."""
    found = []
    if scenario.target:
        now = dict(sandbox.contents(scenario.target))
        for name, content in old:
            here = now.get(name)
            if here not in (content, expected.get(name)):
                found.append(f"{name} is {'missing' if here is None else 'half-written'}")
    ended = sandbox.call(scenario.command)
    if ended.code != code and not (scenario.finished and scenario.finished in ended.output):
        found.append(f"exit code {ended.code}: {ended.output.strip()[-200:]!a}")
    after = sandbox.files()
    found += [f"left behind: {name}" for name in sorted(after.keys() - expected.keys())]
    found += [f"missing: {name}" for name in sorted(expected.keys() - after.keys())]
    both = sorted(after.keys() & expected.keys())
    return found + [f"differs: {name}" for name in both if after[name] != expected[name]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    scenarios = [x for x in SCENARIOS if arguments.only in x.name]
    n_faults, n_kills = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        sandbox = Sandbox(Path(folder))
        for number, scenario in enumerate(scenarios):
            sandbox.prepare(scenario)
            sandbox.fresh()
            old = sandbox.contents(scenario.target) if scenario.target else []
            moments = Moments(sandbox, scenario, np.random.default_rng([arguments.seed, number]))
            code, expected = moments.reference()
            share = -(-arguments.kills // len(scenarios))
            done = tries = 0
            while done < share and tries < 4 * share:
                tries += 1
                moment = moments.kill()
                if moment is None:
                    continue
                done += 1
                found = faults(sandbox, scenario, code, expected, old)
                n_faults += bool(found)
                for fault in found:
                    print(f"{scenario.name}, killed {moment}: {fault}", flush=True)
            n_kills += done
            print(f"{scenario.name}: exit code {code}, {moments.seconds:.1f} s, "
                  f"{moments.n_new} new files, {done} kills", flush=True)  # fmt: skip
    print(f"{n_kills} kills of {len(scenarios)} commands; {n_faults} with faults")
    return int(n_faults > 0)


if __name__ == "__main__":
    sys.exit(main())
