"""One trial: fit a method with some settings, and judge it on validation, with and without twins.

The state at the end of the fit is judged, as choosing an epoch by twins would tell the method of
pairs. What needs no twins is the squared error of the validation spectra as they were observed,
with their noise, and what a probe reads of the nuisance from the latents.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from starbench import metrics
from starbench.common.files import write_json
from starbench.common.progress import bar
from starbench.common.settings import SettingError
from starbench.evaluation.encoding import BATCH, checked_output, encode_split
from starbench.evaluation.reconstruction import require_finite
from starbench.evaluation.star_ranks import rank_stars
from starbench.evaluation.views import SplitView
from starbench.methods.base import Diverged, Method
from starbench.tasks.errors import DataError
from starbench.tasks.streams import inverse

_LEAK = "nuisance_leakage"


@checked(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Trial:
    """The result of a trial.

    Attributes
    ----------
    settings : dict
        Hyperparameters that differ from the defaults.
    twin_share : float or None
        Share of nearest twins on validation; None if the fit failed.
    squared_error : float or None
        Of the observed validation flux; None without a decoder.
    leakage : float or None
        Largest R^2 of a nuisance that a probe reads from the validation latents; None for label
        access `none`, which has no nuisance.
    seconds : float
        Of the fit.
    message : str or None
        Why it failed.
    attempts : int
        How often it was run: again by each command that finds it failed.
    """

    settings: dict[str, int | float]
    twin_share: Annotated[float, Field(ge=0, le=1)] | None
    squared_error: Annotated[float, Field(ge=0)] | None
    leakage: Annotated[float, Field(le=1)] | None
    seconds: Annotated[float, Field(ge=0)]
    message: str | None = None
    attempts: Annotated[int, Field(ge=1)] = 1


@dataclass(frozen=True)
class TrialData:
    """What a trial is fitted on, and judged on."""

    train: SplitView
    validation: SplitView


class _Watch:
    """A monitor that draws a bar and refuses values that are not finite."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self.bar = bar(label="trial", quiet=True)

    def start(self, method: Method, epochs: int) -> None:
        self.bar.close()
        self.bar = bar(
            label=f"trial of {method.name}", total=epochs, unit="epoch", quiet=self._quiet,
            leave=False,
        )  # fmt: skip

    def epoch(self, method: Method, epoch: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            if not math.isfinite(value):
                raise Diverged(f"{name} became {value} in epoch {epoch}")
        self.bar.update(epoch - self.bar.n)


def run_trial(
    method: Method, settings: Mapping[str, int | float], data: TrialData, *, quiet: bool
) -> Trial:
    """Fit a method and judge it.

    Parameters
    ----------
    method : Method
        Not fitted yet.
    settings : mapping
        What its hyperparameters were made from.
    data : TrialData
    quiet : bool
        Draw no progress.
    """
    began, watch = time.perf_counter(), _Watch(quiet=quiet)
    try:
        method.fit(data.train.view, data.validation.view, watch)
        seconds = time.perf_counter() - began
        share, squared, leakage = _judged(method, data)
    except (SettingError, DataError, OSError):
        raise  # of the user or the machine, not of the settings
    except Exception as error:  # a method may raise anything
        seconds = time.perf_counter() - began
        message = f"{type(error).__name__}: {error}"
        return Trial(dict(settings), None, None, None, round(seconds, 1), message)
    finally:
        watch.bar.close()
    return Trial(dict(settings), share, squared, leakage, round(seconds, 1))


def _judged(method: Method, data: TrialData) -> tuple[float, float | None, float | None]:
    latent = _finite_latent(method, data.validation, "validation")
    labels = data.validation.labels
    ranks = rank_stars(method, latent, labels)
    share = float((ranks.rank == 1).mean())
    error = _squared_error(method, data.validation, latent) if method.has_decoder else None
    if method.label_access == "none":
        return share, error, None
    train_latent, train_nuisance = (
        _by_twos(array)
        for array in (_finite_latent(method, data.train, "training"), data.train.labels.nuisance)
    )
    inputs = metrics.ProbeInputs(train_latent, latent)
    probed = metrics.probe_estimates(
        _LEAK, labels.nuisance_names, inputs, train_nuisance, labels.nuisance
    )
    found = [each.value for each in probed.estimates.values() if each is not None]
    return share, error, max(found) if found else None


def _finite_latent(method: Method, split_view: SplitView, which: str) -> np.ndarray:
    """Return latents [n_pairs, 2, d]; raise `Diverged` if one of them is not finite."""
    latent = encode_split(method, split_view)
    n_bad = int((~np.isfinite(latent)).any(axis=-1).sum())
    if n_bad:
        raise Diverged(f"the latents of {n_bad} {which} spectra are not finite")
    return latent


def _by_twos(values: np.ndarray) -> np.ndarray:
    """Return values of stars [n, 1 or 2, d] as [m, 2, d], as probes take those of pairs."""
    stars = values.reshape(-1, values.shape[-1])
    return stars[: len(stars) // 2 * 2].reshape(-1, 2, values.shape[-1])


def _squared_error(method: Method, split_view: SplitView, latent: np.ndarray) -> float:
    """Return the mean squared error of the observed flux from each spectrum's own latent.

    Raises
    ------
    OutputError, Diverged
        If the decoded flux has another shape, or is not finite.
    """
    rows, view, total = inverse(split_view.order), split_view.view, 0.0
    stars = latent.reshape(len(rows), -1)
    nuisance = split_view.labels.nuisance.reshape(len(rows), -1)
    for start in range(0, len(rows), BATCH):
        part = slice(start, start + BATCH)
        u = None if method.label_access == "none" else nuisance[part]
        source, flux = np.ascontiguousarray(stars[part]), view.flux[rows[part]]
        what = f"decode of {method.name}"
        decoded = checked_output(method.decode(source, u), len(flux), what, flux.shape[1])
        mse = metrics.per_star_mse(decoded, flux)
        require_finite(mse, "plain")
        total += float(mse.sum())
    return total / len(rows)


def require_file(path: Path) -> None:
    """Refuse what is there but no file: a pipe would be waited for.

    Raises
    ------
    SettingError
    """
    if path.exists() and not path.is_file():
        raise SettingError(f"{path} is not a file; remove it, or choose another --out.")


def read_trial(path: Path) -> Trial | None:
    """Read a trial; None if the file does not exist or cannot be read, so that it is run again.

    Raises
    ------
    SettingError
        If it is no file.
    """
    require_file(path)
    try:
        return TypeAdapter(Trial).validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def write_trial(path: Path, trial: Trial) -> None:
    """Write a trial atomically."""
    content: dict[str, Any] = asdict(trial)
    write_json(path, content)
