import numpy as np
import pytest
from support.spectra import N_PIXELS, draw, view

from starbench.methods.base import Silent, View
from starbench.methods.pca import PrincipalComponents
from starbench.methods.polynomial_residual import PolynomialResidual, monomials


def test_monomials_of_a_hand_worked_case():
    assert monomials(np.array([[2.0, 3.0]]), 2).tolist() == [[1, 2, 3, 4, 6, 9]]
    assert monomials(np.array([[2.0]]), 3).tolist() == [[1, 2, 4, 8]]


@pytest.mark.parametrize("whitening", [0.0, 0.5, 1.0])
def test_all_components_reconstruct_whatever_the_whitening(whitening):
    train = view("train", 300, "none")
    settings = PrincipalComponents.Hyperparameters(latent=90, whitening=whitening)
    method = PrincipalComponents(settings)
    method.fit(train, train, Silent())
    rebuilt = method.decode(method.encode(train.flux, None), None)
    assert np.mean((rebuilt - train.flux) ** 2) < 1e-6 * train.flux.var()


def test_whitened_components_have_unit_variance():
    train = view("train", 300, "none")
    method = PrincipalComponents(PrincipalComponents.Hyperparameters(latent=5))
    method.fit(train, train, Silent())
    assert method.encode(train.flux, None).std(axis=0) == pytest.approx(np.ones(5), rel=1e-3)


def test_components_of_noisy_spectra_count_by_what_they_know():
    flux, _, _ = draw("train", 2000)
    noise = 0.2 * float(flux.std())
    noisy = flux.reshape(4000, -1) + noise * np.random.default_rng(0).normal(size=(4000, N_PIXELS))
    train = View(noisy.astype(np.float32), noise=noise)
    method = PrincipalComponents(PrincipalComponents.Hyperparameters(latent=40))
    method.fit(train, train, Silent())
    again = flux.reshape(4000, -1) + noise * np.random.default_rng(1).normal(size=(4000, N_PIXELS))
    pure, latent = (
        method.encode(each.astype(np.float32), None) for each in (flux.reshape(4000, -1), again)
    )
    moved = np.cov(latent - pure, rowvar=False)
    # Of unit noise times the root of the share of signal: noise alone vanishes, sure axes keep 1.
    share = moved.diagonal()
    assert share.max() == pytest.approx(1, abs=0.1)
    assert share.min() < 0.1
    assert np.abs(moved - np.diag(share)).max() < 0.1
    # The share of signal was found in 500 other spectra.
    sure = share > 0.5
    assert share[sure] == pytest.approx(1 - share[sure] / latent.var(axis=0)[sure], abs=0.1)
    kept = {"latent": 40, "noise_matching": False}
    plain = PrincipalComponents(PrincipalComponents.Hyperparameters(**kept))
    plain.fit(train, train, Silent())
    assert plain.encode(train.flux, None).std(axis=0) == pytest.approx(np.ones(40), rel=1e-3)
    rebuilt = method.decode(method.encode(train.flux, None), None)
    expected = plain.decode(plain.encode(train.flux, None), None)
    # Of components of other spectra; but next to what noise the components leave out, little.
    assert np.mean((rebuilt - expected) ** 2) < 0.2 * np.mean((expected - train.flux) ** 2)


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


def test_a_quadratic_is_removed_and_the_chemistry_left():
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


def test_the_polynomial_helps_to_find_twins():
    from starbench.metrics import twin_ranks

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
