"""The state of the global random generators, as JSON: a resumed fit draws what it would have."""

import random
from typing import Any

import numpy as np
import torch


def generator_states() -> dict[str, Any]:
    """Return the states of the generators of Python, NumPy and torch."""
    numpy: dict[str, Any] = np.random.get_state(legacy=False)  # noqa: NPY002 - the global one
    numpy["state"]["key"] = numpy["state"]["key"].tolist()
    states = {
        "random": random.getstate(),
        "numpy": numpy,
        "torch": _as_text(torch.get_rng_state()),
    }
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call] # torch declares no type
        states["cuda"] = [_as_text(state) for state in torch.cuda.get_rng_state_all()]
    return states


def restore_generators(states: dict[str, Any]) -> None:
    """Restore what `generator_states` returned, also after it has passed through JSON."""
    version, internal, gauss = states["random"]
    random.setstate((version, tuple(internal), gauss))
    np.random.set_state(states["numpy"])  # noqa: NPY002
    torch.set_rng_state(_as_tensor(states["torch"]))
    if "cuda" in states and torch.cuda.device_count() == len(states["cuda"]):
        torch.cuda.set_rng_state_all([_as_tensor(state) for state in states["cuda"]])


def _as_text(state: torch.Tensor) -> str:
    return bytes(state.tolist()).hex()


def _as_tensor(text: str) -> torch.Tensor:
    return torch.tensor(list(bytes.fromhex(text)), dtype=torch.uint8)
