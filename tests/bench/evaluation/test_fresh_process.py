"""Methods that know more than their state holds are refused."""

import sys

import h5py
import pytest

from starbench.common import checkpoint
from starbench.evaluation import fresh_process
from starbench.evaluation.encoding import OutputError
from starbench.methods.registry import get_method
from starbench.runs import runner

ADDRESS = fresh_process._address  # before a fixture replaces it
HEAD = '''
import os, sys
from dataclasses import dataclass
import h5py, numpy as np, torch
from starbench.methods.base import Method

class Honest(Method):
    """Some pixels, and a decoder that repeats them."""
    name, label_access, reference = "honest", "nuisance", "tests"

    @dataclass(frozen=True)
    class Hyperparameters:
        kept: tuple[int, ...] = (0, 7)

    def fit(self, train, validation, monitor):
        self.mean = train.flux.mean(axis=0)

    def encode(self, flux, nuisance):
        return flux[:, list(self.hyperparameters.kept)]

    def decode(self, latent, nuisance):
        return np.repeat(self.mean[None], len(latent), axis=0) + latent[:, :1] * 0

    def state(self):
        return {"mean": torch.from_numpy(self.mean)}

    def load_state(self, state):
        self.mean = state["mean"].numpy()
'''
REMEMBERS = '''
memory = {}

class Remembers(Honest):
    """Decodes a latent into the spectrum that it was made from."""
    name = "remembers"

    def encode(self, flux, nuisance):
        latent = super().encode(flux, nuisance)
        memory.update({z.tobytes(): x for z, x in zip(latent, flux)})
        return latent

    def decode(self, latent, nuisance):
        known = [memory.get(z.tobytes()) for z in latent]
        return np.stack([self.mean if x is None else x for x in known])
'''
FRAMES = '''
class Frames(Honest):
    """Reads the order of the spectra from the harness."""
    name = "frames"

    def encode(self, flux, nuisance):
        frame = sys._getframe()
        while frame is not None:
            found = frame.f_locals.get("split_view") or frame.f_locals.get("view")
            if hasattr(found, "order"):
                where = {x.tobytes(): i for i, x in enumerate(found.view.flux)}
                pair = [found.order[where[x.tobytes()]] // 2 for x in flux]
                return np.array(pair, np.float32)[:, None]
            frame = frame.f_back
        return super().encode(flux, nuisance)[:, :1]
'''
CACHE = '''
class Cache(Honest):
    """Looks spectra up in the data set on disk."""
    name = "cache"

    def encode(self, flux, nuisance):
        with h5py.File(os.path.join(os.environ["STARBENCH_CACHE"], "pairs.h5")) as file:
            known = file["flux"][:]
        where = {x.tobytes(): i // 2 for i, x in enumerate(known.reshape(-1, known.shape[-1]))}
        return np.array([where.get(x.tobytes(), 0) for x in flux], np.float32)[:, None]
'''


def run(tmp_path, toy_task, source, name):
    file = tmp_path / f"{name.lower()}_method.py"
    file.write_text(HEAD + source)
    try:
        return runner.run(
            toy_task, get_method(f"{file}:{name}"), scale="tiny", device="cpu", threads=1,
            out=tmp_path, quiet=True,
        ).row  # fmt: skip
    finally:
        sys.modules.pop(file.stem, None)


def test_memories_of_an_instance_are_refused_without_a_new_process(toy_task, tmp_path):
    source = REMEMBERS.replace("memory = {}", "").replace("memory.", "self.__dict__.")
    row = run(tmp_path, toy_task, source, "Remembers")
    assert row.status == "failed"
    assert "decode of remembers gives other spectra where nothing but its state" in row.message


BROKEN_LATENTS = """
class Broken(Honest):
    name = "broken"
    own = 0

    def fit(self, train, validation, monitor):
        super().fit(train, validation, monitor)
        self.own = 1

    def encode(self, flux, nuisance):
        latent = super().encode(flux, nuisance)
        latent[RULE] = np.nan
        return LATENT

    decode = Method.decode
"""


@pytest.mark.parametrize(
    ("rule", "latent", "kept"),
    [
        ("flux[:, 0] > 1", "latent", True),
        ("flux[:, 0] > -1", "latent", True),
        ("flux[:, 0] > 1", "latent + self.own", False),  # which the state does not hold
        ("[]", "latent * np.float32([1, 1e-2]) + np.float32([0, 5e-5]) * self.own", False),
        ("flux[:, 0] > 2 - self.own", "latent", False),
        ("flux[:, 0] > 1 + self.own", "latent", False),
    ],
)
def test_finite_latents_are_compared_dimension_by_dimension(toy_task, tmp_path, rule, latent, kept):
    source = BROKEN_LATENTS.replace("RULE", rule).replace("LATENT", latent)
    row = run(tmp_path, toy_task, source, "Broken")
    assert row.status == ("ok" if kept else "failed"), row.message
    assert kept or "encode of broken gives other latents" in row.message


@pytest.mark.parametrize(
    "latent",
    [
        "(flux - flux.mean(axis=0)) / (flux.std(axis=0) + 1e-6)",
        "flux + np.arange(len(flux))[:, None]",
    ],
    ids=["statistics of the batch", "order"],
)
def test_runs_fail_whose_latents_tell_of_other_spectra(toy_task, tmp_path, latent):
    source = f"""
class Batch(Honest):
    name = "batch"

    def encode(self, flux, nuisance):
        return ({latent}).astype(np.float32)
"""
    row = run(tmp_path, toy_task, source, "Batch")
    assert row.status == "failed" and "must depend on its own spectrum alone" in row.message


@pytest.fixture
def another_process(monkeypatch, tmp_path):
    """Import the method anew, with an empty cache: all of a new process but its seconds."""

    def answer(method, address, state, sample):
        sys.modules.pop(type(method).__module__)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("STARBENCH_CACHE", str(tmp_path / "empty"))
            try:
                again = get_method(address["method"])(method.hyperparameters)
                again.load_state(checkpoint.load(state)[0])
                return sample.output(again)
            except OSError as error:
                raise OutputError(str(error)) from error

    monkeypatch.setattr(fresh_process, "_address", ADDRESS)
    monkeypatch.setattr(fresh_process, "_in_new_process", answer)


def test_what_a_module_remembers_is_refused(another_process, toy_task, tmp_path):
    row = run(tmp_path, toy_task, REMEMBERS, "Remembers")
    assert row.status == "failed" and "decode of remembers gives other spectra" in row.message


def test_a_reader_of_the_cache_fails(another_process, monkeypatch, toy_task, tmp_path):
    monkeypatch.setenv("STARBENCH_CACHE", str(tmp_path))
    with h5py.File(tmp_path / "pairs.h5", "w") as file:
        file["flux"] = toy_task.make("test", 0, 20).flux
    row = run(tmp_path, toy_task, CACHE, "Cache")
    assert row.status == "failed" and "pairs.h5" in row.message


@pytest.mark.parametrize(
    ("source", "name", "message"),
    [("", "Honest", None), (FRAMES, "Frames", "encode of frames gives other latents")],
)
def test_a_third_partys_state_is_asked_in_a_new_process(
    monkeypatch, toy_task, tmp_path, source, name, message
):
    monkeypatch.setattr(fresh_process, "_address", ADDRESS)
    row = run(tmp_path, toy_task, source, name)
    assert row.status == ("ok" if message is None else "failed"), row.message
    assert message is None or message in row.message
