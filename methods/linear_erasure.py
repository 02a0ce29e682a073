r"""Linear erasure: no linear predictor finds the nuisance in what is left of the spectrum.

Among all affine maps after which no linear predictor finds a concept q in x, LEACE changes x the
least: with the covariance S of x, its whitening W = S^{-1/2} and the orthogonal projection P on the
column space of W cov(x, q),

.. math::

    r(x) = x - W^{-1} P W (x - \bar x), \qquad \mathrm{cov}(r(x), q) = 0.

Here x are the principal components of a spectrum, and q(u) all monomials of the nuisance up to some
degree, because lines do not respond linearly to temperature and gravity. Each monomial costs one
dimension of x, with all information on the composition along it. The rest is projected on its own
principal axes e_k of variance lambda_k,

.. math::

    z_k = \lambda_k^{-a/2}\, e_k \cdot (r(x) - \bar x), \qquad
    \hat x = \bar x + B (q(u) - \bar q) + \sum_k \lambda_k^{a/2} z_k e_k,

where B is the regression of x on q. If the noise is known, the axes are rotated and scaled by it
instead (`starbench.methods.parts.noise_matching`). Encoding a spectrum does not use its nuisance:
`starbench.methods.polynomial_residual` subtracts what a polynomial predicts from *this* spectrum's
nuisance, while here a fixed map deletes directions. What is nonlinear in u remains.

References
----------
Belrose, Schneider-Joseph, Ravfogel, Cotterell, Raff and Biderman (2023), "LEACE: Perfect linear
concept erasure in closed form", NeurIPS 36, arXiv:2306.03819; their package computes the map.
"""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import nn

from starbench.methods.base import Method, Monitor, SettingError, View, option, required
from starbench.methods.parts.errors import typical_noise, with_plain_noise
from starbench.methods.parts.noise_matching import n_held_out, noise_matched_map
from starbench.methods.parts.polynomial import NuisanceTerms
from starbench.methods.parts.representation import Representation, principal_components
from starbench.methods.parts.training import sub_state

_LEAST_CORRELATION = 1e-6  # of a direction with the monomials; smaller ones are rounding


@dataclass(frozen=True)
class Settings:
    """Hyperparameters of the components and the eraser."""

    components: int = option(
        60,
        "principal components before the erasure, without those below the noise",
        low=1,
        high=1024,
    )
    degree: int = option(
        2, "highest order of the monomials that are erased", low=1, high=6, tuned=(1, 4)
    )
    latent: int = option(
        20, "principal axes kept after the erasure", low=1, high=1024, tuned=(14, 40)
    )
    whitening: float = option(
        1.0,
        "axes are divided by their standard deviation to this power",
        low=0.0,
        high=1.0,
        tuned=(0.3, 1),
    )
    noise_matching: bool = option(
        True, "whether axes of noisy spectra are rotated and weighted by signal-to-noise instead"
    )


@final
class _ErasedAxes(nn.Module):
    """The maps of a fitted method."""

    encoder: torch.Tensor  # [n_components, latent]
    decoder: torch.Tensor  # [latent, n_components]
    mean_monomials: torch.Tensor  # [k], float64, without the constant
    slopes: torch.Tensor  # [k, n_components], float64, the regression B

    def __init__(
        self, representation: Representation, terms: NuisanceTerms, **maps: torch.Tensor
    ) -> None:
        super().__init__()
        self.representation, self.terms = representation, terms
        for name in ("encoder", "decoder", "mean_monomials", "slopes"):
            self.register_buffer(name, maps[name])

    @classmethod
    def from_state(cls, state: dict[str, torch.Tensor], degree: int) -> "_ErasedAxes":
        return cls(
            Representation(**sub_state(state, "representation.")),
            NuisanceTerms(**sub_state(state, "terms."), degree=degree),
            **{name: tensor for name, tensor in state.items() if "." not in name},
        )


@final
class LinearErasure(Method):
    """Principal components from which LEACE has erased the nuisance's monomials."""

    name = "linear-erasure"
    version = 2
    label_access = "nuisance"
    takes_errors = True
    reference = "Belrose et al. 2023, arXiv:2306.03819"
    Hyperparameters = Settings
    hyperparameters: Settings
    _axes: _ErasedAxes

    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Fit the components, the eraser, and the principal axes of what it leaves.

        Raises
        ------
        SettingError
            If the package with the eraser is not installed.
        """
        leace = _package()
        settings, train = self.hyperparameters, with_plain_noise(train)
        typical, error = typical_noise(train), train.error
        noise = typical if settings.noise_matching else None
        n_fitted = len(train) if noise is None else len(train) - n_held_out(len(train))
        nuisance = required(train.nuisance, "nuisance")[:n_fitted]
        terms = NuisanceTerms.fit(nuisance, settings.degree)
        q = _without_constant(terms.monomials(nuisance))
        mean_monomials = q.mean(0)
        q = q - mean_monomials
        representation = principal_components(
            train.flux[:n_fitted],
            settings.components,
            self.seed,
            error=None if error is None else error[:n_fitted],
            noise=typical,
            # The erasure takes a dimension for each monomial.
            min_components=settings.latent + q.shape[1],
        )
        # Some components vary by 1e-4 of the first: float64, and no shrinkage.
        coefficients = representation.coefficients(
            train.flux[:n_fitted], None if error is None else error[:n_fitted]
        ).double()
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
        encoder = (erasure @ axes[:, kept] / scale).float()
        decoder = (axes[:, kept] * scale).T.float()
        if noise is not None:
            exact = encoder.double()
            if error is None:
                covariance = noise**2 * exact.T @ exact  # the components are orthonormal
                others = representation.coefficients(train.flux[n_fitted:]).double()
            else:
                held_out = train.flux[n_fitted:], error[n_fitted:]
                covariance = exact.T @ representation.noise_covariance(*held_out) @ exact
                others = representation.coefficients(*held_out).double()
            matched = noise_matched_map(others @ exact, covariance)
            encoder = encoder @ matched
            decoder = torch.linalg.solve(matched, decoder)
        self._axes = _ErasedAxes(
            representation,
            terms,
            encoder=encoder,
            decoder=decoder,
            mean_monomials=mean_monomials,
            slopes=torch.linalg.lstsq(q, coefficients, driver="gels").solution,
        )

    def encode(
        self, flux: np.ndarray, nuisance: np.ndarray | None, error: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the scaled axes [n, latent] of the erased coefficients."""
        return (self._axes.representation.coefficients(flux, error) @ self._axes.encoder).numpy()

    def decode(self, latent: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:
        """Add what the nuisance explains to what the latent holds."""
        axes = self._axes
        q = _without_constant(axes.terms.monomials(required(nuisance, "nuisance")))
        explained = (q - axes.mean_monomials) @ axes.slopes
        coefficients = torch.as_tensor(latent) @ axes.decoder + explained.float()
        return axes.representation.flux(coefficients).numpy()

    def state(self) -> dict[str, torch.Tensor]:
        """Return the components, the maps and the regression."""
        return self._axes.state_dict()

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore them; the package with the eraser is not needed."""
        self._axes = _ErasedAxes.from_state(state, self.hyperparameters.degree)

    @property
    def n_parameters(self) -> int:
        """Number of entries of the components and their mean, the maps and the regression."""
        axes = self._axes
        maps = (axes.representation.mean, axes.encoder, axes.decoder, axes.slopes)
        return axes.representation.n_numbers + sum(tensor.numel() for tensor in maps)


def _without_constant(monomials: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(monomials[:, 1:])


def _package() -> Any:
    """Import the eraser, which is an optional extra."""
    try:
        import concept_erasure  # type: ignore[import-untyped]  # the package has no types
    except ImportError as error:
        raise SettingError(
            'linear-erasure needs concept-erasure; install it by pip install "starbench[erasure]".'
        ) from error
    return concept_erasure
