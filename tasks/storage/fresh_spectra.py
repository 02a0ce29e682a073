"""Fresh test spectra for methods in other frameworks, and the key that maps them to stars.

The file of spectra holds them in a secret order, without composition or twins. Whoever knows the
names of random streams could draw the stars again and look up the twins. Their stream
``test@BEACON-SECRET`` therefore holds a secret too, which stays in the key until the latents are
back; the file of spectra holds the key's SHA-256, so that the key cannot be chosen afterwards.

==============  =====================  =========================================
dataset         shape
==============  =====================  =========================================
``flux``        [n, n_pixels]          float32
``error``       [n, n_pixels]          float32, infinite where a pixel is masked; of surveys
``nuisance``    [n, n_nuisance]        float32, as methods get it
``wavelength``  [n_pixels]             float64
==============  =====================  =========================================

The root attributes are ``task``, ``version``, ``scale``, ``beacon``, ``key_sha256``,
``nuisance_names``, ``nuisance_units``, and ``snr`` if there is noise.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from starbench.common.files import new_hdf5, write_json
from starbench.common.progress import bar
from starbench.tasks.base import Spectra, Task
from starbench.tasks.errors import DataError
from starbench.tasks.fresh import FreshTest
from starbench.tasks.storage.files import large_file
from starbench.tasks.streams import inverse, permutation

_MAX_KEY_BYTES = 10_000
_MAX_BEACON = 191  # characters
_SMALL = 2**20  # bytes of what a file holds beside its spectra and labels


class Key(BaseModel):
    """What maps fresh spectra to the stars of a task.

    Attributes
    ----------
    task, version, scale
        Whose stars they are.
    beacon : str
        A public value that did not exist before.
    secret : str
        Known to the keeper of the key alone.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    task: str
    version: int
    scale: Literal["full", "mini", "tiny"]
    beacon: str
    secret: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @property
    def sha256(self) -> str:
        """Digest of the key, which the spectra and their latents carry."""
        text = json.dumps(self.model_dump(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def stars(self, task: Task) -> FreshTest:
        """Return the task with the fresh stars of the key.

        Raises
        ------
        DataError
            If the key is of another task.
        """
        if (task.name, task.version) != (self.task, self.version):
            raise DataError(
                f"The key is of {self.task}, version {self.version}, not of {task.name}, version "
                f"{task.version}; give the key of the spectra that were encoded."
            )
        return FreshTest(task, f"{self.beacon}-{self.secret}")

    def order(self, n_spectra: int) -> npt.NDArray[np.int64]:
        """Return for each spectrum of the file its star; of pairs numbered 2 * pair + half."""
        return permutation(f"starbench/fresh/{self.secret}/order", n_spectra)


def write_fresh(
    task: Task,
    scale: str,
    beacon: str,
    out: Path,
    key_file: Path,
    *,
    force: bool = False,
    progress: bool = True,
) -> Key:
    """Write fresh test spectra, and the key in a file of its own.

    Parameters
    ----------
    task : Task
    scale : str
    beacon : str
        See `starbench.tasks.fresh.FreshTest`.
    out, key_file : pathlib.Path
    force : bool
        Replace files of these names.
    progress : bool
        Draw a progress bar.

    Raises
    ------
    DataError
        If a file exists, or the task cannot draw other stars.
    """
    _check_request(task, scale, beacon, out, key_file, force)
    key = Key.model_validate(
        {
            "task": task.name,
            "version": task.version,
            "scale": scale,
            "beacon": beacon,
            "secret": secrets.token_hex(32),
        }
    )
    values = _drawn(task, key, progress)
    n_bytes = sum(data.nbytes for data in values.values()) + _SMALL
    with large_file(out, n_bytes, "choose another OUT") as new:
        _write(new, task, key, values)
        # Before the spectra get their name, as they would be of no use without it, but not before
        # they are written: the key of earlier spectra must not be lost to a full disk.
        write_json(key_file, {**key.model_dump(), "sha256": key.sha256})
    return key


def _write(path: Path, task: Task, key: Key, values: Mapping[str, Spectra]) -> None:
    with new_hdf5(path) as file:
        for name, data in {**values, "wavelength": task.wavelength}.items():
            file.create_dataset(name, data=data, track_times=False)
        file.attrs.update(
            {
                "task": task.name,
                "version": task.version,
                "scale": key.scale,
                "beacon": key.beacon,
                "key_sha256": key.sha256,
                "nuisance_names": list(task.nuisance_names),
                "nuisance_units": list(task.nuisance_units),
                **({} if task.snr is None else {"snr": task.snr}),
            }
        )


def _check_request(
    task: Task, scale: str, beacon: str, out: Path, key_file: Path, force: bool
) -> None:
    """Refuse files that exist, and stars that cannot be drawn."""
    for path in (out, key_file):
        if path.is_dir():
            raise DataError(f"{path} is a folder; give a file another name.")
        if (path.exists() or path.is_symlink()) and not force:
            raise DataError(f"{path} exists; choose another name, or give --force.")
    if out.resolve() == key_file.resolve():
        raise DataError(f"{out} cannot hold both spectra and key; give --key another file.")
    if scale == "own":
        raise DataError("Own pairs have no fresh stars; choose a task that draws its stars.")
    if len(beacon) > _MAX_BEACON:
        raise DataError(
            f"The beacon has {len(beacon)} characters; give at most {_MAX_BEACON}, as a secret is "
            "added to it."
        )
    FreshTest(task, beacon)  # refuses a beacon before the secret makes it long enough


def _drawn(task: Task, key: Key, progress: bool) -> dict[str, Spectra]:
    """Draw the stars of a key; return their arrays [n_spectra, ...] in its order."""
    stars = key.stars(task)
    stars.prepare(key.scale, progress=progress)
    n, each = stars.sizes(key.scale)["test"], task.card.spectra_each("test")
    rows = inverse(key.order(each * n)).reshape(n, each)
    values = {
        "flux": np.empty((each * n, len(task.wavelength)), np.float32),
        "nuisance": np.empty((each * n, len(task.nuisance_names)), np.float32),
    }
    unit = "star" if each == 1 else "pair"
    with bar(label="draw fresh stars", total=n, unit=unit, quiet=not progress) as drawn:
        for items, piece in stars.chunks("test", key.scale):
            values["flux"][rows[items]] = piece.flux
            values["nuisance"][rows[items]] = piece.nuisance
            if piece.error is not None:
                if "error" not in values:
                    values["error"] = np.empty_like(values["flux"])
                values["error"][rows[items]] = piece.error
            drawn.update(len(piece))
    return values


def read_key(path: Path) -> Key:
    """Read a key.

    Raises
    ------
    DataError
        If it is not one, or was edited.
    """
    try:
        if path.stat().st_size > _MAX_KEY_BYTES:
            raise ValueError("too large")
        content = json.loads(path.read_text(encoding="utf-8"))
        digest = content.pop("sha256")
        key = Key.model_validate(content)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); give the key.") from error
    except (ValueError, ValidationError, KeyError, AttributeError, TypeError) as error:
        raise DataError(
            f"{path} is not a key of fresh spectra; give the file that "
            "`starbench data export --fresh` wrote."
        ) from error
    if key.sha256 != digest:
        raise DataError(f"{path} was edited after it was written; restore it.")
    return key
