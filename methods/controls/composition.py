"""The truth as the latent: z = a, the composition in dex.

What no method can exceed without noise, and what the metrics must give a perfect score: twins share
a exactly, and no strangers do.
"""

import numpy as np

from starbench.methods.base import Monitor, View, known_composition
from starbench.methods.controls.trivial import Stateless


class Composition(Stateless):
    """The true composition."""

    name = "composition"
    label_access = "oracle"
    encodes_composition = True

    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Learn nothing.

        Raises
        ------
        SettingError
            If the data do not hold the composition.
        """
        known_composition(train, self.name)

    def encode(
        self, flux: np.ndarray, nuisance: np.ndarray | None, composition: np.ndarray
    ) -> np.ndarray:
        """Return the composition [n, n_elements] [dex]."""
        return composition.astype(np.float32)
