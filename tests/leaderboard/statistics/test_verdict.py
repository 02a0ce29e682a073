"""Who is best: on made-up rows whose order, ties and differences are known."""

import itertools
import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.rows import FakeTask, diverged, draw_ranks, row_content

from starbench.leaderboard.pages.markdown import build
from starbench.leaderboard.pages.verdict_text import TITLE, verdict_section
from starbench.leaderboard.statistics.aggregate import sections
from starbench.leaderboard.statistics.compare import compare_shares, pairwise, resample
from starbench.leaderboard.statistics.judgement import judge
from starbench.leaderboard.statistics.verdict import verdict
from starbench.leaderboard.store.board import Entry, file_name, load
from starbench.results.schema import parse_row

HOSTILE = "<img src=x onerror=y> [a](http://evil) **e**"


def found_by_seed(quality, seeds, n_pairs=3000):
    """Return [n_seeds, n_pairs]: stars of one difficulty for all, found by about a share `quality`.

    Trainings differ by some 0.3 points, as Fader's do on the noise tracks.
    """
    difficulty = np.random.default_rng(0).random((n_pairs, 2))
    found = []
    for seed in seeds:
        draws = np.random.default_rng([1, seed])
        luck = 0.003 * draws.standard_normal() + 0.02 * draws.standard_normal((n_pairs, 2))
        found.append((difficulty + luck < quality).mean(axis=1))
    return np.stack(found)


class Board:
    """Rows of made-up methods, and what their seeds found."""

    def __init__(self):
        self.entries, self.found = [], {}

    def add(self, found, method="fader", share=None, **fields):
        rank, tied = draw_ranks(0, 0.5)
        for seed, of_seed in enumerate(found):
            content = row_content(rank, tied, seed=seed, method=method, **fields)
            for name in ("doppelganger_free", "doppelganger_0.1", "doppelganger_1"):
                content["metrics"][name] |= {"value": float(of_seed.mean()), "low": 0, "high": 1}
            row = parse_row(json.dumps(content))
            self.entries.append(Entry(row, Path("rows") / file_name(row)))
        self.found[row.settings_digest] = found
        return self

    def verdict(self, entries=None):
        (section,) = sections(entries or self.entries)
        return verdict(
            section, "nuisance", lambda group: resample(self.found[group.row.settings_digest])
        )

    def text(self):
        return verdict_section({"apogee-giants": self.verdict()})[1].removeprefix("- ")


def verdicts(found):
    return judge(found).verdicts.get("nuisance", {})


@pytest.fixture
def rows():
    return Board()


def test_a_copy_is_tied_and_what_is_two_points_worse_is_not(rows):
    rows.add(found_by_seed(0.50, range(5)), "fader")
    rows.add(found_by_seed(0.50, range(5, 10)), "copy")
    rows.add(found_by_seed(0.48, range(10, 15)), "worse")
    told = rows.verdict()
    assert [group.row.method for group in told.groups][2] == "worse"
    assert {group.row.method for group in told.groups[:2]} == {"fader", "copy"}
    assert told.tied == (1,) and told.ranks == (1, 1, 3)
    # At random the difference would deviate by sqrt(2 / 5) * 0.3 points: a tenth of the two.
    lead = told.comparisons[0, 2]
    assert lead.difference == pytest.approx(0.02, abs=0.006)
    assert 0 < lead.low < lead.difference < lead.high


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.floats(0.1, 0.9))
def test_two_points_are_told_apart_whatever_the_seeds(start, quality):
    better = found_by_seed(quality, range(start, start + 5))
    worse = found_by_seed(quality - 0.02, range(start + 5, start + 10))
    comparison = compare_shares(better, worse)
    assert comparison.separable and comparison.low > 0


def test_every_two_are_compared_as_by_the_command(rows):
    found = [found_by_seed(quality, range(3)) for quality in (0.7, 0.5, 0.6)]
    compared = pairwise([resample(each) for each in found])
    assert set(compared) == {(0, 1), (0, 2), (1, 2)}
    for (i, j), comparison in compared.items():
        assert comparison == compare_shares(found[i], found[j])
    for method, each in zip("abc", found, strict=True):
        rows.add(each, method)
    told = rows.verdict()
    assert [group.row.method for group in told.groups] == ["a", "c", "b"]
    assert told.comparisons[0, 2] == compared[0, 1]


def test_the_order_of_the_rows_does_not_matter(rows):
    for number, method in enumerate(("fader", "copy", "other")):
        rows.add(found_by_seed(0.5, range(3 * number, 3 * number + 3)), method)
    expected = rows.verdict()
    for seed in range(10):
        shuffled = random.Random(seed).sample(rows.entries, len(rows.entries))
        assert rows.verdict(shuffled) == expected


def test_controls_other_label_access_and_older_versions_do_not_compete(rows):
    rows.add(found_by_seed(0.99, range(2)), "cheat", control=True)
    rows.add(found_by_seed(0.98, range(2)), "sees-pairs", label_access="pairs")
    rows.add(found_by_seed(0.9, range(2)), "fader", method_version=1)
    rows.add(found_by_seed(0.5, range(2)), "fader", method_version=2)
    rows.add(found_by_seed(0.6, range(2)), "other", method_version=1)
    told = rows.verdict()
    assert [(group.row.method, group.row.method_version) for group in told.groups] == [
        ("other", 1),
        ("fader", 2),
    ]
    # A newest version that always diverges does not hand its place back to the older one.
    content = diverged(row_content(*draw_ranks(0, 0.5), method="other", method_version=2))
    row = parse_row(json.dumps(content))
    rows.entries.append(Entry(row, Path("rows") / file_name(row)))
    assert [group.row.method for group in rows.verdict().groups] == ["fader"]


def test_nothing_competes(rows):
    rows.add(found_by_seed(0.9, range(2)), "cheat", control=True)
    assert rows.verdict() is None
    assert verdict_section({}) == []
    assert verdicts([]) == {}


# ------------------------------------------------------------------------------------ the sentences


def halves(*shares):
    """Return one seed a share, of 1,000 pairs: found are the first, so that nothing is random."""
    return np.stack([(np.arange(1000) < 1000 * share).astype(float) for share in shares])


def test_the_winner_and_its_lead_are_told(rows):
    rows.add(halves(0.8, 0.8), "second").add(halves(0.9, 0.9), "first")
    # 100 of 1,000 pairs differ, all for the first: sqrt(0.1 * 0.9 / 1000) = 0.95 points.
    text = rows.text()
    assert text.startswith("On apogee-giants, **first** is best of 2 with 90.0 %, 10.00 points [8.")
    assert text.endswith(" over second (2 seeds each); no other is tied with it.")
    comparison = rows.verdict().comparisons[0, 1]
    assert comparison.high - comparison.low == pytest.approx(2 * 1.96 * 0.0095, rel=0.1)


def test_one_seed_each_is_said(rows):
    rows.add(halves(0.8), "second").add(halves(0.9), "first")
    assert "over second (one seed each: the interval is of pairs alone); no other" in rows.text()


def test_unequal_numbers_of_seeds_are_said(rows):
    rows.add(halves(0.8, 0.8, 0.8), "second").add(halves(0.9, 0.9), "first")
    rows.add(halves(0.9), "third")
    text = rows.text()
    assert "(2 and 1 seeds: the spread of the one is not in the interval); not to be" in text
    assert "over third" in text and "not to be told apart from it: third." in text


def test_the_tied_are_named_with_what_is_known_of_them(rows):
    rows.add(halves(0.9, 0.9), "a").add(halves(0.7, 0.9), "b").add(halves(0.8), "c")
    rows.add(halves(0.5, 0.9), "d")
    text = rows.text()
    # c has b's share, but by one seed: ten points behind, an interval of pairs alone leaves out 0.
    assert "not to be told apart from it: b, d (20.00 points [" in text
    assert text.endswith("], 2 seeds).")


def test_where_the_share_saturates_the_swapped_error_is_told(rows):
    figures = {"swapped_reconstruction_mse": 2e-6}
    rows.add(halves(0.999, 0.999), "first", figures=figures)
    rows.add(halves(0.998, 1.0), "no-decoder").add(halves(0.6, 0.6), "far")
    assert rows.text().endswith(
        "told apart from it: no-decoder. At such shares the swapped MSE tells more: "
        "first 2.0e-6, no-decoder has no decoder."
    )
    assert rows.verdict().saturated == (0, 1)


def test_one_method_stands_alone(rows):
    rows.add(halves(0.999), "only")
    assert rows.text() == "On apogee-giants, **only** stands alone, with 99.9 % (one seed)."


def test_what_comes_out_of_rows_is_escaped(rows):
    sets = {"note": HOSTILE}
    rows.add(halves(0.9), "a", hyperparameters=sets, overrides=sets).add(halves(0.8), "b")
    text = rows.text()
    assert r"&lt;img src=x onerror=y&gt; \[a\](http&#58;//evil) \*\*e\*\*" in text
    assert "<img" not in text and "[a](" not in text and " **e**" not in text


def test_settings_of_one_label_are_told_apart_by_their_digest(rows):
    for latent, share in ((5, 0.9), (6, 0.8)):
        rows.add(halves(share), "fader", hyperparameters={"n_latent": latent})
    digests = [row.row.settings_digest[:8] for row in rows.entries]
    text = rows.text()
    assert f"**fader v1 `{digests[0]}`** is best" in text
    assert f"over fader v1 `{digests[1]}` (" in text


# ----------------------------------------------------------------------------------------- the page


def test_the_page_holds_the_verdict_of_each_track_that_has_rows(add, make_run, directory):
    add(*(make_run(seed=seed, nearest=0.9) for seed in range(4)))
    add(*(make_run(seed=seed, nearest=0.1, method="baseline") for seed in range(4)))
    other = "apogee-giants-snr50"
    add(make_run(task=other, method="baseline"), task=FakeTask(name=other))
    entries = load(directory)
    build(entries, directory)
    page = (directory / "LEADERBOARD.md").read_text()
    section = page.partition(TITLE)[2].partition("\n## ")[0]
    assert "On apogee-giants, **fader** is best of 2 with " in section
    assert f"On {other}, **baseline** stands alone" in section
    assert "snr100" not in section
    assert page.index(TITLE) < page.index("\n## apogee-giants\n")
    told = verdicts(sections(entries))
    for order in itertools.islice(itertools.permutations(entries), 0, 40_000, 5_003):
        assert verdicts(sections(order)) == told


def test_the_newest_section_with_a_competitor_speaks(add, make_run, directory):
    add(make_run(seed=0, nearest=0.9))
    newer = {"task_version": 2, "data_fingerprint": "new-full"}
    task = FakeTask(version=2, data="new")
    add(make_run(seed=0, method="cheat", control=True, **newer), task=task)
    assert verdicts(sections(load(directory)))["apogee-giants"].groups[0].row.task_version == 1
    add(make_run(seed=1, nearest=0.2, **newer), task=task)
    assert verdicts(sections(load(directory)))["apogee-giants"].groups[0].row.task_version == 2
