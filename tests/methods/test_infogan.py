"""InfoGAN learns a factor, and generates spectra with the noise of the measured ones."""

import numpy as np
import pytest
import torch
from support.small_settings import fit_small, hyperparameters

from starbench.methods.base import View
from starbench.methods.infogan import Generator, InfoGan, InfoGanObjective
from starbench.methods.parts.adversary import Adversary
from starbench.methods.parts.inputs import Inputs
from starbench.methods.parts.objective import Batch, ReconstructionError, TrainingSet
from starbench.methods.parts.representation import Representation


def test_infogan_learns_the_only_factor_of_the_spectra():
    factor = np.random.default_rng(0).uniform(0, 1, 2000).astype(np.float32)
    profile = np.exp(-0.5 * ((np.arange(12, dtype=np.float32) - 6) / 2) ** 2)
    flux = 1 - factor[:, None] * profile
    fitted = fit_small(InfoGan, View(flux), latent=1, noise_inputs=0, epochs=12)
    latent = fitted.encode(flux, None)
    assert abs(np.corrcoef(latent[:, 0], factor)[0, 1]) > 0.95
    error = np.mean((fitted.decode(latent, None) - flux) ** 2)
    assert error < 0.1 * flux.var(axis=0).mean()


class Sees(torch.nn.Module):
    """A critic that keeps the samples it is shown."""

    def __init__(self):
        super().__init__()
        self.score, self.shown = torch.nn.Linear(4, 1), []

    def forward(self, samples):
        self.shown.append(samples.detach())
        return self.score(samples)


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_generated_spectra_get_the_noise_of_the_training_spectra(noise):
    settings = hyperparameters(InfoGan, latent=3, noise_inputs=2, critic_steps=1)
    scale, zeros = torch.tensor([1.0, 2.0, 4.0, 8.0]), torch.zeros(4)
    inputs = Inputs(Representation(zeros, torch.ones(4), zeros[0]), scale, zeros[:0], zeros[:0])
    networks, critic = Generator(settings, 4, 0), Sees()
    networks.decoder[-1].weight.data.zero_()  # what it generates is constant but for the noise
    objective = InfoGanObjective(
        networks, ReconstructionError(inputs, 0.0), Adversary(critic, 1e-3), scale, settings
    )
    train = TrainingSet(torch.zeros(20_000, 4), torch.zeros(20_000, 0), 20_000, None, noise)
    objective.loss(Batch(train, torch.arange(20_000), 0.0))
    fake = critic.shown[-1]
    level = (fake * scale).std(0)
    assert level.numpy() == pytest.approx(np.full(4, noise), rel=0.03, abs=1e-6)


def test_the_decoder_is_the_generator_with_its_noise_at_zero():
    networks = Generator(hyperparameters(InfoGan, latent=3, noise_inputs=2), 4, 0)
    code = torch.randn(5, 3)
    decoded = networks.decode(code, torch.zeros(5, 0))
    assert torch.equal(decoded, networks.generate(code, torch.zeros(5, 2)))
    assert not torch.equal(decoded, networks.generate(code, torch.ones(5, 2)))
