"""The interface of a method: fit on what its label access allows, then encode spectra."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
import torch

from starbench.common.settings import SettingError as SettingError

LABEL_ACCESS = (
    "none",
    "nuisance",
    "pairs",
    "oracle",
)  # what a method may learn from, in rising order


class Diverged(RuntimeError):
    """Training left the finite numbers or collapsed; such a run is never scored."""


def option(
    default: Any,
    meaning: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:
    """Return a dataclass field: a hyperparameter, its meaning, and its range or its choices."""
    metadata = {"help": meaning, "low": low, "high": high, "choices": choices}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class View:
    """What `Method.fit` sees of a split: spectra in shuffled order and only the labels it may use.

    Attributes
    ----------
    flux : numpy.ndarray [n, n_pixels], float32
        Both spectra of every pair, shuffled, so that the order tells nothing.
    nuisance : numpy.ndarray [n, n_nuisance], float32, or None
        None for label access `none`.
    twin : numpy.ndarray [n], int64, or None
        Row of each spectrum's twin; only for label access `pairs` and `oracle`.
    composition : numpy.ndarray [n, n_elements], float32, or None
        Only for label access `oracle`.
    noise : float or None
        Standard deviation of the Gaussian noise in each pixel, which every survey knows of its
        spectra; None for none.
    """

    flux: np.ndarray
    nuisance: np.ndarray | None = None
    twin: np.ndarray | None = None
    composition: np.ndarray | None = None
    noise: float | None = None

    def __len__(self) -> int:
        """Return the number of spectra."""
        return len(self.flux)


def known_composition(view: View, method: str) -> np.ndarray:
    """Return the composition of a view, for a method that cannot do without.

    Raises
    ------
    SettingError
        If the data do not hold it.
    """
    if view.composition is None:
        raise SettingError(f"{method} needs the composition, which these data do not hold.")
    return view.composition


class Monitor(Protocol):
    """What `Method.fit` reports to: it draws progress and writes checkpoints."""

    def start(self, method: "Method", epochs: int) -> None:
        """Say before the first epoch how many there are."""

    def epoch(self, method: "Method", epoch: int, values: dict[str, float]) -> None:
        """Report the end of an epoch, counted from 1, and the means of watched quantities.

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
    """A quantity watched in training that tells whether a fit went as it is meant to.

    The harness knows no method's quantities by name: it draws what is declared here in the
    progress bar and the training figure, keeps the value of the chosen epoch in the row, and
    remarks on one outside its bounds.

    Attributes
    ----------
    name : str
        Key under which `Method.fit` reports it to the monitor.
    label : str
        Short name for progress bars and figures.
    reference : str or None
        Key of the watched quantity that it is compared with, such as its value by chance.
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

    A subclass names itself, says what labels it needs, gives its hyperparameters as a frozen
    dataclass with a default for each, and implements `fit`, `encode`, `state` and `load_state`;
    `decode` if it can reconstruct.

    Parameters
    ----------
    hyperparameters : Hyperparameters, optional
        An instance of the class's own dataclass; its defaults if not given.
    seed : int
        Seed of everything random in the method.
    device : str
        A torch device, such as ``"cpu"`` or ``"cuda"``.

    Attributes
    ----------
    name : str
        Name on the command line and the leaderboard: lower case, words joined by hyphens.
    version : int
        Raised whenever a change of the code changes results.
    label_access : {"none", "nuisance", "pairs", "oracle"}
    reference : str
        Where the method comes from.
    control : bool
        Whether it is there to calibrate the scale rather than to compete.
    presets : dict of str to dict
        Named changes of the defaults, such as a published configuration.
    diagnostics : tuple of Diagnostic
        Watched quantities that tell whether a fit went as it is meant to.
    encodes_composition : bool
        Whether `encode` takes the composition [n, n_elements] as a third argument; only for label
        access `oracle`.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    label_access: ClassVar[str]
    reference: ClassVar[str]
    control: ClassVar[bool] = False
    Hyperparameters: ClassVar[type]
    presets: ClassVar[dict[str, dict[str, Any]]] = {}
    diagnostics: ClassVar[tuple[Diagnostic, ...]] = ()
    encodes_composition: ClassVar[bool] = False

    def __init__(self, hyperparameters: Any = None, *, seed: int = 0, device: str = "cpu"):
        self.hyperparameters = (
            self.Hyperparameters() if hyperparameters is None else hyperparameters
        )
        self.seed = seed
        self.device = device

    @abstractmethod
    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Learn from `train`; `validation` is there to choose or to stop by, never to fit.

        Calls ``monitor.start`` once and ``monitor.epoch`` after every epoch. Must not change the
        arrays it is given. If `load_state` restored an unfinished fit, continues it and ends as if
        never interrupted.
        """

    @abstractmethod
    def encode(self, flux: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:
        """Encode each spectrum on its own, whatever the rest of the batch and its order.

        Parameters
        ----------
        flux : numpy.ndarray [n, n_pixels], float32
        nuisance : numpy.ndarray [n, n_nuisance], float32, or None
            None for label access `none`.

        Returns
        -------
        numpy.ndarray [n, n_latent], float32
        """

    def rank_twins(
        self, latent: np.ndarray, nuisance: np.ndarray | None, composition: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Rank every star's twin by a distance of the method's own; for controls alone.

        Parameters
        ----------
        latent : numpy.ndarray [n_pairs, 2, n_latent], float32
        nuisance : numpy.ndarray [n_pairs, 2, n_nuisance], float32, or None
            None for label access `none`.
        composition : numpy.ndarray [n_pairs, n_elements], float32, or None
            None unless the method has `encodes_composition`.

        Returns
        -------
        rank, tied : numpy.ndarray [n_pairs, 2], int64
            As `starbench.metrics.TwinRanks` holds them; None, as here, for the L1 distance by
            which all methods that compete are ranked.
        """
        return None

    @property
    def has_decoder(self) -> bool:
        """Whether `decode` is implemented."""
        return type(self).decode is not Method.decode

    def decode(self, latent: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:
        """Reconstruct flux [n, n_pixels], float32, from latents, drawn at the nuisance given."""
        raise NotImplementedError(f"{self.name} has no decoder")

    @abstractmethod
    def state(self) -> dict[str, torch.Tensor]:
        """Return what encoding, decoding and continuing a fit need, as named tensors."""

    @abstractmethod
    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what `state` returned, in a new instance with the same hyperparameters."""

    @property
    def n_parameters(self) -> int:
        """Number of learned numbers used to encode and decode."""
        return 0
