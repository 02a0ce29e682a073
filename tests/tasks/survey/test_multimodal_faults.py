"""Rows of the Multimodal Universe and tables that are incomplete, damaged or odd."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.toy_survey import SIZES, ToySurvey

from starbench.tasks.errors import DataError
from starbench.tasks.export import export
from starbench.tasks.survey.choices import Choices, WavelengthScale
from starbench.tasks.survey.importing import Imported, import_survey
from starbench.tasks.survey.multimodal import MultimodalRows
from starbench.tasks.survey.report import Report
from starbench.tasks.survey.tables import read_table, unique

N, N_PIXELS = 10, 40
GAIA = 4_611_686_018_427_387_904


def content(**changed: object) -> dict[str, object]:
    """Return rows with few pixels."""
    rng = np.random.default_rng(0)
    wavelength = 16000 + np.arange(N_PIXELS) * 0.25
    spectra = [
        {
            "flux": rng.uniform(0.5, 1.5, N_PIXELS).astype(np.float32).tolist(),
            "ivar": [10000.0] * N_PIXELS,
            "lambda": wavelength.tolist(),
            "mask": [False] * N_PIXELS,
        }
        for _ in range(N)
    ]
    return {
        "spectrum": spectra,
        "object_id": [f"star{row}" for row in range(N)],
        "teff": [4000.0 + 50 * row for row in range(N)],
        "logg": [1.0 + 0.2 * row for row in range(N)],
    } | changed


def struct(
    lists: Callable[[pa.DataType], pa.DataType] = pa.list_, **kinds: pa.DataType | None
) -> pa.StructType:
    """Return the type of spectra; None leaves a field out."""
    known = {name: pa.float32() for name in ("flux", "ivar", "lambda")} | {"mask": pa.bool_()}
    return pa.struct([(name, lists(kind)) for name, kind in (known | kinds).items() if kind])


def write(path: Path, rows: dict[str, object], kind: pa.DataType | None = None) -> Path:
    kind = kind or struct()
    columns = {
        name: pa.array(values, kind) if name == "spectrum" else pa.array(values)
        for name, values in rows.items()
    }
    pq.write_table(pa.table(columns), path, row_group_size=4)
    return path


def bring(places: Path, **choices: object) -> Imported:
    out = places.parent / "survey.h5"
    given = {"pixels": "source", "continuum": "none", "max_dropped": 0.9} | choices
    return import_survey([places], out, Choices(**given), force=True, progress=False)


def spectra(path: Path, field: str = "flux") -> dict[str, np.ndarray]:
    """Return the spectra of the survey beside a file, by identifier."""
    found = {}
    with h5py.File(path.parent / "survey.h5") as file:
        for split in SIZES:
            names = file[split]["identifier"].asstr()[:]
            found |= dict(zip(names, file[split][field][:], strict=True))
    return found


@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_rows_without_a_name_are_left_out(tmp_path, nothing):
    names = [nothing, "star1", "star2", nothing, *(f"star{row}" for row in range(4, N))]
    path = write(tmp_path / "r.parquet", content(object_id=names))
    imported = bring(path)
    assert sorted(imported.stars["identifier"]) == sorted(set(names) - {nothing})
    assert [each.sentence for each in imported.report.dropped] == [
        f"r.parquet: star in row {row} has no name; give it one in object_id." for row in (0, 3)
    ]
    for name, flux in spectra(path).items():  # each name keeps its own spectrum
        expected = content()["spectrum"][int(name.removeprefix("star"))]["flux"]
        np.testing.assert_array_equal(flux, np.float32(expected))
    with pytest.raises(DataError, match=r"2 of 10 spectra are bad.* has no name"):
        bring(path, max_dropped=0.1)


def test_files_of_rows_without_names_are_refused(tmp_path):
    path = write(tmp_path / "r.parquet", content(object_id=[None] * N))
    with pytest.raises(DataError, match=r"10 of 10 spectra are bad.* star in row 0 has no name"):
        bring(path)
    write(tmp_path / "train.parquet", content())
    for split in ("validation", "test"):
        names = ["other", *([None] * (N - 1))] if split == "test" else [None] * N
        write(tmp_path / f"{split}.parquet", content(object_id=names))
    path.unlink()
    with pytest.raises(DataError, match="Only 0 stars are left in validation"):
        bring(tmp_path)


@pytest.mark.parametrize("groups", [[1, 1, 2, 2] + [None] * 6, ["1", "1", "2", "2"] + [""] * 6])
def test_stars_without_a_group_are_field_stars(tmp_path, groups):
    imported = bring(write(tmp_path / "r.parquet", content(group=groups)))
    stars = imported.stars.set_index("star")["group"]
    assert stars["star0"] == stars["star1"] == "1" and stars["star2"] == "2"
    assert all(stars[f"star{row}"] == f"star{row}" for row in range(4, N))


def test_large_integers_beside_a_null_stay_distinct(tmp_path):
    names = [GAIA + row for row in range(N - 1)] + [None]
    imported = bring(write(tmp_path / "r.parquet", content(object_id=names)))
    assert sorted(imported.stars["star"]) == [str(name) for name in names[:-1]]
    pq.write_table(pa.table({"source_id": names, "group": ["a"] * N}), tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet", "--groups")["source_id"].tolist() == names


def test_names_in_csv_are_text(tmp_path):
    path = tmp_path / "t.csv"
    lines = ["Source_ID, group,teff,note", "0001,NA,4000,NA", "None,01,,x", f"{GAIA + 1},c,1,"]
    path.write_text("\n".join([*lines, ",,2,", "7.0,,3,"]))
    table = read_table(path, "--groups")
    assert table["source_id"].tolist() == ["0001", "None", str(GAIA + 1), "", "7"]
    assert table["group"].tolist() == ["NA", "01", "c", "", ""]
    assert table["teff"].dtype == np.float64 and table["note"].isna().sum() == 4
    names = ["0001", "NA", "None", *(f"star{row}" for row in range(3, N))]
    rows = write(tmp_path / "r.parquet", content(object_id=names))
    path.write_text("star,group\n0001,M67\nNA,M67\nNone,M3\nstar3,M3\n")
    stars = bring(rows, groups=path).stars.set_index("star")["group"]
    assert stars["0001"] == stars["NA"] == "M67" and stars["None"] == stars["star3"] == "M3"


@pytest.mark.parametrize("missing", [("flux", "ivar", "lambda", "mask"), ("flux",)])
def test_null_lists_of_fixed_size_do_not_shift_the_others(tmp_path, missing):
    rows = content()
    rows["spectrum"][5] = rows["spectrum"][5] | dict.fromkeys(missing)
    path = write(tmp_path / "r.parquet", rows, struct(lambda kind: pa.list_(kind, N_PIXELS)))
    imported = bring(path)
    assert len(imported.stars) == N - 1
    reason = "has flux of another length than lambda" if missing == ("flux",) else "has no spectrum"
    assert imported.report.counts(bad=True) == {reason: 1}
    for name, flux in spectra(path).items():
        expected = content()["spectrum"][int(name.removeprefix("star"))]["flux"]
        np.testing.assert_array_equal(flux, np.float32(expected))


@pytest.mark.parametrize("nested", [pa.list_, pa.large_list, lambda kind: pa.list_(kind, N_PIXELS)])
def test_lists_of_structs_are_read(tmp_path, nested):
    rows = content()
    rows["spectrum"] = [
        [dict(zip(each, values, strict=True)) for values in zip(*each.values(), strict=True)]
        for each in rows["spectrum"]
    ]
    rows["spectrum"][2] = None
    rows["spectrum"][4][7] = None
    path = write(tmp_path / "r.parquet", rows, nested(struct(lambda kind: kind)))
    imported = bring(path)
    reasons = {each.identifier: each.reason for each in imported.report.dropped}
    assert reasons == {
        "star2": "has no spectrum",
        "star4": "has wavelengths that do not increase",  # one is null
    }
    found = spectra(path)
    np.testing.assert_array_equal(found["star3"], np.float32(content()["spectrum"][3]["flux"]))


@pytest.mark.parametrize("kind", [pa.float32(), pa.int32()])
def test_null_numbers_are_not_measured(tmp_path, kind):
    rows = content()
    rows["spectrum"][3]["flux"] = [1.0] * N_PIXELS
    for each in rows["spectrum"]:
        each["flux"] = [float(round(value)) for value in each["flux"]]
    rows["spectrum"][3]["flux"][5] = None
    path = write(tmp_path / "r.parquet", rows, struct(flux=kind))
    bring(path)
    error, flux = spectra(path, "error")["star3"], spectra(path)["star3"]
    assert np.flatnonzero(np.isinf(error)).tolist() == [5] and flux[5] == 1


@pytest.mark.parametrize(
    ("kind", "bad"),
    [(pa.bool_(), None), (pa.int64(), None), (pa.float32(), None), (pa.float32(), np.nan)],
)
def test_pixels_whose_mask_is_not_known_are_masked(tmp_path, kind, bad):
    rows = content()
    for each in rows["spectrum"]:
        each["mask"] = [False if kind == pa.bool_() else 0] * N_PIXELS
    rows["spectrum"][3]["mask"][5] = bad
    path = write(tmp_path / "r.parquet", rows, struct(mask=kind))
    bring(path)
    errors = spectra(path, "error")
    assert np.flatnonzero(np.isinf(errors["star3"])).tolist() == [5]
    assert np.isfinite(errors["star2"]).all()


def test_masked_pixels_need_errors(tmp_path):
    rows = content()
    for each in rows["spectrum"]:
        del each["ivar"]
    rows["spectrum"][3]["flux"][5], rows["spectrum"][3]["mask"][5] = 1e20, True
    imported = bring(write(tmp_path / "r.parquet", rows, struct(ivar=None)))
    assert [each.sentence for each in imported.report.dropped] == [
        "r.parquet: star star3 has masked pixels but no errors; add ivar."
    ]
    assert len(imported.stars) == N - 1


@pytest.mark.parametrize(
    "name",
    ["flux_error", "err", "sigma", "e_flux", "fluxerr", "IVAR", "flux_ivar", "uncertainty"],
)
def test_errors_that_nothing_reads_are_refused(tmp_path, name):
    rows = content()
    for each in rows["spectrum"]:
        each[name] = each.pop("ivar")
    path = write(tmp_path / "r.parquet", rows, struct(ivar=None, **{name: pa.float32()}))
    sentence = (
        "has no errors of flux under a name that is read; give them as spectrum.ivar, 1 / error^2, "
        f"and remove spectrum.{name}."
    )
    with pytest.raises(DataError, match=re.escape(sentence)):
        bring(path)
    rows = content(**{name: [[1.0] * N_PIXELS] * N})  # beside the struct
    for each in rows["spectrum"]:
        del each["ivar"]
    path = write(tmp_path / "r.parquet", rows, struct(ivar=None))
    with pytest.raises(DataError, match=f"has no errors of flux .* and remove {name}."):
        bring(path)


def test_errors_of_the_flux_are_not_those_of_the_normalised_flux(tmp_path):
    rows = content()
    for each in rows["spectrum"]:
        each["pseudo_continuum_flux"] = each["flux"]
    kind = struct(pseudo_continuum_flux=pa.float32())
    with pytest.raises(DataError, match=r"no errors of pseudo_continuum_flux .* remove spectrum.i"):
        bring(write(tmp_path / "r.parquet", rows, kind))
    for each in rows["spectrum"]:
        each["pseudo_continuum_ivar"] = [400.0] * N_PIXELS
    kind = struct(pseudo_continuum_flux=pa.float32(), pseudo_continuum_ivar=pa.float32())
    bring(write(tmp_path / "r.parquet", rows, kind))
    np.testing.assert_array_equal(
        spectra(tmp_path / "r.parquet", "error")["star2"], np.float32(0.05)
    )


def test_other_fields_that_nothing_reads_are_named(tmp_path):
    rows = content()
    for each in rows["spectrum"]:
        each |= {name: [0.0] * N_PIXELS for name in ("sky", "flux_error", "lsf_sigma")}
    others = dict.fromkeys(("sky", "flux_error", "lsf_sigma"), pa.float32())
    imported = bring(write(tmp_path / "r.parquet", rows, struct(**others)))
    note = next(each for each in imported.report.notes if "nothing reads" in each)
    assert note.startswith("Of spectrum, nothing reads sky, flux_error; errors are read from ivar")
    rows = content()
    for each in rows["spectrum"]:
        each |= {name: [0.0] * N_PIXELS for name in ("sky_ivar", "template", "lsf_sigma")}
        del each["ivar"]
    others = dict.fromkeys(("sky_ivar", "template", "lsf_sigma"), pa.float32())
    imported = bring(write(tmp_path / "r.parquet", rows, struct(ivar=None, **others)))
    assert "nothing reads sky_ivar, template;" in " ".join(imported.report.notes)


class Fine(ToySurvey):
    """Fine pixels, which float32 does not tell apart exactly."""

    def __init__(self, wavelength: np.ndarray, unit: str) -> None:
        super().__init__()
        self.wavelength = wavelength
        self.card = ToySurvey.card.model_copy(update={"wavelength_unit": unit})


@pytest.mark.parametrize(
    ("first", "step", "unit"),
    [(5000, 0.01, "Angstrom"), (16500, 0.04, "Angstrom"), (4.179, 6e-6, "log10")],
)
def test_fine_pixels_come_back_as_they_were_exported(tmp_path, first, step, unit):
    n_pixels = len(ToySurvey.wavelength)
    task = Fine(first + step * np.arange(n_pixels), unit)
    for form in ("parquet", "hdf5"):
        export(task, "tiny", tmp_path / form, form, progress=False)
    bring(tmp_path / "parquet", continuum="auto", pixels=None)
    with h5py.File(tmp_path / "hdf5") as one, h5py.File(tmp_path / "survey.h5") as two:
        for split in SIZES:
            for field in ("flux", "error"):
                np.testing.assert_array_equal(one[split][field][:], two[split][field][:])
    described = json.loads((tmp_path / "parquet" / "croissant.json").read_text())
    parts = described["recordSet"][0]["field"][0]["subField"]
    (kind,) = (part["dataType"] for part in parts if part["name"] == "lambda")
    assert kind == "cr:Float64"


def test_exports_with_wavelengths_in_float32_are_still_read(tmp_path):
    for form in ("parquet", "hdf5"):
        export(ToySurvey(), "tiny", tmp_path / form, form, progress=False)
    for path in (tmp_path / "parquet").glob("*.parquet"):
        table = pq.read_table(path)
        kinds = [
            pa.field(each.name, pa.list_(pa.float32())) if each.name == "lambda" else each
            for each in table.schema.field("spectrum").type
        ]
        older = table.column("spectrum").cast(pa.struct(kinds))
        pq.write_table(
            table.set_column(0, "spectrum", older).replace_schema_metadata(table.schema.metadata),
            path,
        )
    bring(tmp_path / "parquet", continuum="auto", pixels=None)
    with h5py.File(tmp_path / "hdf5") as one, h5py.File(tmp_path / "survey.h5") as two:
        np.testing.assert_array_equal(one["test/flux"][:], two["test/flux"][:])


def test_damaged_pages_of_an_export_are_not_read_as_data(tmp_path):
    export(ToySurvey(), "tiny", tmp_path / "out", "parquet", progress=False)
    path = tmp_path / "out" / "train.parquet"
    with pq.ParquetFile(path) as file:
        column = next(
            file.metadata.row_group(0).column(number)
            for number in range(file.metadata.num_columns)
            if file.metadata.row_group(0).column(number).path_in_schema.startswith("spectrum.flux")
        )
    place = column.data_page_offset + column.total_compressed_size // 2
    damaged = bytearray(path.read_bytes())
    damaged[place : place + 8] = bytes(value ^ 0x11 for value in damaged[place : place + 8])
    path.write_bytes(bytes(damaged))
    with pytest.raises(DataError, match=rf"^{SIZES['train']} of .* train.parquet.* cannot be read"):
        bring(tmp_path / "out", max_dropped=0.05)


@pytest.mark.parametrize("name", ["Teff", "Object_ID", "Source", "split", "Split"])
def test_columns_of_the_same_or_our_name_do_no_harm(tmp_path, name):
    other = ["x"] * N if name in ("Source", "split", "Split") else [1] * N
    imported = bring(write(tmp_path / "r.parquet", content(**{name: other})))
    assert len(imported.stars) == N
    assert set(imported.stars["source"]) == {"r.parquet"}
    assert imported.stars["Teff"].min() == 4000


def test_names_of_bytes_and_with_zeros(tmp_path):
    names = [b"a\0b", b"\xff\xfe", b"\xff\xfd", "é".encode(), b"padded\0\0"]
    names += [f"star{row}".encode() for row in range(5, N)]
    imported = bring(write(tmp_path / "r.parquet", content(object_id=names)))
    assert [each.sentence for each in imported.report.dropped] == [
        r"r.parquet: star a\0b has a NUL character in its name; rename it."
    ]
    assert {"é", "padded", r"\xff\xfe", r"\xff\xfd"} < set(imported.stars["star"])


@pytest.mark.parametrize(
    ("field", "kind", "values"),
    [
        ("flux", pa.float32(), 1.0),
        ("flux", pa.list_(pa.string()), ["x"] * N_PIXELS),
        ("lambda", pa.list_(pa.list_(pa.float32())), [[1.0]] * N_PIXELS),
    ],
)
def test_fields_of_another_type_are_refused_in_one_sentence(tmp_path, field, kind, values):
    rows = content()
    rows["spectrum"] = [each | {field: values} for each in rows["spectrum"]]
    fields = {each.name: each.type for each in struct()} | {field: kind}
    path = write(tmp_path / "r.parquet", rows, pa.struct(list(fields.items())))
    with pytest.raises(
        DataError, match=rf"has spectrum.{field} of another type .*; give one number"
    ):
        bring(path)


def _two(folder: Path) -> tuple[Path, bytes]:
    """Write files of all ten stars each, and return the second and its bytes."""
    folder.mkdir()
    write(folder / "a.parquet", content())
    second = write(folder / "b.parquet", content(object_id=[f"other{row}" for row in range(N)]))
    return second, second.read_bytes()


def test_each_star_of_a_file_that_cannot_be_read_counts(tmp_path):
    second, whole = _two(tmp_path / "cut")
    second.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"10 of 20 spectra are bad.*b.parquet cannot be read"):
        bring(second.parent, max_dropped=0.3)
    assert len(bring(second.parent).stars) == N


def test_each_star_of_a_later_file_with_other_fields_counts_and_says_what_to_change(tmp_path):
    second, _ = _two(tmp_path / "fields")
    rows = content(object_id=[f"other{row}" for row in range(N)])
    for each in rows["spectrum"]:
        each["wave"] = each.pop("lambda")
    write(second, rows, struct(**{"lambda": None, "wave": pa.float32()}))
    imported = bring(second.parent)
    assert len(imported.stars) == N
    sentence = "b.parquet lacks flux or lambda in spectrum; add it to the struct."
    assert [each.sentence for each in imported.report.dropped] == [sentence] * N


def test_each_star_behind_a_damaged_page_counts_once(tmp_path):
    second, whole = _two(tmp_path / "page")
    with pq.ParquetFile(second) as file:
        start = file.metadata.row_group(1).column(0).data_page_offset
    second.write_bytes(whole[:start] + b"\xff" * 64 + whole[start + 64 :])
    imported = bring(second.parent, shares=(0.4, 0.3, 0.3))
    lost = [each.identifier for each in imported.report.dropped]
    assert lost == [f"other{row}" for row in range(4, N)]
    assert len(imported.stars) == 2 * N - len(lost)


def test_the_footer_tells_how_many_stars_are_lost(tmp_path):
    second, whole = _two(tmp_path / "column")
    with pq.ParquetFile(second) as file:
        metadata = file.metadata.row_group(0)
        start = metadata.column(metadata.num_columns - 1).data_page_offset
    second.write_bytes(whole[:start] + b"\xff" * 16 + whole[start + 16 :])
    report = Report()
    paths = sorted(second.parent.iterdir())
    rows = MultimodalRows(paths, report, WavelengthScale())
    assert len(rows.catalogue(("Teff", "logg"))) == N
    assert len(report.dropped) == N


def test_names_of_other_spectra_are_not_given_again():
    found = unique(pd.Series(["a", "a", "a#2", "a", "b"])).tolist()
    assert found == ["a", "a#3", "a#2", "a#4", "b"]
