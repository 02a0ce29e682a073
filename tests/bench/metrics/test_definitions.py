import doctest
import importlib
import pkgutil

import pytest

import starbench.metrics
from starbench.metrics import METRICS, metric


def test_definitions_are_one_sentence_each_and_versioned():
    for name, definition in METRICS.items():
        assert definition.definition.endswith("."), name
        assert ". " not in definition.definition, name
        assert definition.version >= 1


def test_names_of_families_are_found_by_their_members():
    assert metric("composition_recovery.mlp.Mg/Fe") is METRICS["composition_recovery.mlp"]
    assert metric("nuisance_leakage.ridge.v.sin.i") is METRICS["nuisance_leakage.ridge"]
    assert metric("doppelganger_0.1") is METRICS["doppelganger_0.1"]


@pytest.mark.parametrize(
    "name",
    ["", "doppelganger", "doppelganger_0.2", "doppelganger_1.x", "nuisance_leakage.tree.Teff"],
)
def test_unknown_names_are_refused(name):
    with pytest.raises(KeyError):
        metric(name)


@pytest.mark.parametrize(
    "module", [module.name for module in pkgutil.iter_modules(starbench.metrics.__path__)]
)
def test_doctests_pass(module):
    if module == "_l1_triton":
        pytest.importorskip("triton")
    result = doctest.testmod(importlib.import_module(f"starbench.metrics.{module}"))
    assert result.failed == 0
