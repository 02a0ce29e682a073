"""Catalogue labels: the nuisance as a survey's catalogue states it, with errors.

    u' = u + t [Fe/H] + e,    e ~ N(0, C),

with the true nuisance u, a trend t of the catalogue's bias with metallicity, and the covariance C
of its random errors. C is known to the methods, as catalogues state it; t is not.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from starbench.tasks.arrays import Floats, Labels, Spectra
from starbench.tasks.base import Split, Task
from starbench.tasks.forward import Constraint, ForwardModel, Rearranged
from starbench.tasks.observation.observed import Observed, with_unseen
from starbench.tasks.streams import cut_normal, uniforms

_CUT = 4.0  # standard deviations at which the Gaussians end
_DECIMALS = 5  # labels are rounded, so as to be the same on every machine


@dataclass(frozen=True)
class LabelErrors:
    """Errors of a catalogue's nuisance labels.

    Attributes
    ----------
    deviation : tuple of float
        Standard deviation of each nuisance's random error, in the nuisance's units.
    correlation : float
        Between the random errors of any two nuisances of a spectrum.
    trend : tuple of float
        Bias of each nuisance with [Fe/H], in the nuisance's units per dex.
    """

    deviation: tuple[float, ...]
    correlation: float
    trend: tuple[float, ...]

    @property
    def covariance(self) -> Floats:
        """Covariance [n_nuisance, n_nuisance] of the random errors."""
        deviation = np.array(self.deviation)
        n = len(deviation)
        correlation = np.full((n, n), self.correlation) + (1 - self.correlation) * np.eye(n)
        covariance: Floats = correlation * np.outer(deviation, deviation)
        return covariance

    def applied(self, nuisance: Floats, metallicity: Floats, normal: Floats) -> Floats:
        """Return labels as the catalogue states them.

        Parameters
        ----------
        nuisance : numpy.ndarray [..., n_nuisance]
            True values.
        metallicity : numpy.ndarray [...]
            [Fe/H] [dex].
        normal : numpy.ndarray [..., n_nuisance]
            Independent standard-normal variates.
        """
        factor = np.linalg.cholesky(self.covariance)
        stated: Floats = nuisance + metallicity[..., None] * self.trend + normal @ factor.T
        return stated


class CatalogueLabels(Observed):
    """A task whose nuisance is a catalogue's, with errors, in all splits.

    The true nuisance is the last of `unseen`. The errors of both spectra of pair ``i`` belong to
    item ``i`` of the stream ``<track>/<version>/<split>/catalogue``.

    Parameters
    ----------
    base : Task
        Its first composition column must be [Fe/H].
    errors : LabelErrors
    """

    def __init__(self, base: Task, errors: LabelErrors):
        named = zip(errors.deviation, base.nuisance_units, base.nuisance_names, strict=True)
        stated = ", ".join(f"{deviation:g} {unit} in {name}" for deviation, unit, name in named)
        super().__init__(
            base,
            base.card.then(
                f"gives the nuisance with errors of {stated}, and a bias that grows with [Fe/H]",
                nuisance_covariance=tuple(map(tuple, errors.covariance.tolist())),
                unseen_names=(
                    *base.card.unseen_names,
                    *(f"true {name}" for name in base.nuisance_names),
                ),
                unseen_units=(*base.card.unseen_units, *base.nuisance_units),
            ),
        )
        if base.elements[:1] != ("Fe/H",):
            raise ValueError(f"the first element of {base.name} must be Fe/H")
        self.errors = errors

    def stated(self, split: str, start: int, nuisance: Labels, composition: Labels) -> Floats:
        """Return the catalogue's nuisance [n, each, n_nuisance] of pairs from `start` on."""
        n, each = len(nuisance), self.card.spectra_each(split)
        n_nuisance = len(self.errors.deviation)
        stream = f"{self.name}/{self.version}/{split}/catalogue"
        uniform = uniforms(stream, start, start + n, 2 * n_nuisance).reshape(n, 2, n_nuisance)
        metallicity = np.repeat(composition[:, :1].astype(np.float64), each, axis=1)
        normal = cut_normal(uniform[:, :each], -_CUT, _CUT)
        true = nuisance.astype(np.float32).astype(np.float64)
        return np.round(self.errors.applied(true, metallicity, normal), _DECIMALS)

    def observe(self, split: str, rows: slice, piece: Split) -> Split:
        """Return the pairs with the catalogue's nuisance, and the true one among `unseen`."""
        assert piece.composition is not None  # by the constructor's condition
        stated = self.stated(split, rows.start, piece.nuisance, piece.composition)
        unseen = with_unseen(piece, piece.nuisance)
        return replace(piece, nuisance=stated.astype(np.float32), unseen=unseen)

    def noiseless_flux(self, split: str, scale: str) -> Iterator[tuple[slice, Spectra]]:
        """Yield the base's flux, which the catalogue leaves as it is."""
        return self.base.noiseless_flux(split, scale)

    def labels_on_disk(self, split: str, scale: str) -> tuple[Labels, Labels | None]:
        """Return the catalogue's nuisance and the base's composition, without the flux."""
        return self._labels(split, *self.base.labels_on_disk(split, scale))

    def drawn_labels(self, split: str, scale: str) -> tuple[Labels, Labels | None]:
        """Return the catalogue's nuisance and the base's composition without building data."""
        return self._labels(split, *self.base.drawn_labels(split, scale))

    def _labels(
        self, split: str, nuisance: Labels, composition: Labels | None
    ) -> tuple[Labels, Labels | None]:
        assert composition is not None  # by the constructor's condition
        true = composition.astype(np.float32)
        return self.stated(split, 0, nuisance, true).astype(np.float32), composition

    def forward_model(self) -> ForwardModel | None:
        """Return the base's forward model at the true nuisance, of which the catalogue's tells."""
        base = self.base.forward_model()
        if base is None:
            return None
        # Stated nuisance, composition and the base's own unseen parameters, true nuisance.
        n, d = len(self.nuisance_names), base.model.n_parameters - len(self.nuisance_names)
        p = n + d + n
        columns = np.concatenate([np.arange(n + d, p), np.arange(n, n + d)])
        # stated - true - trend [Fe/H] ~ N(0, covariance)
        slopes = np.concatenate([np.eye(n), np.zeros((n, d)), -np.eye(n)], axis=1)
        slopes[:, n] = -np.array(self.errors.trend)
        constraint = Constraint(slopes, np.zeros(n), self.errors.covariance)
        return base.extended(Rearranged(base.model, columns, p), columns, constraint)
