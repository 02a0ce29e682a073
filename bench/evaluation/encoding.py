"""Encode spectra by a method, in batches, and check what it returns."""

from collections.abc import Callable

import numpy as np

from starbench.common.paging import release
from starbench.evaluation.views import SplitView, unshuffle
from starbench.methods.base import Method, OracleControl, SettingError, View, encode_spectra

BATCH = 4096  # spectra encoded or decoded at a time


class OutputError(RuntimeError):
    """A method's output cannot be scored; the message says what the method must return."""


def checked_output(output: object, n: int, what: str, width: int | None = None) -> np.ndarray:
    """Check the output of a method and return it as float32 [n, width].

    Parameters
    ----------
    output : object
        Returned by the method.
    n : int
    what : str
        Name of the method's function in errors.
    width : int, optional
        Any width, if not given.

    Raises
    ------
    OutputError
        If it is not a floating-point array of that shape.
    """
    wanted = f"{what} must return a NumPy array of float32, but returned"
    if not isinstance(output, np.ndarray) or isinstance(output, np.ma.MaskedArray):
        raise OutputError(f"{wanted} {type(output).__name__}.")
    if output.dtype.kind != "f":
        raise OutputError(f"{wanted} {output.dtype}.")
    expected = f"[{n}, {'n_latent' if width is None else width}]"
    wrong_width = output.ndim == 2 and width is not None and output.shape[1] != width
    if output.ndim != 2 or len(output) != n or wrong_width or 0 in output.shape:
        raise OutputError(f"{what} must return {expected}, but returned {list(output.shape)}.")
    with np.errstate(over="ignore"):  # what overflows float32 is scored as not finite
        return output.astype(np.float32, copy=False)


def encode_split(
    method: Method, split_view: SplitView, advance: Callable[[int], object] | None = None
) -> np.ndarray:
    """Encode a shuffled split and return its latents [n_pairs, 2, d] in the order of the data.

    Parameters
    ----------
    method : Method
    split_view : SplitView
    advance : callable, optional
        Called with the number of spectra after each batch.
    """
    order, each = split_view.order, split_view.labels.nuisance.shape[1]
    latent = encode_rows(method, split_view, np.arange(len(order)), advance)
    return unshuffle(latent, order, each)


def encode_rows(
    method: Method,
    split_view: SplitView,
    rows: np.ndarray,
    advance: Callable[[int], object] | None = None,
) -> np.ndarray:
    """Encode some rows of a view, in batches.

    Parameters
    ----------
    method : Method
    split_view : SplitView
    rows : numpy.ndarray [n], int64
        Rows of the view, in the order to encode them.
    advance : callable, optional
        Called with the number of spectra after each batch.

    Returns
    -------
    numpy.ndarray [n, n_latent], float32
    """
    latent: np.ndarray | None = None
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        width = None if latent is None else latent.shape[1]
        output = _encode(method, split_view.view, batch)
        output = checked_output(output, len(batch), f"encode of {method.name}", width)
        if latent is None:
            latent = np.empty((len(rows), output.shape[1]), np.float32)
        latent[start : start + len(batch)] = output
        release(split_view.view.flux)
        release(split_view.view.error)
        if advance:
            advance(len(batch))
    if latent is None:
        raise ValueError("there are no rows to encode")
    return latent


def _encode(method: Method, view: View, batch: np.ndarray) -> np.ndarray:
    """Return a method's latents of some rows of a view, unchecked."""
    nuisance = None if view.nuisance is None else view.nuisance[batch]
    error = None if view.error is None else view.error[batch]
    if not isinstance(method, OracleControl):
        if error is None:
            return method.encode(view.flux[batch], nuisance)
        return encode_spectra(method, view.flux[batch], nuisance, error)
    if nuisance is None or view.composition is None:
        raise SettingError(
            f"{method.name} needs the composition of every split; choose other data."
        )
    known = {} if view.unseen is None else {"unseen": view.unseen[batch]}
    if error is not None and method.takes_errors:
        known["error"] = error
    return method.encode_stars(view.flux[batch], nuisance, view.composition[batch], **known)
