"""Conditional leakage: what a latent tells of the nuisance beyond what the composition tells.

Where nuisance and composition depend on each other, as on a giant branch, a latent that is the
composition predicts the nuisance, and `nuisance_leakage` takes that for a leak. Here a nuisance
factor u is first freed from what the composition a predicts of it, as in partially linear
regression (Robinson 1988, Econometrica 56, 931),

    r = u - m(a),

where m is ridge regression on polynomials of the abundances, fitted on the train split. Conditional
leakage is the held-out R^2 of r predicted from the latent alone. It is 0 for the composition itself
with any noise, 1 for a latent that holds composition and nuisance, and equals `nuisance_leakage`
where the two are independent. With the correlation c of one normal abundance and one normal
nuisance factor it is c^2 for a - E[a | u], the latent that is uncorrelated with u and yet differs
between twins, and 1 - c^2 for u alone, which cannot tell u from what a predicts of it.

The latent alone predicts r, not latent and composition together: with the composition known, the
smallest error of a noiseless latent gives the nuisance away, so that R^2 is near 1 for every
method.

Two probes predict r. The first is ridge regression, as for `nuisance_leakage`. The second is ridge
regression on the last hidden layers of the networks that were fitted to the nuisance and to the
composition, which hold what the latent tells of both. That finds what a third network would, within
0.05 of R^2 from 1,250 training pairs on, in a fifth of its time.
"""

from collections.abc import Sequence

import numpy as np

from starbench.metrics.bootstrap import estimate, resample_pairs
from starbench.metrics.definitions import METRICS, Estimate
from starbench.metrics.network import Network
from starbench.metrics.probes import ProbeInputs, r2, ridge_predict
from starbench.metrics.regression import Rows, ridge

FAMILY = "conditional_leakage"
_LEAST_SHARE = 1e-4  # of a factor's variance that the composition must leave
_MOST_ELEMENTS = 30  # with products of every two; with more, squares alone


def conditional_estimates(
    names: Sequence[str],
    inputs: ProbeInputs,
    nuisance: tuple[np.ndarray, np.ndarray],
    composition: tuple[np.ndarray, np.ndarray],
    *,
    networks: Sequence[Network] = (),
    counts: np.ndarray | None = None,
    group: np.ndarray | None = None,
) -> dict[str, Estimate | None]:
    """Compute the conditional leakage of each nuisance factor.

    Parameters
    ----------
    names : sequence of str [n_nuisance]
    inputs : ProbeInputs
    nuisance : pair of numpy.ndarray [n_pairs, 2, n_nuisance]
        Of the train and the test split.
    composition : pair of numpy.ndarray [n_pairs, n_elements]
        Of the train and the test split.
    networks : sequence of Network
        Fitted to the nuisance and to the composition by `probe_estimates` on the same inputs.
        Without two of them there is no estimate by the network.
    counts : numpy.ndarray [n_resamples, n_test_pairs], int16, optional
        Bootstrap resamples, by default those of `resample_pairs`.
    group : numpy.ndarray [n_test_pairs], int64, optional
        As in `starbench.metrics.probes.probe_estimates`.

    Returns
    -------
    dict of str to Estimate or None
        ``conditional_leakage.ridge.name`` and ``conditional_leakage.mlp.name`` for each name. None
        if a latent is not finite, if the composition determines the factor but for 0.01 % of its
        variance, or if the prediction overflows.
    """
    estimates: dict[str, Estimate | None] = {
        f"{FAMILY}.{probe}.{name}": None for probe in ("ridge", "mlp") for name in names
    }
    train, test = residuals(nuisance, composition)
    left = test.var(axis=(0, 1)) > _LEAST_SHARE * nuisance[1].var(axis=(0, 1), dtype=np.float64)
    kept = np.flatnonzero(left & (train.var(axis=(0, 1)) > 0)).tolist()
    if not kept or not inputs.finite:
        return estimates
    train, test = train[..., kept], test[..., kept]
    predictions = {"ridge": ridge_predict(inputs, train)}
    if len(networks) == 2:
        predictions["mlp"] = ridge_predict(_hidden(inputs, networks), train)
    if counts is None:
        counts = resample_pairs(inputs.n_test_pairs if group is None else int(group.max()) + 1)
    for probe, prediction in predictions.items():
        values, resampled = r2(test, prediction, counts, group)
        for i, value, draws in zip(kept, values, resampled.T, strict=True):
            if np.isfinite(value):
                estimates[f"{FAMILY}.{probe}.{names[i]}"] = estimate(
                    METRICS[f"{FAMILY}.{probe}"], float(value), draws
                )
    return estimates


def residuals(
    nuisance: tuple[np.ndarray, np.ndarray], composition: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return what the composition leaves of the nuisance, in the train and the test split.

    Parameters
    ----------
    nuisance : pair of numpy.ndarray [n_pairs, 2, n_nuisance]
    composition : pair of numpy.ndarray [n_pairs, n_elements]

    Returns
    -------
    pair of numpy.ndarray [n_pairs, 2, n_nuisance], float64
    """
    train, test = (part.astype(np.float64) for part in composition)
    scale = train.std(axis=0)
    mean, scale = train.mean(axis=0), np.where(scale > 0, scale, 1)
    features = [_polynomials((part - mean) / scale) for part in (train, test)]
    # Both stars of a pair have the same composition, so m(a) is fitted to their mean.
    predicted = ridge(Rows(features[0], np.concatenate(features)), nuisance[0].mean(axis=1))
    n = len(train)
    return (
        nuisance[0] - predicted[:n, None],
        nuisance[1] - predicted[n:, None],
    )


def _polynomials(composition: np.ndarray) -> np.ndarray:
    """Return abundances [n, k] with their products of two and their cubes [n, n_features]."""
    first, second = np.triu_indices(composition.shape[1])
    if composition.shape[1] > _MOST_ELEMENTS:
        first = second = np.arange(composition.shape[1])
    return np.concatenate(
        [composition, composition[:, first] * composition[:, second], composition**3], axis=1
    )


def _hidden(inputs: ProbeInputs, networks: Sequence[Network]) -> ProbeInputs:
    """Return the last hidden layers of networks, side by side, as inputs of a probe."""
    train, test = (
        np.concatenate([network.hidden(part) for network in networks], axis=1)
        for part in inputs.whitened
    )
    return ProbeInputs(
        train.reshape(inputs.n_train_pairs, inputs.each, -1),
        test.reshape(inputs.n_test_pairs, inputs.each, -1),
    )
