"""The line list of the second generator, as it is shipped."""

import json

import numpy as np
import pytest

from starbench.tasks.synthesis.fidelity.second import corrections
from starbench.tasks.synthesis.moog import fit_lines, lines


@pytest.fixture(scope="module")
def table():
    return lines.load_lines()


def test_the_shipped_list_is_what_the_fit_recorded(table):
    record = json.loads(fit_lines.RECORD_PATH.read_text())
    assert tuple(table.columns) == lines.COLUMNS
    assert table["wavelength"].is_monotonic_increasing
    assert not table.isna().any().any()
    assert table["origin"].value_counts().to_dict() == record["origin"]
    low, high = fit_lines.bounds(table, wide=True)
    assert (table["correction"] >= low - 1e-3).all()
    assert (table["correction"] <= high + 1e-3).all()


def test_the_fit_meets_its_target():
    record = json.loads(fit_lines.RECORD_PATH.read_text())
    rms = [record[stage]["rms"] for stage in ("literature", "before", "corrected", "lines_added")]
    assert rms == sorted(rms, reverse=True)
    assert rms[0] > 0.028
    assert rms[-1] <= 0.008


def test_moog_gets_the_corrected_gf_and_all_isotopologues_of_a_molecule_are_one_species(table):
    part = table.iloc[:200]
    rows = [row.split() for row in lines.moog_format(part).splitlines()[1:]]
    assert len(rows) == len(part)
    expected = part["gflog"] + part["correction"]
    assert [float(row[3]) for row in rows] == pytest.approx(expected.tolist(), abs=6e-4)
    assert [row[1] for row in rows] == part["species"].tolist()
    uncorrected = [row.split() for row in lines.moog_format(part, 0.0).splitlines()[1:]]
    assert [float(row[3]) for row in uncorrected] == pytest.approx(part["gflog"].tolist())
    assert set(lines.species_group(table[lines.is_molecule(table)])) == {"108", "607", "608"}
    assert len(lines.load_hydrogen().splitlines()) == 10


def test_corrections_are_counted_by_species():
    rows = {row["species"]: row for row in corrections()}
    assert {"atoms", "molecules", "CO", "CN", "OH", "Fe I", "Si I", "Ni I"} <= set(rows)
    assert rows["molecules"]["rms"] < 0.15 < rows["atoms"]["rms"]
    assert (
        rows["CO"]["lines"] + rows["CN"]["lines"] + rows["OH"]["lines"]
        == (rows["molecules"]["lines"])
    )
    assert np.sign(rows["Ni I"]["median"]) == -1
