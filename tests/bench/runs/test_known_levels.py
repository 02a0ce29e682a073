"""Every method through the harness: none beats the true composition, controls score as expected.

The tiny scale of the standard task at every tenth pixel, and a dozen epochs for methods that have
epochs. Controls without the harness, on spectra made by a formula, are tested in test_controls.py.
"""

import dataclasses

import numpy as np
import pytest
from scipy.stats import binom

from starbench.evaluation.encoding import encode_split
from starbench.evaluation.star_ranks import rank_stars
from starbench.evaluation.views import view_split
from starbench.methods.base import Silent
from starbench.methods.registry import BUILT_IN, get_method
from starbench.tasks.registry import get_task

SMALL = {
    "epochs": 12,
    "batch_size": 64,
    "components": 20,
    "encoder_widths": (64,),
    "decoder_widths": (64,),
    "adversary_widths": (32,),
}
CHANCE = ("constant-latent", "nuisance-latent", "random-latent", "twin-by-order")
RAW_FLUX = 0.2  # its share on the tiny scale's 128 stars is 0.10, and chance is 0.008


@pytest.fixture(scope="module")
def view_of(tmp_path_factory):
    """Return a function from a split and a label access to a method's view."""
    task = get_task("apogee-giants", cache=tmp_path_factory.mktemp("cache"))
    task.prepare("tiny", progress=False)

    def view(split, access):
        split_view = view_split(task, split, "tiny", access, seed=0)
        flux = np.ascontiguousarray(split_view.view.flux[:, ::10])
        return dataclasses.replace(split_view, view=dataclasses.replace(split_view.view, flux=flux))

    return view


@pytest.fixture(scope="module")
def rank(view_of):
    """Return a function that fits a method and returns the rank of each star's twin."""

    def ranks(name):
        method_class = get_method(name)
        fields = {field.name for field in dataclasses.fields(method_class.Hyperparameters)}
        small = {key: value for key, value in SMALL.items() if key in fields}
        method = method_class(method_class.Hyperparameters(**small))
        train, validation, test = (
            view_of(split, method.label_access) for split in ("train", "validation", "test")
        )
        method.fit(train.view, validation.view, Silent())
        return rank_stars(method, encode_split(method, test), test.labels).rank

    return ranks


@pytest.fixture(scope="module")
def composition(rank):
    return rank("composition")


def test_the_composition_finds_every_twin(composition):
    assert (composition == 1).all()


@pytest.mark.parametrize("name", [name for name in BUILT_IN if not get_method(name).control])
def test_no_method_ranks_twins_above_the_composition(name, rank, composition):
    assert (rank(name) >= composition).all()


@pytest.mark.parametrize("name", CHANCE)
def test_controls_without_information_are_at_chance_or_below(name, rank):
    ranks = rank(name)
    # Count pairs: of two stars that are closest to each other, both have rank 1.
    n_pairs, chance = len(ranks), 2 / (ranks.size - 1)
    assert (ranks == 1).any(axis=1).sum() <= binom.ppf(1 - 1e-4, n_pairs, chance)


def test_spectra_alone_find_few_twins(rank):
    assert (rank("raw-flux") == 1).mean() < RAW_FLUX
