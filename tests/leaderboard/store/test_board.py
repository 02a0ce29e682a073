"""Adding rows to the leaderboard: which are refused and why, all or none."""

import json

import h5py
import numpy as np
import pytest
from support.rows import FakeMethod, diverged, draw_ranks

from starbench.leaderboard.store import board
from starbench.metrics import recovery_estimates, twin_ranks
from starbench.results.ranks import ranks_digest, read_ranks, write_ranks
from starbench.results.schema import read_row, row_text
from starbench.results.text import RowError


def edit(path, **fields):
    content = json.loads(path.read_text())
    content.update(fields)
    path.write_text(json.dumps(content))


def edit_metric(path, name, **changes):
    content = json.loads(path.read_text())
    content["metrics"].setdefault(name, {"version": 1})
    content["metrics"][name] |= changes
    path.write_text(json.dumps(content))


def files(directory):
    return sorted(path.name for path in (directory / "rows").glob("*"))


def test_an_added_row_is_loaded_with_its_ranks(add, make_run, directory):
    run = make_run(seed=3)
    (path,) = add(run)
    assert path.name.startswith("apogee-giants-v1__fader__seed3-")
    (entry,) = board.load(directory)
    assert entry.row == read_row(run / "row.json")
    np.testing.assert_array_equal(
        read_ranks(board.ranks_beside(path)).rank, read_ranks(run / "ranks.h5").rank
    )
    assert len(files(directory)) == 2


def test_a_row_is_added_by_its_file_as_well(add, make_run, directory, tmp_path):
    (path,) = add(make_run() / "row.json")
    other = tmp_path / "other" / "leaderboard"
    copied = board.add([path], other, get_task=_fake_task(), installed_method=lambda name: None)
    assert copied[0].read_bytes() == path.read_bytes()


def _fake_task():
    class Task:
        version = 1
        nuisance_names = elements = ()

        def fingerprint(self, scale):
            return "abc123-full"

        def sizes(self, scale):
            return {"test": 60}

    return lambda name: Task()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"scale": "mini"}, "`scale` is mini, but the leaderboard accepts only full-scale rows"),
        ({"scale": "own"}, "`scale` is own, but the leaderboard accepts only full-scale rows"),
        ({"dirty": True}, "`dirty` is true"),
        ({"task_version": 2}, "`task_version` is 2, but the installed apogee-giants has 1"),
        ({"data_fingerprint": "other"}, "`data_fingerprint` is other, but"),
    ],
)
def test_a_row_that_does_not_belong_is_refused(add, make_run, directory, fields, words):
    with pytest.raises(RowError, match=words):
        add(make_run(**fields))
    assert files(directory) == []


def test_a_failed_run_is_refused(add, make_run):
    run = make_run(change=lambda content: {**diverged(content), "status": "failed"})
    with pytest.raises(RowError, match="`status` is failed, and a crash is not a result"):
        add(run)


def test_a_diverged_run_is_added_without_ranks(add, make_run, directory):
    add(make_run(change=diverged))
    (entry,) = board.load(directory)
    assert entry.row.status == "diverged"
    assert len(files(directory)) == 1


def test_changed_code_is_accepted_only_with_allow_dirty(add, make_run):
    assert add(make_run(dirty=True), allow_dirty=True)


def test_a_row_may_not_claim_another_label_access_than_its_method(add, make_run):
    with pytest.raises(RowError, match="`label_access` is nuisance, but fader declares oracle"):
        add(make_run(), installed_method=lambda name: FakeMethod(label_access="oracle"))
    with pytest.raises(RowError, match="`control` is False, but fader declares True"):
        add(make_run(), installed_method=lambda name: FakeMethod(control=True))
    assert add(make_run(), installed_method=lambda name: FakeMethod())


def test_a_row_that_its_method_could_not_have_produced_is_refused(add, make_run):
    newer = make_run(method_version=7)
    with pytest.raises(RowError, match="`method_version` is 7, but the installed fader has"):
        add(newer, installed_method=lambda name: FakeMethod())
    with pytest.raises(RowError, match="`hyperparameters` and those of fader differ in `depth`"):
        add(
            make_run(hyperparameters={"n_latent": 5, "depth": 3}),
            installed_method=lambda name: FakeMethod(),
        )
    # The hyperparameters of an older version are unknown.
    older = make_run(hyperparameters={"depth": 3})
    assert add(older, installed_method=lambda name: FakeMethod(version=2))
    with pytest.raises(RowError, match="predictions may not take the name of a method that ships"):
        add(
            make_run(predictions_sha256="0" * 64, overrides={}),
            installed_method=lambda name: type(
                "Own", (FakeMethod,), {"__module__": "starbench.x"}
            )(),
        )


def test_ranks_of_another_number_of_stars_are_refused(add, make_run):
    ranks = draw_ranks(0, 0.5, n_pairs=59)
    with pytest.raises(RowError, match="of 59 pairs, but the test split of apogee-giants has 60"):
        add(make_run(ranks=ranks))


def test_a_duplicate_is_refused_unless_it_replaces(add, make_run, directory):
    add(make_run(seed=1))
    again = make_run(seed=1, seconds={"total": 1})
    with pytest.raises(RowError, match=r"has a row of this method.*give --replace"):
        add(again)
    (path,) = add(again, replace=True)
    assert read_row(path).seconds == {"total": 1.0}
    assert len(board.load(directory)) == 1
    run = make_run(seed=2)
    with pytest.raises(RowError, match="given twice"):
        add(run, run)


def test_an_addition_that_was_killed_between_its_rows_can_be_repeated(add, make_run, directory):
    runs = [make_run(seed=seed) for seed in (1, 2)]
    paths = add(*runs)
    expected = files(directory)
    paths[1].unlink()  # killed after the ranks of the second row
    assert add(*runs) == paths
    assert files(directory) == expected
    assert add(*runs) == paths  # killed after all rows, before it said so


def test_replacing_a_scored_row_by_a_diverged_one_leaves_no_stray_ranks(add, make_run, directory):
    add(make_run())
    add(make_run(change=diverged), replace=True)
    assert len(files(directory)) == 1


def test_all_rows_are_added_or_none(add, make_run, directory):
    good, bad = make_run(seed=0), make_run(seed=1, dirty=True)
    with pytest.raises(RowError):
        add(good, bad)
    assert files(directory) == []


def test_a_full_disk_leaves_the_previous_rows(add, make_run, directory, monkeypatch):
    add(make_run(seed=0))
    before = {path: path.read_bytes() for path in (directory / "rows").iterdir()}
    real = board.write_row

    def fails_on_seed_2(row, path):
        if row.seed == 2:
            raise OSError(28, "No space left on device")
        real(row, path)

    monkeypatch.setattr(board, "write_row", fails_on_seed_2)
    runs = [make_run(seed=0, nearest=0.9), make_run(seed=1), make_run(seed=2)]
    with pytest.raises(OSError, match="No space"):
        add(*runs, replace=True)
    assert {path: path.read_bytes() for path in (directory / "rows").iterdir()} == before


@pytest.mark.parametrize(
    "name", ["doppelganger_0.1", "doppelganger_1", "mean_reciprocal_rank", "tied_share"]
)
def test_a_metric_edited_by_hand_is_refused(add, make_run, directory, name):
    run = make_run(nearest=0.3)
    value = json.loads((run / "row.json").read_text())["metrics"][name]["value"]
    edit_metric(run / "row.json", name, value=value + 0.01, high=1.0)
    if name == "doppelganger_0.1":  # stay below the next share, which the schema would notice first
        edit_metric(run / "row.json", "doppelganger_1", value=value + 0.02, high=1.0)
    with pytest.raises(RowError, match=rf"`metrics.{name}.value` is .*but the ranks give"):
        add(run)
    assert files(directory) == []


def test_an_edited_row_on_the_leaderboard_is_refused(add, make_run, directory):
    (path,) = add(make_run())
    edit_metric(path, "doppelganger_free", value=0.0, low=0.0)
    with pytest.raises(RowError, match=r"`metrics.doppelganger_free.value` is 0, but the ranks"):
        board.load(directory)


def test_an_interval_narrowed_by_hand_is_refused(add, make_run):
    run = make_run()
    value = json.loads((run / "row.json").read_text())["metrics"]["doppelganger_free"]["value"]
    edit_metric(run / "row.json", "doppelganger_free", low=value, high=value)
    with pytest.raises(RowError, match=r"`metrics.doppelganger_free` has the interval"):
        add(run)


def test_ranks_edited_by_hand_are_refused(add, make_run):
    run = make_run()
    rank, tied, *_ = read_ranks(run / "ranks.h5")
    write_ranks(run / "ranks.h5", np.ones_like(rank), np.zeros_like(tied))
    with pytest.raises(RowError, match="`ranks_sha256` is not the digest of the ranks"):
        add(run)


def test_ties_edited_by_hand_are_refused(add, make_run):
    run = make_run()
    rank, tied, *_ = read_ranks(run / "ranks.h5")
    write_ranks(run / "ranks.h5", rank, np.zeros_like(tied))
    with pytest.raises(RowError, match=r"`metrics.tied_share.value`"):
        add(run)


def test_missing_ranks_are_named(add, make_run):
    run = make_run()
    (run / "ranks.h5").unlink()
    with pytest.raises(RowError, match=r"ranks.h5: cannot be read"):
        add(run)


def test_unknown_metrics_are_refused(add, make_run):
    run = make_run()
    edit_metric(run / "row.json", "awesomeness", value=1.0, low=1.0, high=1.0)
    with pytest.raises(RowError, match=r"`metrics.awesomeness` is not a metric of this version"):
        add(run)


def test_a_metric_version_from_the_future_is_refused(add, make_run):
    run = make_run()
    edit_metric(run / "row.json", "doppelganger_free", version=9)
    with pytest.raises(RowError, match="is 9, but this starbench has versions up to 1"):
        add(run)


def test_a_file_with_the_name_of_another_row_is_refused(add, make_run, directory):
    (path,) = add(make_run())
    path.rename(path.with_name("zzz.json"))
    board.ranks_beside(path).rename(path.with_name("zzz.ranks.h5"))
    with pytest.raises(RowError, match=r"zzz.json: the file of this row must be named apogee"):
        board.load(directory)


def test_a_row_of_a_smaller_scale_is_refused(add, make_run, directory):
    (path,) = add(make_run())
    edit(path, scale="tiny")
    with pytest.raises(RowError, match="`scale` is tiny"):
        board.load(directory)


def test_unknown_fields_of_a_file_are_not_copied(add, make_run, directory):
    run = make_run()
    with h5py.File(run / "ranks.h5", "a") as file:
        file["stowaway"] = np.arange(1000)
    content = json.loads((run / "row.json").read_text())
    (run / "row.json").write_text(json.dumps(content, indent=7))
    (path,) = add(run)
    with h5py.File(board.ranks_beside(path)) as file:
        assert sorted(file) == ["rank", "tied"]
    assert path.read_text() == row_text(read_row(run / "row.json"))


def test_the_rows_of_one_task_can_be_read_alone(add, make_run, directory):
    add(make_run(), make_run(task="apogee-giants-snr50"))
    for task in ("apogee-giants", "apogee-giants-snr50"):
        assert [entry.row.task for entry in board.load(directory, task=task)] == [task]
    assert board.load(directory, task="apogee") == []
    add(make_run(task="apogee-giants-v1"))  # whose file begins with "apogee-giants-v1", too
    assert len(board.load(directory, task="apogee-giants")) == 1


def test_the_folder_of_a_checkout_is_found_from_within(directory, tmp_path):
    inner = directory.parent / "tasks" / "synthesis"
    inner.mkdir(parents=True)
    assert board.find_directory(inner) == directory.resolve()
    assert board.find_directory(directory / "rows") == directory.resolve()
    with pytest.raises(RowError, match=r"not inside a checkout of starbench; .* --directory"):
        board.find_directory(tmp_path / "runs")
    assert board.readable_directory(inner) == directory.resolve()
    assert board.readable_directory(tmp_path / "runs") == board.shipped_directory()
    assert len(board.load(board.shipped_directory(), checked=False)) >= 150


def test_ranks_are_recomputed_from_latents(tmp_path):
    from starbench.leaderboard.store.checks import check_latents
    from starbench.results.ranks import Ranks

    latent = np.random.default_rng(0).normal(size=(30, 2, 3)).astype(np.float32)
    found = twin_ranks(latent)
    ranks = Ranks(found.rank, found.tied)
    with h5py.File(tmp_path / "latents.h5", "w") as file:
        file["latent"] = latent
    check_latents(ranks, tmp_path / "latents.h5")
    better = Ranks(np.ones_like(found.rank), np.zeros_like(found.tied))
    n_differing = int((found.rank != 1).sum())
    with pytest.raises(RowError, match=f"ranks of {n_differing} of 60 stars differ"):
        check_latents(better, tmp_path / "latents.h5")
    with pytest.raises(RowError, match=r"`latent` should be \[10, 2, d\], not \[30, 2, 3\]"):
        check_latents(Ranks(found.rank[:10], found.tied[:10]), tmp_path / "latents.h5")
    with pytest.raises(RowError, match="no such file"):
        check_latents(ranks, tmp_path / "none.h5")
    (tmp_path / "latents.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(RowError, match="not a complete HDF5 file"):
        check_latents(ranks, tmp_path / "latents.h5")


def test_the_digest_in_a_row_is_that_of_its_ranks(make_run):
    run = make_run()
    row, ranks = board.read_row_and_ranks(run / "row.json")
    assert row.ranks_sha256 == ranks_digest(ranks.rank)
    found = recovery_estimates(ranks.measured())
    assert row.metrics["doppelganger_free"].value == found["doppelganger_free"].value
