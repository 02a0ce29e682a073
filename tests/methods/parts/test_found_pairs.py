"""Pairs are found by L1, and more of them once what the nuisance explains is subtracted."""

import numpy as np
import pytest

from starbench.methods.parts.found_pairs import Search, found_pairs, mutual_nearest

RNG = np.random.default_rng(0)
N = 600
TRUTH = np.repeat(RNG.normal(size=(N, 6)) * [20, 10, 4, 3, 2, 2], 2, axis=0)
NUISANCE = RNG.uniform([4000, 1.5], [5000, 3.0], (2 * N, 2))
UNIT = (NUISANCE - [4500, 2.25]) / [500, 0.75]


def turned():
    """Latents with noise of size 0.3, whose first two axes turn with the first nuisance."""
    angle = 0.25 * UNIT[:, 0] + 0.15 * UNIT[:, 1] ** 2
    cosine, sine = np.cos(angle), np.sin(angle)
    latent = TRUTH + 0.3 * RNG.normal(size=TRUTH.shape)
    first = cosine * latent[:, 0] - sine * latent[:, 1]
    latent[:, 1] = sine * latent[:, 0] + cosine * latent[:, 1]
    latent[:, 0] = first
    return latent


def true_pairs(pairs):
    return int((pairs[:, 0] ^ 1 == pairs[:, 1]).sum())


def test_what_the_nuisance_explains_is_subtracted():
    latent = turned()
    before, after = (found_pairs(latent, NUISANCE, Search(6, 0.1, n)) for n in (0, 5))
    assert true_pairs(before) < 0.8 * N
    assert true_pairs(after) > 0.93 * N
    assert true_pairs(after) > 0.98 * len(after)


def test_mutual_neighbours_are_those_of_all_distances():
    latent, u = RNG.normal(size=(200, 3)), RNG.uniform(size=(200, 2))
    z, v = latent.astype(np.float32), u.astype(np.float32)
    distance = np.abs(z[:, None] - z).sum(axis=-1)
    distance[np.abs(v[:, None] - v).max(axis=-1) < 0.3] = np.inf  # a star itself among them
    nearest = distance.argmin(axis=1)
    wanted = {(i, j) for i, j in enumerate(nearest) if nearest[j] == i and i < j}
    found = mutual_nearest(latent, u, 0.3)
    assert {(int(i), int(j)) for i, j in found} == wanted
    assert len(wanted) > 10


@pytest.mark.parametrize("n", [1, 2, 3])
def test_of_few_stars_there_may_be_no_pair(n):
    assert len(found_pairs(np.zeros((n, 4)), np.zeros((n, 2)), Search(4, 0.1, 2))) == 0
