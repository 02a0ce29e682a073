"""A run: prepare the data, fit, select a state on validation, score test once, write the row.

A killed run that is started again with the same settings continues from its checkpoint and gives
the same results. ``row.json`` is written last: a folder that has it holds a finished run.
"""

import os
import random
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from starbench.common import checkpoint
from starbench.common.files import write_hdf5, write_json
from starbench.common.hdf5_guards import OpenElsewhere
from starbench.common.plugins import place_of
from starbench.common.progress import bar, say, stage
from starbench.common.provenance import current_provenance, peak_memory_bytes
from starbench.common.settings import SettingError, checked_seed
from starbench.common.signals import Terminated, signals_raised
from starbench.common.text import one_line
from starbench.common.threads import available_cores, limit_threads, most_threads, too_many
from starbench.evaluation.consistency import require_own_latents
from starbench.evaluation.encoding import OutputError, encode_split
from starbench.evaluation.fresh_process import require_state
from starbench.evaluation.reconstruction import Errors, decoder
from starbench.evaluation.scoring import Probes
from starbench.evaluation.siblings import sibling_decoder
from starbench.evaluation.splits import ScoredSplit, score_split
from starbench.evaluation.views import (
    Labels,
    SplitView,
    Views,
)
from starbench.methods.base import Diverged, Method
from starbench.methods.registry import make_method
from starbench.metrics import ordered_pairs
from starbench.results.example import Example, write_example
from starbench.results.ranks import Ranks, ranks_digest, write_ranks
from starbench.results.reported import ReportError, count_of
from starbench.results.schema import Row, parse_row, read_row, row_text, write_row
from starbench.results.selection_rule import SELECTION_RULE, SURVEY_RULE
from starbench.results.text import RowError
from starbench.runs.advice import pairs_advice
from starbench.runs.diagnostics import recorded_diagnostics, recorded_names, remark
from starbench.runs.draft import (
    MESSAGE_LENGTH,
    Identity,
    Result,
    RowDraft,
    Worker,
    parts_message,
)
from starbench.runs.fitting import Fit
from starbench.runs.load import MachineLoad
from starbench.runs.looks import look
from starbench.runs.origin import Declared, Given, method_code, source_file, source_sha256
from starbench.runs.run_folder import RunFolder
from starbench.tasks.base import Task
from starbench.tasks.errors import DataError
from starbench.tasks.faults import check_beginning, named_faults

FILLING = "mean training spectrum"
"""What masked pixels hold for a method that takes no errors."""


class Outcome(NamedTuple):
    """A run's row and folder, and whether it was run now (`fresh`) or was already finished."""

    row: Row
    folder: RunFolder
    fresh: bool


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGUSR1, by which batch systems end a program, end a run in order."""
    try:
        with signals_raised():
            yield
    except Terminated as end:
        say(f"Stopped by {end.name}; the same command continues the run.", error=True)
        raise


@ended_by_signals()
def run(
    task: Task,
    method_class: type[Method],
    hyperparameters: Any = None,
    *,
    seed: int = 0,
    scale: str = "full",
    device: str | torch.device = "auto",
    threads: int | None = None,
    out: Path = Path("runs"),
    preset: str | None = None,
    overrides: dict[str, Any] | None = None,
    given: Given | None = None,
    declared: Declared | None = None,
    force: bool = False,
    quiet: bool = False,
) -> Outcome:
    """Run a method on a task; continue an interrupted run, and return a finished one unchanged.

    Parameters
    ----------
    task : Task
    method_class : type of Method
    hyperparameters : object, optional
        Instance of the method's dataclass; its defaults if not given.
    seed : int
    scale : str
        One of the task's scales.
    device : str or torch.device
        ``"auto"`` is a CUDA device if there is one.
    threads : int, optional
        Threads of the array libraries; by default one for each available core.
    out : pathlib.Path
        Folder in which run folders are created.
    preset, overrides
        For the row: the preset that the hyperparameters started from, and those set by hand.
    given : Given, optional
        For the row's command: how it names method, task and data.
    declared : Declared, optional
        For the row; a finished run gets what is said anew.
    force : bool
        Run again even if the folder holds a finished run.
    quiet : bool
        Draw no progress.

    Raises
    ------
    SettingError, DataError
        If the settings or the data cannot be used.
    RunFolderBusy
        If another process is working on the same run.
    Terminated
        If SIGTERM or SIGUSR1 arrives; the fit has written a checkpoint then.
    """
    hyperparameters = method_class.Hyperparameters() if hyperparameters is None else hyperparameters
    seed, device = checked_seed(seed), resolved_device(device)
    threads = configure_torch(seed, threads)
    began = time.perf_counter()
    with named_faults(task):
        task.prepare(scale, progress=not quiet)
        identity = Identity.of(
            task, method_class, hyperparameters, scale=scale, seed=seed, device=device
        )
    declared = (declared or Declared()).of_method(method_class)
    folder = RunFolder(identity.folder(Path(out)))

    with _named_errors(folder.path), folder.locked():
        if force:
            folder.clear()
        if (row := _finished_row(folder)) is not None:
            return Outcome(_declared_anew(row, declared, folder), folder, fresh=False)
        folder.row.unlink(missing_ok=True)
        draft = RowDraft(
            identity.subject,
            method_class.reference,
            SURVEY_RULE if task.card.survey else SELECTION_RULE,
            current_provenance(device, threads),
            snr=task.snr,
            control=method_class.control,
            preset=preset,
            overrides=overrides or {},
            code=method_code(method_class),
            source_sha256=source_sha256(method_class),
            given=given or Given(),
            declared=declared,
        )
        draft.check(
            f"{method_class.__module__}.{method_class.__qualname__}",
            recorded_names(method_class.diagnostics),
        )
        check_beginning(task, scale, "test")  # the other splits are read before the fit
        write_json(folder.settings, identity.settings())
        job = _Job(
            task, method_class, hyperparameters, seed, scale, device, quiet, folder,
            identity.with_seed(0).settings(),
        )  # fmt: skip
        row = job.run(draft, identity.digest, began)
        write_row(row, folder.row)
        folder.clear_rankings()
    return Outcome(row, folder, fresh=True)


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    """Add the run folder to an error of the operating system that names no file."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            reason = error.strerror or str(error)
            raise OSError(error.errno, reason, str(path)) from error
        raise


@dataclass
class _Job:
    """The stages of a run, and what they share."""

    task: Task
    method_class: type[Method]
    hyperparameters: Any
    seed: int
    scale: str
    device: str
    quiet: bool
    folder: RunFolder
    settings: Mapping[str, Any]

    def __post_init__(self) -> None:
        self.views = Views(self.task, self.scale, self.method_class, self.seed)

    def make(self) -> Method:
        return make_method(
            self.method_class, self.hyperparameters, self.task, seed=self.seed, device=self.device
        )

    def run(self, draft: RowDraft, digest: str, began: float) -> Row:
        """Run all stages and return the row, also of a fit that diverges or fails."""
        access = self.method_class.label_access
        train, validation = (
            self.views.of(split) for split in (self.task.training_split(access), "validation")
        )
        seconds = {"data": time.perf_counter() - began}
        worker = Worker.of(draft.provenance)
        load = MachineLoad()
        with load.counted():
            load.time_kernel(self.device)  # before the fit, whose clock starts when it is made
            fit = Fit(self.folder, digest, validation, quiet=self.quiet, worker=worker, load=load)
            result = self._result(train, validation, fit, load, seconds)
        seconds["fit"] = fit.seconds
        seconds["total"] = sum(seconds.values())
        peak = max(fit.peak_memory, peak_memory_bytes())
        result = replace(
            result,
            seconds={name: round(value, 2) for name, value in seconds.items()},
            load=load.measured(),
            filling=None if self.views.filling is None else FILLING,
            peak_memory_mb=round(peak / 1e6, 1),
        )
        if len(fit.workers) > 1:
            draft = draft.made_in_parts(fit.workers)
            result = replace(result, message=parts_message(fit.workers, result.message))
        return draft.row(result, str(self.folder.row))

    def _result(
        self,
        train: SplitView,
        validation: SplitView,
        fit: Fit,
        load: MachineLoad,
        seconds: dict[str, float],
    ) -> Result:
        """Fit and score, also a method that diverges or fails; note the time of scoring."""
        try:
            method = fit.run(self.make, train)
            load.time_kernel(self.device)
            began_scoring = time.perf_counter()
            result = self._score_all(method, train, validation, fit)
            seconds["score"] = time.perf_counter() - began_scoring
            return result
        except SettingError as error:
            advice = pairs_advice(self.task, self.scale, self.method_class, train.labels)
            if advice is None:
                raise
            raise SettingError(f"{str(error).removesuffix('.')} ({advice}).") from error
        except (DataError, OpenElsewhere, OSError, Terminated):
            raise  # errors of the user or the machine (such as a full disk), not of the method
        except (Exception, SystemExit) as error:  # a method may call sys.exit
            if os.environ.get("STARBENCH_DEBUG"):
                traceback.print_exc()
            status: Literal["diverged", "failed"] = (
                "diverged" if isinstance(error, Diverged) else "failed"
            )
            return Result(status, _one_line(error, self.method_class), epochs=fit.epoch_done)

    def _score_all(
        self, method: Method, train: SplitView, validation: SplitView, fit: Fit
    ) -> Result:
        """Score validation and test, and write the files that stay with the run."""
        n_parameters = count_of(method.n_parameters, "n_parameters")
        sizes = self.task.sizes(self.scale)
        decoded = 2 if method.has_decoder else 1
        probed = self.task.probed_split
        total = self.task.card.spectra_each("test") * (
            sizes[probed] + decoded * (sizes["validation"] + sizes["test"])
        )
        label = f"score {method.name}"
        with bar(
            label=label, total=total, unit="spectra", unit_scale=True, quiet=self.quiet
        ) as progress:
            advance = progress.update
            encoded = train if probed == "train" else validation
            probes = Probes(encode_split(method, encoded, advance), encoded.labels)
            # Probes take seconds and select nothing, so they are scored on test only.
            estimates = {}
            if validation.labels.has_siblings:  # a survey may keep all of its groups for test
                on_validation = self._score(method, "validation", validation, None, advance)
                estimates = on_validation.scores.estimates
            test = self.views.of("test")
            looks_before = look(self.task, self.scale, self.method_class.name, self.settings)
            scored = self._score(method, "test", test, probes, advance)
        on_test, latent, errors = scored.scores, scored.latent, scored.errors
        if not method.control:  # one of them cheats so on purpose
            require_own_latents(method, test, latent)
            require_state(method, self.make, self.folder.best, test, latent)
        with stage("write files"):
            write_hdf5(self.folder.latents, {"latent": latent})
            write_ranks(self.folder.ranks, *Ranks.of(on_test.ranks))
            if errors is not None:
                self._write_example(method, latent, test.labels, errors)
        selected = next((row for row in fit.history if row["epoch"] == fit.best_epoch), {})
        return Result(
            "ok",
            _remark(selected, method),
            on_test.estimates,
            estimates,
            recorded_diagnostics(selected, method.diagnostics),
            ranks_digest(on_test.ranks.rank),
            epoch=fit.best_epoch or None,
            epochs=fit.epoch_done,
            n_parameters=n_parameters,
            state_sha256=checkpoint.state_sha256(checkpoint.load(self.folder.best)[0]),
            looks_before=looks_before,
        )

    def _score(
        self,
        method: Method,
        split: str,
        split_view: SplitView,
        probes: Probes | None,
        advance: Callable[[int], object],
    ) -> ScoredSplit:
        return score_split(
            method,
            self.task,
            split,
            self.scale,
            split_view,
            probes=probes,
            checkpoint=self.folder.ranking(split),
            advance=advance,
            quiet=self.quiet,
        )

    def _write_example(
        self, method: Method, latent: np.ndarray, labels: Labels, errors: Errors
    ) -> None:
        """Write the spectra of the test star with the median swapped error, for the figure."""
        nuisance, n_pixels = labels.nuisance, len(self.task.wavelength)
        place = np.argsort(errors.swapped, axis=None, kind="stable")[errors.swapped.size // 2]
        if labels.group is None:
            star, half = divmod(int(place), 2)
            twin = star, 1 - half
            reconstruct = decoder(method, latent, nuisance, n_pixels)
            plain, swapped = (flux[0, half] for flux in reconstruct(slice(star, star + 1)))
        else:
            pairs = ordered_pairs(labels.group)
            star, half, twin = int(pairs.query[place]), 0, (int(pairs.sibling[place]), 0)
            decode = sibling_decoder(method, latent[:, 0], nuisance[:, 0], n_pixels)
            at = np.array([star, star])
            plain, swapped = decode(np.array([star, twin[0]]), at)
        with named_faults(self.task):
            observed = self.task.make("test", star, star + 1)
        truth = observed.noiseless_flux[0, half]
        if observed.error is not None:
            truth = np.where(np.isfinite(observed.error[0, half]), truth, np.nan)
        write_example(
            self.folder.example,
            Example(
                star,
                half,
                tuple(nuisance[star, half].tolist()),
                tuple(nuisance[twin].tolist()),
                self.task.wavelength,
                truth,
                plain,
                swapped,
                tuple(self.task.nuisance_names),
                tuple(self.task.nuisance_units),
                getattr(self.task, "wavelength_unit", "Angstrom"),
                self.task.card.medium,
            ),
        )


def resolved_device(device: str | torch.device, *, here: bool = True) -> str:
    """Return a torch device, the one that this machine has for ``"auto"``.

    Parameters
    ----------
    device : str or torch.device
    here : bool
        Whether this machine must have it; others may run what this one submits.

    Raises
    ------
    SettingError
        If this machine lacks the device, or it can hold no numbers.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if not _is_usable(str(device), here):
        found = ", ".join(_accelerators()) or "none"
        raise SettingError(
            f"--device {str(device)[:40]!s} is not available; choose auto, cpu, or an accelerator "
            f"of this machine (it has {found})."
        )
    return str(device)


def _is_usable(name: str, here: bool) -> bool:
    """Return whether there is a device that computes; torch raises much for one that is missing."""
    try:
        device = torch.device(name)
        if here:
            torch.empty(1, device=device)
    except (RuntimeError, AssertionError, ImportError):
        return False
    # torch takes any number for the one processor, and computes nothing on "meta".
    return device.type != "meta" and (device.type != "cpu" or not device.index)


def _accelerators() -> list[str]:
    """Return the names of this machine's accelerators, such as ``cuda:0``."""
    if not torch.accelerator.is_available():
        return []
    kind = torch.accelerator.current_accelerator()
    return (
        []
        if kind is None
        else [f"{kind.type}:{number}" for number in range(torch.accelerator.device_count())]
    )


def configure_torch(seed: int, threads: int | None) -> int:
    """Set the threads, torch's determinism and all global seeds; return the number of threads."""
    if threads is None:
        threads = available_cores()
    elif threads < 1:
        raise SettingError(f"threads is {threads!r}; give an integer of at least 1.")
    elif fault := too_many(threads, most_threads()):
        raise SettingError(f"threads: {fault}")
    torch.set_num_threads(threads)
    limit_threads(threads)
    torch.manual_seed(seed)
    random.seed(seed)  # starbench draws from neither; methods of other authors may
    np.random.seed(seed % 2**32)  # noqa: NPY002 - the global generator is meant
    # cuBLAS reads this when it starts; without it, it is not deterministic.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # As use_deterministic_algorithms(True, warn_only=True), which also imports the compiler of
    # torch.compile: seconds, or half a minute on a busy machine.
    torch.set_deterministic_debug_mode("warn")
    # Saves the time of filling new memory with NaN, a debugging aid. The type stubs lack the name.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return threads


def _finished_row(folder: RunFolder) -> Row | None:
    """Return the row of a finished run; None if it failed, so that it is run again.

    A row that cannot be read, such as one that a power failure cut, counts as none.
    """
    if not folder.row.exists():
        return None
    try:
        row = read_row(folder.row)
    except RowError as error:
        say(f"{error}; the run counts as unfinished.")
        return None
    return None if row.status == "failed" else row


def _declared_anew(row: Row, declared: Declared, folder: RunFolder) -> Row:
    """Return a finished row with what its author says now, and write it if that differs."""
    said = {key: value for key, value in asdict(declared).items() if value is not None}
    again = row.model_copy(update={"declared": row.declared.model_copy(update=said)})
    if again == row:
        return row
    again = parse_row(row_text(again), str(folder.row))  # the text is checked as any row's
    write_row(again, folder.row)
    return again


def _remark(epoch: Mapping[str, float], method: Method) -> str | None:
    """Return the remark on an epoch's diagnostics, in whose words a method may have any text."""
    said = remark(epoch, method.diagnostics)
    return None if said is None else _printable(said)


def _printable(text: str) -> str:
    """Return a text as one line that the message of a row can hold."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    return one_line(shown)[:MESSAGE_LENGTH]


def _one_line(error: BaseException, method_class: type[Method]) -> str:
    """Return an error as one printable line; an unexpected one with the place that raised it."""
    text = _printable(str(error))
    if isinstance(error, Diverged | OutputError | ReportError):
        return text or type(error).__name__
    source = source_file(method_class)
    place = place_of(error, () if source is None else (source,))
    name = type(error).__name__
    return f"{name}: {text} ({place})" if text else f"{name} ({place})"
