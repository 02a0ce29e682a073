r"""An encoder without a decoder: a network from a spectrum and its nuisance to the latent.

As in `autoencoder.py`, the network receives the scaled coefficients x of a spectrum on the training
set's principal components, cut at the noise, and the nuisance u scaled to [-1, 1]:

.. math::

    z = M^T E(x, u).

Methods differ in what E minimises. After the fit a method may have the latent scaled by a matrix M,
so that twins scatter equally along all axes (`noise_matching.py`). Noise of the known level
is added to noisy spectra, new in every training step, because a network cannot memorise noise that
it sees only once.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import nn

from starbench.common.paging import walk
from starbench.methods.base import Method, Monitor, View, option, required
from starbench.methods.parts.errors import noise_levels, typical_noise, with_plain_noise
from starbench.methods.parts.inputs import Inputs
from starbench.methods.parts.noise_matching import difference_covariance, noise_matched_map
from starbench.methods.parts.perceptron import ACTIVATIONS, mlp
from starbench.methods.parts.training import (
    Training,
    batch_generator,
    epochs_option,
    one_cycle,
    run_epochs,
    sub_state,
)

_ROWS = 4096  # spectra encoded at a time


@dataclass(frozen=True)
class EncoderSettings:
    """Hyperparameters that all encoders without a decoder share."""

    components: int = option(
        256, "principal components the network works on, without those below the noise", low=1
    )
    input_whitening: float = option(
        1.0, "inputs are divided by their standard deviation to this power", low=0.0, high=1.0
    )
    encoder_widths: tuple[int, ...] = option(
        (512, 256), "widths of the encoder's hidden layers", low=1
    )
    activation: str = option(
        "silu", "activation function of the network", choices=tuple(ACTIVATIONS)
    )
    usual_epochs: ClassVar[int] = 30
    epochs: int = epochs_option(usual_epochs)
    batch_size: int = option(256, "spectra in each step", low=1)
    learning_rate: float = option(
        1e-3, "peak of the one-cycle learning rate", low=0.0, tuned=(0.0005, 0.005)
    )
    weight_decay: float = option(
        1.0,
        "weight decay of AdamW: a step shrinks weights by this times the learning rate",
        low=0.0,
        tuned=(0.1, 10),
    )
    fresh_noise: float = option(
        1.0,
        "standard deviation of new noise added in each training step, relative to the data's",
        low=0.0,
        tuned=(0.5, 2),
    )


@dataclass(frozen=True)
class EncoderObjective:
    """What the network of an encoder minimises, and on which spectra.

    Attributes
    ----------
    n_latent : int
    items : torch.Tensor [n_items, k], int64
        Rows of the training set that make up an item of a batch: one spectrum, or a pair.
    loss : callable
        From latents [k batch_size, n_latent] and their rows (the first spectra of all items, then
        the second ones) to a scalar.
    held_out_pairs : torch.Tensor [n_pairs, 2], int64, or None
        Pairs that the network does not learn from, on which the latent is scaled to the scatter
        between twins after the fit; None for no scaling.
    """

    n_latent: int
    items: torch.Tensor
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    held_out_pairs: torch.Tensor | None = None


@final
class _Model(nn.Module):
    """The result of a fit; its ``state_dict()`` is saved."""

    latent_map: torch.Tensor

    def __init__(self, inputs: Inputs, encoder: nn.Module, n_latent: int) -> None:
        super().__init__()
        self.inputs, self.encoder = inputs, encoder
        self.register_buffer("latent_map", torch.eye(n_latent))


class Encoder(Method):
    """A method whose network has no decoder; a subclass defines its objective.

    Its label access must include the nuisance.
    """

    takes_errors = True
    hyperparameters: EncoderSettings

    def __init__(self, hyperparameters: Any = None, *, seed: int = 0, device: str = "cpu") -> None:
        super().__init__(hyperparameters, seed=seed, device=device)
        self._training: Training[_Model] | None = None

    @abstractmethod
    def objective(self, train: View) -> EncoderObjective:
        """Return what to minimise on a training set."""

    @property
    def _fitted(self) -> Training[_Model]:
        if self._training is None:
            raise RuntimeError(f"{self.name} is not fitted: call fit or load_state first")
        return self._training

    @final
    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Fit the principal components, then the network, then the scale of the latent."""
        settings, train = self.hyperparameters, with_plain_noise(train)
        objective = self.objective(train)
        if self._training is None:
            inputs = Inputs.fit(
                train,
                n_fitted=len(train),
                components=settings.components,
                whitening=settings.input_whitening,
                # Components below the noise may still be informative together.
                min_components=2 * objective.n_latent,
                seed=self.seed,
            )
            self._training = self._start(inputs, objective.n_latent)
        model, items = self._training.model, objective.items
        optimiser = self._training.optimisers["encoder"]
        seen = self._inputs(train.flux, train.nuisance, train.error)
        deviation = torch.zeros(seen.shape[1])
        # Components are orthonormal, so white noise has the same level in each as in a pixel.
        typical = typical_noise(train) or 0.0
        level = settings.fresh_noise * typical
        deviation[: model.inputs.n_inputs] = level / model.inputs.scale
        relative: torch.Tensor | None = None  # noise of each spectrum
        if train.error is not None:
            levels = [noise_levels(part) for _, part in walk(_ROWS, train.error)]
            relative = torch.from_numpy(np.concatenate(levels)).float()[:, None] / typical

        def step(batch: torch.Tensor, share_done: float) -> dict[str, torch.Tensor]:
            optimiser.param_groups[0]["lr"] = settings.learning_rate * one_cycle(share_done)
            rows = items[batch].T.flatten()
            inputs = seen[rows]
            if level:
                noise = torch.randn(inputs.shape, generator=batch_generator(rows))
                if relative is not None:
                    noise = noise * relative[rows]
                inputs = inputs + (noise * deviation).to(self.device)
            loss = objective.loss(model.encoder(inputs), rows)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            return {"loss": loss}

        run_epochs(
            self,
            self._training,
            monitor,
            n_items=len(items),
            epochs=settings.epochs,
            usual_epochs=settings.usual_epochs,
            batch_size=settings.batch_size,
            step=step,
        )
        if objective.held_out_pairs is not None:
            nuisance, error = required(train.nuisance, "nuisance"), train.error
            one, other = (
                self._outputs(
                    self._inputs(
                        train.flux[rows], nuisance[rows], None if error is None else error[rows]
                    )
                )
                for rows in objective.held_out_pairs.T.numpy()
            )
            scatter = difference_covariance(one, other) / 2
            model.latent_map = noise_matched_map(torch.cat([one, other]), scatter)

    def _start(self, inputs: Inputs, n_latent: int) -> Training[_Model]:
        settings = self.hyperparameters
        torch.manual_seed(self.seed)
        widths = (inputs.n_inputs + inputs.n_nuisance, *settings.encoder_widths, n_latent)
        encoder = mlp(widths, settings.activation).to(self.device)
        optimiser = torch.optim.AdamW(
            encoder.parameters(),
            settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        return Training(_Model(inputs, encoder, n_latent), {"encoder": optimiser})

    @final
    def encode(
        self, flux: np.ndarray, nuisance: np.ndarray | None, error: np.ndarray | None = None
    ) -> np.ndarray:
        """Encode spectra; see `Method.encode`."""
        latent = self._outputs(self._inputs(flux, nuisance, error))
        return (latent @ self._fitted.model.latent_map).numpy()

    def _inputs(
        self, flux: np.ndarray, nuisance: np.ndarray | None, error: np.ndarray | None
    ) -> torch.Tensor:
        inputs = self._fitted.model.inputs
        u = inputs.of_nuisance(required(nuisance, "nuisance"), len(flux))
        return torch.cat([inputs.of_flux(flux, error), u], 1).to(self.device)

    def _outputs(self, inputs: torch.Tensor) -> torch.Tensor:
        encoder = self._fitted.model.encoder
        with torch.no_grad():
            return torch.cat([encoder(rows).cpu() for rows in torch.split(inputs, _ROWS)])

    @final
    def state(self) -> dict[str, torch.Tensor]:
        """Return the inputs' scales, the weights and the optimiser's moments."""
        return self._fitted.state()

    @final
    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what `state` returned."""
        inputs = Inputs.from_state(sub_state(state, "model.inputs."))
        self._training = self._start(inputs, len(state["model.latent_map"]))
        self._training.load_state(state)

    @final
    @property
    def n_parameters(self) -> int:
        """Number of weights of the network, principal components included."""
        model = self._fitted.model
        weights = sum(p.numel() for p in model.encoder.parameters())
        return weights + model.inputs.representation.n_numbers
