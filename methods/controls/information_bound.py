"""The most that any method can know of a star's composition: the ceiling of each noise track.

A spectrum is f(a, u) + n, with the emulator f of composition a and nuisance u, and noise of
variance s^2 in every pixel. With J = df/da at the star's true labels, the Fisher information is

    F = J^T J / s^2,

and no unbiased estimate of a has a covariance below C = F^-1 (Rao 1945, Bull. Calcutta Math. Soc.
37, 81; Cramer 1946, Mathematical Methods of Statistics; for abundances from spectra Ting et al.
2017, ApJ 843, 32). The nuisance is known, as it is to every method here; with
``nuisance_known=false`` it is fitted as well, without a prior: F is then the composition's block of
the inverse, inverted, F_aa - F_au F_uu^-1 F_ua.

This control attains the bound. Its estimate is the least-squares fit of f, linear about the truth,
to the very spectrum that the other methods get,

    x = a + F^-1 J^T (spectrum - f(a, u)) / s^2,        x ~ N(a, C) over the noise,

so nothing is drawn, and its ranks can be compared with theirs star by star. As prior for a serves
N(mu, P), mean and covariance of the train split; what a spectrum then says of a is N(m, V),

    V = (P^-1 + F)^-1,        m = mu + V F (x - mu).

The latent is m, the maximum a posteriori estimate [dex]: m ~ N(mu + V F (a - mu), V F V).

Twins are ranked by minus twice the logarithm of the likelihood ratio of "j shares q's composition"
to "j is any star", which `starbench.methods.controls.matched_ranks` derives and computes:

    D(q, j) = -2 ln [ p(x_j | x_q, same a) / p(x_j) ].

Before their spectra are looked at, one star is as likely q's twin as another, so the probability
that j is the twin is proportional to exp(-D / 2). The k stars of smallest D are then those most
likely to hold the twin, for each k at once: no ranking that looks at two spectra at a time does
better on any of the rank figures, if x is normal, F that of the true labels, and the prior as given
(the stars' own distribution has two sequences and cut tails, which matters only to elements that
the spectrum hardly constrains). Without noise x = a, every distance but the twin's is infinite, and
all twins rank first; the latent is then a itself, and ranked by L1.
"""

from dataclasses import dataclass

import numpy as np
import torch

from starbench.methods.base import Method, Monitor, SettingError, View, known_composition, option

# What every spectrum is taken to say of an element, as a share of what the prior says: an element
# without a line still has a finite error.
_LEAST_INFORMATION = 1e-9
_STARS_FOR_AXES = 256
_STARS_CHECKED = 64


@dataclass(frozen=True)
class Settings:
    """Hyperparameters of the control."""

    nuisance_known: bool = option(True, "whether the nuisance is known rather than fitted as well")


def fisher_information(tangents: np.ndarray, noise: float) -> np.ndarray:
    """Return the Fisher information [n, m, m] of tangents [n, k, m] at a noise a pixel."""
    return tangents.transpose(0, 2, 1) @ tangents / noise**2


def marginal(
    information: np.ndarray, score: np.ndarray, kept: int
) -> tuple[np.ndarray, np.ndarray]:
    """Fit the parameters beyond the first `kept` as well, and say what is left for those.

    Parameters
    ----------
    information : numpy.ndarray [n, m, m]
    score : numpy.ndarray [n, m]
        Information times the deviation of the estimate.
    kept : int

    Returns
    -------
    information : numpy.ndarray [n, kept, kept]
        The inverse of the inverse's block.
    score : numpy.ndarray [n, kept]
    """
    a, u = slice(kept), slice(kept, None)
    shares = np.linalg.solve(information[:, u, u], information[:, u, a]).transpose(0, 2, 1)
    return (
        information[:, a, a] - shares @ information[:, u, a],
        score[:, a] - np.einsum("nij,nj->ni", shares, score[:, u]),
    )


class InformationBound(Method):
    """Estimates compositions as well as noise permits, and ranks twins by the matched distance."""

    name = "information-bound"
    label_access = "oracle"
    reference = "Cramer-Rao bound (Rao 1945; Cramer 1946), by automatic differentiation"
    control = True
    encodes_composition = True
    Hyperparameters = Settings

    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Take prior and noise from the train split, and check that its spectra are the emulator's.

        Raises
        ------
        SettingError
            If the composition is not known, or the spectra have noise but come from elsewhere.
        """
        composition = known_composition(train, self.name).astype(np.float64)
        self._noise = train.noise or 0.0
        self._mean = composition.mean(axis=0)
        covariance = np.cov(composition.T).reshape(len(self._mean), -1)
        values, vectors = np.linalg.eigh(covariance)
        # y = axes^-1 (a - mu) ~ N(0, I); a composition that never varies still makes a basis
        self._axes = vectors * np.sqrt(np.maximum(values, 1e-12))
        self._nuisance_scale = train.nuisance.std(axis=0, dtype=np.float64)
        if not self._noise:
            return
        self._check_spectra(train)
        some = slice(_STARS_FOR_AXES)
        information, _ = self._information(train.nuisance[some], composition[some])
        # Turned so that most of the information comes first: the ranking gives strangers up early.
        self._axes = self._axes @ np.linalg.eigh(information.mean(axis=0))[1][:, ::-1]

    def _check_spectra(self, view: View) -> None:
        from starbench.methods.controls.generator import generator

        some = slice(_STARS_CHECKED)
        labels = np.concatenate([view.nuisance[some], view.composition[some]], axis=1)
        whole = generator()
        message = f"{self.name} needs spectra of starbench's own emulator on data with noise"
        if view.flux.shape[1] != whole.n_pixels or labels.shape[1] != whole.n_labels:
            raise SettingError(f"{message}; these have other pixels or labels.")
        try:
            deviation = (view.flux[some] - whole.spectra(labels)).std() / self._noise
        except ValueError as error:
            raise SettingError(f"{message}; {error}") from None
        if not 0.95 < deviation < 1.05:
            raise SettingError(f"{message}; these deviate by {deviation:.2f} times their noise.")

    def _information(
        self, nuisance: np.ndarray, composition: np.ndarray, flux: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return each star's information on y [n, d, d], and information times deviation [n, d].

        The deviation is that of the estimate x from the truth, 0 where no flux is given.
        """
        from starbench.methods.controls.generator import generator

        whole, d = generator(), len(self._mean)
        n_nuisance = len(self._nuisance_scale)
        directions = np.zeros((d + n_nuisance, n_nuisance + d))
        directions[:d, n_nuisance:] = self._axes.T
        directions[d:, :n_nuisance] = np.diag(self._nuisance_scale)
        if self.hyperparameters.nuisance_known:
            directions = directions[:d]
        labels = np.concatenate([nuisance, composition], axis=1).astype(np.float64)
        information = np.empty((len(labels), len(directions), len(directions)))
        score = np.zeros((len(labels), len(directions)))
        for start in range(0, len(labels), 1024):
            part = slice(start, start + 1024)
            coordinates, tangents = whole.tangents(labels[part], directions)
            information[part] = fisher_information(tangents, self._noise)
            if flux is not None:
                residual = whole.project(flux[part]) - coordinates
                score[part] = np.einsum("nki,nk->ni", tangents, residual) / self._noise**2
        if not self.hyperparameters.nuisance_known:
            information, score = marginal(information, score, d)
        return information + _LEAST_INFORMATION * np.eye(d), score

    def encode(
        self, flux: np.ndarray, nuisance: np.ndarray | None, composition: np.ndarray
    ) -> np.ndarray:
        """Return the maximum a posteriori composition [n, n_elements] [dex] of each spectrum."""
        if not self._noise:
            return composition.astype(np.float32)
        information, score = self._information(nuisance, composition, flux)
        truth = np.linalg.solve(self._axes, (composition - self._mean).T).T
        score = score + np.einsum("nij,nj->ni", information, truth)
        y = np.linalg.solve(information + np.eye(truth.shape[1]), score[..., None])[..., 0]
        return (self._mean + y @ self._axes.T).astype(np.float32)

    def rank_twins(
        self, latent: np.ndarray, nuisance: np.ndarray, composition: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Rank twins by the likelihood ratio; by L1, where there is no noise."""
        if not self._noise:
            return None
        from starbench.methods.controls.matched_ranks import matched_ranks

        n = 2 * len(latent)
        information, _ = self._information(
            nuisance.reshape(n, -1), np.repeat(composition, 2, axis=0)
        )
        y = np.linalg.solve(self._axes, (latent.reshape(n, -1) - self._mean).T).T
        return matched_ranks(y, information)

    def state(self) -> dict[str, torch.Tensor]:
        """Return prior and noise."""
        return {
            "mean": torch.from_numpy(self._mean),
            "axes": torch.from_numpy(np.ascontiguousarray(self._axes)),
            "nuisance_scale": torch.from_numpy(self._nuisance_scale),
            "noise": torch.tensor(self._noise, dtype=torch.float64),
        }

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore them."""
        self._mean, self._axes = state["mean"].numpy(), state["axes"].numpy()
        self._nuisance_scale = state["nuisance_scale"].numpy()
        self._noise = float(state["noise"])
