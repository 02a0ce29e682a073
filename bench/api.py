"""The public functions of starbench, for notebooks and scripts: ``import starbench as sb``.

Each imports what it needs when it is called: ``sb.twin_ranks`` needs no torch.
"""

import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from starbench.common.arrays import real_numbers
from starbench.common.paths import user_path
from starbench.common.threads import most_threads, too_many

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from matplotlib.figure import Figure

    from starbench.evaluation.scoring import Errors, Probes
    from starbench.methods.base import Method
    from starbench.metrics import Counting, SiblingRanks, TwinRanks
    from starbench.results.schema import Row
    from starbench.tasks.base import Task

Array = npt.NDArray[np.float32]
Ranks = TypeVar("Ranks")

__all__ = [
    "RunResult",
    "load_method",
    "load_task",
    "rows",
    "run",
    "score",
    "sibling_ranks",
    "suite",
    "twin_ranks",
]


@dataclass(frozen=True)
class RunResult:
    """The result of a run: its row, and its files as tables, arrays and figures.

    Attributes
    ----------
    row : Row
        The row in ``row.json``: settings, metrics, versions, hardware. Its `status`
        is ``"ok"``, ``"diverged"`` or ``"failed"``; only an ``"ok"`` run has metrics and ranks.
    folder : pathlib.Path
    fresh : bool
        False if the run had already been finished and was not repeated.
    """

    row: "Row"
    folder: Path
    fresh: bool

    def __repr__(self) -> str:
        if self.row.status == "ok":
            share = self.row.metrics["doppelganger_free"].value
            summary = f"the twin is nearest for {share:.1%} of the stars"
        else:
            summary = f"{self.row.status}: {self.row.message}"
        return (
            f"<{self.row.method} on {self.row.task}, scale {self.row.scale}, "
            f"seed {self.row.seed}: {summary}>"
        )

    @property
    def metrics(self) -> "pd.DataFrame":
        """Metrics on the test split, one per line, with the columns value, low and high.

        `low` and `high` are the ends of the 95 % interval; `starbench.metrics.METRICS` defines
        the metrics.
        """
        return _metrics_frame(self.row.metrics)

    @property
    def history(self) -> "pd.DataFrame":
        """Losses and diagnostics of each epoch of the training; empty if there are no epochs."""
        import pandas as pd

        from starbench.results.history import read_history

        path = self.folder / "history.csv"
        epochs = read_history(path) if path.exists() else []
        return pd.DataFrame(epochs).set_index("epoch") if epochs else pd.DataFrame()

    @property
    def ranks(self) -> npt.NDArray[np.int64]:
        """Rank of every test star's twin [n_pairs, 2]; 1 if the twin is nearest.

        In a survey [n_ordered], of each ordered pair of siblings.
        """
        from starbench.results.ranks import read_ranks

        return read_ranks(self.folder / "ranks.h5").rank

    def swap_figure(self) -> "Figure":
        """Draw a test star: true, reconstructed, and decoded from its twin's latent.

        It is the star of median swapped error; residuals are drawn below. A notebook shows the
        figure after ``%matplotlib inline``.

        Raises
        ------
        ValueError
            If the method has no decoder.
        """
        _import_matplotlib()
        from starbench.results.example import read_example
        from starbench.runs.plots import figure_spectra

        path, row = self.folder / "example.h5", self.row
        if not path.exists():
            raise ValueError(f"{row.method} has no decoder, so there is no spectrum to draw")
        title = f"{row.method} on {row.task}, scale {row.scale}, seed {row.seed}"
        return figure_spectra(read_example(path), title)


def run(
    method: "str | type[Method]",
    task: "str | Task | None" = None,
    scale: str | None = None,
    seed: int = 0,
    *,
    settings: Mapping[str, Any] | None = None,
    preset: str | None = None,
    data: str | Path | None = None,
    snr: float | None = None,
    max_dropped: float | None = None,
    device: "str | torch.device" = "auto",
    threads: int | None = None,
    outside_data: str | None = None,
    pretraining: str | None = None,
    code_from: str | None = None,
    out: str | Path = "runs",
    cache: str | Path | None = None,
    force: bool = False,
    quiet: bool = False,
) -> RunResult:
    """Train a method, score it once on the test split, and return its row and files.

    Does what ``starbench run`` does, into the same folder: a finished run is returned at once, a
    stopped one continues from its last checkpoint.

    Parameters
    ----------
    method : str or type of Method
        A name listed by ``starbench methods``, ``"PATH.py:CLASS"``, or a class.
    task : str or Task, optional
        A name listed by ``starbench tasks``, ``"PATH.py:CLASS"``, or what `load_task` returns;
        ``"apogee-giants"`` by default.
    scale : str, optional
        Size of the splits; by default the task's own, ``"full"`` for standard tasks. ``"mini"``
        takes seconds to a few minutes.
    seed : int
        Seed of all random numbers.
    settings : dict, optional
        Hyperparameters that differ from the defaults, such as ``{"epochs": 8}``.
    preset : str, optional
        A preset of the method to start from.
    data : str or pathlib.Path, optional
        Your own pairs in place of a task; see `load_task`.
    snr : float, optional
        Signal-to-noise ratio per pixel of the noise in `data`; see `load_task`.
    max_dropped : float, optional
        Largest share of `data` that may be left out; see `load_task`.
    device : str or torch.device
        ``"auto"`` is a CUDA device if there is one.
    threads : int, optional
        Number of CPU threads; by default OMP_NUM_THREADS, SLURM_CPUS_PER_TASK or all available
        cores, whichever is the smallest. Import starbench before torch: on a busy machine, torch's
        threads wait for each other many times longer otherwise (`starbench.common.threads`).
    outside_data, pretraining, code_from : str, optional
        For the row: which data the method learned from besides those of the task, what was trained
        before and on what, and where others can fetch its code.
    out : str or pathlib.Path
        Folder in which run folders are created.
    cache : str or pathlib.Path, optional
        Folder in which data sets are kept; your cache folder by default.
    force : bool
        Run again even if the run is finished. A method or a task without a source file, such as
        one defined in a notebook, is always run again, as changes to it cannot be detected.
    quiet : bool
        Draw no progress bars.

    Returns
    -------
    RunResult

    Warns
    -----
    UserWarning
        If the run diverged or failed; the row's `message` gives the reason.

    Raises
    ------
    SettingError, DataError
        If the method, a setting, the task or the data cannot be used.

    Examples
    --------
    >>> import starbench as sb
    >>> result = sb.run("pca", scale="tiny", settings={"latent": 8}, out="runs", quiet=True)
    >>> result.row.status, result.row.overrides
    ('ok', {'latent': 8})
    >>> result.ranks.shape
    (64, 2)
    >>> bool(result.metrics.loc["doppelganger_free", "value"] > 0.1)
    True
    """
    from starbench.common.progress import shown
    from starbench.common.settings import SettingError, checked_seed

    if not isinstance(settings, Mapping | None):
        raise SettingError(f'settings is {settings!r}; give a dictionary such as {{"epochs": 8}}.')
    if not isinstance(threads, Integral | None) or isinstance(threads, bool):
        raise SettingError(f"threads is {threads!r}; give an integer of at least 1.")
    with shown(quiet=quiet):
        result = run_named(
            method,
            task=task,
            scale=scale,
            seed=checked_seed(seed),
            settings=[f"{key}={value}" for key, value in (settings or {}).items()],
            preset=preset,
            data=data,
            snr=snr,
            max_dropped=max_dropped,
            device=device,
            threads=None if threads is None else int(threads),
            outside_data=outside_data,
            pretraining=pretraining,
            code_from=code_from,
            out=out,
            cache=cache,
            force=force,
            quiet=quiet,
        )
    if result.row.status != "ok":
        warnings.warn(
            f"The run {result.row.status}: {result.row.message} ({result.folder})", stacklevel=2
        )
    return result


def run_named(
    method: "str | type[Method]",
    *,
    task: "str | Task | None" = None,
    scale: str | None = None,
    seed: int = 0,
    settings: Sequence[str] = (),
    preset: str | None = None,
    data: str | Path | None = None,
    snr: float | None = None,
    max_dropped: float | None = None,
    device: "str | torch.device" = "auto",
    threads: int | None = None,
    outside_data: str | None = None,
    pretraining: str | None = None,
    code_from: str | None = None,
    out: str | Path = "runs",
    cache: str | Path | None = None,
    force: bool = False,
    quiet: bool = False,
) -> RunResult:
    """Do what `run` does, without its warning and with settings as ``key=value`` strings."""
    from starbench.common.progress import stage
    from starbench.common.settings import split_setting
    from starbench.methods.registry import make_hyperparameters
    from starbench.runs.origin import Declared, given, source_file
    from starbench.runs.runner import run as run_method

    method_class = load_method(method)
    hyperparameters = make_hyperparameters(method_class, preset, tuple(settings))
    loaded = load_task(task, data=data, snr=snr, max_dropped=max_dropped, cache=cache, quiet=quiet)
    keys = [split_setting(setting)[0] for setting in settings]
    outcome = run_method(
        loaded,
        method_class,
        hyperparameters,
        seed=seed,
        scale=loaded.default_scale if scale is None else scale,
        device=device,
        threads=threads,
        out=user_path(out),
        preset=preset,
        overrides={key: getattr(hyperparameters, key) for key in keys},
        given=given(method, task, data),
        declared=Declared(outside_data, pretraining, code_from),
        force=force or source_file(method_class) is None or loaded.has_unknown_code,
        quiet=quiet,
    )
    if outcome.row.status == "ok" and (outcome.fresh or outcome.folder.lacks_figures()):
        # Imported only now, so that the row is written even if the plots fail.
        with stage("draw figures"):
            _import_matplotlib()
            from starbench.runs.plots import draw_run

            draw_run(outcome.folder, method_class.diagnostics)
    return RunResult(outcome.row, outcome.folder.path, outcome.fresh)


def load_task(
    task: "str | Task | None" = None,
    *,
    data: str | Path | None = None,
    snr: float | None = None,
    max_dropped: float | None = None,
    cache: str | Path | None = None,
    quiet: bool = False,
) -> "Task":
    """Return a task, which provides pairs of spectra and their labels.

    Nothing is read or built until its methods are called: ``task.prepare("mini")`` builds the data
    set of a scale, ``task.load("test", "mini")`` returns a split.

    Parameters
    ----------
    task : str or Task, optional
        A name listed by ``starbench tasks``, or ``"PATH.py:CLASS"``; ``"apogee-giants"`` by
        default. A task is returned unchanged; no other argument applies to it.
    data : str or pathlib.Path, optional
        Your own pairs, or a survey, in place of a task: an HDF5 file, a folder written by
        ``starbench data export`` or ``DatasetDict.save_to_disk``, or a Hugging Face data set
        ``"user/name"``.
    snr : float, optional
        Signal-to-noise ratio per pixel of the noise in `data`, for methods that take noise into
        account; by default what the data declare.
    max_dropped : float, optional
        Largest share of the pairs or stars of a split of `data` that may be left out because all
        pixels are masked; 0.1 by default.
    cache : str or pathlib.Path, optional
        Folder in which data sets are kept; your cache folder by default.
    quiet : bool
        Draw no progress bar while `data` are copied.

    Returns
    -------
    Task

    Raises
    ------
    DataError
        If there is no such task, or `data` cannot be used.

    Examples
    --------
    >>> import starbench as sb
    >>> task = sb.load_task("apogee-giants-snr50")
    >>> task.snr, task.nuisance_names, task.sizes("mini")["test"], len(task.wavelength)
    (50.0, ('Teff', 'logg'), 1250, 7214)
    """
    from starbench.tasks.base import Task
    from starbench.tasks.errors import DataError
    from starbench.tasks.registry import get_task, require_card

    if task is not None and not isinstance(task, str):
        if not isinstance(task, Task):
            raise DataError(
                f"task is {task!r}; give a name, 'PATH.py:CLASS' or a Task, not a class."
            )
        require_card(task, f"The task {type(task).__name__}")
        if data is not None:
            raise DataError(f"Give either task {task.name} or data {data}, not both.")
        for name, value in (("snr", snr), ("max_dropped", max_dropped)):
            if value is not None:
                raise DataError(f"{name} is for data; the task {task.name} states its own.")
        if cache is not None:
            raise DataError(
                f"cache is for a task by name; make the task {task.name} with its cache, and leave "
                "cache out here."
            )
        return task
    return get_task(
        task,
        data=None if data is None else user_path(data),
        cache=None if cache is None else user_path(cache),
        snr=snr,
        max_dropped=max_dropped,
        progress=not quiet,
    )


def load_method(method: "str | type[Method]") -> "type[Method]":
    """Return the class of a method.

    Parameters
    ----------
    method : str or type of Method
        A name listed by ``starbench methods``, or ``"PATH.py:CLASS"``; a class is checked and
        returned.

    Returns
    -------
    type of Method

    Raises
    ------
    SettingError
        If there is no such method, or the class is not one.

    Examples
    --------
    >>> import starbench as sb
    >>> fader = sb.load_method("fader")
    >>> fader.label_access, fader.Hyperparameters().latent
    ('nuisance', 20)
    """
    from starbench.methods.registry import get_method

    return get_method(method)


def twin_ranks(
    latent: npt.ArrayLike,
    *,
    n_threads: int | None = None,
    device: "str | torch.device" = "cpu",
    checkpoint: str | Path | None = None,
    quiet: bool = False,
) -> "TwinRanks":
    """Rank every star's twin among all stars by L1 distance, exactly.

    A million stars of 20 dimensions take minutes on a CPU, seconds on a GPU.

    Parameters
    ----------
    latent : array_like [n_pairs, 2, d] or [2 n_pairs, d], float32
        In the second shape the spectra of a pair are consecutive: 0 and 1, 2 and 3, ...
    n_threads : int, optional
        Number of threads; one for each available core by default.
    device : str or torch.device
        Such as ``"cuda"``; the ranks are the same on all.
    checkpoint : str or path-like, optional
        File in which a ranking that takes long, or is interrupted, is kept, so that the same call
        continues it; removed at the end. One of other latents is replaced, any other file refused.
    quiet : bool
        Draw no progress.

    Returns
    -------
    TwinRanks
        Its `rank` [n_pairs, 2] is 1 where the twin is nearer than every other star; `tied` counts
        the stars exactly as far as the twin. See `starbench.metrics.ranking`.

    Raises
    ------
    ValueError
        If `latent` has another shape, is empty, masked or not of real numbers, `n_threads` is
        below 1 or far above the number of cores, or `checkpoint` is a file of another kind.

    Examples
    --------
    >>> import starbench as sb
    >>> sb.twin_ranks([[0.0], [1.0], [4.0], [6.0], [2.0], [9.0]]).rank.tolist()
    [[1, 2], [2, 1], [5, 3]]
    """
    from starbench.metrics import Ranking

    _check_threads(n_threads)
    ranking = Ranking(_pairs(latent), n_threads=n_threads, device=_ranking_device(device))
    return _ranks_of(ranking, checkpoint, quiet)


def sibling_ranks(
    latent: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    n_threads: int | None = None,
    checkpoint: str | Path | None = None,
    quiet: bool = False,
) -> "SiblingRanks":
    """Rank every sibling of every star among strangers by L1 distance, exactly.

    Siblings are stars of one composition, such as members of a cluster or visits of one star.

    Parameters
    ----------
    latent : array_like [n_stars, d], float32
    group : array_like [n_stars], integers
        Equal for siblings; a group of one is a star of the field.
    n_threads, checkpoint, quiet
        See `twin_ranks`.

    Returns
    -------
    SiblingRanks
        Its `rank` [n_ordered] is that of each ordered pair of siblings, by star and then by
        sibling: 1 where the sibling is nearer than every stranger. See
        `starbench.metrics.siblings`.

    Raises
    ------
    ValueError
        If the shapes do not match, an array is masked or not of real numbers, no star has a
        sibling, `n_threads` is below 1 or far above the number of cores, or `checkpoint` is a file
        of another kind.

    Examples
    --------
    >>> import starbench as sb
    >>> sb.sibling_ranks([[0.0], [1.0], [0.6], [9.0]], [7, 7, 1, 2]).rank.tolist()
    [2, 2]
    """
    from starbench.metrics import SiblingRanking

    _check_threads(n_threads)
    stars, groups = real_numbers(latent, "latent"), real_numbers(group, "group")
    ranking = SiblingRanking(stars, groups, n_threads=n_threads)
    return _ranks_of(ranking, checkpoint, quiet)


def score(
    latent: npt.ArrayLike,
    task: "str | Task | None" = None,
    split: str = "test",
    scale: str | None = None,
    *,
    train_latent: npt.ArrayLike | None = None,
    reconstruction: npt.ArrayLike | None = None,
    swapped_reconstruction: npt.ArrayLike | None = None,
    data: str | Path | None = None,
    cache: str | Path | None = None,
    quiet: bool = False,
) -> "pd.DataFrame":
    """Compute every metric that the given arrays allow, with the code that scores runs.

    Parameters
    ----------
    latent : array_like [n_pairs, 2, d] or [2 n_pairs, d], float32
        Latents of all stars of the split, in the order of ``task.load(split, scale)``; of a survey
        [n_stars, d].
    task : str or Task, optional
        See `load_task`; ``"apogee-giants"`` by default.
    split : {"test", "validation", "train"}
    scale : str, optional
        By default the task's own, ``"full"`` for standard tasks.
    train_latent : array_like, shaped alike, optional
        Latents of the train split, on which the probes of nuisance leakage and composition
        recovery are fitted; without them those metrics are left out.
    reconstruction, swapped_reconstruction : array_like [n_pairs, 2, n_pixels], optional
        Flux decoded at each star's nuisance from its own latent, and from its twin's; give both or
        neither, and neither for a survey.
    data, cache, quiet
        See `load_task`.

    Returns
    -------
    pandas.DataFrame
        A line for each metric, with the columns value, low and high; `low` and `high` are the ends
        of the 95 % interval.

    Raises
    ------
    ValueError
        If an array does not have the shape that the split asks for, or is masked or not of real
        numbers.

    Examples
    --------
    Random latents find no twins:

    >>> import numpy as np
    >>> import starbench as sb
    >>> latent = np.random.default_rng(0).normal(size=(64, 2, 5))
    >>> metrics = sb.score(latent, "apogee-giants", "test", scale="tiny")
    >>> low, high = metrics.loc["median_normalised_rank", ["low", "high"]]
    >>> bool(low < 0.5 < high)  # 0.5 by chance
    True
    """
    from starbench.common.progress import shown
    from starbench.evaluation.scoring import score as score_arrays
    from starbench.evaluation.views import Labels

    loaded = load_task(task, data=data, cache=cache, quiet=quiet)
    scale = loaded.default_scale if scale is None else scale
    with shown(quiet=quiet):
        loaded.prepare(scale, progress=not quiet)  # own data may leave stars out
        pairs = _latent_of_split(latent, loaded, split, scale)
        scores = score_arrays(
            pairs,
            Labels.of_task(loaded, split, scale),
            errors=_errors(loaded, split, scale, reconstruction, swapped_reconstruction),
            probes=_probes(train_latent, loaded, scale, pairs.shape[2]),
        )
    return _metrics_frame(scores.estimates)


def rows() -> "pd.DataFrame":
    """Return the rows of the leaderboard that are shipped with starbench.

    Returns
    -------
    pandas.DataFrame
        A line for each run: method, task, seed, settings and every metric.

    Examples
    --------
    >>> import starbench as sb
    >>> rows = sb.rows()
    >>> bool((rows["method"] == "fader").any())
    True
    """
    from starbench.leaderboard.frame import rows_frame

    return rows_frame()


def suite(name: str = "giants-v1") -> "pd.DataFrame":
    """Return the methods of the leaderboard on the tracks of a suite, with their scores.

    Parameters
    ----------
    name : str
        Name of the suite.

    Returns
    -------
    pandas.DataFrame
        A line for each method, the information bound last. ``score`` is the mean over families of
        the gap between chance and the information bound that the method closes, with its 95 %
        interval ``score.low`` to ``score.high``; ``<task>`` is the share of nearest twins on a
        track, and ``<task>.gap_closed`` the gap closed. NaN where a method lacks a track, and so a
        score.

    Raises
    ------
    DataError
        If there is no such suite.

    Examples
    --------
    >>> import starbench as sb
    >>> bound = sb.suite().iloc[-1]
    >>> bound.method, float(bound["apogee-giants.gap_closed"])
    ('information-bound', 1.0)
    """
    from starbench.leaderboard.frame import suite_frame

    return suite_frame(name)


def _import_matplotlib() -> None:
    """Import matplotlib, which fails if MPLBACKEND names a backend that it does not know.

    The figures of a run need no backend.
    """
    if "matplotlib" in sys.modules:
        return
    backend = os.environ.pop("MPLBACKEND", None)
    import matplotlib

    if backend:
        os.environ["MPLBACKEND"] = backend
        with suppress(ValueError):  # a known one, such as a notebook's, counts as usual
            matplotlib.rcParams["backend"] = backend


def _metrics_frame(estimates: Mapping[str, Any]) -> "pd.DataFrame":
    import pandas as pd

    from starbench.metrics import METRICS, family

    order = list(METRICS)
    names = sorted(estimates, key=lambda name: order.index(family(name)))
    return pd.DataFrame(
        [(estimates[name].value, estimates[name].low, estimates[name].high) for name in names],
        index=pd.Index(names, name="metric"),
        columns=["value", "low", "high"],
    )


def _ranking_device(device: "str | torch.device") -> str:
    """Return the checked name of a device; the processor needs no torch."""
    if str(device) == "cpu":
        return "cpu"
    from starbench.runs.runner import resolved_device

    return resolved_device(device)


def _check_threads(n_threads: int | None) -> None:
    if n_threads is None:
        return
    if n_threads < 1:
        raise ValueError(f"n_threads is {n_threads}; give at least 1")
    if fault := too_many(n_threads, most_threads()):
        raise ValueError(f"n_threads: {fault}")


def _ranks_of(ranking: "Counting[Ranks]", checkpoint: str | Path | None, quiet: bool) -> Ranks:
    """Finish a ranking, and remove its checkpoint."""
    from starbench.evaluation.ranking import rank_resumably, require_replaceable

    path = None if checkpoint is None else user_path(checkpoint)
    if path is not None:
        require_replaceable(path)
    ranks = rank_resumably(ranking, path, quiet=quiet)
    if path is not None:
        path.unlink(missing_ok=True)
    return ranks


def _float32(latent: npt.ArrayLike, name: str) -> Array:
    values = real_numbers(latent, name)
    with np.errstate(over="ignore"):  # what is too large for float32 ranks last
        return values.astype(np.float32, copy=False)


def _pairs(latent: npt.ArrayLike, name: str = "latent") -> Array:
    """Return latents as [n_pairs, 2, d]; consecutive spectra are a pair."""
    array = _float32(latent, name)
    if array.ndim == 2 and len(array) % 2 == 0:
        return array.reshape(len(array) // 2, 2, -1)
    return array


def _latent_of_split(
    latent: npt.ArrayLike, task: "Task", split: str, scale: str, name: str = "latent"
) -> Array:
    sizes = task.sizes(scale)
    if split not in sizes:
        raise ValueError(f"there is no split {split!r}; choose one of {', '.join(sizes)}")
    if task.card.survey:
        stars = _float32(latent, name)
        if stars.ndim == 3 and stars.shape[1] == 1:  # as in the latents.h5 of a run
            stars = stars[:, 0]
        if stars.ndim != 2 or len(stars) != sizes[split]:
            raise ValueError(
                f"{name} has shape {list(stars.shape)}; split {split} at scale {scale} needs "
                f"[{sizes[split]}, d]"
            )
        return stars[:, None]
    pairs = _pairs(latent, name)
    if pairs.ndim != 3 or pairs.shape[:2] != (sizes[split], 2):
        raise ValueError(
            f"{name} has shape {list(np.shape(latent))}; split {split} at scale {scale} needs "
            f"[{sizes[split]}, 2, d] or [{2 * sizes[split]}, d]"
        )
    return pairs


def _probes(
    train_latent: npt.ArrayLike | None, task: "Task", scale: str, n_dimensions: int
) -> "Probes | None":
    """Return what the probes are fitted on."""
    from starbench.evaluation.scoring import Probes
    from starbench.evaluation.views import Labels

    if train_latent is None:
        return None
    split = task.probed_split
    pairs = _latent_of_split(train_latent, task, split, scale, "train_latent")
    if pairs.shape[2] != n_dimensions:
        raise ValueError(
            f"train_latent has {pairs.shape[2]} dimensions and latent {n_dimensions}; give latents "
            "of one method"
        )
    return Probes(pairs, Labels.of_task(task, split, scale))


def _errors(
    task: "Task",
    split: str,
    scale: str,
    reconstruction: npt.ArrayLike | None,
    swapped_reconstruction: npt.ArrayLike | None,
) -> "Errors | None":
    """Return the mean squared error of each star's two reconstructions, None without any."""
    from starbench.evaluation.scoring import reconstruction_errors

    if reconstruction is None and swapped_reconstruction is None:
        return None
    if reconstruction is None or swapped_reconstruction is None:
        raise ValueError("give both reconstruction and swapped_reconstruction, or neither")
    if task.card.survey:
        raise ValueError("reconstructions of a survey are not scored; give neither")
    plain = real_numbers(reconstruction, "reconstruction")
    swapped = real_numbers(swapped_reconstruction, "swapped_reconstruction")
    expected = (task.sizes(scale)[split], 2, len(task.wavelength))
    for name, flux in (("reconstruction", plain), ("swapped_reconstruction", swapped)):
        if flux.shape != expected:
            raise ValueError(f"{name} has shape {list(flux.shape)}; it needs {list(expected)}")
    return reconstruction_errors(
        task.noiseless_flux(split, scale), expected[0], lambda pairs: (plain[pairs], swapped[pairs])
    )
