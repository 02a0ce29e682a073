"""Damage many files, and give each to the commands that read it.

Every command must accept the file, or refuse it in one printable sentence, and take less than 1 GB
and 10 s. Run as ``python -m tests.campaigns.damaged_files --files 1000``; ``--first N --files 1``
repeats file N alone and prints what the commands say.
"""

import argparse
import collections
import os
import resource
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from starbench.runs import fitting
from tests.campaigns import forked
from tests.campaigns.damage import (
    damage,
    damage_folder,
    write_folder,
    write_pairs,
    write_predictions,
)

MEMORY, SECONDS = 1000, 10  # MB, s of processor time
ADDRESS_SPACE = 2**33  # what a command may take before the machine suffers
DAMAGED = "The data set is damaged; `starbench data verify --repair` rebuilds it."
KINDS = ["pairs", "predictions", "pairs", "cached", "pairs"] * 2
KINDS[-1] = "folder"
SCORE = ["--method-name", "m", "--label-access", "none", "--reference", "a test", "--quiet"]


class Files:
    """Sound files, and their damaged copies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"STARBENCH_CACHE": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
        self.sound = folder / "sound.h5"
        write_pairs(self.sound, np.random.default_rng(0))
        self.built: Path | None = None

    def make(self, number: int) -> tuple[str, list[list[object]]]:
        """Damage file `number`; return what was done to it, and the commands that read it."""
        rng = np.random.default_rng([number, 12])
        shutil.rmtree(self.folder / "work", ignore_errors=True)
        (self.folder / "work").mkdir()
        path = self.folder / "work" / "file.h5"
        kind = KINDS[number % len(KINDS)]
        if kind == "pairs":
            write_pairs(path, rng)
            done = damage(path, rng)
            words = (["data", "verify"], ["data", "info"], ["run", "--method", "pca"])
            return f"pairs: {done}", [[*words[number % 3], "--quiet", "--data", path]]
        if kind == "predictions":
            write_predictions(path, rng)
            done = damage(path, rng, of_pairs=False)
            return f"predictions: {done}", [["score", path, "--data", self.sound, *SCORE]]
        if kind == "folder":
            folder = path.with_name("folder")
            write_folder(folder, rng)
            done = damage_folder(folder, rng)
            return f"folder: {done}", [["data", "verify", "--quiet", "--data", folder]]
        cached = self._cached()
        done = damage(cached, rng)
        scale = ["--scale", "tiny", "--quiet"]
        words = (["data", "verify"], ["data", "info"], ["run", "--method", "pca"])
        return f"cached: {done}", [[*words[number % 3], *scale]]

    def call(self, arguments: list[object]) -> forked.Ended:
        work = self.folder / "work"
        return forked.call(
            arguments, work / "output", limit=120, cwd=work,
            environment=self.environment, prepare=_prepare,
        )  # fmt: skip

    def _cached(self) -> Path:
        """Return the cached file of the smallest scale, sound again."""
        cache = self.folder / "cache"
        if self.built is None:
            (self.folder / "work").mkdir(exist_ok=True)
            ended = self.call(["data", "build", "--scale", "tiny", "--quiet"])
            assert ended.code == 0, ended.output
            self.built = self.folder / "built.h5"
            shutil.copyfile(cache / "apogee-giants-1-tiny.h5", self.built)
        for file in cache.glob("apogee-giants-*"):
            file.unlink()
        return Path(shutil.copyfile(self.built, cache / "apogee-giants-1-tiny.h5"))


def _prepare() -> None:
    """Limit the memory of a command, and end it where a fit would begin."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))

    def reached(*_: object) -> None:
        print("the fit begins")
        sys.stdout.flush()
        os._exit(0)

    fitting.Fit.run = reached


def faults(ended: forked.Ended) -> list[str]:
    """Return what is wrong with the way in which a command ended."""
    lines = [line for line in ended.output.splitlines() if line.startswith(("Error:", "Usage:"))]
    found = []
    if ended.code is None:
        found.append("no end")
    elif ended.code < 0:
        found.append(f"killed by signal {-ended.code}")
    elif ended.code not in (0, 2) and DAMAGED not in ended.output:
        found.append(f"exit code {ended.code}")
    elif ended.code == 2 and (len(lines) != 1 or not lines[0].endswith(".")):
        found.append("not one sentence")
    if "Traceback" in ended.output or "STARBENCH_DEBUG" in ended.output:
        found.append("unclassified")
    if not all(character.isprintable() or character == "\n" for character in ended.output):
        found.append("not printable")
    if ended.memory > MEMORY:
        found.append(f"{ended.memory:.0f} MB")
    if ended.seconds > SECONDS:
        found.append(f"{ended.seconds:.1f} s")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    ends: collections.Counter[str] = collections.Counter()
    kinds: collections.Counter[str] = collections.Counter()
    memory, seconds, n_faults = 0.0, 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        files = Files(Path(folder))
        for number in range(arguments.first, arguments.first + arguments.files):
            what, commands = files.make(number)
            for command in commands:
                ended = files.call(command)
                ends["accepted" if ended.code == 0 else "refused"] += 1
                kinds[what.partition(":")[0]] += 1
                memory, seconds = max(memory, ended.memory), max(seconds, ended.seconds)
                found = faults(ended)
                n_faults += bool(found)
                if number % 100 == 99:
                    print(f"{number + 1} files", file=sys.stderr, flush=True)
                if found or arguments.files == 1:
                    words = " ".join(str(word) for word in command[:2])
                    print(f"{number} {words} ({what}): {', '.join(found) or 'sound'}", flush=True)
                    print(f"    {ended.output[-400:]!a}", flush=True)
    print(
        f"{arguments.files} files {dict(kinds)}: {dict(ends)}; at most {memory:.0f} MB "
        f"and {seconds:.1f} s; {n_faults} faults"
    )
    return int(n_faults > 0)


if __name__ == "__main__":
    sys.exit(main())
