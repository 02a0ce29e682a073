"""Stars of the task with spectra of the shipped emulator."""

from functools import cache

import numpy as np

from starbench.tasks import streams
from starbench.tasks.apogee_giants import population
from starbench.tasks.apogee_giants.generator import generator

N_PAIRS = 150


@cache
def stars() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return noiseless flux, nuisance and composition of N_PAIRS pairs, pair by pair."""
    uniform = streams.uniforms("tests/bound", 0, N_PAIRS, population.UNIFORMS_PER_PAIR)
    nuisance, composition = population.draw_pairs(uniform)
    nuisance, composition = nuisance.reshape(-1, 2), np.repeat(composition, 2, axis=0)
    flux = generator().spectra(np.concatenate([nuisance, composition], axis=1))
    return flux, nuisance.astype(np.float32), composition.astype(np.float32)
