"""The small neural network of the probes."""

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from starbench.common.parallel import one_thread
from starbench.metrics.regression import mean_and_scale

if TYPE_CHECKING:
    import torch

# The network is small enough to take some seconds for 50,000 stars on one core, and large enough to
# find a sine or a product.
_WIDTH = 128
_BATCH = 512
_EPOCHS = 30
_MIN_STEPS = 400
_LEARNING_RATE = 1e-2
_WEIGHT_DECAY = 1e-2
_HELD_OUT = 0.1  # share of the train pairs by which the state of the network is selected

_SEEDING = threading.Lock()  # layers draw their weights from the one generator of all threads


@dataclass(frozen=True, eq=False)
class Network:
    """A fitted network: two hidden layers, SiLU, linear outputs.

    Attributes
    ----------
    layers : torch.nn.Sequential or None
        None if fitted on equal inputs, from which it predicts the mean.
    mean, scale : numpy.ndarray [n_targets], float64
        Of the targets.
    """

    layers: "torch.nn.Sequential | None"
    mean: np.ndarray
    scale: np.ndarray

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Predict targets [n, n_targets], float64, from whitened inputs [n, d]."""
        if self.layers is None:
            return np.broadcast_to(self.mean, (len(inputs), len(self.mean))).copy()
        standardised = _applied(self.layers, inputs).astype(np.float64)
        prediction: np.ndarray = standardised * self.scale + self.mean
        return prediction

    def hidden(self, inputs: np.ndarray) -> np.ndarray:
        """Return the last hidden layer [n, 128], float32; one column of zeros without layers."""
        if self.layers is None:
            return np.zeros((len(inputs), 1), np.float32)
        return _applied(self.layers[:-1], inputs)


def fit_network(inputs: np.ndarray, target: np.ndarray, *, seed: int = 0) -> Network:
    """Fit all targets by one network.

    Squared error; targets are standardised. AdamW with a one-cycle learning rate. Of the states
    after each epoch, the one with the smallest error on held-out pairs is used. Pairs are held out
    rather than stars, so that memorising a star's twin does not help. The network runs on one
    thread, so that the same seed gives the same network on the same machine, whatever the number of
    its cores.

    Parameters
    ----------
    inputs : numpy.ndarray [2 n_pairs, d], float32
        Whitened, so that a stretch or shear of them hides nothing. The stars of a pair are
        consecutive.
    target : numpy.ndarray [2 n_pairs, n_targets]
    seed : int
        Of the initial weights and the order of the batches.
    """
    # Imported here because loading torch takes seconds.
    import torch

    target = target.astype(np.float64)
    mean, scale = mean_and_scale(target)
    if not inputs.shape[1]:  # all latents are equal
        return Network(None, mean, scale)
    with one_thread():
        x = torch.from_numpy(inputs)
        y = torch.from_numpy((target - mean) / scale).float()
        with _SEEDING, torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            pairs = torch.randperm(len(inputs) // 2)
            layers = _layers(x.shape[1], y.shape[1])
            generator = torch.Generator().set_state(torch.get_rng_state())
        n_held_out = int(_HELD_OUT * len(pairs))
        held_out, fitted = (
            (2 * some[:, None] + torch.arange(2)).flatten()
            for some in (pairs[:n_held_out], pairs[n_held_out:])
        )
        weights = _flattened(layers)
        batches = -(-len(fitted) // _BATCH)
        epochs = max(_EPOCHS, -(-_MIN_STEPS // batches))
        optimiser = torch.optim.AdamW([weights], lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, _LEARNING_RATE, total_steps=epochs * batches, pct_start=0.1
        )
        least, best = np.inf, None
        for _ in range(epochs):
            order = torch.randperm(len(fitted), generator=generator)
            for batch in torch.split(fitted[order], _BATCH):
                optimiser.zero_grad(set_to_none=False)
                torch.autograd.backward(torch.nn.functional.mse_loss(layers(x[batch]), y[batch]))
                optimiser.step()
                schedule.step()
            if n_held_out:
                with torch.no_grad():
                    error = torch.nn.functional.mse_loss(layers(x[held_out]), y[held_out]).item()
                if error < least:
                    least = error
                    best = weights.detach().clone()
        if best is not None:
            with torch.no_grad():
                weights.copy_(best)
    return Network(layers, mean, scale)


def _applied(layers: "torch.nn.Module", inputs: np.ndarray) -> np.ndarray:
    import torch

    with one_thread(), torch.no_grad():
        parts = torch.split(torch.from_numpy(inputs), 8192)
        output: np.ndarray = torch.cat([layers(part) for part in parts]).numpy()
    return output


def _layers(n_inputs: int, n_outputs: int) -> "torch.nn.Sequential":
    import torch

    return torch.nn.Sequential(
        torch.nn.Linear(n_inputs, _WIDTH),
        torch.nn.SiLU(),
        torch.nn.Linear(_WIDTH, _WIDTH),
        torch.nn.SiLU(),
        torch.nn.Linear(_WIDTH, n_outputs),
    )


def _flattened(layers: "torch.nn.Sequential") -> "torch.nn.Parameter":
    """Return one parameter whose memory, and its gradient's, becomes that of all parameters.

    A step of the optimiser is then a few operations instead of a few for each layer, with the same
    numbers.
    """
    import torch

    parameters = list(layers.parameters())
    flat = torch.nn.Parameter(torch.cat([p.detach().flatten() for p in parameters]))
    flat.grad = torch.zeros_like(flat)
    sizes = [p.numel() for p in parameters]
    parts = (torch.split(tensor, sizes) for tensor in (flat.detach(), flat.grad))
    for parameter, values, gradient in zip(parameters, *parts, strict=True):
        parameter.data = values.view_as(parameter)
        parameter.grad = gradient.view_as(parameter)
    return flat
