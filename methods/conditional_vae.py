r"""A conditional variational autoencoder: the prior is what keeps the nuisance out of the latent.

With the posterior and the loss of `variational.py` and no penalty, encoder and decoder both given
the nuisance u. Each nat that the latent holds costs beta, and what it tells of u the decoder has
for nothing; so at the optimum of the evidence lower bound a latent that leaves u out wins. How far
that goes depends on how much of the information the reconstruction needs.

References
----------
Sohn, Lee and Yan (2015), "Learning structured output representation using deep conditional
generative models", NeurIPS 28.
Kingma et al. (2014), "Semi-supervised learning with deep generative models", NeurIPS 27, model M2.
"""

from starbench.methods.parts.variational import Variational, VariationalSettings


class ConditionalVae(Variational):
    """A variational autoencoder that is given the nuisance."""

    name = "conditional-vae"
    reference = "Sohn et al. 2015"
    Hyperparameters = VariationalSettings
