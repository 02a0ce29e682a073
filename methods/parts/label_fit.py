r"""Abundances fitted to a spectrum by chi-squared, given a model of spectra; no network encodes.

A model f, in which methods differ, predicts the scaled coefficients x of a spectrum (`inputs.py`)
from its composition a, standardised over the training set, and its nuisance u. With the scatter
:math:`\sigma_k` of each coefficient about the model, noise included, and the covariance P of the
training set's compositions as a prior of weight w, the estimate minimises

.. math::

    \chi^2 = \sum_k \frac{(x_k - f_k(a, u))^2}{\sigma_k^2} + w\, a^T P^{-1} a

by Gauss-Newton steps from the mean composition. The latent is :math:`z = M^T a`. The scatter and
the matrix M, which makes the estimates of twins scatter equally along all axes
(`noise_matching.py`), are measured on pairs held out from the model.

Surveys fit pixels, here principal components of them; and they fit the nuisance along with the
abundances, while here it is held at the given value, which all methods receive. The model is
trained on the true composition, which no survey has.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import numpy as np
import torch
from torch import nn

from starbench.methods.base import Method, Monitor, View, option, required, required_composition
from starbench.methods.parts.encoder import held_out_pairs
from starbench.methods.parts.inputs import Inputs
from starbench.methods.parts.noise_matching import difference_covariance, noise_matched_map
from starbench.methods.parts.refinement import gauss_newton_step
from starbench.methods.parts.training import Training, run_epochs, sub_state

_ENTRIES = 5_000_000  # of the model's slopes at a time
_ROWS = 4096  # spectra decoded at a time


@dataclass(frozen=True)
class LabelFitSettings:
    """Hyperparameters that fits of abundances share."""

    components: int = option(
        256,
        "principal components that are fitted, without those below the noise",
        low=1,
        tuned=(30, 256),
    )
    prior_weight: float = option(
        1.0, "weight w of the training set's compositions as a prior", low=1e-6, tuned=(0.01, 1)
    )
    steps: int = option(
        3, "Gauss-Newton steps of the fit to a spectrum", low=1, high=100, tuned=(2, 8)
    )
    matching: bool = option(True, "whether abundances are weighted by their scatter between twins")


@dataclass(frozen=True)
class LabelledSpectra:
    """Spectra with all their labels, as a spectral model sees them.

    Attributes
    ----------
    inputs : torch.Tensor [n, n_inputs]
    composition : torch.Tensor [n, d]
        Standardised.
    nuisance : torch.Tensor [n, n_nuisance]
        Scaled to [-1, 1].
    """

    inputs: torch.Tensor
    composition: torch.Tensor
    nuisance: torch.Tensor

    def rows(self, rows: torch.Tensor) -> "LabelledSpectra":
        """Return some of the spectra."""
        return LabelledSpectra(self.inputs[rows], self.composition[rows], self.nuisance[rows])


class SpectralModel(nn.Module, ABC):
    """Predicts spectra from labels."""

    @abstractmethod
    def learn(self, data: LabelledSpectra, run: Callable[..., None]) -> None:
        """Learn from labelled spectra.

        Parameters
        ----------
        data : LabelledSpectra
        run : callable
            `starbench.methods.parts.training.run_epochs` for this fit, which takes its keyword
            arguments; for a model that learns in steps.
        """

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """Return the optimisers of the weights, by name; none for a model in closed form."""
        return {}

    @abstractmethod
    def predict(
        self, composition: torch.Tensor, nuisance: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Predict inputs [n, n_inputs], with their derivatives [n, d, n_inputs] by the composition.

        Parameters
        ----------
        composition : torch.Tensor [n, d]
            Standardised.
        nuisance : torch.Tensor [n, n_nuisance]
            Scaled to [-1, 1].
        """


@final
class _Model(nn.Module):
    """The result of a fit; its ``state_dict()`` is saved."""

    mean: torch.Tensor  # [d], of the composition
    deviation: torch.Tensor  # [d]
    prior: torch.Tensor  # [d, d]
    scatter: torch.Tensor  # [n_inputs]
    latent_map: torch.Tensor  # [d, d]

    def __init__(self, inputs: Inputs, spectra: SpectralModel, n_elements: int) -> None:
        super().__init__()
        self.inputs, self.spectra = inputs, spectra
        self.register_buffer("mean", torch.zeros(n_elements))
        self.register_buffer("deviation", torch.ones(n_elements))
        self.register_buffer("prior", torch.eye(n_elements))
        self.register_buffer("scatter", torch.ones(inputs.n_inputs))
        self.register_buffer("latent_map", torch.eye(n_elements))

    def standardise(self, composition: torch.Tensor, prior_weight: float) -> torch.Tensor:
        """Learn mean, deviation and prior of a composition [n, d], and standardise it."""
        self.mean, self.deviation = composition.mean(0), composition.std(0).clamp_min(1e-10)
        standardised = (composition - self.mean) / self.deviation
        correlation = torch.cov(standardised.double().T).reshape(self.prior.shape)
        # Keeps the inverse finite where elements vary together, or not at all.
        correlation = correlation + 1e-6 * torch.eye(len(correlation))
        self.prior.copy_(prior_weight * torch.linalg.inv(correlation))
        return standardised

    def calibrate(self, both: LabelledSpectra, steps: int, matching: bool) -> None:
        """Measure the scatter about the model, and that of the estimates of twins.

        The first spectra of all pairs come first, then the second ones.
        """
        rows = self.rows_at_a_time()
        parts = zip(
            *(torch.split(x, rows) for x in (both.composition, both.nuisance, both.inputs)),
            strict=True,
        )
        squares = [(self.spectra.predict(a, u)[0] - x).square() for a, u, x in parts]
        self.scatter = torch.cat(squares).mean(0).sqrt().clamp_min(1e-6)
        if matching:
            one, other = self.estimate(both.inputs, both.nuisance, steps).cpu().chunk(2)
            scatter = difference_covariance(one, other) / 2
            self.latent_map = noise_matched_map(torch.cat([one, other]), scatter)

    def estimate(self, inputs: torch.Tensor, nuisance: torch.Tensor, steps: int) -> torch.Tensor:
        """Return the standardised compositions [n, d] that fit inputs [n, n_inputs] best."""
        device, rows = inputs.device, self.rows_at_a_time()
        scatter, prior = self.scatter.to(device), self.prior.to(device)
        estimates = []
        for x, u in zip(torch.split(inputs, rows), torch.split(nuisance, rows), strict=True):

            def weighted(a: torch.Tensor, u: torch.Tensor = u) -> tuple[torch.Tensor, torch.Tensor]:
                predicted, slopes = self.spectra.predict(a, u)
                return predicted / scatter, slopes / scatter

            a = torch.zeros(len(x), len(prior), device=device)
            for _ in range(steps):
                a, _ = gauss_newton_step(
                    weighted, x / scatter, a, noise=1.0, mean=a.new_zeros(len(prior)),
                    precision=prior,
                )  # fmt: skip
            estimates.append(a)
        return torch.cat(estimates)

    def rows_at_a_time(self) -> int:
        """Return the number of spectra of which the slopes fit into memory."""
        return max(1, _ENTRIES // (len(self.scatter) * len(self.prior)))


class LabelFit(Method):
    """A method that fits abundances to spectra by chi-squared; a subclass defines the model."""

    label_access = "oracle"
    hyperparameters: LabelFitSettings

    def __init__(self, hyperparameters: Any = None, *, seed: int = 0, device: str = "cpu") -> None:
        super().__init__(hyperparameters, seed=seed, device=device)
        self._training: Training[_Model] | None = None

    @abstractmethod
    def build(self, inputs: Inputs, n_elements: int) -> SpectralModel:
        """Return an untrained model of spectra.

        Called once, after torch's generator has been seeded.

        Parameters
        ----------
        inputs : Inputs
            Fitted to the training set.
        n_elements : int
        """

    @property
    def _fitted(self) -> Training[_Model]:
        if self._training is None:
            raise RuntimeError(f"{self.name} is not fitted: call fit or load_state first")
        return self._training

    @final
    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Fit the principal components and the model, then its scatter.

        Raises
        ------
        SettingError
            If the data do not hold the composition.
        """
        settings = self.hyperparameters
        composition = torch.as_tensor(required_composition(train, self.name)).float()
        held_out, learned = held_out_pairs(train)
        if self._training is None:
            inputs = Inputs.fit(
                train,
                n_fitted=len(train),
                components=settings.components,
                whitening=1.0,
                # Components below the noise may still be informative together.
                min_components=2 * composition.shape[1],
                seed=self.seed,
            )
            self._training = self._start(inputs, composition.shape[1])
        model = self._training.model
        data = LabelledSpectra(
            model.inputs.of_flux(train.flux).to(self.device),
            model.standardise(composition, settings.prior_weight).to(self.device),
            model.inputs.of_nuisance(train.nuisance, len(train)).to(self.device),
        )
        run = partial(run_epochs, self, self._training, monitor)
        model.spectra.learn(data.rows(learned.flatten()), run)
        with torch.no_grad():
            model.calibrate(data.rows(held_out.T.flatten()), settings.steps, settings.matching)

    def _start(self, inputs: Inputs, n_elements: int) -> Training[_Model]:
        torch.manual_seed(self.seed)
        spectra = self.build(inputs, n_elements).to(self.device)
        return Training(_Model(inputs, spectra, n_elements), spectra.optimisers())

    @final
    def encode(self, flux: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:
        """Return the estimated compositions, matched to their scatter; see `Method.encode`."""
        model = self._fitted.model
        inputs = model.inputs.of_flux(flux).to(self.device)
        u = model.inputs.of_nuisance(required(nuisance, "nuisance"), len(flux)).to(self.device)
        with torch.no_grad():
            estimate = model.estimate(inputs, u, self.hyperparameters.steps).cpu()
            return (estimate @ model.latent_map).numpy()

    @final
    def decode(self, latent: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:
        """Return the flux that the model predicts; see `Method.decode`."""
        model = self._fitted.model
        u = model.inputs.of_nuisance(required(nuisance, "nuisance"), len(latent))
        back = torch.linalg.inv(model.latent_map.double()).float()
        composition = torch.as_tensor(latent) @ back
        flux = np.empty((len(latent), model.inputs.n_pixels), np.float32)
        at_a_time = min(_ROWS, model.rows_at_a_time())
        with torch.no_grad():
            for start in range(0, len(flux), at_a_time):
                rows = slice(start, start + at_a_time)
                labels = composition[rows].to(self.device), u[rows].to(self.device)
                predicted, _ = model.spectra.predict(*labels)
                model.inputs.to_flux(predicted.cpu(), torch.from_numpy(flux[rows]))
        return flux

    @final
    def state(self) -> dict[str, torch.Tensor]:
        """Return the inputs' scales, the model, its scatter and the optimisers' moments."""
        return self._fitted.state()

    @final
    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what `state` returned."""
        inputs = Inputs.from_state(sub_state(state, "model.inputs."))
        self._training = self._start(inputs, len(state["model.mean"]))
        self._training.load_state(state)

    @final
    @property
    def n_parameters(self) -> int:
        """Number of the model's coefficients or weights, principal components included."""
        model = self._fitted.model
        own = sum(p.numel() for p in model.spectra.parameters())
        own += sum(b.numel() for b in model.spectra.buffers())
        return own + model.inputs.representation.n_numbers
