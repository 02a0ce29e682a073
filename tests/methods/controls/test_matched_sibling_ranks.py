import numpy as np
import pytest

from starbench.methods.controls.matched_ranks import matched_ranks, matched_sibling_ranks
from starbench.metrics import ordered_pairs

N, D = 60, 4


@pytest.fixture
def stars():
    rng = np.random.default_rng(0)
    root = rng.standard_normal((N, D, D))
    return rng.standard_normal((N, D)), 5 * root @ root.transpose(0, 2, 1) + np.eye(D)


def test_ranks_of_pairs_are_those_of_twins(stars):
    estimate, information = stars
    estimate[7] = np.nan
    pairs = ordered_pairs(np.arange(N) // 2)
    rank, tied = matched_sibling_ranks(
        estimate, information, np.arange(N) // 2, pairs.query, pairs.sibling
    )
    expected = matched_ranks(estimate, information)
    assert np.array_equal(rank, expected[0].ravel())
    assert np.array_equal(tied, expected[1].ravel())


def test_siblings_are_ranked_among_strangers_by_the_distance_as_defined(stars):
    estimate, information = stars
    group = np.concatenate([np.repeat([0, 1, 2], [3, 4, 2]), np.arange(3, N - 6)])
    pairs = ordered_pairs(group)
    error, spread = np.linalg.inv(information), np.linalg.inv(information + np.eye(D))
    x = estimate + np.einsum("nij,nj->ni", error, estimate)

    def distance(q, j):
        sibling, anyone = spread[q] + error[j], np.eye(D) + error[j]
        apart = x[j] - estimate[q]
        return (
            apart @ np.linalg.solve(sibling, apart) + np.linalg.slogdet(sibling)[1]
            - x[j] @ np.linalg.solve(anyone, x[j]) - np.linalg.slogdet(anyone)[1]
        )  # fmt: skip

    expected = [
        1 + sum(distance(q, j) < distance(q, s) for j in range(N) if group[j] != group[q])
        for q, s in zip(pairs.query, pairs.sibling, strict=True)
    ]
    rank, tied = matched_sibling_ranks(estimate, information, group, pairs.query, pairs.sibling)
    assert rank.tolist() == expected
    assert not tied.any()
