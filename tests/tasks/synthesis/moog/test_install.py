"""Nothing but arrays is read out of the pickled atmospheres, and what is missing is named."""

import io
import os
import pickle
import sys
import types

import numpy as np
import pytest

from starbench.tasks.synthesis import generators
from starbench.tasks.synthesis.moog import install


class Call:
    """Pickled as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_networks_pickled_by_dill_are_read(monkeypatch):
    """dill refers to NumPy's functions through its own ones."""

    def _import_module(name):
        raise AssertionError("dill must not be needed")

    def _get_attr(module, name):
        raise AssertionError("dill must not be needed")

    fake = types.ModuleType("dill._dill")
    for function in (_import_module, _get_attr):
        function.__module__, function.__qualname__ = "dill._dill", function.__name__
        setattr(fake, function.__name__, function)
    monkeypatch.setitem(sys.modules, "dill", types.ModuleType("dill"))
    monkeypatch.setitem(sys.modules, "dill._dill", fake)

    class Array(Call):
        def __init__(self, array):
            module = Call(_import_module, "numpy.core._multiarray_umath")
            self.array = array
            self.function = Call(_get_attr, module, "_reconstruct")

        def __reduce__(self):
            state = self.array.__reduce__()[2]
            return Reconstruct(self.function), (np.ndarray, (0,), b"b"), state

    class Reconstruct(Call):
        """A call whose result is called."""

        def __init__(self, function):
            self.call = function.call

        def __call__(self, *arguments):
            raise AssertionError

    rng = np.random.default_rng(0)
    columns = [
        {name: rng.normal(size=(2, 3)) for name in (*install._WEIGHTS, "x_min", "x_max")}
        for _ in range(6)
    ]
    pickled = [{name: Array(array) for name, array in column.items()} for column in columns]
    networks = install.read_networks(io.BytesIO(pickle.dumps(pickled)))
    for name in install._WEIGHTS:
        assert np.array_equal(networks[name], [column[name] for column in columns[:5]])
    assert np.array_equal(networks["x_max"], columns[0]["x_max"])


@pytest.mark.parametrize(
    "content", [Call(os.system, "true"), Call(print, "x"), Call(np.load, "x.npy")]
)
def test_anything_but_arrays_is_refused(content):
    with pytest.raises(pickle.UnpicklingError, match="not an array"):
        install.read_networks(io.BytesIO(pickle.dumps([{"w_array_0": content}])))


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv(install.ENVIRONMENT, str(tmp_path))
    with pytest.raises(FileNotFoundError, match="MOOGSYNTH is missing; run python -m"):
        install.installed(install.BINARY)
    assert "moog.install" in generators.GENERATORS["moog"].missing()
    (tmp_path / install.BINARY).touch()
    assert generators.GENERATORS["moog"].missing() is None
