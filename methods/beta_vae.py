r"""beta-VAE: a variational autoencoder whose prior weighs more than its likelihood asks for.

With the posterior and the loss of `variational.py`, without nuisance and with beta > 1, so that the
latent's axes are pressed to be independent and to hold no more than the reconstruction is worth.
Whether an axis then is a factor of variation, temperature here and magnesium there, is left to
chance: nothing tells the method which factors are chemistry, and twins are ranked by all of them.

References
----------
Higgins et al. (2017), "beta-VAE: learning basic visual concepts with a constrained variational
framework", ICLR.
"""

from dataclasses import dataclass

from starbench.methods.base import option
from starbench.methods.parts.variational import Variational, VariationalSettings


@dataclass(frozen=True)
class Settings(VariationalSettings):
    """Hyperparameters of the beta-VAE."""

    beta: float = option(2.0, "weight of the divergence from the prior", low=0.0)


class BetaVae(Variational):
    """A variational autoencoder without labels, its prior weighted up."""

    name = "beta-vae"
    label_access = "none"
    reference = "Higgins et al. 2017"
    Hyperparameters = Settings
