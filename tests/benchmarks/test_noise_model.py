"""The noise model that `benchmarks.noise_model` fits is that of the fit."""

import pytest
from click.testing import CliRunner

import starbench
from benchmarks import noise_model


@pytest.mark.slow
def test_a_state_after_the_last_epoch_has_the_noise_model_that_it_is_fitted_again(tmp_path):
    result = starbench.run(
        "mmd", "apogee-giants-branch", "tiny", settings={"epochs": 1, "batch_size": 4},
        out=tmp_path / "runs", cache=tmp_path / "cache", device="cpu", threads=1, quiet=True,
    )  # fmt: skip
    assert result.row.selection.epoch == result.row.epochs
    done = CliRunner().invoke(noise_model.main, [str(result.folder)])
    assert done.exit_code == 0, done.output
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("| apogee"))
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    assert cells[:4] == ["apogee-giants-branch", "mmd", "0", "1 of 1"]
    assert cells[4] == cells[5] and cells[6] == cells[7]
    assert float(cells[6]) == round(100 * result.row.metrics["doppelganger_free"].value, 1)
