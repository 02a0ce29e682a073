import json
import os
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from support import survey_files as made
from support.survey_files import bring
from support.surveys import write_survey

from starbench.tasks.errors import DataError
from starbench.tasks.survey.choices import Choices, WavelengthScale
from starbench.tasks.survey.importing import import_survey
from starbench.tasks.synthesis.wavelengths import aspcap_wavelengths, vacuum_to_air

REAL = Path(os.environ.get("APOGEE_FILES", Path(__file__).parents[4] / "shared/data/apogee"))


def test_visits_of_a_star_are_siblings_and_a_combined_spectrum_gives_its_labels(tmp_path):
    folder = tmp_path / "apogee"
    folder.mkdir()
    for seed in range(5):
        made.write_ap_star(folder / f"apStar-{seed}.fits", f"star{seed}", seed, 1 + seed % 2)
    made.write_aspcap_star(folder / "aspcapStar-1.fits", "star1", 1)
    imported = bring(folder, tmp_path / "survey.h5")
    stars = imported.stars.set_index("identifier")
    assert list(stars.index) == [
        *("star0", "star1/visit1", "star1/visit2", "star2", "star3/visit1", "star3/visit2"),
        "star4",
    ]
    assert set(stars.loc[stars["group"].isin(["star1", "star3"]), "split"]) == {
        "test",
        "validation",
    }
    assert stars.loc["star1/visit1", ["Teff", "logg"]].tolist() == [4500, 2]
    assert stars.loc["star2", "Teff"] == 4200
    assert stars.loc["star3/visit2", "velocity"] == -13
    np.testing.assert_allclose(stars["snr"], 100, rtol=0.05)
    assert imported.report.counts(bad=True) == {}
    assert imported.report.counts(bad=False) == {"is combined from visits that are imported": 3}
    with h5py.File(tmp_path / "survey.h5") as file:
        assert file["train/flux"].shape == (3, 7214)
        siblings = file["test/group"][:]
        assert len(siblings) == 2 and siblings[0] == siblings[1]
        provenance = json.loads(file.attrs["provenance"])
        assert provenance["dropped"]["is combined from visits that are imported"]["number"] == 3
        flux, error = file["train/flux"][:], file["train/error"][:]
        truth = np.interp(aspcap_wavelengths(), made.WAVELENGTH, made.normalised_flux(0)[0])
        pull = (flux[0] - truth) / error[0]
        assert abs(np.median(pull)) < 1.5  # the pseudo-continuum lies within 1.5 %
        assert np.std(pull - np.median(pull)) < 1.3


@pytest.mark.parametrize(("spectra", "n"), [("combined", 1), ("all", 4)])
def test_spectra_of_a_star_are_chosen(tmp_path, spectra, n):
    folder = tmp_path / "apogee"
    folder.mkdir()
    for seed in range(4):
        made.write_ap_star(folder / f"apStar-{seed}.fits", f"star{seed}", seed, 2 if seed else 1)
    made.write_aspcap_star(folder / "aspcapStar-1.fits", "star1", 1)
    imported = bring(folder, tmp_path / "survey.h5", spectra=spectra)
    assert (imported.stars["star"] == "star1").sum() == n


def test_one_spectrum_of_a_star_is_advised_only_where_it_can_be_chosen(tmp_path):
    folder = tmp_path / "apogee"
    folder.mkdir()
    for seed in range(6):
        made.write_ap_star(folder / f"apStar-{seed}.fits", f"star{seed}", seed, 1 + (seed == 1))
    of_apogee = " ".join(bring(folder, tmp_path / "1.h5").report.notes)
    content = made.rows(8)
    content["object_id"][1] = content["object_id"][0]
    path = made.write_rows(tmp_path / "rows.parquet", content)
    of_rows = " ".join(bring(path, tmp_path / "2.h5").report.notes)
    assert "1 of 6 stars have several spectra, which are siblings and not trained on" in of_apogee
    assert "; --spectra combined takes one of each star." in of_apogee
    assert "not trained on; keep one of each star in the files to train on it." in of_rows
    sentence = "several spectra of star0, and does not say which is combined.* or omit --spectra co"
    with pytest.raises(DataError, match=sentence):
        bring(path, tmp_path / "3.h5", spectra="combined")
    again = bring(folder, tmp_path / "4.h5", spectra="combined")
    assert len(again.stars) == 6 and "--spectra" not in " ".join(again.report.notes)
    path = made.write_rows(tmp_path / "rows.parquet", made.rows(8))
    assert len(bring(path, tmp_path / "5.h5", spectra="combined").stars) == 8


def test_visits_without_a_combined_spectrum_are_not_said_to_have_one(tmp_path):
    for seed in range(5):
        visits = (59001, 59007)[: 1 + (seed == 1)]
        made.write_mwm_star(tmp_path / f"mwmVisit-{seed}.fits", f"star{seed}", seed, visits=visits)
    imported = bring([tmp_path], tmp_path / "survey.h5", spectra="combined")
    assert set(imported.stars["star"]) == {"star0", "star2", "star3", "star4"}
    reason = "is one of several visits without a combined spectrum"
    assert imported.report.counts(bad=False) == {reason: 2}


def test_bits_of_the_mask_and_pixels_without_data_are_masked(tmp_path):
    for seed in range(4):
        bits = {1000: 1 << 12, 1001: 1 << 9}
        made.write_ap_star(tmp_path / f"apStar-{seed}.fits", f"star{seed}", seed, 1, mask=bits)
    bring([tmp_path], tmp_path / "survey.h5")
    with h5py.File(tmp_path / "survey.h5") as file:
        error, flux = file["train/error"][0], file["train/flux"][0]
    start = int(np.flatnonzero(np.isclose(made.WAVELENGTH, aspcap_wavelengths()[0]))[0])
    assert np.isinf(error[1000 - start]) and flux[1000 - start] == 1
    assert np.isfinite(error[1001 - start])
    assert np.isfinite(flux).all()


def test_files_of_sdss_v_are_read(tmp_path):
    for seed in range(4):
        made.write_mwm_star(tmp_path / f"mwmStar-{seed}.fits", f"star{seed}", seed)
    made.write_mwm_star(tmp_path / "mwmVisit-1.fits", "star1", 1, visits=(59001, 59007))
    stars = bring([tmp_path], tmp_path / "survey.h5").stars.set_index("identifier")
    assert set(stars.index) == {"star0", "star1/59001", "star1/59007", "star2", "star3"}
    assert stars.loc["star1/59007", "velocity"] == 6
    assert stars.loc["star2", ["Teff", "labels_of"]].tolist() == [4302, "RV code"]
    np.testing.assert_allclose(stars["snr"], 80, rtol=0.05)


def test_rows_of_the_multimodal_universe_are_read_with_tables(tmp_path):
    content = made.rows()
    content["spectrum"][2]["mask"][500:600] = True
    content["restframe"] = [True, None] + [False] * 6
    content["radial_velocity"] = [100.0] * 2 + [0.0] * 6
    path = made.write_rows(tmp_path / "rows.parquet", content)
    groups = tmp_path / "clusters.csv"
    pd.DataFrame(
        {"star": ["star1", "star2", "star5", "elsewhere"], "cluster": ["M67", "M67", None, "M67"]}
    ).to_csv(groups, index=False)
    labels = fits.BinTableHDU.from_columns(
        [
            fits.Column("APOGEE_ID", "10A", array=["star1", "star2 "]),
            fits.Column("TEFF", "E", array=[4321.0, -9999.0]),
            fits.Column("LOGG", "E", array=[2.5, 2.5]),
            fits.Column("TEFF_ERR", "E", array=[50.0, 50.0]),
            fits.Column("LOGG_ERR", "E", array=[0.2, 0.2]),
        ]
    )
    labels.writeto(tmp_path / "allStar.fits")
    imported = bring(path, tmp_path / "survey.h5", groups=groups, labels=tmp_path / "allStar.fits")
    stars = imported.stars.set_index("identifier")
    assert stars.loc["star1", ["group", "split", "Teff"]].tolist() == ["M67", "test", 4321]
    assert stars.loc["star2", ["Teff", "labels_of"]].tolist() == [4100, "columns of the file"]
    assert 0.012 < stars.loc["star2", "masked"] < 0.015
    assert imported.report.notes[0].startswith("clusters.csv names 1 stars that are not among")
    with h5py.File(tmp_path / "survey.h5") as file:
        assert file.attrs["elements"].tolist() == ["Fe/H"]  # one star lacks Mg
        assert file["train/identifier"].asstr()[:].tolist() == [
            name for name in stars.index if stars.loc[name, "split"] == "train"
        ]
        np.testing.assert_array_equal(
            file["test/nuisance_error"][:], np.float32([[50, 0.2], [60, 0.1], [60, 0.1]])
        )


@pytest.mark.parametrize("nested", ["struct of lists", "list of structs"])
def test_rows_of_apogee_have_bits_and_a_pseudo_continuum(tmp_path, nested):
    content = made.rows(4)
    inside = np.isin(made.WAVELENGTH.astype(np.float32), content["spectrum"][0]["lambda"])
    spectra = []
    for seed, spectrum in enumerate(content["spectrum"]):
        bits = np.zeros(inside.sum(), np.int64)
        bits[700], bits[701] = 1, 1 << 10
        normalised = made.normalised_flux(seed)[0, inside]
        found = {
            **{"flux": spectrum["flux"], "ivar": spectrum["ivar"], "lambda": spectrum["lambda"]},
            "pix_bitmask": bits,
            "pseudo_continuum_flux": normalised,
            "pseudo_continuum_ivar": np.full(inside.sum(), 1e4),
        }
        if nested == "list of structs":
            found = [
                dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)
            ]
        spectra.append(found)
    content = {name: values for name, values in content.items() if name != "spectrum"}
    path = tmp_path / "apogee.parquet"
    pq.write_table(pa.table({"spectrum": pa.array(spectra), **content}), path)
    bring(path, tmp_path / "survey.h5")
    with h5py.File(tmp_path / "survey.h5") as file:
        flux, error = file["train/flux"][0], file["train/error"][0]
        first = int(file["train/identifier"].asstr()[0].removeprefix("star"))
    place = np.searchsorted(aspcap_wavelengths(), made.WAVELENGTH[inside][700] - 0.01)
    assert np.isinf(error[place]) and error[place + 1] == np.float32(0.01)
    expected = np.interp(aspcap_wavelengths(), made.WAVELENGTH, made.normalised_flux(first)[0])
    measured = np.isfinite(error)
    np.testing.assert_allclose(flux[measured], expected[measured], atol=1e-6)


def test_fits_that_says_its_wavelengths_are_in_air_is_converted(tmp_path):
    for seed in range(4):
        path = made.write_aspcap_star(tmp_path / f"aspcapStar-{seed}.fits", f"star{seed}", seed)
        with fits.open(path, mode="update") as file:
            for unit in file[1:4]:
                unit.header["CTYPE1"] = "AWAV-LOG"
                del unit.header["CRPIX1"]
    bring([tmp_path], tmp_path / "survey.h5", nuisances=("Teff",), labels=_labels(tmp_path))
    with h5py.File(tmp_path / "survey.h5") as file:
        flux, error = file["train/flux"][0], file["train/error"][0]
        first = int(file["train/identifier"].asstr()[0].removeprefix("star"))
    air = vacuum_to_air(aspcap_wavelengths())
    expected = np.interp(air, made.WAVELENGTH, made.normalised_flux(first)[0])
    measured = np.isfinite(error)
    assert measured.mean() > 0.95
    assert np.abs(flux - expected)[measured].max() < 0.01


def _labels(folder: Path) -> Path:
    path = folder / "labels.csv"
    names = [f"star{seed}" for seed in range(4)]
    pd.DataFrame({"apogee_id": names, "teff": [4100, 4200, 4300, 4400]}).to_csv(path, index=False)
    return path


def test_splits_depend_on_names_alone(tmp_path):
    many = made.write_rows(tmp_path / "many.parquet", made.rows(12))
    few = made.rows(12)
    few = {name: values[3:] for name, values in few.items()}
    made.write_rows(tmp_path / "few.parquet", few)
    first = bring(many, tmp_path / "1.h5").stars.set_index("identifier")["split"]
    second = bring(tmp_path / "few.parquet", tmp_path / "2.h5").stars.set_index("identifier")
    assert (first[second.index] == second["split"]).mean() > 0.7


def test_velocities_units_and_air_are_taken_out(tmp_path):
    content = made.rows(4)
    still = bring(made.write_rows(tmp_path / "1.parquet", content), tmp_path / "1.h5")
    content["restframe"], content["radial_velocity"] = [False] * 4, [30.0] * 4
    for spectrum in content["spectrum"]:
        moved = spectrum["lambda"].astype(float) * (1 + 30 / 299_792.458)
        spectrum["lambda"] = (vacuum_to_air(moved) / 10).astype(np.float32)
    moved = bring(
        made.write_rows(tmp_path / "2.parquet", content),
        tmp_path / "2.h5",
        wavelengths=WavelengthScale("nm", "air"),
    )
    assert (still.stars["split"] == moved.stars["split"]).all()
    with h5py.File(tmp_path / "1.h5") as one, h5py.File(tmp_path / "2.h5") as two:
        flux, error = one["train/flux"][0], one["train/error"][0]
        other = two["train/flux"][0]
    both = np.isfinite(error) & (other != 1)
    assert np.std((flux - other)[both]) < 0.5 * np.median(error)  # rounding of float32 in nm


def test_resampled_spectra_are_counted_and_air_is_suspected(tmp_path):
    content = made.rows(8)
    imported = bring(made.write_rows(tmp_path / "0.parquet", content), tmp_path / "0.h5")
    assert "resampled" not in " ".join(imported.report.notes)
    vacuum = made.write_rows(tmp_path / "vacuum.parquet", content)
    content["spectrum"] = [dict(each) for each in content["spectrum"]]
    for each in content["spectrum"][:7]:
        each["lambda"] = vacuum_to_air(each["lambda"].astype(float))
    path = made.write_rows(tmp_path / "air.parquet", content)
    notes = " ".join(bring(path, tmp_path / "1.h5").report.notes)
    assert (
        "Wavelengths of 7 spectra fit the survey's pixels as if they were in air; give --medium "
        "air if they are. 7 of 8 spectra were resampled to other pixels, whose errors count as "
        "independent although neighbours share noise, and which are masked where they touch a "
        "masked one."
    ) in notes
    content["spectrum"][7] = content["spectrum"][6]
    path = made.write_rows(tmp_path / "air.parquet", content)
    air = WavelengthScale("angstrom", "air")
    notes = " ".join(bring(path, tmp_path / "2.h5", wavelengths=air).report.notes)
    assert "resampled" not in notes and "as if" not in notes
    notes = " ".join(bring(vacuum, tmp_path / "3.h5", wavelengths=air).report.notes)
    assert "of 8 spectra fit the survey's pixels as if they were in vacuum; omit --medium" in notes


def test_pixels_between_the_surveys_are_resampled_without_a_word_of_air(tmp_path):
    content = made.rows(6)
    for each in content["spectrum"][1:]:
        each["lambda"] = each["lambda"] + np.float32(0.1)
    path = made.write_rows(tmp_path / "rows.parquet", content)
    notes = " ".join(bring(path, tmp_path / "1.h5").report.notes)
    assert "5 of 6 spectra were resampled to other pixels" in notes and "air" not in notes
    assert "; --pixels source keeps the pixels of the first spectrum." in notes
    notes = " ".join(bring(path, tmp_path / "2.h5", pixels="source").report.notes)
    assert "5 of 6 spectra were resampled" in notes and "--pixels" not in notes
    content = made.rows(6)
    content["restframe"], content["radial_velocity"] = [True] + [False] * 5, [0.0, 0] + [30.0] * 4
    path = made.write_rows(tmp_path / "rows.parquet", content)
    notes = " ".join(bring(path, tmp_path / "3.h5").report.notes)
    assert "4 of 6 spectra were resampled" in notes and "air" not in notes


def test_only_what_can_be_chosen_is_advised_on_wavelengths(tmp_path):
    for seed in range(6):
        path = made.write_aspcap_star(tmp_path / f"aspcapStar-{seed}.fits", f"star{seed}", seed)
        first = np.log10(vacuum_to_air(10**4.179)) if seed < 4 else 3.179
        with fits.open(path, mode="update") as file:
            for unit in file[1:4]:
                unit.header["CRVAL1"] = first
    imported = bring([tmp_path], tmp_path / "1.h5", max_dropped=0.5)
    notes = " ".join(imported.report.notes)
    assert "4 spectra fit the survey's pixels as if they were in air; correct the medium" in notes
    assert imported.report.dropped[0].sentence.endswith(
        "as if they were in nm; correct the unit that the file states."
    )
    content = made.rows(8)
    content["spectrum"][3]["lambda"] = content["spectrum"][3]["lambda"] / 3
    path = made.write_rows(tmp_path / "rows.parquet", content)
    imported = bring(path, tmp_path / "2.h5", max_dropped=0.5, pixels="source")
    assert imported.report.dropped[0].sentence.endswith("A); import it separately.")


FAULTS = {
    "errors that are zero": ("ivar", lambda x: np.where(np.arange(len(x)) == 5, -1, x)),
    "all its pixels masked": ("mask", np.ones_like),
    "overlap.* in nm; give --wavelength-unit nm": ("lambda", lambda x: x / 10),
    "overlap.* in log10; give --wavelength-unit": ("lambda", np.log10),
    "overlap.* give --pixels source": ("lambda", lambda x: x / 3),
    "wavelengths that do not increase": ("lambda", lambda x: x[::-1].copy()),
}


@pytest.mark.parametrize("sentence", FAULTS)
def test_bad_spectra_are_left_out_and_counted(tmp_path, sentence):
    field, change = FAULTS[sentence]
    content = made.rows(8)
    content["spectrum"][3][field] = change(content["spectrum"][3][field])
    path = made.write_rows(tmp_path / "rows.parquet", content)
    imported = bring(path, tmp_path / "survey.h5", max_dropped=0.2)
    assert len(imported.stars) == 7
    assert sum(imported.report.counts(bad=True).values()) == 1
    (dropped,) = imported.report.dropped
    assert dropped.sentence.startswith("rows.parquet: star star3 ")
    with pytest.raises(DataError, match=f"1 of 8 spectra are bad, more than.*star3.*{sentence}"):
        bring(path, tmp_path / "other.h5", max_dropped=0.05)
    assert not (tmp_path / "other.h5").exists()


def test_rows_without_a_spectrum_are_left_out_and_counted(tmp_path):
    content = made.rows(8)
    content["spectrum"][2] = None
    content["spectrum"][5] = {**content["spectrum"][5], "ivar": None}
    path = made.write_rows(tmp_path / "rows.parquet", content)
    imported = bring(path, tmp_path / "survey.h5", max_dropped=0.3)
    assert sorted(each.sentence for each in imported.report.dropped) == [
        "rows.parquet: star star2 has no spectrum; leave it out.",
        "rows.parquet: star star5 has ivar of another length than lambda; correct it.",
    ]
    assert len(imported.stars) == 6


def test_files_that_cannot_be_read_are_left_out_and_counted(tmp_path):
    for seed in range(4):
        made.write_ap_star(tmp_path / f"apStar-{seed}.fits", f"star{seed}", seed, 1)
    whole = made.write_ap_star(tmp_path / "apStar-4.fits", "star4", 4, 1).read_bytes()
    (tmp_path / "apStar-4.fits").write_bytes(whole[: len(whole) // 2])
    fits.PrimaryHDU(np.zeros((3, 3))).writeto(tmp_path / "image.fits")
    imported = bring([tmp_path], tmp_path / "survey.h5", max_dropped=0.4)
    reasons = sorted(each.sentence for each in imported.report.dropped)
    assert len(imported.stars) == 4
    assert reasons[0].startswith("apStar-4.fits cannot be read (")
    assert reasons[1].startswith("image.fits is FITS of another kind; give apStar, aspcapStar, ")
    with pytest.raises(DataError, match=r"^image.fits is FITS of another kind"):
        bring(tmp_path / "image.fits", tmp_path / "other.h5")


def test_wrong_tables_are_refused_in_one_sentence(tmp_path):
    path = made.write_rows(tmp_path / "rows.parquet", made.rows(8))

    def table(file: str, **columns: object) -> Path:
        pd.DataFrame(columns).to_csv(tmp_path / file, index=False)
        return tmp_path / file

    unknown = table("a.csv", star=["nobody"], group=["M67"])
    with pytest.raises(DataError, match=r"a.csv names none of the stars.*such as nobody; .*star0"):
        bring(path, tmp_path / "x.h5", groups=unknown)
    twice = table("b.csv", star=["star1", "star1", "star2"], group=["M67", "M3", "M3"])
    imported = bring(path, tmp_path / "y.h5", groups=twice, max_dropped=0.2)
    assert imported.report.dropped[0].sentence == (
        "b.csv: star star1 is in two groups (M67, M3); keep one of them."
    )
    assert "star1" not in set(imported.stars["star"])
    with pytest.raises(DataError, match=r"c.csv has the columns star, name; name the column of gr"):
        bring(path, tmp_path / "x.h5", groups=table("c.csv", star=["star1"], name=["M67"]))
    with pytest.raises(DataError, match=r"has no column vmicro; add it, or name"):
        bring(path, tmp_path / "x.h5", labels=table("d.csv", star=["star1"]), nuisances=("vmicro",))
    with pytest.raises(DataError, match=r"star star0 has no label vmicro; add it with --labels"):
        bring(path, tmp_path / "x.h5", nuisances=("vmicro",))
    with pytest.raises(DataError, match=r"There are 3 groups and field stars in all; give at leas"):
        bring(made.write_rows(tmp_path / "three.parquet", made.rows(3)), tmp_path / "x.h5")
    with pytest.raises(DataError, match=r"--out .*y.h5 exists; give --force"):
        bring(path, tmp_path / "y.h5")
    (tmp_path / "cut.parquet").write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"cut.parquet cannot be read as Parquet"):
        bring(tmp_path / "cut.parquet", tmp_path / "x.h5")


@pytest.mark.skipif(not REAL.is_dir(), reason="APOGEE's files are not part of the repository")
def test_real_files_give_what_their_headers_state(tmp_path):
    imported = bring(REAL, tmp_path / "survey.h5")
    stars = imported.stars.set_index("identifier")
    for name, snr, velocity in (
        ("2M03290406+3117075", 33.127, 19.604),
        ("2M00452143+1634446", 79.0154, 6.73279),
        # Visits are stated for pixels of the detector, of which two make one after resampling.
        ("2M17334253-1654573/visit1", 100.477 * 2**0.5, -72.9476),
        ("2M17334253-1654573/visit2", 94.3892 * 2**0.5, -72.9565),
    ):
        assert stars.loc[name, "snr"] == pytest.approx(snr, rel=0.09)
        assert stars.loc[name, "velocity"] == pytest.approx(velocity)
    visits = stars[stars["star"] == "2M17334253-1654573"]
    assert set(visits["split"]) == {"test"} and visits["group"].nunique() == 1
    assert (stars["masked"] < 0.13).all()


def grouped(tmp_path, n=12, groups=None, ids=None, table=None, **choices):
    """Import made rows with a column of groups; return the group of each spectrum by identifier."""
    content = made.rows(n)
    if groups is not None:
        content["group"] = groups
    if ids is not None:
        content["object_id"] = ids
    path = made.write_rows(tmp_path / "rows.parquet", content)
    imported = import_survey(
        [path],
        tmp_path / "out.h5",
        Choices(pixels="source", groups=table, **choices),
        force=True,
        progress=False,
    )
    return imported, imported.stars.set_index("identifier")["group"]


def test_a_group_named_like_a_star_does_not_hold_that_star(tmp_path):
    table = tmp_path / "groups.csv"
    table.write_text("star,group\nstar5,star1\nstar6,star1\nstar7,1\nstar8,1\n")
    _, group = grouped(tmp_path)
    assert group.nunique() == 12
    imported = import_survey(
        [tmp_path / "rows.parquet"], tmp_path / "two.h5", Choices(pixels="source", groups=table),
        progress=False,
    )  # fmt: skip
    sizes = imported.stars.groupby("group")["identifier"].agg(list)
    assert sizes["star1"] == ["star5", "star6"] and sizes["1"] == ["star7", "star8"]
    assert sizes["star star1"] == ["star1"] and len(sizes) == 10


def test_stars_without_a_group_in_the_table_are_counted(tmp_path):
    table = tmp_path / "groups.csv"
    rows = ["star1,M67", "star2,M67", "star3,", "star4,  ", "star5,nan", "star6,nan", "other,"]
    table.write_text("\n".join(["star,cluster", *rows, "star1,", ",M3", ""]))
    imported, group = grouped(tmp_path, table=table)
    assert group["star1"] == group["star2"] and group["star3"] == "star3"
    notes = [each for each in imported.report.notes if each.startswith("groups.csv")]
    assert notes == [
        "groups.csv has no group for 2 of the stars that are imported, first star3, which count as "
        "field stars unless their files state a group; fill in the groups of members.",
        "groups.csv puts 2 stars into a group named nan, so that they are siblings; leave the "
        "cells of field stars empty.",
    ]
    frame = pd.DataFrame({"star": ["star1", "star2", "star3"], "cluster": [7.0, 7.0, np.nan]})
    frame.to_parquet(tmp_path / "groups.parquet")
    imported, group = grouped(tmp_path, table=tmp_path / "groups.parquet")
    assert group["star1"] == "7" and group["star3"] == "star3"
    assert "groups.parquet has no group for 1 of the stars" in " ".join(imported.report.notes)
    imported, group = grouped(tmp_path, groups=[-1] * 6 + [1] * 3 + [2, 2, None])
    sentence = "rows.parquet puts 6 stars into a group named -1, so that they are siblings; leave"
    assert sentence in " ".join(imported.report.notes)


def test_a_star_that_states_two_groups_is_left_out(tmp_path):
    ids = ["x", "x", *(f"star{n}" for n in range(2, 12))]
    imported, group = grouped(tmp_path, groups=[*range(2), *range(2, 12)], ids=ids, max_dropped=0.2)
    assert "x" not in group.index and "x#2" not in group.index
    assert imported.report.dropped[0].sentence == (
        "rows.parquet: star x is in two groups (0, 1); keep one of them."
    )


def test_siblings_in_two_stated_splits_are_refused(tmp_path):
    folder = tmp_path / "rows"
    folder.mkdir()
    for split in ("train", "validation", "test"):
        content = made.rows(4)
        content["object_id"] = [f"{split}{n}" for n in range(3)] + ["same"]
        if split == "validation":
            content["object_id"][3] = "other"
        made.write_rows(folder / f"{split}.parquet", content)
    with pytest.raises(DataError, match="star same is in test and train; correct them, or give --"):
        bring(folder, tmp_path / "out.h5", pixels="source")
    table = tmp_path / "groups.csv"
    table.write_text("star,group\ntrain0,M67\nvalidation1,M67\nsame,M67\nother,M67\n")
    imported = bring(
        folder, tmp_path / "out.h5", pixels="source", groups=table, shares=(0.6, 0.2, 0.2)
    )
    assert imported.stars.groupby("group")["split"].nunique().max() == 1


def test_errors_of_labels_go_with_the_labels_that_a_table_replaces(tmp_path):
    path = made.write_rows(tmp_path / "rows.parquet", made.rows(12))
    bring(path, tmp_path / "own.h5", pixels="source")
    with h5py.File(tmp_path / "own.h5") as file:
        assert "nuisance_error" in file["train"]
    labels = tmp_path / "labels.csv"
    labels.write_text("star,teff,logg\n" + "".join(f"star{n},5{n:03d},2\n" for n in range(12)))
    bring(path, tmp_path / "new.h5", pixels="source", labels=labels)
    with h5py.File(tmp_path / "new.h5") as file:
        assert "nuisance_error" not in file["train"] and (file["train/nuisance"][:, 0] > 4999).all()


@pytest.mark.parametrize("names", ["e_{}", "{}_error", "sigma_{}"])
def test_errors_of_labels_have_several_names(tmp_path, names):
    path = made.write_rows(tmp_path / "rows.parquet", made.rows(12))
    labels = tmp_path / "labels.csv"
    header = ",".join(["star", "teff", "logg", names.format("teff"), names.format("logg")])
    labels.write_text("\n".join([header, *(f"star{n},5{n:03d},2,7,0.5" for n in range(12))]))
    bring(path, tmp_path / "new.h5", pixels="source", labels=labels)
    with h5py.File(tmp_path / "new.h5") as file:
        assert file["train/nuisance_error"][0].tolist() == [7, 0.5]


def test_an_import_says_what_a_user_might_not_expect(tmp_path):
    content = made.rows(12)
    content["object_id"][1] = "star0"
    path = made.write_rows(tmp_path / "rows.parquet", content)
    labels = tmp_path / "labels.csv"
    labels.write_text(
        "star,teff,logg,teff_err,logg_err\n"
        + "".join(f"star{n},5{n:03d},{n / 5},9,1\n" for n in range(11))
    )
    notes = " ".join(bring(path, tmp_path / "a.h5", pixels="source", labels=labels).report.notes)
    assert "1 of 11 stars have several spectra" in notes
    assert "1 stars are not in labels.csv; their labels are those of columns of the file" in notes
    assert "12 spectra were divided by a pseudo-continuum" in notes
    assert "starbench run cannot use" not in notes
    path = made.write_rows(tmp_path / "rows.parquet", made.rows(12))
    notes = " ".join(bring(path, tmp_path / "b.h5", pixels="source", continuum="none").report.notes)
    assert "No star of test has a sibling, so starbench run cannot use this file" in notes
    assert "divided" not in notes


def test_a_combined_spectrum_stands_in_for_visits_that_cannot_be_used(tmp_path):
    folder = tmp_path / "apogee"
    folder.mkdir()
    for seed in range(6):
        path = folder / f"apStar-{seed}.fits"
        made.write_ap_star(path, f"star{seed}", seed, 2 if seed < 2 else 1)
    with fits.open(folder / "apStar-1.fits", mode="update") as file:
        file[1].data[2:] = np.nan  # its two visits
    imported = bring(folder, tmp_path / "survey.h5", max_dropped=0.3)
    stars = imported.stars.set_index("identifier")
    assert set(stars.index) == {"star0/visit1", "star0/visit2", *(f"star{n}" for n in range(1, 6))}
    assert stars.loc["star1", "split"] in ("train", "validation", "test")
    assert imported.report.counts(bad=False) == {"is combined from visits that are imported": 1}
    assert imported.report.counts(bad=True) == {"has all its pixels masked": 2}


def test_an_earlier_import_among_the_sources_is_not_a_source(tmp_path):
    made.write_rows(tmp_path / "rows.parquet", made.rows(12))
    out = tmp_path / "survey.h5"
    for force in (False, True):
        imported = import_survey(
            [tmp_path], out, Choices(pixels="source"), force=force, progress=False
        )
        assert len(imported.stars) == 12 and imported.report.dropped == []


def test_units_of_nuisances_pass_through_an_import(tmp_path):
    path = write_survey(tmp_path / "survey.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["nuisance_names"], file.attrs["nuisance_units"] = ["Teff", "J"], ["K", "mag"]
    bring(path, tmp_path / "again.h5")
    with h5py.File(tmp_path / "again.h5") as file:
        assert file.attrs["nuisance_units"].tolist() == ["K", "mag"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
@pytest.mark.parametrize("name", ["rows.parquet", "apStar.fits", "survey.h5"])
def test_a_pipe_as_a_source_is_refused_rather_than_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match=f"{name} is not a file"):
        bring(tmp_path / name, tmp_path / "new.h5")
    with pytest.raises(DataError, match="holds no spectra"):
        bring(tmp_path, tmp_path / "new.h5")


@pytest.mark.parametrize("value", [1e39, -1e39, np.inf])
def test_a_label_too_large_for_the_file_is_missing(tmp_path, value, recwarn):
    content = made.rows(8)
    content["teff"][3] = value
    path = made.write_rows(tmp_path / "rows.parquet", content)
    imported = bring(path, tmp_path / "survey.h5", max_dropped=0.2)
    (dropped,) = imported.report.dropped
    assert dropped.sentence == "rows.parquet: star star3 has no label Teff; add it with --labels."
    assert not [each for each in recwarn if issubclass(each.category, RuntimeWarning)]


def test_wavelengths_too_large_for_their_unit_are_refused_without_a_warning(tmp_path, recwarn):
    path = made.write_rows(tmp_path / "rows.parquet", made.rows(4))
    scale = WavelengthScale("log10", "vacuum")
    with pytest.raises(DataError, match="has wavelengths that do not increase"):
        bring(path, tmp_path / "survey.h5", wavelengths=scale)
    assert not [each for each in recwarn if issubclass(each.category, RuntimeWarning)]


def test_a_table_with_more_cells_than_columns_is_refused(tmp_path):
    path = made.write_rows(tmp_path / "rows.parquet", made.rows(8))
    table = tmp_path / "labels.csv"
    # pandas alone would take the second column for the first, and read star1 as the star.
    table.write_text("star,teff,logg\n" + "".join(f"x,star{k},4000,2\n" for k in range(8)))
    with pytest.raises(DataError, match="more cells than its header has columns; make them as man"):
        bring(path, tmp_path / "survey.h5", labels=table)
