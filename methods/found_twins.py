r"""Found twins: train Fader, find twins by its latents, and train on them as if they had been told.

No measure of dependence on the nuisance u sees a latent that turns with u
(`docs/gauge.md`), but twins do. This method reads no label that says which spectra are twins. It
trains Fader's objective (`starbench.methods.fader`) and then, in each of some rounds, finds pairs
among the latents of the training spectra (`starbench.methods.parts.found_pairs`): mutual nearest
neighbours that differ in u, again after what u explains of their differences has been subtracted.
It then trains on with spectra reconstructed from the latents of their mates. With m(x) the mate of
a spectrum x with probability s where one was found, and x itself otherwise, and u' the nuisance of
m(x),

.. math::

    L_{E,D} = |x - D(z, u)|^2 / \mathrm{variance} - w\, L_A(z, u'), \qquad z = E(m(x), u'),

with the cross-entropy L_A of Fader's adversary. Latents are searched as twins are ranked, so after
refinement and noise matching where spectra have noise.

It works because the training set holds a twin of every star, which is knowledge about pairs, so
its label access is ``pairs``: found, not told. Without twins in the training set it gains nothing
(`methods/TUNING.md`).

References
----------
Dwibedi et al. (2021), "With a little help from my friends: nearest-neighbor contrastive learning of
visual representations", ICCV, for positives that are found among nearest neighbours.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, final

import numpy as np
import torch

from starbench.methods.base import Diagnostic, Method, Monitor, View, option, required
from starbench.methods.fader import FaderSettings, parts
from starbench.methods.parts.autoencoder import Autoencoder
from starbench.methods.parts.classifier import DIAGNOSTIC, ClassifierPenalty
from starbench.methods.parts.errors import typical_noise, with_plain_noise
from starbench.methods.parts.found_pairs import Search, found_pairs
from starbench.methods.parts.inputs import Inputs
from starbench.methods.parts.noise_matching import n_held_out
from starbench.methods.parts.objective import Batch
from starbench.methods.parts.training import sub_state
from starbench.methods.swap_consistency import swapped_rows

_TRAINING = "training."  # prefix of the autoencoder's state


@dataclass(frozen=True)
class Settings(FaderSettings):
    """Hyperparameters of found twins."""

    rounds: int = option(2, "rounds of finding twins and training on them", low=0, high=20)
    round_epochs: float = option(
        0.33,
        "epochs of a round, as a share of those before the first",
        low=0.0,
        high=10.0,
        tuned=(0.1, 1),
    )
    round_rate: float = option(
        0.5, "peak learning rate of a round, relative to learning_rate", low=0.0, high=1.0
    )
    swap_share: float = option(
        0.75,
        "share s of spectra with a mate that are reconstructed from it",
        low=0.0,
        high=1.0,
        tuned=(0.3, 1),
    )
    search_axes: int = option(14, "axes of the latent by which twins are found", low=1)
    search_shift: float = option(
        0.2,
        "least difference of found twins along some nuisance, as a share of its range",
        low=0.0,
        high=1.0,
        tuned=(0.05, 0.5),
    )
    corrections: int = option(
        5, "how often the explained differences are subtracted in a search", low=0, high=100
    )


def with_mates(batch: Batch, share: float) -> Batch:
    """Return a batch with mates in place of a share of its spectra."""
    return replace(batch, rows=swapped_rows(batch, share))


@final
class _Stage(Autoencoder):
    """Fader with mates in place of twins; where each spectrum is its own mate, Fader itself."""

    name = "fader"
    label_access = "pairs"
    reference = "starbench.methods.fader"
    Hyperparameters = Settings
    hyperparameters: Settings

    def build(self, inputs: Inputs) -> ClassifierPenalty:
        """Build Fader's networks and adversary."""
        settings = self.hyperparameters
        source = partial(with_mates, share=settings.swap_share)
        return ClassifierPenalty(*parts(settings, inputs), source)


class _Epochs:
    """Reports the epochs of a stage to the monitor as those of the whole method."""

    def __init__(self, method: "FoundTwins", monitor: Monitor) -> None:
        self._method, self._monitor = method, monitor

    def start(self, method: Method, epochs: int) -> None:
        self._monitor.start(self._method, self._method.epochs_in_all(epochs))

    def epoch(self, method: Method, epoch: int, values: dict[str, float]) -> None:
        self._monitor.epoch(self._method, self._method.epochs_before + epoch, values)


@final
class FoundTwins(Method):
    """Fader, trained on with the twins that it finds by itself.

    Attributes
    ----------
    round : int
        Rounds begun; 0 before twins are searched for.
    mates : torch.Tensor [n_spectra], int64
        Row of each training spectrum's mate, its own row where none was found, as in round 0.
    """

    name = "found-twins"
    label_access = "pairs"
    takes_errors = True
    reference = "this benchmark; after Dwibedi et al. 2021 and Lample et al. 2017"
    Hyperparameters = Settings
    hyperparameters: Settings
    diagnostics: ClassVar[tuple[Diagnostic, ...]] = (DIAGNOSTIC,)

    def __init__(self, hyperparameters: Any = None, *, seed: int = 0, device: str = "cpu") -> None:
        super().__init__(hyperparameters, seed=seed, device=device)
        self._enter(0, first_epochs=0)

    def _enter(self, number: int, *, first_epochs: int) -> None:
        """Make the untrained autoencoder of a round."""
        self.round, self._first_epochs = number, first_epochs
        self.mates = torch.zeros(0, dtype=torch.int64)
        settings = self.hyperparameters
        if number > 0:
            settings = replace(
                settings,
                epochs=self._round_epochs,
                learning_rate=settings.round_rate * settings.learning_rate,
                adversary_ramp=0.0,  # the latent is disentangled already
            )
        self._stage = _Stage(settings, seed=self.seed + number, device=self.device)

    @property
    def _round_epochs(self) -> int:
        return max(1, round(self.hyperparameters.round_epochs * self._first_epochs))

    @property
    def epochs_before(self) -> int:
        """Number of epochs before the present round."""
        if self.round == 0:
            return 0
        return self._first_epochs + (self.round - 1) * self._round_epochs

    def epochs_in_all(self, epochs: int) -> int:
        """Return the epochs of the whole fit, given those of the present round."""
        if self.round == 0:
            self._first_epochs = epochs
        return self._first_epochs + self.hyperparameters.rounds * self._round_epochs

    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Train Fader, then find twins and train on them; no label of siblings is read."""
        watch = _Epochs(self, monitor)
        if not len(self.mates):
            self.mates = torch.arange(len(train))
        while True:
            known = replace(train, twin=self.mates.numpy(), group=None)
            self._stage.fit(known, validation, watch)
            if self.round == self.hyperparameters.rounds:
                return
            self._next_round(self._found_mates(train))

    def _found_mates(self, train: View) -> torch.Tensor:
        settings, nuisance = self.hyperparameters, required(train.nuisance, "nuisance")
        noise = typical_noise(with_plain_noise(train))
        # Autoencoders are fitted to so many spectra; mates among the others are of no use.
        rows = slice(len(train) - (n_held_out(len(train)) if noise is not None else 0))
        error = None if train.error is None else train.error[rows]
        latent = self._stage.encode(train.flux[rows], nuisance[rows], error)
        search = Search(settings.search_axes, settings.search_shift, settings.corrections)
        first, second = torch.from_numpy(found_pairs(latent, nuisance[rows], search)).T
        mates = torch.arange(len(train))
        mates[first], mates[second] = second, first
        return mates

    def _next_round(self, mates: torch.Tensor) -> None:
        """Enter the next round with the networks, and the optimisers' moments, of this one."""
        state = self._stage.state()
        self._enter(self.round + 1, first_epochs=self._first_epochs)
        self.mates = mates
        self._stage.load_state(state | {"epochs_done": torch.tensor(0)})

    def encode(
        self, flux: np.ndarray, nuisance: np.ndarray | None, error: np.ndarray | None = None
    ) -> np.ndarray:
        """Encode spectra; see `Method.encode`."""
        return self._stage.encode(flux, nuisance, error)

    def decode(self, latent: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:
        """Reconstruct spectra; see `Method.decode`."""
        return self._stage.decode(latent, nuisance)

    def state(self) -> dict[str, torch.Tensor]:
        """Return the round, its mates, and the state of its autoencoder."""
        training = {_TRAINING + name: value for name, value in self._stage.state().items()}
        numbers = {"round": self.round, "first_epochs": self._first_epochs}
        return (
            {name: torch.tensor(value) for name, value in numbers.items()}
            | {"mates": self.mates}
            | training
        )

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what `state` returned."""
        self._enter(int(state["round"]), first_epochs=int(state["first_epochs"]))
        self.mates = state["mates"]
        self._stage.load_state(sub_state(state, _TRAINING))

    @property
    def n_parameters(self) -> int:
        """Number of weights of the encoder and the decoder, principal components included."""
        return self._stage.n_parameters
