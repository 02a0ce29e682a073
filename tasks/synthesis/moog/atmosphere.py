"""Model atmospheres of the second generator: ATLAS12, interpolated by the networks of atmosnet.

Each column of an atmosphere is the output of a network of two hidden layers of 300 neurons with
leaky rectifiers, in log10, at 80 layers from the surface inwards. The networks were trained by
their author (D. Nidever) on 17,038 ATLAS12 models of cool stars. Their own package raises e to
the outputs, which gives temperatures of some tens of kelvin; with 10 they are atmospheres.
"""

import functools

import numpy as np

from starbench.tasks.arrays import Floats
from starbench.tasks.synthesis.moog.install import ATMOSPHERES, installed

# Alpha elements that supply electrons, whose mean [X/Fe] by number is the [alpha/Fe] of the
# atmosphere; and the range of the models. O, S and Ti supply next to none.
ALPHA_ELEMENTS = ("Mg", "Si", "Ca")
ALPHA_RANGE = (-0.2, 0.6)


@functools.cache
def _networks() -> dict[str, Floats]:
    with np.load(installed(ATMOSPHERES)) as file:
        return {name: file[name].astype(float) for name in file.files}


def atmosphere(teff: float, logg: float, metallicity: float, alpha: float) -> Floats:
    """Return an atmosphere.

    Parameters
    ----------
    teff, logg : float
        Effective temperature [K], up to 8,500, and surface gravity [dex, cgs].
    metallicity, alpha : float
        [Fe/H] and [alpha/Fe] [dex].

    Returns
    -------
    numpy.ndarray [80, 5]
        Column mass [g/cm2], temperature [K], gas pressure [dyn/cm2], electrons [1/cm3] and
        Rosseland opacity [cm2/g] of each layer.

    Raises
    ------
    ValueError
        If a parameter lies outside the models.
    """
    network = _networks()
    x = np.array([teff, logg, metallicity, alpha])
    low, high = network["x_min"], network["x_max"]
    if not ((low <= x) & (x <= high)).all():
        raise ValueError(f"the atmosphere {x} lies outside the models, {low} to {high}")
    hidden = np.tile((x - low) / (high - low) - 0.5, (len(network["w_array_0"]), 1))
    for layer in "012":
        hidden = np.einsum("coi,ci->co", network[f"w_array_{layer}"], hidden)
        hidden += network[f"b_array_{layer}"]
        if layer != "2":
            hidden = np.where(hidden > 0, hidden, 0.01 * hidden)
    columns: Floats = 10**hidden.T
    return columns
