r"""An encoder without a decoder: a network from a spectrum and its nuisance to the latent.

As in `autoencoder.py`, the network sees the standardised coefficients x of a spectrum on the
training set's principal components, cut at the noise, and the nuisance u scaled to [-1, 1]:

.. math::

    z = M^T E(x, u),

with a matrix M, by which a method may scale its latent after the fit. What E minimises is what sets
one method apart from another. Spectra of known noise get more of it in training, drawn anew each
time: what a network cannot see twice it cannot learn by heart.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from starbench.methods.base import Method, Monitor, View, option
from starbench.methods.parts.networks import ACTIVATIONS, mlp
from starbench.methods.parts.representation import Representation, principal_components
from starbench.methods.parts.training import Training, batch_generator, one_cycle, run_epochs

_ROWS = 4096  # spectra encoded at a time


@dataclass(frozen=True)
class EncoderSettings:
    """What all encoders without a decoder share."""

    components: int = option(
        256, "principal components the network works on, cut at the noise", low=1
    )
    input_whitening: float = option(
        1.0, "inputs are divided by their standard deviation to this power", low=0.0, high=1.0
    )
    encoder_widths: tuple[int, ...] = option((512, 256), "encoder's hidden layers", low=1)
    activation: str = option("silu", "activation of the network", choices=tuple(ACTIVATIONS))
    epochs: int = option(30, "passes over the training spectra", low=1)
    batch_size: int = option(256, "spectra a step", low=1)
    learning_rate: float = option(1e-3, "peak of the learning rate, which rises and falls", low=0.0)
    weight_decay: float = option(
        1.0, "share of a weight that decays in a step, over the learning rate", low=0.0
    )
    fresh_noise: float = option(
        1.0,
        "noise added in training to spectra of known noise, drawn anew each time, over that noise",
        low=0.0,
    )


class Encoder(Method):
    """A method whose network has no decoder; a subclass calls `_prepare` and `_train` in `fit`."""

    def __init__(self, hyperparameters=None, *, seed: int = 0, device: str = "cpu"):
        super().__init__(hyperparameters, seed=seed, device=device)
        self.representation: Representation | None = None
        self.buffers: dict[str, torch.Tensor] = {}
        self.training: Training | None = None

    def _prepare(self, train: View, n_latent: int) -> None:
        """Fit components and scales, and build the network, unless a fit is being continued."""
        if self.training is not None:
            return
        settings = self.hyperparameters
        self.representation = principal_components(
            train.flux,
            settings.components,
            self.seed,
            noise=train.noise,
            # What a component hides under the noise, many of them may tell together.
            at_least=2 * n_latent,
        )
        low, high = (torch.as_tensor(f(train.nuisance, 0)).float() for f in (np.min, np.max))
        deviation = self.representation.deviation
        self.buffers = {
            "nuisance_low": low,
            "nuisance_range": (high - low).clamp_min(1e-10),
            "input_scale": deviation.max()
            * (deviation / deviation.max()) ** settings.input_whitening,
            "latent_map": torch.eye(n_latent),
        }
        self._build()

    def _build(self) -> None:
        settings = self.hyperparameters
        torch.manual_seed(self.seed)
        n_inputs = len(self.representation) + len(self.buffers["nuisance_low"])
        widths = (n_inputs, *settings.encoder_widths, len(self.buffers["latent_map"]))
        network = mlp(widths, settings.activation).to(self.device)
        optimiser = torch.optim.AdamW(
            network.parameters(),
            settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self.training = Training({"encoder": network}, {"encoder": optimiser})

    def _train(
        self,
        train: View,
        monitor: Monitor,
        items: torch.Tensor,
        loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    ) -> None:
        """Take the epochs.

        Parameters
        ----------
        train : View
        monitor : Monitor
        items : torch.Tensor [n_items, k]
            The rows of `train` that make up an item of a batch: one spectrum, or a pair.
        loss : callable
            Of latents [k batch_size, n_latent] and their rows: all first ones, all second ones.
        """
        settings = self.hyperparameters
        inputs = self._inputs(train.flux, train.nuisance)
        deviation = torch.zeros(inputs.shape[1])
        # The components are orthonormal: noise of one level in the pixels has it in all.
        level = settings.fresh_noise * (train.noise or 0.0)
        deviation[: len(self.representation)] = level / self.buffers["input_scale"]
        network = self.training.networks["encoder"]
        optimiser = self.training.optimisers["encoder"]

        def step(batch: torch.Tensor, share_done: float) -> dict[str, torch.Tensor]:
            optimiser.param_groups[0]["lr"] = settings.learning_rate * one_cycle(share_done)
            rows = items[batch].T.flatten()
            seen = inputs[rows]
            if level:
                noise = torch.randn(seen.shape, generator=batch_generator(rows))
                seen = seen + (noise * deviation).to(self.device)
            value = loss(network(seen), rows)
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            return {"loss": value}

        run_epochs(
            self,
            self.training,
            monitor,
            n_items=len(items),
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            step=step,
        )

    def encode(self, flux: np.ndarray, nuisance: np.ndarray) -> np.ndarray:
        """Encode spectra; see `Method.encode`."""
        latent = self._outputs(self._inputs(flux, nuisance))
        return (latent @ self.buffers["latent_map"]).numpy()

    def _inputs(self, flux: np.ndarray, nuisance: np.ndarray) -> torch.Tensor:
        x = self.representation.coefficients(flux) / self.buffers["input_scale"]
        values = torch.as_tensor(nuisance, dtype=torch.float32)
        low, span = self.buffers["nuisance_low"], self.buffers["nuisance_range"]
        return torch.cat([x, 2 * (values - low) / span - 1], 1).to(self.device)

    def _outputs(self, inputs: torch.Tensor) -> torch.Tensor:
        network = self.training.networks["encoder"]
        with torch.no_grad():
            return torch.cat([network(rows).cpu() for rows in inputs.split(_ROWS)])

    def state(self) -> dict[str, torch.Tensor]:
        """Return the representation, the scalings, the weights and the optimiser's moments."""
        state = {f"representation/{k}": v for k, v in self.representation.state().items()}
        state |= {f"buffer/{k}": v for k, v in self.buffers.items()}
        return state | {f"training/{k}": v for k, v in self.training.state().items()}

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what `state` returned."""
        groups: dict[str, dict[str, torch.Tensor]] = {}
        for key, value in state.items():
            group, name = key.split("/", 1)
            groups.setdefault(group, {})[name] = value
        self.representation = Representation.from_state(groups["representation"])
        self.buffers = groups["buffer"]
        self._build()
        self.training.load_state(groups["training"])

    @property
    def n_parameters(self) -> int:
        """Number of weights of the network, principal components included."""
        weights = sum(p.numel() for p in self.training.networks["encoder"].parameters())
        return weights + self.representation.components.numel()


def pairs(twin: torch.Tensor) -> torch.Tensor:
    """Return the rows of both spectra of each pair [n_pairs, 2], given the row of each twin."""
    rows = torch.arange(len(twin))
    first = rows[rows < twin]
    return torch.stack([first, twin[first]], 1)
