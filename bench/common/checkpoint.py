"""Checkpoints: named tensors and JSON metadata in safetensors files, never pickle."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from starbench.common.files import atomic_path


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or does not belong to the run."""


def save(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, Any]) -> None:
    """Write named tensors and JSON metadata atomically, with a checksum of both."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(metadata, sort_keys=True)
    with atomic_path(path) as temporary:
        try:
            save_file(
                contiguous, temporary, {"starbench": text, "sha256": _digest(contiguous, text)}
            )
        except SafetensorError as error:
            # The library hides the operating system's error, such as a full disk.
            raise OSError(f"could not write {path}: {error}") from error


def load(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read the tensors and the metadata that `save` wrote.

    Raises
    ------
    CheckpointError
        If the file is damaged or was not written by `save`.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
        metadata = json.loads(header["starbench"])
        tensors = load_file(path)
    except (SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path} is not a readable starbench checkpoint: {error}") from error
    # Files of the first releases have no checksum.
    if "sha256" in header and header["sha256"] != _digest(tensors, header["starbench"]):
        raise CheckpointError(f"{path} is damaged: its content does not match its checksum")
    return tensors, metadata


def state_fault(state: object) -> str:
    """Return what the ``state()`` of a method must return to be saved; empty where it does.

    Examples
    --------
    >>> state_fault({"weight": torch.zeros(3)})
    ''
    >>> state_fault({"weight": 3})
    "must map names to torch tensors, but its entry 'weight' is of type int"
    """
    if not isinstance(state, Mapping):
        return f"must return a dict of names to torch tensors, not {_kind(state)}"
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            convert = "; give torch.from_numpy of it" if isinstance(value, np.ndarray) else ""
            return (
                f"must map names to torch tensors, but its entry {name!a} is "
                f"of type {_kind(value)}{convert}"
            )
    return ""


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")


def state_sha256(tensors: Mapping[str, torch.Tensor]) -> str:
    """Return the SHA-256 of named tensors, which does not depend on the metadata beside them."""
    return _digest(tensors, "")


def _digest(tensors: Mapping[str, torch.Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
