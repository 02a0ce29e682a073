"""The inputs of networks: coefficients and nuisance, each scaled."""

from typing import final

import numpy as np
import torch
from torch import nn

from starbench.methods.base import View
from starbench.methods.parts.errors import typical_noise
from starbench.methods.parts.representation import Representation, pixels, principal_components
from starbench.methods.parts.training import sub_state


@final
class Inputs(nn.Module):
    """Converts flux and nuisance to the scaled inputs of networks, and inputs back to flux.

    Parameters
    ----------
    representation : Representation
    scale : torch.Tensor [n_inputs]
        What coefficients are divided by.
    nuisance_low, nuisance_range : torch.Tensor [n_nuisance]
        Least value and range of each nuisance in the training set; of no entries for label access
        `none`.
    """

    scale: torch.Tensor
    nuisance_low: torch.Tensor
    nuisance_range: torch.Tensor

    def __init__(
        self,
        representation: Representation,
        scale: torch.Tensor,
        nuisance_low: torch.Tensor,
        nuisance_range: torch.Tensor,
    ) -> None:
        super().__init__()
        self.representation = representation
        self.register_buffer("scale", scale)
        self.register_buffer("nuisance_low", nuisance_low)
        self.register_buffer("nuisance_range", nuisance_range)

    @classmethod
    def from_state(cls, state: dict[str, torch.Tensor]) -> "Inputs":
        """Rebuild the inputs from their ``state_dict()``, which decides their sizes."""
        scales = {name: state[name] for name in ("scale", "nuisance_low", "nuisance_range")}
        return cls(Representation(**sub_state(state, "representation.")), **scales)

    @classmethod
    def fit(
        cls,
        train: View,
        *,
        n_fitted: int,
        components: int,
        whitening: float,
        min_components: int,
        seed: int,
    ) -> "Inputs":
        """Fit the representation and the scales to a training set.

        Parameters
        ----------
        train : View
        n_fitted : int
            Number of spectra, from the first on, to which the representation is fitted.
        components : int
            Principal components at most; 0 for pixels.
        whitening : float
            Coefficients are divided by their standard deviation to this power.
        min_components : int
            Number of components kept even where they are below the noise.
        seed : int
        """
        flux = train.flux[:n_fitted]
        error = None if train.error is None else train.error[:n_fitted]
        if components:
            representation = principal_components(
                flux,
                components,
                seed,
                error=error,
                noise=typical_noise(train),
                min_components=min_components,
            )
        else:
            representation = pixels(flux, error)
        low = high = torch.zeros(0)
        if train.nuisance is not None:
            low, high = (torch.as_tensor(f(train.nuisance, 0)).float() for f in (np.min, np.max))
        deviation = _positive(representation.deviation)
        scale = deviation.max() * (deviation / deviation.max()) ** whitening
        return cls(representation, scale, low, (high - low).clamp_min(1e-10))

    @property
    def n_inputs(self) -> int:
        """Number of scaled coefficients."""
        return len(self.representation)

    @property
    def n_nuisance(self) -> int:
        """Number of nuisance values."""
        return len(self.nuisance_low)

    @property
    def n_pixels(self) -> int:
        """Number of pixels of a spectrum."""
        return len(self.representation.mean)

    def of_flux(self, flux: np.ndarray, error: np.ndarray | None = None) -> torch.Tensor:
        """Turn flux [n, n_pixels], with or without errors, into scaled coefficients."""
        return self.representation.coefficients(flux, error) / self.scale

    def to_flux(self, inputs: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        """Turn scaled coefficients [n, n_inputs] into flux [n, n_pixels], in `out` if given."""
        return self.representation.flux(inputs * self.scale, out)

    def of_nuisance(self, nuisance: np.ndarray | None, n: int) -> torch.Tensor:
        """Scale the nuisance of n spectra to [-1, 1]; return [n, 0] where there is none."""
        if nuisance is None:
            return torch.zeros(n, 0)
        values = torch.as_tensor(nuisance, dtype=torch.float32)
        return 2 * (values - self.nuisance_low) / self.nuisance_range - 1

    def error_weights(self, whitening: float) -> torch.Tensor:
        """Return weights [n_inputs] of squared coefficients, each over its variance to a power.

        The weighted variances of the coefficients add up to 1.
        """
        deviation = _positive(self.representation.deviation)
        weight: torch.Tensor = (deviation / deviation.max()) ** (-2 * whitening)
        return weight / (weight * deviation**2).sum()


def _positive(deviation: torch.Tensor) -> torch.Tensor:
    return deviation.clamp_min(1e-10)  # a pixel may never vary
