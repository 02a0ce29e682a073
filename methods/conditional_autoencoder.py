r"""The baseline: networks are given the nuisance; its leakage into the latent is not penalised.

With the networks and the training of `starbench.methods.fader`, but no adversary,

.. math::

    L = |x - D(E(x, u), u)|^2 / \mathrm{variance}.

The decoder receives u, so a latent of limited size gains by leaving u out. Nothing else removes the
nuisance from it.
"""

from typing import final

from starbench.methods.parts.autoencoder import Autoencoder
from starbench.methods.parts.inputs import Inputs
from starbench.methods.parts.networks import ConditionalNetworks
from starbench.methods.parts.objective import Objective, Reconstruction, ReconstructionError
from starbench.methods.parts.settings import AutoencoderSettings


@final
class ConditionalAutoencoder(Autoencoder):
    """The Fader network's baseline without disentanglement."""

    name = "conditional-autoencoder"
    reference = "de Mijolla and Ness, baseline of their Table 1"
    Hyperparameters = AutoencoderSettings

    def build(self, inputs: Inputs) -> Objective:
        """Build networks that minimise the reconstruction error."""
        settings = self.hyperparameters
        networks = ConditionalNetworks(settings, inputs.n_inputs, inputs.n_nuisance)
        return Reconstruction(networks, ReconstructionError(inputs, settings.loss_whitening))
