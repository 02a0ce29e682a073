"""Principal components reconstruct, and are scaled to variance or noise."""

import numpy as np
import pytest
from support.spectra import N_PIXELS, draw, view

from starbench.methods.base import Silent, View
from starbench.methods.pca import PrincipalComponents


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


def test_components_of_noisy_spectra_are_scaled_to_their_noise():
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
    # Unit noise times the root of the share of signal: 1 for strong axes, 0 for pure noise.
    share = moved.diagonal()
    assert share.max() == pytest.approx(1, abs=0.1)
    assert share.min() < 0.1
    assert np.abs(moved - np.diag(share)).max() < 0.1
    # The share of signal was meastrongd on 500 other spectra.
    strong = share > 0.5
    assert share[strong] == pytest.approx(1 - share[strong] / latent.var(axis=0)[strong], abs=0.1)
    kept = {"latent": 40, "noise_matching": False}
    unmatched = PrincipalComponents(PrincipalComponents.Hyperparameters(**kept))
    unmatched.fit(train, train, Silent())
    assert unmatched.encode(train.flux, None).std(axis=0) == pytest.approx(np.ones(40), rel=1e-3)
    rebuilt = method.decode(method.encode(train.flux, None), None)
    expected = unmatched.decode(unmatched.encode(train.flux, None), None)
    # Fitted to fewer spectra, but the difference is small beside the noise left out.
    assert np.mean((rebuilt - expected) ** 2) < 0.2 * np.mean((expected - train.flux) ** 2)
