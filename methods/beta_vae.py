r"""beta-VAE: a variational autoencoder whose divergence from the prior has a weight above 1.

With the loss of `starbench.methods.parts.variational`, no nuisance, and beta > 1,

.. math::

    L = \frac{1}{2} \log \langle e \rangle + \frac{\beta}{K}\,
        \langle \mathrm{KL}(q(z|x)\, \|\, N(0, 1)) \rangle,

the loss pushes the axes of the latent towards independence, and to hold no more than the
reconstruction needs. Nothing makes an axis correspond to one factor of variation, such as
temperature or magnesium: the method does not know which factors are chemistry, and twins are ranked
by all axes.

References
----------
Higgins et al. (2017), "beta-VAE: learning basic visual concepts with a constrained variational
framework", ICLR.
"""

from dataclasses import dataclass
from typing import ClassVar, final

from starbench.methods.base import Diagnostic, option
from starbench.methods.parts.autoencoder import Autoencoder
from starbench.methods.parts.inputs import Inputs
from starbench.methods.parts.objective import Objective, ReconstructionError
from starbench.methods.parts.variational import (
    DIAGNOSTIC,
    EvidenceBound,
    VariationalNetworks,
    VariationalSettings,
)


@dataclass(frozen=True)
class Settings(VariationalSettings):
    """Hyperparameters of the beta-VAE."""

    beta: float = option(2.0, "weight of the divergence from the prior", low=0.0, tuned=(1, 10))


@final
class BetaVae(Autoencoder):
    """A variational autoencoder without labels, with a stronger pull towards the prior."""

    name = "beta-vae"
    version = 2
    label_access = "none"
    reference = "Higgins et al. 2017"
    Hyperparameters = Settings
    hyperparameters: Settings
    diagnostics: ClassVar[tuple[Diagnostic, ...]] = (DIAGNOSTIC,)

    def build(self, inputs: Inputs) -> Objective:
        """Build networks that maximise the weighted evidence bound; `inputs` has no nuisance."""
        settings = self.hyperparameters
        networks = VariationalNetworks(settings, inputs.n_inputs, inputs.n_nuisance)
        error = ReconstructionError(inputs, settings.loss_whitening)
        return EvidenceBound(networks, error, settings)
