"""The twin ranking's kernel for accelerators: Triton on CUDA, or torch alone on any device."""

import logging
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

log = logging.getLogger(__name__)

PADDED_TO = 256  # stars; a multiple of every tile
BAND = 2**17  # stars ranked by one launch: enough programs to fill a large GPU
# Of the kernel in plain torch: the distances of a tile stay in a GPU's second-level cache.
_QUERIES, _GALLERY = 1024, 4096

Counter = Callable[..., None]


class DeviceBands:
    """A ranking on a device in bands: `BAND` stars among all, for which one launch suffices.

    Parameters
    ----------
    rows : numpy.ndarray [n_stars, d], float32
        Stars 2k and 2k + 1 are twins.
    thresholds : numpy.ndarray [n_stars], float32
        Distance of each star to its twin.
    device : str
        A torch device.

    Attributes
    ----------
    kind : str
        How the work is divided; counts of another kind cannot be continued.
    costs : numpy.ndarray [n_bands], int64
        Work of each band: the distances that it computes.
    """

    def __init__(
        self, rows: npt.NDArray[np.float32], thresholds: npt.NDArray[np.float32], device: str
    ) -> None:
        n_stars, d = rows.shape
        n_padded = -(-n_stars // PADDED_TO) * PADDED_TO
        self._columns = torch.full((d, n_padded), torch.nan, device=device)
        self._columns[:, :n_stars] = torch.tensor(rows, device=device).T
        self._thresholds = torch.full((n_padded,), torch.nan, device=device)
        self._thresholds[:n_stars] = torch.tensor(thresholds, device=device)
        self._counts = torch.zeros((2, n_padded), dtype=torch.int32, device=device)
        self._count = _kernel(self._columns.device.type)
        self.kind = f"bands of {BAND}"
        self.costs = np.diff([*range(0, n_stars, BAND), n_stars]) * n_stars

    def count(self, band: int, counts: npt.NDArray[np.int32]) -> None:
        """Add the counts of a band to `counts`.

        Parameters
        ----------
        band : int
        counts : numpy.ndarray [2, n_stars], int32
            For each star the strangers closer than its twin, and those closer or tied.
        """
        first = band * BAND
        stars = slice(first, min(first + BAND, counts.shape[1]))
        self._count(
            self._columns,
            self._thresholds,
            first,
            *self._counts,
            n_queries=stars.stop - stars.start,
        )
        counts[:, stars] += self._counts[:, stars].cpu().numpy()


def count_closer(
    columns: torch.Tensor,
    thresholds: torch.Tensor,
    first: int,
    closer: torch.Tensor,
    within: torch.Tensor,
    *,
    n_queries: int,
) -> None:
    """Write the counts of `n_queries` stars from `first` on, in plain torch.

    Parameters
    ----------
    columns : torch.Tensor [d, n_padded], float32
        Latents, transposed; those of padding are NaN.
    thresholds : torch.Tensor [n_padded], float32
    first : int
    closer, within : torch.Tensor [n_padded], int32
        The elements of these stars are written.
    n_queries : int
    """
    pair = torch.arange(columns.shape[1], device=columns.device) // 2
    for start in range(first, first + n_queries, _QUERIES):
        query = slice(start, min(start + _QUERIES, first + n_queries))
        threshold = thresholds[query, None]
        closer[query] = within[query] = 0
        for start_of_gallery in range(0, columns.shape[1], _GALLERY):
            star = slice(start_of_gallery, start_of_gallery + _GALLERY)
            # Term by term in the order of the dimensions, which `torch.cdist` does not keep.
            distance = (columns[0, query, None] - columns[0, None, star]).abs_()
            for column in columns[1:]:
                distance += (column[query, None] - column[None, star]).abs_()
            stranger = pair[query, None] != pair[None, star]
            closer[query] += ((distance < threshold) & stranger).sum(1, dtype=torch.int32)
            within[query] += ((distance <= threshold) & stranger).sum(1, dtype=torch.int32)


def kernel_name(device: str) -> str:
    """Return which kernel a device uses: ``"Triton"`` or ``"torch"``."""
    return "torch" if _kernel(torch.device(device).type) is count_closer else "Triton"


@lru_cache
def _kernel(device_type: str) -> Counter:
    """Return the fastest kernel that this machine can use."""
    if device_type != "cuda":
        return count_closer
    try:
        from starbench.metrics import _l1_triton

        counts = torch.zeros((2, PADDED_TO), dtype=torch.int32, device="cuda")
        latent = torch.zeros((1, PADDED_TO), device="cuda")
        _l1_triton.count_closer(latent, latent[0], 0, *counts, n_queries=PADDED_TO)
    except Exception as error:  # compiling needs a C compiler and Python's headers
        log.warning("Twins are ranked by torch, some ten times slower, without Triton: %s", error)
        return count_closer
    return _l1_triton.count_closer
