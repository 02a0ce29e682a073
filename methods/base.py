"""The interface of a method: fit on what its label access allows, then encode spectra.

`Method` is what everyone implements. `OracleControl` is for the controls that encode the true
composition along with the spectrum.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, cast, final

import numpy as np
import torch

from starbench.common.paging import walk
from starbench.common.settings import SettingError as SettingError
from starbench.tasks.forward import ForwardModel

# What a method may learn from; each level includes those before it.
LABEL_ACCESS = ("none", "nuisance", "pairs", "oracle")

_CHUNK = 4096  # spectra at a time


class Diverged(RuntimeError):
    """Training produced numbers that are not finite, or collapsed; the run is not scored."""


def option(
    default: Any,
    meaning: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | None = None,
    tuned: tuple[float, float] | None = None,
) -> Any:
    """Return a dataclass field for a hyperparameter.

    Parameters
    ----------
    default : object
    meaning : str
        One line for ``starbench methods NAME``.
    low, high : float, optional
        Least and greatest value allowed, of each entry where the value is a tuple.
    choices : tuple of str, optional
        Values allowed.
    tuned : tuple of float, optional
        Range in which ``starbench tune`` tries a number.
    """
    metadata = {"help": meaning, "low": low, "high": high, "choices": choices, "tuned": tuned}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class View:
    """A split as `Method.fit` sees it: shuffled spectra, and only the labels it may use.

    Flux and errors of a split too large for the memory are `numpy.memmap` arrays, which stay on
    disk: read them in slices of rows (`starbench.common.paging.walk`).

    Attributes
    ----------
    flux : numpy.ndarray [n, n_pixels], float32
        Both spectra of every pair, shuffled, so that the order carries no information.
    nuisance : numpy.ndarray [n, n_nuisance], float32, or None
        None for label access `none`.
    twin : numpy.ndarray [n], int64, or None
        Row of each spectrum's twin; only for label access `pairs` and `oracle`.
    composition : numpy.ndarray [n, n_elements], float32, or None
        Only for label access `oracle`.
    noise : float or None
        Standard deviation of the Gaussian noise in each pixel, which surveys report with their
        spectra; None for noiseless spectra.
    nuisance_covariance : numpy.ndarray [n_nuisance, n_nuisance], float64, or None
        Covariance of the errors of the nuisance labels, as catalogues state it; None where the
        labels are exact.
    unseen : numpy.ndarray [n, n_unseen], float32, or None
        Parameters of each spectrum that no method is given, such as the true nuisance where labels
        have errors; only for label access `oracle`, and None where a task has none.
    error : numpy.ndarray [n, n_pixels], float32, or None
        Standard deviation of the noise in each pixel; infinite where the pixel is masked, and there
        the flux is 1. None where no errors are known for each pixel.
    group : numpy.ndarray [n], int64, or None
        In a survey the sibling group of each spectrum: spectra of stars of one composition have
        equal numbers; only for label access `pairs` and `oracle`, and None for pairs.
    nuisance_error : numpy.ndarray [n, n_nuisance], float32, or None
        Standard deviation of each nuisance label's error; None where it is not known for each
        spectrum.
    """

    flux: np.ndarray
    nuisance: np.ndarray | None = None
    twin: np.ndarray | None = None
    composition: np.ndarray | None = None
    noise: float | None = None
    nuisance_covariance: np.ndarray | None = None
    unseen: np.ndarray | None = None
    error: np.ndarray | None = None
    group: np.ndarray | None = None
    nuisance_error: np.ndarray | None = None

    def __len__(self) -> int:
        """Return the number of spectra."""
        return len(self.flux)


def required(labels: np.ndarray | None, name: str) -> np.ndarray:
    """Return labels that may be None, as an array; fail if they are missing.

    Parameters
    ----------
    labels : numpy.ndarray or None
        A field of `View`, or an argument of `Method.encode`.
    name : str
        What the labels are, for the message.

    Raises
    ------
    TypeError
        If they are None, as for a method whose label access does not include them.
    """
    if labels is None:
        raise TypeError(f"the {name} is missing: set a label_access that includes it")
    return labels


def required_composition(view: View, method: str) -> np.ndarray:
    """Return the composition of a view, for a method that cannot work without it.

    Raises
    ------
    SettingError
        If the data do not hold it.
    """
    if view.composition is None:
        raise SettingError(f"{method} needs the composition, which these data do not hold.")
    return view.composition


class Monitor(Protocol):
    """Receives the progress of `Method.fit`; the harness shows it and writes checkpoints."""

    def start(self, method: "Method", epochs: int) -> None:
        """Report the total number of epochs before the first one."""

    def epoch(self, method: "Method", epoch: int, values: dict[str, float]) -> None:
        """Report the end of an epoch (the first is 1) and the means of watched quantities.

        Raises
        ------
        Diverged
            If a value is not finite.
        """


class Silent:
    """A monitor that does nothing."""

    def start(self, method: "Method", epochs: int) -> None:
        """Do nothing."""

    def epoch(self, method: "Method", epoch: int, values: dict[str, float]) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Diagnostic:
    """A quantity watched in training that shows whether a fit succeeded.

    The harness shows a declared quantity in the progress bar and the training figure, keeps its
    value at the chosen epoch in the row, and adds a remark if it lies outside its bounds.

    Attributes
    ----------
    name : str
        Key under which `Method.fit` reports it to the monitor.
    label : str
        Short name for progress bars and figures.
    reference : str or None
        Key of the watched quantity to compare it with, such as its value at chance.
    low, high : float or None
        Bounds of the quantity, in units of the reference where there is one.
    below, above : str
        What a value outside the bounds means, for a remark in the row.
    """

    name: str
    label: str
    reference: str | None = None
    low: float | None = None
    high: float | None = None
    below: str = ""
    above: str = ""


class Method(ABC):
    """A way to encode spectra into latents that hold the chemistry and not the nuisance.

    A subclass sets the class attributes below, defines its hyperparameters as a frozen dataclass
    with a default for each, and implements `fit`, `encode`, `state` and `load_state`, and `decode`
    if it can reconstruct spectra.

    Parameters
    ----------
    hyperparameters : Hyperparameters, optional
        An instance of the class's dataclass; the defaults if not given.
    seed : int
        Seed of every random draw of the method.
    device : str
        A torch device, such as ``"cpu"`` or ``"cuda"``.

    Attributes
    ----------
    name : str
        Name on the command line and the leaderboard: lower case, words joined by hyphens.
    version : int
        Raised whenever a change of the code changes results.
    label_access : {"none", "nuisance", "pairs", "oracle"}
    takes_errors : bool
        Whether `fit` uses the view's errors, and `encode` has a third argument ``error``
        [n, n_pixels], optional: standard deviations of the noise, infinite where a pixel is masked.
        A method that takes no errors gets flux whose masked pixels are filled (`filled`).
    reference : str
        The publication that introduced the method.
    control : bool
        Whether it calibrates the scale rather than competes.
    presets : dict of str to dict
        Named changes of the defaults, such as a published configuration.
    diagnostics : tuple of Diagnostic
        Watched quantities that show whether a fit succeeded.
    outside_data, pretraining : str or None
        Data that it learns from besides a task's, and what was trained before a run and on what.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    label_access: ClassVar[str]
    takes_errors: ClassVar[bool] = False
    reference: ClassVar[str]
    control: ClassVar[bool] = False
    Hyperparameters: ClassVar[type]
    presets: ClassVar[dict[str, dict[str, Any]]] = {}
    diagnostics: ClassVar[tuple[Diagnostic, ...]] = ()
    outside_data: ClassVar[str | None] = None
    pretraining: ClassVar[str | None] = None

    hyperparameters: Any

    def __init__(self, hyperparameters: Any = None, *, seed: int = 0, device: str = "cpu"):
        self.hyperparameters = (
            self.Hyperparameters() if hyperparameters is None else hyperparameters
        )
        self.seed = seed
        self.device = device

    @abstractmethod
    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Learn from `train`; use `validation` only to choose a setting or to stop early.

        Calls ``monitor.start`` once and ``monitor.epoch`` after every epoch. Must not change the
        arrays it is given. After `load_state` has restored an unfinished fit, continues it and
        ends as an uninterrupted fit would.
        """

    @abstractmethod
    def encode(self, flux: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:
        """Encode spectra; a latent depends on its own spectrum alone, not on batch or order.

        A method that takes errors has ``error: np.ndarray | None = None`` as a third argument.

        Parameters
        ----------
        flux : numpy.ndarray [n, n_pixels], float32
        nuisance : numpy.ndarray [n, n_nuisance], float32, or None
            None for label access `none`.

        Returns
        -------
        numpy.ndarray [n, n_latent], float32
        """

    @property
    def has_decoder(self) -> bool:
        """Whether `decode` is implemented."""
        return type(self).decode is not Method.decode

    def decode(self, latent: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:
        """Reconstruct flux [n, n_pixels], float32, from latents [n, n_latent] at a nuisance."""
        raise NotImplementedError(f"{self.name} has no decoder")

    @abstractmethod
    def state(self) -> dict[str, torch.Tensor]:
        """Return all that encoding, decoding and continuing a fit need, as named tensors."""

    @abstractmethod
    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what `state` returned, into a new instance with the same hyperparameters."""

    @property
    def n_parameters(self) -> int:
        """Number of learned parameters used to encode and decode."""
        return 0


class _TakesErrors(Protocol):
    def encode(
        self, flux: np.ndarray, nuisance: np.ndarray | None, error: np.ndarray | None = None
    ) -> np.ndarray: ...


def encode_spectra(
    method: Method, flux: np.ndarray, nuisance: np.ndarray | None, error: np.ndarray | None
) -> np.ndarray:
    """Encode spectra by a method, with their errors if it takes errors.

    Parameters
    ----------
    method : Method
    flux : numpy.ndarray [n, n_pixels], float32
        With masked pixels filled if the method takes no errors.
    nuisance : numpy.ndarray [n, n_nuisance], float32, or None
    error : numpy.ndarray [n, n_pixels], float32, or None

    Returns
    -------
    numpy.ndarray [n, n_latent], float32
    """
    if method.takes_errors and error is not None:
        return cast(_TakesErrors, method).encode(flux, nuisance, error)
    return method.encode(flux, nuisance)


def unmasked_mean(flux: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Return the mean [n_pixels], float32, of each pixel over spectra in which it is not masked.

    It is 1, the continuum, where a pixel is masked in all of them.

    Parameters
    ----------
    flux, error : numpy.ndarray [n, n_pixels]
        Usually of the training set, for `filled`.
    """
    total, count = np.zeros(flux.shape[1]), np.zeros(flux.shape[1])
    for _, seen, uncertain in walk(_CHUNK, flux, error):
        unmasked = np.isfinite(uncertain)
        total += np.add.reduce(seen, axis=0, dtype=np.float64, where=unmasked)
        count += unmasked.sum(axis=0)
    mean = np.divide(total, count, out=np.ones_like(total), where=count > 0)
    return mean.astype(np.float32)


def filled(flux: np.ndarray, error: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return flux [n, n_pixels] with masked pixels replaced by a mean spectrum [n_pixels]."""
    whole: np.ndarray = np.where(np.isfinite(error), flux, mean)
    return whole


def constant_error(error: np.ndarray) -> float | None:
    """Return the one value that all errors [n, n_pixels] have; None if they differ or are masked.

    Methods treat such errors as `View.noise`.
    """
    first = float(error[0, 0])
    if not np.isfinite(first):
        return None
    return first if all((part == first).all() for _, part in walk(_CHUNK, error)) else None


class OracleControl(Method):
    """A control that encodes the true composition along with the spectrum.

    It has label access `oracle`, cannot compete, and may define its own distance for ranking twins.
    The harness calls `encode_stars` instead of `encode`. If the control takes errors, both
    `encode_stars` and `rank_twins` have ``error`` as a keyword, which is passed where there are
    errors.

    Attributes
    ----------
    forward : ForwardModel or None
        How the task's spectra are made, which the harness sets before `fit` or `load_state`; None
        where the task does not tell.
    """

    label_access = "oracle"
    control = True
    forward: ForwardModel | None = None

    @abstractmethod
    def encode_stars(
        self,
        flux: np.ndarray,
        nuisance: np.ndarray,
        composition: np.ndarray,
        unseen: np.ndarray | None = None,
    ) -> np.ndarray:
        """Encode spectra of known composition.

        A control without `unseen` among its arguments works on the tasks that have none.

        Parameters
        ----------
        flux : numpy.ndarray [n, n_pixels], float32
        nuisance : numpy.ndarray [n, n_nuisance], float32
        composition : numpy.ndarray [n, n_elements], float32
        unseen : numpy.ndarray [n, n_unseen], float32, optional
            As in `View`; not passed where a task has none.

        Returns
        -------
        numpy.ndarray [n, n_latent], float32
        """

    @final
    def encode(self, flux: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:
        """Raise TypeError: this control cannot encode spectra of unknown composition."""
        raise TypeError(f"{self.name} encodes stars of known composition: call `encode_stars`")

    def rank_twins(
        self,
        latent: np.ndarray,
        nuisance: np.ndarray,
        composition: np.ndarray,
        unseen: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Rank every star's twin by a distance other than L1.

        Parameters
        ----------
        latent : numpy.ndarray [n_pairs, 2, n_latent], float32
        nuisance : numpy.ndarray [n_pairs, 2, n_nuisance], float32
        composition : numpy.ndarray [n_pairs, n_elements], float32
        unseen : numpy.ndarray [n_pairs, 2, n_unseen], float32, optional
            Not passed where a task has none.

        Returns
        -------
        rank, tied : numpy.ndarray [n_pairs, 2], int64
            As in `starbench.metrics.TwinRanks`; None, the default, for the L1 distance by which
            all methods that compete are ranked.
        """
        return None

    def rank_siblings(
        self,
        latent: np.ndarray,
        nuisance: np.ndarray,
        composition: np.ndarray,
        group: np.ndarray,
        unseen: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Rank the siblings of a survey's stars by a distance other than L1.

        If the control takes errors, it has ``error`` [n_stars, n_pixels] as a keyword.

        Parameters
        ----------
        latent : numpy.ndarray [n_stars, n_latent], float32
        nuisance : numpy.ndarray [n_stars, n_nuisance], float32
        composition : numpy.ndarray [n_stars, n_elements], float32
        group : numpy.ndarray [n_stars], int64
        unseen : numpy.ndarray [n_stars, n_unseen], float32, optional
            Not passed where a task has none.

        Returns
        -------
        rank, tied : numpy.ndarray [n_ordered], int64
            As in `starbench.metrics.SiblingRanks`; None, the default, for the L1 distance.
        """
        return None
