r"""The conditional autoencoder that several methods add a penalty to.

A spectrum with nuisance u has coefficients c on the training set's principal components (or
pixels), of variance lambda_k. Two networks encode and decode the standardised coefficients x_k =
c_k / lambda_k^{a/2},

.. math::

    z = E(x, u), \qquad \hat x = D(z, u), \qquad
    L = \frac{\sum_k \lambda_k^{-b} (c_k - \hat c_k)^2}{\sum_k \lambda_k^{1-b}} + P(z, u),

where the penalty P is what sets one method apart from another; without one, nothing but the
decoder's knowledge of u stops z from keeping what it can of u.

At b = 0 the first term is the mean squared error of the flux in units of the flux variance.
Temperature, gravity and overall metallicity make nearly all of that variance, and an element with a
few weak lines makes 1e-4 of it: its gradient drowns. With b > 0 (`loss_whitening`) the small
components count for more. That conditions the problem, too: also the plain flux error falls faster.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from starbench.methods import representation
from starbench.methods.base import Method, Monitor, View, option
from starbench.methods.networks import ACTIVATIONS, mlp
from starbench.methods.noise_matching import noise_matched_map
from starbench.methods.training import Training, one_cycle, run_epochs

_ROWS = 4096  # spectra encoded or decoded at a time
_MATCHING_SPECTRA = 20_000  # training spectra from which the latent's noise is measured


@dataclass(frozen=True)
class AutoencoderSettings:
    """What all autoencoders share, whatever they add to the loss."""

    latent: int = option(20, "dimensions of the latent", low=1, high=1024)
    components: int = option(
        256, "principal components the networks work on; 0 for the pixels themselves", low=0
    )
    input_whitening: float = option(
        1.0, "inputs are divided by their standard deviation to this power", low=0.0, high=1.0
    )
    loss_whitening: float = option(
        0.5, "squared errors are divided by the variance to this power", low=0.0, high=1.0
    )
    encoder_widths: tuple[int, ...] = option((1024, 512, 128), "encoder's hidden layers", low=1)
    decoder_widths: tuple[int, ...] = option((512, 1024), "decoder's hidden layers", low=1)
    activation: str = option("silu", "activation of all networks", choices=tuple(ACTIVATIONS))
    noise_matching: bool = option(
        True, "whether latents of noisy spectra are scaled to their noise after the fit"
    )
    epochs: int = option(20, "passes over the training spectra", low=1)
    batch_size: int = option(256, "spectra a step", low=1)
    learning_rate: float = option(1e-3, "peak of the learning rate", low=0.0)
    one_cycle: bool = option(True, "whether the learning rate rises and falls, or stays")


class Autoencoder(Method):
    """An encoder and a decoder that both know the nuisance; subclasses add a penalty to its loss.

    A subclass may override `extra_networks` and `penalty`. All else is shared, so that two of them
    differ in nothing but what they mean to differ in.
    """

    label_access = "nuisance"

    def __init__(self, hyperparameters=None, *, seed: int = 0, device: str = "cpu"):
        super().__init__(hyperparameters, seed=seed, device=device)
        self.representation: representation.Representation | None = None
        self.buffers: dict[str, torch.Tensor] = {}
        self.training: Training | None = None

    # --- what subclasses add

    def extra_networks(self, n_nuisance: int) -> dict[str, nn.Module]:
        """Return further networks by name; each has an optimiser of its own."""
        return {}

    def cooling(self, network: str) -> float:
        """Return the power of the one-cycle factor that a further network's rate follows."""
        return 1.0

    def penalty(
        self, latent: torch.Tensor, nuisance: torch.Tensor, share_done: float
    ) -> tuple[torch.Tensor | float, dict[str, torch.Tensor]]:
        """Return the term added to the loss of a batch, and quantities to watch.

        Parameters
        ----------
        latent : torch.Tensor [n, latent]
        nuisance : torch.Tensor [n, n_nuisance]
            Scaled to [-1, 1].
        share_done : float
            Share of training that is done, 0 to 1.
        """
        return 0.0, {}

    # --- fitting

    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Fit the principal components, then the networks, by stochastic gradient descent."""
        settings = self.hyperparameters
        if self.training is None:
            self._prepare(train)
        inputs = self._inputs(train.flux)
        nuisance = self._scaled(train.nuisance)
        input_scale = self.buffers["input_scale"].to(self.device)
        weight = self.buffers["loss_weight"].to(self.device) * input_scale**2
        flux_weight = input_scale**2 / train.flux.shape[1]
        main = self.training.optimisers["autoencoder"]

        def step(batch: torch.Tensor, share_done: float) -> dict[str, torch.Tensor]:
            rate = one_cycle(share_done) if settings.one_cycle else 1.0
            for name, optimiser in self.training.optimisers.items():
                power = 1.0 if optimiser is main else self.cooling(name)
                optimiser.param_groups[0]["lr"] = settings.learning_rate * rate**power
            x, u = inputs[batch], nuisance[batch]
            latent = self._encode(x, u)
            penalty, watched = self.penalty(latent, u, share_done)
            squared = (self._decode(latent, u) - x).square()
            loss = (squared @ weight).mean() + penalty
            main.zero_grad()
            loss.backward()
            main.step()
            flux_mse = (squared.detach() @ flux_weight).mean() + self.representation.residual_mse
            return {"reconstruction_mse": flux_mse, "loss": loss} | watched

        run_epochs(
            self,
            self.training,
            monitor,
            n_items=len(inputs),
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            step=step,
        )
        if train.noise is not None and settings.noise_matching:
            self._match_noise(inputs[:_MATCHING_SPECTRA], nuisance, train.noise)

    def _match_noise(self, inputs: torch.Tensor, nuisance: torch.Tensor, noise: float) -> None:
        """Set the map from the encoder's output to latents whose noise is alike in all axes."""
        generator = torch.Generator().manual_seed(self.seed)
        # The components are orthonormal: noise of one level in the pixels has it in all of them.
        more = noise * torch.randn(inputs.shape, generator=generator) / self.buffers["input_scale"]
        nuisance = nuisance[: len(inputs)]
        with torch.no_grad():
            latent, noisier = (
                self._encode(x, nuisance).cpu() for x in (inputs, inputs + more.to(self.device))
            )
        self.buffers["latent_map"] = noise_matched_map(latent, noisier)

    def _prepare(self, train: View) -> None:
        settings = self.hyperparameters
        if settings.components:
            self.representation = representation.principal_components(
                train.flux, settings.components, self.seed
            )
        else:
            self.representation = representation.pixels(train.flux)
        low, high = (torch.as_tensor(f(train.nuisance, axis=0)).float() for f in (np.min, np.max))
        deviation = self.representation.deviation.clamp_min(1e-10)
        relative = deviation / deviation.max()
        self.buffers = {
            "nuisance_low": low,
            "nuisance_range": (high - low).clamp_min(1e-10),
            "input_scale": deviation.max() * relative**settings.input_whitening,
            "loss_weight": relative ** (-2 * settings.loss_whitening),
            "latent_map": torch.eye(settings.latent),
        }
        self.buffers["loss_weight"] /= (self.buffers["loss_weight"] * deviation**2).sum()
        self._build()

    def _build(self) -> None:
        settings = self.hyperparameters
        n_inputs, n_nuisance = len(self.representation), len(self.buffers["nuisance_low"])
        torch.manual_seed(self.seed)
        widths = (n_inputs + n_nuisance, *settings.encoder_widths, settings.latent)
        encoder = mlp(widths, settings.activation)
        widths = (settings.latent + n_nuisance, *settings.decoder_widths, n_inputs)
        decoder = mlp(widths, settings.activation)
        extra = self.extra_networks(n_nuisance)
        networks = {"encoder": encoder, "decoder": decoder, **extra}
        for network in networks.values():
            network.to(self.device)
        parameters = {"autoencoder": [*encoder.parameters(), *decoder.parameters()]}
        parameters |= {name: [*network.parameters()] for name, network in extra.items()}
        optimisers = {
            name: torch.optim.Adam(group, settings.learning_rate, betas=(0.5, 0.999), fused=True)
            for name, group in parameters.items()
        }
        self.training = Training(networks, optimisers)

    # --- encoding and decoding

    def encode(self, flux: np.ndarray, nuisance: np.ndarray) -> np.ndarray:
        """Encode spectra; see `Method.encode`."""
        inputs, u = self._inputs(flux), self._scaled(nuisance)
        with torch.no_grad():
            pieces = [
                self._encode(inputs[i : i + _ROWS], u[i : i + _ROWS]).cpu()
                for i in range(0, len(inputs), _ROWS)
            ]
        return (torch.cat(pieces) @ self.buffers["latent_map"]).numpy()

    def decode(self, latent: np.ndarray, nuisance: np.ndarray) -> np.ndarray:
        """Reconstruct spectra; see `Method.decode`."""
        back = torch.linalg.inv(self.buffers["latent_map"].double()).float()
        z, u = (torch.as_tensor(latent) @ back).to(self.device), self._scaled(nuisance)
        flux = np.empty((len(latent), len(self.representation.mean)), np.float32)
        with torch.no_grad():
            for i in range(0, len(z), _ROWS):
                inputs = self._decode(z[i : i + _ROWS], u[i : i + _ROWS]).cpu()
                coefficients = inputs * self.buffers["input_scale"]
                flux[i : i + _ROWS] = self.representation.flux(coefficients).numpy()
        return flux

    def _inputs(self, flux: np.ndarray) -> torch.Tensor:
        coefficients = self.representation.coefficients(flux)
        return (coefficients / self.buffers["input_scale"]).to(self.device)

    def _encode(self, inputs: torch.Tensor, nuisance: torch.Tensor) -> torch.Tensor:
        return self.training.networks["encoder"](torch.cat([inputs, nuisance], 1))

    def _decode(self, latent: torch.Tensor, nuisance: torch.Tensor) -> torch.Tensor:
        return self.training.networks["decoder"](torch.cat([latent, nuisance], 1))

    def _scaled(self, nuisance: np.ndarray) -> torch.Tensor:
        values = torch.as_tensor(nuisance, dtype=torch.float32)
        low, span = self.buffers["nuisance_low"], self.buffers["nuisance_range"]
        return (2 * (values - low) / span - 1).to(self.device)

    # --- saving

    def state(self) -> dict[str, torch.Tensor]:
        """Return the representation, the scalings, the weights and the optimisers' moments."""
        state = {f"representation/{k}": v for k, v in self.representation.state().items()}
        state |= {f"buffer/{k}": v for k, v in self.buffers.items()}
        return state | {f"training/{k}": v for k, v in self.training.state().items()}

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what `state` returned."""
        groups: dict[str, dict[str, torch.Tensor]] = {"representation": {}, "buffer": {}}
        for key, value in state.items():
            group, name = key.split("/", 1)
            groups.setdefault(group, {})[name] = value
        self.representation = representation.Representation.from_state(groups["representation"])
        self.buffers = groups["buffer"]
        self._build()
        self.training.load_state(groups["training"])

    @property
    def n_parameters(self) -> int:
        """Number of weights of the encoder and the decoder, principal components included."""
        networks = (self.training.networks[name] for name in ("encoder", "decoder"))
        weights = sum(p.numel() for network in networks for p in network.parameters())
        components = self.representation.components
        return weights + (0 if components is None else components.numel())
