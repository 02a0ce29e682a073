r"""A conditional variational autoencoder: its prior removes the nuisance from the latent.

With the loss of `starbench.methods.parts.variational` and encoder and decoder both given the
nuisance u,

.. math::

    L = \frac{1}{2} \log \langle e(x, D(z, u)) \rangle + \frac{\beta}{K}\,
        \langle \mathrm{KL}(q(z|x, u)\, \|\, N(0, 1)) \rangle.

Each nat of information in the latent costs beta, and the decoder has u for free, so at the optimum
of the evidence lower bound the latent leaves u out. How far that goes depends on how much
information the reconstruction needs.

References
----------
Sohn, Lee and Yan (2015), "Learning structured output representation using deep conditional
generative models", NeurIPS 28.
Kingma et al. (2014), "Semi-supervised learning with deep generative models", NeurIPS 27, model M2.
"""

from typing import ClassVar, final

from starbench.methods.base import Diagnostic
from starbench.methods.parts.autoencoder import Autoencoder
from starbench.methods.parts.inputs import Inputs
from starbench.methods.parts.objective import Objective, ReconstructionError
from starbench.methods.parts.variational import (
    DIAGNOSTIC,
    EvidenceBound,
    VariationalNetworks,
    VariationalSettings,
)


@final
class ConditionalVae(Autoencoder):
    """A variational autoencoder that is given the nuisance."""

    name = "conditional-vae"
    version = 2
    reference = "Sohn et al. 2015"
    Hyperparameters = VariationalSettings
    hyperparameters: VariationalSettings
    diagnostics: ClassVar[tuple[Diagnostic, ...]] = (DIAGNOSTIC,)

    def build(self, inputs: Inputs) -> Objective:
        """Build networks that maximise the evidence bound."""
        settings = self.hyperparameters
        networks = VariationalNetworks(settings, inputs.n_inputs, inputs.n_nuisance)
        error = ReconstructionError(inputs, settings.loss_whitening)
        return EvidenceBound(networks, error, settings)
