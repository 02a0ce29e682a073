"""Scoring on fresh test stars, without a fit: a fixed state of a method, or latents from a file."""

import hashlib
from pathlib import Path

import h5py
import numpy as np

from starbench.common.hdf5_guards import (
    UNREADABLE,
    local_object,
    open_hdf5,
    read_numbers,
)
from starbench.common.progress import bar
from starbench.evaluation.latents import MAX_LATENT, as_float32, offset_of, storage_fault
from starbench.evaluation.scoring import Scores, score
from starbench.evaluation.splits import score_split
from starbench.evaluation.views import Labels, Views, unshuffle
from starbench.methods.base import Method
from starbench.tasks.errors import DataError
from starbench.tasks.fresh import FreshTest
from starbench.tasks.storage.files import text_list
from starbench.tasks.storage.fresh_spectra import Key


def score_fresh(method: Method, task: FreshTest, scale: str, *, quiet: bool = False) -> Scores:
    """Encode the fresh test stars of a task with a fitted method, and score them.

    The order in which the method gets the spectra follows from the public value, so no state can
    hold it. Probes, which need the stars to train on, are left out.

    Parameters
    ----------
    method : Method
        In the state to score.
    task : FreshTest
    scale : str
    quiet : bool
        Draw no progress.

    Raises
    ------
    OutputError, Diverged
        If the method's output cannot be scored.
    """
    order = int.from_bytes(hashlib.sha256(task.value.encode()).digest()[:8], "big")
    view = Views(task, scale, type(method), order).of("test")
    with bar(
        label=f"score {method.name}",
        total=len(view.order) * (2 if method.has_decoder else 1),
        unit="spectra",
        unit_scale=True,
        quiet=quiet,
    ) as progress:
        scored = score_split(
            method, task, "test", scale, view, advance=progress.update, quiet=quiet
        )
    return scored.scores


def read_fresh_latents(path: Path, key: Key, n_spectra: int, each: int = 2) -> np.ndarray:
    """Read the latents that a method of any framework gave to fresh spectra.

    Parameters
    ----------
    path : pathlib.Path
        HDF5 with ``latent`` [n_spectra, d], in the order of the spectra, and the root attribute
        ``key_sha256`` of their file.
    key : Key
        Of these spectra.
    n_spectra : int
    each : int
        2 for pairs, 1 for the stars of a survey.

    Returns
    -------
    numpy.ndarray [n_spectra / each, each, d], float32
        In the order of the pairs or stars.

    Raises
    ------
    DataError
        With one sentence that says what to change.
    """
    if not path.is_file():
        raise DataError(f"{path} is not a file; give an HDF5 file of latents.")
    try:
        with open_hdf5(path) as file:
            stated = file.attrs.get("key_sha256")
            dataset = local_object(file, "latent")
            if stated is None:
                raise DataError(
                    f"{path} lacks the attribute key_sha256; copy it from the file of spectra, so "
                    "that the latents say of which spectra they are."
                )
            if text_list(stated) != (key.sha256,):
                raise DataError(
                    f"{path} holds latents of other spectra than the key's; give the key that was "
                    "written with these spectra."
                )
            if not isinstance(dataset, h5py.Dataset):
                raise DataError(f"{path} has no dataset latent; add it.")
            shape = dataset.shape
            if len(shape) != 2 or shape[0] != n_spectra or not 0 < shape[1] <= MAX_LATENT:
                raise DataError(
                    f"{path}: latent has shape {list(shape)}; give [{n_spectra}, d] with d at most "
                    f"{MAX_LATENT}, in the order of the spectra."
                )
            if fault := storage_fault(dataset):
                raise DataError(f"{path}: latent {fault}")
            values = read_numbers(dataset)
    except DataError:
        raise
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be read as HDF5; write it again.") from error
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        raise DataError(
            f"{path}: latent of spectrum {int(np.argmin(finite))} is not finite; write finite "
            "numbers there."
        )
    centred = values - offset_of(values) if values.dtype.itemsize > 4 else values
    return unshuffle(as_float32(centred), key.order(n_spectra), each)


def score_fresh_latents(path: Path, key: Key, task: FreshTest) -> Scores:
    """Score the latents of fresh spectra; see `read_fresh_latents`."""
    each = task.card.spectra_each("test")
    latent = read_fresh_latents(path, key, each * task.sizes(key.scale)["test"], each)
    return score(latent, Labels.of_task(task, "test", key.scale))
