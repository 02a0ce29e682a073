"""Every registered task keeps the contract; tasks that break one clause fail that clause alone."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from support.toy_task import ToyTask

from starbench.tasks.contract import check_task, clauses
from starbench.tasks.example import MyTask
from starbench.tasks.forward import ForwardModel
from starbench.tasks.observation.noise import NoiseTrack
from starbench.tasks.own.hdf5 import OwnData
from starbench.tasks.registry import get_task, task_names


def breaches(task):
    return {clause: problem for clause, problem in check_task(task) if problem}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("name", task_names())
def test_registered_task_keeps_the_contract(name, cache):
    task = get_task(name, cache=cache)
    assert task.cache == cache
    results = dict(check_task(task))
    assert len(results) == len(clauses()) + 2
    assert not any(results.values()), results


def test_example_and_own_pairs_keep_the_contract(pairs_file):
    assert breaches(MyTask()) == {}
    assert breaches(NoiseTrack(MyTask(), 20)) == {}
    assert breaches(OwnData(pairs_file())) == {}
    assert breaches(OwnData(pairs_file(**{"test/composition": None}))) == {}


def test_the_changed_task_of_the_page_keeps_the_contract(cache, tmp_path):
    page = (Path(__file__).parents[2] / "tasks/README.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    for name, source, problems in (
        ("whole", code, {}),
        (
            "half",
            code.replace(", noiseless_flux=flux", ""),
            {"noise_matches_the_card": "or the error of each pixel, or change both alike"},
        ),
        (
            "base",
            code.partition("    def forward_model")[0],
            {"forward_model_makes_the_spectra": "stars, or return None"},
        ),
    ):
        (tmp_path / f"{name}.py").write_text(source)
        found = breaches(get_task(f"{tmp_path}/{name}.py:Sloped", cache=cache))
        assert found.keys() == problems.keys()
        assert all(found[clause].endswith(end) for clause, end in problems.items())


class Sound(ToyTask):
    """The toy task, at one scale; a base for tasks that break one clause."""

    def __init__(self):
        super().__init__(n_pairs=(160, 140, 130))
        self.card = self.card.model_copy(update={"sizes": {"tiny": self.n_pairs}})


def edited(change):
    """Return a class of tasks whose pairs `change(split, start, pairs)` changes."""

    class Edited(Sound):
        def make(self, split, start, stop):
            return change(split, start, super().make(split, start, stop))

    return Edited


def replaced(pairs, **fields):
    """Replace fields of pairs; flux replaces the noiseless flux too."""
    if "flux" in fields:
        fields.setdefault("noiseless_flux", fields["flux"])
    return dataclasses.replace(pairs, **fields)


class NoCard(Sound):
    def __init__(self):
        super().__init__()
        self.card = {"name": "no-card"}


class CannotPrepare(Sound):
    def prepare(self, scale, *, progress=True):
        raise RuntimeError("no network")


class FallingWavelength(Sound):
    def __init__(self):
        super().__init__()
        self.wavelength = self.wavelength[::-1]


class WithoutUnits(Sound):
    def __init__(self):
        super().__init__()
        self.card = self.card.model_copy(update={"nuisance_units": ("K", " ")})


class FewerPairs(Sound):
    def chunks(self, split, scale):
        yield from list(super().chunks(split, scale))[:-1]

    def labels_on_disk(self, split, scale):
        pairs = self.make(split, 0, self.sizes(scale)[split])
        return pairs.nuisance, pairs.composition


class OtherLabels(Sound):
    def drawn_labels(self, split, scale):
        nuisance, composition = super().drawn_labels(split, scale)
        return nuisance + 1, composition


class OtherChunks(Sound):
    def chunks(self, split, scale):
        for rows, pairs in super().chunks(split, scale):
            yield rows, replaced(pairs, flux=pairs.flux + np.float32(0.01))


class OneFingerprint(Sound):
    def __init__(self):
        super().__init__()
        larger = {split: 2 * n for split, n in self.n_pairs.items()}
        self.card = self.card.model_copy(update={"sizes": {"mini": larger, "tiny": self.n_pairs}})


class Faulty(Sound):
    def problems(self, scale, *, progress=True):
        yield "the file is damaged", None


class Dark:
    """A spectral model without light."""

    def __init__(self, n_parameters):
        self.n_parameters = n_parameters

    def spectra(self, parameters):
        return np.zeros((len(parameters), 60), np.float32)


class WithForwardModel(Sound):
    n_parameters = 6

    def forward_model(self):
        return ForwardModel(Dark(self.n_parameters))


class LoudNoise(NoiseTrack):
    def observe(self, split, rows, piece):
        pairs = super().observe(split, rows, piece)
        return replaced(
            pairs, flux=2 * pairs.flux - piece.flux, noiseless_flux=pairs.noiseless_flux
        )


class SharedNoise(NoiseTrack):
    def noise(self, split, start, stop):
        noise = super().noise(split, start, stop)
        noise[:, 1] = noise[:, 0]
        return noise


def unstated_noise(split, start, pairs):
    return dataclasses.replace(pairs, flux=pairs.flux + np.float32(0.01))


def not_a_number(split, start, pairs):
    flux = pairs.flux.copy()
    flux[:, 0, 3] = np.nan
    return replaced(pairs, flux=flux)


def shifted_by_its_range(split, start, pairs):
    return replaced(pairs, flux=pairs.flux + np.float32(1e-6 * (start % 16 > 0)))


class OverlappingSplits(Sound):
    def make(self, split, start, stop):
        return super().make("train" if split == "validation" else split, start, stop)


def equal_twins(split, start, pairs):
    nuisance = pairs.nuisance.copy()
    nuisance[:, 1] = nuisance[:, 0]
    return replaced(pairs, nuisance=nuisance)


BROKEN = {
    "card_is_valid": NoCard,
    "data_can_be_prepared": CannotPrepare,
    "wavelength_increases": FallingWavelength,
    "pairs_can_be_made": edited(lambda split, start, pairs: pairs.flux),
    "nuisances_have_units": WithoutUnits,
    "chunks_cover_each_split": FewerPairs,
    "arrays_have_shape_and_type": edited(
        lambda split, start, pairs: replaced(pairs, flux=pairs.flux.astype(np.float64))
    ),
    "values_are_finite": edited(not_a_number),
    "flux_is_normalised": edited(
        lambda split, start, pairs: replaced(pairs, flux=1000 * pairs.flux)
    ),
    "labels_match_the_spectra": OtherLabels,
    "twins_differ_in_nuisance": edited(equal_twins),
    "siblings_share_their_composition": edited(
        lambda split, start, pairs: replaced(pairs, group=start + np.arange(len(pairs)))
    ),
    "pairs_are_the_same_in_any_range": edited(shifted_by_its_range),
    "chunks_match_make": OtherChunks,
    "splits_share_nothing": OverlappingSplits,
    "fingerprint_identifies_the_data": OneFingerprint,
    "noise_matches_the_card": edited(unstated_noise),
    "noise_is_independent": lambda: SharedNoise(Sound(), 50),
    "forward_model_makes_the_spectra": WithForwardModel,
    "stored_data_are_sound": Faulty,
}


def test_what_two_splits_share_is_counted_in_words():
    said = breaches(OverlappingSplits())["splits_share_nothing"]
    assert re.match(r"train and \w+ share \d+ of their pairs: include the split in the name", said)


def test_every_clause_has_a_task_that_breaks_it():
    assert list(BROKEN)[2:] == [clause.__name__ for clause in clauses()]
    assert breaches(Sound()) == {}
    assert breaches(NoiseTrack(Sound(), 50)) == {}


@pytest.mark.parametrize("clause", BROKEN)
def test_a_broken_task_fails_exactly_its_clause(clause):
    assert set(breaches(BROKEN[clause]())) == {clause}


def test_a_forward_model_of_other_parameters_is_named():
    class OneMore(WithForwardModel):
        n_parameters = 7

    (problem,) = breaches(OneMore()).values()
    assert problem == (
        "forward_model must take the 6 columns of nuisance, composition and unseen, not 7"
    )


def test_noise_of_another_size_than_stated_is_named():
    (problem,) = breaches(LoudNoise(Sound(), 50)).values()
    assert "deviation 1.984 in units of its error" in problem


def test_an_exception_of_a_task_is_reported_as_its_problem():
    class Raises(Sound):
        def make(self, split, start, stop):
            raise ZeroDivisionError("no stars")

    assert breaches(Raises()) == {"pairs_can_be_made": "raised ZeroDivisionError('no stars')"}


def test_a_task_that_exits_fails_its_clause():
    class Exits(Sound):
        def prepare(self, scale, *, progress=True):
            raise SystemExit("bye")

    assert breaches(Exits()) == {"data_can_be_prepared": "raised SystemExit('bye')"}


def test_a_card_changed_without_validation_is_examined():
    class TwoSplits(Sound):
        def __init__(self):
            super().__init__()
            sizes = {"tiny": {"train": 8, "validation": 8}}
            self.card = self.card.model_copy(update={"sizes": sizes})

    problem = breaches(TwoSplits())["card_is_valid"]
    assert problem == (
        "Card(as a whole: sizes of scale tiny must have the keys train, validation, test, and may "
        "have stars, or pairs of a survey)"
    )


def test_noise_that_validation_shares_with_test_is_named():
    class Shared(NoiseTrack):
        def noise(self, split, start, stop):
            return super().noise("test" if split == "validation" else split, start, stop)

    (problem,) = breaches(Shared(Sound(), 50)).values()
    assert problem.startswith("the noise of validation and test is correlated")


def test_a_card_that_promises_absent_noise_fails_one_clause():
    class Silent(Sound):
        def __init__(self):
            super().__init__()
            self.card = self.card.model_copy(update={"snr": 50.0})

    assert set(breaches(Silent())) == {"noise_matches_the_card"}
