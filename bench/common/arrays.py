"""Arrays that a caller gives: what would be dropped without a word is refused."""

import numpy as np
import numpy.typing as npt

from starbench.common.text import one_line

_REAL = "biuf"  # kinds of dtype


def real_numbers(values: npt.ArrayLike, name: str) -> np.ndarray:
    """Return values as an array of real numbers, of the type that they have.

    Parameters
    ----------
    values : array_like
    name : str
        What the caller knows them by, for errors.

    Raises
    ------
    ValueError
        If they are masked, whose masks NumPy drops, or not real numbers: it drops imaginary parts,
        and takes texts and objects for numbers. Also if NumPy makes no array of them: of lists of
        different lengths, or of tensors with gradients.

    Examples
    --------
    >>> real_numbers([[1, 2]], "latent").tolist()
    [[1, 2]]
    >>> real_numbers([1j], "latent")
    Traceback (most recent call last):
        ...
    ValueError: latent holds complex128; give real numbers
    """
    parts = values if isinstance(values, list | tuple) else [values]
    if any(isinstance(part, np.ma.MaskedArray) for part in parts):
        raise ValueError(f"{name} is a masked array; fill it, with NaN where nothing is known")
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name} is no array of real numbers: {one_line(error)}") from None
    if array.dtype.kind not in _REAL:
        raise ValueError(f"{name} holds {array.dtype}; give real numbers")
    return array
