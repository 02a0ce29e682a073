"""Latents of spectra of known noise: refined with the decoder, then scaled by their noise."""

from typing import final

import numpy as np
import torch
from torch import nn

from starbench.methods.parts.networks import Networks
from starbench.methods.parts.noise_matching import difference_covariance, noise_matched_map
from starbench.methods.parts.refinement import White, gauss_newton_step, noise_covariance
from starbench.methods.parts.representation import Measured
from starbench.methods.parts.settings import AutoencoderSettings

ROWS = 4096  # spectra encoded or decoded at a time
_JACOBIAN_ENTRIES = 5_000_000  # of decoders differentiated at a time


@final
class NoiseModel(nn.Module):
    """Turns spectra into latents; once fitted, takes their noise into account.

    Before `fit`, and for noiseless spectra, a latent is the encoder's output.

    Parameters
    ----------
    settings : AutoencoderSettings
    scale : torch.Tensor [n_inputs]
        Flux units of each input; see `starbench.methods.parts.inputs.Inputs`.
    seed : int
    """

    scale: torch.Tensor
    prior_mean: torch.Tensor
    prior_precision: torch.Tensor
    noise: torch.Tensor  # 0 where latents are not refined
    latent_map: torch.Tensor

    def __init__(self, settings: AutoencoderSettings, scale: torch.Tensor, seed: int) -> None:
        super().__init__()
        self._settings, self._seed = settings, seed
        n_latent = settings.latent
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("prior_mean", torch.zeros(n_latent))
        self.register_buffer("prior_precision", torch.zeros(n_latent, n_latent))
        self.register_buffer("noise", torch.tensor(0.0))
        self.register_buffer("latent_map", torch.eye(n_latent))

    def fit(
        self,
        networks: Networks,
        inputs: torch.Tensor,
        nuisance: torch.Tensor,
        noise: float,
        measured: Measured | None = None,
    ) -> None:
        """Learn the prior of the latents and the map that makes their noise equal along all axes.

        Parameters
        ----------
        networks : Networks
        inputs : torch.Tensor [n, n_inputs]
            Of spectra that the networks were not fitted to.
        nuisance : torch.Tensor [n, n_nuisance]
        noise : float
            Standard deviation of the noise in each pixel, or its typical value.
        measured : Measured, optional
            What the errors of each spectrum tell of its coefficients.
        """
        settings = self._settings
        self.noise = torch.tensor(0.0)
        latent, _ = self.latents(networks, inputs, nuisance)
        covariance: torch.Tensor | None = None
        if settings.refinement:
            prior = torch.cov(latent.double().T).reshape(settings.latent, settings.latent)
            # The variance of an unused axis is small, but a prior must not make it zero.
            prior += 1e-6 * prior.diagonal().mean() * torch.eye(settings.latent)
            self.prior_mean = latent.mean(0)
            self.prior_precision = torch.linalg.inv(prior).float()
            self.noise = torch.tensor(noise)
            latent, information = self.latents(networks, inputs, nuisance, measured)
            covariance = noise_covariance(information, self.prior_precision)
        if settings.noise_matching:
            if covariance is None:
                generator = torch.Generator().manual_seed(self._seed)
                if measured is None:
                    # Components are orthonormal, so white noise has the same level in each.
                    added = noise * torch.randn(inputs.shape, generator=generator)
                else:
                    added = measured.draw(generator)
                noisier = inputs + (added / self.scale).to(inputs.device)
                covariance = difference_covariance(
                    latent, self.latents(networks, noisier, nuisance)[0]
                )
            self.latent_map = noise_matched_map(latent, covariance)

    @property
    def refines(self) -> bool:
        """Whether latents are refined."""
        return bool(self.noise > 0)

    def refines_otherwise(self, error: np.ndarray) -> bool:
        """Return whether errors [n, n_pixels] refine latents unlike the noise of the fit does."""
        return self.refines and not bool((error == np.float32(self.noise)).all())

    def latents(
        self,
        networks: Networks,
        inputs: torch.Tensor,
        nuisance: torch.Tensor,
        measured: Measured | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return latents on the decoder's scale, refined where the noise is known.

        Parameters
        ----------
        networks : Networks
        inputs : torch.Tensor [n, n_inputs]
        nuisance : torch.Tensor [n, n_nuisance]
        measured : Measured, optional
            What the errors of each spectrum tell of its coefficients; without it, the noise is that
            of the training spectra.

        Returns
        -------
        latent : torch.Tensor [n, latent]
            On the CPU.
        information : torch.Tensor [n, latent, latent]
            Fisher information of each spectrum on its latent, as `gauss_newton_step` returns it;
            empty, [0, latent, latent], without refinement.
        """
        rows, n_latent = ROWS, self._settings.latent
        if self.refines:
            width = n_latent * max(inputs.shape[1], *self._settings.decoder_widths)
            rows = max(1, min(rows, _JACOBIAN_ENTRIES // width))
        latent = torch.empty(len(inputs), n_latent)
        information = latent.new_empty(len(inputs) if self.refines else 0, n_latent, n_latent)
        with torch.no_grad():
            for start in range(0, len(inputs), rows):
                part = slice(start, start + rows)
                z = networks.encode(inputs[part], nuisance[part])
                if self.refines:
                    own = None if measured is None else measured[part].to(inputs.device)
                    z, known = self._refine(networks, z, inputs[part], nuisance[part], own)
                    information[part] = known.cpu()
                latent[part] = z.cpu()
        return latent, information

    def _refine(
        self,
        networks: Networks,
        latent: torch.Tensor,
        inputs: torch.Tensor,
        nuisance: torch.Tensor,
        measured: Measured | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        scale, mean, precision = (
            tensor.to(inputs.device)
            for tensor in (self.scale, self.prior_mean, self.prior_precision)
        )

        def decode(z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            decoded, slopes = networks.decode_with_slopes(z, nuisance)
            return decoded * scale, slopes * scale

        likelihood = measured or White(inputs * scale, float(self.noise))
        information = latent.new_empty(0)
        for _ in range(self._settings.refinement):
            latent, information = gauss_newton_step(
                decode, likelihood, latent, mean=mean, precision=precision
            )
        return latent, information

    def match(self, latent: torch.Tensor) -> torch.Tensor:
        """Turn latents [n, latent] from the decoder's scale to the noise-matched one."""
        return latent @ self.latent_map

    def unmatch(self, latent: torch.Tensor) -> torch.Tensor:
        """Undo `match`."""
        back: torch.Tensor = torch.linalg.inv(self.latent_map.double()).float()
        return latent @ back
