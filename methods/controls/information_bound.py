"""The information bound: the most that any method can find on a noisy track.

A spectrum is f(a, u) + n, with the emulator f of composition a and nuisance u, and noise of
variance s^2 in every pixel. With J = df/da at the star's true parameters, the Fisher information is

    F = J^T J / s^2,

and no unbiased estimate of a has a covariance below C = F^-1 (Rao 1945, Bull. Calcutta Math. Soc.
37, 81; Cramer 1946, Mathematical Methods of Statistics; for abundances from spectra Ting et al.
2017, ApJ 843, 32). The nuisance is known, as it is to the methods. With ``nuisance_known=false`` it
is fitted as well, without a prior; F is then F_aa - F_au F_uu^-1 F_ua, the inverse of the
composition's block of the inverse.

What methods have unknown is unknown here: the forward model f is the task's
(`starbench.tasks.forward`), and its unseen parameters v, such as the true nuisance where labels
have errors, or the width of lines, are fitted along with the composition. The task also states what
is known besides the flux, as residuals r = S (u, a, v) + o of a normal distribution N(0, K): the
errors of the labels given the true nuisance, the prior of an instrument's parameters, the scatter
of a nuisance that depends on the composition. They add S^T K^-1 S to the information of (u, a, v)
before v is marginalised. Uniform priors are replaced by Gaussians of their mean and variance.

This control attains the bound. Its estimate is the least-squares fit of f, linearised about the
truth, to the same spectrum that the methods get,

    x = a + F^-1 J^T (spectrum - f(a, u)) / s^2,        x ~ N(a, C) over the noise,

and to the same labels, so nothing is drawn at random, and its ranks can be compared with those of
methods star by star. The prior on a is N(mu, P), with mean and covariance of the train split. The
posterior is N(m, V),

    V = (P^-1 + F)^-1,        m = mu + V F (x - mu).

The latent is m, the maximum a posteriori estimate [dex]: m ~ N(mu + V F (a - mu), V F V).

Twins are ranked by minus twice the logarithm of the likelihood ratio of "j shares q's composition"
to "j is any star", which `starbench.methods.controls.matched_ranks` derives and computes:

    D(q, j) = -2 ln [ p(x_j | x_q, same a) / p(x_j) ].

A priori all stars are equally likely to be q's twin, so the probability that j is the twin is
proportional to exp(-D / 2). For every k, the k stars of smallest D are those most likely to include
the twin. So no ranking by two spectra at a time does better on any of the rank figures, if x is
normal, F that of the true labels, and the prior as given (the true distribution of stars has two
sequences and cut tails, which matters only for elements that the spectrum hardly constrains).
Where a survey states the error of each pixel, s is that error, and masked pixels tell nothing. What
a forward model takes as known (`starbench.tasks.forward.ForwardModel.known`) is known here. Each
ordered pair of siblings is ranked as a pair of twins is; that a cluster has more members is not
used.

Without noise x = a, every distance but the twin's is infinite, and all twins rank first; the latent
is then a itself, ranked by L1.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch

from starbench.methods.base import (
    Monitor,
    OracleControl,
    SettingError,
    View,
    option,
    required,
    required_composition,
)
from starbench.metrics import ordered_pairs
from starbench.tasks.forward import ForwardModel, parameters_of

# Information of every spectrum on an element, as a share of the prior's, so that an element without
# a line has a finite error.
_LEAST_INFORMATION = 1e-9
_STARS_FOR_AXES = 256
_STARS_CHECKED = 64
_STARS_AT_ONCE = 1024
_NUMBERS_AT_ONCE = 1 << 19  # coordinates of these stars, of which a star may have thousands


@dataclass(frozen=True)
class Settings:
    """Hyperparameters of the control."""

    nuisance_known: bool = option(
        True, "whether the nuisance is known; if false, it is fitted as well"
    )


def fisher_information(tangents: np.ndarray, noise: float | np.ndarray) -> np.ndarray:
    """Return the Fisher information [n, m, m] of tangents [n, k, m].

    Parameters
    ----------
    tangents : numpy.ndarray [n, k, m]
    noise : float or numpy.ndarray [n, k]
        Standard deviation of each coordinate; an infinite one tells nothing.
    """
    # Elements differ in information by more than float32 resolves.
    tangents = tangents.astype(np.float64, copy=False)
    if isinstance(noise, np.ndarray):
        tangents, noise = tangents / noise[:, :, None], 1.0
    information: np.ndarray = tangents.transpose(0, 2, 1) @ tangents / noise**2
    return information


def marginal(
    information: np.ndarray, score: np.ndarray, kept: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return information and score of the first `kept` parameters when all others are fitted too.

    Parameters
    ----------
    information : numpy.ndarray [n, m, m]
    score : numpy.ndarray [n, m]
        Information times the deviation of the estimate.
    kept : int

    Returns
    -------
    information : numpy.ndarray [n, kept, kept]
        Inverse of the block of the inverse.
    score : numpy.ndarray [n, kept]
    """
    a, u = slice(kept), slice(kept, None)
    shares = np.linalg.solve(information[:, u, u], information[:, u, a]).transpose(0, 2, 1)
    return (
        information[:, a, a] - shares @ information[:, u, a],
        score[:, a] - np.einsum("nij,nj->ni", shares, score[:, u]),
    )


@final
class InformationBound(OracleControl):
    """Estimates compositions as precisely as the noise permits; ranks by the likelihood ratio.

    Attributes
    ----------
    axes : numpy.ndarray [n_elements, n_elements], float64
        Columns are the axes, in dex, of the coordinates y = axes^-1 (a - mu), of which the prior is
        N(0, I).
    """

    name = "information-bound"
    takes_errors = True
    reference = "Cramer-Rao bound (Rao 1945; Cramer 1946), by automatic differentiation"
    Hyperparameters = Settings
    hyperparameters: Settings
    axes: np.ndarray
    _noise: float
    _mean: np.ndarray
    _scale: np.ndarray

    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Take the prior from the train split, and check how the spectra are made.

        Raises
        ------
        SettingError
            If the data do not hold the composition, or noisy spectra do not fit the forward model.
        """
        composition = required_composition(train, self.name).astype(np.float64)
        self._noise = train.noise or 0.0
        self._mean = composition.mean(axis=0)
        covariance = np.cov(composition.T).reshape(len(self._mean), -1)
        values, vectors = np.linalg.eigh(covariance)
        # The floor makes a basis even of a composition that never varies.
        self.axes = vectors * np.sqrt(np.maximum(values, 1e-12))
        nuisance = required(train.nuisance, "nuisance")
        others = nuisance if train.unseen is None else np.hstack([nuisance, train.unseen])
        self._scale = others.std(axis=0, dtype=np.float64)
        if not self._noise and train.error is None:
            return
        self._check_spectra(validation)
        stars = slice(_STARS_FOR_AXES)
        unseen, error = (
            None if array is None else array[stars] for array in (train.unseen, train.error)
        )
        information, _ = self.information(nuisance[stars], composition[stars], unseen, error=error)
        # With the most informative axes first, the ranking can exclude strangers early.
        self.axes = self.axes @ np.linalg.eigh(information.mean(axis=0))[1][:, ::-1]

    @property
    def _forward(self) -> ForwardModel:
        """The task's forward model; for pairs of users, that of the shipped emulator."""
        if self.forward is None:
            from starbench.tasks.apogee_giants.generator import generator

            self.forward = ForwardModel(generator())
        return self.forward

    def _check_spectra(self, view: View) -> None:
        stars = slice(_STARS_CHECKED)
        parameters = parameters_of(
            required(view.nuisance, "nuisance")[stars],
            required_composition(view, self.name)[stars],
            None if view.unseen is None else view.unseen[stars],
        )
        model = self._forward.model
        flux = view.flux[stars]
        message = f"on noisy data {self.name} needs spectra of the task's forward model, or of "
        message += "starbench's own emulator"
        if flux.shape[1] != model.n_pixels or parameters.shape[1] != model.n_parameters:
            raise SettingError(f"{message}; these have other pixels or labels.")
        noise = np.full_like(flux, self._noise) if view.error is None else view.error[stars]
        if view.error is not None and model.n_coordinates != model.n_pixels:
            raise SettingError(f"{message}, which tells each pixel where errors differ.")
        try:
            residual = flux - model.spectra(parameters)
        except ValueError as error:
            raise SettingError(f"{message}; {error}") from None
        unmasked = np.isfinite(noise)
        deviation = (residual[unmasked] / noise[unmasked]).std()
        if not 0.95 < deviation < 1.05:
            raise SettingError(f"{message}; these deviate by {deviation:.2f} times their noise.")

    def _directions(self, n_nuisance: int) -> np.ndarray:
        """Return the steps [m, p] in the parameters of those fitted: y, then the others, scaled."""
        d, n_unseen = len(self._mean), len(self._scale) - n_nuisance
        fitted = np.zeros((d + len(self._scale), n_nuisance + d + n_unseen))
        fitted[:d, n_nuisance : n_nuisance + d] = self.axes.T
        own = [*range(n_nuisance), *range(n_nuisance + d, fitted.shape[1])]
        fitted[np.arange(d, len(fitted)), own] = self._scale
        known = [*self._forward.known]
        if self.hyperparameters.nuisance_known:
            known += range(n_nuisance)
        return np.delete(fitted, d + np.flatnonzero(np.isin(own, known)), axis=0)

    def information(
        self,
        nuisance: np.ndarray,
        composition: np.ndarray,
        unseen: np.ndarray | None = None,
        *,
        flux: np.ndarray | None = None,
        error: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the Fisher information of the spectra of stars on y.

        Parameters
        ----------
        nuisance : numpy.ndarray [n, n_nuisance]
        composition : numpy.ndarray [n, n_elements]
        unseen : numpy.ndarray [n, n_unseen], optional
        flux : numpy.ndarray [n, n_pixels], optional
        error : numpy.ndarray [n, n_pixels], optional
            Standard deviation of the noise in each pixel, if it is not the same in all.

        Returns
        -------
        information : numpy.ndarray [n, n_elements, n_elements], float64
            Fisher information.
        score : numpy.ndarray [n, n_elements], float64
            Information times the deviation of the estimate x from the truth; 0 without flux.
        """
        forward, d = self._forward, len(self._mean)
        directions = self._directions(nuisance.shape[1])
        parameters = parameters_of(nuisance, composition, unseen)
        information = np.empty((len(parameters), len(directions), len(directions)))
        score = np.zeros((len(parameters), len(directions)))
        at_once = min(_STARS_AT_ONCE, _NUMBERS_AT_ONCE // forward.model.n_coordinates)
        for start in range(0, len(parameters), at_once):
            part = slice(start, start + at_once)
            coordinates, tangents = forward.model.tangents(parameters[part], directions)
            noise = self._noise if error is None else error[part]
            information[part] = fisher_information(tangents, noise)
            if flux is not None:
                residual = forward.model.project(flux[part]) - coordinates
                if error is None:
                    score[part] = np.einsum("nki,nk->ni", tangents, residual) / self._noise**2
                else:
                    score[part] = np.einsum("nki,nk->ni", tangents, residual / error[part] ** 2)
        if forward.constraint is not None:
            information += forward.constraint.information(directions)
            if flux is not None:
                score += forward.constraint.score(parameters, directions)
        if len(directions) > d:
            information, score = marginal(information, score, d)
        return information + _LEAST_INFORMATION * np.eye(d), score

    def encode_stars(
        self,
        flux: np.ndarray,
        nuisance: np.ndarray,
        composition: np.ndarray,
        unseen: np.ndarray | None = None,
        *,
        error: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return the maximum a posteriori composition [n, n_elements] [dex] of each spectrum."""
        if not self._noise and error is None:
            return composition.astype(np.float32)
        information, score = self.information(nuisance, composition, unseen, flux=flux, error=error)
        truth = np.linalg.solve(self.axes, (composition - self._mean).T).T
        score = score + np.einsum("nij,nj->ni", information, truth)
        y = np.linalg.solve(information + np.eye(truth.shape[1]), score[..., None])[..., 0]
        estimate: np.ndarray = self._mean + y @ self.axes.T
        return estimate.astype(np.float32)

    def rank_twins(
        self,
        latent: np.ndarray,
        nuisance: np.ndarray,
        composition: np.ndarray,
        unseen: np.ndarray | None = None,
        *,
        error: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Rank twins by the likelihood ratio; by L1 without noise."""
        if not self._noise and error is None:
            return None
        from starbench.methods.controls.matched_ranks import matched_ranks

        n = 2 * len(latent)
        information, _ = self.information(
            nuisance.reshape(n, -1),
            np.repeat(composition, 2, axis=0),
            None if unseen is None else unseen.reshape(n, -1),
            error=None if error is None else error.reshape(n, -1),
        )
        y = np.linalg.solve(self.axes, (latent.reshape(n, -1) - self._mean).T).T
        return matched_ranks(y, information)

    def rank_siblings(
        self,
        latent: np.ndarray,
        nuisance: np.ndarray,
        composition: np.ndarray,
        group: np.ndarray,
        unseen: np.ndarray | None = None,
        *,
        error: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Rank siblings by the likelihood ratio; by L1 without noise."""
        if not self._noise and error is None:
            return None
        from starbench.methods.controls.matched_ranks import matched_sibling_ranks

        information, _ = self.information(nuisance, composition, unseen, error=error)
        y = np.linalg.solve(self.axes, (latent - self._mean).T).T
        pairs = ordered_pairs(group)
        return matched_sibling_ranks(y, information, group, pairs.query, pairs.sibling)

    def state(self) -> dict[str, torch.Tensor]:
        """Return prior and noise."""
        return {
            "mean": torch.from_numpy(self._mean),
            "axes": torch.from_numpy(np.ascontiguousarray(self.axes)),
            "scale": torch.from_numpy(self._scale),
            "noise": torch.tensor(self._noise, dtype=torch.float64),
        }

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what `state` returned."""
        self._mean, self.axes = state["mean"].numpy(), state["axes"].numpy()
        self._scale = state["scale"].numpy()
        self._noise = float(state["noise"])
