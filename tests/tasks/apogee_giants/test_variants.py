import numpy as np
import pytest

from starbench.tasks.apogee_giants import population, variants
from starbench.tasks.registry import get_task
from starbench.tasks.streams import uniforms

N = 20_000


@pytest.fixture(scope="module")
def variates():
    return uniforms("tests/variants", 0, N, 32)


def test_dense_stars_scatter_a_quarter_as_much(variates):
    _, ideal = variants.draw_ideal(variates, 2)
    _, dense = variants.draw_dense(variates, 2)
    assert np.array_equal(ideal[:, 0], dense[:, 0])
    own = ideal - dense  # three quarters of each element's own scatter
    expected = [0.75 * population.ABUNDANCES[x][3] for x in population.ELEMENTS]
    assert own[:, 1:].std(axis=0) == pytest.approx(np.array(expected), rel=0.03)


def test_branch_temperatures_follow_gravity_and_metallicity(variates):
    nuisance, composition = variants.draw_branch(variates, 2)
    teff, logg = nuisance[..., 0], nuisance[..., 1]
    assert teff.min() >= 4000
    assert teff.max() <= 5000
    deviation = teff - variants.branch_teff(logg, composition[:, :1])
    # Far from the ends of the range no temperature is cut.
    inner = abs(variants.branch_teff(logg, composition[:, :1]) - 4500) < 250
    assert deviation[inner].std() == pytest.approx(60, rel=0.02)
    assert deviation[inner].mean() == pytest.approx(0, abs=2)
    assert variants.branch_teff(np.array(3.25), np.array(-1.0)) == 4500 + 420 + 260


def test_branch_labels_depend_on_composition_and_ideal_ones_do_not(variates):
    def correlation(draw):
        nuisance, composition = draw(variates, 2)
        return np.corrcoef(nuisance[:, 0, 0], composition[:, 0])[0, 1]

    assert abs(correlation(variants.draw_ideal)) < 5 / np.sqrt(N)
    assert correlation(variants.draw_branch) < -0.25


def test_metallicity_twins_share_only_the_ratios(variates):
    nuisance, composition = variants.draw_metallicity(variates, 2)
    feh = nuisance[..., 2]
    assert nuisance.shape == (N, 2, 3)
    assert composition.shape == (N, 16)
    assert np.median(abs(feh[:, 0] - feh[:, 1])) > 0.15
    assert population.FEH_RANGE[0] <= feh.min()
    assert feh.max() <= population.FEH_RANGE[1]
    high = variates[:, -19] < population.HIGH_ALPHA_SHARE
    assert feh[high].mean() == pytest.approx(-0.35, abs=0.02)
    assert feh[~high].mean() == pytest.approx(-0.07, abs=0.03)
    within = np.corrcoef(feh[~high, 0], feh[~high, 1])[0, 1]
    assert abs(within) < 5 / np.sqrt(len(feh[~high]))


def test_stars_without_twins_have_one_spectrum_each():
    track = get_task("apogee-giants-branch")
    stars = track.make("stars", 0, 3)
    assert stars.flux.shape == (3, 1, len(track.wavelength))
    assert stars.nuisance.shape == (3, 1, 2)
    assert len(np.unique(track.labels_on_disk("stars", "mini")[1], axis=0)) == 2500
    assert track.training_split("nuisance") == track.training_split("none") == "stars"
    assert track.training_split("pairs") == track.training_split("oracle") == "train"
    assert get_task("apogee-giants").training_split("nuisance") == "train"


def test_made_and_read_spectra_are_the_same_bits_on_any_number_of_threads(monkeypatch):
    from starbench.common import threads

    track = get_task("apogee-giants-dense")
    spectra = []
    for n in (1, 3):
        monkeypatch.setattr(threads, "_chosen", n)
        spectra.append(np.concatenate([p.flux for _, p in track.chunks("stars", "tiny")]))
    assert np.array_equal(*spectra)
