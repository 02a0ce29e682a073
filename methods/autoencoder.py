"""An autoencoder that is told nothing of the nuisance: what its latent holds is the spectrum.

With the networks and the training of `autoencoder.py`,

    L = |x - D(E(x))|^2 / variance.

It must keep temperature and gravity in the latent, as nothing else tells them to the decoder.
"""

from starbench.methods.parts.autoencoder import Autoencoder, AutoencoderSettings


class PlainAutoencoder(Autoencoder):
    """An autoencoder without a nuisance."""

    name = "autoencoder"
    version = 1
    label_access = "none"
    reference = "Hinton and Salakhutdinov 2006, Science 313, 504"
    Hyperparameters = AutoencoderSettings
