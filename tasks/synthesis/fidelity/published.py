"""Compare the emulator with the spectra published by de Mijolla, Ness, Viti & Wheeler (2021).

The spectra themselves are compared, and so are their differences between two patterns of
abundances: what differs between two syntheses besides the abundances (code, atmospheres, wrong and
missing lines) largely cancels in a difference. It is fitted with the emulator's responses to all
abundances at once, and each fitted abundance is compared with the one that the authors put in.

The emulator stands in for PySME here. Its error is hundreds of times smaller than the differences
between the two codes, and everything is measured in a second.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from starbench.tasks.apogee_giants.emulator import Emulator
from starbench.tasks.arrays import Floats
from starbench.tasks.synthesis.fidelity.measure import rms
from starbench.tasks.synthesis.spectrum import LABEL_NAMES
from starbench.tasks.synthesis.wavelengths import CHIPS

# Columns of the published abundances [X/M], as their authors document them.
PUBLISHED_ELEMENTS = (
    "N", "O", "Na", "Mg", "Al", "Si", "S", "K", "Ca", "Ti", "V", "Mn", "Ni", "P", "Cr", "Co", "Rb",
)  # fmt: skip
# Columns of the labels that a fit varies: all [X/Fe]; the metallicity is that of the labels.
RATIOS = slice(3, None)
_STEP = 0.05  # dex on either side, of the responses
_BLOCK = 20  # pixels (some 4.5 A, about a line) of a block that the jackknife leaves out


@dataclass(frozen=True)
class Published:
    """The published spectra on the pixels of `aspcap_wavelengths`.

    Parameters
    ----------
    labels : numpy.ndarray [n, 19]
        In the order and units of `LABEL_NAMES`.
    flux : numpy.ndarray [n, 7214]
        Normalised flux.
    pattern : numpy.ndarray [n], int
        Number of each spectrum's pattern of abundances.
    cm : numpy.ndarray [n]
        The last parameter of each spectrum, which is not [C/Fe]; see `read_published`.
    """

    labels: Floats
    flux: Floats
    pattern: npt.NDArray[np.int64]
    cm: Floats


def read_published(path: Path) -> Published:
    """Read the published spectra.

    Their carbon follows the metallicity. The fifth parameter, ``cm`` in the authors' code and a
    parameter of the model atmosphere there, is not [C/Fe]: the spectra do not respond to it.

    Parameters
    ----------
    path : pathlib.Path
        An HDF5 file with ``flux`` [n, p], ``apstar_pixel`` [p] (index on the apStar grid),
        ``params`` [n, 5] (Teff [K], log g, [M/H], and the atmosphere's ``am`` and ``cm`` [dex]),
        ``abundances`` [n, 17] ([X/M] in the order of `PUBLISHED_ELEMENTS`; phosphorus and rubidium
        are left out) and ``pattern`` [n].
    """
    import h5py

    pixels = np.concatenate([np.arange(*chip) for chip in CHIPS])
    with h5py.File(path) as file:
        at = np.searchsorted(file["apstar_pixel"][:], pixels)
        if not np.array_equal(file["apstar_pixel"][:][at], pixels):
            raise ValueError(f"{path} lacks pixels of the ASPCAP grid")
        flux = file["flux"][:][:, at].astype(float)
        parameters, abundances = file["params"][:], file["abundances"][:]
        pattern = file["pattern"][:]
    labels = np.zeros((len(flux), len(LABEL_NAMES)))
    labels[:, :3] = parameters[:, :3]
    for element, ratio in zip(PUBLISHED_ELEMENTS, abundances.T, strict=True):
        if f"{element}/Fe" in LABEL_NAMES:
            labels[:, LABEL_NAMES.index(f"{element}/Fe")] = ratio
    return Published(labels, flux, pattern, parameters[:, 4])


def responses(emulator: Emulator, labels: Floats) -> Floats:
    """Return the change of the flux per dex of each [X/Fe], [n, 7214, 16], for labels [n, 19]."""
    n, ratios = len(labels), np.arange(len(LABEL_NAMES))[RATIOS]
    stars = np.repeat(labels, 2 * len(ratios), axis=0).reshape(n, len(ratios), 2, -1)
    for index, ratio in enumerate(ratios):
        stars[:, index, :, ratio] += (-_STEP, _STEP)
    flux = emulator.flux(stars.reshape(-1, labels.shape[1])).astype(float)
    flux = flux.reshape(n, len(ratios), 2, -1)
    change: Floats = (flux[:, :, 1] - flux[:, :, 0]) / (2 * _STEP)
    return change.swapaxes(1, 2)


@dataclass(frozen=True)
class DifferenceFit:
    """Differences of [X/Fe] [dex] that were fitted to differences of spectra.

    Parameters
    ----------
    value : numpy.ndarray [16]
        One difference of each [X/Fe], the same in all pairs of spectra.
    error : numpy.ndarray [16]
        Standard errors by a jackknife over blocks of wavelength: how far the lines agree.
    of_pair : numpy.ndarray [n, 16]
        Each pair of spectra fitted alone.
    residual : numpy.ndarray [n, 7214]
        Difference of the spectra minus the fit.
    """

    value: Floats
    error: Floats
    of_pair: Floats
    residual: Floats


def fit_differences(emulator: Emulator, midpoint: Floats, change: Floats) -> DifferenceFit:
    """Fit one difference of each [X/Fe] to differences of spectra, by least squares.

    All [X/Fe] are free at once. The responses are those of the emulator halfway between the two
    spectra of a pair, which leaves an error of third order in the difference.

    Parameters
    ----------
    emulator : Emulator
    midpoint : numpy.ndarray [n, 19]
        Mean labels of the two spectra of each pair.
    change : numpy.ndarray [n, 7214]
        The second spectrum minus the first.
    """
    response = responses(emulator, midpoint)
    starts = np.arange(0, change.shape[1], _BLOCK, dtype=np.int64)
    # The normal equations of each block: all fits are sums of these.
    products = np.array([_products(x, starts) for x in response])
    sides = np.add.reduceat(response * change[:, :, None], starts, axis=1)
    product, side = products.sum(axis=(0, 1)), sides.sum(axis=(0, 1))
    value = np.linalg.solve(product, side)
    without = np.linalg.solve(product - products.sum(axis=0), (side - sides.sum(axis=0))[..., None])
    n_blocks = len(starts)
    return DifferenceFit(
        value,
        np.sqrt(n_blocks - 1) * without[..., 0].std(axis=0),
        np.linalg.solve(products.sum(axis=1), sides.sum(axis=1)[..., None])[..., 0],
        change - response @ value,
    )


def _products(response: Floats, starts: npt.NDArray[np.int64]) -> Floats:
    """Return response.T @ response of each block [n_blocks, 16, 16], for a response [7214, 16]."""
    return np.array([x.T @ x for x in np.split(response, starts[1:])])


def measure_published(published: Published, emulator: Emulator) -> dict[str, Any]:
    """Measure what the report says of the published spectra; takes a second.

    Returns
    -------
    dict
        ``published``, a dictionary for each spectrum; ``with_cm``, the means if ``cm`` is taken for
        [C/Fe]; and ``differences``, of the second pattern of abundances minus the first.
    """
    flux = emulator.flux(published.labels).astype(float)
    with_cm = published.labels.copy()
    with_cm[:, LABEL_NAMES.index("C/Fe")] = published.cm
    compared = _compare(emulator.flux(with_cm).astype(float), published.flux)
    return {
        "published": [
            {**dict(zip(LABEL_NAMES[:3], star[:3].tolist(), strict=True)), **row}
            for star, row in zip(published.labels, _compare(flux, published.flux), strict=True)
        ],
        "with_cm": {
            name: float(np.mean([row[name] for row in compared])) for name in ("rms", "correlation")
        },
        "differences": measure_differences(published, flux, emulator),
    }


def _compare(own: Floats, flux: Floats) -> list[dict[str, float]]:
    return [
        {
            "rms": float(rms(x - y)),
            "correlation": float(np.corrcoef(x, y)[0, 1]),
            "depth_rms": float(rms(1 - x)),
            "published_depth_rms": float(rms(1 - y)),
        }
        for x, y in zip(own, flux, strict=True)
    ]


def measure_differences(published: Published, flux: Floats, emulator: Emulator) -> dict[str, Any]:
    """Fit the second pattern of abundances minus the first.

    Parameters
    ----------
    published : Published
    flux : numpy.ndarray [n, 7214]
        Emulated spectra of the published labels.
    emulator : Emulator
    """
    first, second = (np.flatnonzero(published.pattern == number) for number in (0, 1))
    if not np.array_equal(published.labels[first, :3], published.labels[second, :3]):
        raise ValueError("the two patterns are not of the same atmospheres, in the same order")
    midpoint = (published.labels[first] + published.labels[second]) / 2
    change, own = (x[second] - x[first] for x in (published.flux, flux))
    truth = (published.labels[second] - published.labels[first])[0, RATIOS]
    fit, check = (fit_differences(emulator, midpoint, x) for x in (change, own))
    return {
        "pairs": len(change),
        "cm": float((published.cm[second] - published.cm[first])[0]),
        "rms": float(rms(change)),
        "rms_left": float(rms(change - own)),
        "rms_left_by_fit": float(rms(fit.residual)),
        "correlation": float(np.corrcoef(change.ravel(), own.ravel())[0, 1]),
        "correlation_of_abundances": float(np.corrcoef(fit.value, truth)[0, 1]),
        "error_of_own": float(np.abs(check.value - truth).max()),
        "abundances": [
            {
                "abundance": name,
                "published": float(truth[i]),
                "fitted": float(fit.value[i]),
                "error": float(fit.error[i]),
                "lowest": float(fit.of_pair[:, i].min()),
                "highest": float(fit.of_pair[:, i].max()),
            }
            for i, name in enumerate(LABEL_NAMES[RATIOS])
        ],
    }
