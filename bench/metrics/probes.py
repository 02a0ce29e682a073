"""Probes: held-out R^2 of nuisance factors and abundances predicted from a latent.

A probe is fitted on the latents of the train split and scored on those of test. For a target y and
its prediction,

    R^2 = 1 - sum (y - prediction)^2 / sum (y - mean of y)^2,

with sums and mean over the test stars. It is 1 for a perfect prediction, 0 for the test mean, and
negative for anything worse; it is not clipped. For a nuisance factor it is leakage and should be
near 0: the aim is a latent without the nuisance, not only one whose nuisance a method's own
adversary cannot read. For an abundance it should be near 1.

There are two probes, as either alone misleads: ridge regression finds linear information, and has
no training that could fail; a small neural network also finds what an encoder hides by nonlinear
maps. Neither bounds what a larger network would find.

On few stars the network says more about its start than about the latent, so below
`LEAST_PAIRS_OF_NETWORK` training pairs there is ridge regression alone. R^2 of Teff on 1,250 test
pairs of ``apogee-giants``, from 20 principal components of the first training pairs (`pca`) and
from what a cubic in the nuisance leaves of them (`residual`, which hides Teff from ridge regression
but not from a network); mean and standard deviation over six starts of the network, and their
range:

======  ============  =============  =====  =================  ==============  =====
pairs   pca, ridge    pca, network   range  residual, ridge    network         range
======  ============  =============  =====  =================  ==============  =====
20      0.99          0.67 +- 0.15   0.40   -1.76              -0.84 +- 1.02   2.19
40      0.99          0.92 +- 0.02   0.04   -0.05              -0.33 +- 0.46   1.10
80      1.00          0.98 +- 0.00   0.01   -0.01              -0.08 +- 0.37   1.00
160     1.00          0.99 +- 0.00   0.01   -0.01              0.58 +- 0.08    0.22
320     1.00          1.00 +- 0.00   0.00   -0.01              0.83 +- 0.02    0.05
640     1.00          1.00 +- 0.00   0.00   -0.00              0.90 +- 0.01    0.04
1,250   1.00          1.00 +- 0.00   0.00   -0.00              0.94 +- 0.00    0.01
2,500   1.00          1.00 +- 0.00   0.00   -0.00              0.96 +- 0.00    0.00
======  ============  =============  =====  =================  ==============  =====

The least number is the first at which starts agree within 0.05, the tolerance for R^2 when a row is
reproduced. Rounding acts like another start: with all fluxes of a file of 40 training pairs times
0.7, 1, 1.1 and 3, `polynomial-residual` leaks 0.01, -0.08, 0.04 and 0.08 of Teff by the network,
and -0.00 four times by ridge regression. What ridge regression cannot see (the leak of the residual
above) stays unseen on so few stars.
"""

import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from starbench.common.parallel import one_thread
from starbench.metrics.bootstrap import estimate, resample_pairs, resampled_sums
from starbench.metrics.definitions import METRICS, Estimate

if TYPE_CHECKING:
    import torch

_BLOCK_VALUES = 1 << 22  # of float64 copies of the latents at a time
_PENALTIES = np.logspace(-8, 1, 19)  # relative to the number of stars, for standardised inputs

# The network is small enough to take some seconds for 50,000 stars on one core, and large enough to
# find a sine or a product.
_WIDTH = 128
_BATCH = 512
_EPOCHS = 30
_MIN_STEPS = 400
_LEARNING_RATE = 1e-2
_WEIGHT_DECAY = 1e-2
LEAST_PAIRS_OF_NETWORK = 320  # training pairs
_HELD_OUT = 0.1  # share of the train pairs by which the state of the network is selected

_SEEDING = threading.Lock()  # layers draw their weights from the one generator of all threads


class ProbeInputs:
    """Latents that probes are fitted and scored on, decomposed once for all probes and targets.

    The decomposition is cheap for a latent of 20 dimensions, and most of the work for one of
    thousands, such as a spectrum.

    Parameters
    ----------
    train_latent : numpy.ndarray [n_train_pairs, 2, d]
    test_latent : numpy.ndarray [n_test_pairs, 2, d]

    Raises
    ------
    ValueError
        If shapes do not match; on use, if a latent is not finite.
    """

    def __init__(self, train_latent: np.ndarray, test_latent: np.ndarray) -> None:
        self._train, self._test = _stars(train_latent), _stars(test_latent)
        if self._train.shape[1] != self._test.shape[1]:
            raise ValueError(
                f"latents must have as many dimensions in test as in train, "
                f"{self._train.shape[1]}, not {self._test.shape[1]}"
            )

    @property
    def n_train_pairs(self) -> int:
        """Pairs of the train split."""
        return len(self._train) // 2

    @property
    def n_test_pairs(self) -> int:
        """Pairs of the test split."""
        return len(self._test) // 2

    @cached_property
    def finite(self) -> bool:
        """Whether all latents are finite, so that a probe can be fitted."""
        return bool(np.isfinite(self._train).all() and np.isfinite(self._test).all())

    @property
    def train(self) -> np.ndarray:
        """Latents [2 n_train_pairs, d] of the stars of the train split."""
        return self._checked(self._train)

    @property
    def test(self) -> np.ndarray:
        """Latents [2 n_test_pairs, d] of the stars of the test split."""
        return self._checked(self._test)

    @cached_property
    def principal_components(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Mean and scale [d] of train, and the decomposition of its correlation matrix.

        The latter are rising eigenvalues [d] and eigenvectors [d, d] of the correlations of
        (train - mean) / scale.
        """
        mean, scale = _mean_and_scale(self.train)
        n, d = self.train.shape
        correlation = np.zeros((d, d))
        for part in _blocks(n, d):
            x = (self.train[part] - mean) / scale
            correlation += x.T @ x / n
        eigenvalues, vectors = np.linalg.eigh(correlation)
        return mean, scale, np.maximum(eigenvalues, 0), vectors

    @cached_property
    def whitened(self) -> tuple[np.ndarray, np.ndarray]:
        """Whitened train and test [n_stars, r], float32, without axes that hold only rounding.

        r is 0 if all latents of train are equal.
        """
        mean, scale, eigenvalues, vectors = self.principal_components
        # Weaker directions hold only the rounding of float32 latents.
        strong = eigenvalues > 1e-12 * max(eigenvalues[-1], 1)
        whiten = vectors[:, strong] / np.sqrt(eigenvalues[strong]) / scale[:, None]
        return (
            self._projected(self.train, mean, whiten),
            self._projected(self.test, mean, whiten),
        )

    def _checked(self, latent: np.ndarray) -> np.ndarray:
        if not self.finite:
            raise ValueError("a probe cannot be fitted on latents that are not finite")
        return latent

    @staticmethod
    def _projected(latent: np.ndarray, mean: np.ndarray, axes: np.ndarray) -> np.ndarray:
        result = np.empty((len(latent), axes.shape[1]), np.float32)
        with np.errstate(over="ignore"):  # a prediction that overflows gives no estimate
            for rows in _blocks(*latent.shape):
                result[rows] = (latent[rows] - mean) @ axes
        return result


def probe_estimates(
    family: str,
    names: Sequence[str],
    inputs: ProbeInputs,
    train_target: np.ndarray,
    test_target: np.ndarray,
    *,
    seed: int = 0,
    counts: np.ndarray | None = None,
) -> dict[str, Estimate | None]:
    """Compute held-out R^2 of targets from latents, by ridge regression and by a neural network.

    Parameters
    ----------
    family : {"nuisance_leakage", "composition_recovery"}
    names : sequence of str [n_targets]
    inputs : ProbeInputs
        May be reused for other targets of the same latents, which saves their decomposition.
    train_target : numpy.ndarray [n_train_pairs, 2, n_targets] or [n_train_pairs, n_targets]
        Without the axis of length 2, both stars of a pair have the same target, such as their
        composition.
    test_target : numpy.ndarray [n_test_pairs, 2, n_targets] or [n_test_pairs, n_targets]
    seed : int
        Of the network's initial weights and the order of its batches.
    counts : numpy.ndarray [n_resamples, n_test_pairs], int16, optional
        Bootstrap resamples, by default those of `resample_pairs`.

    Returns
    -------
    dict of str to Estimate or None
        ``family.ridge.name`` and ``family.mlp.name`` for each name. None if a latent is not finite,
        if the target is equal for all stars of a split, if the prediction overflows, or, for the
        network, below `LEAST_PAIRS_OF_NETWORK` training pairs.

    Raises
    ------
    ValueError
        If shapes do not match, or a target is not finite.
    """
    train_target = _for_both(train_target, inputs.n_train_pairs, len(names))
    test_target = _for_both(test_target, inputs.n_test_pairs, len(names))
    if not (np.isfinite(train_target).all() and np.isfinite(test_target).all()):
        raise ValueError("probe targets must be finite")
    estimates: dict[str, Estimate | None] = {
        f"{family}.{probe}.{name}": None for probe in ("ridge", "mlp") for name in names
    }
    varies = [
        i
        for i in range(len(names))
        if np.ptp(train_target[..., i]) > 0 and np.ptp(test_target[..., i]) > 0
    ]
    if not varies or not inputs.finite:
        return estimates
    train_target, test_target = train_target[..., varies], test_target[..., varies]
    predictions = {"ridge": ridge_predict(inputs, train_target)}
    if inputs.n_train_pairs >= LEAST_PAIRS_OF_NETWORK:
        predictions["mlp"] = mlp_predict(inputs, train_target, seed=seed)
    if counts is None:
        counts = resample_pairs(inputs.n_test_pairs)
    for probe, prediction in predictions.items():
        values, resampled = r2(test_target, prediction, counts)
        for i, value, draws in zip(varies, values, resampled.T, strict=True):
            if not np.isfinite(value):
                continue
            estimates[f"{family}.{probe}.{names[i]}"] = estimate(
                METRICS[f"{family}.{probe}"], float(value), draws
            )
    return estimates


def r2(
    target: np.ndarray, prediction: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return R^2 of each target, and in each resample, about the resample's mean.

    Parameters
    ----------
    target, prediction : numpy.ndarray [n_pairs, 2, n_targets]
    counts : numpy.ndarray [n_resamples, n_pairs], int16

    Returns
    -------
    value : numpy.ndarray [n_targets], float64
    resampled : numpy.ndarray [n_resamples, n_targets], float64
        NaN where all targets of a resample are equal.
    """
    target = target.astype(np.float64)
    n_stars, n_targets = 2 * len(target), target.shape[2]
    residual = ((target - prediction) ** 2).sum(axis=1)
    centred = target - target.mean(axis=(0, 1))  # so that the sums below keep their digits
    first, second = centred.sum(axis=1), (centred**2).sum(axis=1)
    value = 1 - residual.sum(axis=0) / second.sum(axis=0)
    sums = resampled_sums(counts, np.concatenate([residual, first, second], axis=1))
    residual, first, second = (sums[:, i * n_targets : (i + 1) * n_targets] for i in range(3))
    total = second - first**2 / n_stars
    with np.errstate(invalid="ignore", divide="ignore"):
        return value, np.where(total > 0, 1 - residual / total, np.nan)


def ridge_predict(inputs: ProbeInputs, train_target: np.ndarray) -> np.ndarray:
    """Predict targets by ridge regression on standardised latents.

    The penalty is chosen for each target from a grid by generalised cross-validation on the train
    split (Golub, Heath & Wahba 1979, Technometrics 21, 215). Latents are read in blocks and only
    d x d matrices are kept, so that latents may have thousands of dimensions.

    Parameters
    ----------
    inputs : ProbeInputs
    train_target : numpy.ndarray [n_train_pairs, 2, n_targets]

    Returns
    -------
    numpy.ndarray [n_test_pairs, 2, n_targets], float64

    Raises
    ------
    ValueError
        If a latent is not finite.
    """
    train, test = inputs.train, inputs.test
    n, d = train.shape
    mean, scale, eigenvalues, vectors = inputs.principal_components
    target = train_target.reshape(n, -1).astype(np.float64)
    target_mean = target.mean(axis=0)
    target = target - target_mean
    cross = sum(((train[rows] - mean) / scale).T @ target[rows] for rows in _blocks(n, d))
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
    for rows in _blocks(len(test), d):
        prediction[rows] = (test[rows] - mean) / scale @ weights + target_mean
    return prediction.reshape(inputs.n_test_pairs, 2, -1)


def mlp_predict(inputs: ProbeInputs, train_target: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Predict all targets by one small neural network.

    Two hidden layers, SiLU, squared error; targets are standardised. Latents are whitened, so that
    a stretch or shear of the latent space hides nothing from the network. AdamW with a one-cycle
    learning rate. Of the states after each epoch, the one with the smallest error on held-out train
    pairs is used. Pairs are held out rather than stars, so that memorising a star's twin does not
    help. The network runs on one thread, so that the same seed gives the same prediction on the
    same machine, whatever the number of its cores.

    Parameters
    ----------
    inputs : ProbeInputs
    train_target : numpy.ndarray [n_train_pairs, 2, n_targets]
    seed : int

    Returns
    -------
    numpy.ndarray [n_test_pairs, 2, n_targets], float64

    Raises
    ------
    ValueError
        If a latent is not finite.
    """
    # Imported here because loading torch takes seconds.
    import torch

    whitened_train, whitened_test = inputs.whitened
    target = train_target.reshape(len(whitened_train), -1).astype(np.float64)
    target_mean, target_scale = _mean_and_scale(target)
    if not whitened_train.shape[1]:  # all latents are equal
        return np.broadcast_to(target_mean, (inputs.n_test_pairs, 2, len(target_mean))).copy()

    with one_thread():
        x = torch.from_numpy(whitened_train)
        y = torch.from_numpy((target - target_mean) / target_scale).float()
        with _SEEDING, torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            pairs = torch.randperm(inputs.n_train_pairs)
            network = _network(x.shape[1], y.shape[1])
            generator = torch.Generator().set_state(torch.get_rng_state())
        n_held_out = int(_HELD_OUT * len(pairs))
        held_out, fitted = (
            (2 * some[:, None] + torch.arange(2)).flatten()
            for some in (pairs[:n_held_out], pairs[n_held_out:])
        )
        weights = _flattened(network)
        batches = -(-len(fitted) // _BATCH)
        epochs = max(_EPOCHS, -(-_MIN_STEPS // batches))
        optimiser = torch.optim.AdamW([weights], lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, _LEARNING_RATE, total_steps=epochs * batches, pct_start=0.1
        )
        least, best = np.inf, None
        for _ in range(epochs):
            order = torch.randperm(len(fitted), generator=generator)
            for batch in torch.split(fitted[order], _BATCH):
                optimiser.zero_grad(set_to_none=False)
                torch.autograd.backward(torch.nn.functional.mse_loss(network(x[batch]), y[batch]))
                optimiser.step()
                schedule.step()
            if n_held_out:
                with torch.no_grad():
                    error = torch.nn.functional.mse_loss(network(x[held_out]), y[held_out]).item()
                if error < least:
                    least = error
                    best = weights.detach().clone()
        with torch.no_grad():
            if best is not None:
                weights.copy_(best)
            parts = torch.split(torch.from_numpy(whitened_test), 8192)
            standardised = torch.cat([network(part) for part in parts])
    prediction: np.ndarray = standardised.double().numpy() * target_scale + target_mean
    return prediction.reshape(inputs.n_test_pairs, 2, -1)


def _network(n_inputs: int, n_outputs: int) -> "torch.nn.Sequential":
    import torch

    return torch.nn.Sequential(
        torch.nn.Linear(n_inputs, _WIDTH),
        torch.nn.SiLU(),
        torch.nn.Linear(_WIDTH, _WIDTH),
        torch.nn.SiLU(),
        torch.nn.Linear(_WIDTH, n_outputs),
    )


def _flattened(network: "torch.nn.Sequential") -> "torch.nn.Parameter":
    """Return one parameter whose memory, and its gradient's, becomes that of all parameters.

    A step of the optimiser is then a few operations instead of a few for each layer, with the same
    numbers.
    """
    import torch

    parameters = list(network.parameters())
    flat = torch.nn.Parameter(torch.cat([p.detach().flatten() for p in parameters]))
    flat.grad = torch.zeros_like(flat)
    sizes = [p.numel() for p in parameters]
    parts = (torch.split(tensor, sizes) for tensor in (flat.detach(), flat.grad))
    for parameter, values, gradient in zip(parameters, *parts, strict=True):
        parameter.data = values.view_as(parameter)
        parameter.grad = gradient.view_as(parameter)
    return flat


def _for_both(target: np.ndarray, n_pairs: int, n_targets: int) -> np.ndarray:
    """Return targets as [n_pairs, 2, n_targets], repeated for both stars if there is one a pair."""
    if target.shape == (n_pairs, n_targets):
        return np.repeat(target[:, None], 2, axis=1)
    if target.shape != (n_pairs, 2, n_targets):
        raise ValueError(
            f"targets must be shaped [{n_pairs}, {n_targets}] or [{n_pairs}, 2, {n_targets}], "
            f"not {list(target.shape)}"
        )
    return target


def _stars(latent: np.ndarray) -> np.ndarray:
    """Check latents [n_pairs, 2, d] and return them as [n_stars, d]."""
    if latent.ndim != 3 or latent.shape[1] != 2 or 0 in latent.shape:
        raise ValueError(f"latents must be shaped [n_pairs, 2, d], not {list(latent.shape)}")
    return latent.reshape(-1, latent.shape[2])


def _blocks(n: int, d: int) -> Iterator[slice]:
    """Cut `n` rows of `d` values into ranges whose float64 copies are small."""
    step = max(1, _BLOCK_VALUES // d)
    return (slice(start, start + step) for start in range(0, n, step))


def _mean_and_scale(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each column [d] in float64; 1 for a constant column."""
    n, d = rows.shape
    mean = rows.mean(axis=0, dtype=np.float64)
    variance = np.zeros(d)
    for part in _blocks(n, d):
        variance += ((rows[part] - mean) ** 2).sum(axis=0) / n
    scale = np.sqrt(variance)
    # The mean of equal numbers may differ from them by a rounding error, which is no signal.
    return mean, np.where(scale > 1e-12 * np.abs(mean), scale, 1)
