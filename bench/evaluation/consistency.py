"""A check that latents depend on their own spectrum alone, asked of every run.

Statistics of the batch, or the place of a spectrum in it, would tell of other stars. The contract's
suite (`starbench.methods.contract`) asks more, of a small fit; this asks the scored state.
"""

import numpy as np

from starbench.common.sources import is_own
from starbench.common.spread import spread
from starbench.evaluation.encoding import OutputError, encode_rows
from starbench.evaluation.views import SplitView
from starbench.methods.base import Method

_SPECTRA = 200
_BATCH = 41
CHANGED = 0.01  # of the standard deviation of a dimension; rounding of sums stays far below
_FEW = 0.02  # of the spectra may change more, as iterations can end elsewhere


def differing(method: Method, found: str, rule: str) -> OutputError:
    """Return the error of output that differs where it should not.

    Parameters
    ----------
    method : Method
    found : str
        What differs, and where.
    rule : str
        What a method must do. starbench's own methods do it: they break it where a fit is so
        unstable that rounding changes its latents.
    """
    if is_own(type(method).__module__):
        rule = "the fit is unstable, as after too few training spectra; give more of them"
    return OutputError(f"{found}; {rule}.")


def require_own_latents(method: Method, view: SplitView, latent: np.ndarray) -> None:
    """Encode some spectra again, in another order and in small batches, and compare.

    Parameters
    ----------
    method : Method
    view : SplitView
    latent : numpy.ndarray [n_pairs, 2, d], float32
        Of all spectra of the view, in the order of the data.

    Raises
    ------
    OutputError
        If the latents differ by more than rounding.
    """
    stars = latent.reshape(len(view.order), -1)
    rows = np.random.default_rng(0).permutation(len(view.order))[:_SPECTRA]
    batch = min(_BATCH, max(1, len(rows) // 3))  # a set that fits one batch has its statistics
    again = np.concatenate(
        [encode_rows(method, view, rows[i : i + batch]) for i in range(0, len(rows), batch)]
    )
    before = stars[view.order[rows]]
    finite = np.isfinite(before).all(axis=1)
    changed = finite != np.isfinite(again).all(axis=1)
    both = finite & ~changed
    if both.any():
        apart = np.abs(again[both] - before[both])
        changed[both] = (apart > CHANGED * spread(before[both])).any(axis=1)
    if changed.sum() > _FEW * finite.sum():
        raise differing(
            method,
            f"encode of {method.name} gives other latents to {changed.sum()} of {len(changed)} "
            "spectra in another order and other batches",
            "a latent must depend on its own spectrum alone",
        )
