r"""Abundances fitted to a spectrum by chi-squared, given a model of spectra; no network encodes.

A model f, in which methods differ, predicts the scaled coefficients x of a spectrum (`inputs.py`)
from its composition a, standardised over the training set, and its nuisance u. With the scatter
:math:`\sigma_k` of each coefficient about the model, noise included, and the covariance P of the
training set's compositions as a prior of weight w, the estimate minimises

.. math::

    \chi^2 = \sum_k \frac{(x_k - f_k(a, u))^2}{\sigma_k^2} + w\, a^T P^{-1} a

by Gauss-Newton steps from the mean composition. The latent is :math:`z = M^T a`. The scatter and
the matrix M, which makes the estimates of twins scatter equally along all axes
(`noise_matching.py`), are measured on pairs held out from the model. If each spectrum has errors of
its own, the covariance about the model is that of its coefficients by these errors, plus the
scatter :math:`\sigma_k` that the noise does not explain.

Surveys fit pixels, here principal components of them; and they fit the nuisance along with the
abundances, while here it is held at the given value, which all methods receive. The model is
trained on the true composition, which no survey has.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import numpy as np
import torch
from torch import nn

from starbench.common.paging import walk
from starbench.methods.base import Method, Monitor, View, option, required, required_composition
from starbench.methods.parts.errors import constant, with_plain_noise
from starbench.methods.parts.inputs import Inputs
from starbench.methods.parts.noise_matching import difference_covariance, noise_matched_map
from starbench.methods.parts.refinement import Likelihood, White, gauss_newton_step
from starbench.methods.parts.representation import WEIGHTED_ROWS, Measured
from starbench.methods.parts.siblings import SiblingPairs
from starbench.methods.parts.training import Training, run_epochs, sub_state

_ENTRIES = 5_000_000  # of the model's slopes at a time
_ROWS = 4096  # spectra decoded at a time
_LEAST_SCATTER = 0.1  # scatter that noise does not explain, of the scatter about the model


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
    # [n_inputs], without noise; None where the training spectra have no errors of their own
    model_scatter: torch.Tensor | None
    latent_map: torch.Tensor  # [d, d]

    def __init__(self, inputs: Inputs, spectra: SpectralModel, n_elements: int) -> None:
        super().__init__()
        self.inputs, self.spectra = inputs, spectra
        self.register_buffer("mean", torch.zeros(n_elements))
        self.register_buffer("deviation", torch.ones(n_elements))
        self.register_buffer("prior", torch.eye(n_elements))
        self.register_buffer("scatter", torch.ones(inputs.n_inputs))
        self.register_buffer("model_scatter", None)
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

    def calibrate(
        self, both: LabelledSpectra, steps: int, matching: bool, measured: Measured | None
    ) -> None:
        """Measure the scatter about the model, and that of the estimates of siblings.

        The first spectra of all pairs come first, then the second ones.
        """
        rows = self.rows_at_a_time()
        parts = zip(
            *(torch.split(x, rows) for x in (both.composition, both.nuisance, both.inputs)),
            strict=True,
        )
        squares = [(self.spectra.predict(a, u)[0] - x).square() for a, u, x in parts]
        self.scatter = torch.cat(squares).mean(0).sqrt().clamp_min(1e-6)
        if measured is not None:
            noise = measured.covariance().mean(0).diagonal().sqrt() / self.inputs.scale
            left = self.scatter.square() - noise.float().square().to(self.scatter.device)
            self.model_scatter = left.clamp_min(_LEAST_SCATTER**2 * self.scatter.square()).sqrt()
        if matching:
            estimates = self.estimate(both.inputs, both.nuisance, steps, measured)
            one, other = estimates.cpu().chunk(2)
            scatter = difference_covariance(one, other) / 2
            self.latent_map = noise_matched_map(torch.cat([one, other]), scatter)

    def estimate(
        self,
        inputs: torch.Tensor,
        nuisance: torch.Tensor,
        steps: int,
        measured: Measured | None = None,
    ) -> torch.Tensor:
        """Return the standardised compositions [n, d] that fit inputs [n, n_inputs] best."""
        device, rows = inputs.device, self.rows_at_a_time()
        scatter, prior = self.scatter.to(device), self.prior.to(device)
        scale = self.inputs.scale.to(device)
        estimates = []
        for start in range(0, len(inputs), rows):
            part = slice(start, start + rows)
            u, unit = nuisance[part], scatter
            likelihood: Likelihood = White(inputs[part] / scatter, 1.0)
            if measured is not None:
                likelihood, unit = self._with_scatter(measured[part]).to(device), 1 / scale

            def in_units(
                a: torch.Tensor, u: torch.Tensor = u, unit: torch.Tensor = unit
            ) -> tuple[torch.Tensor, torch.Tensor]:
                predicted, slopes = self.spectra.predict(a, u)
                return predicted / unit, slopes / unit

            a = torch.zeros(len(u), len(prior), device=device)
            for _ in range(steps):
                a, _ = gauss_newton_step(
                    in_units, likelihood, a, mean=a.new_zeros(len(prior)), precision=prior
                )
            estimates.append(a)
        return torch.cat(estimates)

    def _with_scatter(self, measured: Measured) -> Measured:
        """Return what spectra tell of the model's prediction, from which coefficients scatter.

        With the covariance S of this scatter, the information A becomes A - A (A + S^-1)^-1 A.
        """
        scatter = self.scatter if self.model_scatter is None else self.model_scatter
        precision = (scatter.cpu() * self.inputs.scale).double() ** -2
        information, score = measured.information.double(), measured.score.double()
        kept = torch.linalg.solve(information + torch.diag(precision), information, left=False)
        return dataclasses.replace(
            measured,
            score=(score - (kept @ score[..., None])[..., 0]).float(),
            information=(information - kept @ information).float(),
        )

    def rows_at_a_time(self) -> int:
        """Return the number of spectra of which the slopes fit into memory."""
        return max(1, _ENTRIES // (len(self.scatter) * len(self.prior)))


class LabelFit(Method):
    """A method that fits abundances to spectra by chi-squared; a subclass defines the model."""

    label_access = "oracle"
    takes_errors = True
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
        settings, train = self.hyperparameters, with_plain_noise(train)
        composition = torch.as_tensor(required_composition(train, self.name)).float()
        siblings = SiblingPairs.of(train, self.name)
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
            model.inputs.of_flux(train.flux, train.error).to(self.device),
            model.standardise(composition, settings.prior_weight).to(self.device),
            model.inputs.of_nuisance(train.nuisance, len(train)).to(self.device),
        )
        run = partial(run_epochs, self, self._training, monitor)
        model.spectra.learn(data.rows(siblings.rows), run)
        held_out, measured = siblings.held_out.T.flatten(), None
        if train.error is not None:
            rows = held_out.numpy()
            measured = model.inputs.representation.measured(train.flux[rows], train.error[rows])
        with torch.no_grad():
            model.calibrate(data.rows(held_out), settings.steps, settings.matching, measured)

    def _start(self, inputs: Inputs, n_elements: int) -> Training[_Model]:
        torch.manual_seed(self.seed)
        spectra = self.build(inputs, n_elements).to(self.device)
        return Training(_Model(inputs, spectra, n_elements), spectra.optimisers())

    @final
    def encode(
        self, flux: np.ndarray, nuisance: np.ndarray | None, error: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the estimated compositions, matched to their scatter; see `Method.encode`."""
        model, steps = self._fitted.model, self.hyperparameters.steps
        inputs, u = (
            model.inputs,
            model.inputs.of_nuisance(required(nuisance, "nuisance"), len(flux)),
        )
        # The scatter about the model includes a noise that is the same for all spectra.
        plain = error is None or (model.model_scatter is None and constant(error))
        estimates = []
        with torch.no_grad():
            if plain:
                seen = inputs.of_flux(flux).to(self.device)
                estimates.append(model.estimate(seen, u.to(self.device), steps).cpu())
            elif error is not None:
                for rows, part, uncertain in walk(WEIGHTED_ROWS, flux, error):
                    measured = inputs.representation.measured(part, uncertain)
                    seen = (measured.coefficients / inputs.scale).to(self.device)
                    own = u[rows].to(self.device)
                    estimates.append(model.estimate(seen, own, steps, measured).cpu())
            return (torch.cat(estimates) @ model.latent_map).numpy()

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
        self._training.model.model_scatter = state.get("model.model_scatter")
        self._training.load_state(state)

    @final
    @property
    def n_parameters(self) -> int:
        """Number of the model's coefficients or weights, principal components included."""
        model = self._fitted.model
        own = sum(p.numel() for p in model.spectra.parameters())
        own += sum(b.numel() for b in model.spectra.buffers())
        return own + model.inputs.representation.n_numbers
