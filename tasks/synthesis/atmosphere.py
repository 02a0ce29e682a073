"""Model atmospheres: T(tau) from MARCS models, in hydrostatic equilibrium with the engine.

The temperature at each optical depth at 5000 A comes from ``temperatures.csv``
(`build_temperatures`). The gas pressure then follows from

    d ln P / d ln tau = g tau / (kappa P),

with the continuous opacity kappa(T, P) at 5000 A of SMElib, whose equation of state includes
molecules; radiation pressure, turbulent pressure and the line opacity at 5000 A are neglected. As
the pressure is a smooth function of Teff, log g and [M/H], it is solved once on a grid of nodes
(``pressures.npz``, ``python -m starbench.tasks.synthesis.atmosphere``) and interpolated for each
star by cubic splines. The other densities are solved for each star by the engine.
"""

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.interpolate import CubicSpline
from tqdm import tqdm

from starbench.tasks.arrays import Floats
from starbench.tasks.synthesis import engine

TEMPERATURES_PATH = Path(__file__).resolve().with_name("temperatures.csv")
PRESSURES_PATH = Path(__file__).resolve().with_name("pressures.npz")

NODES = {
    "Teff": np.linspace(3900, 5100, 5),
    "logg": np.linspace(1.3, 3.2, 4),
    "M/H": np.linspace(-1.2, 0.6, 5),
}

# Half the layers above log tau = -1.2 suffice for the transfer: the flux changes by less than 7e-5
# rms, the time by a fifth.
_TRANSFER_LAYERS = np.r_[0:28:2, 28:58]

# SMElib needs a line even where only the equation of state and the continuum are computed.
_ANY_LINE = pd.DataFrame(
    {
        "species": ["Fe 1"],
        "wlcent": 5000.5,
        "excit": 3.0,
        "gflog": -3.0,
        "gamrad": 0.0,
        "gamqst": 0.0,
        "gamvw": 0.0,
    }
)


def temperature_structure(teff: float, logg: float) -> tuple[Floats, Floats]:
    """Return log10 of the optical depth at 5000 A and the temperature [K] there, surface first."""
    table = pd.read_csv(TEMPERATURES_PATH)
    ratio = (
        table["shape"] + table["by_teff"] * (teff - 4286) / 1000 + table["by_logg"] * (logg - 1.66)
    )
    return table["log_tau"].to_numpy(), teff * ratio.to_numpy()


def solve_pressure(teff: float, logg: float, metallicity: float) -> Floats:
    """Solve the hydrostatic equation for the gas pressure.

    Parameters
    ----------
    teff, logg : float
        Effective temperature [K] and surface gravity [dex, cgs].
    metallicity : float
        [M/H] [dex] of all elements but H and He.

    Returns
    -------
    numpy.ndarray [n_depths]
        Gas pressure [dyn/cm2] at the depths of `temperature_structure`.

    Raises
    ------
    EngineError
        If the iteration does not converge to 3e-4.
    """
    log_tau, temperature = temperature_structure(teff, logg)
    abundances = engine.solar_abundances()
    abundances[2:] += metallicity
    ln_tau = np.log(10) * log_tau
    gravity = 10**logg
    ln_pressure = np.log(gravity * 3e2) + 0.6 * ln_tau  # converges in ten steps from here
    for _ in range(40):
        engine.set_model(teff, logg, 1.5, temperature, np.exp(ln_pressure), abundances, _ANY_LINE)
        # dP / d ln tau, a power law of tau above the first layer and between any two
        gradient = gravity * np.exp(ln_tau) / engine.continuous_opacity(5000.0)
        powers = np.diff(np.log(gradient)) / np.diff(ln_tau)
        steps = np.diff(gradient) / powers
        update = np.log(gradient[0] / powers[0] + np.concatenate([[0.0], np.cumsum(steps)]))
        change = np.abs(update - ln_pressure).max()
        ln_pressure = 0.5 * (
            update + ln_pressure
        )  # kappa increases with P, so a full step overshoots
        if change < 3e-4:
            pressure: Floats = np.exp(ln_pressure)
            return pressure
    raise engine.EngineError(f"the pressure did not converge at {teff} K, {logg}, {metallicity}")


class Atmospheres:
    """Atmospheres at any Teff, log g and [M/H] within the nodes, by interpolation of ln P.

    Parameters
    ----------
    path : pathlib.Path
        The file that `build_pressures` writes.
    """

    def __init__(self, path: Path = PRESSURES_PATH):
        with np.load(path) as nodes:
            self._axes = [nodes[name] for name in NODES]
            self._ln_pressure = nodes["ln_pressure"].astype(float)

    def __call__(self, teff: float, logg: float, metallicity: float) -> tuple[Floats, Floats]:
        """Return temperature [K] and gas pressure [dyn/cm2] of 44 layers, from the surface inwards.

        Raises
        ------
        ValueError
            If a parameter lies outside the nodes.
        """
        values = self._ln_pressure
        for name, axis, x in zip(NODES, self._axes, (teff, logg, metallicity), strict=True):
            if not axis[0] <= x <= axis[-1]:
                raise ValueError(
                    f"{name} = {x} is outside the range of the atmospheres, {axis[0]} to {axis[-1]}"
                )
            values = CubicSpline(axis, values)(x)
        temperature = temperature_structure(teff, logg)[1]
        return temperature[_TRANSFER_LAYERS], np.exp(values[_TRANSFER_LAYERS])


def _node(point: tuple[float, float, float]) -> Floats:
    return engine.isolated(solve_pressure, *point)


def build_pressures(path: Path = PRESSURES_PATH, workers: int = 2) -> None:
    """Solve all nodes; write ln P [ln dyn/cm2] as [Teff, log g, M/H, depth], and the axes."""
    points = list(itertools.product(*NODES.values()))
    with ThreadPoolExecutor(workers) as pool:
        pressure = list(tqdm(pool.map(_node, points), total=len(points), desc="atmospheres"))
    shape = tuple(map(len, NODES.values()))
    ln_pressure = np.log(pressure).reshape(*shape, -1).astype(np.float32)
    np.savez_compressed(path, ln_pressure=ln_pressure, **NODES)  # type: ignore[arg-type]  # mypy takes an array for `allow_pickle`


if __name__ == "__main__":
    build_pressures()
