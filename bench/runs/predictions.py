"""Files of predictions: score one from any program, or write one from a run.

A file of predictions is HDF5:

==========================  ======================  =====================================
dataset                     shape
==========================  ======================  =====================================
``latent``                  [n_pairs, 2, d]         of the test split, in its order
``reconstruction``          [n_pairs, 2, n_pixels]  from a star's own latent; optional
``swapped_reconstruction``  [n_pairs, 2, n_pixels]  from its twin's; with the other
``train/latent``            [n_train, 2, d]         for the probes; optional
``validation/...``          as for test             optional
==========================  ======================  =====================================

In a survey ``latent`` is [n_stars, d], without the axis of the pairs, and reconstructions are not
scored. Of an export with shuffled test spectra, the root attribute ``test_order`` is copied, and
``latent`` is in the order of the file; without it, in that of the task.

Metrics whose data are missing are left out. `score_predictions` uses the code that scores runs, and
`write_predictions` writes such a file from a run.
"""

import hashlib
import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from starbench.common.files import write_hdf5, write_json
from starbench.common.hdf5_guards import (
    UNREADABLE,
    local_object,
    open_hdf5,
    read_attribute,
    read_numbers,
    require_end,
)
from starbench.common.progress import bar, stage
from starbench.common.provenance import current_provenance, peak_memory_bytes
from starbench.common.settings import SettingError, split_settings
from starbench.common.text import one_line
from starbench.evaluation.latents import MAX_LATENT, as_float32, offset_of, storage_fault
from starbench.evaluation.scoring import (
    BATCH,
    Errors,
    Probes,
    Scores,
    decoder,
    encode_split,
    rank_latents,
    reconstruction_errors,
    score,
)
from starbench.evaluation.views import Labels, Views, unshuffle
from starbench.methods.base import Diverged, Method
from starbench.methods.registry import BUILT_IN
from starbench.results.ranks import Ranks as StoredRanks
from starbench.results.ranks import ranks_digest, write_ranks
from starbench.results.schema import write_row
from starbench.results.text import shorten
from starbench.runs.draft import Result, RowDraft, Subject
from starbench.runs.looks import look
from starbench.runs.origin import Declared, Given
from starbench.runs.restore import restore
from starbench.runs.run_folder import RunFolder, settings_digest
from starbench.runs.runner import Outcome, ended_by_signals, resolved_device
from starbench.tasks.base import SPLITS, Task
from starbench.tasks.errors import DataError
from starbench.tasks.storage.files import large_file, text_list
from starbench.tasks.storage.shuffled import ATTRIBUTE, order_name, order_of

RULE = "chosen by its authors, outside starbench"
_MUCH_NEARER = 0.5  # ratio of the distances of twins in two orders, which is not by chance
_FEWEST = 50  # pairs below which it may be
_RECONSTRUCTIONS = ("reconstruction", "swapped_reconstruction")


class PredictionsError(DataError):
    """A file of predictions that cannot be scored: one sentence that names what to change."""


class Predictions:
    """An open file of predictions, checked against a task.

    Parameters
    ----------
    path : pathlib.Path
    task : Task
    scale : str

    Raises
    ------
    PredictionsError
        If it is not HDF5, or a dataset has another shape or type than the task asks for.
    """

    def __init__(self, path: Path, task: Task, scale: str) -> None:
        self.path, self._task, self._sizes = path, task, task.sizes(scale)
        self._scale = scale
        if not path.is_file():
            raise PredictionsError(f"{path} is not a file; give an HDF5 file of predictions.")
        if not h5py.is_hdf5(path):
            raise PredictionsError(
                f"{path} cannot be read as HDF5; write an HDF5 file with the dataset latent of "
                f"shape [{self._axes('test')}, d], in the order of the test split, such as "
                "with h5py.File('predictions.h5', 'w') as file: file['latent'] = latent."
            )
        with ExitStack() as undo:
            try:
                require_end(lambda: self._open(undo))
                self._open(undo)
                self._offset = self._latent_offset()
            except PredictionsError:
                raise
            except UNREADABLE as error:
                reason = shorten(one_line(error))
                raise PredictionsError(
                    f"{path} cannot be read as HDF5 ({reason}); write it again."
                ) from error
            undo.pop_all()

    def _axes(self, split: str) -> str:
        """Return the leading axes of a split's arrays, for messages."""
        return ", ".join(str(n) for n in self._leading(split))

    def _leading(self, split: str) -> tuple[int, ...]:
        """Return the length of the leading axes of a split's arrays."""
        n = self._sizes[split]
        return (n,) if self._task.card.survey else (n, 2)

    def _open(self, stack: ExitStack) -> None:
        """Open the file and check its structure."""
        self._file = stack.enter_context(open_hdf5(self.path))
        self._width: int | None = None
        self._check_order()
        self._check_names()
        self._check_latent("test", required=True)
        for split in ("train", "validation"):
            self._check_latent(split, required=False)
        for split in ("validation", "test"):
            self._check_reconstructions(split)

    def __enter__(self) -> "Predictions":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def has(self, split: str, name: str = "latent") -> bool:
        """Return whether the file holds a dataset of a split."""
        group = self._file if split == "test" else local_object(self._file, split)
        return isinstance(group, h5py.Group) and isinstance(local_object(group, name), h5py.Dataset)

    def latent(self, split: str) -> np.ndarray:
        """Return the latents [n_pairs, 2, d] or [n_stars, 1, d], float32, of a split."""
        place = _place(split, "latent")
        if self._file[place].dtype.itemsize <= 4:
            latent = self._read(place, slice(None))
        else:
            latent = as_float32(self._read_stored(place, slice(None)) - self._offset)
        if self._task.card.survey:
            return latent[:, None]
        if split != "test":
            return latent
        n, shuffled = len(latent), order_of(order_name(self._task, self._scale), 2 * len(latent))
        as_exported = unshuffle(latent.reshape(2 * n, -1), shuffled)
        if self._is_shuffled:
            return as_exported
        if n >= _FEWEST and _apart(as_exported) < _MUCH_NEARER * _apart(latent):
            raise PredictionsError(
                f"{self.path}: latent is in the order of an export with shuffled test spectra; "
                f"copy the attribute {ATTRIBUTE} from the export, so that twins are found."
            )
        return latent

    def _latent_offset(self) -> np.ndarray:
        """Return what is subtracted from latents [d] of float64: of test, for all splits."""
        if self._file["latent"].dtype.itemsize <= 4:  # need not be read
            return np.zeros(self._width or 1)
        return offset_of(self._read_stored("latent", slice(None)))

    def reconstruct(self, split: str) -> Callable[[slice], tuple[np.ndarray, np.ndarray]]:
        """Return a function that reads the two reconstructions of a range of pairs."""

        def read(pairs: slice) -> tuple[np.ndarray, np.ndarray]:
            plain, swapped = (self._read(_place(split, name), pairs) for name in _RECONSTRUCTIONS)
            return plain, swapped

        return read

    def _read(self, place: str, rows: slice) -> np.ndarray:
        return as_float32(self._read_stored(place, rows))

    def _read_stored(self, place: str, rows: slice) -> np.ndarray:
        try:
            values: np.ndarray = read_numbers(self._file[place], rows)
        except UNREADABLE as error:
            raise PredictionsError(
                f"{self.path}: {place} cannot be read; write it again."
            ) from error
        return values

    def _check_order(self) -> None:
        """Read in which order the test spectra are; refuse that of another export."""
        self._is_shuffled = ATTRIBUTE in self._file.attrs
        if not self._is_shuffled:
            return
        expected = order_name(self._task, self._scale)
        found = text_list(read_attribute(self._file, ATTRIBUTE))
        if found != (expected,):
            scales = [s for s in self._task.card.sizes if found == (order_name(self._task, s),)]
            advice = f"give --scale {scales[0]}" if scales else "export that task, and encode it"
            raise PredictionsError(
                f"{self.path}: {ATTRIBUTE} is not that of {self._task.name} at scale "
                f"{self._scale}; {advice}."
            )
        if any(self.has("test", name) for name in _RECONSTRUCTIONS):
            raise PredictionsError(
                f"{self.path}: reconstructions need to know the twins; encode an export made with "
                f"--twins, and leave the attribute {ATTRIBUTE} out."
            )

    def _check_names(self) -> None:
        """Refuse unknown names: a misspelt one would leave its metrics out."""
        allowed = {_place(split, "latent") for split in ("train", "validation", "test")}
        allowed |= {
            _place(split, name) for split in ("validation", "test") for name in _RECONSTRUCTIONS
        }
        names = set(self._file) - {"train", "validation"}
        for split in {"train", "validation"} & set(self._file):
            group = local_object(self._file, split)
            if isinstance(group, h5py.Group):
                names |= {f"{split}/{name}" for name in group}
            else:
                names.add(split)
        for place in sorted(names & allowed):
            split, _, name = place.rpartition("/")
            if not self.has(split or "test", name):
                raise PredictionsError(
                    f"{self.path}: {place} is not a dataset of this file; write its numbers "
                    "there (links are refused)."
                )
        if other := sorted(names - allowed):
            raise PredictionsError(
                f"{self.path} holds the unknown dataset {shorten(other[0])}; remove it, or rename "
                f"it to one of {', '.join(sorted(allowed))}."
            )

    def _check_latent(self, split: str, *, required: bool) -> None:
        place = _place(split, "latent")
        if not self.has(split):
            if required:
                raise PredictionsError(f"{self.path} has no dataset {place}; add it.")
            return
        shape = self._file[place].shape
        if shape[:-1] != self._leading(split) or not shape[-1]:
            raise PredictionsError(
                f"{self.path}: {place} has shape {list(shape)}; this task needs "
                f"[{self._axes(split)}, d] at scale {self._scale}{self._other_scale(shape)}."
            )
        width = shape[-1]
        if width > MAX_LATENT:
            raise PredictionsError(
                f"{self.path}: {place} has {width} dimensions; give at most {MAX_LATENT}."
            )
        self._check_type(place)
        if self._width not in (None, width):
            raise PredictionsError(
                f"{self.path}: {place} has {width} dimensions, but latent has {self._width}; "
                "give the latents of one encoder for all splits."
            )
        self._width = width

    def _other_scale(self, shape: tuple[int, ...]) -> str:
        """Return what to give if test latents of this shape are those of another scale."""
        for scale, sizes in self._task.card.sizes.items():
            if scale != self._scale and shape[:-1] == (sizes["test"], *self._leading("test")[1:]):
                return f"; give --scale {scale}"
        return ""

    def _check_reconstructions(self, split: str) -> None:
        present = [name for name in _RECONSTRUCTIONS if self.has(split, name)]
        if present and self._task.card.survey:
            raise PredictionsError(
                f"{self.path} has {_place(split, present[0])}, but reconstructions of a survey are "
                "not scored; remove it."
            )
        if len(present) == 1:
            raise PredictionsError(
                f"{self.path} has only {_place(split, present[0])}; give both "
                f"{' and '.join(_RECONSTRUCTIONS)}, or neither."
            )
        expected = (self._sizes[split], 2, len(self._task.wavelength))
        for place in (_place(split, name) for name in present):
            if self._file[place].shape != expected:
                raise PredictionsError(
                    f"{self.path}: {place} has shape {list(self._file[place].shape)}; this task "
                    f"and scale need {list(expected)}."
                )
            self._check_type(place)

    def _check_type(self, place: str) -> None:
        if fault := storage_fault(self._file[place]):
            raise PredictionsError(f"{self.path}: {place} {fault}")


def _apart(latent: np.ndarray) -> float:
    """Return the median L1 distance of what stands as twins [n, 2, d]."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.median(np.abs(latent[:, 0] - latent[:, 1]).sum(axis=1)))


def _place(split: str, name: str) -> str:
    return name if split == "test" else f"{split}/{name}"


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
    if not predictions.has(split, _RECONSTRUCTIONS[0]):
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


def _was_edited(task: Task, run: RunFolder) -> bool:
    """Return whether the code of a task of others has changed since a run."""
    try:
        settings = json.loads(run.settings.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # the file is no part of what a run is restored from
        return False
    return isinstance(settings, dict) and settings.get("task_sha256") != task.code_sha256


def write_predictions(
    run: RunFolder,
    task: Task,
    path: Path,
    method_class: type[Method] | None = None,
    *,
    quiet: bool = False,
) -> None:
    """Write the predictions of a finished run's method for all splits, atomically.

    Parameters
    ----------
    run : RunFolder
    task : Task
        The task of the run.
    path : pathlib.Path
        With reconstructions some 3 GB at the full scale.
    method_class : type of Method, optional
        By default the method that has the row's name.
    quiet : bool
        Draw no progress.

    Raises
    ------
    SettingError
        If the folder does not hold a run whose method can be restored, the data are not those of
        the run, or the method is a control.
    """
    method, row = restore(run, method_class)
    if row.control:
        raise SettingError(f"{row.method} is a control; only latents ranked by L1 can be exported.")
    task.prepare(row.scale, progress=not quiet)
    if task.fingerprint(row.scale) != row.data_fingerprint or _was_edited(task, run):
        raise SettingError(
            f"{run.path} was run on other data than {task.name} now has; run it again."
        )
    sizes = task.sizes(row.scale)
    survey = task.card.survey
    decoded = 2 if method.has_decoder and not survey else 1
    total = task.card.spectra_each("test") * (
        sizes["train"] + decoded * (sizes["validation"] + sizes["test"])
    )
    views = Views(task, row.scale, type(method), row.seed)
    # Latents, whose size is not known yet, are small beside the two reconstructions of a star.
    decoded_pairs = 0 if decoded == 1 else sizes["validation"] + sizes["test"]
    n_bytes = 4 * decoded_pairs * 4 * len(task.wavelength) + 256 * total + 2**20
    progress = bar(
        label=f"predict {method.name}", total=total, unit="spectra", unit_scale=True, quiet=quiet
    )
    with (
        large_file(path, n_bytes, "choose another PREDICTIONS") as new,
        h5py.File(new, "w", locking=False) as file,
        progress,
    ):
        for split in SPLITS:
            split_view = views.of(split)
            latent = encode_split(method, split_view, progress.update)
            stored = latent[:, 0] if survey else latent
            file.create_dataset(_place(split, "latent"), data=stored, track_times=False)
            if split == "train" or decoded == 1:
                continue
            n, n_pixels = len(latent), len(task.wavelength)
            reconstruct = decoder(method, latent, split_view.labels.nuisance, n_pixels)
            places = [
                file.create_dataset(
                    _place(split, name), (n, 2, n_pixels), np.float32, track_times=False
                )
                for name in _RECONSTRUCTIONS
            ]
            for start in range(0, n, BATCH // 2):
                pairs = slice(start, min(start + BATCH // 2, n))
                for place, flux in zip(places, reconstruct(pairs), strict=True):
                    place[pairs] = flux
                progress.update(2 * (pairs.stop - pairs.start))
