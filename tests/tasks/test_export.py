import errno
import gc
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import datasets
import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
from support.toy_task import ToySurvey, ToyTask

from starbench.tasks import export as exporting
from starbench.tasks.base import SPLITS
from starbench.tasks.errors import DataError
from starbench.tasks.export import export
from starbench.tasks.own.hdf5 import OwnData
from starbench.tasks.registry import get_task
from starbench.tasks.storage.files import require_disk_space

FIELDS = ("flux", "nuisance", "composition")
OUTS = {"hdf5": "out.h5", "parquet": "out", "datasets": "out"}


@pytest.fixture
def task(pairs_file, monkeypatch):
    """Own pairs, read in pieces of three."""
    monkeypatch.setattr("starbench.tasks.own.hdf5._CHUNK_BYTES", 3 * 8 * 12)
    path = pairs_file(wavelength=np.sort(np.random.default_rng(0).uniform(4e3, 5e3, 12)))
    with h5py.File(path, "r+") as file:
        file["wavelength"].attrs["medium"] = "air"
    return OwnData(path)


def write(task, out, form=None, **options):
    export(task, "own", out, form, progress=False, **options)
    return out


def assert_same(a, b, without=()):
    for name in ("wavelength_unit", "nuisance_names", "nuisance_units", "elements"):
        assert getattr(a, name) == getattr(b, name)
    assert a.card.medium == b.card.medium
    assert np.array_equal(a.wavelength, b.wavelength)
    for split in SPLITS:
        one, two = a.load(split, "own"), b.load(split, "own")
        for name in FIELDS:
            if (split, name) not in without:
                assert np.array_equal(getattr(one, name), getattr(two, name)), (split, name)


@pytest.mark.parametrize("form", OUTS)
def test_exported_pairs_are_read_back_unchanged(task, form, tmp_path):
    out = write(task, tmp_path / OUTS[form], form)
    again = get_task(data=out, cache=tmp_path / "cache", progress=False)
    assert again.card.medium == "air"
    assert_same(again, task)
    assert again.fingerprint("own") == task.fingerprint("own")
    assert again.name == "own-data-out"
    assert {p.name for p in tmp_path.iterdir()} <= {task.path.name, out.name, "cache"}


@pytest.mark.parametrize("form", OUTS)
def test_the_composition_of_test_can_be_withheld(task, form, tmp_path):
    out = write(task, tmp_path / OUTS[form], form, withhold_composition=True)
    again = get_task(data=out, cache=tmp_path / "cache", progress=False)
    again.prepare("own", progress=False)
    assert_same(again, task, without=[("test", "composition")])
    assert again.load("test", "own").composition is None
    assert again.labels_on_disk("test", "own")[1] is None
    composition = task.load("test", "own").composition
    for path in [out] if out.is_file() else out.rglob("*"):
        assert path.is_dir() or composition[1].tobytes() not in path.read_bytes()
    with pytest.raises(DataError, match="has no composition in test; remove --withhold-comp"):
        write(again, tmp_path / "twice.h5", withhold_composition=True)


def test_pairs_without_composition_are_exported(pairs_file, tmp_path):
    task = OwnData(pairs_file(**{f"{split}/composition": None for split in SPLITS}))
    for form, name in OUTS.items():
        out = write(task, tmp_path / form / name, form)
        assert_same(get_task(data=out, cache=tmp_path, progress=False), task)


def test_parquet_has_plain_columns_and_metadata(task, tmp_path):
    out = write(task, tmp_path / "out")
    assert sorted(path.name for path in out.iterdir()) == [
        "README.md", "croissant.json", "test.parquet", "train.parquet", "validation.parquet",
    ]  # fmt: skip
    table = pq.read_table(out / "train.parquet")
    assert table.column_names == [*FIELDS, "starbench"]
    about = json.loads(table.schema.metadata[b"starbench"])
    assert about == json.loads(table["starbench"][0].as_py())
    assert table["starbench"].null_count == len(table) - 1
    assert about["wavelength"] == task.wavelength.tolist()
    assert (about["task"], about["version"], about["scale"]) == (task.name, 1, "own")
    assert about["fingerprint"] == task.fingerprint("own")
    train = task.load("train", "own")
    for name in FIELDS:
        assert np.array_equal(np.array(table[name].to_pylist(), "f4"), getattr(train, name))


def test_metadata_survive_operations_of_hugging_face_datasets(task, tmp_path):
    """Of a table's metadata and a data set's description nothing reaches the Hub and back."""
    out = write(task, tmp_path / "out", "datasets")
    loaded = datasets.load_from_disk(str(out))
    flux = loaded["train"].with_format("numpy")[:]["flux"]
    assert flux.dtype == np.float32
    assert np.array_equal(flux, task.load("train", "own").flux)
    # push_to_hub writes Parquet, which load_dataset reads
    for split in SPLITS:
        loaded[split].to_parquet(str(tmp_path / "hub" / f"{split}.parquet"))
    hub = datasets.load_dataset(
        "parquet", data_dir=str(tmp_path / "hub"), cache_dir=str(tmp_path / "hf")
    )
    assert json.loads(hub["test"][0]["starbench"])["nuisance_names"] == ["u0", "u1"]
    hub.save_to_disk(str(tmp_path / "again"))
    assert_same(get_task(data=tmp_path / "again", cache=tmp_path / "cache", progress=False), task)


def test_an_existing_export_is_replaced_only_with_force(task, tmp_path):
    for form, name in OUTS.items():
        out = tmp_path / form / name
        write(task, out, form)
        with pytest.raises(DataError, match=r"exists; give --force to replace it\."):
            write(task, out, form)
        write(task, out, form, withhold_composition=True, force=True)
        again = get_task(data=out, cache=tmp_path, progress=False)
        assert again.labels_on_disk("test", "own")[1] is None
        assert [path.name for path in out.parent.iterdir()] == [name]


def test_a_folder_that_is_not_an_export_is_never_replaced(task, tmp_path):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter.tex").write_text("years of work")
    for form in OUTS:
        with pytest.raises(DataError, match="is not an earlier export as"):
            write(task, folder, form, force=True)
    assert (folder / "chapter.tex").read_text() == "years of work"


@pytest.mark.parametrize(
    "name", ["README.md", "train/cat.jpg", "train/state.json/x", "x/train.parquet", "test/me"]
)
def test_a_folder_that_looks_like_an_export_is_not_replaced(task, tmp_path, name):
    folder = tmp_path / "mine"
    for split in SPLITS:
        (folder / split).mkdir(parents=True)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("mine")
    for form in ("parquet", "datasets"):
        with pytest.raises(DataError, match="is not an earlier export as"):
            write(task, folder, form, force=True)
    assert (folder / name).read_text() == "mine"


@pytest.mark.parametrize("name", ["a:b", "a::b", "line\nbreak", "[x]*%s %20", "b\udcff"])
@pytest.mark.parametrize("form", OUTS)
def test_folders_of_any_name_are_written_to(task, form, name, tmp_path, monkeypatch):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    out = Path(name) / OUTS[form]
    if form == "datasets" and name in ("a::b", "b\udcff"):
        with pytest.raises(DataError, match="which `datasets` cannot write to; choose another"):
            write(task, out, form)
        assert not list((tmp_path / name).iterdir())
        return
    write(task, out, form)
    (tmp_path / name).rename(tmp_path / "plain")
    again = get_task(data=tmp_path / "plain" / out.name, cache=tmp_path / "c", progress=False)
    assert_same(again, task)
    assert {p.name for p in tmp_path.iterdir()} <= {task.path.name, "plain", "c"}


@pytest.mark.parametrize("form", [*OUTS, "stars"])
def test_a_disk_that_fills_up_while_it_is_written_keeps_nothing(small_disk, form, monkeypatch):
    """As other programs may fill it after the space was found to be enough."""
    monkeypatch.setattr("starbench.tasks.storage.files.require_disk_space", lambda *_: None)
    (small_disk / "full").write_bytes(bytes(2_070_000))
    task, form = (ToySurvey(), "parquet") if form == "stars" else (ToyTask(), form)
    out = small_disk / OUTS[form]
    with pytest.raises(OSError, match="no room left on the disk") as caught:
        export(task, "tiny", out, form, progress=False)
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(out)
    assert [path.name for path in small_disk.iterdir()] == ["full"]
    del caught  # and with it the files that `datasets` maps, which keep the disk from being removed
    gc.collect()


def test_an_unknown_suffix_is_refused(task, tmp_path):
    with pytest.raises(DataError, match=r"suffix \.fits of OUT .* names no format; give a file"):
        write(task, tmp_path / "out.fits")
    write(task, tmp_path / "out.HDF5")
    assert h5py.is_hdf5(tmp_path / "out.HDF5")


@pytest.mark.parametrize("form", OUTS)
def test_an_interrupted_export_leaves_the_earlier_one(task, form, tmp_path):
    out = tmp_path / "new" / OUTS[form]

    def cut_off(split, scale):
        for rows, piece in task.chunks(split, scale):
            yield rows, piece
            if split == "validation":
                raise KeyboardInterrupt

    broken = SimpleNamespace(
        **{name: getattr(task, name) for name in dir(task) if not name.startswith("_")}
    )
    broken.chunks = cut_off
    with pytest.raises(KeyboardInterrupt):
        write(broken, out, form)
    assert list(out.parent.iterdir()) == []

    write(task, out, form)
    before = {path: path.read_bytes() for path in out.parent.rglob("*") if path.is_file()}
    with pytest.raises(KeyboardInterrupt):
        write(broken, out, form, force=True)
    assert {p: p.read_bytes() for p in out.parent.rglob("*") if p.is_file()} == before


def test_a_full_disk_is_reported_in_one_sentence_and_leaves_no_file(task, tmp_path, monkeypatch):
    free = SimpleNamespace(free=100, total=10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    with pytest.raises(OSError, match="free some space, or choose another OUT") as caught:
        write(task, tmp_path / "new" / "out.h5")
    assert caught.value.errno == errno.ENOSPC and caught.value.filename.endswith("out.h5")
    assert not list((tmp_path / "new").iterdir())


def test_export_holds_one_chunk_in_memory(task, tmp_path, monkeypatch):
    sizes, real = [], exporting._batch

    def batch(piece, *rest):
        sizes.append(len(piece))
        return real(piece, *rest)

    monkeypatch.setattr(exporting, "_batch", batch)
    write(task, tmp_path / "out")
    assert sizes == [3, 3, 3, 1, 3, 1]


def test_the_progress_bar_counts_the_pairs(task, tmp_path, capsys):
    export(task, "own", tmp_path / "out", "datasets")
    shown = capsys.readouterr().err
    assert "export: 100% 14/14" in shown and "Saving the dataset" not in shown
    export(task, "own", tmp_path / "more", "datasets", progress=False)
    assert capsys.readouterr().err == ""


def test_a_file_system_without_a_size_is_not_called_full(monkeypatch, tmp_path):
    nothing = SimpleNamespace(total=0, free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: nothing)
    require_disk_space(tmp_path / "out.h5", 10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(total=10**9, free=10))
    with pytest.raises(OSError, match="No space left"):
        require_disk_space(tmp_path / "out.h5", 10**6)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="the system has no /proc")
@pytest.mark.parametrize("name", ["out.h5", "out"])
def test_a_folder_that_takes_no_files_is_named(task, name):
    with pytest.raises(OSError, match=rf"choose another OUT: '/proc/{name}'"):
        write(task, Path("/proc") / name)


def test_stars_without_twins_survive_the_export(tmp_path):
    track = get_task("apogee-giants-labels")
    out = tmp_path / "pairs.h5"
    export(track, "tiny", out, twins=True, progress=False)
    own = OwnData(out, cache=tmp_path)
    own.prepare("own", progress=False)
    assert own.sizes("own") == track.sizes("tiny")
    assert own.training_split("nuisance") == "stars"
    for split in track.sizes("tiny"):
        read, made = own.load(split, "own"), track.load(split, "tiny")
        assert np.array_equal(read.flux, made.flux)
        assert np.array_equal(read.nuisance, made.nuisance)
        assert np.array_equal(read.composition, made.composition)


def test_tables_do_not_hold_stars_without_twins(tmp_path):
    with pytest.raises(DataError, match=r"only HDF5 holds; .* ends in \.h5"):
        export(get_task("apogee-giants-branch"), "tiny", tmp_path / "pairs", progress=False)
    assert not list(tmp_path.iterdir())


def test_stars_with_two_spectra_are_refused(tmp_path):
    out = tmp_path / "pairs.h5"
    export(get_task("apogee-giants-branch"), "tiny", out, twins=True, progress=False)
    with h5py.File(out, "r+") as file:
        file["stars"].move("flux", "before")
        file["stars/flux"] = np.repeat(file["stars/before"], 2, axis=1)
    with pytest.raises(DataError, match=r"stars/flux has shape .*give \[stars, 1, pixels\]"):
        OwnData(out)
