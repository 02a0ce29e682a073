"""The truth as the latent: z = a, the composition in dex.

What no method can exceed without noise, and what the metrics must give a perfect score: twins share
a exactly, and no strangers do.
"""

import numpy as np
import torch

from starbench.methods.base import Method, Monitor, SettingError, View
from starbench.methods.controls import NoSettings


class Composition(Method):
    """The true composition."""

    name = "composition"
    label_access = "oracle"
    reference = "control"
    control = True
    encodes_composition = True
    Hyperparameters = NoSettings

    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Learn nothing.

        Raises
        ------
        SettingError
            If the data do not hold the composition.
        """
        if train.composition is None:
            raise SettingError(f"{self.name} needs the composition, which these data do not hold.")

    def encode(
        self, flux: np.ndarray, nuisance: np.ndarray | None, composition: np.ndarray
    ) -> np.ndarray:
        """Return the composition [n, n_elements] [dex]."""
        return composition.astype(np.float32)

    def state(self) -> dict[str, torch.Tensor]:
        """Return nothing."""
        return {}

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore nothing."""
