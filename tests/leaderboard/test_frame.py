"""The data frame of rows: a line a run, with the values of leaderboard.csv."""

import pytest
from support.rows import diverged

from starbench.leaderboard.frame import rows_frame
from starbench.leaderboard.store.board import load


def test_every_row_is_a_line_with_its_metrics(add, make_run, directory):
    add(*(make_run(seed=seed, nearest=0.6) for seed in range(2)))
    add(make_run(method="other", nearest=0.9), make_run(seed=2, change=diverged))
    rows = rows_frame(directory).set_index("file")
    assert len(rows) == 4
    assert list(rows.method) == ["other", "fader", "fader", "fader"]  # the best first
    for entry in load(directory):
        line, row = rows.loc[entry.path.name], entry.row
        assert (line.task, line.seed, line.status) == (row.task, row.seed, row.status)
        assert line.hyperparameters == row.hyperparameters
        assert line.commit == row.commit
        for name, estimate in row.metrics.items():
            assert line[name] == estimate.value
            assert (line[f"{name}.low"], line[f"{name}.high"]) == (estimate.low, estimate.high)
    (line,) = rows[rows.status == "diverged"].to_dict("records")
    assert line["doppelganger_free"] != line["doppelganger_free"]  # NaN
    assert rows.group.nunique() == 2


def test_means_over_seeds_of_the_shipped_rows():
    rows = rows_frame()
    current = rows[~rows.superseded & (rows.task == "apogee-giants")]
    means = current.groupby("method").doppelganger_free.mean()
    assert means["fader"] == pytest.approx(0.9990, abs=5e-5)
    assert set(rows.label_access) == {"none", "nuisance", "pairs", "oracle"}


def test_older_versions_are_marked(add, make_run, directory):
    add(make_run(method_version=1), make_run(method_version=2, nearest=0.4))
    rows = rows_frame(directory)
    assert dict(zip(rows.method_version, rows.superseded, strict=True)) == {1: True, 2: False}
