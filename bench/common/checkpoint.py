"""Checkpoints: named tensors and JSON metadata in safetensors files, never pickle."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from starbench.common.files import atomic_path


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or does not belong to the run."""


def save(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, Any]) -> None:
    """Write named tensors and JSON metadata atomically."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        try:
            save_file(contiguous, temporary, {"starbench": json.dumps(metadata, sort_keys=True)})
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
            metadata = json.loads((file.metadata() or {})["starbench"])
        return load_file(path), metadata
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} is not a readable starbench checkpoint: {error}") from error
