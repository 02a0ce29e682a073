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

Where the spectra have noise of a known level, the latent that is returned is E(x, u) after a
Gauss-Newton step towards the maximum a posteriori under the decoder (`refinement.py`), scaled to
its noise (`noise_matching.py`).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from starbench.methods.base import Diverged, Method, Monitor, View, option
from starbench.methods.parts import representation
from starbench.methods.parts.networks import ACTIVATIONS, mlp
from starbench.methods.parts.noise_matching import held_out, moved_covariance, noise_matched_map
from starbench.methods.parts.refinement import gauss_newton_step, noise_covariance
from starbench.methods.parts.training import Training, batch_generator, one_cycle, run_epochs

_ROWS = 4096  # spectra encoded or decoded at a time
_JACOBIAN_ENTRIES = 5_000_000  # of decoders differentiated at a time
_UNUSED = 0.999  # squared error from a spectrum's own latent, relative to another's


@dataclass(frozen=True)
class AutoencoderSettings:
    """What all autoencoders share, whatever they add to the loss."""

    latent: int = option(20, "dimensions of the latent", low=1, high=1024)
    components: int = option(
        256,
        "principal components the networks work on, cut at the noise; 0 for the pixels themselves",
        low=0,
    )
    input_whitening: float = option(
        1.0, "inputs are divided by their standard deviation to this power", low=0.0, high=1.0
    )
    loss_whitening: float = option(
        0.4, "squared errors are divided by the variance to this power", low=0.0, high=1.0
    )
    encoder_widths: tuple[int, ...] = option((1024, 512, 128), "encoder's hidden layers", low=1)
    decoder_widths: tuple[int, ...] = option((512, 1024), "decoder's hidden layers", low=1)
    activation: str = option("silu", "activation of all networks", choices=tuple(ACTIVATIONS))
    refinement: int = option(
        1, "Gauss-Newton steps of the latents of noisy spectra against the decoder", low=0, high=100
    )
    noise_matching: bool = option(
        True, "whether latents of noisy spectra are scaled to their noise after the fit"
    )
    epochs: int = option(30, "passes over the training spectra", low=1)
    batch_size: int = option(256, "spectra a step", low=1)
    learning_rate: float = option(1e-3, "peak of the learning rate", low=0.0)
    one_cycle: bool = option(True, "whether the learning rate rises and falls, or stays")


@dataclass(frozen=True)
class Batch:
    """The spectra of one step of the training.

    Attributes
    ----------
    rows : torch.Tensor [n], int64
        Their rows in the training set.
    inputs : torch.Tensor [n, n_inputs]
        What the networks see of them.
    nuisance : torch.Tensor [n, n_nuisance]
        Scaled to [-1, 1].
    share_done : float
        Share of training that is done, 0 to 1.
    """

    rows: torch.Tensor
    inputs: torch.Tensor
    nuisance: torch.Tensor
    share_done: float

    def generator(self) -> torch.Generator:
        """Return a generator of what is random in this step alone."""
        return batch_generator(self.rows)


class Autoencoder(Method):
    """An encoder and a decoder that both know the nuisance; subclasses add a penalty to its loss.

    A subclass may override `extra_networks`, `steps_along`, `cooling`, `sources` and `penalty`, or
    `loss` as a whole. All else is shared, so that two of them differ in nothing but what they mean
    to differ in. With label access `none` neither network is given a nuisance.
    """

    label_access = "nuisance"
    version = 2

    def __init__(self, hyperparameters=None, *, seed: int = 0, device: str = "cpu"):
        super().__init__(hyperparameters, seed=seed, device=device)
        self.representation: representation.Representation | None = None
        self.buffers: dict[str, torch.Tensor] = {}
        self.training: Training | None = None

    # --- what subclasses add

    def extra_networks(self, n_nuisance: int) -> dict[str, nn.Module]:
        """Return further networks by name; each has an optimiser of its own; see `steps_along`."""
        return {}

    def steps_along(self, network: str) -> bool:
        """Say whether a further network takes its steps with the autoencoder, on the same loss."""
        return False

    def cooling(self, network: str) -> float:
        """Return the power of the one-cycle factor that a further network's rate follows."""
        return 1.0

    def sources(self, batch: Batch) -> torch.Tensor:
        """Return the rows of the training spectra whose latents are to reconstruct a batch."""
        return batch.rows

    def penalty(
        self, latent: torch.Tensor, batch: Batch
    ) -> tuple[torch.Tensor | float, dict[str, torch.Tensor]]:
        """Return the term added to the loss of a batch, and quantities to watch.

        Parameters
        ----------
        latent : torch.Tensor [n, latent]
        batch : Batch
        """
        return 0.0, {}

    def loss(self, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return what the autoencoder descends on a batch, and quantities to watch."""
        source = self.sources(batch)
        latent = self._encode(self._train_inputs[source], self._train_nuisance[source])
        penalty, watched = self.penalty(latent, batch)
        error, flux_mse = self._errors(latent, batch)
        loss = error.mean() + penalty
        return loss, {"reconstruction_mse": flux_mse, "loss": loss} | watched

    # --- fitting

    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Fit the principal components, then the networks, by stochastic gradient descent."""
        settings = self.hyperparameters
        if self.training is None:
            self._prepare(train)
        inputs = self._inputs(train.flux)
        nuisance = self._scaled(train.nuisance, len(inputs))
        self._train_inputs, self._train_nuisance = inputs, nuisance
        input_scale = self.buffers["input_scale"].to(self.device)
        self._weight = self.buffers["loss_weight"].to(self.device) * input_scale**2
        self._flux_weight = input_scale**2 / train.flux.shape[1]
        main = self.training.optimisers["autoencoder"]
        n_held_out = held_out(train)
        self._n_fitted = len(inputs) - n_held_out

        def step(rows: torch.Tensor, share_done: float) -> dict[str, torch.Tensor]:
            rate = one_cycle(share_done) if settings.one_cycle else 1.0
            for name, optimiser in self.training.optimisers.items():
                power = 1.0 if optimiser is main else self.cooling(name)
                optimiser.param_groups[0]["lr"] = settings.learning_rate * rate**power
            loss, watched = self.loss(Batch(rows, inputs[rows], nuisance[rows], share_done))
            main.zero_grad()
            loss.backward()
            main.step()
            return watched

        run_epochs(
            self,
            self.training,
            monitor,
            n_items=self._n_fitted,
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            step=step,
        )
        del self._train_inputs, self._train_nuisance
        if train.noise is not None:
            self._learn_noise(inputs[-n_held_out:], nuisance[-n_held_out:], train.noise)
        self._check_use(inputs[:_ROWS], nuisance[:_ROWS])

    def _errors(self, latent: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Decode latents at a batch's nuisance.

        Returns
        -------
        error : torch.Tensor [n]
            The first term of the loss for each spectrum.
        flux_mse : torch.Tensor, scalar
            Mean squared error of the flux, to watch.
        """
        squared = (self._decode(latent, batch.nuisance) - batch.inputs).square()
        flux_mse = (squared.detach() @ self._flux_weight).mean()
        return squared @ self._weight, flux_mse + self.representation.residual_mse

    def _check_use(self, inputs: torch.Tensor, nuisance: torch.Tensor) -> None:
        """Refuse a fit whose decoder has stopped to look at the latent."""
        with torch.no_grad():
            latent = self._encode(inputs, nuisance)
            own, other = (
                (self._decode(z, nuisance) - inputs).square().mean()
                for z in (latent, latent.roll(1, 0))
            )
        if own >= _UNUSED * other:
            raise Diverged(
                "the latent collapsed: spectra are reconstructed as well from another's latent"
            )

    def _learn_noise(self, inputs: torch.Tensor, nuisance: torch.Tensor, noise: float) -> None:
        """Set what refines latents of noisy spectra, and the map that makes their noise alike."""
        settings = self.hyperparameters
        latent, covariance = self._latent(inputs, nuisance)[0], None
        if settings.refinement:
            prior = torch.cov(latent.double().T).reshape(settings.latent, settings.latent)
            # An axis that is not used varies next to nothing, but not by infinitely less.
            prior += 1e-6 * prior.diagonal().mean() * torch.eye(settings.latent)
            self.buffers["prior_mean"] = latent.mean(0)
            self.buffers["prior_precision"] = torch.linalg.inv(prior).float()
            self.buffers["noise"] = torch.tensor(noise)
            latent, information = self._latent(inputs, nuisance)
            covariance = noise_covariance(information, self.buffers["prior_precision"])
        if settings.noise_matching:
            if covariance is None:
                generator = torch.Generator().manual_seed(self.seed)
                # The components are orthonormal: noise of one level in the pixels has it in all.
                more = noise * torch.randn(inputs.shape, generator=generator)
                noisier = inputs + (more / self.buffers["input_scale"]).to(self.device)
                covariance = moved_covariance(latent, self._latent(noisier, nuisance)[0])
            self.buffers["latent_map"] = noise_matched_map(latent, covariance)

    def _prepare(self, train: View) -> None:
        settings = self.hyperparameters
        flux = train.flux[: len(train) - held_out(train)]
        if settings.components:
            self.representation = representation.principal_components(
                flux,
                settings.components,
                self.seed,
                noise=train.noise,
                # With no more components than latent axes there would be nothing to squeeze.
                at_least=2 * settings.latent,
            )
        else:
            self.representation = representation.pixels(flux)
        low = high = torch.zeros(0)
        if train.nuisance is not None:
            low, high = (torch.as_tensor(f(train.nuisance, 0)).float() for f in (np.min, np.max))
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
        widths = (n_inputs + n_nuisance, *settings.encoder_widths, self._encoder_outputs())
        encoder = mlp(widths, settings.activation)
        widths = (self._decoder_inputs(n_nuisance), *settings.decoder_widths, n_inputs)
        decoder = mlp(widths, settings.activation)
        extra = self.extra_networks(n_nuisance)
        networks = {"encoder": encoder, "decoder": decoder, **extra}
        for network in networks.values():
            network.to(self.device)
        parameters = {"autoencoder": [*encoder.parameters(), *decoder.parameters()]}
        for name, network in extra.items():
            group = "autoencoder" if self.steps_along(name) else name
            parameters.setdefault(group, []).extend(network.parameters())
        optimisers = {
            name: torch.optim.Adam(group, settings.learning_rate, betas=(0.5, 0.999), fused=True)
            for name, group in parameters.items()
        }
        self.training = Training(networks, optimisers)

    # --- encoding and decoding

    def encode(self, flux: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:
        """Encode spectra; see `Method.encode`."""
        latent, _ = self._latent(self._inputs(flux), self._scaled(nuisance, len(flux)))
        return (latent @ self.buffers["latent_map"]).numpy()

    def _latent(
        self, inputs: torch.Tensor, nuisance: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the latents of spectra and, where they are refined, the information on them."""
        settings, rows = self.hyperparameters, _ROWS
        refined = "prior_mean" in self.buffers
        if refined:
            width = settings.latent * max(inputs.shape[1], *settings.decoder_widths)
            rows = max(1, min(rows, _JACOBIAN_ENTRIES // width))
        latent = torch.empty(len(inputs), settings.latent)
        information = latent.new_empty(*latent.shape, settings.latent) if refined else None
        with torch.no_grad():
            for start in range(0, len(inputs), rows):
                some = slice(start, start + rows)
                z = self._encode(inputs[some], nuisance[some])
                if refined:
                    z, known = self._refined(z, inputs[some], nuisance[some])
                    information[some] = known.cpu()
                latent[some] = z.cpu()
        return latent, information

    def _refined(
        self, latent: torch.Tensor, x: torch.Tensor, u: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        scale, mean, precision = (
            self.buffers[name].to(self.device)
            for name in ("input_scale", "prior_mean", "prior_precision")
        )
        noise = float(self.buffers["noise"])
        for _ in range(self.hyperparameters.refinement):
            latent, information = gauss_newton_step(
                lambda z: self._decode(z, u) * scale,
                x * scale,
                latent,
                noise=noise,
                mean=mean,
                precision=precision,
            )
        return latent, information

    def decode(self, latent: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:
        """Reconstruct spectra; see `Method.decode`."""
        back = torch.linalg.inv(self.buffers["latent_map"].double()).float()
        z, u = (torch.as_tensor(latent) @ back).to(self.device), self._scaled(nuisance, len(latent))
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

    def _encoder_outputs(self) -> int:
        return self.hyperparameters.latent

    def _decoder_inputs(self, n_nuisance: int) -> int:
        return self.hyperparameters.latent + n_nuisance

    def _encode(self, inputs: torch.Tensor, nuisance: torch.Tensor) -> torch.Tensor:
        return self.training.networks["encoder"](torch.cat([inputs, nuisance], 1))

    def _decode(self, latent: torch.Tensor, nuisance: torch.Tensor) -> torch.Tensor:
        return self.training.networks["decoder"](torch.cat([latent, nuisance], 1))

    def _scaled(self, nuisance: np.ndarray | None, n: int) -> torch.Tensor:
        """Return n nuisances scaled to [-1, 1]; of no columns, where there are none."""
        if nuisance is None:
            return torch.zeros(n, 0, device=self.device)
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
