"""Every registered method keeps the contract; methods that break one clause fail that clause."""

import dataclasses
import inspect
from abc import ABC
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from support.small_settings import TINY, hyperparameters
from support.spectra import draw, view

from starbench.methods.base import Diagnostic, Method, View, option
from starbench.methods.contract import Subject, check_method, clauses
from starbench.methods.registry import BUILT_IN, get_method, method_names


def subject(method: type[Method]) -> Subject:
    flux, nuisance, composition = draw("test", 40)
    return Subject(
        method,
        hyperparameters(method, TINY),
        view("train", 120, method.label_access),
        view("validation", 40, method.label_access),
        flux.reshape(80, -1),
        None if method.label_access == "none" else nuisance.reshape(80, -1),
        np.repeat(composition, 2, axis=0),
    )


# A control that breaks the contract on purpose, and the clause that it breaks.
BREAKS = {"twin-by-order": {"encode_ignores_batch_and_order"}}


@pytest.mark.parametrize("name", method_names())
def test_registered_method_keeps_the_contract(name):
    results = dict(check_method(subject(get_method(name))))
    assert len(results) == len(clauses()) + 1
    breaches = {clause: breach for clause, breach in results.items() if breach}
    assert set(breaches) == BREAKS.get(name, set()), breaches


@pytest.mark.parametrize("name", method_names())
def test_registered_method_describes_itself(name):
    method = get_method(name)
    assert method.name == name
    assert method.reference
    assert method.__module__ and __import__(method.__module__, fromlist=["_"]).__doc__
    for field in dataclasses.fields(method.Hyperparameters):
        assert field.metadata.get("help"), f"{name}: hyperparameter {field.name} is undocumented"
    for preset in method.presets.values():
        assert dataclasses.replace(method.Hyperparameters(), **preset)


@dataclass(frozen=True)
class ProjectionSettings:
    latent: int = option(4, "dimensions of the latent", low=1)


class Projection(Method):
    """The simplest method that keeps the contract: a random projection of the centred flux."""

    name, label_access, reference = "projection", "nuisance", "tests"
    Hyperparameters = ProjectionSettings

    def fit(self, train: View, validation: View, monitor) -> None:
        generator = np.random.default_rng(self.seed)
        shape = (train.flux.shape[1], self.hyperparameters.latent)
        self.matrix = generator.normal(size=shape).astype(np.float32)
        self.mean = train.flux.mean(axis=0)

    def encode(self, flux, nuisance):
        return (flux - self.mean) @ self.matrix

    def state(self):
        return {"matrix": torch.from_numpy(self.matrix), "mean": torch.from_numpy(self.mean)}

    def load_state(self, state):
        self.matrix, self.mean = state["matrix"].numpy(), state["mean"].numpy()


class RowOrder(Projection):
    def encode(self, flux, nuisance):
        return super().encode(flux, nuisance) + np.arange(len(flux), dtype=np.float32)[:, None]


class BatchDependent(Projection):
    def encode(self, flux, nuisance):
        return (flux - flux.mean(axis=0)) @ self.matrix


class BatchDependentInOneSmallDimension(Projection):
    def encode(self, flux, nuisance):
        latent = super().encode(flux, nuisance)
        latent[:, 3] = 1e-4 * latent[::-1, 3]
        return latent


class InPlace(Projection):
    def fit(self, train, validation, monitor):
        super().fit(train, validation, monitor)
        train.flux[...] -= self.mean


class NotANumber(Projection):
    def encode(self, flux, nuisance):
        latent = super().encode(flux, nuisance)
        latent[0] = np.nan
        return latent


class UnsavedState(Projection):
    def state(self):
        return {"matrix": torch.from_numpy(self.matrix)}

    def load_state(self, state):
        self.matrix = state["matrix"].numpy()


class ReadsComposition(Projection):
    def fit(self, train, validation, monitor):
        super().fit(train, validation, monitor)
        self.matrix[:, 0] = train.composition[:, 0].mean()


class Unseeded(Projection):
    def fit(self, train, validation, monitor):
        super().fit(train, validation, monitor)
        self.matrix += np.random.default_rng().normal(size=self.matrix.shape).astype(np.float32)


class ForgetsProgress(Projection):
    """Trains in epochs, but starts over when it is continued."""

    def fit(self, train, validation, monitor):
        if not hasattr(self, "matrix"):
            super().fit(train, validation, monitor)
        monitor.start(self, 4)
        for epoch in range(4):
            self.matrix = self.matrix * np.float32(0.5) + 1
            monitor.epoch(self, epoch + 1, {"loss": 0.0})


class SilentDiagnostic(Projection):
    diagnostics: ClassVar = (Diagnostic("loss", "loss"),)


class WeighsMaskedPixels(Projection):
    takes_errors = True

    def encode(self, flux, nuisance, error=None):
        return super().encode(flux, nuisance)


class BatchDependentErrors(Projection):
    takes_errors = True

    def encode(self, flux, nuisance, error=None):
        if error is None:
            return super().encode(flux, nuisance)
        weight = np.where(np.isfinite(error), 1 / np.square(error), 0)
        return (np.where(weight > 0, flux - 1, 0) * (weight / weight.max())) @ self.matrix


class FractionOfParameters(Projection):
    @property
    def n_parameters(self):
        return self.matrix.size / 2


class CountsFromZero(Projection):
    def fit(self, train, validation, monitor):
        super().fit(train, validation, monitor)
        monitor.start(self, 1)
        monitor.epoch(self, 0, {"loss": 0.0})


class SavesArrays(ForgetsProgress):
    def state(self):
        return {"matrix": self.matrix, "mean": self.mean}


class WrongType(Projection):
    def encode(self, flux, nuisance):
        return super().encode(flux, nuisance).astype(np.float64)


def test_the_simplest_method_keeps_the_contract():
    assert all(breach is None for _, breach in check_method(subject(Projection)))


@pytest.mark.parametrize(
    ("method", "clause"),
    [
        (RowOrder, "encode_ignores_batch_and_order"),
        (BatchDependent, "encode_ignores_batch_and_order"),
        (BatchDependentInOneSmallDimension, "encode_ignores_batch_and_order"),
        (InPlace, "fit_and_encode_do_not_change_their_input"),
        (NotANumber, "latents_are_finite"),
        (UnsavedState, "saving_keeps_latents"),
        (ReadsComposition, "fit_works_within_label_access"),
        (Unseeded, "same_seed_gives_same_latents"),
        (ForgetsProgress, "interrupted_fit_resumes"),
        (WrongType, "latents_have_shape_and_type"),
        (FractionOfParameters, "rows_can_hold_what_is_reported"),
        (CountsFromZero, "rows_can_hold_what_is_reported"),
        (SilentDiagnostic, "diagnostics_are_reported"),
        (WeighsMaskedPixels, "masked_pixels_carry_no_weight"),
        (BatchDependentErrors, "clauses_hold_with_errors"),
    ],
)
def test_a_broken_method_fails_the_clause_meant_for_it(method, clause):
    breaches = {name: breach for name, breach in check_method(subject(method)) if breach}
    assert clause in breaches
    assert len(breaches[clause]) > 10


def test_a_state_that_cannot_be_saved_is_named():
    results = dict(check_method(subject(SavesArrays)))
    for clause in ("saving_keeps_latents", "interrupted_fit_resumes"):
        assert results[clause] == (
            "state() must map names to torch tensors, but its entry 'matrix' is of type "
            "numpy.ndarray; give torch.from_numpy of it"
        )


def test_the_example_keeps_the_contract_within_forty_lines_of_code():
    from starbench.methods import example

    assert all(breach is None for _, breach in check_method(subject(example.MyMethod)))
    code = Path(example.__file__).read_text().split("\n\n\n", 1)[1]
    assert len([line for line in code.splitlines() if line.strip()]) <= 40


BUILT_IN_CLASSES = [get_method(name) for name in BUILT_IN]


@pytest.mark.parametrize("method", BUILT_IN_CLASSES, ids=lambda method: method.name)
def test_a_built_in_method_is_final_and_inherits_from_no_other_method(method):
    assert vars(method).get("__final__"), f"{method.__name__} is not marked as final"
    bases = [base for base in method.__mro__[1:] if base not in (ABC, object)]
    assert all(inspect.isabstract(base) for base in bases)


@pytest.mark.parametrize("method", BUILT_IN_CLASSES, ids=lambda method: method.name)
def test_a_built_in_method_overrides_neither_private_nor_final_functions(method):
    for base in method.__mro__[1:-1]:
        inherited = {k: v for k, v in vars(base).items() if inspect.isfunction(v)}
        closed = {
            name
            for name, function in inherited.items()
            if (name.startswith("_") and name != "__init__") or hasattr(function, "__final__")
        }
        assert not closed & vars(method).keys()
