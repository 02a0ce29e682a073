"""Populations that break an assumption of ``apogee-giants``, drawn by the same emulator.

Each draws the labels of some stars from uniform variates. Spectra are generated whenever they are
read, which takes seconds, and so need no disk.

Crowding. The scatter of each element at fixed [Fe/H] and [alpha/Fe] is a quarter of that in
``apogee-giants``. APOGEE's scatters include observational ones; the intrinsic ones are 0.01-0.02
dex (Ting and Weinberg 2022, ApJ 927, 209), so that real stars have closer strangers.

Branch. Nuisance and composition depend on each other as on a giant branch: log g is uniform, and

    Teff = 4500 K + 420 K (log g - 2.25) - 260 K [Fe/H] + 60 K n,    n ~ N(0, 1),

with n cut so that Teff lies within 4000-5000 K. A method that removes all that depends on Teff
removes part of the metallicity.

Metallicity. [Fe/H] is a third nuisance: the twins share the sixteen [X/Fe] and differ in Teff,
log g and [Fe/H]. The [X/Fe] are drawn as in ``apogee-giants``, and the [Fe/H] of both spectra from
the Gaussian of the pair's sequence, independently of each other and of the [X/Fe].
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from starbench.common.progress import stage
from starbench.tasks.apogee_giants import population
from starbench.tasks.apogee_giants.breaks import BREAKS
from starbench.tasks.apogee_giants.task import CARD as IDEAL
from starbench.tasks.arrays import Floats, Labels, Spectra
from starbench.tasks.drawn import DrawnTask
from starbench.tasks.errors import DataError
from starbench.tasks.forward import Constraint, ForwardModel
from starbench.tasks.streams import cut_normal, uniforms

if TYPE_CHECKING:
    from starbench.tasks.apogee_giants.emulator import Emulator

SECOND_EMULATOR = Path(__file__).resolve().parents[1] / "assets" / "second-emulator.safetensors"
"""Weights of the emulator of the second generator; see ``starbench/tasks/synthesis``."""

SIZES = {
    "full": {"train": 12_500, "validation": 5_000, "test": 5_000, "stars": 25_000},
    "mini": {"train": 1_250, "validation": 500, "test": 500, "stars": 2_500},
    "tiny": {"train": 64, "validation": 64, "test": 64, "stars": 128},
}
"""Fewer pairs than in ``apogee-giants``, so that a full grid stays affordable."""

DENSE_SCATTER = 0.25
BRANCH_TEFF = 4500.0  # [K] at log g of BRANCH_LOGG and [Fe/H] = 0
BRANCH_LOGG = 2.25
BRANCH_SLOPES = (420.0, -260.0)  # [K / dex] with log g, and with [Fe/H]
BRANCH_SCATTER = 60.0  # [K]

COMPOSITION_VARIATES = 19  # as `population.draw_compositions` takes
_VARIATES = 32  # of a pair: three nuisances of two spectra, the composition, and some to spare

Draw = Callable[[Floats, int], tuple[Floats, Floats]]
"""Takes uniform variates [n, 32] and the number of spectra of each composition; returns nuisance
[n, each, n_nuisance] and composition [n, n_elements]."""


def _split_variates(uniform: Floats, each: int, n_nuisance: int) -> tuple[Floats, Floats]:
    """Return the variates of the nuisance [n, each, n_nuisance] and of the composition [n, 19]."""
    nuisance = uniform[:, : each * n_nuisance].reshape(-1, each, n_nuisance)
    return nuisance, uniform[:, -COMPOSITION_VARIATES:]


def draw_ideal(uniform: Floats, each: int) -> tuple[Floats, Floats]:
    """Draw stars as those of ``apogee-giants``: Teff, log g and composition are independent."""
    nuisance, composition = _split_variates(uniform, each, 2)
    return population.draw_nuisance(nuisance), population.draw_compositions(composition)


def draw_dense(uniform: Floats, each: int) -> tuple[Floats, Floats]:
    """Draw stars whose elements scatter a quarter as much at fixed [Fe/H] and [alpha/Fe]."""
    nuisance, composition = _split_variates(uniform, each, 2)
    return population.draw_nuisance(nuisance), population.draw_compositions(
        composition, element_scatter=DENSE_SCATTER
    )


def branch_teff(logg: Floats, feh: Floats) -> Floats:
    """Return the mean Teff [K] of the giant branch at log g [dex, cgs] and [Fe/H] [dex]."""
    with_logg, with_feh = BRANCH_SLOPES
    teff: Floats = BRANCH_TEFF + with_logg * (logg - BRANCH_LOGG) + with_feh * feh
    return teff


def draw_branch(uniform: Floats, each: int) -> tuple[Floats, Floats]:
    """Draw stars whose Teff follows log g and [Fe/H], as on a giant branch."""
    variates, of_composition = _split_variates(uniform, each, 2)
    nuisance = population.draw_nuisance(variates)
    composition = population.draw_compositions(of_composition)
    mean = branch_teff(nuisance[..., 1], composition[:, :1])
    low, high = ((limit - mean) / BRANCH_SCATTER for limit in population.TEFF_RANGE)
    teff = mean + BRANCH_SCATTER * cut_normal(variates[..., 0], low, high)
    nuisance[..., 0] = np.round(teff, population.TEFF_DECIMALS)
    return nuisance, composition


def branch_constraint() -> Constraint:
    """Return what Teff and log g tell of [Fe/H] on the giant branch.

    The Gaussian is not cut at the range of Teff, and so tells slightly more than the track's.
    """
    slopes = np.zeros(len(population.NUISANCE_NAMES) + len(population.COMPOSITION_NAMES))
    with_logg, with_feh = BRANCH_SLOPES
    slopes[:3] = 1, -with_logg, -with_feh
    return Constraint(
        slopes[None],
        np.array([with_logg * BRANCH_LOGG - BRANCH_TEFF]),
        np.array([[BRANCH_SCATTER**2]]),
    )


def draw_metallicity(uniform: Floats, each: int) -> tuple[Floats, Floats]:
    """Draw stars whose [Fe/H] is a nuisance: Teff, log g, [Fe/H], and sixteen [X/Fe]."""
    variates, of_composition = _split_variates(uniform, each, 3)
    composition = population.draw_compositions(of_composition)
    metallicity = population.draw_metallicity(of_composition[:, :1], variates[..., 2])
    nuisance = np.concatenate(
        [population.draw_nuisance(variates[..., :2]), metallicity[..., None]], axis=2
    )
    return nuisance, composition[:, 1:]


@dataclass(frozen=True)
class Population:
    """How a variant draws its stars, and what its columns are.

    Attributes
    ----------
    draw : Draw
    nuisance_names, nuisance_units, elements : tuple of str
    constraint : Constraint, optional
        How the nuisance depends on the composition, if it does.
    """

    draw: Draw
    nuisance_names: tuple[str, ...] = population.NUISANCE_NAMES
    nuisance_units: tuple[str, ...] = population.NUISANCE_UNITS
    elements: tuple[str, ...] = population.COMPOSITION_NAMES
    constraint: Constraint | None = None


IDEAL_POPULATION = Population(draw_ideal)
DENSE = Population(draw_dense)
BRANCH = Population(draw_branch, constraint=branch_constraint())
METALLICITY = Population(
    draw_metallicity,
    (*population.NUISANCE_NAMES, "Fe/H"),
    (*population.NUISANCE_UNITS, "dex"),
    population.COMPOSITION_NAMES[1:],
)


class GiantsVariant(DrawnTask):
    """Red giants of another population than that of ``apogee-giants``, without noise.

    Parameters
    ----------
    population : Population
    name : str
        Of the task, and of its random streams.
    family : str
    changes : str
        What the population changes, in a phrase.
    weights : pathlib.Path, optional
        Of the emulator that makes the spectra; those of the first generator, if not given.
    changelog : dict of int to str, optional
        What each version of the stars and spectra is; the last one is made.
    cache : pathlib.Path, optional
        Folder for what belongs to the task, as the spectra themselves are not kept.
    """

    thread_safe = True

    def __init__(
        self,
        population: Population,
        name: str,
        *,
        family: str,
        changes: str = "",
        weights: Path | None = None,
        changelog: dict[int, str] | None = None,
        cache: Path | None = None,
    ):
        super().__init__(cache)
        self._weights = weights
        changelog = changelog or {1: "the first version"}
        self.population = population
        self.card = IDEAL.derive(
            name=name,
            version=max(changelog),
            family=family,
            changes=changes,
            breaks=BREAKS.get(name, ""),
            nuisance_names=population.nuisance_names,
            nuisance_units=population.nuisance_units,
            elements=population.elements,
            sizes=SIZES,
            changelog=changelog,
        )

    @cached_property
    def emulator(self) -> "Emulator":
        """The emulator that makes the spectra.

        Raises
        ------
        DataError
            If its weights are missing.
        """
        with stage("load emulator"):
            from starbench.tasks.apogee_giants.emulator import Emulator  # loads torch

            try:
                return Emulator.load(self._weights)
            except FileNotFoundError as error:
                raise DataError(
                    f"The emulator of {self.name} is missing ({error.filename}); install starbench "
                    "again."
                ) from error

    @cached_property
    def wavelength(self) -> Floats:
        """Vacuum wavelength of each pixel [Angstrom]."""
        return self.emulator.wavelength

    def labels(self, split: str, start: int, stop: int) -> tuple[Labels, Labels]:
        """Draw the labels of any range of pairs."""
        variates = self.variates(split, start, stop)
        return self.population.draw(variates, self.card.spectra_each(split))

    def variates(self, split: str, start: int, stop: int) -> Floats:
        """Draw the uniform variates [stop - start, 32] of any range of pairs."""
        stream = f"{self.name}/{self.version}/{split}/labels"
        return uniforms(stream, start, stop, _VARIATES)

    def spectra(self, nuisance: Labels, composition: Labels) -> Spectra:
        """Return the emulator's flux [n, n_pixels] of stars."""
        return self.emulator.flux(np.hstack([nuisance, composition]))

    def source(self) -> dict[str, str | int]:
        """Return the digest of the emulator."""
        return {"emulator_sha256": self.emulator.sha256}

    def forward_model(self) -> ForwardModel | None:
        """Return the emulator with its derivatives, and how the nuisance depends on chemistry."""
        from starbench.tasks.apogee_giants.generator import Generator  # loads torch

        return ForwardModel(Generator(self.emulator), self.population.constraint)
