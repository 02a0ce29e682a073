import re

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from support.surveys import write_survey

from starbench.cli.main import main
from starbench.tasks import registry
from starbench.tasks.apogee_giants.task import ApogeeGiants
from starbench.tasks.observation.noise import NoiseTrack
from starbench.tasks.registry import get_task


@pytest.fixture
def run(tmp_path, emulator, manifest, monkeypatch):
    """Run a command on spectra by a formula, in a cache of its own."""
    real = registry.get_task

    def get_task(name=None, **options):
        task = real(name, **options)
        base = getattr(task, "base", task)
        if isinstance(base, ApogeeGiants):
            base.emulator, base.manifest = emulator, manifest
        return task

    monkeypatch.setattr(registry, "get_task", get_task)
    monkeypatch.setenv("STARBENCH_CACHE", str(tmp_path / "cache"))

    def invoke(*words):
        words = [*words, "--quiet"] if words[-1] != "--help" else words
        return CliRunner().invoke(main, ["data", *map(str, words)])

    return invoke


@pytest.fixture
def path(run, tmp_path):
    assert run("build", "--scale", "mini").exit_code == 0
    return tmp_path / "cache" / "apogee-giants-1-mini.h5"


def test_build_prints_the_path_in_the_cache(run, tmp_path):
    result = run("build", "--scale", "tiny", "--cache", tmp_path / "other")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.strip() == str(tmp_path / "other" / "apogee-giants-1-tiny.h5")
    assert (tmp_path / "other" / "apogee-giants-1-tiny.h5").exists()


def test_info_describes_a_data_set(run, path, emulator):
    result = run("info", "--scale", "mini")
    assert result.exit_code == 0
    for words in (
        "apogee-giants, version 1, scale mini",
        str(path),
        "MB)",
        "150, 15100.00-17000.00 Angstrom, in vacuum",
        "none added",
        "Fe/H, C/Fe, N/Fe",
        emulator.sha256,
        "Teff [K]",
    ):
        assert words in result.stdout
    assert re.search(
        r"train +2,500 +5,000 +4000\.\d* to 4999\.\d* +1\.50\d* to 2\.99\d*", result.stdout
    )


def test_info_of_a_noise_track_and_of_own_data(run, path, pairs_file):
    noisy = run("info", "--scale", "mini", "--task", "apogee-giants-snr30")
    assert "SNR 30 per pixel" in noisy.stdout and noisy.exit_code == 0
    assert noisy.stdout.splitlines()[-6:] == run("info", "--scale", "mini").stdout.splitlines()[-6:]
    own = run("info", "--data", pairs_file())
    assert own.exit_code == 0
    assert (
        "12, 5000.00-6000.00 Angstrom, medium not stated" in own.stdout and "u0 [K]" in own.stdout
    )


def test_info_verify_and_run_take_a_survey(run, tmp_path):
    path = write_survey(tmp_path / "clusters.h5")
    with h5py.File(path, "r+") as file:
        error = file["train/error"][()]
        error[:3] = np.inf
        file["train/error"][...] = error
    info = run("info", "--data", path)
    assert info.exit_code == 0
    text = re.sub(r"\s+", " ", info.stdout)
    for fact in (
        "reference stars in clusters.h5",
        "noise errors of each pixel; some may be masked",
        "left out 3 of train: all masked",
        "split groups field stars spectra",
        "test 2 of 2 to 3 stars 25 30",
    ):
        assert fact in text
    assert run("verify", "--data", path).exit_code == 0
    refused = run("verify", "--data", path, "--max-dropped", "0.05")
    assert refused.exit_code == 2 and "allow a larger share with --max-dropped" in refused.stderr
    words = ["run", "--method", "pca", "--data", str(path), "--set", "latent=4", "--quiet"]
    words += ["--threads", "1", "--out", str(tmp_path / "runs")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "runs" / "own-data-clusters" / "pca").is_dir()


def test_verify_accepts_an_intact_data_set(run, path, pairs_file):
    for words in (["--scale", "mini"], ["--scale", "mini", "--task", "apogee-giants-snr50"],
                  ["--data", pairs_file()]):  # fmt: skip
        result = run("verify", *words)
        assert (result.exit_code, result.stderr) == (0, "")
        assert "is intact; its fingerprint is" in result.stdout


def test_verify_names_what_is_wrong_and_repairs_it(run, path):
    with h5py.File(path, "r+") as file:
        file["train/flux"][1300, 0, 5] += np.float32(0.01)
        file["test/flux"][700, 1, 9] = np.nan
    result = run("verify", "--scale", "mini")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"{path}: train chunk 2 (pairs 1250-1874) is damaged.",
        f"{path}: test chunk 1 (pairs 625-1249) is damaged.",
        "Error: The data set is damaged; `starbench data verify --repair` rebuilds it.",
    ]
    repaired = run("verify", "--scale", "mini", "--repair")
    assert repaired.exit_code == 0
    assert repaired.stderr.count("is damaged; it is rebuilt.") == 2
    assert run("verify", "--scale", "mini").exit_code == 0


def test_verify_reports_a_truncated_data_set(run, path):
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    result = run("verify", "--scale", "mini")
    assert result.exit_code == 1 and f"{path} is truncated." in result.stderr
    assert f"{path} is truncated; `starbench data build`" in run("info", "--scale", "mini").stderr
    assert path.stat().st_size == len(whole) // 2
    assert run("verify", "--scale", "mini", "--repair").exit_code == 0
    assert path.read_bytes() == whole


def test_a_folder_in_place_of_a_data_set_is_named(run, path):
    path.unlink()
    path.mkdir()
    repaired = run("verify", "--scale", "mini", "--repair")
    assert repaired.exit_code == 2
    assert repaired.stderr.endswith(f"Error: {path} is a folder; remove it, or give a file.\n")
    path.rmdir()
    assert run("build", "--scale", "mini").exit_code == 0  # from what was made before


def test_one_chunk_is_rebuilt(run, path):
    whole = path.read_bytes()
    with h5py.File(path, "r+") as file:
        file["train/flux"][1875:] = 0
    result = run("build", "--scale", "mini", "--split", "train", "--chunk", 3)
    assert result.exit_code == 0 and "Built train chunk 3" in result.stdout
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["build", "--task", "apogee-gaints"],
            "There is no task 'apogee-gaints'; the nearest names are ap",
        ),
        (["build", "--scale", "big"], "--scale big does not exist; choose one of full, mini, tiny"),
        (
            ["build", "--scale", "tiny", "--split", "train"],
            "Give --split and --chunk together, or neither",
        ),
        (
            ["build", "--scale", "tiny", "--split", "dev", "--chunk", "0"],
            "--split dev does not exist",
        ),
        (
            ["build", "--scale", "tiny", "--split", "train", "--chunk", "1"],
            "--chunk 1 does not exist",
        ),
        (
            ["info", "--scale", "tiny"],
            "does not exist; build it with `starbench data build --task apogee-gi",
        ),
        (
            ["verify", "--scale", "tiny"],
            "apogee-giants-1-tiny.h5 does not exist; build it with `starbench",
        ),
        (
            ["info", "--data", "nowhere.h5"],
            "nowhere.h5 is not a file; give --data an HDF5 file of pairs",
        ),
        (
            ["export", "pairs.csv", "--scale", "tiny"],
            "suffix .csv of OUT pairs.csv names no format; give a file .h5",
        ),
        (["export", "tests", "--scale", "tiny"], "OUT tests exists; give --force to replace it"),
        (["verify", "--data", "nowhere.h5", "--task", "apogee-giants-snr50"], "not both"),
    ],
)
def test_a_user_error_is_one_sentence_and_exit_code_2(run, tmp_path, words, sentence):
    result = run(*words)
    assert result.exit_code == 2
    assert sentence in result.stderr and result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.rglob("*.h5*"))


def test_invalid_own_data_are_a_user_error(run, pairs_file):
    path = pairs_file()
    with h5py.File(path, "r+") as file:
        file["test/flux"][2, 0, 0] = np.nan
    for command in ("verify", "info"):
        result = run(command, "--data", path)
        assert result.exit_code == 2
        assert "test/flux holds a value that is NaN, first in pair 2" in result.stderr
    assert (
        "--repair works only on data that starbench built"
        in run("verify", "--data", path, "--repair").stderr
    )


def test_a_cache_that_cannot_be_made_is_a_failure(run, tmp_path):
    (tmp_path / "file").write_text("")
    result = run("build", "--scale", "tiny", "--cache", tmp_path / "file" / "below")
    assert result.exit_code == 1 and str(tmp_path / "file") in result.stderr


def test_export_of_a_standard_task_and_of_a_noise_track(run, path, tmp_path, task):
    result = run("export", tmp_path / "clean.h5", "--scale", "mini", "--twins")
    assert (result.exit_code, result.stderr) == (0, "")
    assert re.fullmatch(rf"Wrote {tmp_path}/clean.h5 \(6\.\d MB\)", result.stdout.strip())
    noisy = ["--task", "apogee-giants-snr30", "--format", "parquet", "--withhold-composition",
             "--twins"]  # fmt: skip
    result = run("export", tmp_path / "noisy", "--scale", "mini", *noisy)
    assert (result.exit_code, result.stderr) == (0, "")
    described = run("info", "--data", tmp_path / "noisy").stdout
    assert "withheld for test" in " ".join(described.split())
    clean = get_task(data=tmp_path / "clean.h5").load("test", "own")
    noisy = get_task(data=tmp_path / "noisy").load("test", "own")
    with h5py.File(path) as file:
        assert np.array_equal(clean.flux, file["test/flux"])
        assert np.array_equal(clean.composition, file["test/composition"])
    track = NoiseTrack(task, 30)
    noise = track.noise("test", 0, 1250) * np.float32(1 / 30)
    assert np.array_equal(noisy.flux, noise + clean.flux) and noisy.composition is None


def test_a_stopped_export_says_that_nothing_changed(run, pairs_file, tmp_path, monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("starbench.tasks.export.write_pairs", stop)
    result = run("export", tmp_path / "out.h5", "--data", pairs_file())
    assert result.exit_code == 130 and "out.h5 is unchanged." in result.stderr
    assert not (tmp_path / "out.h5").exists()


def test_verify_detects_noise_that_differs_from_the_manifest(run, path, monkeypatch):
    monkeypatch.setattr(
        NoiseTrack, "noise", lambda self, split, start, stop: np.zeros((stop - start, 2, 150), "f4")
    )
    result = run("verify", "--scale", "mini", "--task", "apogee-giants-snr50")
    assert result.exit_code == 1 and "is not that of the manifest" in result.stderr


def test_synthesise_names_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("STARBENCH_MOOG", str(tmp_path / "empty"))
    words = ["data", "synthesise", "--out", str(tmp_path / "sets"), "--generator", "moog"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert "MOOGSYNTH is missing; run python -m" in result.stderr
    assert not (tmp_path / "sets").exists()
