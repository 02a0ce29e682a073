import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from starbench.metrics import TwinRanks, _l1, twin_ranks


def brute_force(latent):
    """Ranks and ties by float64 distances, and how many strangers are too near the twin to call."""
    z = latent.reshape(-1, latent.shape[2]).astype(np.float64)
    n = len(z)
    distance = np.empty((n, n))
    for star in range(n):
        distance[star] = np.abs(z - z[star]).sum(axis=1)
    stars = np.arange(n)
    threshold = distance[stars, stars ^ 1][:, None]
    stranger = np.ones((n, n), bool)
    stranger[stars, stars] = stranger[stars, stars ^ 1] = False
    closer = ((distance < threshold) & stranger).sum(axis=1)
    tied = ((distance == threshold) & stranger).sum(axis=1)
    # d additions and a subtraction each round by half an ulp of at most the distance.
    margin = 2 * latent.shape[2] * np.finfo(np.float32).eps * threshold
    near = ((np.abs(distance - threshold) <= margin) & stranger).sum(axis=1)
    return (1 + closer + tied).reshape(-1, 2), tied.reshape(-1, 2), near.reshape(-1, 2)


def good_latents(rng, n_pairs=1000, d=20):
    common = rng.normal(size=(n_pairs, 1, d))
    return (common + 0.3 * rng.normal(size=(n_pairs, 2, d))).astype(np.float32)


def random_latents(rng, n_pairs=1000, d=20):
    return rng.normal(size=(n_pairs, 2, d)).astype(np.float32)


def integer_latents(rng, n_pairs=1000, d=20):
    """Few values, so that many distances tie and float32 sums are exact."""
    return rng.integers(0, 3, size=(n_pairs, 2, d)).astype(np.float32)


def test_equals_brute_force_with_many_ties(rng):
    latent = integer_latents(rng)
    rank, tied, _ = brute_force(latent)
    ranks = twin_ranks(latent)
    assert tied.sum() > 10_000  # the test is about ties
    np.testing.assert_array_equal(ranks.rank, rank)
    np.testing.assert_array_equal(ranks.tied, tied)


@pytest.mark.parametrize("latents", [good_latents, random_latents])
def test_equals_brute_force_but_for_near_ties(rng, latents):
    latent = latents(rng)
    rank, tied, near = brute_force(latent)
    ranks = twin_ranks(latent)
    off = np.abs(ranks.rank - rank)
    print(f"{(off > 0).sum()} of {off.size} ranks differ; {(near > 0).sum()} stars have near-ties")
    assert (off <= near).all()  # a rank is off by no more than the strangers too near to call
    assert (np.abs(ranks.tied - tied) <= near).all()
    assert (off > 0).mean() < 0.02
    assert np.median(rank) > 1 if latents is random_latents else np.mean(rank == 1) > 0.5


@pytest.mark.parametrize("d", [1, 2, 4, 5, 6, 7, 8, 9, 24, 25, 33, 61])
def test_ranks_equal_brute_force_for_any_number_of_dimensions(rng, d):
    latent = integer_latents(rng, n_pairs=40, d=d)
    rank, tied, _ = brute_force(latent)
    ranks = twin_ranks(latent)
    np.testing.assert_array_equal(ranks.rank, rank)
    np.testing.assert_array_equal(ranks.tied, tied)


@pytest.mark.parametrize(
    "n_pairs", [1, 2, _l1.TILE // 2 - 1, _l1.TILE // 2, _l1.TILE // 2 + 1, _l1.TILE + 3]
)
def test_ranks_equal_brute_force_at_the_edges_of_a_tile(rng, n_pairs):
    latent = integer_latents(rng, n_pairs=n_pairs, d=3)
    rank, tied, _ = brute_force(latent)
    ranks = twin_ranks(latent)
    np.testing.assert_array_equal(ranks.rank, rank)
    np.testing.assert_array_equal(ranks.tied, tied)
    assert len(ranks) == n_pairs


def test_ranks_of_three_pairs_equal_those_by_hand():
    # On a line: a 0, b 1 | c 4, d 6 | e 2, f 9.
    # a-b 1: c 4, d 6, e 2, f 9 are all farther.                    rank 1
    # b-a 1: e is 1 away as well.                                   rank 2, tied 1
    # c-d 2: e is 2 away, f 5, b 3, a 4.                            rank 2, tied 1
    # d-c 2: f 3, e 4, b 5, a 6.                                    rank 1
    # e-f 7: a 2, b 1, c 2, d 4.                                    rank 5
    # f-e 7: c 5 and d 3 are closer, a 9 and b 8 are not.           rank 3
    latent = np.array([[[0], [1]], [[4], [6]], [[2], [9]]], np.float32)
    ranks = twin_ranks(latent)
    np.testing.assert_array_equal(ranks.rank, [[1, 2], [2, 1], [5, 3]])
    np.testing.assert_array_equal(ranks.tied, [[0, 1], [1, 0], [0, 0]])


def test_a_duplicate_of_the_query_is_a_stranger_and_closer_than_its_twin():
    latent = np.array([[[0.0], [1.0]], [[0.0], [5.0]]], np.float32)
    # The star at 0 of either pair is at distance 0 from the other: only its own index is left out.
    np.testing.assert_array_equal(twin_ranks(latent).rank[:, 0], [2, 3])


@pytest.mark.parametrize("n_threads", [1, 2, 3, 8, 100])
def test_number_of_threads_changes_nothing(rng, n_threads):
    latent = random_latents(rng)
    expected = twin_ranks(latent, n_threads=1)
    ranks = twin_ranks(latent, n_threads=n_threads)
    np.testing.assert_array_equal(ranks.rank, expected.rank)
    np.testing.assert_array_equal(ranks.tied, expected.tied)


# Laws. Whole numbers of moderate size make float32 arithmetic exact, so the laws hold to the bit.
whole_latents = st.tuples(st.integers(1, 12), st.integers(1, 6)).flatmap(
    lambda shape: arrays.arrays(
        np.float32, (shape[0], 2, shape[1]), elements=st.integers(-8, 8).map(float)
    )
)
any_latents = st.tuples(st.integers(1, 12), st.integers(1, 6)).flatmap(
    lambda shape: arrays.arrays(
        np.float32,
        (shape[0], 2, shape[1]),
        elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
    )
)
quick = settings(deadline=None, max_examples=150)


def reference(latent):
    """The definition, star by star, also for broken latents; distances added in the same order."""
    z = latent.reshape(-1, latent.shape[2])
    n = len(z)
    finite = np.isfinite(z).all(axis=1)
    rank, tied = np.empty(n, int), np.empty(n, int)

    def distance(i, j):
        if not (finite[i] and finite[j]):
            return np.float32(np.inf)
        total = np.float32(0)
        with np.errstate(over="ignore"):
            for a, b in zip(z[i], z[j], strict=True):
                total = np.float32(total + np.abs(np.float32(a - b)))
        return total

    for i in range(n):
        strangers = [distance(i, j) for j in range(n) if j not in (i, i ^ 1)]
        own = distance(i, i ^ 1)
        tied[i] = sum(s == own for s in strangers)
        rank[i] = 1 + tied[i] + sum(s < own for s in strangers)
    return TwinRanks(rank.reshape(-1, 2), tied.reshape(-1, 2))


@quick
@given(any_latents)
def test_equals_the_definition_for_any_float32(latent):
    ranks, expected = twin_ranks(latent), reference(latent)
    np.testing.assert_array_equal(ranks.rank, expected.rank)
    np.testing.assert_array_equal(ranks.tied, expected.tied)


@quick
@given(any_latents)
def test_ranks_are_in_range_and_broken_stars_rank_last(latent):
    ranks = twin_ranks(latent)
    last = 2 * len(latent) - 1
    assert (ranks.rank >= 1).all() and (ranks.rank <= last).all()
    assert (ranks.tied >= 0).all() and (ranks.tied < ranks.rank).all()
    broken_pair = ~np.isfinite(latent).all(axis=(1, 2))
    assert (ranks.rank[broken_pair] == last).all()  # the star itself, and the one whose twin it is


@quick
@given(any_latents, st.randoms(use_true_random=False))
def test_order_of_the_pairs_changes_nothing(latent, random):
    order = list(range(len(latent)))
    random.shuffle(order)
    ranks, permuted = twin_ranks(latent), twin_ranks(latent[order])
    np.testing.assert_array_equal(permuted.rank, ranks.rank[order])
    np.testing.assert_array_equal(permuted.tied, ranks.tied[order])


@quick
@given(any_latents)
def test_swapping_the_halves_swaps_the_ranks(latent):
    ranks, swapped = twin_ranks(latent), twin_ranks(latent[:, ::-1])
    np.testing.assert_array_equal(swapped.rank, ranks.rank[:, ::-1])
    np.testing.assert_array_equal(swapped.tied, ranks.tied[:, ::-1])


@quick
@given(whole_latents, st.integers(-30, 30), st.integers(-100, 100), st.integers(0, 2**32 - 1))
def test_scale_shift_sign_and_order_of_dimensions_change_nothing(latent, power, shift, seed):
    rng = np.random.default_rng(seed)
    d = latent.shape[2]
    moved = (latent + np.float32(shift))[..., rng.permutation(d)]
    moved = moved * rng.choice(np.array([-1, 1], np.float32), size=d) * np.float32(2.0**power)
    ranks, other = twin_ranks(latent), twin_ranks(moved)
    np.testing.assert_array_equal(other.rank, ranks.rank)
    np.testing.assert_array_equal(other.tied, ranks.tied)


@pytest.mark.parametrize("value", [0.0, 3.7, np.nan, np.inf, -np.inf])
def test_a_latent_without_information_ranks_last_everywhere(value):
    ranks = twin_ranks(np.full((50, 2, 20), value, np.float32))
    assert (ranks.rank == 99).all()
    assert (ranks.tied == 98).all()


def test_one_broken_star_affects_only_itself_and_its_twin(rng):
    latent = good_latents(rng, n_pairs=300)
    latent[:, :, 0] += 100 * np.arange(300)[:, None]  # every pair far from the others: all rank 1
    assert (twin_ranks(latent).rank == 1).all()
    for value in (np.nan, np.inf, -np.inf):
        broken = latent.copy()
        broken[7, 0, 3] = value
        rank = twin_ranks(broken).rank
        assert (rank[7] == 599).all()
        assert (np.delete(rank, 7, axis=0) == 1).all()


def test_distances_beyond_float32_are_infinite():
    latent = np.array([[[3e38], [-3e38]], [[0.0], [1.0]]], np.float32)
    np.testing.assert_array_equal(twin_ranks(latent).rank, [[3, 3], [1, 1]])
    wide = np.array([[[1e39], [1e39]], [[0.0], [1.0]]])  # beyond float32 already as a latent
    np.testing.assert_array_equal(twin_ranks(wide).rank, [[3, 3], [1, 1]])


def test_ranks_do_not_depend_on_memory_layout_and_type(rng):
    latent = integer_latents(rng, n_pairs=30, d=6)
    expected = twin_ranks(latent).rank
    for other in (np.asfortranarray(latent), latent.astype(np.float64), latent.astype(int)):
        np.testing.assert_array_equal(twin_ranks(other).rank, expected)
    read_only = latent.copy()
    read_only.flags.writeable = False
    np.testing.assert_array_equal(twin_ranks(read_only).rank, expected)


@pytest.mark.parametrize("shape", [(0, 2, 3), (4, 2, 0), (4, 3, 3), (4, 2), (4,)])
def test_wrong_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"\[n_pairs, 2, d\]"):
        twin_ranks(np.zeros(shape, np.float32))


def test_importing_the_metrics_loads_neither_the_compiler_nor_torch():
    code = "import sys, starbench.metrics; print({'numba', 'torch'} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert result.stdout.strip() == "set()"


def device_latents(rng):
    """Latents with exact ties, and with stars that are not finite."""
    latent = integer_latents(rng, n_pairs=301, d=7)
    latent[5, 0, 1], latent[7, 1, 6], latent[7, 0, 0] = np.nan, np.inf, -np.inf
    return latent


def test_the_kernel_for_accelerators_gives_the_ranks_of_the_cpu(rng):
    latent = device_latents(rng)
    expected = twin_ranks(latent)
    ranks = twin_ranks(latent, device="cpu:0")
    np.testing.assert_array_equal(ranks.rank, expected.rank)
    np.testing.assert_array_equal(ranks.tied, expected.tied)


def test_the_triton_kernel_gives_the_ranks_of_the_cpu_when_interpreted(tmp_path, rng):
    pytest.importorskip("triton", reason="Triton comes with a torch for GPUs")
    if np.lib.NumpyVersion(np.__version__) >= "2.4.0":
        pytest.skip("Triton 3.6 cannot interpret a loop with NumPy 2.4")
    np.save(tmp_path / "latent.npy", device_latents(rng))
    code = """
import sys, numpy as np
from starbench.metrics import _l1_torch, _l1_triton, twin_ranks
latent = np.load(sys.argv[1])
expected = twin_ranks(latent)
_l1_torch._kernel = lambda device_type: _l1_triton.count_closer
ranks = twin_ranks(latent, device="cpu:0")
np.testing.assert_array_equal(ranks.rank, expected.rank)
np.testing.assert_array_equal(ranks.tied, expected.tied)
"""
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    command = [sys.executable, "-c", code, str(tmp_path / "latent.npy")]
    subprocess.run(command, env=environment, check=True)
