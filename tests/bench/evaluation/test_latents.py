"""Latents in files: what is refused of them, and how they become float32."""

import h5py
import numpy as np
import pytest

from starbench.common.hdf5_guards import MAX_CHUNK_BYTES
from starbench.evaluation.latents import as_float32, offset_of, storage_fault


def test_latents_far_from_zero_keep_their_distances():
    near = np.random.default_rng(0).normal(size=(50, 2, 3))
    far = near + 1e9
    assert np.allclose(as_float32(far - offset_of(far)), near - np.median(near, (0, 1)), atol=1e-6)
    assert not offset_of(far.astype(np.float32)).any()
    assert not offset_of(np.full((4, 2, 3), np.nan)).any()
    assert np.isinf(as_float32(np.array([1e300]))).all()


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"data": np.ones((9, 3), int)}, "holds int64; give floating-point numbers"),
        ({"shape": (90_000, 2000), "dtype": "f4"}, "but the file holds 0 bytes of it; write all"),
        (
            {"shape": (MAX_CHUNK_BYTES, 2), "dtype": "f4", "chunks": (MAX_CHUNK_BYTES, 1)},
            "is stored in chunks larger than",
        ),
        ({"data": np.ones((9, 3))}, None),
    ],
)
def test_what_cannot_be_read_as_numbers_is_named(tmp_path, options, fault):
    with h5py.File(tmp_path / "latents.h5", "w") as file:
        found = storage_fault(file.create_dataset("latent", **options))
    assert found is None if fault is None else fault in found
