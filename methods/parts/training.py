"""The training loop of all methods that learn by gradient descent; a stopped fit can continue.

The order of the spectra in an epoch depends on the seed and the epoch's number alone, and the state
includes the moments of the optimisers, so a fit that continues from a checkpoint takes the same
steps as an uninterrupted one.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from starbench.common.progress import stage
from starbench.methods.base import Diverged, Method, Monitor, option

Model = TypeVar("Model", bound=nn.Module)

# A network learns in steps, not in epochs. On 1,024 and 5,000 training spectra fader finds
# most twins after 1,200 and 2,400 steps, where 30 epochs are 120 and 585; TUNING.md has the table.
LEAST_STEPS = 1500


def epochs_option(usual: int, items: str = "spectra") -> Any:
    """Return the hyperparameter of the number of epochs, of which `run_epochs` takes 0 as `usual`.

    Parameters
    ----------
    usual : int
        Epochs of a training set that is not small.
    items : str
        What an epoch passes over.
    """
    meaning = (
        f"passes over the training {items}; 0: {usual}, or as many as make {LEAST_STEPS:,} steps, "
        "if more"
    )
    return option(0, meaning, low=0)


@dataclass
class Training(Generic[Model]):
    """A model, the optimisers of its parameters by name, and the number of epochs done."""

    model: Model
    optimisers: dict[str, torch.optim.Optimizer]
    epochs_done: int = 0

    def state(self) -> dict[str, torch.Tensor]:
        """Return the model's state, the optimisers' moments and the epochs as named tensors."""
        state = {"epochs_done": torch.tensor(self.epochs_done)}
        state |= {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        for name, optimiser in self.optimisers.items():
            for index, moments in optimiser.state_dict()["state"].items():
                for key, value in moments.items():
                    state[f"optimiser.{name}.{index}.{key}"] = value
        return state

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what `state` returned, into a model and optimisers of the same sizes."""
        self.epochs_done = int(state["epochs_done"])
        self.model.load_state_dict(sub_state(state, "model."))
        for name, optimiser in self.optimisers.items():
            moments: dict[int, dict[str, torch.Tensor]] = {}
            for key, value in sub_state(state, f"optimiser.{name}.").items():
                index, moment = key.split(".")
                moments.setdefault(int(index), {})[moment] = value
            groups = optimiser.state_dict()["param_groups"]
            optimiser.load_state_dict({"state": moments, "param_groups": groups})


def sub_state(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Return the tensors whose names begin with a prefix, without that prefix."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in state.items()
        if name.startswith(prefix)
    }


def run_epochs(
    method: Method,
    training: Training[Model],
    monitor: Monitor,
    *,
    n_items: int,
    epochs: int,
    usual_epochs: int,
    batch_size: int,
    step: Callable[[torch.Tensor, float], dict[str, torch.Tensor]],
) -> None:
    """Take gradient steps over shuffled batches until all epochs are done.

    Parameters
    ----------
    method : Method
        The method being fitted; passed to the monitor, and the source of the seed.
    training : Training
        Continued from ``training.epochs_done``.
    monitor : Monitor
    n_items, batch_size : int
        An incomplete last batch is dropped, unless it is the only one.
    epochs, usual_epochs : int
        Number of epochs; at 0 `usual_epochs`, or as many more as make `LEAST_STEPS` steps.
    step : callable
        Given the indices of a batch and the share of training that is done (0 to 1), takes one step
        and returns the watched quantities as scalar tensors.

    Raises
    ------
    Diverged
        If a watched quantity is not finite.
    """
    batch_size = min(batch_size, n_items)
    n_batches = n_items // batch_size
    epochs = epochs or max(usual_epochs, -(-LEAST_STEPS // n_batches))
    monitor.start(method, epochs)
    for epoch in range(training.epochs_done, epochs):
        # Multiplying by a large odd number keeps the orders of neighbouring seeds apart.
        # torch takes seeds below 2^64.
        seed = (method.seed * 1_000_003 + epoch) % 2**64
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(n_items, generator=generator)
        sums: dict[str, torch.Tensor] = {}
        for batch in stage(f"epoch {epoch + 1}", range(n_batches), delay=3.0):
            share_done = (epoch + batch / n_batches) / epochs
            watched = step(order[batch * batch_size : (batch + 1) * batch_size], share_done)
            for name, value in watched.items():
                sums[name] = sums.get(name, 0.0) + value.detach()
        means = {name: float(total) / n_batches for name, total in sums.items()}
        training.epochs_done = epoch + 1
        for name, mean in means.items():
            if not math.isfinite(mean):
                raise Diverged(f"{name} became {mean} in epoch {epoch + 1}")
        monitor.epoch(method, epoch + 1, means)


def batch_generator(rows: torch.Tensor) -> torch.Generator:
    """Return a random generator for one step, seeded by the rows of its batch.

    Seed and epoch determine the rows, and the rows determine the draws, so that an interrupted fit
    repeats its draws without a saved generator.
    """
    return torch.Generator().manual_seed(int(rows[0]) * 1_000_003 + int(rows[-1]))


def ramp(share_done: float, over: float) -> float:
    """Return the factor on a weight that grows from 0 to 1 over the first share of the training."""
    return min(1.0, share_done / over) if over else 1.0


def one_cycle(share_done: float, *, warm_up: float = 0.25, start: float = 0.04) -> float:
    """Return the factor on the peak learning rate: a cosine up, then a longer cosine down.

    References
    ----------
    Smith and Topin (2019), "Super-convergence", arXiv:1708.07120.
    """
    if share_done < warm_up:
        return start + (1 - start) * (0.5 - 0.5 * math.cos(math.pi * share_done / warm_up))
    return max(0.5 + 0.5 * math.cos(math.pi * (share_done - warm_up) / (1 - warm_up)), 1e-4)
