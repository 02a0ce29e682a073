"""The matched distance is a likelihood ratio, and its ranks are exact."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from starbench.methods.controls.matched_ranks import matched_ranks


def test_ranks_for_one_element_equal_a_hand_calculation():
    # Information 1, so C = 1, V = 1/2, m = x / 2 and, up to a constant,
    # D = (x_j - x_q / 2)^2 / 1.5 - x_j^2 / 2. Pairs x = (2, 2) and (1, 3). From 2: to the twin
    # -1.33, to 1 -0.5, to 3 -1.83, as a star so rare is a likelier match. From 1: to the twin
    # -0.33, to 2 -0.5 twice. From 3: to the twin -0.33, to 2 -1.83 twice.
    m = np.array([[1.0], [1.0], [0.5], [1.5]])
    rank, tied = matched_ranks(m, np.ones((4, 1, 1)))
    assert rank.tolist() == [[2, 2], [3, 3]]
    assert tied.tolist() == [[0, 0], [0, 0]]


def draw_measurements(n: int, d: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x, information and posterior mean of pairs from N(0, I), some with large errors."""
    rng = np.random.default_rng(d)
    y = np.repeat(rng.standard_normal((n // 2, d)), 2, axis=0)
    factors = rng.standard_normal((n, d, d)) * 10 ** rng.uniform(-0.5, 0.8, (n, 1, 1))
    information = factors.transpose(0, 2, 1) @ factors + 0.01 * np.eye(d)
    error = np.linalg.inv(information)
    x = y + np.einsum("nij,nj->ni", np.linalg.cholesky(error), rng.standard_normal((n, d)))
    mean = np.linalg.solve(information + np.eye(d), information @ x[..., None])[..., 0]
    return x, information, mean


@pytest.mark.parametrize(("n", "d"), [(300, 4), (60, 17)])
def test_ranks_are_those_of_the_likelihood_ratio(n, d):
    x, information, mean = draw_measurements(n, d)
    error, unit = np.linalg.inv(information), np.eye(d)
    joint = np.empty((n, n))
    for q in range(n):
        for j in range(n):
            both = np.block([[unit + error[q], unit], [unit, unit + error[j]]])
            _, logdet = np.linalg.slogdet(both)
            pair = np.concatenate([x[q], x[j]])
            joint[q, j] = -0.5 * (pair @ np.linalg.solve(both, pair) + logdet)
    alone = np.array(
        [multivariate_normal.logpdf(x[i], np.zeros(d), unit + error[i]) for i in range(n)]
    )
    ratio = joint - alone[:, None] - alone
    others = ~np.eye(n, dtype=bool)
    expected = []
    for q in range(n):
        strangers = others[q].copy()
        strangers[q ^ 1] = False
        expected.append(1 + (ratio[q, strangers] > ratio[q, q ^ 1]).sum())
    rank, tied = matched_ranks(mean, information)
    assert rank.ravel().tolist() == expected
    assert not tied.any()
    assert 1 < rank.mean() < n / 4  # hard enough to tell


def test_a_stranger_equal_to_the_twin_is_tied_with_it():
    _, information, mean = draw_measurements(40, 5)
    mean[9], information[9] = mean[1], information[1]
    rank, tied = matched_ranks(mean, information)
    assert tied[0, 0] == 1
    before = matched_ranks(*draw_measurements(40, 5)[:0:-1])[0]
    assert rank[0, 0] >= before[0, 0]


def test_a_star_with_a_non_finite_latent_ranks_last():
    _, information, mean = draw_measurements(40, 5)
    mean[4, 2] = np.nan
    rank, _ = matched_ranks(mean, information)
    assert rank[2].tolist() == [39, 39]
    clean = matched_ranks(*draw_measurements(40, 5)[:0:-1])[0]
    others = np.arange(20) != 2
    assert (rank[others] <= clean[others]).all()
