"""Faults between a method and its bound, on latents whose shares follow by construction."""

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import gap
from starbench.metrics import twin_ranks

RNG = np.random.default_rng(0)
TRUTH = RNG.normal(size=(400, 1, 4))
NUISANCE = RNG.uniform([4000, 1.5], [5000, 3.0], (400, 2, 2))


def nearest(latent):
    return (twin_ranks(latent.astype(np.float32)).rank == 1).mean()


def test_a_leak_that_is_a_cubic_of_the_nuisance_is_removed():
    u = (NUISANCE - [4500, 2.25]) / [500, 0.75]
    leak = np.stack([u[..., 0] ** 3, u[..., 0] * u[..., 1], u[..., 1], 0 * u[..., 0]], axis=-1)
    latent = TRUTH + 5 * leak
    corrected = gap.without_mean_given_nuisance(latent, NUISANCE, latent, NUISANCE)
    assert nearest(latent) < 0.3
    assert nearest(corrected) > 0.7


def test_twins_that_agree_keep_their_noise():
    noise = 0.3 * RNG.normal(size=(400, 2, 4))
    wrong = RNG.normal(size=(400, 2, 4))
    agreeing = gap.with_twins_agreeing(TRUTH + wrong + noise, TRUTH + wrong)
    assert agreeing[:, 0] - agreeing[:, 1] == pytest.approx(noise[:, 0] - noise[:, 1])
    # Where nothing is wrong, nothing is changed.
    assert gap.with_twins_agreeing(TRUTH + noise, TRUTH + 0 * noise) == pytest.approx(TRUTH + noise)


def test_the_gap_of_a_run_is_split_into_its_causes(tmp_path):
    from starbench.methods.fader import Fader
    from starbench.runs.runner import run
    from starbench.tasks.registry import get_task

    settings = Fader.Hyperparameters(epochs=30)
    outcome = run(
        get_task("apogee-giants-snr100"), Fader, settings, scale="tiny", out=tmp_path, quiet=True
    )
    done = CliRunner().invoke(gap.main, [str(outcome.folder.path), "--bound"])
    assert done.exit_code == 0, done.output
    lines = [line for line in done.stdout.splitlines() if line.startswith("|")][2:]
    shares = {line.split("|")[1].strip(): float(line.split("|")[2]) for line in lines}
    assert list(shares) == [
        "as it is",
        "without the mean given the nuisance",
        "twins agree",
        "composition, by L1",
        "information bound",
    ]
    assert shares["as it is"] < shares["twins agree"] <= shares["information bound"]
    assert shares["information bound"] > 90
