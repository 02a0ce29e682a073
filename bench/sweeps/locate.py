"""Where each run of a plan keeps its files, and the command that starts it."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

from starbench.common.settings import SettingError
from starbench.methods.registry import get_method, make_hyperparameters
from starbench.runs.draft import Identity
from starbench.runs.run_folder import RunFolder
from starbench.sweeps.plan import PlannedRun
from starbench.sweeps.process import Command
from starbench.tasks.base import Task
from starbench.tasks.errors import DataError, TaskFault
from starbench.tasks.faults import named_faults
from starbench.tasks.registry import get_task


@dataclass(frozen=True)
class RunOptions:
    """The options of ``starbench run`` that all runs of a sweep share.

    Attributes
    ----------
    out : pathlib.Path
        Folder in which run folders are created.
    cache : pathlib.Path or None
        Folder of the data sets.
    device : str
        A torch device, not ``"auto"``: its kind is part of a run's folder, and the machine on which
        the run will be may have another one than this.
    threads : int
        Threads of each run.
    force : bool
        Run again what is finished.
    quiet : bool
        Draw no progress.
    """

    out: Path
    cache: Path | None
    device: str
    threads: int
    force: bool = False
    quiet: bool = False

    def words(self) -> list[str]:
        """Return the options, but for `force`, as arguments of ``starbench run``."""
        words = ["--out", str(self.out), "--device", self.device, "--threads", str(self.threads)]
        words += [] if self.cache is None else ["--cache", str(self.cache)]
        return [*words, "--quiet"] if self.quiet else words


class LocatedRun(NamedTuple):
    """A planned run and its folder, which may not exist yet.

    `fault` says why the run cannot be started: its task does not tell which data it has, and these
    are part of the name of the folder, which stands for none then.
    """

    run: PlannedRun
    folder: RunFolder
    fault: str | None = None


def command_of(located: LocatedRun, options: RunOptions) -> Command:
    """Return what starts a run, from the current working folder."""
    arguments = (sys.executable, "-m", "starbench", "run", "--end-with-stdin")
    here = Path.cwd()
    return Command(
        str(located.run),
        (*arguments, *located.run.words(), *options.words()),
        here / located.folder.path,
        here,
        options.force,
    )


def locate(
    plan: Iterable[PlannedRun], options: RunOptions, *, named: bool = False
) -> list[LocatedRun]:
    """Return each run of a plan with its folder; runs of equal settings count once.

    A task whose code fails stops none of the runs on others.

    Parameters
    ----------
    plan : iterable of PlannedRun
    options : RunOptions
    named : bool
        Whether errors name the run, as where its options are those of a line in a file.

    Raises
    ------
    SettingError, DataError
        If a method, a setting, a task or data cannot be used.
    """

    @cache
    def task_of(name: str, data: str | None, snr: float | None) -> Task:
        path = None if data is None else Path(data)
        return get_task(name, path, options.cache, snr=snr, progress=not options.quiet)

    @cache
    def identity_of(run: PlannedRun) -> Identity:
        task, method_class = task_of(run.task, run.data, run.snr), get_method(run.method)
        hyperparameters = make_hyperparameters(method_class, run.preset, run.settings)
        with named_faults(task):
            return Identity.of(
                task,
                method_class,
                hyperparameters,
                scale=run.scale or task.default_scale,
                seed=run.seed,
                device=options.device,
            )

    located: dict[Path | PlannedRun, LocatedRun] = {}
    for run in plan:
        try:
            identity = identity_of(replace(run, seed=0)).with_seed(run.seed)
        except TaskFault as fault:
            folder = RunFolder(options.out / "not-located" / f"{run.seed}")
            located[run] = LocatedRun(run, folder, str(fault))
        except (SettingError, DataError) as error:
            if not named:
                raise
            raise SettingError(f"{str(run)[:200]}: {error}") from None
        else:
            folder = RunFolder(identity.folder(options.out))
            located.setdefault(folder.path, LocatedRun(run, folder))
    return list(located.values())
