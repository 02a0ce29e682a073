"""The monitor of a fit: progress, history, checkpoints to resume from, and selection of a state.

The selection rule is the same for every method. Some fifteen times during the fit, evenly spread
over its epochs, and once after it, the share of stars whose twin is nearest is measured on the same
validation pairs. The first half counts too, because on a small training set a method may memorise
its spectra from early on. The latest state within one standard error of the highest share is
scored: of statistically tied models, the one whose learning rate has fallen furthest is preferred
(after the one-standard-error rule of Breiman et al. 1984).

``checkpoint.safetensors`` holds the newest state and ``best.safetensors`` the selected one. The
checkpoint is written first and names the selected epoch, so that a process killed between the two
writes leaves consistent files.
"""

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from starbench.common import checkpoint
from starbench.common.files import atomic_path
from starbench.common.generators import generator_states, restore_generators
from starbench.common.progress import bar, say, stage
from starbench.common.provenance import peak_memory_bytes
from starbench.common.signals import Terminated, signals_held
from starbench.evaluation.encoding import OutputError, encode_rows
from starbench.evaluation.star_ranks import rank_stars
from starbench.evaluation.views import SplitView
from starbench.methods.base import Diverged, Method
from starbench.metrics import TwinRanks
from starbench.metrics.bootstrap import group_means
from starbench.results.history import MEASURE, Epoch, read_history, write_history
from starbench.results.reported import check_names, count_of, is_bounded
from starbench.results.selection_rule import SELECTION_PAIRS
from starbench.runs.diagnostics import summary
from starbench.runs.draft import Worker
from starbench.runs.load import MachineLoad
from starbench.runs.run_folder import RunFolder
from starbench.tasks.streams import inverse

_SECONDS_BETWEEN_CHECKPOINTS = 15.0
_CHECKPOINT_SHARE = 0.02  # of the time, at most, goes into writing checkpoints


def measures_after(epoch: int, epochs: int) -> bool:
    """Return whether the validation share is measured after an epoch, counted from 1."""
    step = max(1, math.ceil(epochs / 16))
    return epoch < epochs and (epochs - epoch) % step == 0


def twin_share(method: Method, split_view: SplitView) -> float:
    """Return the share of stars whose twin is nearest among the first `SELECTION_PAIRS` pairs.

    In a survey it is that of siblings among the stars of `selection_stars`, and 0 without any.
    """
    labels = split_view.labels
    n_pairs, each = labels.nuisance.shape[:2]
    if labels.group is None:
        stars = np.arange(min(SELECTION_PAIRS, n_pairs))
    else:
        stars = selection_stars(labels.group)
        labels = labels.of_stars(stars)
        if not labels.has_siblings:
            return 0.0
    rows = inverse(split_view.order).reshape(n_pairs, each)[stars].ravel()
    shuffled = np.sort(rows)  # in the order of the view, which carries no information
    latent = encode_rows(method, split_view, shuffled)[np.searchsorted(shuffled, rows)]
    error = None
    if method.control and split_view.view.error is not None:  # their own distances use it
        error = split_view.view.error[rows].reshape(len(stars), each, -1)
    ranks = rank_stars(method, latent.reshape(len(stars), each, -1), labels, error=error)
    if isinstance(ranks, TwinRanks):
        return float((ranks.rank == 1).mean())
    return float(group_means(ranks.rank == 1, ranks.group).mean())


def selection_stars(group: np.ndarray) -> np.ndarray:
    """Return which stars [n] of a survey the state of a method is selected on, in their order.

    At most as many as `SELECTION_PAIRS` pairs have: whole groups of siblings for one half, as they
    come, then stars of the field.

    Parameters
    ----------
    group : numpy.ndarray [n_stars], int64
    """
    most = 2 * SELECTION_PAIRS
    if len(group) <= most:
        return np.arange(len(group))
    _, first, label, size = np.unique(
        group, return_index=True, return_inverse=True, return_counts=True
    )
    by_first = np.argsort(np.where(size > 1, first, len(group)), kind="stable")
    n_taken = np.searchsorted(np.cumsum(size[by_first] * (size[by_first] > 1)), most // 2, "right")
    taken = np.zeros(len(size), bool)
    taken[by_first[: max(1, n_taken)]] = True
    chosen = taken[label] & (size[label] > 1)
    field = np.flatnonzero(size[label] == 1)[: max(0, most - int(chosen.sum()))]
    chosen[field] = True
    return np.flatnonzero(chosen)


def check_parameters(method: Method) -> None:
    """Refuse a number of parameters that no row can hold, if it is known yet.

    Raises
    ------
    ReportError
    """
    try:
        n_parameters = method.n_parameters
    except Exception:  # some methods have no parameters before the end of the fit
        return
    if n_parameters is not None:
        count_of(n_parameters, "n_parameters")


class Fit:
    """The monitor of one fit, which writes its files.

    Parameters
    ----------
    folder : RunFolder
    settings : str
        Digest of the run's settings; a checkpoint of other settings is not continued.
    validation : SplitView
    quiet : bool
        Draw no progress.
    worker : Worker
        The code and the threads of this process.
    load : MachineLoad
        Counts, after each epoch, the runs that share the machine.

    Attributes
    ----------
    epoch_done, epochs : int
        Number of finished epochs, and of all epochs.
    history : list of Epoch
        One entry per epoch.
    best_epoch, best_share : int, float
        The selected epoch so far, and the highest measured share; 0 and -1 if none.
    finished : bool
        Whether the fit has ended and the share of its last state has been measured.
    seconds : float
        Wall time of the fit in earlier processes; see `total_seconds`.
    peak_memory : int
        Largest memory of an earlier process [bytes].
    workers : list of Worker
        Those of all processes that worked on the fit, without repetitions.
    """

    def __init__(
        self,
        folder: RunFolder,
        settings: str,
        validation: SplitView,
        *,
        quiet: bool,
        worker: Worker,
        load: MachineLoad,
    ) -> None:
        self._folder, self._settings, self._validation = folder, settings, validation
        self._quiet, self._worker, self._load = quiet, worker, load
        self._bar: tqdm[None] | None = None
        self.reset()

    def reset(self) -> None:
        """Discard all progress: the fit starts at its first epoch."""
        self.epoch_done = self.epochs = self.best_epoch = 0
        self.best_share = -1.0
        self.history: list[Epoch] = []
        self.finished = False
        self.seconds = 0.0
        self.peak_memory = 0
        self.workers = [self._worker]
        self._resumed_at = time.perf_counter()
        self._written_at = -math.inf
        self._write_seconds = 0.0
        self._unwritten: tuple[dict[str, torch.Tensor], dict[str, Any]] | None = None

    def start(self, method: Method, epochs: int) -> None:
        """Begin, or continue, the progress bar.

        Raises
        ------
        ReportError
            If the number of epochs is not an integer of at least 0.
        """
        self.epochs = epochs = count_of(epochs, "the number of epochs that fit starts with")
        if self._bar is not None:
            self._bar.close()
        self._bar = bar(
            label=f"fit {method.name}",
            total=epochs, initial=self.epoch_done, unit="epoch", quiet=self._quiet,
        )  # fmt: skip

    def epoch(self, method: Method, epoch: int, values: dict[str, float]) -> None:
        """Record an epoch; when due, measure the validation share and write a checkpoint.

        Raises
        ------
        Diverged
            If a value is not finite, or larger than a row can hold.
        ReportError
            If no row can hold what the method reports; at the first epoch, not after the fit.
        Terminated
            If a signal asks the process to end.
        """
        with signals_held():
            self._record(method, epoch, values)

    def _record(self, method: Method, epoch: int, values: dict[str, float]) -> None:
        epoch = count_of(epoch, "the epoch that fit reports", self.epoch_done + 1)
        check_names(values)
        for name, value in values.items():
            if not is_bounded(value, name):
                raise Diverged(f"{name} became {value} in epoch {epoch}")
        if not self.history:
            check_parameters(method)
        self.epoch_done = epoch
        self._load.count()
        row: Epoch = {"epoch": epoch, **{name: float(value) for name, value in values.items()}}
        self.history.append(row)
        is_best = False
        if measures_after(epoch, self.epochs):
            row[MEASURE] = self._measured(method)
            is_best = self._note_share(row[MEASURE])
        if self._bar is not None:
            self._bar.set_postfix_str(summary(row, method.diagnostics), refresh=False)
            self._bar.update(epoch - self._bar.n)
        pause = max(_SECONDS_BETWEEN_CHECKPOINTS, self._write_seconds / _CHECKPOINT_SHARE)
        if is_best or time.perf_counter() - self._written_at > pause:
            self._write(method, is_best)
        else:
            # Between two epochs a method's state cannot be continued from, so this one is kept.
            state = {name: tensor.detach().clone() for name, tensor in _state_of(method).items()}
            self._unwritten = state, self._metadata()

    def run(self, make: Callable[[], Method], train: SplitView) -> Method:
        """Fit a method, or continue the folder's fit, and return the selected state.

        Parameters
        ----------
        make : callable
            Returns an unfitted instance of the method.
        train : SplitView

        Raises
        ------
        Diverged
            If the method says so, or reports a value that is not finite.
        ReportError
            If no row can hold what the method reports.
        """
        method = self._resumed(make)
        check_parameters(method)
        if not self.finished:
            try:
                self._finish(method, train)
            finally:
                self.seconds = self.total_seconds()
        if self.best_epoch == self.epoch_done:
            return method
        best = make()
        best.load_state(checkpoint.load(self._folder.best)[0])
        return best

    def _finish(self, method: Method, train: SplitView) -> None:
        """Run the fit to its end and measure it there."""
        self._bar = stage(f"fit {method.name}")  # until `start` begins a bar, if it is called
        try:
            method.fit(train.view, self._validation.view, self)
        except Terminated:
            with signals_held():
                self._write_newest()
            raise
        finally:
            if self._bar is not None:
                self._bar.close()
            write_history(self._folder.history, self.history)
        share = self._measured(method)
        if self.history:
            self.history[-1][MEASURE] = share
        self.finished = True
        self._write(method, self._note_share(share))

    def _measured(self, method: Method) -> float:
        with stage("measure on validation"):
            return twin_share(method, self._validation)

    def _note_share(self, share: float) -> bool:
        """Select the newest state unless its share is too low; return whether it is selected."""
        self.best_share = max(share, self.best_share)
        group = self._validation.labels.group
        n_pairs = min(SELECTION_PAIRS, len(self._validation.order) // 2)
        if group is not None:  # the groups of siblings are what varies
            n_pairs = max(1, int((np.unique(group, return_counts=True)[1] > 1).sum()))
        if share < self.best_share - math.sqrt(self.best_share * (1 - self.best_share) / n_pairs):
            return False
        self.best_epoch = self.epoch_done
        return True

    def total_seconds(self) -> float:
        """Return the wall time of the fit, over all processes that worked on it."""
        return self.seconds + time.perf_counter() - self._resumed_at

    def _write(self, method: Method, is_best: bool) -> None:
        began = time.perf_counter()
        self._unwritten = _state_of(method), self._metadata()
        self._write_newest()
        if is_best:
            _copy(self._folder.checkpoint, self._folder.best)
        self._written_at = time.perf_counter()
        self._write_seconds = self._written_at - began

    def _write_newest(self) -> None:
        """Write the newest state unless the checkpoint holds it."""
        if self._unwritten is None:
            return
        # The history first: the epochs after its checkpoint are dropped when the fit resumes.
        write_history(self._folder.history, self.history)
        checkpoint.save(self._folder.checkpoint, *self._unwritten)
        self._unwritten = None

    def _metadata(self) -> dict[str, Any]:
        return {
            "settings": self._settings,
            "epoch": self.epoch_done,
            "epochs": self.epochs,
            "best_epoch": self.best_epoch,
            "best_share": self.best_share,
            "finished": self.finished,
            "seconds": self.total_seconds(),
            "peak_memory": max(self.peak_memory, peak_memory_bytes()),
            "workers": [asdict(worker) for worker in self.workers],
            "runs_at_once": self._load.runs_at_once,
            "generators": generator_states(),
        }

    def _resumed(self, make: Callable[[], Method]) -> Method:
        """Return a method with the state of the checkpoint, or a fresh one."""
        method = make()
        if not self._folder.checkpoint.exists():
            return method
        try:
            state, metadata = checkpoint.load(self._folder.checkpoint)
            if metadata["settings"] != self._settings:
                raise checkpoint.CheckpointError("it was written with other settings")
            method.load_state(state)
            self._restore(metadata)
        except (
            Exception,
            SystemExit,
        ) as error:  # a damaged file can make load_state raise anything
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            say(f"{self._folder.checkpoint} cannot be continued ({reason}); the fit starts over.")
            self.reset()
            return make()
        if not self._quiet and not self.finished:
            say(f"continuing after epoch {self.epoch_done} of {self.epochs} ({self._folder.path})")
        return method

    def _restore(self, metadata: dict[str, Any]) -> None:
        folder = self._folder
        self.epoch_done, self.epochs = metadata["epoch"], metadata["epochs"]
        self.best_epoch, self.best_share = metadata["best_epoch"], metadata["best_share"]
        self.finished, self.seconds = metadata["finished"], metadata["seconds"]
        self.peak_memory = metadata["peak_memory"]
        at_once = metadata.get("runs_at_once", 1)  # checkpoints of the first releases lack it
        self._load.runs_at_once = max(at_once, self._load.runs_at_once)
        earlier = [Worker(**worker) for worker in metadata["workers"]]
        self.workers = earlier if self._worker in earlier else [*earlier, self._worker]
        self._resumed_at = self._written_at = time.perf_counter()
        self.history = [
            row for row in read_history(folder.history) if row["epoch"] <= self.epoch_done
        ]
        if len(self.history) != self.epoch_done:
            raise checkpoint.CheckpointError(f"epochs are missing from {folder.history.name}")
        if 0 < self.best_epoch < self.epoch_done:
            # Also checks that the file can be read, while the fit can still start over.
            if checkpoint.load(folder.best)[1]["epoch"] != self.best_epoch:
                raise checkpoint.CheckpointError(f"{folder.best.name} holds another epoch")
        elif self.best_epoch == self.epoch_done:  # both are 0 for a method without epochs
            _copy(folder.checkpoint, folder.best)  # a process may have been killed before it did
        if "generators" in metadata:  # checkpoints of the first releases lack them
            restore_generators(metadata["generators"])


def _state_of(method: Method) -> dict[str, torch.Tensor]:
    """Return a method's state, or say why it cannot be saved."""
    state = method.state()
    if fault := checkpoint.state_fault(state):
        raise OutputError(f"state() of {method.name} {fault}.")
    return state


def _copy(source: Path, target: Path) -> None:
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)
