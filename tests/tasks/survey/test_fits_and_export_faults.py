"""Damaged and nameless FITS files, surveys that are merged, and exports that come back."""

import gzip
from pathlib import Path

from astropy.io import fits
from support import survey_files as made

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
