r"""The autoencoder shared by several methods, which differ in their objectives.

A spectrum with nuisance u has coefficients c on the training set's principal components (or
pixels), of variance :math:`\lambda_k`. Two networks encode and decode the scaled coefficients
:math:`x_k = c_k / \lambda_k^{a/2}`,

.. math::

    z = E(x, u), \qquad \hat x = D(z, u), \qquad L = \langle e(x, \hat x) \rangle + P(z, u),

with the reconstruction error e of `objective.py` and a penalty P, in which methods differ. Without
a penalty, the only incentive to leave the nuisance out of z is that the decoder receives it anyway.

It is composed of `Inputs` (representation and scales), `Networks` (encoder and decoder),
`NoiseModel` (latents of noisy spectra: a Gauss-Newton step towards the maximum a posteriori under
the decoder, `refinement.py`, and a scaling to the noise, `noise_matching.py`) and the `Objective`
that a method defines.
"""

from abc import abstractmethod
from typing import Any, final

import numpy as np
import torch
from torch import nn

from starbench.common.paging import walk
from starbench.methods.base import Diverged, Method, Monitor, View
from starbench.methods.parts.adversary import Adversary, adam, set_rate
from starbench.methods.parts.errors import typical_noise, with_plain_noise
from starbench.methods.parts.inputs import Inputs
from starbench.methods.parts.noise_matching import n_held_out
from starbench.methods.parts.noise_model import ROWS, NoiseModel
from starbench.methods.parts.objective import Batch, Objective, TrainingSet
from starbench.methods.parts.representation import WEIGHTED_ROWS
from starbench.methods.parts.settings import AutoencoderSettings
from starbench.methods.parts.siblings import Siblings, groups
from starbench.methods.parts.training import Training, one_cycle, run_epochs, sub_state

# Least squared error from a spectrum's own latent, relative to that from another's, of a decoder
# that does not use the latent.
_UNUSED = 0.999


@final
class _Model(nn.Module):
    """The result of a fit; its ``state_dict()`` is saved."""

    def __init__(self, inputs: Inputs, objective: Objective, noise_model: NoiseModel) -> None:
        super().__init__()
        self.inputs, self.objective, self.noise_model = inputs, objective, noise_model


class Autoencoder(Method):
    """A method that trains an encoder and a decoder on an objective, which a subclass builds.

    All else is shared and final, so that two such methods differ only in their objectives. With
    label access `none` neither network receives a nuisance.
    """

    label_access = "nuisance"
    takes_errors = True
    version = 3
    hyperparameters: AutoencoderSettings

    def __init__(self, hyperparameters: Any = None, *, seed: int = 0, device: str = "cpu") -> None:
        super().__init__(hyperparameters, seed=seed, device=device)
        self._training: Training[_Model] | None = None

    @abstractmethod
    def build(self, inputs: Inputs) -> Objective:
        """Build the networks, and the objective that they are trained on.

        Called once, after torch's generator has been seeded: first build the networks, then any
        others, so that methods with the same settings start from the same networks.

        Parameters
        ----------
        inputs : Inputs
            Fitted to the training set.
        """

    @final
    @property
    def objective(self) -> Objective:
        """The objective with the trained networks.

        Raises
        ------
        RuntimeError
            If the method is not fitted.
        """
        return self._fitted.model.objective

    @property
    def _fitted(self) -> Training[_Model]:
        if self._training is None:
            raise RuntimeError(f"{self.name} is not fitted: call fit or load_state first")
        return self._training

    # --- fitting

    @final
    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Fit the representation, then the networks, by stochastic gradient descent."""
        settings, train = self.hyperparameters, with_plain_noise(train)
        noise = typical_noise(train)
        n_fitted = len(train) if noise is None else len(train) - n_held_out(len(train))
        siblings: Siblings | None = None
        if self.label_access == "pairs":
            siblings = Siblings(groups(train, self.name), train.twin, n_fitted)
        if self._training is None:
            inputs = Inputs.fit(
                train,
                n_fitted=n_fitted,
                components=settings.components,
                whitening=settings.input_whitening,
                # With no more components than latent axes, the latent could hold everything.
                min_components=2 * settings.latent,
                seed=self.seed,
            )
            self._training = self._start(inputs)
        training = self._training
        model, main = training.model, training.optimisers["autoencoder"]
        objective = model.objective
        data = TrainingSet(
            inputs=model.inputs.of_flux(train.flux, train.error).to(self.device),
            nuisance=self._nuisance(train.nuisance, len(train)),
            n_fitted=n_fitted,
            siblings=siblings,
            noise=noise or 0.0,
        )
        objective.prepare(data)
        adversaries = tuple(_adversaries(objective).values())

        def step(rows: torch.Tensor, share_done: float) -> dict[str, torch.Tensor]:
            factor = one_cycle(share_done) if settings.one_cycle else 1.0
            set_rate(main, settings.learning_rate * factor)
            for adversary in adversaries:
                adversary.cool(factor)
            loss, watched = objective.loss(Batch(data, rows, share_done))
            main.zero_grad()
            torch.autograd.backward(loss)
            main.step()
            return watched

        run_epochs(
            self,
            training,
            monitor,
            n_items=n_fitted,
            epochs=settings.epochs,
            usual_epochs=settings.usual_epochs,
            batch_size=settings.batch_size,
            step=step,
        )
        if noise is not None:
            rows = slice(n_fitted, None)
            measured = None
            if train.error is not None:
                measured = model.inputs.representation.measured(train.flux[rows], train.error[rows])
            model.noise_model.fit(
                objective.networks, data.inputs[rows], data.nuisance[rows], noise, measured
            )
        self._check_use(data.inputs[:ROWS], data.nuisance[:ROWS])

    def _start(self, inputs: Inputs) -> Training[_Model]:
        settings = self.hyperparameters
        torch.manual_seed(self.seed)
        objective = self.build(inputs).to(self.device)
        adversaries = _adversaries(objective)
        theirs = {id(p) for adversary in adversaries.values() for p in adversary.parameters()}
        shared = [p for p in objective.parameters() if id(p) not in theirs]
        optimisers: dict[str, torch.optim.Optimizer] = {
            "autoencoder": adam(shared, settings.learning_rate)
        }
        optimisers |= {name: adversary.optimiser for name, adversary in adversaries.items()}
        noise_model = NoiseModel(settings, inputs.scale, self.seed)
        return Training(_Model(inputs, objective, noise_model), optimisers)

    def _check_use(self, inputs: torch.Tensor, nuisance: torch.Tensor) -> None:
        """Refuse a fit whose decoder has stopped using the latent."""
        networks = self.objective.networks
        with torch.no_grad():
            latent = networks.encode(inputs, nuisance)
            own, other = (
                (networks.decode(z, nuisance) - inputs).square().mean()
                for z in (latent, latent.roll(1, 0))
            )
        if own >= _UNUSED * other:
            raise Diverged(
                "the latent collapsed: any latent reconstructs a spectrum as well as its own does"
            )

    # --- encoding and decoding

    @final
    def encode(
        self, flux: np.ndarray, nuisance: np.ndarray | None, error: np.ndarray | None = None
    ) -> np.ndarray:
        """Encode spectra; see `Method.encode`."""
        model = self._fitted.model
        inputs, networks = model.inputs, model.objective.networks
        u = self._nuisance(nuisance, len(flux))
        if error is not None and model.noise_model.refines_otherwise(error):
            parts = []
            for rows, seen, uncertain in walk(WEIGHTED_ROWS, flux, error):
                measured = inputs.representation.measured(seen, uncertain)
                x = (measured.coefficients / inputs.scale).to(self.device)
                parts.append(model.noise_model.latents(networks, x, u[rows], measured)[0])
            latent = torch.cat(parts)
        else:
            x = inputs.of_flux(flux, error).to(self.device)
            latent, _ = model.noise_model.latents(networks, x, u)
        return model.noise_model.match(latent).numpy()

    @final
    def decode(self, latent: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:
        """Reconstruct spectra; see `Method.decode`."""
        model = self._fitted.model
        z = model.noise_model.unmatch(torch.as_tensor(latent)).to(self.device)
        u = self._nuisance(nuisance, len(latent))
        flux = np.empty((len(latent), model.inputs.n_pixels), np.float32)
        with torch.no_grad():
            for start in range(0, len(z), ROWS):
                rows = slice(start, start + ROWS)
                decoded = model.objective.networks.decode(z[rows], u[rows]).cpu()
                model.inputs.to_flux(decoded, torch.from_numpy(flux[rows]))
        return flux

    def _nuisance(self, nuisance: np.ndarray | None, n: int) -> torch.Tensor:
        return self._fitted.model.inputs.of_nuisance(nuisance, n).to(self.device)

    # --- saving

    @final
    def state(self) -> dict[str, torch.Tensor]:
        """Return the inputs' scales, the weights and the optimisers' moments."""
        return self._fitted.state()

    @final
    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what `state` returned."""
        self._training = self._start(Inputs.from_state(sub_state(state, "model.inputs.")))
        self._training.load_state(state)

    @final
    @property
    def n_parameters(self) -> int:
        """Number of weights of the encoder and the decoder, principal components included."""
        model = self._fitted.model
        weights = sum(p.numel() for p in model.objective.networks.parameters())
        return weights + model.inputs.representation.n_numbers


def _adversaries(objective: Objective) -> dict[str, Adversary]:
    return {
        name: module for name, module in objective.named_modules() if isinstance(module, Adversary)
    }
