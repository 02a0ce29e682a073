"""An example to copy: principal components of what a quadratic in the nuisance cannot explain.

z = W (x - B q(u)),    q(u) = (1, u1, u2, u1 u1, u1 u2, u2 u2)
"""

from dataclasses import dataclass

import numpy as np
import torch

from starbench.methods.base import Method, option


@dataclass(frozen=True)
class Settings:  # each with a default, its meaning, and its range: --set latent=10 is then checked
    latent: int = option(20, "principal components kept", low=1)


class MyMethod(Method):
    name = "my-method"  # on the command line and the leaderboard
    label_access = "nuisance"  # fit sees Teff and log g; which spectra are twins, it does not
    reference = "You et al. (2026)"
    Hyperparameters = Settings

    def fit(self, train, validation, monitor):  # train.flux [n, n_pixels] is shuffled
        self.mean, self.spread = train.nuisance.mean(axis=0), train.nuisance.std(axis=0)
        self.slopes = np.linalg.lstsq(self._quadratic(train.nuisance), train.flux, rcond=None)[0]
        residual = train.flux - self._quadratic(train.nuisance) @ self.slopes
        axes = np.linalg.svd(residual[:2000], full_matrices=False)[2]  # 2,000 spectra suffice
        self.axes = axes[: self.hyperparameters.latent].T.copy()

    def encode(self, flux, nuisance):  # each spectrum on its own, whatever else is in the batch
        return (flux - self._quadratic(nuisance) @ self.slopes) @ self.axes

    def state(self):  # everything that encode needs, as tensors: saved without pickle
        return {k: torch.from_numpy(getattr(self, k)) for k in ("mean", "spread", "slopes", "axes")}

    def load_state(self, state):
        vars(self).update({name: tensor.numpy() for name, tensor in state.items()})

    def _quadratic(self, nuisance):
        u = np.column_stack([np.ones(len(nuisance)), (nuisance - self.mean) / self.spread])
        i, j = np.triu_indices(u.shape[1])
        return (u[:, i] * u[:, j]).astype("f4")
