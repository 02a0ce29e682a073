"""The latent of an autoencoder without the nuisance holds the nuisance."""

import numpy as np
from support.small_settings import fit_small, swap_ratio
from support.spectra import draw

from starbench.methods.autoencoder import PlainAutoencoder


def test_the_unconditional_autoencoder_keeps_the_nuisance():
    instance = fit_small(PlainAutoencoder, epochs=12)
    assert swap_ratio(instance) > 20
    flux, nuisance, _ = draw("test", 200)
    latent = instance.encode(flux.reshape(400, -1), None)
    design = np.column_stack([np.ones(400), latent])
    teff = nuisance.reshape(400, -1)[:, 0]
    residual = teff - design @ np.linalg.lstsq(design, teff, rcond=None)[0]
    assert residual.var() < 0.2 * teff.var()
