import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starbench.tasks.apogee_giants import population
from starbench.tasks.apogee_giants.task import ApogeeGiants

N = 20_000


@pytest.fixture(scope="module")
def labels():
    return ApogeeGiants().labels("train", 0, N)


def test_nuisance_is_uniform_in_its_ranges(labels):
    nuisance = labels[0].reshape(-1, 2)
    for column, (low, high) in zip(
        nuisance.T, (population.TEFF_RANGE, population.LOGG_RANGE), strict=True
    ):
        assert low <= column.min() < column.max() <= high
        quartiles = (np.quantile(column, [0.25, 0.5, 0.75]) - low) / (high - low)
        assert quartiles == pytest.approx([0.25, 0.5, 0.75], abs=0.012)


def test_nuisance_is_uncorrelated_with_composition_and_with_the_twin(labels):
    nuisance, composition = labels
    columns = np.column_stack([nuisance.reshape(N, 4), composition])
    correlation = np.corrcoef(columns.T)[:4]
    correlation[:, :4] -= np.eye(4)
    assert np.abs(correlation).max() < 4.5 / np.sqrt(N)


def test_squares_of_nuisance_and_composition_are_uncorrelated(labels):
    # A dependence such as a scatter that grows with Teff shows in the correlation of squares.
    nuisance, composition = labels
    centred = lambda x: x - x.mean(axis=0)  # noqa: E731
    columns = np.column_stack([centred(nuisance.reshape(N, 4)) ** 2, centred(composition) ** 2])
    assert np.abs(np.corrcoef(columns.T)[:4, 4:]).max() < 4.5 / np.sqrt(N)


def test_compositions_have_two_alpha_sequences(labels):
    composition = dict(zip(population.COMPOSITION_NAMES, labels[1].T, strict=True))
    feh, alpha = composition["Fe/H"], composition["Mg/Fe"]
    at_feh = np.abs(feh + 0.35) < 0.08
    high, low = alpha[at_feh & (alpha > 0.15)], alpha[at_feh & (alpha < 0.15)]
    assert high.mean() - low.mean() > 0.1
    assert population.FEH_RANGE[0] <= feh.min() < feh.max() <= population.FEH_RANGE[1]


@given(st.integers(0, 10**6), st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_labels_of_a_range_do_not_depend_on_the_range(start, n):
    task = ApogeeGiants()
    nuisance, composition = task.labels("test", start, start + n)
    for i in (0, n - 1):
        alone = task.labels("test", start + i, start + i + 1)
        assert np.array_equal(alone[0][0], nuisance[i])
        assert np.array_equal(alone[1][0], composition[i])


def test_labels_of_the_splits_differ():
    drawn = [ApogeeGiants().labels(split, 0, 50)[0] for split in ("train", "validation", "test")]
    assert not np.isin(drawn[0][..., 0], drawn[1][..., 0]).all()
    first = {tuple(x[..., 0].ravel()) for x in drawn}
    assert len(first) == 3


def test_microturbulence_of_a_giant_is_that_of_the_published_relation():
    # Holtzman et al. 2018, eq. 2, worked by hand at log g = 2: 10 ** (0.226 - 0.0456 + 0.1188 -
    # 0.0904)
    assert population.microturbulence(np.array(2.0)) == pytest.approx(10**0.2088, rel=1e-12)
