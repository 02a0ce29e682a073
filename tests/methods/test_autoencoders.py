import numpy as np
import pytest
import torch
from support.spectra import draw, view

from starbench.methods.autoencoder import PlainAutoencoder
from starbench.methods.base import Silent
from starbench.methods.conditional_autoencoder import ConditionalAutoencoder
from starbench.methods.dann import Dann, _Reversed
from starbench.methods.gandalf import Gandalf
from starbench.methods.parts.autoencoder import Batch
from starbench.methods.swap_consistency import SwapConsistency

SMALL = {"components": 24, "encoder_widths": (64,), "decoder_widths": (64,), "batch_size": 64}


def fitted(method, n_pairs=800, **settings):
    instance = method(method.Hyperparameters(**SMALL, **settings), seed=0)
    train = view("train", n_pairs, method.label_access)
    instance.fit(train, train, Silent())
    return instance


def swap_ratio(instance):
    flux, nuisance, _ = draw("test", 200)
    flat, u = flux.reshape(400, -1), nuisance.reshape(400, -1)
    u = None if instance.label_access == "none" else u
    latent = instance.encode(flat, u)
    swapped = np.ascontiguousarray(latent.reshape(200, 2, -1)[:, ::-1]).reshape(400, -1)
    errors = [np.mean((instance.decode(z, u) - flat) ** 2) for z in (latent, swapped)]
    return errors[1] / errors[0]


def test_swapping_twins_in_training_disentangles():
    settings = {"epochs": 12}
    assert 4 * swap_ratio(fitted(SwapConsistency, **settings)) < swap_ratio(
        fitted(ConditionalAutoencoder, **settings)
    )


def test_without_swaps_it_is_the_conditional_autoencoder():
    flux, nuisance, _ = draw("test", 20)
    arguments = flux.reshape(40, -1), nuisance.reshape(40, -1)
    one = fitted(SwapConsistency, 100, epochs=3, swap_share=0.0)
    other = fitted(ConditionalAutoencoder, 100, epochs=3)
    assert np.array_equal(one.encode(*arguments), other.encode(*arguments))


def test_a_share_of_twins_is_swapped():
    instance = SwapConsistency(SwapConsistency.Hyperparameters(swap_share=0.25))
    instance._twin, instance._n_fitted = torch.arange(4000) ^ 1, 4000
    rows = torch.arange(4000)
    batch = Batch(rows, torch.zeros(4000, 1), torch.zeros(4000, 1), 0.0)
    source = instance.sources(batch)
    assert torch.equal(torch.where(source == rows, rows, instance._twin), source)
    assert (source != rows).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert torch.equal(source, instance.sources(batch))
    # Of the last 1,000 nothing may be looked at, though they are twins of others.
    instance._twin, instance._n_fitted = 3999 - torch.arange(4000), 3000
    rows = rows[:3000]
    source = instance.sources(Batch(rows, torch.zeros(3000, 1), torch.zeros(3000, 1), 0.0))
    assert source.max() < 3000
    assert (source != rows)[1000:].float().mean().item() == pytest.approx(0.25, abs=0.03)


def test_the_plain_autoencoder_keeps_the_nuisance():
    instance = fitted(PlainAutoencoder, epochs=12)
    assert swap_ratio(instance) > 20
    flux, nuisance, _ = draw("test", 200)
    latent = instance.encode(flux.reshape(400, -1), None)
    design = np.column_stack([np.ones(400), latent])
    teff = nuisance.reshape(400, -1)[:, 0]
    residual = teff - design @ np.linalg.lstsq(design, teff, rcond=None)[0]
    assert residual.var() < 0.2 * teff.var()


def test_the_reversed_gradient_of_a_hand_worked_case():
    latent = torch.tensor([2.0], requires_grad=True)
    handed_on = _Reversed.apply(latent, 0.3)
    assert handed_on.item() == 2
    (handed_on**2).sum().backward()
    assert latent.grad.item() == pytest.approx(-0.3 * 4)


def test_the_weight_of_dann_is_zero_at_first_and_full_at_the_end():
    instance = Dann(Dann.Hyperparameters(adversary_weight=0.5, latent=3))
    instance.training = type("", (), {"networks": instance.extra_networks(2)})()
    gradients = []
    for share_done in (0.0, 1.0):
        latent = torch.ones(5, 3, requires_grad=True)
        batch = Batch(torch.arange(5), torch.zeros(5, 1), torch.randn(5, 2), share_done)
        loss, watched = instance.penalty(latent, batch)
        loss.backward()
        gradients.append(latent.grad.abs().max().item())
    assert gradients[0] == 0 and gradients[1] > 0
    assert set(watched) == {"adversary_mse", "chance_mse"}


@pytest.mark.parametrize(
    ("method", "settings"), [(Dann, {"adversary_weight": 1.0}), (Gandalf, {"bins": 4})]
)
def test_adversaries_disentangle(method, settings):
    networks = {"adversary_widths": (64,), "epochs": 15}
    disentangled = swap_ratio(fitted(method, 1500, **networks, **settings))
    assert 1.5 * disentangled < swap_ratio(fitted(ConditionalAutoencoder, 1500, epochs=15))
