"""Scoring: from latents and reconstruction errors to the estimates of a row.

`score` takes arrays, so that predictions made with another framework are scored by the same code as
a fitted method.
"""

from dataclasses import dataclass

import numpy as np

from starbench import metrics
from starbench.common.parallel import map_ahead, one_thread
from starbench.common.progress import stage
from starbench.common.threads import default_threads
from starbench.evaluation.reconstruction import Errors
from starbench.evaluation.star_ranks import Ranks, rank_latents
from starbench.evaluation.views import Labels

LARGE_SHIFT_KELVIN = 500.0


@dataclass(frozen=True)
class Probes:
    """What the probes are fitted on: the latents [n_pairs, 2, d] and labels of the train split.

    In a survey the latents are [n_stars, 1, d].
    """

    latent: np.ndarray
    labels: Labels


@dataclass(frozen=True)
class Scores:
    """The scores of one split.

    Attributes
    ----------
    estimates : dict of str to Estimate
    ranks : TwinRanks or SiblingRanks
    """

    estimates: dict[str, metrics.Estimate]
    ranks: Ranks


def score(
    latent: np.ndarray,
    labels: Labels,
    *,
    ranks: Ranks | None = None,
    errors: Errors | None = None,
    probes: Probes | None = None,
) -> Scores:
    """Compute every estimate that the arrays allow; the others are absent.

    Parameters
    ----------
    latent : numpy.ndarray [n_pairs, 2, d], float32
        A latent that is not finite ranks last. In a survey [n_stars, 1, d].
    labels : Labels
        Of the same pairs.
    ranks : TwinRanks or SiblingRanks, optional
        By default by L1 in the latents.
    errors : Errors, optional
        Of the reconstructions, if there are any.
    probes : Probes, optional
        Data on which the probes of leakage and recovery are fitted; without it they are left out.
    """
    if ranks is None:
        with stage("rank twins"):
            ranks = rank_latents(latent, labels)
    plain, swapped = (None, None) if errors is None else (errors.plain, errors.swapped)
    with stage("intervals"):
        estimates: dict[str, metrics.Estimate | None] = dict(metrics.recovery_estimates(ranks))
        if labels.group is None:
            estimates |= metrics.reconstruction_estimates(plain, swapped, large_shift(labels))
            estimates |= metrics.twin_distance_estimates(latent, labels.nuisance)
        else:
            pairs = metrics.ordered_pairs(labels.group)
            estimates |= metrics.reconstruction_estimates(
                plain, swapped, large_shift(labels, pairs), group=pairs.group
            )
            estimates |= metrics.alikeness_estimates(
                latent[:, 0], labels.group, labels.nuisance[:, 0]
            )
    if probes is not None:
        estimates |= _probe_estimates(latent, labels, probes)
    return Scores(
        {name: estimate for name, estimate in estimates.items() if estimate is not None}, ranks
    )


def large_shift(labels: Labels, siblings: metrics.OrderedPairs | None = None) -> np.ndarray | None:
    """Return which pairs [n_pairs] differ by more than 500 K in Teff; None without Teff labels.

    In a survey the pairs are the ordered pairs of siblings.
    """
    names = [name.lower() for name in labels.nuisance_names]
    if "teff" not in names:
        return None
    teff = labels.nuisance[:, :, names.index("teff")]
    if siblings is None:
        first, second = teff[:, 0], teff[:, 1]
    else:
        first, second = teff[siblings.query, 0], teff[siblings.sibling, 0]
    large: np.ndarray = np.abs(first - second) > LARGE_SHIFT_KELVIN
    return large


def _probe_estimates(
    latent: np.ndarray, labels: Labels, probes: Probes
) -> dict[str, metrics.Estimate | None]:
    """Return leakage, recovery and, where the composition is known, conditional leakage."""
    train = probes.labels
    inputs = metrics.ProbeInputs(probes.latent, latent)
    group = None
    if labels.group is not None:
        group = np.unique(labels.group, return_inverse=True)[1]
    counts = metrics.resample_pairs(len(latent) if group is None else int(group.max()) + 1)
    targets = {"nuisance_leakage": (labels.nuisance_names, train.nuisance, labels.nuisance)}
    composition = None
    if labels.elements and train.composition is not None and labels.composition is not None:
        composition = train.composition, labels.composition
        targets["composition_recovery"] = (labels.elements, *composition)

    def of_family(family: str) -> metrics.Probed:
        names, fitted_on, judged_on = targets[family]
        return metrics.probe_estimates(
            family, names, inputs, fitted_on, judged_on, counts=counts, group=group
        )

    if inputs.finite:
        _ = inputs.whitened  # once, before threads share it
    # A probe's network runs on one thread, so that those of both families can run at once.
    with one_thread(), stage("fit probes"):
        probed = list(map_ahead(of_family, targets, min(2, default_threads())))
        estimates = {name: each for family in probed for name, each in family.estimates.items()}
        if composition is not None:
            estimates |= metrics.conditional_estimates(
                labels.nuisance_names,
                inputs,
                (train.nuisance, labels.nuisance),
                composition,
                networks=[each.network for each in probed if each.network is not None],
                counts=counts,
                group=group,
            )
    return estimates
