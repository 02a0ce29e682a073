import importlib.util

import pytest
from numba.core.caching import FunctionCache

from starbench.common import compilation


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Return a function that imports a module with one compiled function, as a new process would.

    Its machine code is cached in the folder __pycache__ beside the module.
    """
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    path = tmp_path / "kernels.py"
    path.write_text(
        "from starbench.common.compilation import compiled\n\n"
        "@compiled\ndef double(x):\n    return 2 * x\n"
    )

    def load():
        spec = importlib.util.spec_from_file_location("kernels", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.double

    return load


def hits(function):
    return sum(function.stats.cache_hits.values())


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("content", [b"", b"damaged", None])
def test_a_damaged_cache_costs_one_compilation(load, tmp_path, suffix, content):
    assert load()(3) == 6
    for file in (tmp_path / "__pycache__").glob(f"*.{suffix}"):
        file.write_bytes(file.read_bytes()[:40] if content is None else content)
    function = load()
    assert function(4) == 8 and hits(function) == 0
    again = load()
    assert again(4) == 8 and hits(again) == 1


def test_a_cache_that_cannot_be_written_is_done_without(load, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FunctionCache, "save_overload", full)
    assert load()(3) == 6


def test_without_any_folder_for_a_cache_functions_are_compiled(monkeypatch):
    def nowhere(*_):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(FunctionCache, "__init__", nowhere)
    assert compilation.compiled(lambda x: x + 1)(1) == 2
