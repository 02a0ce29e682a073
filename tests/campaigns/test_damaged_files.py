"""A few of the damaged files of the campaign: each is read, or refused in one sentence."""

import numpy as np
import pytest
from campaigns.damage import damage, damage_folder, write_folder, write_pairs, write_predictions

from starbench.common.hdf5_guards import OpenElsewhere
from starbench.runs.predictions import Predictions
from starbench.tasks.base import SPLITS
from starbench.tasks.errors import DataError
from starbench.tasks.own.hdf5 import OwnData
from starbench.tasks.registry import get_task


def refused(read, what):
    """Return whether a damaged file is refused, which must be in one printable sentence."""
    try:
        read()
    except (DataError, OpenElsewhere) as error:
        text = str(error)
        assert text.isprintable() and text.endswith("."), (what, text)
        return True
    except Exception as error:
        pytest.fail(f"{what}: {error!r}")
    return False


def test_damaged_pairs_are_read_or_refused(tmp_path):
    def read():
        task = OwnData(path, cache=tmp_path / "cache")
        task.prepare("own", progress=False)

    n_refused = 0
    for number in range(20):
        rng = np.random.default_rng([number, 13])
        path = tmp_path / f"{number}.h5"
        write_pairs(path, rng)
        n_refused += refused(read, f"file {number}: {damage(path, rng)}")
    assert 10 <= n_refused < 20


def test_damaged_predictions_are_read_or_refused(tmp_path):
    sound = tmp_path / "pairs.h5"
    write_pairs(sound, np.random.default_rng(0))
    task = OwnData(sound, cache=tmp_path / "cache")

    def read():
        with Predictions(path, task, "own") as predictions:
            for split in SPLITS:
                if predictions.has(split):
                    predictions.latent(split)
            for split in SPLITS[1:]:
                if predictions.has(split, "reconstruction"):
                    predictions.reconstruct(split)(slice(0, 20))

    n_refused = 0
    for number in range(15):
        rng = np.random.default_rng([number, 14])
        path = tmp_path / f"{number}.h5"
        write_predictions(path, rng)
        n_refused += refused(read, f"file {number}: {damage(path, rng, of_pairs=False)}")
    assert 7 <= n_refused < 15


def test_damaged_folders_are_read_or_refused(tmp_path):
    def read():
        get_task(data=folder, cache=tmp_path / "cache", progress=False).prepare("own")

    n_refused = 0
    for number in range(8):
        rng = np.random.default_rng([number, 15])
        folder = tmp_path / str(number)
        write_folder(folder, rng)
        n_refused += refused(read, f"folder {number}: {damage_folder(folder, rng)}")
    assert n_refused >= 4
