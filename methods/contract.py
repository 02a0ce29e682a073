"""The contract of methods, as checks whose messages say what to change.

`clauses` lists the checks; `check_method` runs them on small data. The test suite applies them to
every registered method, and ``starbench check METHOD`` to any method.
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from starbench.common import checkpoint
from starbench.common.spread import spread
from starbench.methods.base import (
    Method,
    OracleControl,
    Silent,
    View,
    encode_spectra,
    filled,
    required,
    unmasked_mean,
)
from starbench.results.reported import ReportError, check_names, count_of, is_bounded
from starbench.tasks.forward import ForwardModel

# Rounding may change latents with the batch, because matrix products sum in another order.
_ROUNDING = 1e-3
_MASKED_SHARE = 0.06  # of pixels, in spectra with errors


class Breach(AssertionError):
    """A violation of a clause of the contract."""


class _Interrupted(Exception):
    pass


class _InterruptAfter(Silent):
    """A monitor that keeps the method's state after a number of epochs and stops the fit there."""

    def __init__(self, epochs: int):
        self.epochs = epochs
        self.state: dict[str, torch.Tensor] = {}

    def epoch(self, method: Method, epoch: int, values: dict[str, float]) -> None:
        if epoch == self.epochs:
            self.state = {name: tensor.clone() for name, tensor in _state_of(method).items()}
            raise _Interrupted


class _Record(Silent):
    """A monitor that keeps what the method reports."""

    def __init__(self) -> None:
        self.started: list[object] = []  # numbers of epochs
        self.reported: list[tuple[int, dict[str, float]]] = []  # epochs and their values

    def start(self, method: Method, epochs: int) -> None:
        self.started.append(epochs)

    def epoch(self, method: Method, epoch: int, values: dict[str, float]) -> None:
        self.reported.append((epoch, dict(values)))


@dataclass
class Subject:
    """A method under examination, with small data to fit and to encode.

    Attributes
    ----------
    method : type of Method
    hyperparameters : dataclass
    train, validation : View
        With the labels that the method's label access allows.
    flux, nuisance : numpy.ndarray
        Spectra held out from the fit; nuisance is None for label access `none`.
    composition : numpy.ndarray, optional
        Their composition, for an `OracleControl`.
    unseen : numpy.ndarray, optional
        Their unseen parameters, for an `OracleControl`.
    forward : ForwardModel, optional
        How they are made, for an `OracleControl`.
    error : numpy.ndarray, optional
        Standard deviation of their noise in each pixel, infinite where it is masked.
    """

    method: type[Method]
    hyperparameters: Any
    train: View
    validation: View
    flux: np.ndarray
    nuisance: np.ndarray | None
    composition: np.ndarray | None = None
    unseen: np.ndarray | None = None
    forward: ForwardModel | None = None
    error: np.ndarray | None = None

    def new(self) -> Method:
        """Return an unfitted instance."""
        method = self.method(self.hyperparameters, seed=3)
        if isinstance(method, OracleControl):
            method.forward = self.forward
        return method

    def fit(self) -> Method:
        """Return a fitted instance."""
        fitted = self.new()
        fitted.fit(self.train, self.validation, Silent())
        return fitted

    @cached_property
    def recorded(self) -> tuple[Method, _Record]:
        """Another fitted instance, and what it reported."""
        record = _Record()
        fitted = self.new()
        fitted.fit(self.train, self.validation, record)
        return fitted, record

    def encode(self, fitted: Method, rows: Any = slice(None)) -> np.ndarray:
        """Encode some of the held-out spectra."""
        if isinstance(fitted, OracleControl):
            nuisance = required(self.nuisance, "nuisance")[rows]
            composition = required(self.composition, "composition")[rows]
            known = {} if self.unseen is None else {"unseen": self.unseen[rows]}
            if self.error is not None and fitted.takes_errors:
                known["error"] = self.error[rows]
            return fitted.encode_stars(self.flux[rows], nuisance, composition, **known)
        return encode_spectra(
            fitted,
            self.flux[rows],
            None if self.nuisance is None else self.nuisance[rows],
            None if self.error is None else self.error[rows],
        )

    def decode(self, fitted: Method, latent: np.ndarray) -> np.ndarray:
        """Decode latents at the nuisance of the held-out spectra."""
        return fitted.decode(latent, self.nuisance)

    @cached_property
    def noisy(self) -> "Subject":
        """The same spectra with noise, an error for each pixel, and masked pixels of flux 1."""
        held_out = View(self.flux, error=self.error)
        train, validation, seen = (
            _with_errors(view, seed)
            for seed, view in enumerate((self.train, self.validation, held_out))
        )
        return replace(self, train=train, validation=validation, flux=seen.flux, error=seen.error)

    @cached_property
    def fitted_to_noisy(self) -> Method:
        """An instance fitted to `noisy`, as the harness fits it."""
        return self.noisy.as_given().fit()

    def as_given(self) -> "Subject":
        """Return the spectra as the harness gives them: filled if the method takes no errors."""
        if self.method.takes_errors or self.train.error is None:
            return self
        mean = unmasked_mean(self.train.flux, self.train.error)
        held_out = View(self.flux, error=self.error)
        train, validation, seen = (
            replace(view, flux=filled(view.flux, view.error, mean), error=None)
            for view in (self.train, self.validation, held_out)
            if view.error is not None
        )
        return replace(self, train=train, validation=validation, flux=seen.flux, error=None)


def _with_errors(view: View, seed: int) -> View:
    """Return a view with noise of known errors and masked pixels, unless it has errors already."""
    if view.error is not None:
        return view
    rng = np.random.default_rng(seed)
    level = rng.uniform(0.005, 0.03, (len(view), 1))
    error = (level * rng.uniform(1, 2, view.flux.shape)).astype(np.float32)
    noisy = view.flux + error * rng.normal(size=error.shape).astype(np.float32)
    masked = rng.random(error.shape) < _MASKED_SHARE
    masked[:, 0] = False  # no spectrum is masked in all pixels
    error[masked], noisy[masked] = np.inf, 1
    return replace(view, flux=noisy, error=error, noise=None)


def _with_garbage(view: View) -> View:
    """Return a view with other values in the masked pixels."""
    error = required(view.error, "error")
    return replace(view, flux=np.where(np.isfinite(error), view.flux, np.float32(1e6)))


def _require(condition: bool, what_to_change: str) -> None:
    if not condition:
        raise Breach(what_to_change)


def _require_close(
    first: np.ndarray, second: np.ndarray, scale: np.ndarray, what_to_change: str
) -> None:
    """Require that arrays [n, d] differ by no more than rounding, given the scale [d] of each."""
    apart = np.abs(first - second)
    near = (apart <= _ROUNDING * scale).all(axis=0)
    worst = float(apart[:, ~near].max(initial=0.0))
    _require(bool(near.all()), f"{what_to_change} (they differ by {worst:.2g})")


def _state_of(method: Method) -> dict[str, torch.Tensor]:
    state = method.state()
    fault = checkpoint.state_fault(state)
    _require(not fault, f"state() {fault}")
    return state


def latents_have_shape_and_type(subject: Subject, fitted: Method) -> None:
    """Check that encode returns a float32 vector for each spectrum."""
    latent = subject.encode(fitted)
    _require(isinstance(latent, np.ndarray), "encode must return a numpy array")
    _require(
        latent.ndim == 2 and len(latent) == len(subject.flux),
        f"encode must return [n, d] for n = {len(subject.flux)} spectra, not {latent.shape}",
    )
    _require(latent.dtype == np.float32, f"encode must return float32, not {latent.dtype}")


def latents_are_finite(subject: Subject, fitted: Method) -> None:
    """Check that latents contain neither NaN nor infinity."""
    latent = subject.encode(fitted)
    bad = int((~np.isfinite(latent)).any(axis=1).sum())
    _require(bad == 0, f"{bad} of {len(latent)} latents contain NaN or infinity")


def same_seed_gives_same_latents(subject: Subject, fitted: Method) -> None:
    """Check that fitting twice with one seed gives the same latents."""
    again = subject.encode(subject.fit())
    message = "two fits with one seed must agree: seed every generator with self.seed"
    latent = subject.encode(fitted)
    _require_close(latent, again, spread(latent), message)


def saving_keeps_latents(subject: Subject, fitted: Method) -> None:
    """Check that a new instance that loads the state from a file gives the same latents."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        checkpoint.save(path, _state_of(fitted), {})
        restored = subject.new()
        restored.load_state(checkpoint.load(path)[0])
    message = "state() must hold everything that encode needs, and load_state restore it"
    try:
        latent = subject.encode(restored)
    except (AttributeError, TypeError, KeyError) as error:
        raise Breach(f"{message}: {error!r}") from error
    _require(np.array_equal(subject.encode(fitted), latent), message)


def encode_ignores_batch_and_order(subject: Subject, fitted: Method) -> None:
    """Check that a latent depends neither on the rest of the batch nor on its order."""
    latent = subject.encode(fitted)
    order = np.random.default_rng(0).permutation(len(latent))
    shuffled = np.empty_like(latent)
    shuffled[order] = subject.encode(fitted, order)
    scale = spread(latent)
    message = "encode must not depend on the order of the spectra"
    _require_close(latent, shuffled, scale, message)
    alone = np.concatenate([subject.encode(fitted, slice(i, i + 1)) for i in range(5)])
    message = "encode must not depend on the rest of the batch"
    _require_close(latent[:5], alone, scale, message)


def fit_and_encode_do_not_change_their_input(subject: Subject, fitted: Method) -> None:
    """Check that neither fit nor encode changes an array it is given."""
    arrays = {
        f"{name}.{field.name}": getattr(view, field.name)
        for name, view in (("train", subject.train), ("validation", subject.validation))
        for field in fields(View)
    }
    arrays |= {"encode's flux": subject.flux, "encode's nuisance": subject.nuisance}
    arrays |= {"encode's error": subject.error}
    arrays |= {"encode's composition": subject.composition, "encode's unseen": subject.unseen}
    arrays = {name: array for name, array in arrays.items() if isinstance(array, np.ndarray)}
    before = {name: array.copy() for name, array in arrays.items()}
    subject.encode(subject.fit())
    for name, array in before.items():
        _require(np.array_equal(array, arrays[name]), f"{name} was changed in place: copy it first")


def decode_is_consistent(subject: Subject, fitted: Method) -> None:
    """Check that decode returns a float32 spectrum for each latent, whatever the batch."""
    if not fitted.has_decoder:
        return
    latent = subject.encode(fitted)
    flux = subject.decode(fitted, latent)
    _require(
        flux.shape == subject.flux.shape and flux.dtype == np.float32,
        f"decode must return float32 {subject.flux.shape}, not {flux.dtype} {flux.shape}",
    )
    nuisance = None if subject.nuisance is None else subject.nuisance[:3]
    message = "decode must not depend on the rest of the batch"
    scale = np.asarray(float(np.std(flux)) or 1.0)  # pixels share one
    _require_close(flux[:3], fitted.decode(latent[:3], nuisance), scale, message)


def interrupted_fit_resumes(subject: Subject, fitted: Method) -> None:
    """Check that a fit interrupted midway and continued ends like an uninterrupted one."""
    uninterrupted, record = subject.recorded
    epochs = record.reported[-1][0] if record.reported else 0
    if epochs < 2:
        return  # nothing to interrupt
    interrupt = _InterruptAfter(epochs // 2)
    with contextlib.suppress(_Interrupted):
        subject.new().fit(subject.train, subject.validation, interrupt)
    resumed = subject.new()
    resumed.load_state(interrupt.state)
    resumed.fit(subject.train, subject.validation, Silent())
    message = "a continued fit must end like an uninterrupted one: save optimisers and epoch"
    latent = subject.encode(uninterrupted)
    _require_close(latent, subject.encode(resumed), spread(latent), message)


def rows_can_hold_what_is_reported(subject: Subject, fitted: Method) -> None:
    """Check the number of parameters, and the epochs and values that fit reports."""
    count_of(fitted.n_parameters, "n_parameters")
    _, record = subject.recorded
    for epochs in record.started:
        count_of(epochs, "the number of epochs that fit starts with")
    done = 0
    for epoch, values in record.reported:
        done = count_of(epoch, "the epoch that fit reports", done + 1)
        check_names(values)
        for name, value in values.items():
            _require(is_bounded(value, name), f"fit reports that {name} is {value}")


def diagnostics_are_reported(subject: Subject, fitted: Method) -> None:
    """Check that fit reports the quantities that the method's diagnostics name."""
    declared = {diagnostic.name for diagnostic in fitted.diagnostics}
    declared |= {diagnostic.reference for diagnostic in fitted.diagnostics if diagnostic.reference}
    if not declared:
        return
    _, record = subject.recorded
    watched = set(record.reported[-1][1]) if record.reported else set()
    missing = ", ".join(sorted(declared - watched))
    _require(not missing, f"fit must report the declared diagnostics to monitor.epoch: {missing}")


def masked_pixels_carry_no_weight(subject: Subject, fitted: Method) -> None:
    """Check that the flux in masked pixels changes no bit of a latent, in fit or in encode."""
    if issubclass(subject.method, OracleControl):
        return  # encodes the composition
    noisy = subject.noisy
    garbage = replace(
        noisy,
        train=_with_garbage(noisy.train),
        validation=_with_garbage(noisy.validation),
        flux=_with_garbage(View(noisy.flux, error=noisy.error)).flux,
    ).as_given()
    latent = noisy.as_given().encode(subject.fitted_to_noisy)
    message = "flux in pixels of infinite error must not change a latent: give them no weight"
    _require(np.array_equal(latent, garbage.encode(garbage.fit())), message)


def clauses_hold_with_errors(subject: Subject, fitted: Method) -> None:
    """Check latents, saving and independence of the batch where spectra have errors and masks."""
    if not subject.method.takes_errors or issubclass(subject.method, OracleControl):
        return
    for clause in (
        latents_have_shape_and_type,
        latents_are_finite,
        saving_keeps_latents,
        encode_ignores_batch_and_order,
    ):
        try:
            clause(subject.noisy, subject.fitted_to_noisy)
        except Breach as breach:
            raise Breach(f"with errors, {breach}") from None


def clauses() -> tuple[Callable[[Subject, Method], None], ...]:
    """Return the checks, each taking the subject and a fitted instance of its method."""
    return (
        latents_have_shape_and_type,
        latents_are_finite,
        same_seed_gives_same_latents,
        saving_keeps_latents,
        encode_ignores_batch_and_order,
        fit_and_encode_do_not_change_their_input,
        decode_is_consistent,
        rows_can_hold_what_is_reported,
        interrupted_fit_resumes,
        diagnostics_are_reported,
        masked_pixels_carry_no_weight,
        clauses_hold_with_errors,
    )


def check_method(subject: Subject) -> Iterator[tuple[str, str | None]]:
    """Run every clause; yield its name, and None or what to change.

    Labels beyond the method's label access are None, so a method that reads them fails to fit.
    """
    try:
        fitted = subject.fit()
    except (Exception, SystemExit) as error:  # third-party code may raise anything
        yield "fit_works_within_label_access", f"fit raised {error!r}"
        return
    yield "fit_works_within_label_access", None
    for clause in clauses():
        try:
            clause(subject, fitted)
        except (Exception, SystemExit) as error:
            known = isinstance(error, Breach | ReportError)
            yield clause.__name__, str(error) if known else repr(error)
        else:
            yield clause.__name__, None
