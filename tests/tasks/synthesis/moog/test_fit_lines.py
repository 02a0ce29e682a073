"""The fit of the line list, to a spectrum whose lines are known."""

import numpy as np
import pandas as pd
import pytest

from starbench.tasks.synthesis.moog import engine, fit_lines

WIDTH = 0.08  # Angstrom


def make_lines(wavelength, gflog):
    return pd.DataFrame(
        {
            "wavelength": wavelength,
            "species": "26.0",
            "excitation": 5.5,
            "gflog": gflog,
            "dissociation": 0.0,
            "correction": 0.0,
            "origin": "list",
            "depth": 0.0,
        }
    )


class Formula(fit_lines.Target):
    """Saturating Gaussian lines in place of MOOG."""

    def depths(self, lines, correction):
        strength = 10 ** (lines["gflog"].to_numpy() + correction)
        opacity = np.zeros(len(self.wavelength))
        for centre, size in zip(lines["wavelength"], strength, strict=True):
            first, last = np.searchsorted(self.wavelength, (centre - 0.5, centre + 0.5))
            offset = self.wavelength[first:last] - centre
            opacity[first:last] += size * np.exp(-0.5 * (offset / WIDTH) ** 2)
        return 1 - np.exp(-opacity)


@pytest.fixture(scope="module")
def truth():
    rng = np.random.default_rng(0)
    wavelength = np.sort(rng.uniform(15_160, 16_940, 150))
    wavelength = wavelength[np.append(True, np.diff(wavelength) > 0.4)]
    return make_lines(wavelength, rng.uniform(-1.0, -0.3, len(wavelength)))


@pytest.fixture(scope="module")
def target(truth):
    blank = Formula((engine.grid(), np.ones(len(engine.grid()))))
    return Formula((engine.grid(), blank.synthesis(truth, 0.0)))


def test_known_errors_are_fitted_back(truth, target):
    error = np.random.default_rng(1).normal(0, 0.25, len(truth))
    start = truth.assign(gflog=truth["gflog"] - error)
    state = fit_lines.State(start, np.zeros(len(start)), {}, np.zeros(target.hats.shape[1]))
    said = []
    for _ in range(3):
        state, depth = fit_lines.improve(target, state, False, said.append)
    assert len(said) == 3
    fitted = state.correction(wide=False)
    assert np.std(fitted - error) < 0.3 * np.std(error)  # the priors hold them back
    assert np.corrcoef(fitted, error)[0, 1] > 0.95
    assert (depth > 0.02).all()


def test_a_missing_line_is_added_where_it_is_missing(truth, target, monkeypatch):
    known = truth.nsmallest(2, "gflog").sort_values("wavelength")
    monkeypatch.setattr(
        fit_lines, "atoms", lambda: known.assign(gflog=[known["gflog"].iloc[0] - 0.2, 5.0])
    )
    start = truth.drop(index=known.index).reset_index(drop=True)
    state = fit_lines.State(start, np.zeros(len(start)), {}, np.zeros(target.hats.shape[1]))
    _, depth = fit_lines.improve(target, state, False, lambda text: None)
    lines = fit_lines.add_lines(target, state, depth, wide=False).lines
    added = lines[lines["origin"] != "list"]
    assert len(added) == 2
    assert added["wavelength"].tolist() == pytest.approx(known["wavelength"].tolist(), abs=0.03)
    assert added["origin"].tolist() == ["linemake", "anonymous"]
    assert lines["wavelength"].is_monotonic_increasing


def test_lines_perturbed_together_are_apart():
    wavelength = np.sort(np.random.default_rng(0).uniform(0, 100, 300))
    colour = fit_lines.colours(wavelength, 1.8)
    for number in range(colour.max() + 1):
        assert (np.diff(wavelength[colour == number]) >= 1.8).all()
