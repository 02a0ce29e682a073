"""Damaged and nameless FITS files, surveys that are merged, and exports that come back."""

import gzip
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits
from support import survey_files as made
from support.survey_files import bring

from starbench.tasks.base import Task
from starbench.tasks.errors import DataError
from starbench.tasks.export import export
from starbench.tasks.registry import get_task
from starbench.tasks.survey.apogee_formats import MARK


def ap_stars(folder: Path, n: int = 12) -> Path:
    folder.mkdir()
    for seed in range(n):
        made.write_ap_star(folder / f"apStar-{seed:02d}.fits", f"star{seed}", seed, 1 + seed % 2)
    return folder


def test_a_file_with_an_illegal_keyword_is_left_out(tmp_path):
    folder = ap_stars(tmp_path / "apogee")
    path = folder / "apStar-03.fits"
    content = bytearray(path.read_bytes())
    content[240:248] = b"N\x01XIS\x02 \xff"
    path.write_bytes(content)
    imported = bring(folder, tmp_path / "survey.h5")
    assert imported.report.counts(bad=True) == {"cannot be read": 1}
    assert len(imported.stars) == 16


def test_stars_without_a_name_are_left_out_rather_than_siblings(tmp_path):
    folder = ap_stars(tmp_path / "apogee")
    for seed in (0, 2):
        made.write_ap_star(folder / f"apStar-{seed:02d}.fits", "  ", seed, 1)
    made.write_mwm_star(folder / "mwm.fits", "", 1)
    with fits.open(folder / "mwm.fits", mode="update") as file:
        file[0].header["SDSS_ID"] = -1
        file[2].data["sdss_id"] = -1
    imported = bring(folder, tmp_path / "survey.h5", max_dropped=0.2)
    assert imported.report.counts(bad=True) == {"has no name": 3}
    assert "" not in set(imported.stars["group"])
    first = imported.report.dropped[0].sentence
    assert first == "apStar-00.fits has no name; give its header OBJ or OBJID."


def test_a_truncated_compressed_file_cannot_be_read(tmp_path):
    folder = ap_stars(tmp_path / "apogee")
    content = gzip.compress((folder / "apStar-01.fits").read_bytes())
    (folder / "apStar-12.fits.gz").write_bytes(content[: len(content) // 3])
    report = bring(folder, tmp_path / "survey.h5").report
    assert report.counts(bad=True) == {"cannot be read": 1}
    assert "download it again" in report.dropped[0].sentence


@pytest.mark.parametrize(
    "header", [{}, {"OBJID": "a", "NVISITS": 1}, {"SDSS_ID": 1}, {MARK: "0.1"}]
)
def test_a_header_alone_is_named_as_such(tmp_path, header):
    primary = fits.PrimaryHDU()
    primary.header.update(header)
    primary.writeto(tmp_path / "header.fits")
    with pytest.raises(DataError) as caught:
        bring(tmp_path / "header.fits", tmp_path / "survey.h5")
    assert str(caught.value) == (
        "header.fits holds a header but no data, as if it were cut off; download it again."
    )


def test_a_file_that_ends_between_two_extensions_is_not_of_another_kind(tmp_path):
    export(opened(own_file(tmp_path / "own.h5", 1, names=True), tmp_path), "own",
           tmp_path / "out", "fits", progress=False)  # fmt: skip
    files = {
        made.write_ap_star(tmp_path / "apStar.fits", "star0"): 3,
        made.write_aspcap_star(tmp_path / "aspcapStar.fits", "star0"): 4,
        made.write_mwm_star(tmp_path / "mwmStar.fits", "star0"): 4,
        next((tmp_path / "out").rglob("*.fits")): 4,
    }
    for path, needed in files.items():
        with fits.open(path) as file:
            last = 2 if path.name == "mwmStar.fits" else needed
            end = file[last].fileinfo()["hdrLoc"]
        path.write_bytes(path.read_bytes()[:end])
        sentence = f"ends after extension {last - 1} of the {needed} that it needs, as if it we"
        with pytest.raises(DataError, match=rf"^{path.name} {sentence}"):
            bring(path, tmp_path / "survey.h5")


def own_file(path: Path, seed: int, *, names: bool, unit: str = "Angstrom") -> Path:
    """Write a survey of 60 pixels of the grid, the last of them masked, with groups of three."""
    rng = np.random.default_rng(seed)
    with h5py.File(path, "w") as file:
        file["wavelength"] = made.WAVELENGTH[1000:1060]
        file["wavelength"].attrs.update({"unit": unit, "medium": "vacuum"})
        file.attrs.update({"nuisance_names": ["Teff", "logg"], "nuisance_units": ["K", "dex"]})
        file.attrs["elements"] = ["Fe/H"]
        for split, n in (("train", 9), ("validation", 3), ("test", 6)):
            file[f"{split}/flux"] = rng.normal(1, 0.1, (n, 60)).astype(np.float32)
            error = rng.uniform(0.01, 0.03, (n, 60)).astype(np.float32)
            error[:, -1] = np.inf
            file[f"{split}/error"] = error
            file[f"{split}/nuisance"] = rng.normal(2, 1, (n, 2)).astype(np.float32)
            file[f"{split}/composition"] = rng.normal(0, 0.1, (n, 1)).astype(np.float32)
            file[f"{split}/group"] = np.arange(n) // (1 if split == "train" else 3)
            if names:
                file[f"{split}/identifier"] = [f"s{seed}_{split}_{row}" for row in range(n)]
    return path


def test_groups_of_two_surveys_stay_apart(tmp_path):
    files = [own_file(tmp_path / f"own{k}.h5", k, names=True) for k in (1, 2)]
    stars = bring(files, tmp_path / "both.h5").stars
    assert len(stars) == 36
    sizes = stars[stars["split"] == "test"].groupby("group").size()
    assert sizes.to_dict() == {f"own{k} test {group}": 3 for k in (1, 2) for group in (0, 1)}
    alone = bring(files[0], tmp_path / "one.h5").stars
    assert set(alone.loc[alone["split"] == "test", "group"]) == {"test 0", "test 1"}


@pytest.mark.parametrize("folders", [("", ""), ("a", "b")])
def test_unnamed_stars_of_two_surveys_are_different_stars(tmp_path, folders):
    files = []
    for seed, folder in enumerate(folders):
        (tmp_path / folder).mkdir(exist_ok=True)
        name = "own.h5" if folder else f"own{seed}.h5"
        files.append(own_file(tmp_path / folder / name, seed, names=False))
    imported = bring(files, tmp_path / "both.h5")
    assert imported.report.dropped == [] and len(imported.stars) == 36
    alone = bring(files[0], tmp_path / "one.h5").stars
    assert alone["identifier"].iloc[0] == "train-0"


def test_what_is_given_twice_is_imported_once(tmp_path):
    folder = ap_stars(tmp_path / "apogee")
    (folder / "link.fits").symlink_to(folder / "apStar-01.fits")
    imported = bring([folder, folder / "apStar-02.fits"], tmp_path / "survey.h5")
    assert len(imported.stars) == 18 and not imported.stars["identifier"].str.contains("#").any()
    sentence = "2 files were given more than once, first link.fits; each is imported once."
    assert sentence in imported.report.notes


@pytest.mark.parametrize("unit", ["Å", "\u212b", "A", "angstroms"])
def test_units_by_their_other_names(tmp_path, unit):
    path = own_file(tmp_path / "own.h5", 1, names=True, unit=unit)
    bring(path, tmp_path / "out.h5")
    with h5py.File(tmp_path / "out.h5") as file:
        np.testing.assert_array_equal(file["wavelength"][:], made.WAVELENGTH[1000:1060])


def test_an_unknown_unit_of_a_survey_is_to_be_corrected_in_it(tmp_path):
    path = own_file(tmp_path / "own.h5", 1, names=True, unit="")
    with pytest.raises(DataError, match="in ''; correct the attribute unit of its dataset wavel"):
        bring(path, tmp_path / "out.h5")


def opened(path: Path, tmp_path: Path) -> Task:
    task = get_task(data=path, cache=tmp_path / "cache")
    task.prepare("own", progress=False)
    return task


def changed(path: Path, **values: object) -> Path:
    """Replace attributes of a survey, or with two underscores in them its datasets."""
    with h5py.File(path, "r+") as file:
        for name, value in values.items():
            if "__" in name:
                del file[name.replace("__", "/")]
                file[name.replace("__", "/")] = value
            else:
                file.attrs[name] = value
    return path


def test_fits_keep_pixels_and_values_of_a_survey(tmp_path):
    path = own_file(tmp_path / "own.h5", 1, names=True)
    with h5py.File(path, "r+") as file:
        for split, name, value in (("test", "flux", 0), ("train", "error", 2e9)):
            values = file[f"{split}/{name}"][:]
            values[0, 3], values[1, 4] = value, 0.5
            file[f"{split}/{name}"][...] = values
        wavelength = made.WAVELENGTH[np.r_[1000:1030, 1040:1050, 1051, 1060:1079]]
        file["wavelength"][...] = wavelength
    export(opened(path, tmp_path), "own", tmp_path / "out", "fits", progress=False)
    assert bring(tmp_path / "out", tmp_path / "back.h5").report.dropped == []
    with h5py.File(path) as before, h5py.File(tmp_path / "back.h5") as after:
        np.testing.assert_array_equal(after["wavelength"][:], wavelength)
        for split in ("train", "validation", "test"):
            masked = np.isinf(before[f"{split}/error"][:])
            expected = np.where(masked, 1, before[f"{split}/flux"][:])
            np.testing.assert_array_equal(after[f"{split}/flux"][:], expected)
            for name in ("error", "nuisance", "composition", "identifier"):
                np.testing.assert_array_equal(
                    after[f"{split}/{name}"][:], before[f"{split}/{name}"][:]
                )


def test_older_fits_without_their_pixels_are_read(tmp_path):
    path = own_file(tmp_path / "own.h5", 1, names=True)
    export(opened(path, tmp_path), "own", tmp_path / "out", "fits", progress=False)
    for each in (tmp_path / "out").rglob("*.fits"):
        with fits.open(each) as file:
            file[:5].writeto(each, overwrite=True)
    assert len(bring(tmp_path / "out", tmp_path / "back.h5").stars) == 18
    with h5py.File(tmp_path / "back.h5") as file:
        assert file["train/flux"].shape == (9, 7214)


def test_groups_of_two_surveys_in_fits_stay_apart(tmp_path):
    for seed in (1, 2):
        path = own_file(tmp_path / f"own{seed}.h5", seed, names=True)
        out = tmp_path / "fits" / str(seed)
        export(opened(path, tmp_path), "own", out, "fits", progress=False)
    stars = bring(tmp_path / "fits", tmp_path / "both.h5").stars
    assert len(stars) == 36
    assert stars[stars["split"] == "test"].groupby("group").size().tolist() == [3] * 4


def test_an_export_with_a_declared_noise_can_be_opened(tmp_path):
    path = own_file(tmp_path / "own.h5", 1, names=True)
    with h5py.File(path, "r+") as file:
        for split in ("train", "validation", "test"):
            del file[f"{split}/error"]
        file.attrs["snr"] = 10.0
    export(opened(path, tmp_path), "own", tmp_path / "out.h5", progress=False)
    assert opened(tmp_path / "out.h5", tmp_path).has_errors
    bring(tmp_path / "out.h5", tmp_path / "back.h5")
    with h5py.File(tmp_path / "back.h5") as file:
        assert np.unique(file["test/error"][:]).tolist() == [np.float32(0.1)]


@pytest.mark.parametrize(
    ("form", "values", "sentence"),
    [
        ("fits", {"nuisance_names": ["Teff", "\u03be"]}, r"the label '\\u03be'; "),
        ("fits", {"nuisance_names": ["Teff", "a,b"]}, "between commas, so it does not hold 'a,b'"),
        ("fits", {"nuisance_names": ["Teff", "param"]}, "has no column param for the label param"),
        ("fits", {"validation__identifier": ["a", "\xe9", "b"]}, r"hold the star '\\xe9'; rename"),
        ("fits", {"validation__identifier": ["a", "b\nc", "b"]}, r"hold the star 'b\\nc'; rename"),
        ("fits", {"nuisance_names": ["A", "a"]}, "one column a for the labels A and a; rename one"),
        ("parquet", {"nuisance_names": ["A", "a"]}, "one column a for the labels A and a; rename"),
        ("parquet", {"nuisance_names": ["fe_h", "a"]}, "fe_h for the labels fe_h and Fe/H; rename"),
        ("parquet", {"nuisance_names": ["a", "a_err"]}, "a_err for the error of a, not for the l"),
        ("parquet", {"nuisance_names": ["Group", "a"]}, "no column group for the label Group, as"),
        ("parquet", {"nuisance_names": ["spectrum", "a"]}, "no column spectrum for the label spec"),
        ("parquet", {"nuisance_names": ["star", "a"]}, "no column star for the label star, as imp"),
    ],
)
def test_names_that_a_format_does_not_hold_are_refused(tmp_path, form, values, sentence):
    path = changed(own_file(tmp_path / "own.h5", 1, names=True), **values)
    with pytest.raises(DataError, match=sentence) as caught:
        export(opened(path, tmp_path), "own", tmp_path / "out", form, progress=False)
    assert "--format hdf5" in str(caught.value) and not (tmp_path / "out").exists()
    export(opened(path, tmp_path), "own", tmp_path / "out.h5", progress=False)
    assert len(bring(tmp_path / "out.h5", tmp_path / "back.h5").stars) == 18


def test_stars_beside_one_without_pixels_keep_their_names(tmp_path):
    path = own_file(tmp_path / "own.h5", 1, names=True)
    with h5py.File(path, "r+") as file:
        file["train/error"][2] = np.inf
    task = get_task(data=path, cache=tmp_path / "cache", max_dropped=0.2)
    export(task, "own", tmp_path / "out.h5", progress=False)
    with h5py.File(tmp_path / "out.h5") as file:
        names = [name.decode() for name in file["train/identifier"][:]]
        assert names == [f"s1_train_{row}" for row in range(9) if row != 2]
        assert len(file["test/identifier"]) == 6


def test_spectra_of_stars_are_to_be_imported(tmp_path):
    folder = tmp_path / "spectra"
    folder.mkdir()
    paths = [
        made.write_ap_star(folder / "apStar-1.fits", "star1"),
        made.write_rows(folder / "mine.parquet", made.rows(2)),
    ]
    for place in (folder, *paths):
        with pytest.raises(DataError, match="or that which `starbench data import` makes of spect"):
            get_task(data=place, cache=tmp_path)
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(DataError, match=r"text\.h5 cannot be read as HDF5 .*; copy or write it"):
        bring(tmp_path / "text.h5", tmp_path / "survey.h5")
