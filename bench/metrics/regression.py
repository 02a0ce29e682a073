"""Ridge regression of any targets on rows that are decomposed once."""

from collections.abc import Iterator
from functools import cached_property

import numpy as np

_BLOCK_VALUES = 1 << 22  # of float64 copies of the rows at a time
_PENALTIES = np.logspace(-8, 1, 19)  # relative to the number of rows, for standardised inputs


class Rows:
    """What regressions are fitted on and predict from, decomposed once for all targets.

    The decomposition is cheap for rows of 20 values, and most of the work for rows of thousands,
    such as spectra.

    Parameters
    ----------
    train : numpy.ndarray [n_train, d]
    test : numpy.ndarray [n_test, d]

    Raises
    ------
    ValueError
        On use, if a row is not finite.
    """

    def __init__(self, train: np.ndarray, test: np.ndarray) -> None:
        self._train, self._test = train, test

    @cached_property
    def finite(self) -> bool:
        """Whether all rows are finite, so that a regression can be fitted."""
        return bool(np.isfinite(self._train).all() and np.isfinite(self._test).all())

    @property
    def train(self) -> np.ndarray:
        """The rows [n_train, d] to fit on."""
        return self._checked(self._train)

    @property
    def test(self) -> np.ndarray:
        """The rows [n_test, d] to predict from."""
        return self._checked(self._test)

    @cached_property
    def principal_components(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Mean and scale [d] of train, and the decomposition of its correlation matrix.

        The latter are rising eigenvalues [d] and eigenvectors [d, d] of the correlations of
        (train - mean) / scale.
        """
        mean, scale = mean_and_scale(self.train)
        n, d = self.train.shape
        correlation = np.zeros((d, d))
        for part in _blocks(n, d):
            x = (self.train[part] - mean) / scale
            correlation += x.T @ x / n
        eigenvalues, vectors = np.linalg.eigh(correlation)
        return mean, scale, np.maximum(eigenvalues, 0), vectors

    @cached_property
    def whitened(self) -> tuple[np.ndarray, np.ndarray]:
        """Whitened train and test [n, r], float32, without axes that hold only rounding.

        r is 0 if all rows of train are equal.
        """
        mean, scale, eigenvalues, vectors = self.principal_components
        # Weaker directions hold only the rounding of float32 rows.
        strong = eigenvalues > 1e-12 * max(eigenvalues[-1], 1)
        whiten = vectors[:, strong] / np.sqrt(eigenvalues[strong]) / scale[:, None]
        return (
            self._projected(self.train, mean, whiten),
            self._projected(self.test, mean, whiten),
        )

    def _checked(self, rows: np.ndarray) -> np.ndarray:
        if not self.finite:
            raise ValueError("a probe cannot be fitted on latents that are not finite")
        return rows

    @staticmethod
    def _projected(rows: np.ndarray, mean: np.ndarray, axes: np.ndarray) -> np.ndarray:
        result = np.empty((len(rows), axes.shape[1]), np.float32)
        with np.errstate(over="ignore"):  # a prediction that overflows gives no estimate
            for part in _blocks(*rows.shape):
                result[part] = (rows[part] - mean) @ axes
        return result


def ridge(rows: Rows, target: np.ndarray) -> np.ndarray:
    """Predict targets by ridge regression on standardised rows.

    The penalty is chosen for each target from a grid by generalised cross-validation on the rows
    that are fitted (Golub, Heath & Wahba 1979, Technometrics 21, 215). Rows are read in blocks and
    only d x d matrices are kept, so that rows may have thousands of values.

    Parameters
    ----------
    rows : Rows
    target : numpy.ndarray [n_train, n_targets]

    Returns
    -------
    numpy.ndarray [n_test, n_targets], float64

    Raises
    ------
    ValueError
        If a row is not finite.
    """
    train, test = rows.train, rows.test
    n, d = train.shape
    mean, scale, eigenvalues, vectors = rows.principal_components
    target = target.astype(np.float64)
    target_mean = target.mean(axis=0)
    target = target - target_mean
    cross = sum(((train[part] - mean) / scale).T @ target[part] for part in _blocks(n, d))
    rotated = vectors.T @ cross / n

    # With residuals r and f degrees of freedom (1 of them the mean), GCV is
    # mean(r^2) / (1 - f / n)^2.
    shrink = 1 / (eigenvalues + _PENALTIES[:, None])  # [n_penalties, d]
    explained = (2 * shrink - eigenvalues * shrink**2) @ rotated**2
    mean_square = np.maximum((target**2).mean(axis=0) - explained, 0)
    free = 1 - (1 + (eigenvalues * shrink).sum(axis=1)) / n
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.where(free[:, None] > 0, mean_square / free[:, None] ** 2, np.inf)
    # Of equal scores take the strongest penalty: an exact fit scores 0 with many penalties.
    best = len(_PENALTIES) - 1 - np.argmin(score[::-1], axis=0)
    weights = vectors @ (shrink[best].T * rotated)

    prediction = np.empty((len(test), target.shape[1]))
    for part in _blocks(len(test), d):
        prediction[part] = (test[part] - mean) / scale @ weights + target_mean
    return prediction


def _blocks(n: int, d: int) -> Iterator[slice]:
    """Cut `n` rows of `d` values into ranges whose float64 copies are small."""
    step = max(1, _BLOCK_VALUES // d)
    return (slice(start, start + step) for start in range(0, n, step))


def mean_and_scale(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each column [d] in float64; 1 for a constant column."""
    n, d = rows.shape
    mean = rows.mean(axis=0, dtype=np.float64)
    variance = np.zeros(d)
    for part in _blocks(n, d):
        variance += ((rows[part] - mean) ** 2).sum(axis=0) / n
    scale = np.sqrt(variance)
    # The mean of equal numbers may differ from them by a rounding error, which is no signal.
    return mean, np.where(scale > 1e-12 * np.abs(mean), scale, 1)
