"""Rows without training: random ranks, and the metrics that follow from them."""

from dataclasses import dataclass

import numpy as np

from starbench.metrics import TwinRanks, recovery_estimates
from starbench.results.ranks import ranks_digest

N_PAIRS = 60


@dataclass
class FakeTask:
    """The part of a task that the leaderboard uses."""

    name: str = "apogee-giants"
    version: int = 1
    data: str = "abc123"
    nuisance_names: tuple = ("Teff", "logg")
    elements: tuple = ("Fe/H",)

    def fingerprint(self, scale):
        return f"{self.data}-{scale}"

    def sizes(self, scale):
        return {"train": 10, "validation": 10, "test": N_PAIRS}

    def drawn_labels(self, split, scale):
        draws = np.random.default_rng(0)
        n_pairs = self.sizes(scale)[split]
        return draws.uniform(4000, 5000, (n_pairs, 2, 2)), draws.normal(size=(n_pairs, 1))


@dataclass(frozen=True)
class FakeSettings:
    n_latent: int = 20


@dataclass
class FakeMethod:
    """The part of a method's class that the leaderboard checks."""

    label_access: str = "nuisance"
    control: bool = False
    version: int = 1
    Hyperparameters: type = FakeSettings


def draw_ranks(seed, nearest, n_pairs=N_PAIRS):
    """Draw ranks of which about a share `nearest` is 1."""
    draws = np.random.default_rng(seed)
    rank = np.where(
        draws.random((n_pairs, 2)) < nearest, 1, draws.integers(2, 2 * n_pairs, (n_pairs, 2))
    )
    return rank, np.minimum(draws.integers(0, 2, rank.shape), rank - 1)


def example_ranks(n_pairs=50, seed=0):
    """Draw possible ranks and numbers of ties [n_pairs, 2]."""
    draws = np.random.default_rng(seed)
    rank = draws.integers(1, 2 * n_pairs, (n_pairs, 2))
    tied = draws.integers(0, rank)
    return rank, tied


def row_content(rank, tied, *, seed=0, figures=None, **fields):
    """Return the content of a row whose rank metrics follow from ranks."""
    metrics = {
        name: {"value": each.value, "low": each.low, "high": each.high, "version": each.version}
        for name, each in recovery_estimates(TwinRanks(rank, tied)).items()
    }
    for name, value in (figures or {}).items():
        metrics[name] = {"value": value, "low": value, "high": value, "version": 1}
    return {
        "method": "fader",
        "method_version": 1,
        "label_access": "nuisance",
        "reference": "A reference",
        "hyperparameters": {"n_latent": 20},
        "task": "apogee-giants",
        "task_version": 1,
        "scale": "full",
        "data_fingerprint": "abc123-full",
        "seed": seed,
        "selection": {"rule": "last epoch", "epoch": 60},
        "status": "ok",
        "metrics": metrics,
        "ranks_sha256": ranks_digest(rank),
        "starbench_version": "0.1.0",
        "commit": "a" * 40,
        "dirty": False,
        "libraries": {"python": "3.12.1"},
        "hardware": {
            "processor": "Some processor",
            "cores": 2,
            "threads": 2,
            "memory_gib": 8,
            "device": "cpu",
            "system": "Linux x86_64",
        },
        "seconds": {"data": 5, "fit": 300, "score": 60, "total": 365},
        "epochs": 60,
        "n_parameters": 1000,
        **fields,
    }


def diverged(content):
    """Return the content of a row whose run diverged."""
    return {
        **content,
        "metrics": {},
        "ranks_sha256": None,
        "status": "diverged",
        "message": "loss | is NaN",
    }
