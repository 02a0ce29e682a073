"""Fit log gf of the line list to the spectrum of Arcturus, and add the lines it lacks.

``python -m starbench.tasks.synthesis.moog.fit_lines ATLAS START``, with the atlas that
`arcturus.read_atlas` describes and the table of `build_lines`, writes ``lines.csv.gz`` and the
record ``fit.json``; four minutes of one core.

1. C, N and O of Arcturus, from which most lines of molecules come, are fitted with the list as it
   is, and kept: they belong to the star.
2. The corrections of log gf, at the resolution of the atlas, by damped Gauss-Newton steps with
   Huber's weights. Lines further apart than `SEPARATION` are perturbed together, so that some
   twenty syntheses give the derivative of every line. Priors hold each correction near zero and
   near the mean of its species, which has a prior of its own; a smooth correction of the
   continuum is fitted along.
3. Where absorption of more than `MISSING` stays unexplained, a line is added: an atom's line in
   linemake's full list, if one lies there and needs no more than `NAMED` dex, else an anonymous
   one of Fe I. All corrections are then fitted again, with wider bounds for atoms.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.linalg
import scipy.sparse
from scipy.ndimage import gaussian_filter1d, median_filter

from starbench.tasks.arrays import Floats
from starbench.tasks.synthesis.moog import arcturus, engine
from starbench.tasks.synthesis.moog.build_lines import atoms
from starbench.tasks.synthesis.moog.lines import (
    PATH,
    is_molecule,
    load_hydrogen,
    load_lines,
    moog_format,
    save_lines,
    species_group,
)
from starbench.tasks.synthesis.moog.spectrum import (
    SUN,
    broadening,
    star,
    to_pixels,
)
from starbench.tasks.synthesis.wavelengths import RESOLVING_POWER

RECORD_PATH = Path(__file__).resolve().with_name("fit.json")

FITTED = (15_146.0, 16_958.0)  # air Angstrom
ABUNDANCE_PRIORS = {"C": 0.05, "N": 0.20, "O": 0.05}  # of the changes [dex]

SEPARATION, HALF_WINDOW = 1.8, 0.9  # Angstrom
PERTURBATION = 0.15  # dex
NOISE = 0.02  # of the flux; Huber's weights fall beyond twice as much
CONTINUUM_SPACING, CONTINUUM_PRIOR = 40.0, 0.004  # Angstrom, of the flux
# Priors of a correction about its species' mean, and of that mean [dex]
ATOM_PRIOR, MOLECULE_PRIOR, ADDED_PRIOR = 0.30, 0.12, 0.60
ATOM_MEAN_PRIOR, MOLECULE_MEAN_PRIOR = 0.10, 0.05
STEP_LIMIT, ADDED_STEP_LIMIT = 0.3, 0.5  # dex in one round
NARROW, WIDE, ADDED_BOUND = (-0.7, 0.7), (-2.5, 1.0), 1.8  # dex
ROUNDS = 4
NEGLIGIBLE = 0.0012  # change of the flux within a parameter's prior, below which it is left alone

MISSING = 0.015  # of the flux
NEAR = 0.12  # Angstrom, within which a line of the list is corrected rather than another added
NAMED, NAMED_NEAR = 0.7, 0.06  # dex, Angstrom
ANONYMOUS = ("26.0", 6.2)  # species and excitation [eV] of a line that is in no list
LINE_WIDTH = 0.1  # Angstrom, standard deviation of a line in the atlas

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class State:
    """The line list and what has been fitted so far.

    Parameters
    ----------
    lines : pandas.DataFrame
        The list; its corrections are those that the priors are centred on.
    own : numpy.ndarray [n_lines]
        What is added to the correction of each line [dex].
    species : dict
        What is added to the lines of a species [dex].
    continuum : numpy.ndarray [n_knots]
        Correction of the atlas's continuum.
    """

    lines: pd.DataFrame
    own: Floats
    species: dict[str, float]
    continuum: Floats

    def correction(self, wide: bool) -> Floats:
        """Return the corrections of all lines [dex], within their bounds."""
        total = self.lines["correction"].to_numpy() + self.own + self._means()
        low, high = bounds(self.lines, wide)
        clipped: Floats = np.clip(total, low, high)
        return clipped

    def _means(self) -> Floats:
        return np.array([self.species.get(name, 0.0) for name in species_group(self.lines)])


def bounds(lines: pd.DataFrame, wide: bool) -> tuple[Floats, Floats]:
    """Return the least and the greatest correction of each line [dex]."""
    low, high = WIDE if wide else NARROW
    molecule, anonymous = is_molecule(lines), (lines["origin"] == "anonymous").to_numpy()
    return (
        np.where(molecule, NARROW[0], low),
        np.where(molecule, NARROW[1], np.where(anonymous, ADDED_BOUND, high)),
    )


@dataclass
class Target:
    """The atlas on MOOG's wavelengths, and the synthesis that is fitted to it.

    Parameters
    ----------
    atlas : tuple of numpy.ndarray
        As `arcturus.read_atlas` returns it.
    changes : dict
        What is added to the [X/Fe] of the literature [dex].
    """

    atlas: tuple[Floats, Floats]
    changes: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.wavelength = engine.grid()
        self.flux: Floats = np.interp(self.wavelength, *self.atlas)
        self.used: Bools = (self.wavelength > FITTED[0]) & (self.wavelength < FITTED[1])
        self._hydrogen = load_hydrogen()
        self._broadening = broadening(
            self.wavelength,
            self.wavelength,
            arcturus.MACROTURBULENCE,
            arcturus.ATLAS_RESOLVING_POWER,
        )
        knots = np.arange(engine.FIRST, engine.LAST + CONTINUUM_SPACING, CONTINUUM_SPACING)
        distance = np.abs(self.wavelength[:, None] - knots) / CONTINUUM_SPACING
        self.hats = scipy.sparse.csr_matrix(np.maximum(0, 1 - distance))

    def depths(self, lines: pd.DataFrame, correction: Floats | float) -> Floats:
        """Return line depths as they leave the star."""
        model = star(
            arcturus.labels(self.changes), arcturus.MICROTURBULENCE, arcturus.CARBON_ISOTOPES
        )
        return 1 - engine.spectrum(model, moog_format(lines, correction), self._hydrogen)

    def synthesis(self, lines: pd.DataFrame, correction: Floats | float) -> Floats:
        """Return the flux at the resolution of the atlas."""
        flux: Floats = 1 - self._broadening @ self.depths(lines, correction)
        return flux

    def residual(self, flux: Floats, continuum: Floats) -> Floats:
        """Return atlas minus synthesis."""
        difference: Floats = self.flux - flux * (1 + self.hats @ continuum)
        return difference


def rms(values: Floats) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


def huber(residual: Floats, scale: float) -> Floats:
    """Return Huber's weights, 1 / scale^2 for residuals within twice the scale."""
    weight: Floats = np.minimum(1, 2 * scale / np.maximum(np.abs(residual), 1e-9)) / scale**2
    return weight


def fit_molecular_abundances(target: Target, lines: pd.DataFrame) -> None:
    """Set the changes of [C/Fe], [N/Fe] and [O/Fe] [dex] to those that suit the list as it is."""
    names, prior = list(ABUNDANCE_PRIORS), np.array(list(ABUNDANCE_PRIORS.values()))
    step = 0.05
    pixels = to_pixels(macroturbulence=arcturus.MACROTURBULENCE)
    atlas = arcturus.on_pixels(*target.atlas)

    def flux(changes: Floats) -> Floats:
        target.changes = dict(zip(names, changes.tolist(), strict=True))
        result: Floats = 1 - pixels @ target.depths(lines, 0.0)
        return result

    fitted = np.zeros(len(names))
    for _ in range(ROUNDS):
        current = flux(fitted)
        columns = [flux(fitted + step * unit) for unit in np.eye(len(names))]
        jacobian = (np.array(columns).T - current[:, None]) / step
        residual = atlas - current
        print("C, N, O", dict(zip(names, fitted.round(3).tolist(), strict=True)), rms(residual))
        weight = huber(residual, NOISE) / 3  # three pixels share a resolution element
        normal = (jacobian.T * weight) @ jacobian + np.diag(prior**-2)
        gradient = jacobian.T @ (weight * residual) - fitted / prior**2
        fitted = fitted + np.linalg.solve(normal, gradient)
    target.changes = dict(zip(names, fitted.round(3).tolist(), strict=True))


def colours(wavelength: Floats, separation: float) -> npt.NDArray[np.int64]:
    """Return a colour for each of the ascending wavelengths; equal ones are `separation` apart."""
    last: list[float] = []
    colour = np.zeros(len(wavelength), np.int64)
    for line, x in enumerate(wavelength):
        free = next((c for c, previous in enumerate(last) if x - previous >= separation), None)
        if free is None:
            free = len(last)
            last.append(x)
        colour[line], last[free] = free, x
    return colour


def derivatives(
    target: Target, lines: pd.DataFrame, correction: Floats, flux: Floats
) -> scipy.sparse.csr_matrix:
    """Return the change of the flux with the log gf of each line [n_wavelengths, n_lines]."""
    centre = lines["wavelength"].to_numpy()
    colour = colours(centre, SEPARATION)
    first = np.searchsorted(target.wavelength, centre - HALF_WINDOW)
    last = np.searchsorted(target.wavelength, centre + HALF_WINDOW)
    blocks = []
    for number in range(colour.max() + 1):
        together = np.flatnonzero(colour == number)
        perturbed = correction + PERTURBATION * (colour == number)
        change = (target.synthesis(lines, perturbed) - flux) / PERTURBATION
        row = np.concatenate([np.arange(first[line], last[line]) for line in together])
        column = np.repeat(together, last[together] - first[together])
        blocks.append((change[row], row, column))
    values, row, column = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    keep = np.abs(values) > 1e-4
    return scipy.sparse.csr_matrix(
        (values[keep], (row[keep], column[keep])), (len(target.wavelength), len(lines))
    )


def improve(
    target: Target, state: State, wide: bool, report: Callable[[str], None]
) -> tuple[State, Floats]:
    """Take one Gauss-Newton step; return the new state and the depth of each line."""
    lines = state.lines
    flux = target.synthesis(lines, state.correction(wide))
    residual = target.residual(flux, state.continuum)
    report(f"{len(lines)} lines, rms {rms(residual[target.used]):.4f}")
    jacobian = derivatives(target, lines, state.correction(wide), flux)
    depth = np.asarray(abs(jacobian).max(axis=0).todense()).ravel() / np.log(10)

    groups = species_group(lines)
    names = sorted(groups.unique())
    member = scipy.sparse.csr_matrix(
        (np.ones(len(lines)), (np.arange(len(lines)), np.searchsorted(names, groups)))
    )
    molecule, anonymous = is_molecule(lines), (lines["origin"] == "anonymous").to_numpy()
    prior = np.concatenate(
        [
            np.where(anonymous, ADDED_PRIOR, np.where(molecule, MOLECULE_PRIOR, ATOM_PRIOR)),
            [MOLECULE_MEAN_PRIOR if len(name) == 3 else ATOM_MEAN_PRIOR for name in names],
            np.full(len(state.continuum), CONTINUUM_PRIOR),
        ]
    )
    means = np.array([state.species.get(name, 0.0) for name in names])
    parameters = np.concatenate([state.own, means, state.continuum])
    everything = scipy.sparse.hstack(
        [jacobian, jacobian @ member, scipy.sparse.diags(flux) @ target.hats]
    ).tocsc()
    size = np.asarray(abs(everything).max(axis=0).todense()).ravel()
    active = np.flatnonzero(size * prior > NEGLIGIBLE)
    reduced, step = everything[:, active], np.zeros(len(active))
    for _ in range(2):
        weight = huber(residual - reduced @ step, NOISE) * target.used
        normal = (reduced.T @ scipy.sparse.diags(weight) @ reduced).toarray()
        normal[np.diag_indices_from(normal)] += prior[active] ** -2
        gradient = reduced.T @ (weight * residual) - (parameters / prior**2)[active]
        step = scipy.linalg.cho_solve(scipy.linalg.cho_factor(normal, overwrite_a=True), gradient)
    limit = np.full(len(prior), np.inf)
    limit[: len(lines)] = np.where(anonymous, ADDED_STEP_LIMIT, STEP_LIMIT)
    parameters[active] += np.clip(step, -limit[active], limit[active])
    own, means, continuum = np.split(parameters, [len(lines), len(lines) + len(names)])
    return State(lines, own, dict(zip(names, means.tolist(), strict=True)), continuum), depth


def add_lines(target: Target, state: State, depth: Floats, wide: bool) -> State:
    """Return the state with a line at each peak of absorption that the list does not explain."""
    lines = state.lines
    flux = target.synthesis(lines, state.correction(wide))
    missing = gaussian_filter1d(-target.residual(flux, state.continuum), LINE_WIDTH / engine.STEP)
    missing -= median_filter(missing, round(10 / engine.STEP))
    missing[~target.used] = 0

    # log10 of the depth of weak lines, less log gf - 5040 E / T, is a constant for one element.
    theta, excitation = 5040 / 3900, lines["excitation"].to_numpy()
    gflog = lines["gflog"].to_numpy() + state.correction(wide)
    iron = (lines["species"] == "26.0").to_numpy() & (excitation > 5)
    iron &= (depth > 0.01) & (depth < 0.12)
    constant = np.median(np.log10(depth[iron]) - gflog[iron] + theta * excitation[iron])

    def needed(height: float, excitation: float, element: str) -> float:
        """Return log gf of a line of the given depth."""
        abundance = SUN[element] + arcturus.RATIOS.get(element, 0.0)
        return float(np.log10(height) - constant + theta * excitation + SUN["Fe"] - abundance)

    known, centres = atoms(), lines["wavelength"].to_numpy()
    added: list[dict[str, Any]] = []
    while True:
        peak = int(np.argmax(missing))
        height = missing[peak]
        if height < MISSING:
            break
        before, _, after = missing[peak - 1 : peak + 2]
        shift = 0.5 * (before - after) / (before - 2 * height + after) if before < height else 0.0
        centre = target.wavelength[peak] + engine.STEP * float(np.clip(shift, -0.5, 0.5))
        missing[peak - 4 : peak + 5] = 0
        if (depth[np.abs(centres - centre) < NEAR] > 0.5 * height).any():
            continue
        near = known[(known["wavelength"] - centre).abs() < NAMED_NEAR]
        candidates = []
        for row in near.itertuples():
            element = engine.ELEMENTS[int(float(row.species)) - 1]
            need = needed(height, row.excitation, element) - row.gflog
            candidates.append((abs(need), row.species, row.excitation, row.gflog, need))
        named = bool(candidates) and min(candidates)[0] < NAMED
        if named:
            _, species, excited, listed, correction = min(candidates)
        else:
            (species, excited), correction = ANONYMOUS, 0.0
            listed = needed(height, excited, "Fe")
        added.append(
            {
                "wavelength": round(centre, 3),
                "species": species,
                "excitation": excited,
                "gflog": round(listed, 3),
                "dissociation": 0.0,
                "correction": correction,
                "origin": "linemake" if named else "anonymous",
                "depth": 0.0,
            }
        )
    table = pd.concat([lines, pd.DataFrame(added, columns=list(lines.columns))])
    order = np.argsort(table["wavelength"].to_numpy(), kind="stable")
    own = np.concatenate([state.own, np.zeros(len(added))])[order]
    return replace(state, lines=table.iloc[order].reset_index(drop=True), own=own)


def agreement(target: Target, lines: pd.DataFrame, correction: Floats | float) -> dict[str, Any]:
    """Return how the synthesis agrees with Arcturus on the task's pixels; nothing is adjusted."""
    pixels = to_pixels(macroturbulence=arcturus.MACROTURBULENCE)
    flux, atlas = 1 - pixels @ target.depths(lines, correction), arcturus.on_pixels(*target.atlas)
    return {"rms": rms(flux - atlas), "correlation": float(np.corrcoef(flux, atlas)[0, 1])}


def fit(atlas: tuple[Floats, Floats], start: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the corrected list and a record of the fit."""
    target = Target(atlas)
    record: dict[str, Any] = {"resolving_power": RESOLVING_POWER}
    record["literature"] = agreement(target, start, 0.0)
    fit_molecular_abundances(target, start)
    record["changes"] = target.changes
    record["before"] = agreement(target, start, 0.0)
    state = State(start, np.zeros(len(start)), {}, np.zeros(target.hats.shape[1]))
    depth = np.zeros(len(start))
    for wide in (False, True):
        if wide:
            state = add_lines(target, state, depth, wide=False)
        for _ in range(ROUNDS):
            state, depth = improve(target, state, wide, print)
        fitted = state.correction(wide)
        record["lines_added" if wide else "corrected"] = agreement(target, state.lines, fitted)
        print(record)
    lines = state.lines.assign(correction=fitted.round(3), depth=depth.round(3))
    record |= {
        "origin": lines["origin"].value_counts().to_dict(),
        "species": {name: round(mean, 3) for name, mean in state.species.items()},
        "continuum": state.continuum.round(5).tolist(),
    }
    return lines, record


def main() -> None:
    """Fit and write the line list and the record."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("atlas", type=Path, help="the atlas of Arcturus")
    parser.add_argument("start", type=Path, help="the table of build_lines")
    parser.add_argument("--out", type=Path, default=PATH)
    options = parser.parse_args()
    lines, record = fit(arcturus.read_atlas(options.atlas), load_lines(options.start))
    save_lines(lines, options.out)
    options.out.with_name(RECORD_PATH.name).write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
