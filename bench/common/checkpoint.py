"""Weights and training state on disk: named tensors in safetensors, never pickle."""

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, safe_open, save_file


class CheckpointError(ValueError):
    """A checkpoint that cannot be read."""


def save(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, Any]) -> None:
    """Write named tensors and JSON metadata to `path`, whole or not at all."""
    temporary = path.with_name(f"{path.name}.tmp{os.getpid()}")
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(contiguous, temporary, {"starbench": json.dumps(metadata, sort_keys=True)})
        temporary.replace(path)
    except (
        SafetensorError
    ) as error:  # the library hides the operating system's error, such as a full disk
        raise OSError(f"could not write {path}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def load(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read what `save` wrote.

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
