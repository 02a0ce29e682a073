r"""An autoencoder without the nuisance: its latent holds everything about the spectrum.

With the networks and the training of `starbench.methods.parts.autoencoder`,

.. math::

    L = |x - D(E(x))|^2 / \mathrm{variance}.

It must keep temperature and gravity in the latent, as the decoder has no other source for them.
"""

from typing import final

from starbench.methods.parts.autoencoder import Autoencoder
from starbench.methods.parts.inputs import Inputs
from starbench.methods.parts.networks import ConditionalNetworks
from starbench.methods.parts.objective import Objective, Reconstruction, ReconstructionError
from starbench.methods.parts.settings import AutoencoderSettings


@final
class PlainAutoencoder(Autoencoder):
    """An autoencoder that is not given the nuisance."""

    name = "autoencoder"
    version = 2
    label_access = "none"
    reference = "Hinton and Salakhutdinov 2006, Science 313, 504"
    Hyperparameters = AutoencoderSettings

    def build(self, inputs: Inputs) -> Objective:
        """Build networks that minimise the reconstruction error; `inputs` has no nuisance."""
        settings = self.hyperparameters
        networks = ConditionalNetworks(settings, inputs.n_inputs, inputs.n_nuisance)
        return Reconstruction(networks, ReconstructionError(inputs, settings.loss_whitening))
