"""Scoring: from latents and reconstructions to the estimates of a row.

The core, `score`, takes arrays, so that predictions made with another framework are scored by the
same code as a fitted method. `encode_split` and `reconstruction_errors` compute those arrays from a
method, or read them from a file, in pieces: the reconstructions of a split never fill the memory at
once.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starbench import metrics
from starbench.common.paging import release
from starbench.common.parallel import map_ahead, one_thread
from starbench.common.progress import stage
from starbench.common.threads import default_threads
from starbench.evaluation.ranking import rank_resumably, ranking_device
from starbench.evaluation.views import Labels, SplitView, unshuffle
from starbench.methods.base import (
    Diverged,
    Method,
    OracleControl,
    SettingError,
    View,
    encode_spectra,
    required,
)

BATCH = 4096  # spectra encoded or decoded at a time
LARGE_SHIFT_KELVIN = 500.0


Ranks = metrics.TwinRanks | metrics.SiblingRanks


class OutputError(RuntimeError):
    """A method's output cannot be scored; the message says what the method must return."""


@dataclass(frozen=True)
class Errors:
    """Mean squared error of each star's reconstructions, flux units squared.

    Attributes
    ----------
    plain : numpy.ndarray [n_pairs, 2], float64
        From the star's own latent and nuisance.
    swapped : numpy.ndarray [n_pairs, 2], float64
        From the twin's latent and the star's own nuisance.

    In a survey both are [n_ordered], of the first and the second star of each ordered pair of
    siblings (`starbench.metrics.ordered_pairs`).
    """

    plain: np.ndarray
    swapped: np.ndarray


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


def rank_stars(
    method: Method,
    latent: np.ndarray,
    labels: Labels,
    *,
    error: np.ndarray | None = None,
    checkpoint: Path | None = None,
    quiet: bool = True,
) -> Ranks:
    """Rank the twins of a method's latents by L1, or by an oracle control's own distance.

    A method on a CUDA device is ranked there, any other on the CPU; so are the siblings of a
    survey, always by L1.

    Parameters
    ----------
    method : Method
    latent : numpy.ndarray [n, 2, d], float32
        Of the first n pairs.
    labels : Labels
        Of at least these pairs; in a survey of the same stars.
    error : numpy.ndarray [n, 2, n_pixels], optional
        Of the flux of these pairs, for oracle controls that take errors.
    checkpoint : pathlib.Path, optional
        See `rank_resumably`.
    quiet : bool
        Draw no progress.

    Raises
    ------
    OutputError
        If a method's own ranks are not ranks of these stars.
    """
    own: Ranks | None = None
    if isinstance(method, OracleControl):
        own_ranks = _own_twin_ranks if labels.group is None else _own_sibling_ranks
        own = own_ranks(method, latent, labels, error)
    if own is not None:
        return own
    device = str(getattr(method, "device", "cpu"))  # a method may have its own constructor
    return rank_latents(latent, labels, device=device, checkpoint=checkpoint, quiet=quiet)


def rank_latents(
    latent: np.ndarray,
    labels: Labels,
    *,
    device: str = "cpu",
    checkpoint: Path | None = None,
    quiet: bool = True,
) -> Ranks:
    """Rank the twins of pairs, or the siblings of a survey, by L1.

    Parameters
    ----------
    latent : numpy.ndarray [n_pairs, 2, d] or [n_stars, 1, d], float32
    labels : Labels
        Their group says whether it is a survey.
    device : str
        A torch device. Siblings are ranked on the CPU, and so are twins unless it is a CUDA device.
    checkpoint : pathlib.Path, optional
        See `rank_resumably`.
    quiet : bool
        Draw no progress.
    """
    if labels.group is None:
        pairs = metrics.Ranking(latent, device=ranking_device(device))
        return rank_resumably(pairs, checkpoint, quiet=quiet)
    siblings = metrics.SiblingRanking(latent[:, 0], labels.group)
    return rank_resumably(siblings, checkpoint, quiet=quiet)


def _own_twin_ranks(
    method: OracleControl, latent: np.ndarray, labels: Labels, error: np.ndarray | None
) -> metrics.TwinRanks | None:
    """Return the ranks of twins by a control's own distance; None if it has none."""
    pairs = slice(len(latent))
    known = _known(method, labels, error, pairs)
    own = method.rank_twins(latent, labels.nuisance[pairs], _composition(labels)[pairs], **known)
    if own is None:
        return None
    rank, tied = (np.asarray(part) for part in own)
    if (
        not (rank.shape == tied.shape == latent.shape[:2])
        or not (rank.dtype.kind == tied.dtype.kind == "i")
        or not ((tied >= 0) & (tied < rank) & (rank < 2 * len(latent))).all()
    ):
        raise OutputError(
            f"rank_twins of {method.name} must return integer ranks and ties [{len(latent)}, 2]."
        )
    return metrics.TwinRanks(rank.astype(np.int64), tied.astype(np.int64))


def _own_sibling_ranks(
    method: OracleControl, latent: np.ndarray, labels: Labels, error: np.ndarray | None
) -> metrics.SiblingRanks | None:
    """Return the ranks of siblings by a control's own distance; None if it has none."""
    group = required(labels.group, "group")
    known = {
        name: values.reshape(len(group), -1)
        for name, values in _known(method, labels, error, slice(len(group))).items()
    }
    nuisance, composition = labels.nuisance[:, 0], _composition(labels)
    own = method.rank_siblings(latent[:, 0], nuisance, composition, group, **known)
    if own is None:
        return None
    pairs = metrics.ordered_pairs(group)
    rank, tied = (np.asarray(part) for part in own)
    ranks = metrics.SiblingRanks(rank, tied, pairs.group, len(group))
    if (
        not (rank.shape == tied.shape == pairs.query.shape)
        or not (rank.dtype.kind == tied.dtype.kind == "i")
        or not ((tied >= 0) & (tied < rank) & (rank <= 1 + ranks.n_strangers)).all()
    ):
        raise OutputError(
            f"rank_siblings of {method.name} must return integer ranks and ties [{len(pairs)}]."
        )
    return ranks


def _known(
    method: OracleControl, labels: Labels, error: np.ndarray | None, pairs: slice
) -> dict[str, np.ndarray]:
    """Return what an oracle control is told of spectra besides their labels."""
    known = {} if labels.unseen is None else {"unseen": labels.unseen[pairs]}
    if error is not None and method.takes_errors:
        known["error"] = error
    return known


def _composition(labels: Labels) -> np.ndarray:
    if labels.composition is None:
        raise SettingError(
            "The method needs the composition, which these data lack; choose data with it."
        )
    return labels.composition


def reconstruction_errors(
    pieces: Iterable[tuple[slice, np.ndarray]],
    n_pairs: int,
    reconstruct: Callable[[slice], tuple[np.ndarray, np.ndarray]],
    advance: Callable[[int], object] | None = None,
) -> Errors:
    """Compare reconstructions with the noiseless flux, piece by piece.

    Parameters
    ----------
    pieces : iterable of (slice, numpy.ndarray [m, 2, n_pixels])
        The noiseless flux of the split in pieces, as `Task.noiseless_flux` yields it. Pixels in
        which it is NaN are left out.
    n_pairs : int
    reconstruct : callable
        Given a range of pairs, returns their plain and their swapped reconstruction, each
        [m, 2, n_pixels].
    advance : callable, optional
        Called with the number of spectra after each piece.

    Raises
    ------
    Diverged
        If a reconstruction is not finite.
    """
    errors = Errors(np.empty((n_pairs, 2)), np.empty((n_pairs, 2)))
    for pairs, flux in pieces:
        for step in range(pairs.start, pairs.stop, BATCH // 2):
            part = slice(step, min(step + BATCH // 2, pairs.stop))
            truth = flux[part.start - pairs.start : part.stop - pairs.start]
            masked = np.isnan(truth)
            left_out = masked if masked.any() else None
            plain, swapped = reconstruct(part)
            for kind, reconstruction, of_kind in (
                ("plain", plain, errors.plain),
                ("swapped", swapped, errors.swapped),
            ):
                mse = metrics.per_star_mse(reconstruction, truth, left_out)
                require_finite(mse, kind)
                of_kind[part] = mse
            if advance:
                advance(2 * (part.stop - part.start))
    return errors


def require_finite(mse: np.ndarray, kind: str) -> None:
    """Raise `Diverged` if the squared error of a plain or swapped reconstruction is not finite."""
    n_bad = int((~np.isfinite(mse)).sum())
    if n_bad:
        raise Diverged(f"{n_bad} {kind} reconstructions are not finite")


def decoder(
    method: Method, latent: np.ndarray, nuisance: np.ndarray, n_pixels: int
) -> Callable[[slice], tuple[np.ndarray, np.ndarray]]:
    """Return a function that reconstructs a range of pairs, for `reconstruction_errors`.

    Parameters
    ----------
    method : Method
    latent : numpy.ndarray [n_pairs, 2, d]
    nuisance : numpy.ndarray [n_pairs, 2, n_nuisance]
    n_pixels : int
    """

    def reconstruct(pairs: slice) -> tuple[np.ndarray, np.ndarray]:
        own = latent[pairs]
        at = None
        if method.label_access != "none":
            at = nuisance[pairs].reshape(2 * len(own), -1)

        def decoded(source: np.ndarray) -> np.ndarray:
            # Contiguous, as torch refuses the negative stride of a swap.
            stars = np.ascontiguousarray(source).reshape(2 * len(own), -1)
            flux = checked_output(
                method.decode(stars, at), len(stars), f"decode of {method.name}", n_pixels
            )
            return flux.reshape(len(own), 2, n_pixels)

        return decoded(own), decoded(own[:, ::-1])

    return reconstruct


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
