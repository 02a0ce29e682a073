import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starbench.evaluation.ranking import rank_resumably
from starbench.metrics import (
    SiblingRanking,
    SiblingRanks,
    ordered_pairs,
    recovery_estimates,
    resample_pairs,
    sibling_ranks,
    twin_ranks,
)
from starbench.metrics.bootstrap import group_means, weighted_medians
from starbench.tasks.registry import get_task, task_names


def brute_force(latent, group):
    """Return (query, sibling) with rank and ties, star by star, as the definition says."""
    finite = np.isfinite(latent).all(axis=1)
    found = []
    for q in range(len(group)):
        strangers = [c for c in range(len(group)) if group[c] != group[q]]

        def distance(c, q=q):
            if not (finite[q] and finite[c]):
                return np.float32(np.inf)
            total = np.float32(0)
            for a, b in zip(latent[q], latent[c], strict=True):
                total = np.float32(total + abs(np.float32(a - b)))
            return total

        for s in range(len(group)):
            if s != q and group[s] == group[q]:
                closer = sum(distance(c) < distance(s) for c in strangers)
                tied = sum(distance(c) == distance(s) for c in strangers)
                found.append((q, s, 1 + closer + tied, tied))
    return np.array(found).reshape(-1, 4).T


numbers = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 0.5, np.nan, np.inf, -np.inf, 3e38]),
    st.floats(-2, 2, width=32),
)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_ranks_are_those_of_brute_force(data):
    group = np.array(data.draw(st.lists(st.integers(-1, 4), min_size=6, max_size=14)))
    rows = st.lists(numbers, min_size=2, max_size=2)
    latent = np.array(
        data.draw(st.lists(rows, min_size=len(group), max_size=len(group))), np.float32
    )
    with np.errstate(over="ignore"):
        query, sibling, rank, tied = brute_force(latent, group)
    pairs = ordered_pairs(group)
    assert np.array_equal(pairs.query, query) and np.array_equal(pairs.sibling, sibling)
    ranks = sibling_ranks(latent, group)
    assert np.array_equal(ranks.rank, rank) and np.array_equal(ranks.tied, tied)
    for q, strangers in zip(query, ranks.n_strangers, strict=True):
        assert strangers == (group != group[q]).sum()


def test_siblings_never_count_and_the_field_does():
    # A group of four at 0, 1, 2, 3 and one star of the field at 2.5.
    latent = np.array([[0.0], [1], [2], [3], [2.5]], np.float32)
    ranks = sibling_ranks(latent, np.array([1, 1, 1, 1, 0]))
    pairs = ordered_pairs(np.array([1, 1, 1, 1, 0]))
    by_pair = {
        (q, s): rank for q, s, rank in zip(pairs.query, pairs.sibling, ranks.rank, strict=True)
    }
    assert by_pair[0, 1] == by_pair[0, 2] == 1  # no stranger is as near as 2
    assert by_pair[0, 3] == 2  # the stranger at 2.5 is nearer than 3
    assert by_pair[3, 2] == by_pair[3, 1] == by_pair[3, 0] == 2
    assert ranks.tied.sum() == 0


@pytest.mark.parametrize("d", [1, 20, 30])
def test_pairs_reduce_to_twin_ranks_bit_for_bit(d):
    rng = np.random.default_rng(d)
    latent = rng.normal(size=(700, 2, d)).astype(np.float32)
    latent[:, 1] = latent[:, 0] + rng.normal(size=(700, d)) * rng.choice([0.01, 1.0], (700, 1))
    latent[3] = latent[4]
    latent[7, 1] = np.nan
    _assert_same(latent)


@pytest.mark.parametrize("name", task_names())
def test_every_pair_task_gives_the_ranks_and_figures_of_pairs(name):
    task = get_task(name)
    if task.card.survey:
        pytest.skip("a survey")
    nuisance, composition = task.drawn_labels("test", "tiny")
    # Latents of some method: the composition, which leaks some of the nuisance.
    latent = np.concatenate(
        [np.repeat(composition[:, None], 2, axis=1), nuisance / nuisance.std((0, 1))], axis=2
    )
    _assert_same(latent.astype(np.float32))


def _assert_same(latent):
    twins = twin_ranks(latent)
    group = np.repeat(np.arange(len(latent)), 2)
    siblings = sibling_ranks(latent.reshape(len(group), -1), group)
    assert np.array_equal(siblings.rank.reshape(-1, 2), twins.rank)
    assert np.array_equal(siblings.tied.reshape(-1, 2), twins.tied)
    of_pairs, of_groups = recovery_estimates(twins), recovery_estimates(siblings)
    assert of_pairs == of_groups  # values and ends of intervals, to the last bit


def test_groups_weigh_alike_whatever_their_size():
    group = np.array([0, 0, 1, 1, 1, 1, 2])
    ranks = SiblingRanks(
        rank=np.array([2, 2, *[1] * 12]),
        tied=np.zeros(14, int),
        group=ordered_pairs(group).group,
        n_stars=7,
    )
    assert ranks.n_groups == 2
    assert set(ranks.n_strangers[:2]) == {5} and set(ranks.n_strangers[2:]) == {3}
    figures = recovery_estimates(ranks)
    assert figures["doppelganger_free"].value == 0.5
    assert figures["mean_reciprocal_rank"].value == 0.75
    # Half of the weight at 1/5, half at 0.
    assert figures["median_normalised_rank"].value == pytest.approx(0.1)
    assert (figures["doppelganger_free"].low, figures["doppelganger_free"].high) == (0, 1)


def test_ranks_that_cannot_be_are_refused():
    group = ordered_pairs(np.array([0, 0, 1])).group
    for rank, tied in (([3, 1], [0, 0]), ([0, 1], [0, 0]), ([1, 1], [1, 0])):
        with pytest.raises(ValueError, match="ranks of siblings must lie between 1 and"):
            recovery_estimates(SiblingRanks(np.array(rank), np.array(tied), group, 3))


def test_weighted_medians_are_medians_of_repeated_values():
    rng = np.random.default_rng(1)
    group = np.array([0, 0, 1, 1, 1, 1, 1, 1, 3, 3])  # group 2 has no value
    values = rng.normal(size=len(group))
    counts = resample_pairs(4, 50)
    times = np.array([3, 1, 0, 3])  # 6 / size of the group
    for row, median in zip(counts, weighted_medians(counts, values, group), strict=True):
        repeated = np.repeat(values, row[group] * times[group])
        assert np.isnan(median) if not len(repeated) else median == np.median(repeated)
    assert group_means(values, np.array([0] * 4 + [1] * 6))[0] == pytest.approx(values[:4].mean())


def test_a_stopped_ranking_of_siblings_continues(tmp_path):
    rng = np.random.default_rng(2)
    group = rng.integers(0, 300, 900)
    latent = rng.normal(size=(900, 5)).astype(np.float32)
    whole = sibling_ranks(latent, group)
    ranking = SiblingRanking(latent, group, n_threads=1)
    ranking.advance(seconds=0)
    assert 0 < ranking.n_done < len(ranking.costs)
    again = SiblingRanking(latent, group)
    assert again.identity == ranking.identity
    again.counts, again.n_done = ranking.counts, ranking.n_done
    assert np.array_equal(rank_resumably(again, tmp_path / "x", quiet=True).rank, whole.rank)
    assert SiblingRanking(latent, rng.permutation(group)).identity != ranking.identity


@pytest.mark.parametrize(
    ("latent", "group", "sentence"),
    [
        (np.zeros((3, 2, 1)), np.zeros(3, int), r"latents must be shaped \[n_stars, d\]"),
        (np.zeros((3, 1)), np.zeros(2, int), r"and groups \[n_stars\]"),
        (np.zeros((3, 1)), np.arange(3), "no star has a sibling"),
        (np.zeros((3, 1)), np.zeros(3), "groups must be integers"),
    ],
)
def test_wrong_input_is_refused(latent, group, sentence):
    with pytest.raises(ValueError, match=sentence):
        sibling_ranks(latent, group)
