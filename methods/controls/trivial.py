r"""Controls of known scores: latents that hold no disentangled chemistry.

With flux x, nuisance u, and the place i of a spectrum in the batch that is encoded,

======================  =================================  =======================================
raw-flux                z = x                              that of distances between spectra
random-latent           z ~ N(0, 1), seeded by x           chance: 1 / (n - 1)
constant-latent         z = 0                              0: all tie, and ties count against it
nuisance-latent         z = u, standardised                about chance, and a leakage of 1
twin-by-order           z = floor(i / 2)                   chance, as batches are shuffled
======================  =================================  =======================================

The last breaks the contract on purpose (its latents depend on the order), to show that the order
in which the harness shows spectra carries no information. None of them reconstructs.
"""

import hashlib
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch

from starbench.methods.base import Method, Monitor, View, option, required


@dataclass(frozen=True)
class NoSettings:
    """No hyperparameters."""


class Stateless(Method):
    """A control that learns nothing and has no state; a subclass implements `encode`."""

    label_access = "none"
    reference = "control"
    control = True
    Hyperparameters: ClassVar[type] = NoSettings

    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Do nothing."""

    def state(self) -> dict[str, torch.Tensor]:
        """Return nothing."""
        return {}

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore nothing."""


@final
class RawFlux(Stateless):
    """The spectrum as its own latent."""

    name = "raw-flux"

    def encode(self, flux: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:
        """Return the flux [n, n_pixels]."""
        return flux.astype(np.float32)


@dataclass(frozen=True)
class RandomSettings:
    """Hyperparameters of the random latent."""

    latent: int = option(20, "dimensions of the latent", low=1, high=1024)


@final
class RandomLatent(Stateless):
    """Normal deviates seeded by the spectrum and the run's seed."""

    name = "random-latent"
    Hyperparameters = RandomSettings
    hyperparameters: RandomSettings

    def encode(self, flux: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:
        """Return deviates [n, latent], the same whenever a spectrum is encoded."""
        key = self.seed.to_bytes(16, "little")
        latent = np.empty((len(flux), self.hyperparameters.latent), np.float32)
        for row, spectrum in zip(latent, np.ascontiguousarray(flux), strict=True):
            digest = hashlib.blake2b(spectrum.view(np.uint8), key=key, digest_size=16).digest()
            row[:] = np.random.default_rng(int.from_bytes(digest, "little")).normal(size=row.size)
        return latent


@final
class ConstantLatent(Stateless):
    """The same latent for every star."""

    name = "constant-latent"

    def encode(self, flux: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:
        """Return zeros [n, 1]."""
        return np.zeros((len(flux), 1), np.float32)


@final
class NuisanceLatent(Stateless):
    """The nuisance as the latent: all leakage and no chemistry."""

    name = "nuisance-latent"
    label_access = "nuisance"
    _mean: np.ndarray
    _deviation: np.ndarray

    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Take the mean and the standard deviation of each nuisance."""
        nuisance = required(train.nuisance, "nuisance")
        self._mean, self._deviation = nuisance.mean(axis=0), nuisance.std(axis=0)

    def encode(self, flux: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:
        """Return the standardised nuisance [n, n_nuisance]."""
        scaled: np.ndarray = (required(nuisance, "nuisance") - self._mean) / self._deviation
        return scaled.astype(np.float32)

    def state(self) -> dict[str, torch.Tensor]:
        """Return mean and standard deviation."""
        return {"mean": torch.tensor(self._mean), "deviation": torch.tensor(self._deviation)}

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what `state` returned."""
        self._mean, self._deviation = state["mean"].numpy(), state["deviation"].numpy()


@final
class TwinByOrder(Stateless):
    """A control that takes neighbours in the batch for twins."""

    name = "twin-by-order"

    def encode(self, flux: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:
        """Return half the position in the batch [n, 1]; breaks the contract on purpose."""
        return (np.arange(len(flux)) // 2).astype(np.float32)[:, None]
