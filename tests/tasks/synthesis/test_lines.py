"""The committed line table."""

import numpy as np
import pytest

from starbench.tasks.apogee_giants import population
from starbench.tasks.synthesis.lines import COLUMNS, load_lines


@pytest.fixture(scope="module")
def lines():
    return load_lines()


def test_line_table_is_sorted_finite_and_in_range(lines):
    assert tuple(lines.columns) == COLUMNS
    assert lines["wlcent"].is_monotonic_increasing
    assert np.isfinite(lines[list(COLUMNS[1:])].to_numpy()).all()
    metals = lines[lines["species"] != "H 1"]
    assert metals["wlcent"].between(15_050, 17_100).all()
    assert {"CO 1", "CN 1", "OH 1", "Fe 1", "Fe 2"} <= set(lines["species"])


@pytest.mark.parametrize(
    ("species", "wavelength", "excitation"),
    [
        ("Fe 1", 15207.526, 5.38),
        ("Mg 1", 15740.716, 5.93),
        ("Mg 1", 15748.9, 5.93),
        ("Mg 1", 15765.8, 5.93),
        ("Al 1", 16718.96, 4.08),
        ("H 1", 16806.52, 12.75),
    ],
)
def test_the_table_holds_known_lines(lines, species, wavelength, excitation):
    near = lines[(lines["species"] == species) & (abs(lines["wlcent"] - wavelength) < 0.2)]
    assert abs(near["excit"] - excitation).min() < 0.02


def test_the_co_bandhead_is_at_its_wavelength(lines):
    co = lines[lines["species"] == "CO 1"]["wlcent"]
    # the lines of the 3-0 band crowd redwards of the head and are absent just bluewards of it
    assert co.between(15577.3, 15582.0).sum() > 3 * co.between(15573.0, 15577.3).sum()


def test_each_element_of_the_task_has_a_line_or_a_molecule(lines):
    atoms = {name.split()[0] for name in lines["species"]}
    assert set(population.ELEMENTS) - atoms == {"N", "O"}  # seen through CN, and CO and OH


def test_brackett_lines_have_the_quantum_numbers_of_their_levels(lines):
    hydrogen = lines[lines["species"] == "H 1"].sort_values("gamvw")
    assert (hydrogen["gamqst"] == 4).all()  # without it the engine returns garbage
    assert hydrogen["gamvw"].tolist() == list(range(10, 24))
