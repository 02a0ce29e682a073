r"""Linear erasure: no linear predictor finds the nuisance in what is left of the spectrum.

Of all affine maps after which x tells a linear predictor nothing of a concept q, LEACE is the one
that moves x the least: with the covariance S of x, its whitening W = S^{-1/2} and the orthogonal
projection P on the column space of W cov(x, q),

.. math::

    r(x) = x - W^{-1} P W (x - \bar x), \qquad \mathrm{cov}(r(x), q) = 0.

Here x are the principal components of a spectrum and q(u) all monomials of the nuisance up to some
degree, because lines answer to temperature and gravity by more than a straight line. Each monomial
costs one dimension of x, and all that the composition does along it. What is left goes to its own
principal axes e_k of variance lambda_k,

.. math::

    z_k = \lambda_k^{-a/2}\, e_k \cdot (r(x) - \bar x), \qquad
    \hat x = \bar x + B (q(u) - \bar q) + \sum_k \lambda_k^{a/2} z_k e_k,

where B is the regression of x on q. Where the noise is known, the axes are turned and scaled to it
(`noise_matching.py`) instead. The latent of a spectrum is found without its nuisance:
`polynomial_residual.py` subtracts what a polynomial says of *this* spectrum's nuisance, while here
a fixed map deletes directions. What is nonlinear in u remains.

References
----------
Belrose, Schneider-Joseph, Ravfogel, Cotterell, Raff and Biderman (2023), "LEACE: Perfect linear
concept erasure in closed form", NeurIPS 36, arXiv:2306.03819; their package computes the map.
"""

from dataclasses import dataclass

import numpy as np
import torch

from starbench.methods.base import Method, Monitor, SettingError, View, option
from starbench.methods.parts.noise_matching import held_out, noise_matched_map
from starbench.methods.parts.representation import Representation, principal_components
from starbench.methods.polynomial_residual import monomials

_LEAST_CORRELATION = 1e-6  # of a direction with the monomials; what lies below is rounding


@dataclass(frozen=True)
class Settings:
    """Hyperparameters of the components and the eraser."""

    components: int = option(
        60, "principal components before the erasure, cut at the noise", low=1, high=1024
    )
    degree: int = option(2, "highest order of the monomials that are erased", low=1, high=6)
    latent: int = option(20, "principal axes kept after the erasure", low=1, high=1024)
    whitening: float = option(
        1.0, "axes are divided by their standard deviation to this power", low=0.0, high=1.0
    )
    noise_matching: bool = option(
        True, "whether axes of noisy spectra are turned and scaled to their noise instead"
    )


class LinearErasure(Method):
    """Principal components from which LEACE has erased the nuisance's monomials."""

    name = "linear-erasure"
    version = 2
    label_access = "nuisance"
    reference = "Belrose et al. 2023, arXiv:2306.03819"
    Hyperparameters = Settings

    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Fit the components, the eraser, and the principal axes of what it leaves.

        Raises
        ------
        SettingError
            If the package with the eraser is not installed.
        """
        leace = _package()
        settings = self.hyperparameters
        matching = train.noise is not None and settings.noise_matching
        fitted = slice(0, len(train) - held_out(train) if matching else len(train))
        nuisance = train.nuisance[fitted]
        self._centre = torch.as_tensor(nuisance.mean(axis=0, dtype=np.float64))
        self._spread = torch.as_tensor(nuisance.std(axis=0, dtype=np.float64))
        q = self._monomials(nuisance)
        self._mean_monomials = q.mean(0)
        q = q - self._mean_monomials
        self._representation = principal_components(
            train.flux[fitted],
            settings.components,
            self.seed,
            noise=train.noise,
            # Erasing takes a dimension for each monomial.
            at_least=settings.latent + q.shape[1],
        )
        # Some components vary by 1e-4 of the first: float64, and no shrinking of what is known.
        coefficients = self._representation.coefficients(train.flux[fitted]).double()
        fitter = leace.LeaceFitter.fit(
            coefficients,
            q / q.std(0),
            shrinkage=False,
            constrain_cov_trace=False,
            svd_tol=_LEAST_CORRELATION,
        )
        erasure = fitter.eraser.P.T  # of rows
        variances, axes = torch.linalg.eigh(erasure.T @ fitter.sigma_xx @ erasure)
        n_left = max(1, len(variances) - q.shape[1])
        kept = torch.argsort(variances, descending=True)[: min(settings.latent, n_left)]
        scale = variances[kept].clamp_min(1e-30) ** (settings.whitening / 2)
        self._encoder = (erasure @ axes[:, kept] / scale).float()
        self._decoder = (axes[:, kept] * scale).T.float()
        if matching:
            encoder = self._encoder.double()
            noise = train.noise**2 * encoder.T @ encoder  # the components are orthonormal
            others = self._representation.coefficients(train.flux[fitted.stop :]).double()
            matched = noise_matched_map(others @ encoder, noise)
            self._encoder = self._encoder @ matched
            self._decoder = torch.linalg.solve(matched, self._decoder)
        self._slopes = torch.linalg.lstsq(q, coefficients).solution

    def encode(self, flux: np.ndarray, nuisance: np.ndarray) -> np.ndarray:
        """Return the scaled axes [n, latent] of the erased coefficients."""
        return (self._representation.coefficients(flux) @ self._encoder).numpy()

    def decode(self, latent: np.ndarray, nuisance: np.ndarray) -> np.ndarray:
        """Add what the nuisance explains to what the latent holds."""
        explained = (self._monomials(nuisance) - self._mean_monomials) @ self._slopes
        coefficients = torch.as_tensor(latent) @ self._decoder + explained.float()
        return self._representation.flux(coefficients).numpy()

    def _monomials(self, nuisance: np.ndarray) -> torch.Tensor:
        u = (nuisance - self._centre.numpy()) / self._spread.numpy()
        return torch.from_numpy(monomials(u, self.hyperparameters.degree)[:, 1:])

    def state(self) -> dict[str, torch.Tensor]:
        """Return the components, the maps and the regression."""
        own = {name.removeprefix("_"): getattr(self, name) for name in _OWN}
        return own | {f"representation/{k}": v for k, v in self._representation.state().items()}

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore them; needs no package."""
        prefix = "representation/"
        self._representation = Representation.from_state(
            {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        )
        for name in _OWN:
            setattr(self, name, state[name.removeprefix("_")])

    @property
    def n_parameters(self) -> int:
        """Numbers in the components and their mean, the maps and the regression."""
        learned = (
            self._representation.components,
            self._representation.mean,
            self._encoder,
            self._decoder,
            self._slopes,
        )
        return sum(tensor.numel() for tensor in learned)


_OWN = ("_centre", "_spread", "_mean_monomials", "_encoder", "_decoder", "_slopes")


def _package():
    """Import the eraser, which is an optional extra."""
    try:
        import concept_erasure
    except ImportError as error:
        raise SettingError(
            'linear-erasure needs concept-erasure; install it by pip install "starbench[erasure]".'
        ) from error
    return concept_erasure
