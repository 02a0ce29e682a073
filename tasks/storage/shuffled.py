"""The shuffled test split of an export: spectra in an order that tells neither stars nor twins.

The file keeps its layout, ``test/flux`` [n_pairs, 2, n_pixels], but its rows are spectra in a
random order, two by two, without composition. Its attribute ``test_order`` names the order, and a
file of predictions copies it, so that `starbench score` restores the pairs. The name holds the
digest of the data and a version: predictions for another task, or another order, are refused. It
is public, so it keeps no secret; it keeps the order from telling twins to whoever does not ask.
"""

import hashlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from starbench.tasks.base import Split, Task
from starbench.tasks.streams import inverse, permutation

ATTRIBUTE = "test_order"
_VERSION = 1


def order_name(task: Task, scale: str) -> str:
    """Return the name of the order in which a task's test spectra are exported."""
    facts = f"{_VERSION}/{task.name}/{task.version}/{scale}/{task.fingerprint(scale)}"
    return f"{_VERSION}-{hashlib.sha256(facts.encode()).hexdigest()[:16]}"


def order_of(name: str, n_spectra: int) -> npt.NDArray[np.int64]:
    """Return for each spectrum of the file its star, numbered 2 * pair + half.

    Examples
    --------
    >>> sorted(order_of("1-0123456789abcdef", 4).tolist())
    [0, 1, 2, 3]
    """
    return permutation(f"starbench/export/{name}", n_spectra)


def shuffled_test(task: Task, scale: str) -> Iterator[tuple[slice, Split]]:
    """Yield the test split in the order of `order_name`, in pieces, without composition.

    All its spectra are in memory at once: at the full scale 0.7 GB.
    """
    n_pairs = task.sizes(scale)["test"]
    rows = inverse(order_of(order_name(task, scale), 2 * n_pairs)).reshape(n_pairs, 2)
    flux = np.empty((2 * n_pairs, len(task.wavelength)), np.float32)
    nuisance = np.empty((2 * n_pairs, len(task.nuisance_names)), np.float32)
    for pairs, piece in task.chunks("test", scale):
        flux[rows[pairs]], nuisance[rows[pairs]] = piece.flux, piece.nuisance
    by_twos, of_twos = flux.reshape(n_pairs, 2, -1), nuisance.reshape(n_pairs, 2, -1)
    for start in range(0, n_pairs, task.chunk_pairs):
        part = slice(start, min(start + task.chunk_pairs, n_pairs))
        yield part, Split(by_twos[part], of_twos[part], None, noiseless_flux=by_twos[part])
