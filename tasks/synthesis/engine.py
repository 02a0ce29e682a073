"""Interface to SMElib, PySME's compiled core: model and lines in, intensities out.

PySME's `synthesize_spectrum` evaluates every hydrogen line over a thousand Angstrom, at every
wavelength and depth, which triples the time of a spectrum. The calls underneath it accept a range
for each line, so `intensities` limits the hydrogen lines to `HYDROGEN_REACH`, which makes the
Brackett lines affordable in every star.

SMElib keeps its state in globals and prints on stdout, and its equation of state may fail to
converge after another atmosphere was solved in the same process; `isolated` runs a function in a
new forked process with its output discarded.
"""

import contextlib
import functools
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from starbench.tasks.arrays import Floats

BOLTZMANN = 1.380649e-16  # erg/K
AMU = 1.66054e-24  # g

# ATLAS's continuous opacities, without those of hot stars (flags 14, 16 and above).
OPACITY_FLAGS = np.array([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0])
HYDROGEN_REACH = 150.0  # range of a hydrogen line on either side of its centre [Angstrom]
LINE_THRESHOLD = 1e-3  # range of other lines: down to this fraction of the continuous opacity
ADOPT_EOS = 2 + 4  # electron and mass density from the equation of state

Result = TypeVar("Result")

_TIMEOUT = 120.0  # seconds; a spectrum takes three


class EngineError(RuntimeError):
    """The engine crashed, hung or returned something that cannot be a spectrum."""


@functools.cache
def _library() -> Any:  # an object of PySME, which has no types
    """Return the handle of SMElib; raise `ImportError` where PySME is not installed."""
    home = os.environ.get("HOME")
    # On import PySME writes a configuration below the home directory; keep it out of the user's.
    os.environ["HOME"] = str(Path(tempfile.gettempdir()) / f"starbench-pysme-{os.getuid()}")
    Path(os.environ["HOME"]).mkdir(exist_ok=True)
    try:
        with quiet():
            from pysme.sme_synth import SME_DLL

            return SME_DLL()
    finally:
        if home is None:
            del os.environ["HOME"]
        else:
            os.environ["HOME"] = home


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Discard what C code prints on stdout and stderr."""
    saved = [os.dup(1), os.dup(2)]
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 1)
        os.dup2(null, 2)
        yield
    finally:
        for fd, copy in zip((1, 2), saved, strict=True):
            os.dup2(copy, fd)
            os.close(copy)
        os.close(null)


def _child(
    pipe: Connection, function: Callable[..., object], arguments: tuple[object, ...]
) -> None:
    os.chdir(tempfile.gettempdir())  # SMElib writes syntherr.log to the working directory
    try:
        with quiet():
            result: object = function(*arguments)
    except Exception as error:
        result = EngineError(f"{type(error).__name__}: {error}")
    pipe.send(result)


def isolated(
    function: Callable[..., Result], *arguments: object, timeout: float = _TIMEOUT
) -> Result:
    """Return ``function(*arguments)``, evaluated in a new forked process.

    Parameters
    ----------
    function : callable
        Any function that uses the engine.
    timeout : float
        Seconds after which the process is killed.

    Raises
    ------
    EngineError
        If the function raised, the process died or the timeout passed.
    """
    with contextlib.suppress(ImportError):
        _library()  # in the parent, so that children need not import it again
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sender, function, arguments), daemon=True)
    process.start()
    sender.close()
    try:
        if not receiver.poll(timeout):
            raise EngineError(f"the engine gave no result within {timeout:.0f} s")
        result: Result | EngineError = receiver.recv()
    except EOFError:
        process.join()
        raise EngineError(f"the process ended with exit code {process.exitcode}") from None
    finally:
        process.kill()
        process.join()
        receiver.close()
    if isinstance(result, EngineError):
        raise result
    return result


def solar_abundances() -> Floats:
    """Return log10 (N_X / N_H) + 12 of the 99 elements in the Sun (Asplund et al. 2009)."""
    from pysme.abund import Abund

    values: Floats = Abund(monh=0, pattern="asplund2009")("H=12", raw=True)
    return values


def element_symbols() -> list[str]:
    """Return the symbols of the 99 elements in the order of `solar_abundances`."""
    from pysme.abund import elements

    return list(elements)


class _Abundances:
    """Argument of `SME_DLL.InputAbund`: a callable that returns SME's scale, log10 X/N_total."""

    def __init__(self, h12: Floats):
        self._h12 = h12

    def __call__(self, kind: str, raw: bool = True) -> Floats:
        from pysme.abund import Abund

        values: Floats = Abund(monh=0, pattern=self._h12, type="H=12")("sme", raw=True)
        return values


class _Lines:
    """Argument of `SME_DLL.InputLineList`."""

    def __init__(self, frame: pd.DataFrame):
        names = ["wlcent", "excit", "gflog", "gamrad", "gamqst", "gamvw"]
        ion = frame["species"].str.split().str[1].to_numpy(float)
        self._columns = {
            "species": frame["species"].to_numpy(str),
            "ionization": ion,
            "atomic": np.column_stack([np.ones(len(frame)), ion, frame[names].to_numpy(float)]),
        }

    def __len__(self) -> int:
        return len(self._columns["ionization"])

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self._columns[name]


def set_model(
    teff: float,
    logg: float,
    vmic: float,
    temperature: Floats,
    pressure: Floats,
    abundances: Floats,
    lines: pd.DataFrame,
) -> None:
    """Give a model atmosphere, abundances and lines to the engine; solve the equation of state.

    Parameters
    ----------
    teff, logg, vmic : float
        Effective temperature [K], surface gravity [dex, cgs], microturbulence [km/s].
    temperature, pressure : numpy.ndarray [n_depths]
        Temperature [K] and gas pressure [dyn/cm2], from the surface inwards.
    abundances : numpy.ndarray [99]
        log10 (N_X / N_H) + 12.
    lines : pandas.DataFrame
        As `starbench.tasks.synthesis.lines.load_lines` returns them.
    """
    dll = _library()
    particles = pressure / (BOLTZMANN * temperature)
    electrons = 1e-4 * particles  # a guess; the equation of state replaces it
    atoms = particles - electrons
    dll.SetContinuumOpacityGrid("adaptive")
    dll.SetContinuumScatteringSourceMode(0)
    dll.InputLineList(_Lines(lines))
    model = {
        "depth": "RHOX",
        "RHOX": pressure / 10**logg,  # column mass [g/cm2] in hydrostatic equilibrium
        "temp": temperature,
        "xne": electrons,
        "xna": atoms,
        "rho": 1.25 * AMU * atoms,
        "wlstd": 5000.0,
        "geom": "PP",
        "opflag": OPACITY_FLAGS,
    }
    dll.InputModel(teff, logg, vmic, model)
    dll.InputAbund(_Abundances(abundances))
    dll.Ionization(ADOPT_EOS)
    dll.SetVWscale(1.0)
    dll.SetH2broad(True)


def continuous_opacity(wavelength: float) -> Floats:
    """Return the continuous opacity [cm2/g] of the model's layers at a wavelength [Angstrom]."""
    dll = _library()
    dll.InputWaveRange(wavelength, wavelength + 1)
    dll.Opacity()
    opacity: Floats = dll.GetOpacity("COPBLU")
    return opacity


def line_depths(first: float, last: float) -> Floats:
    """Return the central depth of each line without the others, for air wavelengths [Angstrom].

    It is the depth at disc centre, with only thermal and microturbulent broadening.
    """
    dll = _library()
    centre = np.array([1.0])
    dll.InputWaveRange(first, last)
    dll.Opacity()
    dll.Transf(
        centre, wave=np.array([first, last]), accrt=LINE_THRESHOLD
    )  # prepares the line opacities
    depths: Floats = dll.CentralDepth(centre, LINE_THRESHOLD)
    return depths


def intensities(
    wavelength: Floats,
    mu: Floats,
    lines: pd.DataFrame,
    threshold: float = LINE_THRESHOLD,
    reach: float = HYDROGEN_REACH,
) -> tuple[Floats, Floats]:
    """Solve the transfer equation in the current model.

    Parameters
    ----------
    wavelength : numpy.ndarray [n]
        Air wavelengths [Angstrom], ascending.
    mu : numpy.ndarray [n_mu]
        Cosines of the angle to the normal.
    lines : pandas.DataFrame
        The lines given to `set_model`.
    threshold, reach : float
        See `LINE_THRESHOLD` and `HYDROGEN_REACH`.

    Returns
    -------
    line, continuum : numpy.ndarray [n_mu, n]
        Specific intensities with and without the lines, erg/cm2/s/sr/Angstrom up to a constant.
    """
    dll = _library()
    dll.InputWaveRange(wavelength[0] - 2, wavelength[-1] + 2)
    dll.Opacity()
    ratio, reaches = dll.ALMAXRange(accrt=threshold)
    hydrogen = (lines["species"] == "H 1").to_numpy()
    centre = lines["wlcent"].to_numpy()[hydrogen]
    reaches[hydrogen, 0] = np.maximum(reaches[hydrogen, 0], centre - reach)
    reaches[hydrogen, 1] = np.minimum(reaches[hydrogen, 1], centre + reach)
    dll.InputLinePrecomputedInfo(reaches[:, 0], reaches[:, 1], hydrogen | (ratio > threshold))
    dll.SetLineInfoMode(1)
    _, _, line, continuum = dll.Transf(mu, wave=wavelength, accrt=threshold)
    return line, continuum
