"""Hyperparameters small enough for tests, and fits with them to the spectra made by a formula."""

import dataclasses
from typing import Any

import numpy as np
from support.spectra import draw, view

from starbench.methods.base import Method, Silent

SMALL = {
    "components": 24,
    "encoder_widths": (64,),
    "decoder_widths": (64,),
    "adversary_widths": (64,),
    "critic_widths": (64,),
    "batch_size": 64,
}
# For checks that need a fit, but no good one.
TINY = {
    "epochs": 4,
    "batch_size": 32,
    "components": 24,
    "encoder_widths": (32,),
    "decoder_widths": (32,),
    "adversary_widths": (16,),
    "bins": 3,
}


class Record(Silent):
    """A monitor that keeps the watched values of every epoch."""

    def __init__(self):
        self.values = []

    def epoch(self, method, epoch, values):
        self.values.append(values)


def hyperparameters(method: type[Method], sizes: dict[str, Any] = SMALL, **settings) -> Any:
    """Return a method's hyperparameters: sizes where it has such, and further settings."""
    fields = {field.name for field in dataclasses.fields(method.Hyperparameters)}
    return method.Hyperparameters(**{k: v for k, v in sizes.items() if k in fields} | settings)


def fit_small(
    method: type[Method], train=None, *, n_pairs: int = 800, monitor=None, **settings
) -> Method:
    """Return a method fitted with small networks to `train`, or to n_pairs of the train spectra."""
    fitted = method(hyperparameters(method, **settings), seed=0)
    train = view("train", n_pairs, method.label_access) if train is None else train
    fitted.fit(train, train, monitor or Silent())
    return fitted


def swap_ratio(method: Method) -> float:
    """Return the swapped mean squared error over the unswapped one, on spectra not fitted."""
    flux, nuisance, _ = draw("test", 200)
    flat, u = flux.reshape(400, -1), nuisance.reshape(400, -1)
    u = None if method.label_access == "none" else u
    latent = method.encode(flat, u)
    swapped = np.ascontiguousarray(latent.reshape(200, 2, -1)[:, ::-1]).reshape(400, -1)
    own, twins = (np.mean((method.decode(z, u) - flat) ** 2) for z in (latent, swapped))
    return twins / own
