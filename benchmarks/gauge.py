"""What no measure of dependence on the nuisance determines of a latent, and what that costs.

    python -m benchmarks.gauge

Prints the tables of docs/gauge.md, which derives what is computed here. Nothing is fitted, and no
spectrum is drawn: compositions are those of the validation split of a noise track, and their
estimates scatter as the Fisher information of the emulator says.
"""

import sys
from dataclasses import dataclass
from functools import cached_property

import click
import numpy as np
import torch
from tabulate import tabulate

from starbench.common.progress import stage
from starbench.methods.controls.information_bound import fisher_information
from starbench.methods.parts.noise_matching import noise_matched_map
from starbench.methods.parts.polynomial import monomials
from starbench.metrics import twin_ranks
from starbench.tasks.apogee_giants import population
from starbench.tasks.forward import parameters_of
from starbench.tasks.registry import get_task

TURNS = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1)  # [rad]
GOAL = 0.6  # share of nearest twins
_STEP = 1e-4  # [dex], of differences
_STARS_AT_ONCE = 256
_CANDIDATES = 300  # strangers that are compared with the twin of a query
_DEGREE = 3
_N_AXES = len(population.COMPOSITION_NAMES)

_OFFSET, _SLOPE, _SHARE, _WIDTH = np.array(
    [population.ABUNDANCES[x] for x in population.ELEMENTS]
).T
_ALPHA = _SHARE / _WIDTH  # what [alpha/Fe] adds to elements, in units of their scatter
_ALPHA_SIZE = float(np.linalg.norm(_ALPHA))
# Rows: the direction of [alpha/Fe] among the elements, then 15 directions that it does not move.
_AXES = np.linalg.qr(np.column_stack([_ALPHA, np.eye(len(_ALPHA))[:, 1:]]))[0].T
_AXES *= np.sign(_AXES[:1] @ _ALPHA)
_SEQUENCES = (
    (population.HIGH_ALPHA_SHARE, population.FEH_HIGH_ALPHA),
    (1 - population.HIGH_ALPHA_SHARE, population.FEH_LOW_ALPHA),
)


def cumulative(x: np.ndarray) -> np.ndarray:
    return torch.special.ndtr(torch.as_tensor(x)).numpy()


def quantile(share: np.ndarray) -> np.ndarray:
    return torch.special.ndtri(torch.as_tensor(np.clip(share, 1e-14, 1 - 1e-14))).numpy()


def density(x: np.ndarray) -> np.ndarray:
    return np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)


def sequence_shares(feh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return P(sequence | [Fe/H]) [2, n], and the probability of a smaller [Fe/H] [n]."""
    densities, below = [], np.zeros_like(feh)
    for share, (mean, width) in _SEQUENCES:
        low, high = ((limit - mean) / width for limit in population.FEH_RANGE)
        mass = cumulative(np.float64(high)) - cumulative(np.float64(low))
        at = (feh - mean) / width
        densities.append(share * density(at) / width / mass)
        below = below + share * (cumulative(at) - cumulative(np.float64(low))) / mass
    both = np.array(densities)
    return both / both.sum(axis=0), below


def alpha_means(feh: np.ndarray) -> np.ndarray:
    """Return the mean [alpha/Fe] [2, n] of the sequences, the high one first."""
    return np.array([0.22 - 0.12 * (feh + 0.35), 0.03 - 0.14 * feh])


def normal_coordinates(composition: np.ndarray) -> np.ndarray:
    """Return coordinates y [n, 17] of compositions, which are distributed as N(0, 1).

    The first is [Fe/H], the second [alpha/Fe] as the elements show it, given [Fe/H], both through
    their cumulative distributions; the others are scatters of the elements. The cuts of the
    scatters at three standard deviations are neglected.
    """
    feh = composition[:, 0]
    scatter = (composition[:, 1:] - _OFFSET - _SLOPE * feh[:, None]) / _WIDTH
    along = scatter @ _AXES.T
    of_sequence, below = sequence_shares(feh)
    deviation = np.sqrt(1 + (_ALPHA_SIZE * population.ALPHA_SCATTER) ** 2)
    at = (along[:, 0] - _ALPHA_SIZE * alpha_means(feh)) / deviation
    alpha_below = (of_sequence * cumulative(at)).sum(axis=0)
    return np.column_stack([quantile(below), quantile(alpha_below), along[:, 1:]])


def coordinate_slopes(composition: np.ndarray) -> np.ndarray:
    """Return the derivatives da/dy [n, 17, 17] of the composition by its normal coordinates."""
    slopes = np.empty((len(composition), _N_AXES, _N_AXES))
    for k in range(_N_AXES):
        step = _STEP * np.eye(_N_AXES)[k]
        ahead, behind = (normal_coordinates(composition + sign * step) for sign in (1, -1))
        slopes[:, :, k] = (ahead - behind) / (2 * _STEP)
    return np.linalg.inv(slopes)


@dataclass(frozen=True)
class Stars:
    """Stars by pairs, with what a noisy spectrum tells of each.

    Attributes
    ----------
    y : numpy.ndarray [2 n_pairs, 17]
        Normal coordinates of the composition; stars 2k and 2k + 1 are twins.
    u : numpy.ndarray [2 n_pairs, 2]
        Standardised nuisance.
    information : numpy.ndarray [2 n_pairs, 17, 17]
        Fisher information on y.
    least_change : numpy.ndarray [2 n_pairs, 17, 17]
        Rotation of y at each u after which the mean effect of y on the spectrum changes least.
    """

    y: np.ndarray
    u: np.ndarray
    information: np.ndarray
    least_change: np.ndarray

    @cached_property
    def root(self) -> np.ndarray:
        """Square root of the information: B with B B^T."""
        values, axes = np.linalg.eigh(self.information)
        root: np.ndarray = axes * np.sqrt(np.maximum(values, 0))[:, None]
        return root

    @cached_property
    def covariance(self) -> np.ndarray:
        """Posterior covariance of y."""
        return np.linalg.inv(self.information + np.eye(_N_AXES))

    @cached_property
    def noise(self) -> np.ndarray:
        """Covariance [17, 17] that noise gives to posterior means, averaged over stars."""
        return (self.covariance @ self.information @ self.covariance).mean(axis=0)


def make_stars(name: str, n_pairs: int) -> Stars:
    """Return the first validation pairs of a noise track."""
    task = get_task(name)
    forward = task.forward_model()
    assert forward is not None and task.snr is not None
    nuisance, composition = get_task("apogee-giants").labels("validation", 0, n_pairs)
    a = np.repeat(composition.astype(np.float64), 2, axis=0)
    nuisance = nuisance.reshape(2 * n_pairs, -1).astype(np.float64)
    u = (nuisance - nuisance.mean(axis=0)) / nuisance.std(axis=0)
    terms, slopes = monomials(u, _DEGREE), coordinate_slopes(a)
    parameters, directions = parameters_of(nuisance, a, None), np.eye(2 + _N_AXES)[2:]
    information = np.empty((len(a), _N_AXES, _N_AXES))
    moments = np.zeros((terms.shape[1], forward.model.n_coordinates * _N_AXES))
    for start in stage("emulator", range(0, len(a), _STARS_AT_ONCE)):
        part = slice(start, start + _STARS_AT_ONCE)
        tangents = forward.model.tangents(parameters[part], directions)[1] @ slopes[part]
        information[part] = fisher_information(tangents, 1 / task.snr)
        moments += terms[part].T @ tangents.reshape(len(tangents), -1)
    effect = np.linalg.solve(terms.T @ terms, moments).reshape(len(moments), -1, _N_AXES)
    middle = monomials(np.zeros((1, 2)), _DEGREE)[0]
    # A(u)^T A(0) is linear in the monomials of u.
    products = np.einsum("akd,ke->ade", effect, np.einsum("a,ake->ke", middle, effect))
    left, _, right = np.linalg.svd(np.einsum("na,ade->nde", terms, products))
    least_change = (left @ right).transpose(0, 2, 1)
    return Stars(normal_coordinates(a), u, information, least_change)


def random_turns(u: np.ndarray, turn: float, rng: np.random.Generator) -> np.ndarray:
    """Return rotations [n, 17, 17] that change smoothly with the nuisance.

    Their generator is linear in u. Between two random stars they differ by `turn` in every plane,
    in the root of the mean square [rad].
    """
    generators = rng.normal(size=(u.shape[1], _N_AXES, _N_AXES))
    upper = np.triu(generators, 1)
    skew = np.einsum("nk,kde->nde", u, upper - upper.transpose(0, 2, 1))
    return torch.matrix_exp(torch.from_numpy(turn / 2 * skew)).numpy()


@dataclass(frozen=True)
class Estimates:
    """What the noisy spectra say of y after it has been turned.

    Attributes
    ----------
    score : numpy.ndarray [n, 17]
        Information times the maximum-likelihood estimate.
    mean : numpy.ndarray [n, 17]
        Posterior mean.
    """

    score: np.ndarray
    mean: np.ndarray


def estimate(stars: Stars, rotation: np.ndarray, rng: np.random.Generator) -> Estimates:
    """Draw noise, and estimate the turned coordinates of each star."""
    turned = np.einsum("nde,ne->nd", rotation, stars.y)
    # The Fisher information is that of the star in its place before the turn.
    noise = np.einsum("nde,ne->nd", stars.root, rng.normal(size=turned.shape))
    score = np.einsum("nde,ne->nd", stars.information, turned) + noise
    return Estimates(score, np.einsum("nde,ne->nd", stars.covariance, score))


def share_by_l1(stars: Stars, found: Estimates) -> float:
    """Return the share of nearest twins by L1 in the noise-matched posterior means."""
    matched = noise_matched_map(torch.from_numpy(found.mean), torch.from_numpy(stars.noise))
    latent = found.mean.astype(np.float32) @ matched.numpy()
    return float((twin_ranks(latent.reshape(-1, 2, _N_AXES)).rank == 1).mean())


def share_at_best(stars: Stars, found: Estimates, turn: float, queries: np.ndarray) -> float:
    """Return the share of queries whose twin is the most probable of all stars.

    The probability is that of the two spectra, averaged over the turns that are possible. Of the
    strangers only the likeliest by a simpler measure are compared, so the share can come out too
    large, never too small.
    """
    n_compared, identity = min(_CANDIDATES, len(stars.y) - 2), np.eye(_N_AXES)
    size = (found.mean**2).sum(axis=1) + np.trace(stars.covariance, axis1=1, axis2=2)
    typical = 2 * stars.noise + turn**2 * _N_AXES * identity + 1e-6 * identity
    whitened = found.mean @ np.linalg.cholesky(np.linalg.inv(typical))
    prior = np.linalg.slogdet(identity + stars.information)[1]
    prior -= np.einsum("nd,nd->n", found.score, found.mean)
    nearest = 0
    for query in queries:
        distance = ((whitened - whitened[query]) ** 2).sum(axis=1)
        distance[[query, query ^ 1]] = np.inf
        likeliest = np.argpartition(distance, n_compared - 1)[:n_compared]
        chosen = np.append(likeliest, query ^ 1)
        e2 = turn**2 / 4 * ((stars.u[chosen] - stars.u[query]) ** 2).sum(axis=1)[:, None, None]
        m, v = found.mean[query], stars.covariance[query]
        kept = np.exp(-(_N_AXES - 1) * e2 / 2)
        spread = kept**2 * v + e2 * (size[query] * identity - np.outer(m, m) - v)
        precision = np.linalg.inv(spread)
        mean = kept[..., 0] * m
        pull = np.einsum("nde,ne->nd", precision, mean)
        both = pull + found.score[chosen]
        posterior = np.linalg.solve(precision + stars.information[chosen], both[..., None])[..., 0]
        evidence = np.linalg.slogdet(identity + spread @ stars.information[chosen])[1]
        evidence += (mean * pull).sum(axis=1) - (both * posterior).sum(axis=1)
        ratio = evidence - prior[chosen]
        nearest += ratio[-1] < ratio[:-1].min()
    return nearest / len(queries)


def nongaussianity(score: np.ndarray, x: np.ndarray, weight: np.ndarray) -> float:
    """Return E[(s(x) - x)^2] of a standardised variable, with s = -d ln p / dx."""
    return float((weight * (score - x) ** 2).sum() / weight.sum())


def directions_seen() -> list[tuple[str, float]]:
    """Return the directions that are not normal, and the squared score of a small rotation.

    A rotation by an angle in the plane of a standardised variable x and of a normal one y changes
    the log density of a star by the angle times y (s(x) - x), whose mean square this is.
    """
    (high, (mean_h, width_h)), (low, (mean_l, width_l)) = _SEQUENCES
    x = np.linspace(-2.5, 2.5, 200_001)
    result = []
    deviation = np.sqrt(1 + (_ALPHA_SIZE * population.ALPHA_SCATTER) ** 2) / _ALPHA_SIZE
    alpha_h, alpha_l = alpha_means(np.float64(-0.1))
    for name, parts in {
        "[Fe/H]": ((high, mean_h, width_h), (low, mean_l, width_l)),
        "[alpha/Fe]": ((high, alpha_h, deviation), (low, alpha_l, deviation)),
    }.items():
        p, slope = np.zeros_like(x), np.zeros_like(x)
        for share, mean, width in parts:
            each = share * density((x - mean) / width) / width
            p, slope = p + each, slope - each * (x - mean) / width**2
        centre = (p * x).sum() / p.sum()
        width = np.sqrt((p * (x - centre) ** 2).sum() / p.sum())
        score = -width * slope / np.maximum(p, 1e-300)
        result.append((name, nongaussianity(score, (x - centre) / width, p)))
    return result


def linear_freedom() -> tuple[int, int]:
    """Return the dimension of the space that linear maps may rotate, and that of their group.

    A linear map that leaves the distribution of compositions as it is leaves each sequence as it
    is, as their shares differ: its mean and its covariance.
    """
    moments = []
    for (_, (mean, width)), slope in zip(_SEQUENCES, (-0.12, -0.14), strict=True):
        along_feh = np.append(1, _SLOPE + _SHARE * slope)
        along_alpha = np.append(0, _SHARE * population.ALPHA_SCATTER)
        covariance = np.outer(along_feh, along_feh) * width**2 + np.outer(along_alpha, along_alpha)
        covariance[1:, 1:] += np.diag(_WIDTH**2)
        alpha = alpha_means(np.float64(mean))[len(moments)]
        moments.append((np.append(mean, _OFFSET + _SLOPE * mean + _SHARE * alpha), covariance))
    (mean_h, covariance_h), (mean_l, covariance_l) = moments
    whiten = np.linalg.inv(np.linalg.cholesky(covariance_l))
    values, axes = np.linalg.eigh(whiten @ covariance_h @ whiten.T)
    free = np.abs(values - 1) < 1e-9
    between = axes[:, free].T @ (whiten @ (mean_h - mean_l))
    n_free = int(free.sum()) - int(np.linalg.norm(between) > 1e-9)
    return n_free, n_free * (n_free - 1) // 2


def crossing(turns: tuple[float, ...], shares: list[float], share: float) -> float:
    """Return the turn at which a falling share reaches a value, interpolated; NaN beyond."""
    if not shares[-1] <= share <= shares[0]:
        return float("nan")
    return float(np.interp(-share, [-each for each in shares], turns))


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


@click.command(help=__doc__)
@click.option("--task", default="apogee-giants-snr50", show_default=True)
@click.option("--pairs", default=12_500, type=click.IntRange(10), show_default=True)
@click.option("--queries", default=600, type=click.IntRange(10), show_default=True)
@click.option("--draws", default=2, type=click.IntRange(1), show_default=True)
@click.option("--fader", default=0.505, show_default=True, help="Share of Fader, for its turn.")
def main(task: str, pairs: int, queries: int, draws: int, fader: float) -> None:
    torch.set_num_threads(1)
    n_free, size = linear_freedom()
    click.echo(f"Linear maps: a space of {n_free} dimensions is free to rotate, group of {size}.\n")
    seen = [
        (name, f"{value:.2f}", f"{9 * 70**2 / value:,.0f}") for name, value in directions_seen()
    ]
    click.echo(tabulate(seen, ("direction", "squared score", "stars"), "github") + "\n")

    rng = np.random.default_rng(0)
    stars = make_stars(task, pairs)
    asked = rng.choice(len(stars.y), min(queries, len(stars.y)), replace=False)
    lines, best, nearest = [], [], []
    for turn in stage("turns", TURNS):
        by_l1, at_best = [], []
        for _ in range(draws):
            found = estimate(stars, random_turns(stars.u, turn, rng), rng)
            by_l1.append(share_by_l1(stars, found))
            at_best.append(share_at_best(stars, found, turn, asked))
        nearest.append(float(np.mean(by_l1)))
        best.append(float(np.mean(at_best)))
        lines.append((f"{turn:g}", percent(best[-1]), percent(nearest[-1])))
    click.echo(tabulate(lines, ("turn [rad]", "at best", "by L1"), "github", disable_numparse=True))
    for name, share in {"goal": GOAL, "fader": fader}.items():
        at = [f"{crossing(TURNS, shares, share):.3f}" for shares in (best, nearest)]
        click.echo(f"\n{name}, {percent(share)} %: {at[0]} rad at best, {at[1]} rad by L1")
    found = estimate(stars, stars.least_change, rng)
    click.echo(f"\nleast change: {percent(share_by_l1(stars, found))} % by L1")


if __name__ == "__main__":
    sys.exit(main())
