"""How far values spread in each of their dimensions, with which differences are compared."""

import numpy as np

# Of the root mean square of all values. Dimensions that are computed from the same sums share
# their rounding, some 1e-8 of the largest of them, so that smaller scales mean nothing.
_FLOOR = 1e-3


def spread(values: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each dimension, or a floor where it is smaller.

    Parameters
    ----------
    values : numpy.ndarray [n, d]
        All finite.

    Returns
    -------
    numpy.ndarray [d], float64
        At least 1e-3 of the root mean square of all values: 0 only where all values are 0.

    Examples
    --------
    >>> spread(np.array([[1.0, 0.0, 0.5], [3.0, 0.2, 0.5]])).round(5).tolist()
    [1.0, 0.1, 0.00133]
    """
    values = values.astype(np.float64)
    floor = _FLOOR * float(np.sqrt(np.mean(np.square(values))))
    deviation: np.ndarray = np.maximum(values.std(axis=0), floor)
    return deviation
