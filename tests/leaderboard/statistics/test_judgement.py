"""Ranks and intervals from synthetic ranks of known order, ties and spread."""

import itertools
import re
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.rows import FakeTask

from starbench.leaderboard.pages.generate import build
from starbench.leaderboard.pages.notes import ranges
from starbench.leaderboard.statistics.aggregate import sections
from starbench.leaderboard.statistics.compare import Comparison
from starbench.leaderboard.statistics.judgement import judge
from starbench.leaderboard.statistics.resampling import resample, resample_all, share_interval
from starbench.leaderboard.statistics.verdict import Verdict
from starbench.leaderboard.store import board
from starbench.leaderboard.store.board import load
from starbench.results.ranks import write_ranks
from starbench.results.text import RowError

pytestmark = pytest.mark.usefixtures("reproduced_rows")

N_PAIRS = 3000


def ranks_at(quality, seed, n_pairs=N_PAIRS):
    """Draw ranks of which about a share `quality` is 1; a star is equally hard for all methods.

    Seeds differ by some 0.3 points, as Fader's do on the noise tracks.
    """
    difficulty = np.random.default_rng(0).random((n_pairs, 2))
    draws = np.random.default_rng([1, seed])
    luck = 0.003 * draws.standard_normal() + 0.02 * draws.standard_normal((n_pairs, 2))
    missed = draws.integers(2, 2 * n_pairs, (n_pairs, 2))
    rank = np.where(difficulty + luck < quality, 1, missed)
    return rank, np.zeros_like(rank)


@pytest.fixture
def task():
    class Task(FakeTask):
        def sizes(self, scale):
            return {"train": 10, "validation": 10, "test": N_PAIRS}

    return Task()


@pytest.fixture
def add_method(add, make_run, task, directory):
    """Return a function that adds rows of a method to the leaderboard."""

    def put(method, quality, seeds, draw=None, **fields):
        draw = seeds if draw is None else draw
        add(
            *(
                make_run(seed=seed, method=method, ranks=ranks_at(quality, drawn), **fields)
                for seed, drawn in zip(seeds, draw, strict=True)
            ),
            task=task,
        )

    return put


def judged(directory):
    (section,) = sections(load(directory))
    judgement = judge([section])
    ranks = {group.row.method: judgement.ranks.get(group.key) for group in section.groups}
    return ranks, judgement, section


def test_equal_methods_share_a_rank_and_one_two_points_worse_ranks_lower(add_method, directory):
    add_method("fader", 0.50, range(5))
    add_method("copy", 0.50, range(5), draw=range(5, 10))
    add_method("worse", 0.48, range(5), draw=range(10, 15))
    add_method("cheat", 0.99, range(3), control=True)
    add_method("hasty", 0.99, range(2))
    add_method("sees-pairs", 0.70, range(3), label_access="pairs")
    ranks, judgement, _ = judged(directory)
    # Two methods are better than the third, so that its rank is 3.
    assert ranks == {
        "fader": 1, "copy": 1, "worse": 3, "cheat": None, "hasty": None, "sees-pairs": 1
    }  # fmt: skip
    assert set(judgement.verdicts) == {"nuisance", "pairs"}
    build(load(directory), directory)
    page = (directory / "LEADERBOARD.md").read_text()
    for method, rank in (("fader", "1"), ("copy", "1"), ("worse", "3"), ("cheat *(control)*", "")):
        assert f"\n| {rank} | {method} | reproduced | [" in page
    assert re.search(r"\n\|  \| hasty \| reproduced \| \[2\]\(#[^)]*\) \| 9[89]\.", page)
    assert "\nWithout a rank, as they have fewer than three seeds: hasty.\n" in page


def test_the_interval_covers_seeds_and_pairs(add_method, directory):
    add_method("fader", 0.50, range(5))
    _, judgement, section = judged(directory)
    (group,) = section.groups
    low, high = judgement.intervals[group.key]
    share = group.mean["doppelganger_free"]
    assert low < share < high
    # Pairs: sqrt(0.25 / 6000), as seeds find the same stars, times 1.96; seeds: 0.3 points over
    # sqrt(5), times 2.78 for five of them.
    assert high - low == pytest.approx(2 * np.hypot(1.96 * 0.0065, 2.78 * 0.0013), rel=0.2)


def test_the_interval_of_one_seed_equals_that_of_its_row(add_method, directory):
    add_method("fader", 0.50, [0])
    _, judgement, section = judged(directory)
    (group,) = section.groups
    figure = group.row.metrics["doppelganger_free"]
    assert judgement.intervals[group.key] == pytest.approx((figure.low, figure.high), abs=1e-12)


def test_seeds_that_differ_widen_the_interval():
    alike = np.tile((np.arange(1000) < 500).astype(float), (3, 1))
    unlike = (np.arange(1000) < np.array([400, 500, 600])[:, None]).astype(float)
    narrow, wide = (share_interval(resample(found)) for found in (alike, unlike))
    # 1,000 pairs found whole or not: sqrt(0.25 / 1000) = 1.58 points, times 1.96; three seeds: 10
    # points over sqrt(3) times 4.30.
    assert narrow[1] - narrow[0] == pytest.approx(2 * 1.96 * 0.0158, rel=0.1)
    assert wide[1] - wide[0] == pytest.approx(2 * 4.30 * 0.0577, rel=0.12)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.integers(0, 1000))
def test_resampling_together_equals_resampling_alone(n_seeds, start):
    draws = np.random.default_rng(start)
    found = [draws.integers(0, 3, (n, 40)) / 2 for n in n_seeds]
    for together, each in zip(resample_all(found), found, strict=True):
        alone = resample(each)
        assert together.share == alone.share
        np.testing.assert_array_equal(together.by_seed, alone.by_seed)


def verdict_on(n, better, names=None):
    """Return a verdict on n methods where `better` lists the significant differences."""
    return Verdict(
        "task",
        tuple(SimpleNamespace(row=SimpleNamespace(method=name)) for name in names or range(n)),
        tuple(1 - 0.1 * place for place in range(n)),
        {
            (i, j): Comparison(
                0, 0, 0.1, *((0.05, 0.15) if (i, j) in better else (-0.1, 0.2)), 5, 5
            )
            for i, j in itertools.combinations(range(n), 2)
        },
    )


def test_ranks_of_ties_that_are_not_transitive():
    assert verdict_on(3, set()).ranks == (1, 1, 1)
    assert verdict_on(3, {(0, 2)}).ranks == (1, 1, 2)
    assert verdict_on(3, {(0, 1), (0, 2), (1, 2)}).ranks == (1, 2, 3)
    assert verdict_on(3, {(0, 2), (1, 2)}).ranks == (1, 1, 3)
    # The third is so uncertain that no method is significantly better.
    assert verdict_on(3, {(0, 1)}).ranks == (1, 2, 1)


def test_settings_of_one_method_count_once_and_not_against_each_other():
    every = set(itertools.combinations(range(4), 2))
    assert verdict_on(4, every, ["a", "a", "a", "b"]).ranks == (1, 1, 1, 2)
    assert verdict_on(4, every, ["a", "b", "a", "b"]).ranks == (1, 2, 2, 2)


PAIRS_OF = {n: list(itertools.combinations(range(n), 2)) for n in range(2, 8)}


@given(
    st.sampled_from(sorted(PAIRS_OF)).flatmap(
        lambda n: st.tuples(st.just(n), st.sets(st.sampled_from(PAIRS_OF[n])))
    )
)
def test_a_rank_counts_the_methods_that_are_significantly_better(drawn):
    n, better = drawn
    ranks = verdict_on(n, better).ranks
    assert ranks[0] == 1
    assert all(1 <= rank <= place + 1 for place, rank in enumerate(ranks))
    assert sum(ranks) - n == len(better)


def test_older_versions_have_a_table_without_ranks(add_method, directory):
    add_method("fader", 0.9, range(3), method_version=1)
    add_method("fader", 0.5, range(3), method_version=2)
    add_method("other", 0.6, range(3))
    (section,) = sections(load(directory))
    judgement = judge([section])
    ranks = {
        (group.row.method, group.row.method_version): judgement.ranks.get(group.key)
        for group in section.groups
    }
    assert ranks == {("fader", 1): None, ("fader", 2): 2, ("other", 1): 1}
    build(load(directory), directory)
    page = (directory / "LEADERBOARD.md").read_text()
    current, superseded = page.index("#### Nuisance labels"), page.index("#### Superseded")
    digest = next(
        group.row.settings_digest[:8] for group in section.groups if section.superseded(group)
    )
    assert page.index("| 2 | fader | reproduced | [") > current
    assert page.index(f"|  | fader v1 `{digest}` | reproduced | [") > superseded > current


def test_unequal_seeds_are_noted(add_method, directory):
    add_method("fader", 0.5, range(3))
    add_method("second", 0.4, range(3))
    add_method("long", 0.3, [0, 1, 2, 4])
    add_method("cheat", 0.9, [0], control=True)
    build(load(directory), directory)
    page = (directory / "LEADERBOARD.md").read_text()
    assert "\nUnequal seeds: most have seeds 0-2, but long has 0-2, 4.\n" in page
    assert "Without a rank" not in page, "a control is not ranked"
    add_method("single", 0.2, [4])
    build(load(directory), directory)
    page = (directory / "LEADERBOARD.md").read_text()
    assert "long has 0-2, 4. Without a rank, as they have fewer than three seeds: single." in page
    assert "The interval of a method with one seed omits the scatter between seeds." in page


@given(st.sets(st.integers(0, 60)))
def test_ranges_of_seeds_expand_to_the_same_seeds(numbers):
    read = set()
    for part in filter(None, ranges(numbers).split(", ")):
        low, _, high = part.partition("-")
        read |= set(range(int(low), int(high or low) + 1))
    assert read == numbers


def test_ranks_of_other_stars_are_refused(add_method, directory, make_run):
    # Copied by hand, as `add` would have refused the number of pairs.
    add_method("fader", 0.5, range(2))
    run = make_run(method="small", ranks=ranks_at(0.9, 0, n_pairs=50))
    row, ranks = board.read_row_and_ranks(run / "row.json")
    target = directory / "rows" / board.file_name(row)
    target.write_bytes((run / "row.json").read_bytes())
    write_ranks(board.ranks_beside(target), *ranks)
    with pytest.raises(RowError, match=r"__small__.*: the ranks are of 50 pairs, but .* of 3,000"):
        judge(sections(load(directory)))


def test_judging_does_not_depend_on_the_order_of_rows(add_method, directory):
    for number, method in enumerate(("fader", "copy", "other")):
        add_method(method, 0.5, range(2), draw=range(2 * number, 2 * number + 2))
    entries = load(directory)
    expected = judge(sections(entries))
    for order in itertools.islice(itertools.permutations(entries), 0, None, 131):
        assert judge(sections(order)) == expected
