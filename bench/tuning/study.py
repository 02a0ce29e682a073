"""A study: the trials of one method on some tasks, kept in files that processes share.

``OUT/METHOD/TASK-SCALE-DIGEST.json`` holds each trial, and ``OUT/METHOD.json`` the study: its
budget, all trials and what was chosen. A trial is done by whichever process locks it first, so
that repeating the command in other shells, or on other machines, shares the work, and repeating it
later continues it.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from starbench.common.files import write_json
from starbench.common.locks import try_lock
from starbench.common.progress import say
from starbench.common.settings import SettingError
from starbench.evaluation.views import SplitView, view_split
from starbench.methods.base import Method
from starbench.methods.registry import make_hyperparameters, make_method
from starbench.tasks.base import Task
from starbench.tuning.choice import Choice, choose
from starbench.tuning.design import knobs, planned_settings
from starbench.tuning.part import first_pairs
from starbench.tuning.trial import Trial, TrialData, read_trial, run_trial, write_trial

PART = 4  # trials use one of so many parts of each split
_SECONDS_BETWEEN_LOOKS = 2.0


@dataclass(frozen=True)
class Study:
    """The budget of a method.

    Attributes
    ----------
    method : type of Method
    tasks : sequence of Task
    scale : str or None
        Of which a quarter is used; each task's own if None.
    n_trials : int
        On each task.
    seed : int
    device : str
    out : pathlib.Path
    """

    method: type[Method]
    tasks: Sequence[Task]
    scale: str | None
    n_trials: int
    seed: int
    device: str
    out: Path

    def run(self, *, quiet: bool) -> Choice:
        """Do what is left of the trials, write the study's file, and return what is chosen."""
        for task in self.tasks:
            if task.card.survey:
                raise SettingError(f"--task {task.name} is a survey; choose a task of pairs.")
        planned = planned_settings(self.method, self.n_trials)
        trials = [self._of_task(task, planned, quiet=quiet) for task in self.tasks]
        choice = choose(self.method, list(zip(*trials, strict=True)))
        self._write(trials, choice)
        return choice

    def _of_task(
        self, task: Task, planned: Sequence[dict[str, int | float]], *, quiet: bool
    ) -> list[Trial]:
        """Return the trials on a task, of which other processes may do some."""
        found: dict[int, Trial] = {}
        data: TrialData | None = None
        while len(found) < len(planned):
            done = len(found)
            for number, settings in enumerate(planned):
                path = self._path(task, settings)
                if number in found:
                    continue
                with _locked(path) as ours:
                    trial = read_trial(path)
                    if trial is None and ours:
                        data = data or self._data(task)
                        say(f"{path.stem}: {_words(settings)}", quiet=quiet, error=True)
                        trial = run_trial(self._method(task, settings), settings, data, quiet=quiet)
                        write_trial(path, trial)
                    if trial is not None:
                        found[number] = trial
            if len(found) == done:
                time.sleep(_SECONDS_BETWEEN_LOOKS)  # all that is left is held by others
        return [found[number] for number in range(len(planned))]

    def _path(self, task: Task, settings: dict[str, int | float]) -> Path:
        """Return the file of a trial, which another version or other data do not share."""
        scale = self.scale or task.default_scale
        facts = [
            self.method.version, task.fingerprint(scale), PART, self.seed, self.device,
            sorted(settings.items()),
        ]  # fmt: skip
        digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:10]
        return self.out / self.method.name / f"{task.name}-{scale}-{digest}.json"

    def _method(self, task: Task, settings: dict[str, int | float]) -> Method:
        texts = [f"{name}={value}" for name, value in settings.items()]
        hyperparameters = make_hyperparameters(self.method, None, texts)
        return make_method(self.method, hyperparameters, task, seed=self.seed, device=self.device)

    def _data(self, task: Task) -> TrialData:
        access, scale = self.method.label_access, self.scale or task.default_scale

        def part(split: str) -> SplitView:
            whole = view_split(task, split, scale, access, self.seed)
            return first_pairs(whole, max(1, task.sizes(scale)[split] // PART))

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
            "part": f"1/{PART}",
            "seed": self.seed,
            "ranges": {knob.name: [knob.low, knob.high] for knob in knobs(self.method)},
            "trials": tasks,
            "choice": asdict(choice),
        }
        write_json(self.out / f"{self.method.name}.json", content)


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Yield whether this process holds the lock of a trial."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("a") as lock:
        yield try_lock(lock)


def _words(settings: dict[str, int | float]) -> str:
    return " ".join(f"{name}={value}" for name, value in settings.items()) or "defaults"
