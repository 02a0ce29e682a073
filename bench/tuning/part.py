"""A part of a view: its first pairs, with all that the view holds of them."""

from dataclasses import fields, replace
from typing import Any

import numpy as np

from starbench.evaluation.views import SplitView


def first_pairs(split_view: SplitView, n_pairs: int) -> SplitView:
    """Return the view of the first pairs of a split, or of its first stars without a twin.

    Parameters
    ----------
    split_view : SplitView
    n_pairs : int

    Returns
    -------
    SplitView
        Its spectra are in the same order, with copies of their flux.
    """
    view, labels = split_view.view, split_view.labels
    each = labels.nuisance.shape[1]
    kept = np.flatnonzero(split_view.order < each * n_pairs)
    new_row = np.full(len(split_view.order), -1)
    new_row[kept] = np.arange(len(kept))
    # What the values are is known to `View` alone.
    arrays: dict[str, Any] = {
        field.name: array[kept]
        for field in fields(view)
        if isinstance(array := getattr(view, field.name), np.ndarray)
        and field.name not in ("twin", "nuisance_covariance")
    }
    if view.twin is not None:
        arrays["twin"] = new_row[view.twin[kept]]
    return SplitView(
        replace(view, **arrays), split_view.order[kept], labels.of_stars(np.arange(n_pairs))
    )
