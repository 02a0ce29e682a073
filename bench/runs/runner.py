"""One run: data, fit, choice on validation, one scoring of test, and the row with all its files.

A run can be killed at any moment and started again with the same settings: it continues from its
checkpoint and ends with the same figures. ``row.json`` is written last, so a folder that has one is
finished.
"""

import dataclasses
import hashlib
import inspect
import json
import os
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import starbench
from starbench.common import provenance
from starbench.evaluation.scoring import Errors, OutputError, Probes, Scores, decoder, encode_split, rank_stars, reconstruction_errors, score
from starbench.common.files import write_hdf5, write_json
from starbench.runs.fitting import SELECTION_RULE, Fit
from starbench.methods.base import Diverged, Method, SettingError
from starbench.common.progress import bar
from starbench.results.schema import Row, parse_row, read_row, write_row
from starbench.results.text import RowError
from starbench.results.ranks import ranks_digest, write_ranks
from starbench.runs.run_folder import RunFolder, settings_digest
from starbench.tasks.base import Task
from starbench.tasks.errors import DataError
from starbench.evaluation.views import SplitView, view_split
from starbench.runs.remarks import remark

MESSAGE_LENGTH = 900


class Outcome(NamedTuple):
    """A run's row, its folder, and whether it was run now rather than found finished."""

    row: Row
    folder: RunFolder
    fresh: bool


def run(
    task: Task,
    method_class: type[Method],
    hyperparameters: Any = None,
    *,
    seed: int = 0,
    scale: str = "full",
    device: str = "auto",
    threads: int | None = None,
    out: Path = Path("runs"),
    preset: str | None = None,
    overrides: dict[str, Any] | None = None,
    force: bool = False,
    quiet: bool = False,
) -> Outcome:
    """Run a method on a task, or continue a run that was cut off, or return one that is finished.

    Parameters
    ----------
    task : Task
    method_class : type of Method
    hyperparameters : object, optional
        Instance of the method's dataclass; its defaults if not given.
    seed : int
    scale : str
        One of the task's scales.
    device : str
        A torch device; ``"auto"`` is a CUDA device where there is one.
    threads : int, optional
        Threads of the array libraries; as many as there are cores for this process, if not given.
    out : pathlib.Path
        Where run folders go.
    preset, overrides
        How the hyperparameters came about, for the row.
    force : bool
        Run again even where the folder holds a finished run.
    quiet : bool
        Draw no progress.

    Raises
    ------
    SettingError, DataError
        If the settings or the data cannot be used.
    RunFolderBusy
        If another process works on the same run.
    """
    hyperparameters = method_class.Hyperparameters() if hyperparameters is None else hyperparameters
    device = _resolved_device(device)
    threads = _settle_torch(seed, threads)
    began = time.perf_counter()
    task.prepare(scale, progress=not quiet)
    identity = _identity(task, method_class, hyperparameters, scale, device)
    digest = settings_digest({**identity, "seed": seed})
    folder = RunFolder(Path(out) / task.name / method_class.name / f"{seed}-{digest}")

    with _named_errors(folder.path), folder.locked():
        if force:
            folder.clear()
        if (row := _finished_row(folder)) is not None:
            return Outcome(row, folder, fresh=False)
        folder.row.unlink(missing_ok=True)
        job = _Job(task, method_class, hyperparameters, seed, scale, device, quiet, folder)
        facts = {
            **identity,
            "reference": method_class.reference,
            "control": method_class.control,
            "preset": preset,
            "overrides": overrides or {},
            "seed": seed,
            "selection": {"rule": SELECTION_RULE, "epoch": None},
            "n_parameters": 0,
            **code_and_machine(device, threads),
        }
        check_draft(facts, f"{method_class.__module__}.{method_class.__qualname__}")
        write_json(folder.settings, {**identity, "seed": seed})
        row = job.run(facts, digest, began)
        write_row(row, folder.row)
    return Outcome(row, folder, fresh=True)


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    """Name the run folder in an error of the operating system that names no file."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            reason = error.strerror or str(error)
            raise OSError(error.errno, reason, str(path)) from error
        raise


@dataclasses.dataclass
class _Job:
    """What the stages of a run share."""

    task: Task
    method_class: type[Method]
    hyperparameters: Any
    seed: int
    scale: str
    device: str
    quiet: bool
    folder: RunFolder

    def make(self) -> Method:
        return self.method_class(self.hyperparameters, seed=self.seed, device=self.device)

    def show(self, split: str) -> SplitView:
        return view_split(self.task, split, self.scale, self.method_class.label_access, self.seed)

    def run(self, facts: dict[str, Any], digest: str, began: float) -> Row:
        """Do all stages; a fit that diverges or breaks makes a row that says so."""
        train, validation = self.show("train"), self.show("validation")
        seconds = {"data": time.perf_counter() - began}
        worker = {name: facts[name] for name in ("commit", "dirty")}
        worker["threads"] = facts["hardware"]["threads"]
        fit = Fit(self.folder, digest, validation, quiet=self.quiet, worker=worker)
        try:
            method = fit.run(self.make, train)
            began_scoring = time.perf_counter()
            result = self._score_all(method, train, validation, fit)
            seconds["score"] = time.perf_counter() - began_scoring
        except (SettingError, DataError, OSError):
            raise  # the user's mistakes and the machine's: nothing to say of the method
        except Exception as error:
            if os.environ.get("STARBENCH_DEBUG"):
                traceback.print_exc()
            result = {
                "status": "diverged" if isinstance(error, Diverged) else "failed",
                "message": _one_line(error),
                "epochs": fit.epoch_done,
            }
        seconds["fit"] = fit.seconds
        seconds["total"] = sum(seconds.values())
        peak = max(fit.peak_memory, provenance.peak_memory_bytes())
        if len(fit.workers) > 1:
            result |= _of_many(fit.workers, result["message"])
        return build_row(
            {
                **facts,
                **result,
                "seconds": {name: round(value, 2) for name, value in seconds.items()},
                "peak_memory_mb": round(peak / 1e6, 1),
            },
            str(self.folder.row),
        )

    def _score_all(
        self, method: Method, train: SplitView, validation: SplitView, fit: Fit
    ) -> dict[str, Any]:
        """Score validation and test, write what stays with the run, and return the row's part."""
        sizes = self.task.sizes(self.scale)
        decoded = 2 if method.has_decoder else 1
        total = 2 * (sizes["train"] + decoded * (sizes["validation"] + sizes["test"]))
        with bar(
            label=f"score {method.name}",
            total=total,
            unit="spectra",
            unit_scale=True,
            quiet=self.quiet,
        ) as progress:
            probes = Probes(encode_split(method, train, progress.update), train.labels)
            # The probes are judged on test alone: each costs seconds, and nothing is chosen by
            # them.
            on_validation, _, _ = self._score(
                method, "validation", validation, None, progress.update
            )
            test = self.show("test")
            on_test, latent, errors = self._score(method, "test", test, probes, progress.update)
        write_hdf5(self.folder.latents, {"latent": latent})
        write_ranks(self.folder.ranks, on_test.ranks.rank, on_test.ranks.tied)
        if errors is not None:
            self._write_example(method, latent, test.labels.nuisance, errors)
        chosen = next((row for row in fit.history if row["epoch"] == fit.best_epoch), {})
        adversary = {
            short: chosen[name]
            for short, name in (
                ("cross_entropy", "adversary_cross_entropy"),
                ("chance", "chance_cross_entropy"),
            )
            if name in chosen
        }
        return {
            "status": "ok",
            "message": remark(chosen),
            "metrics": recorded_estimates(on_test),
            "validation_metrics": recorded_estimates(on_validation),
            "ranks_sha256": ranks_digest(on_test.ranks.rank),
            "selection": {"rule": SELECTION_RULE, "epoch": fit.best_epoch or None},
            "adversary": adversary or None,
            "epochs": fit.epoch_done,
            "n_parameters": method.n_parameters,
        }

    def _score(
        self, method: Method, split: str, shown: SplitView, probes: Probes | None, advance: Any
    ) -> tuple[Scores, np.ndarray, Errors | None]:
        latent = encode_split(method, shown, advance)
        errors = None
        if method.has_decoder:
            errors = reconstruction_errors(
                self.task.chunks(split, self.scale),
                len(latent),
                decoder(method, latent, shown.labels.nuisance, len(self.task.wavelength)),
                advance,
            )
        mse = {"plain_mse": errors.plain, "swapped_mse": errors.swapped} if errors else {}
        ranks = rank_stars(method, latent, shown.labels)
        scores = score(latent, shown.labels, ranks=ranks, probes=probes, **mse)
        return scores, latent, errors

    def _write_example(
        self, method: Method, latent: np.ndarray, nuisance: np.ndarray, errors: Errors
    ) -> None:
        """Keep the spectra of the test star with the median swapped error, for the figure."""
        star = np.argsort(errors.swapped, axis=None, kind="stable")[errors.swapped.size // 2]
        pair, half = divmod(int(star), 2)
        reconstruct = decoder(method, latent, nuisance, len(self.task.wavelength))
        plain, swapped = (flux[0, half] for flux in reconstruct(slice(pair, pair + 1)))
        for rows, piece in self.task.chunks("test", self.scale):
            if rows.start <= pair < rows.stop:
                truth = piece.noiseless_flux[pair - rows.start, half]
                break
        write_hdf5(
            self.folder.example,
            {
                "wavelength": self.task.wavelength,
                "flux": truth,
                "reconstruction": plain,
                "swapped_reconstruction": swapped,
            },
            {
                "pair": pair,
                "half": half,
                "nuisance": nuisance[pair, half],
                "twin_nuisance": nuisance[pair, 1 - half],
                "nuisance_names": list(self.task.nuisance_names),
                "nuisance_units": list(self.task.nuisance_units),
                "wavelength_unit": getattr(self.task, "wavelength_unit", "Angstrom"),
            },
        )


def _resolved_device(device: str) -> str:
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=torch.device(device))
    except (RuntimeError, AssertionError):  # torch raises either for a device that it lacks
        raise SettingError(
            f"--device {device} is not there; choose auto, cpu, or an accelerator of this machine."
        ) from None
    return device


def _settle_torch(seed: int, threads: int | None) -> int:
    """Fix what torch would otherwise choose for itself, and return the number of threads."""
    threads = threads or provenance.available_cores()
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    # cuBLAS reads this when it starts; without it, it refuses to be deterministic.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # finds faults, and costs time
    return threads


def _identity(
    task: Task, method_class: type[Method], hyperparameters: Any, scale: str, device: str
) -> dict[str, Any]:
    """Return what tells runs apart, under the row's names; see `_NOT_IN_ROW`."""
    return {
        "task": task.name,
        "task_version": task.version,
        "scale": scale,
        "data_fingerprint": task.fingerprint(scale),
        "method": method_class.name,
        "method_version": method_class.version,
        "method_class": method_class.__qualname__,
        "label_access": method_class.label_access,
        "hyperparameters": dataclasses.asdict(hyperparameters),
        # Another kind of device rounds otherwise, so a fit may not change it half-way.
        "device_type": torch.device(device).type,
        "source_sha256": _source_digest(method_class),
    }


_NOT_IN_ROW = ("device_type", "method_class", "source_sha256")


def _source_digest(method_class: type[Method]) -> str | None:
    """Return a digest of a third party's file, which may change without a new version number."""
    if method_class.__module__.startswith("starbench."):
        return None
    try:
        source = inspect.getsourcefile(method_class)
    except TypeError:
        return None
    return hashlib.sha256(Path(source).read_bytes()).hexdigest() if source else None


def code_and_machine(device: str, threads: int) -> dict[str, Any]:
    """Return what a row says of the code and the machine that made it."""
    commit, dirty = provenance.checkout()
    return {
        "starbench_version": starbench.__version__,
        "commit": commit,
        "dirty": dirty,
        "libraries": provenance.library_versions(),
        "hardware": provenance.hardware(device, threads),
    }


def _of_many(workers: list[dict[str, Any]], message: str | None) -> dict[str, Any]:
    """Return what a row says of a run that was continued by other code or on other threads.

    One that no single commit made counts as one of changed code, which nobody can repeat.
    """
    told = ", then ".join(
        f"{(worker['commit'] or 'a release')[:10]}{' (changed)' if worker['dirty'] else ''} on "
        f"{worker['threads']} thread{'' if worker['threads'] == 1 else 's'}"
        for worker in workers
    )
    message = f"{message}; " if message else ""
    changed = len({worker["commit"] for worker in workers}) > 1
    return {"message": f"{message}made in parts: {told}"[:MESSAGE_LENGTH]} | (
        {"dirty": True} if changed or any(worker["dirty"] for worker in workers) else {}
    )


def _finished_row(folder: RunFolder) -> Row | None:
    """Return the row of a finished run; one that failed is run again, as its cause may be gone."""
    if not folder.row.exists():
        return None
    row = read_row(folder.row)
    return None if row.status == "failed" else row


def build_row(content: dict[str, Any], name: str) -> Row:
    """Build a row through the same checks that a stranger's row passes."""
    content = {key: value for key, value in content.items() if key not in _NOT_IN_ROW}
    return parse_row(json.dumps(content), name)


def check_draft(facts: dict[str, Any], whose: str) -> None:
    """Find out before the work that what is said of a method does not fit into a row.

    Raises
    ------
    SettingError
        With `whose` at its beginning.
    """
    draft = {"status": "failed", "message": "not finished", "seconds": {}}
    try:
        build_row({**facts, **draft}, whose)
    except RowError as error:
        raise SettingError(f"{error}.") from None


def recorded_estimates(scores: Scores) -> dict[str, dict[str, float | int]]:
    """Return figures as a row holds them."""
    return {name: dataclasses.asdict(figure) for name, figure in scores.estimates.items()}


def _one_line(error: BaseException) -> str:
    """Return an error as one printable line, with the place that raised it where that helps."""
    text = "".join(character if character.isprintable() else " " for character in str(error))
    text = " ".join(text.split())[:MESSAGE_LENGTH]
    if isinstance(error, Diverged | OutputError):
        return text or type(error).__name__
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {text} ({Path(frame.filename).name}:{frame.lineno})"
