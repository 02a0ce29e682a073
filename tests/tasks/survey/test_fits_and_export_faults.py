"""Damaged and nameless FITS files, surveys that are merged, and exports that come back."""

import gzip
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits
from support import survey_files as made

from starbench.tasks.errors import DataError
from starbench.tasks.survey.choices import Choices
from starbench.tasks.survey.importing import Imported, import_survey


def bring(places: object, out: Path, **choices: object) -> Imported:
    given = places if isinstance(places, list) else [places]
    return import_survey(given, out, Choices(**choices), progress=False)


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
    assert imported.report.notes == [
        "2 files were given more than once, first link.fits; each is imported once."
    ]


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
