"""Suite scores of made rows on many tracks and families, of which the answer is known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.boards import ALL, CHANCE, N_PAIRS, SUITE, Board, ranks_of_share

from starbench.leaderboard.statistics.suite_order import compare_lines
from starbench.tasks.registry import get_task
from starbench.tasks.suites import SUITES, Suite, SuiteTrack, get_suite


@pytest.fixture
def board():
    return Board().add_bound()


def closed(share, bound=1.0):
    return (share - CHANCE) / (bound - CHANCE)


def test_the_score_is_the_mean_over_families_of_the_mean_gap_closed(board):
    line = board.add_method(ALL).line()
    assert {task: track.share for task, track in line.tracks.items()} == pytest.approx(ALL)
    for task, share in ALL.items():
        assert line.tracks[task].gap_closed == pytest.approx(closed(share), rel=1e-12)
    families = {
        "ideal": closed(0.9),
        "noise": (closed(0.5) + closed(0.2)) / 2,
        "crowding": closed(0.4),
        "assumptions": closed(0.6),
    }
    assert line.score.families == pytest.approx(families)
    assert line.score.value == pytest.approx(sum(families.values()) / 4)
    assert line.score.low < line.score.value < line.score.high
    assert line.missing == {} and line.n_seeds == 3


def test_the_gap_reaches_from_chance_to_the_bound_of_each_track():
    board = Board().add_bound(["plain", "noisy", "noisier", "crowded"]).add_bound(["skewed"], 0.8)
    scores = board.add_method(ALL).add_method(dict.fromkeys(ALL, 0.0), "blind").scores()
    assert scores.bound["skewed"].share == 0.8 and scores.bound["skewed"].gap_closed == 1
    assert scores.chance == dict.fromkeys(ALL, 1 / (2 * N_PAIRS - 1))
    fader, blind = scores.lines
    assert fader.tracks["skewed"].gap_closed == pytest.approx(closed(0.6, 0.8))
    assert blind.tracks["skewed"].gap_closed == pytest.approx(-CHANCE / (0.8 - CHANCE))


@settings(max_examples=5, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from(["nuisance", "pairs"]), min_size=1, max_size=3),
    st.lists(st.floats(0, 1), min_size=5, max_size=5),
)
def test_adding_methods_moves_no_other_score(accesses, shares):
    board = Board().add_bound().add_method(ALL)
    before = board.line()
    for number, access in enumerate(accesses):
        others = dict(zip(ALL, shares, strict=True))
        if number == 1:
            del others["noisy"]
        board.add_method(others, f"other-{number}", label_access=access)
    after = board.line()
    assert (after.score.value, after.score.low, after.score.high, after.score.families) == (
        before.score.value, before.score.low, before.score.high, before.score.families
    )  # fmt: skip
    np.testing.assert_array_equal(after.score.draws, before.score.draws)
    for task, track in before.tracks.items():
        assert after.tracks[task].gap_closed == track.gap_closed


def test_a_method_without_every_track_has_no_score_and_the_reason_is_given(board):
    board.add_method(ALL)
    board.add_method({task: ALL[task] for task in ("plain", "noisy")}, "partial")
    scores = board.scores()
    assert [line.row.method for line in scores.lines] == ["fader", "partial"]
    partial = scores.lines[1]
    assert partial.score is None and partial.rank is None
    assert partial.missing == dict.fromkeys(["noisier", "crowded", "skewed"], "no rows")
    assert partial.tracks["noisy"].gap_closed == pytest.approx(closed(0.5))
    with pytest.raises(ValueError, match="with a score"):
        compare_lines(scores.lines[0], partial)


def test_the_newest_version_with_rows_counts_on_all_tracks(board):
    board.add_method(ALL, method_version=1)
    assert board.line().score is not None
    board.add("noisy", 0.7, method_version=2)
    line = board.line()
    assert line.row.method_version == 2 and line.score is None
    assert line.missing == dict.fromkeys(
        ["plain", "noisier", "crowded", "skewed"], "only rows of version 1"
    )


def test_settings_of_a_method_have_a_line_each(board):
    board.add_method(ALL)
    board.add("noisy", 0.7, hyperparameters={"n_latent": 5}, overrides={"n_latent": 5})
    default, changed = board.scores().lines
    assert default.score is not None and default.row.overrides == {}
    assert changed.missing["plain"] == "only rows of other settings"
    assert changed.group.label == "fader (n_latent = 5)"


def test_a_track_on_which_more_runs_diverged_than_were_scored_is_missing(board):
    shares = {task: share for task, share in ALL.items() if task != "crowded"}
    board.add_method(shares).add("crowded", 0.9, seeds=(0,), n_diverged=2)
    line = board.line()
    assert line.score is None
    assert line.missing == {"crowded": "2 of 3 runs diverged"}


def test_rows_of_another_version_of_a_track_do_not_count_and_this_is_said(board):
    board.add_method(ALL)
    before = board.line()
    board.add("skewed", 0.1, task_version=1).add("skewed", 0.1, task_version=3)
    scores = board.scores()
    assert scores.lines[0].score.value == before.score.value
    assert scores.remarks == (
        "Rows of skewed version 1 and 3 do not count, as made-v1 has version 2.",
    )


def test_rows_of_other_data_do_not_count_and_this_is_said(board):
    board.add_method(ALL).add("plain", 0.1, method="stray", data_fingerprint="other-full")
    scores = board.scores()
    assert [line.row.method for line in scores.lines] == ["fader"]
    assert scores.remarks == (
        "Of plain version 1 only rows of data abc123-full and of the newest metric versions count.",
    )


@pytest.mark.parametrize(
    ("missing", "bound", "sentence"),
    [
        (True, 1.0, "information-bound has no row with its default settings on crowded version 1."),
        (False, 0.0, "the bound of crowded version 1 is at chance."),
    ],
)
def test_without_a_bound_there_is_no_score_and_this_is_said(missing, bound, sentence):
    board = Board().add_bound([task for task in ALL if task != "crowded"]).add_method(ALL)
    unknown = {"hyperparameters": {"n_latent": 1}, "overrides": {"n_latent": 1}}
    board.add("crowded", 1.0, (0,), "information-bound", control=True, **unknown)
    if not missing:
        board.add_bound(["crowded"], bound)
    scores = board.scores()
    fader = next(line for line in scores.lines if line.row.method == "fader")
    assert fader.score is None and fader.missing == {}
    assert fader.tracks["crowded"].gap_closed is None
    assert fader.tracks["crowded"].share == pytest.approx(0.4)
    assert scores.remarks == (f"No method has a score, as {sentence}",)


def test_a_track_without_rows_leaves_nobody_a_score_and_this_is_said():
    rest = {task: share for task, share in ALL.items() if task != "skewed"}
    scores = Board().add_bound(rest).add_method(rest).scores()
    assert scores.lines[0].missing == {"skewed": "no rows"}
    assert scores.remarks == (
        "No method has a score, as there are no scored rows of skewed version 2.",
    )
    assert Board().scores().lines == ()


# ----------------------------------------------------------------------------- intervals and ranks


def two_tracks(stars):
    return Suite(
        "two-v1",
        (SuiteTrack("plain", 1, "ideal", "plain"), SuiteTrack("noisy", 1, "noise", stars)),
    )


def width(score):
    return score.high - score.low


def test_tracks_of_the_same_stars_share_the_resampled_pairs(board):
    """The same pairs are found on both tracks, so that only other stars average the error out."""
    board.add_method({"plain": 0.5, "noisy": 0.5})
    one = 2 * 1.96 * np.sqrt(0.25 / N_PAIRS)
    assert width(board.line(suite=two_tracks("plain")).score) == pytest.approx(one, rel=0.1)
    other = board.line(suite=two_tracks("noisy")).score
    assert width(other) == pytest.approx(one / np.sqrt(2), rel=0.1)


def test_the_bound_is_resampled_with_the_method():
    """A method that finds exactly what the bound finds closes the gap in every resample."""
    suite = two_tracks("noisy")
    board = Board().add_bound(["plain", "noisy"], 0.6).add_method({"plain": 0.6, "noisy": 0.6})
    score = board.line(suite=suite).score
    assert score.value == pytest.approx(1) and width(score) < 1e-9


def test_seeds_widen_the_interval_by_student_s_t(board):
    seeds = [0.45, 0.5, 0.55]
    board.add_method({"plain": seeds, "noisy": 0.0})
    # Half of a share whose standard error over three seeds is 5 / sqrt(3) points.
    expected = 2 * 4.30 * 0.05 / np.sqrt(3) / 2
    assert width(board.line(suite=two_tracks("noisy")).score) == pytest.approx(expected, rel=0.12)


def test_the_seeds_of_many_tracks_narrow_the_interval(board):
    """Six tracks of three seeds each know the scatter with twelve degrees of freedom, not two."""
    seeds = [0.45, 0.5, 0.55]
    tasks = ["a", "b", "c", "d", "e", "f"]
    suite = Suite("six-v1", tuple(SuiteTrack(task, 1, "ideal", task) for task in tasks))
    board.add_bound(tasks).add_method(dict.fromkeys(tasks, seeds))
    pairs = np.sqrt(0.25 / N_PAIRS / 6)
    # The t of each track has a variance of 12 / 10; so has their sum, which is nearly normal.
    of_seeds = 0.05 / np.sqrt(3 * 6) * np.sqrt(12 / 10)
    expected = 2 * 1.96 * np.hypot(pairs, of_seeds)
    assert width(board.line(suite=suite).score) == pytest.approx(expected, rel=0.1)


def test_ranks_count_the_significantly_better_of_the_same_label_access(board):
    board.add_method(ALL, "best")
    board.add_method({task: share - 0.001 for task, share in ALL.items()}, "tied")
    board.add_method({task: share - 0.1 for task, share in ALL.items()}, "worse")
    board.add_method(dict.fromkeys(ALL, 1.0), "sees-pairs", label_access="pairs")
    board.add_method(dict.fromkeys(ALL, 1.0), "cheat", control=True)
    shuffled = np.random.default_rng(0).permutation(N_PAIRS)
    own = {task: [ranks_of_share(share, shuffled)] * 3 for task, share in ALL.items()}
    board.add_method(own, "other-pairs")
    ranks = {line.row.method: line.rank for line in board.scores().lines}
    assert ranks == {
        "best": 1, "tied": 1, "other-pairs": 1, "worse": 4, "sees-pairs": 1, "cheat": None
    }  # fmt: skip
    compared = compare_lines(board.line("best"), board.line("other-pairs"))
    assert not compared.separable and compared.low < 0 < compared.high


def test_there_is_no_rank_below_three_seeds(board):
    board.add_method(ALL, "patient")
    for task in ALL:
        n_seeds = 2 if task == "noisy" else 3
        board.add(task, 0.95, range(n_seeds), "hasty")
    hasty, patient = board.line("hasty"), board.line("patient")
    assert hasty.score.value > patient.score.value and hasty.rank is None and hasty.n_seeds == 2
    assert patient.rank == 1, "and it pushes nobody down"


def test_settings_of_one_method_do_not_push_each_other_down(board):
    board.add_method(dict.fromkeys(ALL, 0.9))
    changed = {"hyperparameters": {"n_latent": 5}, "overrides": {"n_latent": 5}}
    board.add_method(dict.fromkeys(ALL, 0.8), **changed).add_method(dict.fromkeys(ALL, 0.7), "b")
    assert [line.rank for line in board.scores().lines] == [1, 1, 2]


def test_the_order_of_the_rows_does_not_matter(board):
    board.add_method(ALL).add_method(dict.fromkeys(ALL, 0.5), "other").add("plain", 0.1, method="c")

    def facts(scores):
        return [
            (line.row.method, line.score and (line.score.value, line.score.low), line.rank)
            for line in scores.lines
        ]

    expected = facts(board.scores())
    for seed in range(3):
        np.random.default_rng(seed).shuffle(board.entries)
        assert facts(board.scores()) == expected


# --------------------------------------------------------------------------------------- the suites


@pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES)
def test_the_tracks_of_a_suite_are_tasks_of_that_version_and_family(suite):
    assert len(set(suite.tasks)) == len(suite.tracks)
    for track in suite.tracks:
        card = get_task(track.task).card
        assert (card.version, card.family) == (track.version, track.family)


@pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES)
def test_tracks_of_the_same_stars_have_the_same_labels(suite):
    labels = {track: get_task(track.task).drawn_labels("test", "tiny")[1] for track in suite.tracks}
    for track, composition in labels.items():
        for other, of_other in labels.items():
            same = np.array_equal(composition, of_other)
            assert same == (track.stars == other.stars)


def test_a_suite_may_grow_by_a_track(board):
    board.add_method(ALL)
    grown = replace(SUITE, tracks=(*SUITE.tracks, SuiteTrack("new", 1, "reality", "new")))
    assert board.line(suite=grown).score is None
    board.add_bound(["new"]).add("new", 0.3)
    assert board.line(suite=grown).score.families["reality"] == pytest.approx(closed(0.3))


def test_an_unknown_suite_is_refused():
    from starbench.tasks.errors import DataError

    with pytest.raises(DataError, match="no suite 'stars'; choose one of giants-v1"):
        get_suite("stars")
