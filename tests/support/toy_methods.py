"""Small methods that the tests run, given to the command line as FILE.py:CLASS."""

import sys
import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from starbench.methods.base import Diagnostic, Diverged, Method, option


def design(nuisance):
    scaled = (nuisance - [4500, 2.25]) / [500, 0.75]
    return np.column_stack([np.ones(len(scaled)), scaled]).astype(np.float32)


class Linear(Method):
    """Principal components of what a linear fit in the nuisance leaves, by orthogonal iteration."""

    name = "toy-linear"
    label_access = "nuisance"
    reference = "tests"

    @dataclass(frozen=True)
    class Hyperparameters:
        latent: int = option(6, "dimensions of the latent", low=1, high=64)
        epochs: int = option(12, "iterations", low=1)
        pause: float = option(0.0, "seconds each epoch takes at least", low=0)
        mishap: str = option(
            "none",
            "what goes wrong: none, diverge, nan, error, library, exit, shape, decline, arrays",
        )

    presets: ClassVar = {"short": {"epochs": 2}}
    diagnostics: ClassVar = (
        Diagnostic("adversary_cross_entropy", "adversary", reference="chance_cross_entropy"),
    )
    _done = 0

    def fit(self, train, validation, monitor):
        settings = self.hyperparameters
        monitor.start(self, settings.epochs)
        if self._done == 0:
            matrix = design(train.nuisance)
            self._of_nuisance = np.linalg.lstsq(matrix, train.flux, rcond=None)[0].astype(
                np.float32
            )
            start = np.random.default_rng(self.seed).standard_normal(
                (settings.latent, train.flux.shape[1])
            )
            self._components = np.linalg.qr(start.T)[0].T.astype(np.float32)
        residual = train.flux - design(train.nuisance) @ self._of_nuisance
        while self._done < settings.epochs:
            # A seeded, epoch-numbered subset, so that a fit resumed wrongly ends elsewhere.
            some = np.random.default_rng([self.seed, self._done]).permutation(len(residual))[:96]
            image = residual[some].T @ (residual[some] @ self._components.T)
            self._components = np.linalg.qr(image)[0].T.astype(np.float32)
            self._done += 1
            if self._done > 8 and settings.mishap == "decline":
                self._components = np.zeros_like(self._components)
            left = residual - residual @ self._components.T @ self._components
            values = {"reconstruction_mse": float((left**2).mean()),
                      "adversary_cross_entropy": 4.0 + 0.01 * self._done,
                      "chance_cross_entropy": 4.6}  # fmt: skip
            if self._done == 3 and settings.mishap == "diverge":
                raise Diverged("the adversary's loss became inf in epoch 3")
            if self._done == 3 and settings.mishap == "nan":
                values["reconstruction_mse"] = float("nan")
            if self._done == 3 and settings.mishap == "error":
                raise ZeroDivisionError("no weight\nis left")
            if self._done == 3 and settings.mishap == "library":
                np.linalg.inv(np.zeros((2, 2)))
            if self._done == 3 and settings.mishap == "exit":
                sys.exit()
            time.sleep(settings.pause)
            monitor.epoch(self, self._done, values)

    def encode(self, flux, nuisance):
        if self.hyperparameters.mishap == "shape":
            return flux[:, 0]
        return (flux - design(nuisance) @ self._of_nuisance) @ self._components.T

    def decode(self, latent, nuisance):
        return latent @ self._components + design(nuisance) @ self._of_nuisance

    def state(self):
        if self.hyperparameters.mishap == "arrays":
            return {"done": torch.tensor(self._done), "components": self._components}
        return {
            "components": torch.from_numpy(self._components),
            "of_nuisance": torch.from_numpy(self._of_nuisance),
            "done": torch.tensor(self._done),
        }

    def load_state(self, state):
        self._components = state["components"].numpy()
        self._of_nuisance = state["of_nuisance"].numpy()
        self._done = int(state["done"])

    @property
    def n_parameters(self):
        return self._components.size + self._of_nuisance.size


class Blind(Method):
    """Half of the pixels as the latent: no labels, no decoder, nothing to learn."""

    name = "toy-blind"
    label_access = "none"
    reference = "tests"

    @dataclass(frozen=True)
    class Hyperparameters:
        pass

    def fit(self, train, validation, monitor):
        assert train.nuisance is None

    def encode(self, flux, nuisance):
        assert nuisance is None
        return flux[:, ::2]

    def state(self):
        return {}

    def load_state(self, state):
        pass
