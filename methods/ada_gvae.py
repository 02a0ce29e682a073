r"""Ada-GVAE: a variational autoencoder of pairs, which share the axes that seem not to differ.

The posteriors of a spectrum and of its twin are compared axis by axis. Those axes in which they
differ less than halfway between the least and the greatest axis are taken to be shared, and both
get the average of their means and variances there:

.. math::

    \delta_j = \mathrm{KL}(q_j(z|x, u)\, \|\, q_j(z|x', u')), \qquad
    \tilde q_j = \frac{q_j + q'_j}{2} \;\text{where}\;
    \delta_j < \frac{\min_k \delta_k + \max_k \delta_k}{2}, \quad \tilde q_j = q_j
    \;\text{elsewhere}.

Then each is reconstructed from its :math:`\tilde q` by the loss of
`starbench.methods.parts.variational`,

.. math::

    L = \frac{1}{2} \log \langle e(x, D(z, u)) \rangle + \frac{\beta}{K}\,
        \langle \mathrm{KL}(\tilde q\, \|\, N(0, 1)) \rangle.

The paper's pairs differ in a few unknown factors. Here it is known which factors differ, and the
networks are given them, as in the other methods of this benchmark; but the rule always leaves the
axis that differs most unshared, where a spectrum can keep what its twin lacks.

References
----------
Locatello, Poole, Raetsch, Schoelkopf, Bachem and Tschannen (2020), "Weakly-supervised
disentanglement without compromises", ICML, section 4.
"""

from typing import ClassVar, final

import torch

from starbench.methods.base import Diagnostic
from starbench.methods.parts.autoencoder import Autoencoder
from starbench.methods.parts.inputs import Inputs
from starbench.methods.parts.objective import (
    Batch,
    Objective,
    ReconstructionError,
    required_siblings,
)
from starbench.methods.parts.variational import (
    DIAGNOSTIC,
    EvidenceBound,
    Posterior,
    PosteriorNetworks,
    VariationalNetworks,
    VariationalSettings,
)


def with_shared_axes(own: Posterior, twins: Posterior) -> Posterior:
    """Return the posteriors with the average of both in the axes that seem not to differ."""
    log_ratio = twins.log_variance - own.log_variance
    squared = (own.mean - twins.mean).square()
    divergence = (
        0.5
        * (log_ratio + (own.log_variance.exp() + squared) / twins.log_variance.exp() - 1).detach()
    )
    halfway = 0.5 * (divergence.amin(1, keepdim=True) + divergence.amax(1, keepdim=True))
    shared = divergence < halfway
    variance = 0.5 * (own.log_variance.exp() + twins.log_variance.exp())
    return Posterior(
        torch.where(shared, 0.5 * (own.mean + twins.mean), own.mean),
        torch.where(shared, variance.log(), own.log_variance),
    )


def posterior_with_twin(networks: PosteriorNetworks, batch: Batch) -> Posterior:
    """Return the posteriors of a batch, which share axes with those of their twins.

    One that is held out from the fit is not used.
    """
    train = batch.train
    own = networks.posterior(batch.inputs, batch.nuisance)
    rows = required_siblings(batch).draw(batch.rows, batch.generator())
    return with_shared_axes(own, networks.posterior(train.inputs[rows], train.nuisance[rows]))


@final
class AdaGvae(Autoencoder):
    """A variational autoencoder in which twins share the axes that seem not to differ."""

    name = "ada-gvae"
    label_access = "pairs"
    version = 1
    reference = "Locatello et al. 2020"
    Hyperparameters = VariationalSettings
    hyperparameters: VariationalSettings
    diagnostics: ClassVar[tuple[Diagnostic, ...]] = (DIAGNOSTIC,)

    def build(self, inputs: Inputs) -> Objective:
        """Build networks that maximise the evidence bound of pairs."""
        settings = self.hyperparameters
        networks = VariationalNetworks(settings, inputs.n_inputs, inputs.n_nuisance)
        error = ReconstructionError(inputs, settings.loss_whitening)
        return EvidenceBound(networks, error, settings, infer=posterior_with_twin)
