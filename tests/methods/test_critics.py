"""What a critic learns, and the two methods that are made of one."""

import numpy as np
import pytest
import torch
from support.spectra import draw, view
from torch import nn

from starbench.methods.base import Silent, View
from starbench.methods.factordis import FactorDis
from starbench.methods.infogan import InfoGan
from starbench.methods.parts.critic import critic_loss

SMALL = {"components": 24, "encoder_widths": (64,), "decoder_widths": (64,), "batch_size": 64}


def linear(slopes):
    critic = nn.Linear(len(slopes), 1, bias=False)
    critic.weight.data[:] = torch.tensor(slopes)
    return critic


def test_critic_loss_of_a_hand_worked_case():
    # C(a) = 3 a_1 + 4 a_2 has slope 5 everywhere: the penalty is 0.5 (5 - 1)^2 = 8.
    real, fake = torch.tensor([[1.0, 0.0], [1.0, 2.0]]), torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    loss = critic_loss(
        linear([3.0, 4.0]), real, fake, slope_weight=0.5, generator=torch.Generator()
    )
    assert loss.item() == pytest.approx((4 + 6) / 2 - (3 + 11) / 2 + 8)


def test_no_gradient_reaches_the_samples():
    real, fake = torch.ones(3, 2, requires_grad=True), torch.zeros(3, 2, requires_grad=True)
    critic = linear([1.0, 1.0])
    critic_loss(critic, real, fake, slope_weight=1.0, generator=torch.Generator()).backward()
    assert real.grad is None and fake.grad is None and critic.weight.grad is not None


def test_a_trained_critic_estimates_the_distance_between_two_distributions():
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(1, 32), nn.SiLU(), nn.Linear(32, 1))
    optimiser = torch.optim.Adam(critic.parameters(), 3e-3)
    real = torch.rand(512, 1, generator=generator)
    for _ in range(400):
        optimiser.zero_grad()
        critic_loss(
            critic, real, real + 2, slope_weight=10.0, generator=generator
        ).backward()  # moved by 2, which is the Wasserstein distance
        optimiser.step()
    difference = (critic(real).mean() - critic(real + 2).mean()).item()
    assert difference == pytest.approx(2, abs=0.3)


def swap_ratio(instance):
    flux, nuisance, _ = draw("test", 200)
    flat, u = flux.reshape(400, -1), nuisance.reshape(400, -1)
    latent = instance.encode(flat, u)
    swapped = np.ascontiguousarray(latent.reshape(200, 2, -1)[:, ::-1]).reshape(400, -1)
    errors = [np.mean((instance.decode(z, u) - flat) ** 2) for z in (latent, swapped)]
    return errors[1] / errors[0]


def test_the_critic_of_factordis_disentangles():
    ratios = []
    for weight in (0.0, 0.3):
        settings = FactorDis.Hyperparameters(
            **SMALL, critic_widths=(64,), critic_weight=weight, epochs=12
        )
        instance = FactorDis(settings, seed=0)
        train = view("train", 1000, "nuisance")
        instance.fit(train, train, Silent())
        ratios.append(swap_ratio(instance))
    assert 1.5 * ratios[1] < ratios[0]


def test_infogan_learns_the_one_factor_there_is():
    factor = np.random.default_rng(0).uniform(0, 1, 2000).astype(np.float32)
    profile = np.exp(-0.5 * ((np.arange(12, dtype=np.float32) - 6) / 2) ** 2)
    flux = 1 - factor[:, None] * profile
    settings = InfoGan.Hyperparameters(
        **SMALL, critic_widths=(64,), latent=1, noise_inputs=0, epochs=12
    )
    instance = InfoGan(settings, seed=0)
    instance.fit(View(flux), View(flux), Silent())
    latent = instance.encode(flux, None)
    assert abs(np.corrcoef(latent[:, 0], factor)[0, 1]) > 0.95
    error = np.mean((instance.decode(latent, None) - flux) ** 2)
    assert error < 0.1 * flux.var(axis=0).mean()


def test_infogan_makes_spectra_as_noisy_as_the_measured():
    flux = view("train", 60, "none").flux
    instance = InfoGan(InfoGan.Hyperparameters(**SMALL, epochs=1))
    instance._prepare(View(flux, noise=0.02))
    level = instance.buffers["input_noise"] * instance.buffers["input_scale"]
    assert torch.allclose(level, torch.tensor(0.02))
    instance._prepare(View(flux))
    assert not instance.buffers["input_noise"].any()


def test_infogan_decodes_with_its_noise_at_zero():
    instance = InfoGan(InfoGan.Hyperparameters(**SMALL, latent=3, noise_inputs=2))
    instance._prepare(view("train", 60, "none"))
    code = torch.randn(4, 3)
    expected = instance.training.networks["decoder"](torch.cat([code, torch.zeros(4, 2)], 1))
    assert torch.equal(instance._decode(code, torch.zeros(4, 0)), expected)
