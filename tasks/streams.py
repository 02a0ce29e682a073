"""Counter-based random streams: item ``i`` of a stream can be drawn without drawing the others.

Every stream is a Philox generator whose key is the SHA-256 of its name, such as
``apogee-giants/1/train/labels``. Item ``i`` owns a fixed range of the counter, so any part of a
split can be drawn alone, and a larger split begins with the smaller one.
"""

import hashlib
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from starbench.tasks.arrays import Floats, Spectra

_WORDS_PER_BLOCK = 4  # Philox 4x64 yields four 64-bit words for each value of its counter


@lru_cache(maxsize=16)
def _key(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "little")


def uniforms(name: str, start: int, stop: int, width: int) -> Floats:
    """Draw the items ``start`` to ``stop`` of a stream of uniform variates.

    Uses only the raw output of Philox, which numpy guarantees to be the same in every version and
    on every machine (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").

    Parameters
    ----------
    name : str
        Name of the stream.
    start, stop : int
        Range of items.
    width : int
        Number of variates per item; part of the stream's definition.

    Returns
    -------
    numpy.ndarray [stop - start, width], float64
        Values inside the open interval (0, 1).
    """
    blocks = -(-width // _WORDS_PER_BLOCK)
    bits = np.random.Philox(key=_key(name), counter=start * blocks)
    raw = bits.random_raw((stop - start) * blocks * _WORDS_PER_BLOCK)
    raw = raw.reshape(stop - start, blocks * _WORDS_PER_BLOCK)[:, :width]
    return (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53 + 2.0**-54


def normals(name: str, item: int, size: int, out: Spectra | None = None) -> Spectra:
    """Draw the standard-normal vector that belongs to one item of a stream.

    Threads may draw at once: NumPy releases the interpreter's lock meanwhile.

    Parameters
    ----------
    name : str
        Name of the stream.
    item : int
        Index of the item.
    size : int
        Length of the vector.
    out : numpy.ndarray [size], float32, optional
        Where to write it; a new array, if not given.

    Returns
    -------
    numpy.ndarray [size], float32
    """
    # 2**32 counter values per item are far more than the rejection sampler can use, so items never
    # overlap.
    bits = np.random.Philox(key=_key(name), counter=item << 32)
    return np.random.Generator(bits).standard_normal(size, dtype=np.float32, out=out)


def permutation(name: str, n: int) -> npt.NDArray[np.int64]:
    """Draw a random order of ``n`` items, from a stream of its own.

    Returns
    -------
    numpy.ndarray [n], int64
        For each place the item that stands there.

    Examples
    --------
    >>> sorted(permutation("starbench/order/0/train", 4).tolist())
    [0, 1, 2, 3]
    """
    return np.argsort(uniforms(name, 0, n, 1)[:, 0], kind="stable")


def inverse(order: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the inverse of an order [n]: for each item the place where it stands.

    Examples
    --------
    >>> inverse(np.array([2, 0, 1])).tolist()
    [1, 2, 0]
    """
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    return places


def cut_normal(uniform: Floats, low: npt.ArrayLike, high: npt.ArrayLike) -> Floats:
    """Map uniform variates to a standard normal cut to [low, high].

    Parameters
    ----------
    uniform : numpy.ndarray
        Variates in (0, 1).
    low, high : array_like
        Of a shape that broadcasts to that of `uniform`.

    Returns
    -------
    numpy.ndarray, float64
    """
    import torch  # takes seconds, and only drawing needs it

    bounds = torch.special.ndtr(torch.as_tensor(np.stack(np.broadcast_arrays(low, high))).double())
    lower, upper = bounds.numpy()
    cut: Floats = torch.special.ndtri(torch.from_numpy(lower + uniform * (upper - lower))).numpy()
    return cut
