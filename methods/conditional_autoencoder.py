"""The baseline: it knows the nuisance, and nothing keeps that out of the latent.

With the networks, the training and the data of `starbench.methods.fader`, and no adversary,

    L = |x - D(E(x, u), u)|^2 / variance.

The decoder is given u, so a latent that is short of room gains by leaving u out; that is all the
pressure there is.
"""

from starbench.methods.parts.autoencoder import Autoencoder, AutoencoderSettings


class ConditionalAutoencoder(Autoencoder):
    """The Fader network's undisentangled baseline."""

    name = "conditional-autoencoder"
    reference = "de Mijolla and Ness, baseline of their Table 1"
    Hyperparameters = AutoencoderSettings
