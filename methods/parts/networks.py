"""Encoders and decoders of autoencoders."""

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import nn

from starbench.methods.parts.perceptron import mlp, output_and_slopes
from starbench.methods.parts.settings import AutoencoderSettings


class Networks(nn.Module, ABC):
    """The encoder and the decoder of an autoencoder, without adversaries.

    Attributes
    ----------
    decoder : torch.nn.Sequential
        From `starbench.methods.parts.perceptron.mlp`; the subclass sets it.
    """

    decoder: nn.Sequential

    @abstractmethod
    def encode(self, inputs: torch.Tensor, nuisance: torch.Tensor) -> torch.Tensor:
        """Encode inputs [n, n_inputs] at scaled nuisance [n, n_nuisance] into [n, latent]."""

    def decode(self, latent: torch.Tensor, nuisance: torch.Tensor) -> torch.Tensor:
        """Decode latents [n, latent] at scaled nuisance [n, n_nuisance] into [n, n_inputs]."""
        inputs: torch.Tensor = self.decoder(self.decoder_inputs(latent, nuisance))
        return inputs

    def decode_with_slopes(
        self, latent: torch.Tensor, nuisance: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Decode; also return the derivatives [n, latent, n_inputs] by the latents."""
        inputs = self.decoder_inputs(latent, nuisance)
        return output_and_slopes(self.decoder, inputs, latent.shape[1])

    def decoder_inputs(self, latent: torch.Tensor, nuisance: torch.Tensor) -> torch.Tensor:
        """Return what the decoder receives, the latent first: [n, latent + others]."""
        return torch.cat([latent, nuisance], 1)


@final
class ConditionalNetworks(Networks):
    """Two perceptrons that both receive the nuisance as a further input.

    Parameters
    ----------
    settings : AutoencoderSettings
    n_inputs, n_nuisance : int
    """

    def __init__(self, settings: AutoencoderSettings, n_inputs: int, n_nuisance: int) -> None:
        super().__init__()
        n_encoded, n_decoded = n_inputs + n_nuisance, settings.latent + n_nuisance
        self.encoder = mlp(
            (n_encoded, *settings.encoder_widths, settings.latent), settings.activation
        )
        self.decoder = mlp((n_decoded, *settings.decoder_widths, n_inputs), settings.activation)

    def encode(self, inputs: torch.Tensor, nuisance: torch.Tensor) -> torch.Tensor:
        """Encode; see `Networks.encode`."""
        latent: torch.Tensor = self.encoder(torch.cat([inputs, nuisance], 1))
        return latent
