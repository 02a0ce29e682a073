"""Score a file of predictions, made by any program, with the code that scores runs.

Metrics whose data are missing are left out.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from starbench.common.files import write_hdf5, write_json
from starbench.common.progress import stage
from starbench.common.provenance import current_provenance, peak_memory_bytes
from starbench.common.settings import SettingError, split_settings
from starbench.evaluation.reconstruction import Errors, reconstruction_errors
from starbench.evaluation.scoring import Probes, Scores, score
from starbench.evaluation.star_ranks import rank_latents
from starbench.evaluation.views import Labels
from starbench.methods.base import Diverged
from starbench.methods.registry import BUILT_IN
from starbench.results.ranks import Ranks as StoredRanks
from starbench.results.ranks import ranks_digest, write_ranks
from starbench.results.schema import write_row
from starbench.results.text import shorten
from starbench.runs.draft import Result, RowDraft, Subject
from starbench.runs.looks import look
from starbench.runs.origin import Declared, Given
from starbench.runs.predictions import RECONSTRUCTIONS, Predictions, PredictionsError
from starbench.runs.run_folder import RunFolder, settings_digest
from starbench.runs.runner import Outcome, ended_by_signals, resolved_device
from starbench.tasks.base import Task

RULE = "chosen by its authors, outside starbench"


@ended_by_signals()
def score_predictions(
    path: Path,
    task: Task,
    *,
    scale: str,
    method_name: str,
    label_access: str,
    reference: str,
    hyperparameters: dict[str, Any] | None = None,
    seed: int = 0,
    device: str = "auto",
    out: Path = Path("runs"),
    given: Given | None = None,
    declared: Declared | None = None,
    quiet: bool = False,
) -> Outcome:
    """Score a file of predictions, and write the folder of a run for it.

    A ranking that was stopped is continued from its checkpoint.

    Parameters
    ----------
    path : pathlib.Path
    task : Task
    scale : str
    method_name, label_access, reference
        Fields of the row; the name may not be that of a built-in method.
    hyperparameters : dict, optional
        Settings of the method, for the row.
    seed : int
        The seed with which the method was trained.
    device : str
        A torch device, which ranks the twins; ``"auto"`` is a CUDA device if there is one.
    out : pathlib.Path
        Folder in which run folders are created.
    given : Given, optional
        For the row's command: how it names task and data.
    declared : Declared, optional
        For the row.
    quiet : bool
        Draw no progress.

    Raises
    ------
    SettingError, PredictionsError
        If the description of the method or the file cannot be used.
    RunFolderBusy
        If another process is scoring the same file.
    Terminated
        If SIGTERM or SIGUSR1 arrives; what was ranked is stored then.
    """
    if method_name in BUILT_IN:
        raise SettingError(
            f"--method-name {method_name} is a built-in method; choose another name."
        )
    subject = Subject(
        method=method_name,
        method_version=1,
        label_access=label_access,
        hyperparameters=hyperparameters or {},
        task=task.name,
        task_version=task.version,
        scale=scale,
        data_fingerprint="unknown",  # until the data are prepared
        seed=seed,
    )
    device = resolved_device(device)
    draft = RowDraft(
        subject,
        reference,
        RULE,
        current_provenance(device, 1),
        snr=task.snr,
        given=given or Given(),
        declared=declared or Declared(),
    )
    draft.check("--method-name, --reference or --set")
    read = _read_file(path, task, scale, quiet)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    identity = [digest, label_access, reference, hyperparameters or {}]
    folder = RunFolder(
        Path(out) / task.name / method_name / f"{seed}-{settings_digest({'score': identity})}"
    )
    looks_before = look(task, scale, method_name, {"predictions": identity})
    with folder.locked():
        scores = {
            split: _scores(read, split, task, scale, folder, device, quiet) for split in read.splits
        }
        result = _result(read.splits["test"][0], scores, digest, looks_before)
        subject = replace(subject, data_fingerprint=task.fingerprint(scale))
        row = replace(draft, subject=subject).row(result, str(path))
        folder.clear()
        write_json(folder.settings, {"predictions": path.name, "predictions_sha256": digest})
        write_hdf5(folder.latents, {"latent": read.splits["test"][0]})
        write_ranks(folder.ranks, *StoredRanks.of(scores["test"].ranks))
        write_row(row, folder.row)
    return Outcome(row, folder, fresh=True)


@dataclass(frozen=True)
class _Read:
    """What a file of predictions holds.

    Attributes
    ----------
    splits : dict of str to (numpy.ndarray [n, 2, d], Errors or None)
        Of each split that is scored, its latents and the errors of its reconstructions.
    probes : Probes or None
    """

    splits: dict[str, tuple[np.ndarray, Errors | None]]
    probes: Probes | None


def _read_file(path: Path, task: Task, scale: str, quiet: bool) -> _Read:
    """Read all of a file, so that its faults are found before the ranking."""
    with Predictions(path, task, scale) as predictions:
        task.prepare(scale, progress=not quiet)
        probes = _probes(predictions, task, scale)
        judged = predictions.has("validation") and _has_siblings(task, "validation", scale)
        splits = ("validation", "test") if judged else ("test",)
        return _Read({split: _read(predictions, task, split, scale) for split in splits}, probes)


def _scores(
    read: _Read, split: str, task: Task, scale: str, folder: RunFolder, device: str, quiet: bool
) -> Scores:
    """Rank and score a split; the ranking is continued from its checkpoint in the folder."""
    latent, errors = read.splits[split]
    labels = Labels.of_task(task, split, scale)
    checkpoint = folder.ranking(split)
    ranks = rank_latents(latent, labels, device=device, checkpoint=checkpoint, quiet=quiet)
    probes = read.probes if split == "test" else None
    return score(latent, labels, ranks=ranks, errors=errors, probes=probes)


def _result(
    latent: np.ndarray, scores: dict[str, Scores], digest: str, looks_before: int | None
) -> Result:
    """Return what a row says of scored predictions, whose test latents are given."""
    n_broken = int((~np.isfinite(latent).all(axis=2)).sum())
    return Result(
        "ok",
        f"the latents of {n_broken} of {latent[..., 0].size} test stars are not finite; they "
        "rank last"
        if n_broken
        else None,
        metrics=scores["test"].estimates,
        validation_metrics=scores["validation"].estimates if "validation" in scores else {},
        ranks_sha256=ranks_digest(scores["test"].ranks.rank),
        peak_memory_mb=round(peak_memory_bytes() / 1e6, 1),
        predictions_sha256=digest,
        looks_before=looks_before,
    )


def parse_settings(settings: tuple[str, ...]) -> dict[str, Any]:
    """Parse ``key=value`` settings; a value that is not JSON is a string.

    Raises
    ------
    SettingError
        If a setting is not ``key=value``, or its number is not finite or has thousands of digits.

    Examples
    --------
    >>> parse_settings(("depth=3", "activation=silu"))
    {'depth': 3, 'activation': 'silu'}
    """
    parsed: dict[str, Any] = {}
    for key, text in split_settings(settings).items():
        try:
            parsed[key] = json.loads(text)
            json.dumps(parsed[key], allow_nan=False)
        except json.JSONDecodeError:
            parsed[key] = text
        except (ValueError, RecursionError):
            raise SettingError(
                f"--set {key} must be a text, a finite number of at most 63 bits or a list of such "
                f"numbers, but got '{shorten(text, 60)}'."
            ) from None
    return parsed


def _has_siblings(task: Task, split: str, scale: str) -> bool:
    return Labels.of_task(task, split, scale).has_siblings


def _probes(predictions: Predictions, task: Task, scale: str) -> Probes | None:
    split = task.probed_split
    if not predictions.has(split):
        return None
    latent = predictions.latent(split)
    if not np.isfinite(latent).all():
        pair = int(np.argwhere(~np.isfinite(latent))[0, 0])
        item = "star" if task.card.survey else "pair"
        raise PredictionsError(
            f"{predictions.path}: {split}/latent of {item} {pair} is not finite, so no probe can "
            f"be fitted; correct it, or leave {split}/latent out."
        )
    return Probes(latent, Labels.of_task(task, split, scale))


def _read(
    predictions: Predictions, task: Task, split: str, scale: str
) -> tuple[np.ndarray, Errors | None]:
    """Read the latents of a split, and compare its reconstructions with the flux."""
    latent = predictions.latent(split)
    if not predictions.has(split, RECONSTRUCTIONS[0]):
        return latent, None
    try:
        with stage("compare reconstructions", total=latent[..., 0].size) as compared:
            return latent, reconstruction_errors(
                task.noiseless_flux(split, scale),
                len(latent),
                predictions.reconstruct(split),
                compared.update,
            )
    except Diverged as error:  # here a fault of the file
        raise PredictionsError(
            f"{predictions.path}, split {split}: {error}; write finite numbers there."
        ) from None
