"""The true composition as the latent: z = a, in dex.

No method can exceed it without noise, and the metrics must give it a perfect score: twins share a
exactly, and no strangers do.
"""

from typing import final

import numpy as np
import torch

from starbench.methods.base import Monitor, OracleControl, View, required_composition
from starbench.methods.controls.trivial import NoSettings


@final
class Composition(OracleControl):
    """The true composition."""

    name = "composition"
    reference = "control"
    Hyperparameters = NoSettings

    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Learn nothing.

        Raises
        ------
        SettingError
            If the data do not hold the composition.
        """
        required_composition(train, self.name)

    def encode_stars(
        self,
        flux: np.ndarray,
        nuisance: np.ndarray,
        composition: np.ndarray,
        unseen: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return the composition [n, n_elements] [dex]."""
        return composition.astype(np.float32)

    def state(self) -> dict[str, torch.Tensor]:
        """Return nothing."""
        return {}

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore nothing."""
