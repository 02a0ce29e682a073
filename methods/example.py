"""An example to copy: principal components of what a quadratic in the nuisance cannot explain.

z = W (x - B q(u)),    q(u) = (1, u1, u2, u1 u1, u1 u2, u2 u2)
"""

from dataclasses import dataclass

import numpy as np
import torch

from starbench.methods.base import Method, Monitor, View, option, required


@dataclass(frozen=True)
class Settings:  # each with a default, its meaning, and its range: --set latent=10 is then checked
    latent: int = option(20, "principal components kept", low=1)


class MyMethod(Method):
    name = "my-method"  # on the command line and the leaderboard
    label_access = "nuisance"  # fit sees Teff and log g, but not which spectra are twins
    reference = "You et al. (2026)"
    Hyperparameters = Settings

    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        nuisance = required(train.nuisance, "nuisance")  # granted by the label access
        self.mean, self.spread = nuisance.mean(axis=0), nuisance.std(axis=0)
        self.slopes = np.linalg.lstsq(self._quadratic(nuisance), train.flux, rcond=None)[0]
        residual = train.flux - self._quadratic(nuisance) @ self.slopes
        axes = np.linalg.svd(residual[:2000], full_matrices=False)[2]  # 2,000 spectra suffice
        self.axes = axes[: self.hyperparameters.latent].T.copy()

    def encode(self, flux: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:  # one by one
        residual = flux - self._quadratic(required(nuisance, "nuisance")) @ self.slopes
        return np.asarray(residual @ self.axes)

    def state(self) -> dict[str, torch.Tensor]:  # all that encode needs, saved without pickle
        return {k: torch.from_numpy(getattr(self, k)) for k in ("mean", "spread", "slopes", "axes")}

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        vars(self).update({name: tensor.numpy() for name, tensor in state.items()})

    def _quadratic(self, nuisance: np.ndarray) -> np.ndarray:
        u = np.column_stack([np.ones(len(nuisance)), (nuisance - self.mean) / self.spread])
        i, j = np.triu_indices(u.shape[1])
        return np.asarray(u[:, i] * u[:, j], "f4")
