"""One seed gives the same state to the bit, whatever freed memory holds.

Torch's default driver of `torch.linalg.lstsq` on the CPU reads memory that it has not set
(https://github.com/pytorch/pytorch/issues/187411), so that its last digits differ from run to run.
"""

import functools

import concept_erasure  # noqa: F401  # compiles what it imports of torch, so before it is wrapped
import pytest
import torch
from support.small_settings import TINY, hyperparameters
from support.spectra import view

from starbench.methods.contract import Silent
from starbench.methods.registry import get_method, method_names

COMPETING = [name for name in method_names() if not get_method(name).control]


def fill_memory(value: int) -> None:
    """Leave a value in freed memory of many sizes."""
    for dtype in (torch.int32, torch.int64):
        _ = [torch.full((size,), value, dtype=dtype) for size in range(1, 40) for _ in range(5)]


@pytest.fixture
def state(monkeypatch):
    """Return a function that fits a method with a value in the memory before each solver."""
    filling = [0]

    def after_filling(solver):
        @functools.wraps(solver)
        def wrapped(*arguments, **options):
            fill_memory(filling[0])
            return solver(*arguments, **options)

        return wrapped

    for name in ("cholesky", "eigh", "inv", "lstsq", "pinv", "qr", "solve", "svd"):
        monkeypatch.setattr(torch.linalg, name, after_filling(getattr(torch.linalg, name)))

    def fitted(name: str, value: int) -> dict[str, torch.Tensor]:
        filling[0] = value
        kind = get_method(name)
        method = kind(hyperparameters(kind, TINY), seed=3)
        train, validation = (
            view(split, n, kind.label_access) for split, n in (("train", 120), ("validation", 40))
        )
        method.fit(train, validation, Silent())
        return method.state()

    return fitted


@pytest.mark.parametrize("name", COMPETING)
def test_two_fits_with_one_seed_have_equal_states(state, name):
    first, second = state(name, 0), state(name, 1)
    assert [key for key in first if not torch.equal(first[key], second[key])] == []
