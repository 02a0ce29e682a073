"""The manifest: digests that the data of ``apogee-giants`` must have on every machine.

The labels are compared exactly, by the SHA-256 of their values as integers in units of the last
decimal that the population keeps. The flux is compared through projections with a tolerance, since
sums in floating point differ between machines in the last bits. One number represents each
`GROUP_PAIRS` pairs,

    sum over their spectra s and pixels p of  a[s] b[p] flux[s, p],

with fixed weights of random sign and of size 0.75 to 1.25. A pixel altered by d moves it by at
least 0.56 d, so every single pixel wrong by 1.8 times `TOLERANCE` or more is detected, as are
spectra or pixels in the wrong order. Between instruction sets (SSE4, AVX2, AVX-512), numbers of
threads, and with the emulator in float64 throughout, it moved by at most 1.3e-5. Bits that change
after a file was written are detected by the exact digests inside the file.

`starbench.tasks.apogee_giants.make_manifest` makes the committed manifest.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np

from starbench.common.files import atomic_path
from starbench.tasks.apogee_giants.population import DEX_DECIMALS, TEFF_DECIMALS
from starbench.tasks.arrays import Floats, Labels, Spectra
from starbench.tasks.storage.chunks import Damaged
from starbench.tasks.streams import uniforms

PATH = Path(__file__).resolve().parents[1] / "assets" / "manifest.json"
GROUP_PAIRS = 25
TOLERANCE = 3e-4


def labels_sha256(nuisance: Labels, composition: Labels) -> str:
    """Return the SHA-256 of labels as integers, little-endian, 64 bits.

    Parameters
    ----------
    nuisance : numpy.ndarray [n, 2, 2]
        Teff [K] and log g [dex].
    composition : numpy.ndarray [n, n_elements]
        [dex].

    Returns
    -------
    str
        The same for float64 labels and for their float32 copies, which resolve the decimals.
    """
    scale = 10.0 ** np.array([TEFF_DECIMALS, DEX_DECIMALS])
    integers = np.hstack(
        [
            np.rint(np.asarray(nuisance, np.float64) * scale).reshape(len(nuisance), -1),
            np.rint(np.asarray(composition, np.float64) * 10.0**DEX_DECIMALS),
        ]
    )
    return hashlib.sha256(integers.astype("<i8").tobytes()).hexdigest()


@cache
def _weights(name: str, size: int) -> Floats:
    uniform = uniforms(f"manifest/{name}", 0, size, 2)
    return np.where(uniform[:, 0] < 0.5, -1.0, 1.0) * (0.75 + 0.5 * uniform[:, 1])


def project(flux: Spectra) -> Floats:
    """Return one number for each group of `GROUP_PAIRS` pairs, the last group padded with zeros.

    Parameters
    ----------
    flux : numpy.ndarray [n, 2, n_pixels], float32
        Starting at the first pair of a group.

    Returns
    -------
    numpy.ndarray [ceil(n / GROUP_PAIRS)], float64
    """
    n, _, n_pixels = flux.shape
    n_groups = -(-n // GROUP_PAIRS)
    spectra = np.zeros(n_groups * GROUP_PAIRS * 2)
    # einsum multiplies and adds in float64 without a float64 copy of the flux
    spectra[: 2 * n] = np.einsum("ij,j->i", flux.reshape(-1, n_pixels), _weights("pixel", n_pixels))
    numbers: Floats = spectra.reshape(n_groups, -1) @ _weights("spectrum", 2 * GROUP_PAIRS)
    return numbers


@dataclass(frozen=True)
class Manifest:
    """Digests and projections of the data of one version of the task.

    Attributes
    ----------
    task : str
    version : int
    emulator_sha256 : str
    labels_sha256 : dict
        For each scale and split.
    flux : dict
        For each split, the projections of all complete groups of the largest scale; a smaller scale
        uses the first of them.
    last_group : dict
        For each scale and split whose last group is incomplete, its projection.
    noise : dict
        For each noise track and split, the projection of the first group's noise.
    """

    task: str
    version: int
    emulator_sha256: str
    labels_sha256: dict[str, dict[str, str]]
    flux: dict[str, list[float]]
    last_group: dict[str, dict[str, float]]
    noise: dict[str, dict[str, float]]

    @classmethod
    def read(cls, path: Path = PATH) -> "Manifest":
        """Read a manifest."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def write(self, path: Path = PATH) -> None:
        """Write the manifest atomically."""
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    def check_labels(self, scale: str, split: str, nuisance: Labels, composition: Labels) -> None:
        """Raise `Damaged` if the labels of a split are not exactly the right ones."""
        if labels_sha256(nuisance, composition) != self.labels_sha256[scale][split]:
            raise Damaged(f"holds labels of {split} that are not those of the manifest")

    def check_flux(self, scale: str, split: str, start: int, flux: Spectra, n_pairs: int) -> None:
        """Raise `Damaged` if flux differs from the manifest by more than the tolerance.

        Parameters
        ----------
        scale, split : str
        start : int
            First pair, a multiple of `GROUP_PAIRS`.
        flux : numpy.ndarray [n, 2, n_pixels]
            Ends with a complete group or with the split.
        n_pairs : int
            Number of pairs of the split.
        """
        first = start // GROUP_PAIRS
        projections = project(flux)
        expected = np.array(self.flux[split][first : first + len(projections)])
        if start + len(flux) == n_pairs and n_pairs % GROUP_PAIRS:
            expected = np.append(expected[: len(projections) - 1], self.last_group[scale][split])
        wrong = ~(np.abs(projections - expected) <= TOLERANCE)  # a NaN is wrong too
        if wrong.any():
            pair = start + GROUP_PAIRS * int(np.argmax(wrong))
            raise Damaged(
                f"the flux of {split} pairs {pair}-{min(pair + GROUP_PAIRS, n_pairs) - 1} "
                "is not that of the manifest"
            )

    def check_noise(self, track: str, split: str, noise: Spectra) -> None:
        """Raise `Damaged` if the noise [GROUP_PAIRS, 2, n_pixels] of the first group differs."""
        if not abs(project(noise)[0] - self.noise[track][split]) <= TOLERANCE:
            raise Damaged(f"the noise of {split} in {track} is not that of the manifest")
