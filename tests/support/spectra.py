"""Small pairs of spectra made by a formula: Gaussian lines that saturate, and depend on u."""

import numpy as np

from starbench.methods.base import View
from starbench.tasks import streams
from starbench.tasks.apogee_giants import population

N_PIXELS = 96


def draw(name: str, n_pairs: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return flux [n, 2, N_PIXELS], nuisance [n, 2, 2], composition [n, 17], all float32."""
    uniform = streams.uniforms(f"tests/{name}", 0, n_pairs, population.UNIFORMS_PER_PAIR)
    nuisance, composition = population.draw_pairs(uniform)
    rng = np.random.default_rng(0)
    n_lines = 40
    element = rng.integers(0, composition.shape[1], n_lines)
    centre = rng.uniform(0, N_PIXELS, n_lines)
    slopes = rng.normal(0, [[0.6], [0.3]], (2, n_lines))
    profile = np.exp(-0.5 * ((np.arange(N_PIXELS) - centre[:, None]) / 1.5) ** 2)
    u = (nuisance - [4500, 2.25]) / [500, 0.75]
    strength = np.exp(
        np.log(10) * composition[:, None, element] + u @ slopes + rng.normal(-1.5, 0.7, n_lines)
    )
    flux = np.exp(-(strength / (1 + strength) ** 0.6) @ profile)
    return flux.astype(np.float32), nuisance.astype(np.float32), composition.astype(np.float32)


def view(name: str, n_pairs: int, label_access: str) -> View:
    """Return shuffled spectra with the labels that an access allows."""
    flux, nuisance, composition = draw(name, n_pairs)
    order = np.random.default_rng(1).permutation(2 * n_pairs)
    position = np.empty_like(order)
    position[order] = np.arange(2 * n_pairs)
    pairs = label_access in ("pairs", "oracle")
    return View(
        flux.reshape(2 * n_pairs, -1)[order],
        None if label_access == "none" else nuisance.reshape(2 * n_pairs, -1)[order],
        position[order ^ 1] if pairs else None,
        np.repeat(composition, 2, axis=0)[order] if label_access == "oracle" else None,
    )
