"""Drafts of rows: the facts before a run, the result of the run, and the row of both."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from starbench.common.provenance import Provenance
from starbench.common.settings import SettingError
from starbench.methods.base import Method
from starbench.metrics import Estimate
from starbench.results.schema import Row, parse_row
from starbench.results.text import RowError
from starbench.runs.load import Load
from starbench.runs.origin import Code, Declared, Given, method_code
from starbench.runs.run_folder import settings_digest
from starbench.tasks.base import Task

MESSAGE_LENGTH = 900


@dataclass(frozen=True)
class Subject:
    """Which method was run, with which settings, on which data; attributes are named as in `Row`.

    Attributes
    ----------
    method : str
    method_version : int
    label_access : str
    hyperparameters : mapping of str to value
        All of them, defaults included.
    task : str
    task_version : int
    scale : str
    data_fingerprint : str
    seed : int
    """

    method: str
    method_version: int
    label_access: str
    hyperparameters: Mapping[str, Any]
    task: str
    task_version: int
    scale: str
    data_fingerprint: str
    seed: int


@dataclass(frozen=True)
class Identity:
    """The settings that identify a run: equal identities share a folder and give equal results.

    Attributes
    ----------
    subject : Subject
    method_class : str
        Qualified name of the method's class.
    device_type : str
        Such as ``"cpu"``. Kinds of device round differently, so a fit cannot change its kind.
    source_sha256 : str or None
        Digest of a third party's code, which may change without a new version number.
    task_sha256 : str or None
        The same of the task; see `starbench.tasks.base.Task.code_sha256`.
    """

    subject: Subject
    method_class: str
    device_type: str
    source_sha256: str | None
    task_sha256: str | None = None

    @classmethod
    def of(
        cls,
        task: Task,
        method_class: type[Method],
        hyperparameters: Any,
        *,
        scale: str,
        seed: int,
        device: str,
    ) -> "Identity":
        """Return the identity of a run of a method, with an instance of its hyperparameters."""
        subject = Subject(
            method=method_class.name,
            method_version=method_class.version,
            label_access=method_class.label_access,
            hyperparameters=dataclasses.asdict(hyperparameters),
            task=task.name,
            task_version=task.version,
            scale=scale,
            data_fingerprint=task.fingerprint(scale),
            seed=seed,
        )
        code = method_code(method_class)
        return cls(
            subject,
            method_class.__qualname__,
            torch.device(device).type,
            None if code is None else code.sha256,
            task.code_sha256,
        )

    def with_seed(self, seed: int) -> "Identity":
        """Return the identity of the same run with another seed."""
        return dataclasses.replace(self, subject=dataclasses.replace(self.subject, seed=seed))

    def folder(self, out: Path) -> Path:
        """Return the folder of the run below the folder of all runs."""
        subject = self.subject
        return out / subject.task / subject.method / f"{subject.seed}-{self.digest}"

    def settings(self) -> dict[str, Any]:
        """Return all values by name, as ``settings.json`` holds them."""
        settings = dataclasses.asdict(self.subject) | {
            "method_class": self.method_class,
            "device_type": self.device_type,
            "source_sha256": self.source_sha256,
        }
        # Left out of runs on starbench's own tasks, so that their folders keep their names.
        return settings | ({} if self.task_sha256 is None else {"task_sha256": self.task_sha256})

    @property
    def digest(self) -> str:
        """Short digest of the settings, which names the run's folder."""
        return settings_digest(self.settings())


@dataclass(frozen=True)
class Worker:
    """The code and the threads of one process that worked on a fit.

    Attributes
    ----------
    commit, dirty
        As `starbench.common.provenance.checkout` returns them.
    threads : int
    """

    commit: str | None
    dirty: bool | None
    threads: int

    @classmethod
    def of(cls, provenance: Provenance) -> "Worker":
        """Return the worker of a process, from its provenance."""
        return cls(provenance.commit, provenance.dirty, provenance.hardware.threads)

    def __str__(self) -> str:
        commit = (self.commit or "a release")[:10]
        changed = " (changed)" if self.dirty else ""
        return f"{commit}{changed} on {self.threads} thread{'' if self.threads == 1 else 's'}"


@dataclass(frozen=True)
class Result:
    """The result of a run; the attributes are those of `Row`, and `epoch` is the selected one."""

    status: Literal["ok", "diverged", "failed"]
    message: str | None = None
    metrics: Mapping[str, Estimate] = field(default_factory=dict)
    validation_metrics: Mapping[str, Estimate] = field(default_factory=dict)
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    ranks_sha256: str | None = None
    epoch: int | None = None
    epochs: int | None = None
    n_parameters: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)
    load: Load | None = None
    peak_memory_mb: float | None = None
    predictions_sha256: str | None = None
    state_sha256: str | None = None
    filling: str | None = None
    looks_before: int | None = None


@dataclass(frozen=True)
class RowDraft:
    """The part of a row that is known before the run.

    Attributes
    ----------
    subject : Subject
    reference : str
        Where the method comes from.
    selection_rule : str
        How the scored state of the method is chosen, in words.
    provenance : Provenance
    snr : float or None
        Of the noise in the spectra.
    control : bool
    preset : str or None
    overrides : mapping of str to value
        Hyperparameters set by hand on top of the preset or the defaults.
    code : Code or None
        Of a method that is not starbench's own.
    source_sha256 : str or None
        Of the method's source files, starbench's own or not.
    given : Given
    declared : Declared
    """

    subject: Subject
    reference: str
    selection_rule: str
    provenance: Provenance
    snr: float | None = None
    control: bool = False
    preset: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    code: Code | None = None
    source_sha256: str | None = None
    given: Given = field(default_factory=Given)
    declared: Declared = field(default_factory=Declared)

    def check(self, whose: str, diagnostics: Iterable[str] = ()) -> None:
        """Check before the run that a row with these facts, and diagnostics, is valid.

        Raises
        ------
        SettingError
            The sentence begins with `whose`.
        """
        try:
            values = dict.fromkeys(diagnostics, 0.0)
            self.row(Result("failed", "not finished", diagnostics=values), whose)
        except RowError as error:
            raise SettingError(f"{error}.") from None

    def row(self, result: Result, name: str) -> Row:
        """Return the row of a result, through the same checks that an untrusted row passes.

        Parameters
        ----------
        result : Result
        name : str
            Name of the row in errors.

        Raises
        ------
        RowError
            With one sentence that names the field and what it should be.
        """
        facts, results = dataclasses.asdict(self), dataclasses.asdict(result)
        selection = {"rule": facts.pop("selection_rule"), "epoch": results.pop("epoch")}
        content = {
            **facts.pop("subject"),
            **facts.pop("provenance"),
            **facts,
            **results,
            "selection": selection,
        }
        return parse_row(json.dumps(content), name)

    def made_in_parts(self, workers: Sequence[Worker]) -> "RowDraft":
        """Return the draft of a run on which several processes worked.

        A run made by several commits is marked dirty, because it cannot be repeated.
        """
        changed = len({worker.commit for worker in workers}) > 1
        if not changed and not any(worker.dirty for worker in workers):
            return self
        return dataclasses.replace(
            self, provenance=dataclasses.replace(self.provenance, dirty=True)
        )


def parts_message(workers: Sequence[Worker], message: str | None) -> str:
    """Return the message of a row on whose fit several processes worked."""
    before = f"{message}; " if message else ""
    return f"{before}made in parts: {', then '.join(map(str, workers))}"[:MESSAGE_LENGTH]
