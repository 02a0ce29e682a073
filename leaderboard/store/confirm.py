"""Confirming a row: score its fixed state, or latents of fresh spectra, and keep the outcome."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from starbench.common import checkpoint
from starbench.common.provenance import current_provenance
from starbench.common.threads import available_cores
from starbench.evaluation.scoring import Scores
from starbench.leaderboard.store.checks import (
    check_data,
    check_metrics,
    check_rank_metrics,
    settings_of,
)
from starbench.leaderboard.store.confirmations import (
    Confirmation,
    check_beacon,
    confirmation_beside,
    differences,
    is_confirmed,
    ranks_of,
)
from starbench.leaderboard.store.records import require_label, row_digest
from starbench.leaderboard.store.reproduce import (
    check_reproducible,
    differing_conditions,
)
from starbench.methods.base import Method
from starbench.results.ranks import Ranks, ranks_digest, read_ranks, write_ranks
from starbench.results.schema import Row, parse_part, read_row, write_row
from starbench.results.text import RowError, printable, shorten
from starbench.runs.fresh import score_fresh, score_fresh_latents
from starbench.runs.origin import source_sha256
from starbench.runs.restore import restored
from starbench.runs.run_folder import RunFolder
from starbench.runs.runner import configure_torch, resolved_device
from starbench.tasks.base import Task
from starbench.tasks.fresh import FreshTest
from starbench.tasks.storage.fresh_spectra import Key


@dataclass(frozen=True)
class Subject:
    """The row to confirm.

    Attributes
    ----------
    path : pathlib.Path
        Its file.
    row : Row
    ranks : Ranks
    """

    path: Path
    row: Row
    ranks: Ranks

    @property
    def name(self) -> str:
        """How errors refer to the row."""
        return printable(self.path)


@dataclass(frozen=True)
class Witness:
    """Who confirms a row, and where the public value comes from.

    Attributes
    ----------
    beacon_source : str
    by : str or None
    """

    beacon_source: str
    by: str | None = None

    def __post_init__(self) -> None:
        """Refuse what a record cannot hold, before anything is scored."""
        require_label("--beacon-source", self.beacon_source)
        require_label("--by", self.by)


def read_subject(path: Path, ranks: Path, *, replace: bool = False) -> Subject:
    """Read a row that can be confirmed, with its ranks.

    Raises
    ------
    RowError
        If it has no figures, is of a user's own pairs, or is confirmed already.
    """
    row, name = read_row(path), printable(path)
    if row.status != "ok":
        raise RowError(f"{name}: field `status` is {row.status}, so there are no figures; give a "
                       "row of status ok")  # fmt: skip
    if row.scale == "own":
        raise RowError(
            f"{name}: field `scale` is own, and own pairs have no fresh stars; give a row of a task"
        )
    kept = confirmation_beside(path)
    if kept.exists() and not replace:
        raise RowError(
            f"{printable(kept)}: holds a confirmation of this row; give --replace to make another"
        )
    subject = Subject(path, row, read_ranks(ranks))
    check_rank_metrics(row, subject.ranks, name)
    return subject


def confirm_state(
    subject: Subject,
    state: Path,
    fresh: FreshTest,
    witness: Witness,
    method_class: type[Method],
    *,
    device: str | None = None,
    threads: int | None = None,
    quiet: bool = False,
) -> Confirmation:
    """Score the fixed state of a row's method on fresh stars, and write the confirmation.

    Parameters
    ----------
    subject : Subject
    state : pathlib.Path
        The run's folder, or its ``best.safetensors``.
    fresh : FreshTest
        The fresh stars of the row's task.
    witness : Witness
    method_class : type of Method
    device, threads : optional
        By default those of the row, but no more threads than there are cores.
    quiet : bool
        Draw no progress.

    Raises
    ------
    RowError
        If the row, its state, its method's code and its task do not belong together.
    """
    row, name = subject.row, subject.name
    if row.predictions_sha256 is not None:
        raise RowError(
            f"{name}: the row is of predictions, of which starbench has no state; give "
            "--predictions and --key"
        )
    if row.state_sha256 is None:
        raise RowError(
            f"{name}: field `state_sha256` is missing, so the method's state was not fixed; run it "
            "again with this starbench"
        )
    check_beacon(fresh.value, subject.path, name)
    check_reproducible(row, name, method_class, fresh.base)
    settings_of(row, name, method_class)
    file = RunFolder(state).best if state.is_dir() else state
    if not file.is_file():
        raise RowError(f"{printable(file)}: no such file; give --state the folder of the row's run")
    tensors = checkpoint.load(file)[0]
    if checkpoint.state_sha256(tensors) != row.state_sha256:
        raise RowError(
            f"{printable(file)}: is not the state that made the row, whose `state_sha256` is "
            f"{row.state_sha256[:12]}...; give the folder of the row's run"
        )
    device = resolved_device(device or row.hardware.device)
    threads = configure_torch(
        row.seed, threads or max(1, min(row.hardware.threads, available_cores()))
    )
    fresh.prepare(row.scale, progress=not quiet)
    scores = score_fresh(
        restored(row, tensors, method_class, device, fresh),
        fresh,
        row.scale,
        quiet=quiet,
    )
    return _write(
        subject,
        scores,
        witness,
        {"state_sha256": row.state_sha256, "beacon": fresh.value},
        device,
        threads,
        source_sha256(method_class),
    )


def confirm_predictions(
    subject: Subject, latents: Path, key: Key, witness: Witness, task: Task, *, quiet: bool = False
) -> Confirmation:
    """Score the latents of fresh spectra, and write the confirmation of a row of predictions.

    Parameters
    ----------
    subject : Subject
    latents : pathlib.Path
        See `starbench.runs.fresh.read_fresh_latents`.
    key : Key
    witness : Witness
    task : Task
        The row's.
    quiet : bool
        Draw no progress.

    Raises
    ------
    RowError, DataError
        If row, latents, key and task do not belong together.
    """
    row, name = subject.row, subject.name
    if row.predictions_sha256 is None:
        raise RowError(
            f"{name}: field `predictions_sha256` is null: starbench fitted the method; give "
            "--state and --beacon"
        )
    if key.scale != row.scale:
        raise RowError(
            f"{name}: field `scale` is {row.scale}, but the key is of scale {key.scale}; give the "
            "key of spectra of the row's scale"
        )
    check_beacon(key.beacon, subject.path, name)
    fresh = key.stars(task)
    check_data(row, None, name, task)
    check_metrics(row.metrics, name)
    fresh.prepare(row.scale, progress=not quiet)
    scores = score_fresh_latents(latents, key, fresh)
    digest = hashlib.sha256(latents.read_bytes()).hexdigest()
    facts = {"predictions_sha256": digest, "key_sha256": key.sha256, "beacon": key.beacon}
    return _write(subject, scores, witness, facts, "cpu", 1, None)


def _write(
    subject: Subject,
    scores: Scores,
    witness: Witness,
    facts: dict[str, str],
    device: str,
    threads: int,
    source: str | None,
) -> Confirmation:
    """Write what fresh stars gave, and their ranks, beside the row."""
    row, ranks = subject.row, Ranks.of(scores.ranks)
    found = differences(subject.ranks, ranks)
    content = {
        **facts,
        "row_sha256": row_digest(subject.path),
        "task": row.task,
        "task_version": row.task_version,
        "scale": row.scale,
        "beacon_source": witness.beacon_source,
        "by": witness.by,
        "conditions": [],
        "made_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **dataclasses.asdict(current_provenance(device, threads)),
        "metrics": {name: dataclasses.asdict(each) for name, each in scores.estimates.items()},
        "differences": {name: each.model_dump() for name, each in found.items()},
        "ranks_sha256": ranks_digest(ranks.rank),
        "confirmed": is_confirmed(found),
    }
    target = confirmation_beside(subject.path)
    confirmation = parse_part(Confirmation, json.dumps(content), printable(target), "confirmation")
    conditions = differing_conditions(row, confirmation) if source else []
    if source != row.source_sha256:
        conditions.append("the source files of the method differ")
    confirmation = confirmation.model_copy(
        update={"conditions": [shorten(each, 290) for each in conditions]}
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    write_ranks(ranks_of(target), *ranks)
    write_row(confirmation, target)
    return confirmation
