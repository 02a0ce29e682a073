"""The committed rows: none above its ceiling, and controls at their known level."""

from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import poisson

from starbench.leaderboard.statistics.aggregate import Group, sections
from starbench.leaderboard.statistics.compare import compare_resampled, ranks_of
from starbench.leaderboard.statistics.resampling import found_share, resample
from starbench.leaderboard.store.board import load, ranks_beside
from starbench.metrics import SHARES, SiblingRanks
from starbench.metrics.bootstrap import group_means
from starbench.results.ranks import read_ranks

LEADERBOARD = Path(__file__).parents[3] / "leaderboard"
CHANCE = ("constant-latent", "nuisance-latent", "random-latent", "twin-by-order")
# [Fe/H], a nuisance there, follows the sequence of high or low [alpha/Fe], which twins share.
TELLS_A_LITTLE = ("apogee-giants-metallicity", "nuisance-latent")
RAW_FLUX = 0.024  # its share on the mini scale's 2,500 noiseless stars; more stars lower it
# A giant branch has one dimension in place of two, so that twice as many twins are alike in both
# temperature and gravity. The spectrum finds 22 % of those within 50 K of each other, and 1 in
# 2,000 of those more than 100 K apart.
RAW_FLUX_OF = {"apogee-giants-branch": 2 * RAW_FLUX}


@cache
def scored() -> dict[str, tuple[Group, ...]]:
    """Return the groups that have scores, by task and set of comparable rows."""
    found = defaultdict(tuple)
    for section in sections(load(LEADERBOARD, checked=False)):
        place = f"{section.task}-v{section.task_version}-{section.data_fingerprint}"
        found[place] += tuple(group for group in section.groups if group.entries)
    return dict(found)


def named(*names: str) -> list:
    """Return the parameters of a test: sets of comparable rows and groups of the methods named."""
    return [
        pytest.param(place, group, id=f"{place}-{group.label}")
        for place, groups in scored().items()
        for group in groups
        if group.row.method in names
    ]


@cache
def resampled(place: str, number: int, metric: str):
    (ranks,) = ranks_of([scored()[place][number]])
    return resample(np.stack([found_share(rank, metric) for rank in ranks]))


def above(place: str, ceiling: Group, metric: str) -> list[str]:
    """Name the competing methods that are significantly above a control on the same stars."""
    groups = scored()[place]
    most = resampled(place, groups.index(ceiling), metric)
    return [
        f"{group.label} v{group.row.method_version}: {metric}"
        for number, group in enumerate(groups)
        if not group.row.control
        and compare_resampled(resampled(place, number, metric), most).low > 0
    ]


def test_the_leaderboard_has_scored_competing_methods():
    assert any(not group.row.control for groups in scored().values() for group in groups)


def test_the_check_for_methods_above_a_limit_detects_one():
    for place, groups in scored().items():
        competing = [group for group in groups if not group.row.control]
        if not competing:
            continue
        low, high = (
            choose(competing, key=lambda group: group.mean["doppelganger_free"])
            for choose in (min, max)
        )
        named_above = above(place, low, "doppelganger_free")
        assert f"{low.label} v{low.row.method_version}: doppelganger_free" not in named_above
        if low is not high:
            assert f"{high.label} v{high.row.method_version}: doppelganger_free" in named_above


@pytest.mark.parametrize(("place", "group"), named("composition"))
def test_the_true_composition_finds_every_twin_and_no_method_more(place, group):
    for metric in SHARES:
        assert group.mean[metric] == 1
        assert above(place, group, metric) == []


@pytest.mark.parametrize(
    ("place", "group"),
    [
        param
        for param in named("information-bound")
        if param.values[1].row.hyperparameters["nuisance_known"]
    ],
)
def test_no_method_exceeds_the_information_bound(place, group):
    for metric in SHARES:
        assert above(place, group, metric) == []


def by_groups(entry) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ranks, group of each, and number of strangers of each; a pair is a group of two."""
    ranks = read_ranks(ranks_beside(entry.path)).measured()
    if isinstance(ranks, SiblingRanks):
        return ranks.rank, ranks.group, ranks.n_strangers
    n_stars = ranks.rank.size
    return ranks.rank.ravel(), np.arange(n_stars) // 2, np.full(n_stars, n_stars - 2)


@pytest.mark.parametrize(("place", "group"), named(*CHANCE))
def test_controls_without_information_are_at_chance_or_below(place, group):
    for entry in group.entries:
        rank, of_group, strangers = by_groups(entry)
        # Stars that are closest to each other are both found, so groups are counted.
        found = len(np.unique(of_group[rank == 1]))
        assert found <= poisson.ppf(1 - 1e-5, (1 / (1 + strangers)).sum())
        # Uniform ranks have a mean of half the gallery; five standard errors over groups.
        normalised = group_means((rank - 1) / strangers, of_group)
        at_chance = 0.5 - 5 * (12 * len(normalised)) ** -0.5
        if (entry.row.task, entry.row.method) == TELLS_A_LITTLE:
            assert 0.45 <= normalised.mean() < at_chance
        else:
            assert normalised.mean() >= at_chance


@pytest.mark.parametrize(("place", "group"), named("constant-latent"))
def test_a_constant_latent_finds_none(place, group):
    for entry in group.entries:
        rank, _, strangers = by_groups(entry)
        assert np.array_equal(rank, 1 + strangers)


@pytest.mark.parametrize(("place", "group"), named("raw-flux"))
def test_raw_flux_finds_few_twins(place, group):
    limit = RAW_FLUX_OF.get(group.row.task, RAW_FLUX)
    assert 0 < group.mean["doppelganger_free"] < limit


@pytest.mark.parametrize(("place", "group"), named("composition", "constant-latent", "raw-flux"))
def test_the_ranks_of_these_controls_do_not_depend_on_the_seed(place, group):
    assert len({entry.row.ranks_sha256 for entry in group.entries}) == 1
