"""Hyperparameters that all autoencoders share."""

from dataclasses import dataclass
from typing import ClassVar

from starbench.methods.base import option
from starbench.methods.parts.perceptron import ACTIVATIONS
from starbench.methods.parts.training import epochs_option


@dataclass(frozen=True)
class AutoencoderSettings:
    """Hyperparameters of an autoencoder, whatever its objective."""

    latent: int = option(20, "dimensions of the latent", low=1, high=1024)
    components: int = option(
        256,
        "principal components the networks work on, without those below the noise; 0 for pixels",
        low=0,
    )
    input_whitening: float = option(
        1.0, "inputs are divided by their standard deviation to this power", low=0.0, high=1.0
    )
    loss_whitening: float = option(
        0.4,
        "squared errors are divided by the variance to this power",
        low=0.0,
        high=1.0,
        tuned=(0.2, 0.6),
    )
    encoder_widths: tuple[int, ...] = option(
        (512, 256, 128), "widths of the encoder's hidden layers", low=1
    )
    decoder_widths: tuple[int, ...] = option(
        (256, 512), "widths of the decoder's hidden layers", low=1
    )
    activation: str = option(
        "silu", "activation function of all networks", choices=tuple(ACTIVATIONS)
    )
    refinement: int = option(
        1, "Gauss-Newton steps that refine the latents of noisy spectra", low=0, high=100
    )
    noise_matching: bool = option(
        True, "whether latents of noisy spectra are weighted by signal-to-noise after the fit"
    )
    usual_epochs: ClassVar[int] = 30
    epochs: int = epochs_option(usual_epochs)
    batch_size: int = option(256, "spectra in each step", low=1)
    learning_rate: float = option(2e-3, "peak learning rate", low=0.0, tuned=(5e-4, 5e-3))
    one_cycle: bool = option(
        True, "whether the learning rate follows a one-cycle schedule or stays at its peak"
    )
