"""A study: the trials of one method on some tasks, kept in files that processes share.

``OUT/METHOD/TASK-SCALE-DIGEST.json`` holds each trial, and ``OUT/METHOD.json`` the study: its
budget, all trials and what was chosen. A trial is done by whichever process locks it first, so
that repeating the command in other shells, or on other machines, shares the work, and repeating it
later continues it. Trials that had failed before a command began are run once more by it, as the
cause may be gone, such as too little memory.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from starbench.common.files import write_json
from starbench.common.locks import try_lock
from starbench.common.progress import say
from starbench.common.settings import SettingError
from starbench.evaluation.views import SplitView, view_split
from starbench.methods.base import Method
from starbench.methods.registry import make_hyperparameters, make_method
from starbench.runs.draft import Identity
from starbench.runs.origin import source_sha256
from starbench.runs.run_folder import settings_digest
from starbench.tasks.base import Task
from starbench.tuning.choice import Choice, choose
from starbench.tuning.design import knobs, planned_settings
from starbench.tuning.part import first_pairs
from starbench.tuning.trial import (
    Trial,
    TrialData,
    read_trial,
    require_file,
    run_trial,
    write_trial,
)

_SECONDS_BETWEEN_LOOKS = 2.0


@dataclass(frozen=True)
class Study:
    """The budget of a method.

    Attributes
    ----------
    method : type of Method
    tasks : sequence of Task
    scale : str or None
        Each task's own if None.
    n_trials : int
        On each task.
    seed : int
    device : str
    out : pathlib.Path
    part : int
        Trials use the first of so many parts of each split's pairs.
    """

    method: type[Method]
    tasks: Sequence[Task]
    scale: str | None
    n_trials: int
    seed: int
    device: str
    out: Path
    part: int = 1

    def failed(self) -> dict[Path, int]:
        """Return how often each trial was run whose last attempt failed, by its file."""
        planned = planned_settings(self.method, self.n_trials)
        paths = [self._path(task, settings) for task in self.tasks for settings in planned]
        kept = {path: read_trial(path) for path in paths}
        return {path: trial.attempts for path, trial in kept.items() if trial and trial.message}

    def run(self, failed: Mapping[Path, int] | None = None, *, quiet: bool) -> Choice:
        """Do what is left of the trials, write the study's file, and return what is chosen.

        Parameters
        ----------
        failed : mapping of pathlib.Path to int, optional
            What `failed` returned when the command began: these trials are run once more, unless
            another process has done so since. By default those that have failed by now.
        quiet : bool
            Draw no progress.

        Raises
        ------
        SettingError
            If a task is a survey, or the method has nothing to tune.
        """
        for task in self.tasks:
            if task.card.survey:
                raise SettingError(f"--task {task.name} is a survey; choose a task of pairs.")
        failed = self.failed() if failed is None else failed
        planned = planned_settings(self.method, self.n_trials)
        trials = [self._of_task(task, planned, failed, quiet=quiet) for task in self.tasks]
        choice = choose(self.method, list(zip(*trials, strict=True)))
        self._write(trials, choice)
        return choice

    def _of_task(
        self,
        task: Task,
        planned: Sequence[dict[str, int | float]],
        failed: Mapping[Path, int],
        *,
        quiet: bool,
    ) -> list[Trial]:
        """Return the trials on a task, of which other processes may do some."""
        paths = [self._path(task, settings) for settings in planned]
        found: dict[int, Trial] = {}
        data: TrialData | None = None
        while len(found) < len(planned):
            done = len(found)
            for number, (path, settings) in enumerate(zip(paths, planned, strict=True)):
                if number in found:
                    continue
                with _locked(path) as ours:
                    trial = read_trial(path)
                    # An attempt that was made since the command began counts, whoever made it.
                    left = trial is None or trial.attempts == failed.get(path)
                    if left and ours:
                        data = data or self._data(task)
                        words = f"{path.stem}: {_words(settings)}{_again(trial)}"
                        say(words, quiet=quiet, error=True)
                        trial = self._attempt(trial, task, settings, data, quiet=quiet)
                        write_trial(path, trial)
                        left = False
                    if trial is not None and not left:
                        found[number] = trial
            if len(found) == done:
                time.sleep(_SECONDS_BETWEEN_LOOKS)  # all that is left is held by others
        return [found[number] for number in range(len(planned))]

    def _attempt(
        self,
        before: Trial | None,
        task: Task,
        settings: dict[str, int | float],
        data: TrialData,
        *,
        quiet: bool,
    ) -> Trial:
        """Run a trial, perhaps after an attempt that failed."""
        trial = run_trial(self._method(task, settings), settings, data, quiet=quiet)
        return replace(trial, attempts=1 if before is None else before.attempts + 1)

    def _path(self, task: Task, settings: dict[str, int | float]) -> Path:
        """Return the file of a trial, which other code, hyperparameters or data do not share."""
        scale = self.scale or task.default_scale
        identity = Identity.of(
            task,
            self.method,
            self._hyperparameters(settings),
            scale=scale,
            seed=self.seed,
            device=self.device,
        )
        digest = settings_digest(
            identity.settings()
            | {"source_sha256": self._source, "part": self.part, "settings": settings}
        )
        return self.out / self.method.name / f"{task.name}-{scale}-{digest}.json"

    @cached_property
    def _source(self) -> str | None:
        """Digest of the method's code, of starbench's own methods too."""
        return source_sha256(self.method)

    def _hyperparameters(self, settings: dict[str, int | float]) -> Any:
        texts = [f"{name}={value}" for name, value in settings.items()]
        return make_hyperparameters(self.method, None, texts)

    def _method(self, task: Task, settings: dict[str, int | float]) -> Method:
        hyperparameters = self._hyperparameters(settings)
        return make_method(self.method, hyperparameters, task, seed=self.seed, device=self.device)

    def _data(self, task: Task) -> TrialData:
        access, scale = self.method.label_access, self.scale or task.default_scale

        def part(split: str) -> SplitView:
            whole = view_split(task, split, scale, access, self.seed)
            if self.part == 1:
                return whole
            return first_pairs(whole, max(1, task.sizes(scale)[split] // self.part))

        training = task.training_split(access)
        return TrialData(part(training), part("validation"))

    def _write(self, trials: Sequence[Sequence[Trial]], choice: Choice) -> None:
        tasks = {
            task.name: [asdict(trial) for trial in of_task]
            for task, of_task in zip(self.tasks, trials, strict=True)
        }
        content = {
            "method": self.method.name,
            "version": self.method.version,
            "label_access": self.method.label_access,
            "scale": self.scale or self.tasks[0].default_scale,
            "part": f"1/{self.part}",
            "seed": self.seed,
            "ranges": {knob.name: [knob.low, knob.high] for knob in knobs(self.method)},
            "trials": tasks,
            "choice": asdict(choice),
        }
        write_json(self.out / f"{self.method.name}.json", content)


def run_studies(studies: Sequence[Study], *, quiet: bool) -> list[Choice]:
    """Run studies one after the other, and each trial that had failed before the first, once.

    Several processes that run the same studies do not repeat each other's failures.
    """
    failed = [study.failed() for study in studies]
    return [study.run(each, quiet=quiet) for study, each in zip(studies, failed, strict=True)]


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Yield whether this process holds the lock of a trial."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_suffix(".lock")
    require_file(lock)
    with lock.open("a") as file:
        yield try_lock(file)


def _words(settings: dict[str, int | float]) -> str:
    return " ".join(f"{name}={value}" for name, value in settings.items()) or "defaults"


def _again(before: Trial | None) -> str:
    return "" if before is None else f", again, as it failed ({before.message})"
