r"""A conditional flow: an invertible network gives spectra of each nuisance one distribution.

An invertible map f, which depends on the nuisance u, turns the whitened components y of a spectrum
(`starbench.methods.parts.whitening`), scaled to variance 1, into the latent z. A second one, g,
which does not depend on u, turns z into a standard normal, so that z has the same distribution at
each u, whatever it is: stars need not be normal in composition. Both maximise the exact likelihood,

.. math::

    -\log p(y|u) = \tfrac{1}{2} |g(z)|^2 - \log |\det J_f| - \log |\det J_g| + \mathrm{const},
    \qquad z = f(y, u), \qquad L = \langle -\log p(y|u) + w\, |z - y|^2 \rangle ,

with the Jacobians J. At its optimum z is independent of u, with no adversary to fool. But many maps
reach it, which differ by rotations of z that turn with u, and no likelihood tells them apart; so
the last term asks for the least displacement, as in optimal transport. Without it the flow turns as
it likes and loses most twins (`TUNING.md`). f and g are chains of affine couplings. Each leaves one
half A of the axes as it is, and shifts and scales the other half B by networks of A and u,

.. math::

    y_B \to e^{s(y_A, u)}\, y_B + t(y_A, u), \qquad \log |\det J| = \sum_B s(y_A, u).

They start as the identity, that is, at `starbench.methods.conditional_whitening`, which is exact
for normal distributions. If the noise is known, y is matched to it, and z keeps its scales.

References
----------
Dinh, Sohl-Dickstein and Bengio (2017), "Density estimation using Real NVP", ICLR.
Winkler, Worrall, Hoogeboom and Welling (2019), "Learning likelihoods with conditional normalizing
flows", arXiv:1912.00042.
Onken, Wu Fung, Li and Ruthotto (2021), "OT-Flow: fast and accurate continuous normalizing flows via
optimal transport", AAAI 35, who add the cost of the transport to the likelihood.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import nn

from starbench.methods.base import Diagnostic, Method, Monitor, View, option, required
from starbench.methods.parts.adversary import adam, set_rate
from starbench.methods.parts.errors import with_plain_noise
from starbench.methods.parts.perceptron import ACTIVATIONS, mlp
from starbench.methods.parts.training import (
    Training,
    epochs_option,
    one_cycle,
    run_epochs,
    sub_state,
)
from starbench.methods.parts.whitening import Whitening, WhiteningSettings

_LOG_SCALE = 1.0  # greatest logarithm of the scale of one coupling
_ROWS = 4096  # spectra at a time


@dataclass(frozen=True)
class Settings(WhiteningSettings):
    """Hyperparameters of the flow and of the whitening before it."""

    couplings: int = option(
        4, "affine couplings of the conditional flow", low=1, high=100, tuned=(2, 8)
    )
    base_couplings: int = option(
        4, "couplings of the flow, independent of the nuisance, of the base", low=0, high=100
    )
    displacement_weight: float = option(
        10.0,
        "weight w of the squared displacement by the conditional flow",
        low=0.0,
        tuned=(1, 100),
    )
    widths: tuple[int, ...] = option((32, 32), "widths of each coupling's hidden layers", low=1)
    activation: str = option(
        "silu", "activation function of the networks", choices=tuple(ACTIVATIONS)
    )
    usual_epochs: ClassVar[int] = 20
    epochs: int = epochs_option(usual_epochs)
    batch_size: int = option(256, "spectra in each step", low=1)
    learning_rate: float = option(
        1e-3, "peak of the one-cycle learning rate", low=0.0, tuned=(0.0003, 0.003)
    )


@final
class Coupling(nn.Module):
    """One affine coupling of axes in a fixed random order.

    Parameters
    ----------
    n_axes, n_nuisance : int
    settings : Settings
    """

    order: torch.Tensor  # [n_axes], those that stay first

    def __init__(self, n_axes: int, n_nuisance: int, settings: Settings) -> None:
        super().__init__()
        self._n_kept = n_axes // 2
        self.register_buffer("order", torch.randperm(n_axes))
        n_outputs = 2 * (n_axes - self._n_kept)
        self.network = mlp(
            (self._n_kept + n_nuisance, *settings.widths, n_outputs), settings.activation
        )
        for parameter in self.network[-1].parameters():  # the identity at first
            nn.init.zeros_(parameter)

    def _change(
        self, kept: torch.Tensor, nuisance: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        log_scale, shift = self.network(torch.cat([kept, nuisance], 1)).chunk(2, dim=1)
        return _LOG_SCALE * torch.tanh(log_scale / _LOG_SCALE), shift

    def forward(
        self, values: torch.Tensor, nuisance: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the values [n, n_axes] after the coupling, and its log determinant [n]."""
        kept, changed = values[:, self.order].tensor_split([self._n_kept], dim=1)
        log_scale, shift = self._change(kept, nuisance)
        ordered = torch.cat([kept, changed * log_scale.exp() + shift], 1)
        return ordered[:, self.order.argsort()], log_scale.sum(1)

    def inverse(self, values: torch.Tensor, nuisance: torch.Tensor) -> torch.Tensor:
        """Return the values [n, n_axes] before the coupling."""
        kept, changed = values[:, self.order].tensor_split([self._n_kept], dim=1)
        log_scale, shift = self._change(kept, nuisance)
        ordered = torch.cat([kept, (changed - shift) * (-log_scale).exp()], 1)
        return ordered[:, self.order.argsort()]


@final
class Flow(nn.Module):
    """The conditional flow f from whitened components to latents, and the flow g of its base.

    Parameters
    ----------
    deviation : torch.Tensor [n_axes]
        Standard deviation of each component, and of its axis of the latent.
    nuisance_centre, nuisance_spread : torch.Tensor [n_nuisance]
        Of the training set.
    settings : Settings
    """

    deviation: torch.Tensor
    nuisance_centre: torch.Tensor
    nuisance_spread: torch.Tensor

    def __init__(
        self,
        deviation: torch.Tensor,
        nuisance_centre: torch.Tensor,
        nuisance_spread: torch.Tensor,
        settings: Settings,
    ) -> None:
        super().__init__()
        self.register_buffer("deviation", deviation)
        self.register_buffer("nuisance_centre", nuisance_centre)
        self.register_buffer("nuisance_spread", nuisance_spread)
        self.couplings = nn.ModuleList(
            Coupling(len(deviation), len(nuisance_centre), settings)
            for _ in range(settings.couplings)
        )
        self.base = nn.ModuleList(
            Coupling(len(deviation), 0, settings) for _ in range(settings.base_couplings)
        )
        self._weight = settings.displacement_weight

    def scaled(self, nuisance: np.ndarray) -> torch.Tensor:
        """Standardise a nuisance [n, n_nuisance]."""
        values = torch.as_tensor(nuisance, dtype=torch.float32).to(self.deviation.device)
        return (values - self.nuisance_centre) / self.nuisance_spread

    def forward(
        self, whitened: torch.Tensor, nuisance: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the latents [n, n_axes] and the log determinant [n] of the couplings."""
        values = whitened / self.deviation
        total = values.new_zeros(len(values))
        for coupling in self.couplings:
            values, log_determinant = coupling(values, nuisance)
            total = total + log_determinant
        return values * self.deviation, total

    def inverse(self, latent: torch.Tensor, nuisance: torch.Tensor) -> torch.Tensor:
        """Return the whitened components [n, n_axes] of latents at a standardised nuisance."""
        values = latent / self.deviation
        for coupling in reversed(self.couplings):
            assert isinstance(coupling, Coupling)
            values = coupling.inverse(values, nuisance)
        return values * self.deviation

    def loss(self, whitened: torch.Tensor, nuisance: torch.Tensor) -> torch.Tensor:
        """Return the loss of whitened components [n, n_axes], a scalar, without the constant."""
        latent, total = self(whitened, nuisance)
        values = latent / self.deviation
        displacement = (values - whitened / self.deviation).square().sum(1)
        for coupling in self.base:
            values, log_determinant = coupling(values, nuisance[:, :0])
            total = total + log_determinant
        nats = 0.5 * values.square().sum(1) - total
        loss: torch.Tensor = (nats + self._weight * displacement).mean()
        return loss


@final
class _Model(nn.Module):
    """The result of a fit; its ``state_dict()`` is saved."""

    def __init__(self, whitening: Whitening, flow: Flow) -> None:
        super().__init__()
        self.whitening, self.flow = whitening, flow


@final
class ConditionalFlow(Method):
    """An invertible network that gives whitened residuals one distribution at each nuisance."""

    name = "conditional-flow"
    label_access = "nuisance"
    takes_errors = True
    reference = "Dinh et al. 2017; Winkler et al. 2019"
    Hyperparameters = Settings
    hyperparameters: Settings
    diagnostics: ClassVar[tuple[Diagnostic, ...]] = (Diagnostic("loss", "loss of the flow"),)

    def __init__(self, hyperparameters: Any = None, *, seed: int = 0, device: str = "cpu") -> None:
        super().__init__(hyperparameters, seed=seed, device=device)
        self._training: Training[_Model] | None = None

    @property
    def _fitted(self) -> Training[_Model]:
        if self._training is None:
            raise RuntimeError(f"{self.name} is not fitted: call fit or load_state first")
        return self._training

    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Fit the whitening, then the flow by its likelihood."""
        settings, nuisance = self.hyperparameters, required(train.nuisance, "nuisance")
        train = with_plain_noise(train)
        if self._training is None:
            whitening = Whitening.fit(train, validation, settings, self.seed)
            centre, spread = (
                torch.as_tensor(f(nuisance, axis=0, dtype=np.float64)).float()
                for f in (np.mean, np.std)
            )
            deviation = whitening.encode(train.flux, nuisance, train.error).std(0).clamp_min(1e-10)
            self._training = self._start(whitening, deviation, centre, spread)
        model, optimiser = self._training.model, self._training.optimisers["flow"]
        seen = model.whitening.encode(train.flux, nuisance, train.error).to(self.device)
        u = model.flow.scaled(nuisance)

        def step(rows: torch.Tensor, share_done: float) -> dict[str, torch.Tensor]:
            set_rate(optimiser, settings.learning_rate * one_cycle(share_done))
            loss = model.flow.loss(seen[rows], u[rows])
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            return {"loss": loss}

        run_epochs(
            self,
            self._training,
            monitor,
            n_items=len(seen),
            epochs=settings.epochs,
            usual_epochs=settings.usual_epochs,
            batch_size=settings.batch_size,
            step=step,
        )

    def _start(
        self,
        whitening: Whitening,
        deviation: torch.Tensor,
        centre: torch.Tensor,
        spread: torch.Tensor,
    ) -> Training[_Model]:
        settings = self.hyperparameters
        torch.manual_seed(self.seed)
        flow = Flow(deviation, centre, spread, settings).to(self.device)
        optimiser = adam(flow.parameters(), settings.learning_rate)
        return Training(_Model(whitening, flow), {"flow": optimiser})

    def encode(
        self, flux: np.ndarray, nuisance: np.ndarray | None, error: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the latents [n, latent] of spectra; see `Method.encode`."""
        model, u = self._fitted.model, required(nuisance, "nuisance")
        whitened = model.whitening.encode(flux, u, error).to(self.device)
        with torch.no_grad():
            parts = zip(
                torch.split(whitened, _ROWS), torch.split(model.flow.scaled(u), _ROWS), strict=True
            )
            return torch.cat([model.flow(y, u)[0] for y, u in parts]).cpu().numpy()

    def decode(self, latent: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:
        """Invert the flow, then the whitening."""
        model, u = self._fitted.model, required(nuisance, "nuisance")
        z = torch.as_tensor(latent).to(self.device)
        with torch.no_grad():
            whitened = model.flow.inverse(z, model.flow.scaled(u)).cpu()
        return model.whitening.decode(whitened, u)

    def state(self) -> dict[str, torch.Tensor]:
        """Return the whitening, the flow and the optimiser's moments."""
        return self._fitted.state()

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what `state` returned."""
        whitening = Whitening.from_state(
            sub_state(state, "model.whitening."), self.hyperparameters.degree
        )
        sizes = ("deviation", "nuisance_centre", "nuisance_spread")
        self._training = self._start(whitening, *(state[f"model.flow.{name}"] for name in sizes))
        self._training.load_state(state)

    @property
    def n_parameters(self) -> int:
        """Number of weights of the flow, and of entries of the whitening."""
        model = self._fitted.model
        return model.whitening.n_parameters + sum(p.numel() for p in model.flow.parameters())
