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

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from starbench.metrics.bootstrap import estimate, group_sums, resample_pairs, resampled_sums
from starbench.metrics.definitions import METRICS, Estimate
from starbench.metrics.network import Network, fit_network
from starbench.metrics.regression import Rows, ridge

LEAST_PAIRS_OF_NETWORK = 320  # training pairs


class ProbeInputs(Rows):
    """Latents that probes are fitted and scored on, decomposed once for all probes and targets.

    Parameters
    ----------
    train_latent : numpy.ndarray [n_train_pairs, 2, d]
    test_latent : numpy.ndarray [n_test_pairs, 2, d]
        Those of a survey's stars are shaped [n_stars, 1, d]; here and below a star is then a pair
        of a single spectrum.

    Attributes
    ----------
    each : int
        Spectra of a pair: 2, or 1 for a survey's stars.

    Raises
    ------
    ValueError
        If shapes do not match; on use, if a latent is not finite.
    """

    def __init__(self, train_latent: np.ndarray, test_latent: np.ndarray) -> None:
        super().__init__(_stars(train_latent), _stars(test_latent))
        if self._train.shape[1] != self._test.shape[1]:
            raise ValueError(
                f"latents must have as many dimensions in test as in train, "
                f"{self._train.shape[1]}, not {self._test.shape[1]}"
            )
        self.each = int(train_latent.shape[1])
        if test_latent.shape[1] != self.each:
            raise ValueError("latents of train and test must both be of pairs, or both of stars")

    @property
    def n_train_pairs(self) -> int:
        """Pairs of the train split."""
        return len(self._train) // self.each

    @property
    def n_test_pairs(self) -> int:
        """Pairs of the test split."""
        return len(self._test) // self.each

    @property
    def enough_for_network(self) -> bool:
        """Whether the train split has the spectra of `LEAST_PAIRS_OF_NETWORK` pairs."""
        return len(self._train) >= 2 * LEAST_PAIRS_OF_NETWORK


class Probed(NamedTuple):
    """What the probes found.

    Attributes
    ----------
    estimates : dict of str to Estimate or None
    network : Network or None
        The fitted network probe, which takes `ProbeInputs.whitened`; None where there is none.
    """

    estimates: dict[str, Estimate | None]
    network: Network | None


def probe_estimates(
    family: str,
    names: Sequence[str],
    inputs: ProbeInputs,
    train_target: np.ndarray,
    test_target: np.ndarray,
    *,
    seed: int = 0,
    counts: np.ndarray | None = None,
    group: np.ndarray | None = None,
) -> Probed:
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
    group : numpy.ndarray [n_test_pairs], int64, optional
        Sibling groups of the test stars of a survey, 0, 1, ..., which `counts` then resamples.

    Returns
    -------
    Probed
        Estimates ``family.ridge.name`` and ``family.mlp.name`` for each name. None if a latent is
        not finite, if the target is equal for all stars of a split, if the prediction overflows,
        or, for the network, below `LEAST_PAIRS_OF_NETWORK` training pairs.

    Raises
    ------
    ValueError
        If shapes do not match, or a target is not finite.
    """
    train_target = _for_all(train_target, inputs.n_train_pairs, inputs.each, len(names))
    test_target = _for_all(test_target, inputs.n_test_pairs, inputs.each, len(names))
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
        return Probed(estimates, None)
    train_target, test_target = train_target[..., varies], test_target[..., varies]
    predictions, network = {"ridge": ridge_predict(inputs, train_target)}, None
    if inputs.enough_for_network:
        network = probe_network(inputs, train_target, seed=seed)
        predictions["mlp"] = network.predict(inputs.whitened[1]).reshape(test_target.shape)
    if counts is None:
        counts = resample_pairs(inputs.n_test_pairs if group is None else int(group.max()) + 1)
    for probe, prediction in predictions.items():
        values, resampled = r2(test_target, prediction, counts, group)
        for i, value, draws in zip(varies, values, resampled.T, strict=True):
            if not np.isfinite(value):
                continue
            estimates[f"{family}.{probe}.{names[i]}"] = estimate(
                METRICS[f"{family}.{probe}"], float(value), draws
            )
    return Probed(estimates, network)


def r2(
    target: np.ndarray,
    prediction: np.ndarray,
    counts: np.ndarray,
    group: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return R^2 of each target, and in each resample, about the resample's mean.

    Parameters
    ----------
    target, prediction : numpy.ndarray [n_pairs, k, n_targets]
        Of the k stars of each pair; k is 1 for a quantity of the pair.
    counts : numpy.ndarray [n_resamples, n_pairs], int16
        With groups, [n_resamples, n_groups].
    group : numpy.ndarray [n_pairs], int64, optional
        What is resampled instead of pairs: 0, 1, ... for each of them.

    Returns
    -------
    value : numpy.ndarray [n_targets], float64
    resampled : numpy.ndarray [n_resamples, n_targets], float64
        NaN where all targets of a resample are equal.
    """
    target = target.astype(np.float64)
    n_pairs, stars_of_pair, n_targets = target.shape
    residual = ((target - prediction) ** 2).sum(axis=1)
    centred = target - target.mean(axis=(0, 1))  # so that the sums below keep their digits
    first, second = centred.sum(axis=1), (centred**2).sum(axis=1)
    value = 1 - residual.sum(axis=0) / second.sum(axis=0)
    columns = np.concatenate([residual, first, second], axis=1)
    n_stars: int | np.ndarray = n_pairs * stars_of_pair
    if group is not None:
        n_stars = stars_of_pair * resampled_sums(counts, np.bincount(group)[:, None].astype(float))
        columns = group_sums(columns, group)
    sums = resampled_sums(counts, columns)
    residual, first, second = (sums[:, i * n_targets : (i + 1) * n_targets] for i in range(3))
    total = second - first**2 / n_stars
    with np.errstate(invalid="ignore", divide="ignore"):
        return value, np.where(total > 0, 1 - residual / total, np.nan)


def ridge_predict(inputs: ProbeInputs, train_target: np.ndarray) -> np.ndarray:
    """Predict targets [n_test_pairs, 2, n_targets] by ridge regression on standardised latents.

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
    target = train_target.reshape(inputs.each * inputs.n_train_pairs, -1)
    return ridge(inputs, target).reshape(inputs.n_test_pairs, inputs.each, -1)


def probe_network(inputs: ProbeInputs, train_target: np.ndarray, *, seed: int = 0) -> Network:
    """Fit one small neural network to all targets [n_train_pairs, 2, n_targets].

    Raises
    ------
    ValueError
        If a latent is not finite.
    """
    whitened, _ = inputs.whitened
    return fit_network(whitened, train_target.reshape(len(whitened), -1), seed=seed)


def _for_all(target: np.ndarray, n_pairs: int, each: int, n_targets: int) -> np.ndarray:
    """Return targets as [n_pairs, each, n_targets], repeated if there is one a pair."""
    if target.shape == (n_pairs, n_targets):
        return np.repeat(target[:, None], each, axis=1)
    if target.shape != (n_pairs, each, n_targets):
        raise ValueError(
            f"targets must be shaped [{n_pairs}, {n_targets}] or [{n_pairs}, {each}, {n_targets}], "
            f"not {list(target.shape)}"
        )
    return target


def _stars(latent: np.ndarray) -> np.ndarray:
    """Check latents [n_pairs, 2, d] or [n_stars, 1, d] and return them as [n_spectra, d]."""
    if latent.ndim != 3 or latent.shape[1] not in (1, 2) or 0 in latent.shape:
        raise ValueError(f"latents must be shaped [n_pairs, 2, d], not {list(latent.shape)}")
    return latent.reshape(-1, latent.shape[2])
