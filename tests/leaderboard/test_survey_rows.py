"""Rows of a survey on the leaderboard: stars in groups in place of pairs."""

import json
import re
from dataclasses import dataclass

import numpy as np
import pytest
from support.rows import FakeTask, row_content

from starbench.leaderboard.pages.comparison import comparison_text
from starbench.leaderboard.pages.generate import pages
from starbench.leaderboard.statistics.aggregate import sections
from starbench.leaderboard.statistics.compare import choose, ranks_of
from starbench.leaderboard.statistics.judgement import judge
from starbench.leaderboard.statistics.resampling import found_share
from starbench.leaderboard.store import board
from starbench.leaderboard.store.rank_changes import rank_changes
from starbench.leaderboard.web.build import build_site
from starbench.leaderboard.web.model import summarise
from starbench.leaderboard.web.numbers import recovery_curve
from starbench.metrics import ordered_pairs, recovery_estimates, sibling_ranks
from starbench.results.ranks import Ranks, write_ranks
from starbench.results.schema import parse_row, write_row
from starbench.results.text import RowError
from starbench.tasks.registry import get_task

GROUP = np.concatenate([np.repeat(np.arange(12), 3 + np.arange(12) % 4), 100 + np.arange(40)])


@dataclass
class FakeSurvey(FakeTask):
    name: str = "apogee-giants-survey"

    def sizes(self, scale):
        return {"train": 10, "validation": 10, "test": len(GROUP)}

    def drawn_labels(self, split, scale):
        draws = np.random.default_rng(0)
        return draws.uniform(4000, 5000, (len(GROUP), 1, 2)), draws.normal(size=(len(GROUP), 1))


@pytest.fixture
def survey_rows(tmp_path, add):
    """Add rows of two methods, three seeds each, of which the second finds fewer siblings."""
    runs = []
    for method, spread in (("fader", 0.3), ("hsic", 1.0)):
        for seed in range(3):
            draws = np.random.default_rng(seed)
            centre = np.random.default_rng(9).normal(size=(GROUP.max() + 1, 3))
            latent = centre[GROUP] + spread * draws.normal(size=(len(GROUP), 3))
            ranks = sibling_ranks(latent, GROUP)
            content = row_content(
                np.ones((2, 2), int), np.zeros((2, 2), int), seed=seed, method=method,
                task="apogee-giants-survey",
            )  # fmt: skip
            content["metrics"] = {
                name: {"value": e.value, "low": e.low, "high": e.high, "version": e.version}
                for name, e in recovery_estimates(ranks).items()
            }
            stored = Ranks.of(ranks)
            content["ranks_sha256"] = board_digest(stored)
            folder = tmp_path / "runs" / f"{method}-{seed}"
            folder.mkdir(parents=True)
            write_row(parse_row(json.dumps(content)), folder / "row.json")
            write_ranks(folder / "ranks.h5", *stored)
            runs.append(folder)
    return add(*runs, task=FakeSurvey())


def board_digest(ranks):
    from starbench.results.ranks import ranks_digest

    return ranks_digest(ranks.rank)


def test_rows_of_a_survey_are_added_judged_and_compared(reproduced_rows, survey_rows, directory):
    entries = board.load(directory)
    assert len(entries) == 6
    (section,) = sections(entries)
    groups = [group for group in section.groups if group.entries]
    for group, of_seeds in zip(groups, ranks_of(groups), strict=True):
        for entry, ranks in zip(group.entries, of_seeds, strict=True):
            assert ranks.n_stars == len(GROUP)
            share = found_share(ranks, "doppelganger_free")
            assert len(share) == 12
            assert share.mean() == pytest.approx(entry.row.metrics["doppelganger_free"].value)
    ranks = judge([section]).ranks
    assert sorted(ranks.values()) == [1, 2]
    chosen = choose(entries, "fader", "hsic", "apogee-giants-survey")
    text = comparison_text(chosen, "doppelganger_free", FakeSurvey())
    assert "A, fader" in text and "fifths" not in text
    first, second = (of_seeds[0] for of_seeds in ranks_of(chosen))
    changes = rank_changes(first, second)
    assert changes.only_row > changes.only_again and changes.excess > 0
    assert rank_changes(first, first).differing == 0


def test_pages_and_figures_of_a_survey_do_not_fail(survey_rows, directory):
    entries = board.load(directory)
    assert any("apogee-giants-survey" in text for text in pages(entries, directory).values())
    track = next(
        track
        for track in summarise(entries, lambda name: FakeSurvey()).tracks
        if track.task == "apogee-giants-survey"
    )
    assert track.nuisance is None  # no maps over the labels of pairs
    best = track.standings[0]
    assert best.n_stars == len(GROUP) and best.found.shape == (len(ordered_pairs(GROUP)),)
    curve = recovery_curve(ranks_of([best.group])[0])
    assert curve.share[0] == pytest.approx(best.nearest) and (np.diff(curve.share) >= 0).all()


def test_a_surveys_page_speaks_of_siblings(survey_rows, directory, tmp_path, monkeypatch):
    card = get_task("apogee-giants-survey").card
    monkeypatch.setattr(FakeSurvey, "card", card, raising=False)
    build_site(board.load(directory), tmp_path / "site", get_task=lambda name: FakeSurvey())
    page = (tmp_path / "site" / "tracks" / "apogee-giants-survey.html").read_text()
    assert "<h2>Nearest siblings</h2>" in page and "<h2>Two siblings, before and after</h2>" in page
    assert "over seeds and groups" in page and "over seeds and pairs" not in page
    figures = re.sub(r"<[^>]+>", " ", page[page.index("Two siblings") :])
    figures = figures[: figures.index("Facts")]
    assert not re.search(r"\btwins?\b", figures)


def test_ranks_of_other_stars_are_refused(survey_rows, directory, add, tmp_path):
    class Other(FakeSurvey):
        def sizes(self, scale):
            return {"train": 10, "validation": 10, "test": 99}

    with pytest.raises(RowError, match=r"the ranks are of \d+ stars, but the test split"):
        add(tmp_path / "runs" / "fader-0", task=Other(), replace=True)
