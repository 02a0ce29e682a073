"""Check latents that are given as arrays, and bring them into one shape."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from starbench.common.arrays import real_numbers

if TYPE_CHECKING:
    from starbench.tasks.base import Task

Array = npt.NDArray[np.float32]


def latent_of_split(
    latent: npt.ArrayLike, task: "Task", split: str, scale: str, name: str = "latent"
) -> Array:
    """Return the latents of a split as [n_pairs, 2, d], those of a survey as [n_stars, 1, d].

    Raises
    ------
    ValueError
        If there is no such split, or `latent` does not have its shape.
    """
    sizes = task.sizes(scale)
    if not isinstance(split, str) or split not in sizes:
        raise ValueError(f"there is no split {split!r}; choose one of {', '.join(sizes)}")
    n = sizes[split]
    if task.card.survey:
        array, n_members, needed = _stars(latent, name), 1, f"[{n}, d]"
    else:
        array, n_members, needed = pairs_of(latent, name), 2, f"[{n}, 2, d] or [{2 * n}, d]"
    if array.ndim != 3 or array.shape[:2] != (n, n_members):
        raise ValueError(
            f"{name} has shape {list(np.shape(latent))}; split {split} at scale {scale} needs "
            f"{needed}"
        )
    return array


def pairs_of(latent: npt.ArrayLike, name: str = "latent") -> Array:
    """Return latents as [n_pairs, 2, d]; in [2 n_pairs, d] the spectra of a pair are consecutive.

    Any other shape is returned as it is.
    """
    array = _float32(latent, name)
    if array.ndim == 2 and len(array) % 2 == 0:
        return array.reshape(len(array) // 2, 2, -1)
    return array


def _stars(latent: npt.ArrayLike, name: str) -> Array:
    """Return latents as [n_stars, 1, d], the shape in the ``latents.h5`` of a run, or as given."""
    array = _float32(latent, name)
    return array[:, None] if array.ndim == 2 else array


def _float32(latent: npt.ArrayLike, name: str) -> Array:
    values = real_numbers(latent, name)
    with np.errstate(over="ignore"):  # what is too large for float32 ranks last
        return values.astype(np.float32, copy=False)
