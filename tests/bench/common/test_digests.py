"""Digests in rows: of a method's state, of its source files, and of the environment."""

import torch

from starbench.common import checkpoint
from starbench.common.provenance import environment_digest
from starbench.common.sources import module_digest
from starbench.methods.fader import Fader
from starbench.methods.pca import PrincipalComponents
from starbench.runs.origin import method_code, source_sha256


def test_the_state_is_told_by_its_tensors_alone(tmp_path):
    state = {"a": torch.arange(4.0), "b": torch.ones(2, 2)}
    digests = set()
    for seconds in (1.0, 2.0):
        checkpoint.save(tmp_path / "state.safetensors", state, {"seconds": seconds})
        digests.add(checkpoint.state_sha256(checkpoint.load(tmp_path / "state.safetensors")[0]))
    assert digests == {checkpoint.state_sha256(dict(reversed(state.items())))}
    for other in (
        {**state, "a": torch.arange(4.0) + 1e-7},
        {**state, "a": torch.arange(4.0).double()},
        {**state, "b": torch.ones(4)},
        {"a": state["a"], "c": state["b"]},
    ):
        assert checkpoint.state_sha256(other) not in digests


def test_a_modules_digest_covers_what_it_imports_from_its_package(tmp_path, monkeypatch):
    package = tmp_path / "digested"
    (package / "parts").mkdir(parents=True)
    for name, text in (
        ("__init__", ""),
        ("method", "from digested.parts import a\nimport digested.b\nimport json"),
        ("b", "def later():\n    from digested.parts.c import thing"),
        ("other", ""),
        ("parts/__init__", ""),
        ("parts/a", ""),
        ("parts/c", "thing = 1"),
    ):
        (package / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = module_digest("digested.method", within="digested")
    (package / "other.py").write_text("x = 1")
    assert module_digest("digested.method", within="digested") == before
    for name in ("method", "b", "parts/a", "parts/c"):
        file = package / f"{name}.py"
        text = file.read_text()
        file.write_text(text + "\n# edited")
        assert module_digest("digested.method", within="digested") != before, name
        file.write_text(text)


def test_each_method_has_a_digest(linear):
    digests = {source_sha256(method) for method in (PrincipalComponents, Fader, linear)}
    assert len(digests) == 3 and None not in digests
    assert source_sha256(linear) == method_code(linear).sha256
    assert len(environment_digest()) == 64
