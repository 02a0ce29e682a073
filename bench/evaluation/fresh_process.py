"""A check that the state of a method holds all it knows, asked of every run.

A method may remember spectra while it encodes them, read the stack of the harness or the data set
in the cache, and answer from that. So some test spectra are encoded again, and their latents
decoded, by a new instance that has `state()` and nothing else: a method that is not starbench's own
in a new process, whose cache is empty, and any other in this one. What a method finds elsewhere on
the machine no such check can exclude.

The new process costs the import of torch and of the method, some two seconds.
"""

import ast
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from starbench.common import checkpoint
from starbench.common.files import write_json
from starbench.common.sources import is_own, package_folder
from starbench.common.spread import spread
from starbench.common.text import one_line
from starbench.evaluation.consistency import CHANGED, differing
from starbench.evaluation.encoding import OutputError, checked_output
from starbench.evaluation.views import SplitView
from starbench.methods.base import Method, encode_spectra
from starbench.methods.registry import get_method
from starbench.tasks.storage.cache import ENVIRONMENT

SPECTRA = 100
_LONGEST = 600.0  # seconds that a new process may take
_CHANGED = 1e-3  # of the standard deviation over stars; rounding stays far below
_FEW = 0.02  # of the spectra may change more


@dataclass(frozen=True)
class Output:
    """Latents of some spectra, and the flux decoded from given latents, if there is a decoder."""

    latent: np.ndarray
    decoded: np.ndarray | None


@dataclass(frozen=True)
class Sample:
    """What an instance is asked.

    Attributes
    ----------
    flux : numpy.ndarray [n, n_pixels]
    nuisance : numpy.ndarray [n, n_nuisance] or None
        As `Method.encode` takes it.
    error : numpy.ndarray [n, n_pixels] or None
        Of the flux, in a survey.
    latent : numpy.ndarray [n, n_latent]
        To decode, at the same nuisance.
    """

    flux: np.ndarray
    nuisance: np.ndarray | None
    error: np.ndarray | None
    latent: np.ndarray

    def output(self, method: Method) -> Output:
        """Return what a method answers."""
        (n, n_pixels), name, decoded = self.flux.shape, method.name, None
        if method.has_decoder:  # before it has seen the spectra
            decoded = checked_output(
                method.decode(self.latent, self.nuisance), n, f"decode of {name}", n_pixels
            )
        latent = encode_spectra(method, self.flux, self.nuisance, self.error)
        return Output(checked_output(latent, n, f"encode of {name}"), decoded)


def require_state(
    method: Method, make: Callable[[], Method], state: Path, view: SplitView, latent: np.ndarray
) -> None:
    """Ask a new instance with the scored state for some latents and reconstructions.

    Parameters
    ----------
    method : Method
        The scored one, which is no oracle control.
    make : callable
        Returns an unfitted instance.
    state : pathlib.Path
        Checkpoint of the scored state.
    view : SplitView
    latent : numpy.ndarray [n_pairs, 2, d], float32
        Of all spectra of the view, in the order of the data.

    Raises
    ------
    OutputError
        If the new instance fails, or its output differs by more than rounding, or is not finite
        for other spectra.
    """
    # Other spectra than those that were encoded last, which a small memory might still hold.
    rows = np.random.default_rng(1).permutation(len(view.order))[:SPECTRA]
    nuisance, error = (
        None if labels is None else labels[rows] for labels in (view.view.nuisance, view.view.error)
    )
    latent = latent.reshape(len(view.order), -1)[view.order[rows]]
    sample = Sample(view.view.flux[rows], nuisance, error, latent)
    address = _address(type(method))
    if address is None:
        new = make()
        new.load_state(checkpoint.load(state)[0])
        again = sample.output(new)
    else:
        again = _in_new_process(method, address, state, sample)
    what = f"encode of {method.name} gives other latents"
    _compare(method, latent, again.latent, what, each_dimension=True)
    if again.decoded is not None:
        decoded = sample.output(method).decoded
        assert decoded is not None
        what = f"decode of {method.name} gives other spectra"
        _compare(method, decoded, again.decoded, what)


def _compare(
    method: Method,
    before: np.ndarray,
    again: np.ndarray,
    what: str,
    *,
    each_dimension: bool = False,
) -> None:
    """Raise `OutputError` unless the finite rows are alike, and the same rows are finite.

    Dimensions of latents have scales of their own; the pixels of spectra share one.
    """
    finite = np.isfinite(before).all(axis=1)
    if before.shape == again.shape and (finite == np.isfinite(again).all(axis=1)).all():
        before, again = before[finite], again[finite]
        if np.array_equal(before, again):
            return
        apart = np.sqrt(((again - before) ** 2).mean(axis=1))
        near = apart <= _CHANGED * before.std(axis=0).mean()
        if each_dimension:
            near &= (np.abs(again - before) <= CHANGED * spread(before)).all(axis=1)
        if np.count_nonzero(~near) <= _FEW * len(before):  # NaN is not near
            return
    raise differing(
        method,
        f"{what} where nothing but its state is known",
        "state() must hold all that encode and decode need, and they may remember no spectra",
    )


def _address(method_class: type[Method]) -> dict[str, str] | None:
    """Return how another process imports a class; None for starbench's own, or where it cannot."""
    module, name = method_class.__module__, method_class.__qualname__
    file = getattr(sys.modules.get(module), "__file__", None)
    if (
        is_own(module)
        or module == "__main__"
        or "<locals>" in name
        or file is None
        or not sys.executable
    ):
        return None
    if package_folder(module, Path(file)) is None:
        return {"method": f"{file}:{name}"}
    return {"module": module, "name": name}


def _in_new_process(method: Method, address: dict[str, str], state: Path, sample: Sample) -> Output:
    with TemporaryDirectory(prefix="starbench-") as temporary:
        folder = Path(temporary)
        arrays = {key: value for key, value in vars(sample).items() if value is not None}
        np.savez(folder / "sample.npz", **arrays)
        request: dict[str, Any] = {
            **address,
            "path": sys.path,
            "state": str(state.resolve()),
            "hyperparameters": repr(asdict(method.hyperparameters)),
            "seed": getattr(method, "seed", 0),
            "device": str(getattr(method, "device", "cpu")),
        }
        write_json(folder / "request.json", request)
        (folder / "cache").mkdir()
        try:
            ended = subprocess.run(
                [sys.executable, "-m", __name__, temporary],
                env={**os.environ, ENVIRONMENT: str(folder / "cache"), "OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_LONGEST,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise OutputError(
                f"{method.name} took more than {_LONGEST:.0f} s to encode {len(sample.flux)} "
                "spectra in a new process that has nothing but its state."
            ) from None
        answer = folder / "answer.npz"
        if ended.returncode or not answer.is_file():
            last = (ended.stderr.strip() or "no message").splitlines()[-1]
            raise OutputError(
                f"{method.name} cannot encode or decode in a new process that has nothing but its "
                f"state: {one_line(last)}"
            )
        with np.load(answer, allow_pickle=False) as found:
            return Output(found["latent"], found.get("decoded"))


def _main(folder: Path) -> None:
    """Answer the request in a folder."""
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    sys.path[:] = request["path"]
    method_class = get_method(
        request["method"]
        if "method" in request
        else attrgetter(request["name"])(importlib.import_module(request["module"]))
    )
    settings = method_class.Hyperparameters(**ast.literal_eval(request["hyperparameters"]))
    method = method_class(settings, seed=request["seed"], device=request["device"])
    method.load_state(checkpoint.load(Path(request["state"]))[0])
    with np.load(folder / "sample.npz", allow_pickle=False) as file:
        arrays = dict(file)
    sample = Sample(arrays["flux"], arrays.get("nuisance"), arrays.get("error"), arrays["latent"])
    output = sample.output(method)
    found = {"latent": output.latent}
    if output.decoded is not None:
        found["decoded"] = output.decoded
    np.savez(folder / "answer.npz", **found)  # type: ignore[arg-type]  # the stubs take the names for options


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
