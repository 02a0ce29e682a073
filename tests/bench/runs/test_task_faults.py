"""Faults of a user's task are named as the task's, before the fit, and not as the method's."""

import dataclasses

import numpy as np
import pytest
from support.toy_task import DrawnToyTask, ToySurvey, ToyTask

from starbench.metrics import network
from starbench.runs import runner
from starbench.tasks.errors import DataError, TaskFault


@pytest.fixture
def run(linear, tmp_path, monkeypatch):
    """Run a small method on a task; its fit must not begin."""
    monkeypatch.setattr(network, "_MIN_STEPS", 20)
    monkeypatch.setattr(network, "_EPOCHS", 2)

    class Unfitted(linear):
        def fit(self, train, validation, monitor):
            raise AssertionError("was fitted")

    def run(task, method=Unfitted):
        options = {"scale": "tiny", "device": "cpu", "out": tmp_path, "quiet": True}
        return runner.run(task, method, **options)

    return run


def spoilt(field, value, split, pair):
    """Return a class of tasks with a value in the first number of a pair of a split."""

    class Spoilt(ToyTask):
        def make(self, of_split, start, stop):
            pairs = super().make(of_split, start, stop)
            if of_split == split and start <= pair < stop:
                array = getattr(pairs, field).copy()
                array[pair - start].flat[0] = value
                pairs = dataclasses.replace(pairs, **{field: array})
            return pairs

    return Spoilt


@pytest.mark.parametrize(
    ("field", "split", "pair"),
    [
        ("flux", "train", 0), ("flux", "train", 39), ("nuisance", "validation", 20),
        ("composition", "train", 0), ("flux", "test", 3), ("noiseless_flux", "test", 0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_named(run, field, split, pair, value):
    with pytest.raises(TaskFault, match=f"^Task toy: {field} of {split} holds NaN or infinity;"):
        run(spoilt(field, value, split, pair)())


@pytest.mark.parametrize(
    "wavelength",
    [np.linspace(2, 1, 60), np.r_[np.nan, np.linspace(1, 2, 59)], np.ones(60), list(range(60))],
    ids=["falling", "NaN", "equal", "list"],
)
def test_wavelengths_are_checked(run, wavelength):
    task = ToyTask()
    task.wavelength = wavelength
    with pytest.raises(TaskFault, match=r"^Task toy: wavelength must be .*; correct it"):
        run(task)


class FewPixels(ToyTask):
    def make(self, split, start, stop):
        pairs = super().make(split, start, stop)
        return dataclasses.replace(pairs, flux=pairs.flux[..., 1:])


class FewPairs(ToyTask):
    def chunks(self, split, scale):
        yield next(super().chunks(split, scale))


class NoSplit(ToyTask):
    def make(self, split, start, stop):
        return super().make(split, start, stop).flux


class NoGroups(ToySurvey):
    def make(self, split, start, stop):
        return dataclasses.replace(super().make(split, start, stop), group=None)


class FewLabels(DrawnToyTask):
    def labels(self, split, start, stop):
        nuisance, composition = super().labels(split, start, stop)
        return nuisance[:, :, :1], composition


class OneSpectrum(DrawnToyTask):
    def spectra(self, nuisance, composition):
        return super().spectra(nuisance, composition)[:1]


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (FewPixels, r"flux of test must be float32 \(16, 2, 60\), not float32 \(16, 2, 59\)"),
        (FewPairs, "chunks of train hold 16 pairs, the card says 40"),
        (NoSplit, "make must return a starbench.tasks.base.Split of numpy arrays for test"),
        (NoGroups, r"group of test must be int64 \[n_stars\] in a survey"),
        (FewLabels, r"labels must return \[125, 2, 2\] where it returns \[125, 2, 1\]"),
        (OneSpectrum, r"spectra must return \[250, 60\] where it returns \[1, 60\]"),
    ],
)
def test_shapes_are_checked(run, task, words):
    with pytest.raises(TaskFault, match=f"^Task toy.*: {words}; correct it"):
        run(task())


def raising(function, error):
    """Return a class of tasks of which a function raises an error."""

    def fail(self, *arguments, **options):
        raise error

    return type("Raising", (DrawnToyTask,), {function: fail, "__module__": __name__})


@pytest.mark.parametrize("function", ["labels", "spectra", "prepare", "fingerprint", "chunks"])
@pytest.mark.parametrize("error", [ZeroDivisionError("no lines"), SystemExit()])
def test_what_the_code_of_a_task_raises_is_the_fault_of_the_task(run, function, error):
    words = r"^Task toy-drawn: its code raised .* \(test_task_faults.py:\d+\)\.$"
    with pytest.raises(TaskFault, match=words):
        run(raising(function, error)())


def test_errors_of_the_user_and_the_machine_pass_unchanged(run):
    for error in (DataError("give another"), FileNotFoundError(2, "No such file", "lines.csv")):
        with pytest.raises(type(error)) as caught:
            run(raising("spectra", error)())
        assert caught.value is error


def test_a_generator_that_fails_after_the_fit_is_not_the_methods_fault(run, linear):
    class Late(DrawnToyTask):
        def noiseless_flux(self, split, scale):
            raise ZeroDivisionError("no lines")

    with pytest.raises(TaskFault, match=r"^Task toy-drawn: its code raised ZeroDivisionError"):
        run(Late(), linear)


def test_double_precision_is_converted(run, linear):
    class Double(ToyTask):
        def make(self, split, start, stop):
            pairs = super().make(split, start, stop)
            names = ("flux", "noiseless_flux", "nuisance")
            double = {name: getattr(pairs, name).astype(float) for name in names}
            return dataclasses.replace(pairs, **double)

    assert run(Double(), linear).row.status == "ok"
