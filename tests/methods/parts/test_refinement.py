"""Gauss-Newton steps towards the maximum a posteriori, and the noise of their results."""

import pytest
import torch

from starbench.methods.parts.refinement import White, gauss_newton_step, noise_covariance


def with_slopes(decode):
    """Return a decoder that also returns its derivatives by the latents."""
    jacobian = torch.func.vmap(torch.func.jacrev(lambda star: decode(star[None])[0]))
    return lambda z: (decode(z), jacobian(z).mT)


def test_one_step_in_one_dimension_equals_a_hand_calculation():
    # x = 2 z + noise of 0.5, prior N(1, 4): information 4 / 0.25 = 16, precision 1 / 4.
    latent, information = gauss_newton_step(
        with_slopes(lambda z: 2 * z),
        White(torch.tensor([[3.0]]), 0.5),
        torch.tensor([[-7.0]]),
        mean=torch.tensor([1.0]),
        precision=torch.tensor([[0.25]]),
    )
    assert information.item() == pytest.approx(16)
    assert latent.item() == pytest.approx((16 * 1.5 + 0.25 * 1) / 16.25)


def linear(n=50_000, seed=0):
    """Return a matrix, latents of covariance P, and noisy spectra of a linear decoder."""
    generator = torch.Generator().manual_seed(seed)
    draw_normal = lambda *shape: torch.randn(*shape, generator=generator).double()  # noqa: E731
    matrix, mixing = draw_normal(3, 8), draw_normal(3, 3)
    latent = draw_normal(n, 3) @ mixing
    return matrix, mixing.T @ mixing, latent, latent @ matrix + 0.7 * draw_normal(n, 8)


def refined(matrix, prior, start, spectra):
    return gauss_newton_step(
        with_slopes(lambda z: z @ matrix),
        White(spectra, 0.7),
        start,
        mean=torch.zeros(3).double(),
        precision=torch.linalg.inv(prior),
    )


def test_one_step_reaches_the_posterior_mean_of_a_linear_decoder_from_any_start():
    matrix, prior, truth, spectra = linear()
    first, _ = refined(matrix, prior, torch.zeros_like(truth), spectra)
    second, _ = refined(matrix, prior, 10 * truth, spectra)
    assert torch.allclose(first, second, atol=1e-6)
    # Of all linear functions of a spectrum the posterior mean errs least: regression finds it.
    fitted = spectra @ torch.linalg.lstsq(spectra, truth).solution
    assert torch.allclose(first, fitted, atol=0.05)
    assert (first - truth).square().mean() <= (fitted - truth).square().mean() * 1.001


def test_noise_covariance_equals_the_scatter_over_noise_realisations():
    matrix, prior, truth, _ = linear()
    latent = truth[:1].expand(100_000, 3)
    noise = torch.randn(len(latent), 8, generator=torch.Generator().manual_seed(1)).double()
    estimate, information = refined(matrix, prior, latent, latent @ matrix + 0.7 * noise)
    expected = torch.cov(estimate.T)
    found = noise_covariance(information[:4], torch.linalg.inv(prior))
    assert torch.allclose(found, expected, rtol=0.03, atol=0.01 * expected.diagonal().min())


def test_a_few_steps_converge_for_a_nonlinear_decoder():
    truth = torch.linspace(-1, 1, 9).double()[:, None]
    decode = lambda z: torch.cat([z.exp(), z + 0.3 * z**2], 1)  # noqa: E731
    latent = truth + 0.3
    for _ in range(5):
        latent, _ = gauss_newton_step(
            with_slopes(decode), White(decode(truth), 1e-3), latent,
            mean=torch.zeros(1).double(), precision=torch.eye(1).double(),
        )  # fmt: skip
    assert torch.allclose(latent, truth, atol=1e-5)
