"""Ranks files: stable bytes, and what is refused in which words."""

import hashlib

import h5py
import numpy as np
import pytest
from support.rows import example_ranks

from starbench.results.ranks import ranks_digest, read_ranks, write_ranks
from starbench.results.text import RowError


def test_the_digest_of_ranks_never_changes():
    digest = "a4886fc88eadb553f0300776411b64c557a02e7a09f9df7da871fb2f9f4c8278"
    rank = np.arange(12).reshape(6, 2)
    for same in (rank, rank.astype(">i8"), np.asfortranarray(rank), np.repeat(rank, 2, 0)[::2]):
        assert ranks_digest(same) == digest
    assert ranks_digest(rank[:0]) == hashlib.sha256(b"").hexdigest()


def test_ranks_survive_writing_and_reading(tmp_path):
    rank, tied = example_ranks()
    write_ranks(tmp_path / "ranks.h5", rank, tied)
    again = read_ranks(tmp_path / "ranks.h5")
    np.testing.assert_array_equal(again.rank, rank)
    np.testing.assert_array_equal(again.tied, tied)
    with h5py.File(tmp_path / "ranks.h5") as file:
        assert file["rank"].dtype == np.uint8  # 99 is the highest of 50 pairs
        # A time of creation would make the bytes differ from one second to the next.
        assert h5py.h5g.get_objinfo(file["rank"].id).mtime == 0


def test_equal_ranks_give_equal_bytes_and_digests(tmp_path):
    rank, tied = example_ranks()
    write_ranks(tmp_path / "a.h5", rank, tied)
    write_ranks(tmp_path / "b.h5", rank.astype(np.int16), np.asfortranarray(tied))
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert ranks_digest(rank) == ranks_digest(np.asfortranarray(rank).astype(">i8"))
    other = rank.copy()
    other[3, 1] = 1 + other[3, 1] % 90
    assert ranks_digest(other) != ranks_digest(rank)


def test_the_digest_is_of_little_endian_32_bit_integers():
    expected = hashlib.sha256(b"\x01\x00\x00\x00\x02\x00\x00\x00").hexdigest()
    assert ranks_digest(np.array([[1, 2]])) == expected


def test_the_ranks_of_a_full_run_are_small(tmp_path):
    # Mostly nearest, with a long tail, as a good method's are.
    draws = np.random.default_rng(1)
    rank = np.minimum(np.ceil(draws.pareto(0.7, (12_500, 2))), 24_999).clip(1).astype(np.int64)
    write_ranks(tmp_path / "ranks.h5", rank, np.zeros_like(rank))
    assert (tmp_path / "ranks.h5").stat().st_size < 60_000


@pytest.mark.parametrize(
    ("rank", "tied", "words"),
    [
        ([[0, 1]], [[0, 0]], "`rank` should lie between 1 and 1"),
        ([[1, 1], [1, 4]], [[0, 0], [0, 0]], "`rank` should lie between 1 and 3"),
        ([[1, 1], [1, 3]], [[0, 0], [0, -1]], "`tied` should lie between 0 and 3"),
        ([[1, 1], [1, 2]], [[0, 0], [0, 2]], "`tied` should be less than `rank`"),
        ([[1.0, 1.0]], [[0, 0]], "`rank` should be integers"),
        ([1, 1], [0, 0], "`rank` should be integers"),
        ([[1, 1], [1, 1]], [[0, 0]], "one shape"),
        (np.empty((0, 2), int), np.empty((0, 2), int), "`rank` should be integers"),
    ],
)
def test_impossible_ranks_are_not_written(tmp_path, rank, tied, words):
    with pytest.raises(RowError, match=words):
        write_ranks(tmp_path / "ranks.h5", np.array(rank), np.array(tied))
    assert list(tmp_path.iterdir()) == []


def ranks_file(path, **datasets):
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file[name] = values
    return path


@pytest.mark.parametrize(
    ("datasets", "words"),
    [
        ({"rank": [[1, 1]]}, "dataset `tied` is missing"),
        ({"rank": [[1.5, 1.0]], "tied": [[0, 0]]}, "`rank` should be integers"),
        ({"rank": [[1, 1, 1]], "tied": [[0, 0]]}, "`rank` should be integers"),
        ({"rank": [[9, 1]], "tied": [[0, 0]]}, "should lie between 1 and 1"),
        ({"rank": h5py.SoftLink("/tied"), "tied": [[0, 0]]}, "dataset `rank` is missing"),
        ({"rank": h5py.ExternalLink("other.h5", "x"), "tied": [[0, 0]]}, "`rank` is missing"),
    ],
)
def test_a_ranks_file_that_does_not_fit_is_refused(tmp_path, datasets, words):
    with pytest.raises(RowError, match=words):
        read_ranks(ranks_file(tmp_path / "ranks.h5", **datasets))


def test_a_ranks_file_cannot_read_other_files_of_the_machine(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(range(16)))
    with h5py.File(tmp_path / "external.h5", "w") as file:
        file.create_dataset("rank", (1, 2), "i8", external=[(str(secret), 0, 16)])
        file["tied"] = [[0, 0]]
    with pytest.raises(RowError, match="`rank` should be a dataset stored in this file"):
        read_ranks(tmp_path / "external.h5")
    ranks_file(tmp_path / "source.h5", rank=np.array([[1, 1]]))
    layout = h5py.VirtualLayout((1, 2), "i8")
    layout[:] = h5py.VirtualSource(tmp_path / "source.h5", "rank", (1, 2))
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        file.create_virtual_dataset("rank", layout)
        file["tied"] = [[0, 0]]
    with pytest.raises(RowError, match="`rank` should be a dataset stored in this file"):
        read_ranks(tmp_path / "virtual.h5")


def test_a_compressed_bomb_is_refused_before_it_unfolds(tmp_path):
    with h5py.File(tmp_path / "ranks.h5", "w") as file:
        file.create_dataset("rank", (2**40, 2), "i8", chunks=(2**16, 2), compression="gzip")
    with pytest.raises(RowError, match="1 to 1,000,000 pairs"):
        read_ranks(tmp_path / "ranks.h5")


@pytest.mark.parametrize("kept", [0, 100, 600, 900])
def test_a_truncated_ranks_file_is_refused(tmp_path, kept):
    path = tmp_path / "ranks.h5"
    write_ranks(path, *example_ranks())
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(RowError, match="a damaged HDF5 file"):
        read_ranks(path)
