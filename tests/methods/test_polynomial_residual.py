"""A polynomial in the nuisance is removed, the chemistry is left."""

import numpy as np
from support.spectra import draw, view

from starbench.methods.base import Silent, View
from starbench.methods.pca import PrincipalComponents
from starbench.methods.polynomial_residual import PolynomialResidual
from starbench.metrics import twin_ranks


def quadratic_spectra(n, seed):
    """Return spectra that are a quadratic in the nuisance plus a line for each star's chemistry."""
    rng = np.random.default_rng(seed)
    nuisance = rng.uniform([4000, 1.5], [5000, 3.0], (n, 2)).astype(np.float32)
    u = (nuisance - [4500, 2.25]) / [500, 0.75]
    q = np.stack([u[:, 0], u[:, 1], u[:, 0] ** 2, u[:, 0] * u[:, 1], u[:, 1] ** 2], 1)
    made = np.random.default_rng(7).normal(size=(5, 30))
    chemistry = rng.normal(size=(n, 1))
    line = np.random.default_rng(8).normal(size=(1, 30))
    return (q @ made + 0.1 * chemistry @ line).astype(np.float32), nuisance, chemistry[:, 0]


def test_a_quadratic_in_the_nuisance_is_removed_and_the_chemistry_kept():
    flux, nuisance, _ = quadratic_spectra(4000, 0)
    method = PolynomialResidual(PolynomialResidual.Hyperparameters(degree=2, latent=1))
    method.fit(View(flux, nuisance), View(flux, nuisance), Silent())
    new_flux, new_nuisance, chemistry = quadratic_spectra(500, 1)
    latent = method.encode(new_flux, new_nuisance)
    assert abs(np.corrcoef(latent[:, 0], chemistry)[0, 1]) > 0.999
    assert np.abs(method.decode(latent, new_nuisance) - new_flux).max() < 0.02
    # The spectrum of the same star at another nuisance, from the same latent.
    swapped = method.decode(latent, new_nuisance[::-1].copy())
    u_only = method.decode(0 * latent, new_nuisance[::-1].copy())
    assert np.abs((swapped - u_only) - (method.decode(latent, new_nuisance) - method.decode(
        0 * latent, new_nuisance))).max() < 1e-5  # fmt: skip


def test_removing_the_polynomial_finds_more_twins():
    flux, nuisance, _ = draw("test", 300)
    shares = []
    for method_class in (PrincipalComponents, PolynomialResidual):
        method = method_class(method_class.Hyperparameters(latent=10))
        train = view("train", 1500, method.label_access)
        method.fit(train, train, Silent())
        u = None if method.label_access == "none" else nuisance.reshape(600, -1)
        latent = method.encode(flux.reshape(600, -1), u)
        shares.append((twin_ranks(latent.reshape(300, 2, -1)).rank == 1).mean())
    assert shares[1] > shares[0] + 0.05
