"""What a method sees of a split: shuffled spectra and the labels that its label access allows.

The two spectra of a pair lie side by side in the data, so the rows are shuffled before a method
gets them; the order stays with the harness, which undoes it.
"""

from dataclasses import dataclass

import numpy as np

from starbench.methods.base import View
from starbench.tasks.base import Task
from starbench.tasks.streams import uniforms


@dataclass(frozen=True)
class Labels:
    """What the harness knows of the pairs it scores, in the order of the data.

    Attributes
    ----------
    nuisance : numpy.ndarray [n_pairs, 2, n_nuisance], float32
        In the task's units.
    composition : numpy.ndarray [n_pairs, n_elements], float32, or None
        [dex]; None where it is not known.
    nuisance_names, elements : tuple of str
    """

    nuisance: np.ndarray
    composition: np.ndarray | None
    nuisance_names: tuple[str, ...]
    elements: tuple[str, ...]


@dataclass(frozen=True)
class SplitView:
    """A split as a method sees it, and what the harness keeps to itself.

    Attributes
    ----------
    view : View
        All that the method gets.
    order : numpy.ndarray [2 n_pairs], int64
        For each row of the view, the spectrum it shows (see `shuffled_order`).
    labels : Labels
    """

    view: View
    order: np.ndarray
    labels: Labels


def shuffled_order(seed: int, split: str, n_pairs: int) -> np.ndarray:
    """Return the order in which the spectra of a split are shown.

    Parameters
    ----------
    seed : int
        The run's seed.
    split : str
    n_pairs : int

    Returns
    -------
    numpy.ndarray [2 n_pairs], int64
        For each row of the view, the spectrum it shows, counted as 2 * pair + half.
    """
    keys = uniforms(f"starbench/order/{seed}/{split}", 0, 2 * n_pairs, 1)[:, 0]
    return np.argsort(keys, kind="stable")


def inverse(order: np.ndarray) -> np.ndarray:
    """Return the row of the view that shows each spectrum."""
    rows = np.empty_like(order)
    rows[order] = np.arange(len(order))
    return rows


def unshuffle(shuffled: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Bring one value or vector a spectrum [2n, ...] from a view's order to pairs [n, 2, ...]."""
    ordered = np.empty_like(shuffled)
    ordered[order] = shuffled
    return ordered.reshape(len(order) // 2, 2, *shuffled.shape[1:])


def view_split(task: Task, split: str, scale: str, label_access: str, seed: int) -> SplitView:
    """Read a split into the view that a method with some label access may see.

    Each piece of the split is scattered straight to its shuffled rows: at the full scale the
    spectra take 1.4 GB, and a second copy would double what a run needs.

    Parameters
    ----------
    task : Task
    split : {"train", "validation", "test"}
    scale : str
    label_access : {"none", "nuisance", "pairs", "oracle"}
    seed : int
        The run's seed.
    """
    n_pairs = task.sizes(scale)[split]
    order = shuffled_order(seed, split, n_pairs)
    rows_of_pair = inverse(order).reshape(n_pairs, 2)

    flux = np.empty((2 * n_pairs, len(task.wavelength)), np.float32)
    nuisance = np.empty((n_pairs, 2, len(task.nuisance_names)), np.float32)
    composition = None
    for pairs, piece in task.chunks(split, scale):
        for half in (0, 1):
            flux[rows_of_pair[pairs, half]] = piece.flux[:, half]
        nuisance[pairs] = piece.nuisance
        if piece.composition is not None:
            if composition is None:
                composition = np.empty((n_pairs, len(task.elements)), np.float32)
            composition[pairs] = piece.composition

    allowed = {}
    if label_access != "none":
        allowed["nuisance"] = nuisance.reshape(2 * n_pairs, -1)[order]
    if label_access in ("pairs", "oracle"):
        allowed["twin"] = rows_of_pair[:, ::-1].reshape(-1)[order]
    if label_access == "oracle" and composition is not None:
        allowed["composition"] = composition[order // 2]
    labels = Labels(nuisance, composition, task.nuisance_names, task.elements)
    noise = None if task.snr is None else 1 / task.snr
    return SplitView(View(flux, **allowed, noise=noise), order, labels)
