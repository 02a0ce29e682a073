from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starbench.metrics import (
    METRICS,
    SHARES,
    SiblingRanks,
    TwinRanks,
    recovery_estimates,
    twin_ranks,
)
from starbench.metrics.recovery import recovery_values


def ranks_of(rank, tied=None):
    rank = np.asarray(rank).reshape(-1, 2)
    return TwinRanks(rank, np.zeros_like(rank) if tied is None else np.asarray(tied))


def test_estimates_equal_those_by_hand():
    figures = recovery_estimates(ranks_of([[1, 2], [2, 1], [5, 3]], [[0, 1], [1, 0], [0, 0]]))
    value = {name: figure.value for name, figure in figures.items()}
    assert value["doppelganger_free"] == pytest.approx(2 / 6)
    assert value["tied_share"] == pytest.approx(2 / 6)
    assert value["mean_reciprocal_rank"] == pytest.approx(
        (1 + 1 / 2 + 1 / 2 + 1 + 1 / 5 + 1 / 3) / 6
    )
    assert value["median_normalised_rank"] == pytest.approx(1 / 4)  # median rank 2 among 5
    assert set(figures) == {
        *SHARES,
        "median_normalised_rank",
        "mean_reciprocal_rank",
        "tied_share",
    }


@pytest.mark.parametrize(
    ("n_pairs", "tenth", "one"),
    [(12_500, 25, 250), (1_250, 2, 25), (1_500, 3, 30), (500, 1, 10), (64, 1, 1), (49, 1, 1)],
)
def test_rank_thresholds_are_those_of_the_protocol(n_pairs, tenth, one):
    """A twin at the threshold counts, one behind it does not; small galleries count only rank 1."""
    for name, threshold in (("doppelganger_0.1", tenth), ("doppelganger_1", one)):
        at = recovery_estimates(ranks_of(np.full((n_pairs, 2), threshold)))
        behind = recovery_estimates(ranks_of(np.full((n_pairs, 2), threshold + 1)))
        assert (at[name].value, behind[name].value) == (1, 0)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_latent_without_information_scores_zero(value):
    figures = recovery_estimates(twin_ranks(np.full((300, 2, 20), value, np.float32)))
    for name in SHARES:
        assert (figures[name].value, figures[name].low, figures[name].high) == (0, 0, 0)
    assert figures["median_normalised_rank"].value == 1
    assert figures["mean_reciprocal_rank"].value == pytest.approx(1 / 599)
    assert figures["tied_share"].value == 1


def test_uninformative_latents_score_the_values_of_chance(rng):
    figures = recovery_estimates(twin_ranks(rng.normal(size=(3000, 2, 20)).astype(np.float32)))
    assert figures["median_normalised_rank"].value == pytest.approx(0.5, abs=0.03)
    assert figures["doppelganger_1"].value == pytest.approx(0.01, abs=0.006)
    assert figures["doppelganger_free"].value < 0.002


possible_ranks = st.integers(1, 60).flatmap(
    lambda n: st.lists(st.integers(1, 2 * n - 1), min_size=2 * n, max_size=2 * n)
)


@settings(deadline=None, max_examples=60)
@given(possible_ranks)
def test_shares_are_nested_and_intervals_hold_their_order(rank):
    figures = recovery_estimates(ranks_of(rank))
    shares = [figures[name] for name in SHARES]
    for narrow, wide in pairwise(shares):
        assert narrow.value <= wide.value
        assert narrow.low <= wide.low + 1e-12 and narrow.high <= wide.high + 1e-12
    assert figures["doppelganger_free"].value <= figures["mean_reciprocal_rank"].value + 1e-12
    for name, figure in figures.items():
        assert 0 <= figure.low <= figure.high <= 1 + 1e-12
        assert 0 <= figure.value <= 1
        assert figure.version == METRICS[name].version


@settings(deadline=None, max_examples=30)
@given(possible_ranks, st.randoms(use_true_random=False))
def test_order_of_the_pairs_does_not_change_values(rank, random):
    pairs = np.asarray(rank).reshape(-1, 2)
    order = list(range(len(pairs)))
    random.shuffle(order)
    figures, permuted = (
        recovery_estimates(ranks_of(pairs)),
        recovery_estimates(ranks_of(pairs[order])),
    )
    for name, figure in figures.items():
        assert permuted[name].value == pytest.approx(figure.value)


def test_values_without_intervals_are_those_of_the_estimates(rng):
    ranks = [ranks_of(rng.integers(1, 12, (6, 2)))]
    ranks += [SiblingRanks(rng.integers(1, 3, 8), np.zeros(8, int), np.array([0] * 6 + [1] * 2), 9)]
    for each in ranks:
        expected = {name: figure.value for name, figure in recovery_estimates(each).items()}
        assert list(recovery_values(each).items()) == list(expected.items())


def test_one_pair_has_no_strangers():
    figures = recovery_estimates(twin_ranks(np.array([[[0.0], [1.0]]], np.float32)))
    assert [figures[name].value for name in SHARES] == [1, 1, 1]
    assert figures["median_normalised_rank"].value == 0


@pytest.mark.parametrize(
    ("rank", "tied"),
    [
        ([[0, 1], [1, 1]], None),
        ([[1, 4], [1, 1]], None),
        ([[1, 2], [1, 1]], [[1, 0], [0, 0]]),
        ([[1, 2], [1, 1]], [[0, -1], [0, 0]]),
        ([[1, 2], [1, 1]], [[0, 0]]),
    ],
)
def test_impossible_ranks_are_refused(rank, tied):
    with pytest.raises(ValueError, match="ranks of 2 pairs must lie between 1 and 3"):
        recovery_estimates(ranks_of(rank, tied))
