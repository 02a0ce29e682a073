"""What is kept beside a row for its figures, and that nothing but checked numbers is taken."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from starbench.common.files import write_hdf5
from starbench.leaderboard.store.traces import MAX_EPOCHS, read_trace, trace_files
from starbench.results.history import write_history
from starbench.results.text import RowError

N_PIXELS = 2_000


def write_example(folder, **changes):
    """Write the spectra of a star as a run does."""
    wave = np.linspace(15_000, 16_000, N_PIXELS)
    flux = (1 - 0.4 * np.exp(-0.5 * ((wave - 15_500) / 2) ** 2)).astype(np.float32)
    spectra = {"wavelength": wave, "flux": flux, "reconstruction": flux + 1e-3,
               "swapped_reconstruction": flux - 2e-3}  # fmt: skip
    write_hdf5(
        folder / "example.h5",
        spectra | changes,
        {"pair": 3, "half": 1, "nuisance": np.array([4500.0, 2.5]),
         "twin_nuisance": np.array([4100.0, 1.6]), "nuisance_names": ["Teff", "logg"]},
    )  # fmt: skip


def write_epochs(folder, n=20):
    rows = [{"epoch": epoch, "loss": 1 / epoch} for epoch in range(1, n + 1)]
    rows[-1]["validation_doppelganger_free"] = 0.5
    write_history(folder / "history.csv", rows)


@pytest.fixture
def run(make_run):
    folder = make_run()
    write_epochs(folder)
    write_example(folder)
    return folder


def test_an_added_row_keeps_a_small_part_of_the_run(add, run):
    (path,) = add(run)
    history, example = trace_files(path)
    assert history.stat().st_size < 5_000
    assert example.stat().st_size < 30_000
    kept, whole = read_trace(path), read_trace(run / "row.json")
    assert [row["epoch"] for row in kept.history] == list(range(1, 21))
    assert kept.history[-1]["validation_doppelganger_free"] == 0.5
    assert len(kept.example.flux) == 300
    assert kept.example.flux.min() == whole.example.flux.min()  # the window holds the line
    assert (kept.example.pair, kept.example.half) == (3, 1)
    assert kept.example.twin_nuisance == pytest.approx((4100, 1.6))


def test_the_same_run_gives_the_same_bytes_and_a_copied_row_too(add, run, tmp_path):
    (path,) = add(run)
    before = [file.read_bytes() for file in trace_files(path)]
    (path,) = add(run, replace=True)
    assert [file.read_bytes() for file in trace_files(path)] == before
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in path.parent.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (path,) = add(copy / path.name, replace=True)
    assert [file.read_bytes() for file in trace_files(path)] == before


def test_replacing_a_row_removes_its_old_history_and_example(add, run, make_run):
    add(run)
    (path,) = add(make_run(), replace=True)
    assert not any(file.exists() for file in trace_files(path))
    assert read_trace(path) == type(read_trace(path))()


def test_a_long_history_is_thinned_from_its_end(add, run):
    write_epochs(run, 1_000)
    (path,) = add(run)
    history = read_trace(path).history
    assert len(history) <= MAX_EPOCHS
    assert history[-1]["epoch"] == 1_000
    assert trace_files(path)[0].stat().st_size < 10_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epoch,<script>alert(1)</script>\n1,2\n", "column names may contain only letters"),
        ("loss,epoch\n1,2\n", "first column should be `epoch`"),
        ("epoch,loss,loss\n1,2,3\n", "no name should occur twice"),
        (
            ",".join(["epoch", *(f"a{i}" for i in range(30))]) + "\n" + "1," * 30 + "1\n",
            "exceeds 24 columns",
        ),
        ("epoch,loss\n1,nan\n", "should be a finite number"),
        ("epoch,loss\n1,1e300\n", "a number of 1e30 or more"),
        ("epoch,loss\n1,<b>\n", "should be a finite number"),
        ("epoch,loss\n1\n", "has 1 fields, but the header has 2"),
        ("epoch,loss\n2,1\n1,1\n", "should increase"),
        ("epoch,loss\n,1\n", "should be a finite number"),
        ('epoch,"loss\n', "not a CSV history"),
        ("epoch,lo\u202ess\n1,1\n", "column names may contain only letters"),
        ("epoch,loss\n" + "1,1\n" * 600_000, "larger than 2,000,000 bytes"),
    ],
)
def test_a_hostile_history_is_refused(add, run, directory, text, words):
    (run / "history.csv").write_text(text)
    with pytest.raises(RowError, match=words):
        add(run)
    assert not (directory / "rows").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"flux": np.full(N_PIXELS, np.inf, np.float32)}, "`flux` should hold numbers between"),
        ({"flux": np.ones((N_PIXELS, 2))}, "`flux` should be 1 to"),
        ({"flux": np.ones(N_PIXELS, int)}, "`flux` should be 1 to"),
        ({"flux": np.ones(2_000_000, np.float16)}, "`flux` should be 1 to"),
        ({"flux": np.ones(7)}, "should have the same length"),
        ({"wavelength": np.ones(N_PIXELS)}, "`wavelength` should increase"),
    ],
)
def test_a_hostile_example_is_refused(add, run, changes, words):
    write_example(run, **changes)
    with pytest.raises(RowError, match=words):
        add(run)


def test_an_example_reads_no_other_file(add, run, tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["flux"] = np.ones(N_PIXELS)
    with h5py.File(run / "example.h5", "a") as file:
        del file["flux"]
        file["flux"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "flux")
    with pytest.raises(RowError, match="`flux` should be a dataset stored in this file"):
        add(run)


@pytest.mark.parametrize(("field", "value"), [("pair", "x"), ("half", 2), ("nuisance", "y")])
def test_attributes_of_another_type_are_refused(add, run, field, value):
    with h5py.File(run / "example.h5", "a") as file:
        file.attrs[field] = value
    with pytest.raises(RowError, match=r"`(pair|half|nuisance)`"):
        add(run)


def test_a_file_that_is_not_hdf5_is_refused(add, run):
    (run / "example.h5").write_bytes(b"not HDF5")
    with pytest.raises(RowError, match="a damaged HDF5 file"):
        add(run)


def test_histories_and_examples_of_the_committed_rows_are_valid_and_small():
    rows = sorted((Path(__file__).parents[3] / "leaderboard" / "rows").glob("*.json"))
    for path in rows[::6]:  # `add` has read each; all of them would take a second for 20 rows
        read_trace(path)
    for path in rows:
        assert all(file.stat().st_size < 30_000 for file in trace_files(path) if file.exists())
