"""Run a method on a task."""

import warnings
from collections.abc import Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starbench.api.loading import load_method, load_task
from starbench.api.run_result import RunResult
from starbench.common.drawing import import_matplotlib
from starbench.common.paths import user_path

if TYPE_CHECKING:
    import torch

    from starbench.methods.base import Method
    from starbench.tasks.base import Task


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
    task: "str | Task | None",
    scale: str | None,
    seed: int,
    settings: Sequence[str],
    preset: str | None,
    data: str | Path | None,
    snr: float | None,
    max_dropped: float | None,
    device: "str | torch.device",
    threads: int | None,
    outside_data: str | None,
    pretraining: str | None,
    code_from: str | None,
    out: str | Path,
    cache: str | Path | None,
    force: bool,
    quiet: bool,
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
            import_matplotlib()
            from starbench.runs.plots import draw_run

            draw_run(outcome.folder, method_class.diagnostics)
    return RunResult(outcome.row, outcome.folder.path, outcome.fresh)
