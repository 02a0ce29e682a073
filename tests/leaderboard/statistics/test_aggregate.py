"""Means over seeds against worked numbers; incomparable rows are not averaged."""

import json
import random
from pathlib import Path

import pytest
from support.rows import diverged, draw_ranks, row_content

from starbench.leaderboard.statistics.aggregate import sections
from starbench.leaderboard.store.board import Entry, file_name
from starbench.results.schema import parse_row


def entry(*, seed=0, share=0.5, figures=None, change=None, versions=None, **fields):
    rank, tied = draw_ranks(0, 0.5)
    content = row_content(rank, tied, seed=seed, figures=figures, **fields)
    for name in ("doppelganger_free", "doppelganger_0.1", "doppelganger_1"):
        content["metrics"][name] = {"value": share, "low": share, "high": share, "version": 1}
    for name, version in (versions or {}).items():
        content["metrics"][name]["version"] = version
    if change:
        content = change(content)
    row = parse_row(json.dumps(content))
    return Entry(row, Path("rows") / file_name(row), "reproduced")


def test_mean_and_deviation_over_three_seeds():
    # Shares 0.5, 0.6, 0.8: mean 1.9 / 3; squared deviations (0.1333, 0.0333, 0.1667)^2 add up to
    # 0.046667, over 2 is 0.023333, whose root is 0.152753.
    figures = [
        {"nuisance_leakage.mlp.Teff": teff, "nuisance_leakage.mlp.log g": logg,
         "composition_recovery.mlp.[Fe/H]": iron, "composition_recovery.mlp.[C/Fe]": 0.5,
         "nuisance_leakage.ridge.Teff": 0.99}
        for teff, logg, iron in ((0.1, 0.2, 0.9), (0.3, 0.1, 0.7), (0.4, 0.4, 0.8))
    ]  # fmt: skip
    entries = [
        entry(seed=seed, share=share, figures=each)
        for seed, share, each in zip((0, 1, 2), (0.5, 0.6, 0.8), figures, strict=True)
    ]
    ((group,),) = [section.groups for section in sections(entries)]
    assert group.mean["doppelganger_free"] == pytest.approx(1.9 / 3)
    assert group.deviation["doppelganger_free"] == pytest.approx(0.1527525)
    # Largest leakage of each seed: 0.2, 0.3, 0.4. Mean recovery of each: 0.7, 0.6, 0.65.
    assert group.mean["leakage"] == pytest.approx(0.3)
    assert group.deviation["leakage"] == pytest.approx(0.1)
    assert group.mean["recovery"] == pytest.approx(0.65)
    assert group.deviation["recovery"] == pytest.approx(0.05)
    assert group.mean["minutes"] == 6.0  # 300 s of fitting and 60 s of scoring
    assert [each.row.seed for each in group.entries] == [0, 1, 2]


def test_one_seed_has_no_deviation():
    ((group,),) = [section.groups for section in sections([entry()])]
    assert group.mean["doppelganger_free"] == 0.5
    assert group.deviation == {}


def test_a_value_that_one_seed_lacks_is_not_averaged():
    entries = [entry(seed=0, figures={"reconstruction_mse": 1e-6}), entry(seed=1)]
    ((group,),) = [section.groups for section in sections(entries)]
    assert "reconstruction_mse" not in group.mean
    assert group.partial == {"reconstruction_mse": 1}
    assert "doppelganger_free" in group.mean


def test_diverged_seeds_are_counted_and_not_averaged():
    entries = [entry(seed=0), entry(seed=1, change=diverged)]
    ((group,),) = [section.groups for section in sections(entries)]
    assert (len(group.entries), len(group.diverged)) == (1, 1)
    assert group.mean["doppelganger_free"] == 0.5


def test_a_method_that_always_diverges_still_has_a_line():
    entries = [entry(seed=0, change=diverged), entry(method="other", share=0.1)]
    (section,) = sections(entries)
    assert [group.row.method for group in section.groups] == ["other", "fader"]
    assert section.groups[1].mean == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"task_version": 2},
        {"data_fingerprint": "other"},
        {"task": "apogee-giants-snr50"},
        {"versions": {"doppelganger_free": 2}},
    ],
)
def test_rows_of_other_data_or_metric_versions_are_in_other_sections(fields):
    found = sections([entry(seed=0), entry(seed=1, **fields)])
    assert len(found) == 2
    assert all(len(section.groups[0].entries) == 1 for section in found)


@pytest.mark.parametrize(
    "fields",
    [
        {"hyperparameters": {"n_latent": 21}},
        {"method_version": 2},
        {"selection": {"rule": "best validation", "epoch": 3}},
    ],
)
def test_rows_of_other_settings_share_a_section_but_not_a_group(fields):
    (section,) = sections([entry(seed=0), entry(seed=1, **fields)])
    assert len(section.groups) == 2


def test_the_newest_versions_come_first():
    new = {"doppelganger_free": 2}
    found = sections([entry(seed=0), entry(seed=1, versions=new)])
    assert [section.versions["doppelganger_free"] for section in found] == [2, 1]
    found = sections([entry(seed=0), entry(seed=1, task_version=2)])
    assert [section.task_version for section in found] == [2, 1]


def test_a_row_that_names_other_data_does_not_come_before_the_others():
    entries = [entry(seed=seed, data_fingerprint="other") for seed in range(3)]
    stray = entry(method="stray", data_fingerprint="0-first-by-name")
    found = sections([stray, *entries])
    assert [section.data_fingerprint for section in found] == ["other", "0-first-by-name"]


def test_a_newer_version_supersedes_even_where_it_diverged():
    entries = [
        entry(method_version=1),
        entry(method_version=2, change=diverged),
        entry(method="other", method_version=1),
    ]
    (section,) = sections(entries)
    superseded = {(group.row.method, group.row.method_version): section.superseded(group)
                  for group in section.groups}  # fmt: skip
    assert superseded == {("fader", 1): True, ("fader", 2): False, ("other", 1): False}


def test_the_largest_values_that_a_row_may_hold_are_averaged():
    huge = {"reconstruction_mse": 1e150}
    entries = [entry(seed=0, figures=huge),
               entry(seed=1, figures={"reconstruction_mse": 0.0})]  # fmt: skip
    ((group,),) = [section.groups for section in sections(entries)]
    assert group.mean["reconstruction_mse"] == pytest.approx(5e149)
    assert group.deviation["reconstruction_mse"] == pytest.approx(7.07e149, rel=1e-3)


def test_a_method_without_a_decoder_shares_the_table_of_those_with_one():
    entries = [
        entry(figures={"reconstruction_mse": 1e-6}),
        entry(method="no-decoder"),
    ]
    (section,) = sections(entries)
    assert len(section.groups) == 2
    assert section.versions["reconstruction_mse"] == 1


def test_controls_come_last_and_label_access_first():
    entries = [
        entry(method="cheat", control=True, share=1.0),
        entry(method="weak", share=0.2),
        entry(method="strong", share=0.7),
        entry(method="sees-all", label_access="oracle", share=0.9),
        entry(method="sees-nothing", label_access="none", share=0.1),
    ]
    (section,) = sections(entries)
    assert [group.row.method for group in section.groups] == [
        "strong", "weak", "cheat", "sees-nothing", "sees-all"
    ]  # fmt: skip


def test_the_order_of_the_rows_does_not_matter():
    entries = [
        entry(seed=seed, method=method, share=0.1 * seed, task=task, **more)
        for seed in range(3)
        for method in ("fader", "other")
        for task in ("apogee-giants", "apogee-giants-snr50")
        for more in ({}, {"versions": {"doppelganger_1": 2}, "hyperparameters": {"x": 1}})
    ]
    expected = sections(entries)
    assert len(expected) == 4
    for seed in range(20):
        shuffled = random.Random(seed).sample(entries, len(entries))
        assert sections(shuffled) == expected
