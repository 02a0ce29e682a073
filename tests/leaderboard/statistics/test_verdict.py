"""Which method is best, on synthetic rows of known order, ties and differences."""

import itertools
import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.rows import FakeTask, diverged, draw_ranks, row_content

from starbench.leaderboard.pages.generate import build
from starbench.leaderboard.pages.verdict_text import TITLE, verdict_section
from starbench.leaderboard.statistics.aggregate import sections
from starbench.leaderboard.statistics.compare import compare_shares, pairwise
from starbench.leaderboard.statistics.judgement import judge
from starbench.leaderboard.statistics.resampling import resample
from starbench.leaderboard.statistics.verdict import verdict
from starbench.leaderboard.store.board import Entry, file_name, load
from starbench.results.schema import parse_row

pytestmark = pytest.mark.usefixtures("reproduced_rows")

HOSTILE = "<img src=x onerror=y> [a](http://evil) **e**"


def found_by_seed(quality, seeds, n_pairs=3000):
    """Return [n_seeds, n_pairs]: about a share `quality`; a star is equally hard for all methods.

    Seeds differ by some 0.3 points, as Fader's do on the noise tracks.
    """
    difficulty = np.random.default_rng(0).random((n_pairs, 2))
    found = []
    for seed in seeds:
        draws = np.random.default_rng([1, seed])
        luck = 0.003 * draws.standard_normal() + 0.02 * draws.standard_normal((n_pairs, 2))
        found.append((difficulty + luck < quality).mean(axis=1))
    return np.stack(found)


class Board:
    """Rows of synthetic methods, and the shares that their seeds found."""

    def __init__(self):
        self.entries, self.found = [], {}

    def add(self, found, method="fader", share=None, **fields):
        rank, tied = draw_ranks(0, 0.5)
        for seed, of_seed in enumerate(found):
            content = row_content(rank, tied, seed=seed, method=method, **fields)
            for name in ("doppelganger_free", "doppelganger_0.1", "doppelganger_1"):
                content["metrics"][name] |= {"value": float(of_seed.mean()), "low": 0, "high": 1}
            row = parse_row(json.dumps(content))
            self.entries.append(Entry(row, Path("rows") / file_name(row), "reproduced"))
        self.found[row.settings_digest] = found
        return self

    def verdict(self, entries=None):
        (section,) = sections(entries or self.entries)
        resampled = {
            group.key: resample(self.found[group.row.settings_digest])
            for group in section.groups
            if group.entries
        }
        return verdict(section, "nuisance", resampled)

    def text(self):
        return verdict_section({"apogee-giants": self.verdict()})[1].removeprefix("- ")


def verdicts(found):
    return judge(found).verdicts.get("nuisance", {})


@pytest.fixture
def rows():
    return Board()


def test_an_equal_method_is_tied_and_a_method_two_points_worse_is_not(rows):
    rows.add(found_by_seed(0.50, range(5)), "fader")
    rows.add(found_by_seed(0.50, range(5, 10)), "copy")
    rows.add(found_by_seed(0.48, range(10, 15)), "worse")
    decided = rows.verdict()
    assert [group.row.method for group in decided.groups][2] == "worse"
    assert {group.row.method for group in decided.groups[:2]} == {"fader", "copy"}
    assert decided.tied == (1,) and decided.ranks == (1, 1, 3)
    # At random the difference would deviate by sqrt(2 / 5) * 0.3 points: a tenth of the two.
    lead = decided.comparisons[0, 2]
    assert lead.difference == pytest.approx(0.02, abs=0.006)
    assert 0 < lead.low < lead.difference < lead.high


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.floats(0.1, 0.9))
def test_two_points_are_significant_with_five_seeds(start, quality):
    better = found_by_seed(quality, range(start, start + 5))
    worse = found_by_seed(quality - 0.02, range(start + 5, start + 10))
    comparison = compare_shares(better, worse)
    assert comparison.separable and comparison.low > 0


def test_pairwise_comparisons_equal_those_of_two_methods(rows):
    found = [found_by_seed(quality, range(3)) for quality in (0.7, 0.5, 0.6)]
    compared = pairwise([resample(each) for each in found])
    assert set(compared) == {(0, 1), (0, 2), (1, 2)}
    for (i, j), comparison in compared.items():
        assert comparison == compare_shares(found[i], found[j])
    for method, each in zip("abc", found, strict=True):
        rows.add(each, method)
    decided = rows.verdict()
    assert [group.row.method for group in decided.groups] == ["a", "c", "b"]
    assert decided.comparisons[0, 2] == compared[0, 1]


def test_the_order_of_the_rows_does_not_matter(rows):
    for number, method in enumerate(("fader", "copy", "other")):
        rows.add(found_by_seed(0.5, range(3 * number, 3 * number + 3)), method)
    expected = rows.verdict()
    for seed in range(10):
        shuffled = random.Random(seed).sample(rows.entries, len(rows.entries))
        assert rows.verdict(shuffled) == expected


def test_controls_other_label_access_and_older_versions_do_not_compete(rows):
    rows.add(found_by_seed(0.99, range(3)), "cheat", control=True)
    rows.add(found_by_seed(0.98, range(3)), "sees-pairs", label_access="pairs")
    rows.add(found_by_seed(0.9, range(3)), "fader", method_version=1)
    rows.add(found_by_seed(0.5, range(3)), "fader", method_version=2)
    rows.add(found_by_seed(0.6, range(3)), "other", method_version=1)
    decided = rows.verdict()
    assert [(group.row.method, group.row.method_version) for group in decided.groups] == [
        ("other", 1),
        ("fader", 2),
    ]
    # A newest version that always diverges does not hand its place back to the older one.
    content = diverged(row_content(*draw_ranks(0, 0.5), method="other", method_version=2))
    row = parse_row(json.dumps(content))
    rows.entries.append(Entry(row, Path("rows") / file_name(row), "reproduced"))
    assert [group.row.method for group in rows.verdict().groups] == ["fader"]


def test_without_competing_methods_there_is_no_verdict(rows):
    rows.add(found_by_seed(0.9, range(2)), "cheat", control=True)
    assert rows.verdict() is None
    assert verdict_section({}) == []
    assert verdicts([]) == {}


# ------------------------------------------------------------------------------------ the sentences


def halves(*shares):
    """Return a seed for each share: of 1,000 pairs it finds the first, without randomness."""
    return np.stack([(np.arange(1000) < 1000 * share).astype(float) for share in shares])


def test_the_sentence_names_the_best_and_its_lead(rows):
    rows.add(halves(0.8, 0.8, 0.8), "second").add(halves(0.9, 0.9, 0.9), "first")
    # 100 of 1,000 pairs differ, all for the first: sqrt(0.1 * 0.9 / 1000) = 0.95 points.
    text = rows.text()
    assert text.startswith(
        "On apogee-giants, **first** is significantly better than the other method: 90.0 %, "
        "10.00 points [8."
    )
    assert text.endswith("] above second (3 seeds each).")
    comparison = rows.verdict().comparisons[0, 1]
    assert comparison.high - comparison.low == pytest.approx(2 * 1.96 * 0.0095, rel=0.1)


def test_the_sentence_says_that_the_seeds_are_unequal(rows):
    rows.add(halves(0.8, 0.8, 0.8), "second").add(halves(0.9, 0.9, 0.9, 0.9), "first")
    assert rows.text().endswith("above second (4 and 3 seeds).")


@pytest.mark.parametrize("n_seeds", [1, 2])
def test_a_method_with_fewer_than_three_seeds_neither_competes_nor_beats_another(rows, n_seeds):
    rows.add(halves(*[0.99] * n_seeds), "hasty").add(halves(0.8, 0.8, 0.8), "patient")
    decided = rows.verdict()
    assert [group.row.method for group in decided.groups] == ["patient"]
    assert decided.ranks == (1,)


def test_the_sentence_names_tied_methods_with_their_difference(rows):
    rows.add(halves(0.9, 0.9, 0.9), "a").add(halves(0.7, 0.8, 0.9), "b")
    rows.add(halves(0.79, 0.79, 0.79), "c").add(halves(0.5, 0.7, 0.9), "d")
    text = rows.text()
    # c is above d, but its seeds agree, so that eleven points are significant.
    assert "statistically tied with it: b, d (20.00 points [" in text
    assert text.endswith("], 3 seeds).")


def test_where_the_share_saturates_the_sentence_gives_the_swapped_mse(rows):
    figures = {"swapped_reconstruction_mse": 2e-6}
    rows.add(halves(0.999, 0.999, 0.999), "first", figures=figures)
    rows.add(halves(0.998, 0.999, 1.0), "no-decoder").add(halves(0.6, 0.6, 0.6), "far")
    assert rows.text().endswith(
        "tied with it: no-decoder. At such high shares the swapped MSE separates methods better: "
        "first 2.0e-6, no-decoder has no decoder."
    )
    assert rows.verdict().saturated == (0, 1)


def test_the_sentence_for_a_single_method_names_no_rival(rows):
    rows.add(halves(0.999, 0.999, 0.999), "only")
    assert rows.text() == (
        "On apogee-giants, **only** is the only method that competes, with 99.9 % (3 seeds)."
    )


def test_text_from_rows_is_escaped(rows):
    sets = {"note": HOSTILE}
    rows.add(halves(*[0.9] * 3), "a", hyperparameters=sets, overrides=sets)
    rows.add(halves(*[0.8] * 3), "b")
    text = rows.text()
    assert r"&lt;img src=x onerror=y&gt; \[a\](http&#58;//evil) \*\*e\*\*" in text
    assert "<img" not in text and "[a](" not in text and " **e**" not in text


def test_settings_of_one_label_are_named_with_their_digest(rows):
    for latent, share in ((5, 0.9), (6, 0.8)):
        rows.add(halves(*[share] * 3), "fader", hyperparameters={"n_latent": latent})
    digests = [rows.entries[place].row.settings_digest[:8] for place in (0, 3)]
    text = rows.text()
    assert f"**fader v1 `{digests[0]}`** is sig" in text
    assert f"above fader v1 `{digests[1]}` (" in text


# ----------------------------------------------------------------------------------------- the page


def test_the_page_has_the_verdict_of_each_track_with_rows(add, make_run, directory):
    add(*(make_run(seed=seed, nearest=0.9) for seed in range(4)))
    add(*(make_run(seed=seed, nearest=0.1, method="baseline") for seed in range(4)))
    other = "apogee-giants-snr50"
    for seed in range(3):
        add(make_run(task=other, seed=seed, method="baseline"), task=FakeTask(name=other))
    entries = load(directory)
    build(entries, directory)
    page = (directory / "LEADERBOARD.md").read_text()
    section = page.partition(TITLE)[2].partition("\n## ")[0]
    assert "On apogee-giants, **fader** is significantly better than the other method: " in section
    assert f"On {other}, **baseline** is the only method that competes, with " in section
    assert "snr100" not in section
    assert page.index(TITLE) < page.index("\n## apogee-giants\n")
    expected = verdicts(sections(entries))
    for order in itertools.islice(itertools.permutations(entries), 0, 40_000, 5_003):
        assert verdicts(sections(order)) == expected


def test_the_verdict_is_of_the_newest_section_with_a_competing_method(add, make_run, directory):
    add(*(make_run(seed=seed, nearest=0.9) for seed in range(3)))
    newer = {"task_version": 2, "data_fingerprint": "new-full"}
    task = FakeTask(version=2, data="new")
    add(make_run(seed=0, method="cheat", control=True, **newer), task=task)
    assert verdicts(sections(load(directory)))["apogee-giants"].groups[0].row.task_version == 1
    add(*(make_run(seed=seed, nearest=0.2, **newer) for seed in range(3)), task=task)
    assert verdicts(sections(load(directory)))["apogee-giants"].groups[0].row.task_version == 2
