import subprocess
import sys

import pandas as pd
import pytest
from click.testing import CliRunner
from support import survey_files as made
from support.toy_task import ToyTask

from starbench.cli.main import main
from starbench.results.schema import read_row
from starbench.tasks.export import export


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["data", "import", *map(str, words), "--quiet"])
    return result.exit_code, result.output


def test_an_import_says_what_it_read_and_left_out(tmp_path):
    content = made.rows(9)
    content["logg"][4] = -9999.0
    content["object_id"][8] = "star7"  # a second visit
    rows = made.write_rows(tmp_path / "rows.parquet", content)
    report = tmp_path / "report.csv"
    code, output = run(rows, "--out", tmp_path / "s.h5", "--max-dropped", 0.2, "--report", report)
    assert code == 0, output
    lines = [line.split() for line in output.splitlines()]
    assert [line[:4] for line in lines if line[:1] == ["test"]] == [["test", "3", "2", "1"]]
    assert ["1", "has", "no", "label", "star4"] in lines
    table = pd.read_csv(report)
    assert len(table) == 9 and table["left_out"].notna().sum() == 1
    assert table.set_index("identifier").loc["star7#2", "star"] == "star7"


def test_spectra_without_errors_have_no_median_snr(tmp_path, recwarn):
    export(ToyTask(), "tiny", tmp_path / "pairs.h5", twins=True, progress=False)
    code, output = run(tmp_path / "pairs.h5", "--out", tmp_path / "s.h5")
    assert code == 0, output
    assert "nan" not in output and ["test", "40", "20", "20", "0.0%"] in [
        line.split() for line in output.splitlines()
    ]
    assert not [each for each in recwarn if issubclass(each.category, RuntimeWarning)]


def test_the_report_is_written_where_too_much_is_bad(tmp_path):
    content = made.rows(9)
    content["logg"][4] = content["logg"][5] = -9999.0
    rows = made.write_rows(tmp_path / "rows.parquet", content)
    report = tmp_path / "report.csv"
    code, output = run(rows, "--out", tmp_path / "s.h5", "--report", report)
    assert code != 0 and "2 of 9 spectra are bad" in " ".join(output.split())
    table = pd.read_csv(report).set_index("identifier")
    assert set(table.index) == {f"star{number}" for number in range(9)}
    assert table.index[table["left_out"].notna()].tolist() == ["star4", "star5"]
    assert table.loc["star3", "snr"] == pytest.approx(50, rel=0.05)
    assert not (tmp_path / "s.h5").exists()
    code, output = run(rows, "--out", tmp_path / "s.h5", "--report", tmp_path / "s.h5")
    assert code == 2 and "--report and --out are the same file" in " ".join(output.split())


def test_too_few_stars_are_explained_by_what_was_left_out(tmp_path):
    folder, report = tmp_path / "apogee", tmp_path / "report.csv"
    folder.mkdir()
    for seed in range(4):
        made.write_ap_star(folder / f"apStar-{seed}.fits", f"star{seed}", seed, 1)
    cut = folder / "apStar-2.fits"
    cut.write_bytes(cut.read_bytes()[:40_000])
    words = folder, "--out", tmp_path / "s.h5", "--report", report
    code, output = run(*words)
    told = " ".join(output.split())
    assert code != 0 and "There are 3 groups and field stars in all; give at least 4" in told
    assert "; 1 file or spectrum was left out: apStar-2.fits cannot be read (File may" in told
    table = pd.read_csv(report).set_index("source")
    assert len(table) == 4 and table.index[table["left_out"].notna()].tolist() == [cut.name]
    assert table.loc["apStar-3.fits", ["Teff", "snr_stated"]].tolist() == [4300, 100]
    for option in ("--groups", "--labels"):  # of the star whose file is cut
        names = tmp_path / "table.csv"
        names.write_text("star,group,teff,logg\nstar2,M67,4000,2\n")
        code, output = run(*words, option, names)
        assert code != 0 and "was left out: apStar-2.fits cannot be read" in " ".join(
            output.split()
        )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--split", "80,20"], "80,20 is not three shares; give those of train, validation and"),
        ([], "notes.txt is of an unknown kind; give a file .fits, .parquet or .h5, or a folder."),
    ],
)
def test_what_is_wrong_is_named(tmp_path, words, sentence):
    (tmp_path / "notes.txt").write_text("no spectra")
    code, output = run(tmp_path / "notes.txt", "--out", tmp_path / "s.h5", *words)
    assert code == 2
    assert sentence in " ".join(output.split())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--split", "inf,1,1"], "inf,1,1 is not three shares"),
        (["--split", "1e308,1e308,1e308"], "is not three shares"),
        (["--max-dropped", "nan"], "nan is not a share; give a number from 0 to 1."),
        (["--nuisance", "Teff", "--nuisance", "Teff"], "--nuisance Teff is given twice; give it"),
        (["--report", "{rows}"], "is a file to read; give another name."),
        (["--groups", "{groups}", "--report", "{groups}"], "is a file to read; give another name."),
        (["--out", "/proc/s.h5"], "/proc/s.h5: No such file or directory; choose another --out."),
    ],
)
def test_choices_that_make_no_survey_or_destroy_a_file_are_refused(tmp_path, words, sentence):
    rows = made.write_rows(tmp_path / "rows.parquet", made.rows(8))
    groups = tmp_path / "groups.csv"
    groups.write_text("star,group\nstar1,A\nstar2,A\n")
    before = rows.read_bytes(), groups.read_bytes()
    out = [] if "--out" in words else ["--out", tmp_path / "s.h5"]
    code, output = run(rows, *out, *(word.format(rows=rows, groups=groups) for word in words))
    assert code in (1, 2) and sentence in " ".join(output.split())
    assert (rows.read_bytes(), groups.read_bytes()) == before
    assert not (tmp_path / "s.h5").exists()


def test_a_report_may_not_replace_a_file_of_a_folder_that_is_read(tmp_path):
    rows = made.write_rows(tmp_path / "rows.parquet", made.rows(8))
    code, output = run(tmp_path, "--out", tmp_path / "s.h5", "--report", rows)
    assert code == 2 and "is a file to read" in " ".join(output.split())
    for _ in range(2):  # an earlier report is replaced
        words = "--out", tmp_path / "s.h5", "--report", tmp_path / "report.csv", "--force"
        assert run(tmp_path, *words)[0] == 0


def test_control_characters_of_names_are_not_printed(tmp_path):
    content = made.rows(8)
    content["object_id"] = [f"s\u202e\x1b[2J{number}" for number in range(8)]
    content["logg"][4] = -9999.0
    rows = made.write_rows(tmp_path / "rows.parquet", content)
    groups = tmp_path / "groups.csv"
    groups.write_text("star,group\nno\u202ebody,A\n" + f"{content['object_id'][1]},A\n")
    code, output = run(rows, "--out", tmp_path / "s.h5", "--groups", groups, "--max-dropped", 0.2)
    assert code == 0 and r"no\u202ebody" in output and r"s\u202e\x1b[2J4" in output
    assert output.replace("\n", "").isprintable()


@pytest.mark.parametrize("limit", [1000, 100_000, 2_500_000])
def test_a_disk_that_fills_up_is_one_sentence(tmp_path, limit):
    """The limit on the size of files stands for the disk; HDF5 alone would crash the process."""
    rows = made.write_rows(tmp_path / "rows.parquet", made.rows(8))
    code = (
        "import resource, signal, sys\n"
        "from starbench.cli.main import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "main()\n"
    )
    words = "data", "import", rows, "--out", tmp_path / "s.h5", "--quiet"
    ended = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert "s.h5: no room left on the disk for" in line and line.endswith("choose another --out.")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.parquet"]


@pytest.fixture(scope="module")
def with_pairs(tmp_path_factory):
    """An imported survey with the pairs of apogee-giants-survey, and what the import said."""
    folder = tmp_path_factory.mktemp("survey")
    content = made.rows(16)
    content["object_id"] = [f"star{n % 12}" for n in range(16)]  # four with a second visit
    del content["fe_h"], content["mg_fe"]
    rows = made.write_rows(folder / "rows.parquet", content)
    pairs = ("--pairs-of", "apogee-giants-survey", "--pairs-scale", "tiny")
    code, output = run(rows, "--out", folder / "giants.h5", *pairs)
    assert code == 0, output
    assert run(rows, "--out", folder / "without.h5")[0] == 0
    return folder, " ".join(output.split())


def run_method(data, method, out, *settings):
    words = ["run", "--method", method, "--data", data, "--out", out, "--device", "cpu"]
    for setting in settings:
        words += ["--set", setting]
    result = CliRunner().invoke(main, [*map(str, words), "--threads", "1", "--quiet"])
    return result.exit_code, " ".join(result.output.split())


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("rsca", ["components=8"]),
        ("label-regression", ["epochs=1", "encoder_widths=16", "components=8"]),
        ("polynomial-residual", ["latent=4", "noise_matching=false"]),
    ],
)
def test_methods_of_each_label_access_run_on_a_survey_with_pairs(
    with_pairs, tmp_path, method, settings
):
    folder, said = with_pairs
    assert "64 pairs of apogee-giants-survey, version 1, scale tiny, are there for methods" in said
    code, output = run_method(folder / "giants.h5", method, tmp_path, *settings)
    assert code == 0, output
    row = read_row(next(tmp_path.rglob("row.json")))
    assert row.status == "ok" and row.scale == "own" and "doppelganger_free" in row.metrics


@pytest.mark.parametrize("method", ["rsca", "label-regression"])
def test_a_method_that_lacks_siblings_or_compositions_names_the_pairs(with_pairs, tmp_path, method):
    code, output = run_method(with_pairs[0] / "without.h5", method, tmp_path)
    assert code == 2
    assert "`starbench data import --pairs-of apogee-giants-survey` adds pairs of a model" in output


def test_the_composition_of_the_pairs_alone_is_described(with_pairs):
    data = str(with_pairs[0] / "giants.h5")
    result = CliRunner().invoke(main, ["data", "info", "--data", data, "--quiet"])
    assert result.exit_code == 0, result.output
    assert "Ni/Fe; of the pairs to train on alone" in " ".join(result.output.split())


def test_the_scale_of_pairs_needs_a_task(tmp_path):
    rows = made.write_rows(tmp_path / "rows.parquet", made.rows(2))
    code, output = run(rows, "--out", tmp_path / "s.h5", "--pairs-scale", "tiny")
    assert code == 2 and "--pairs-scale needs --pairs-of; give both." in output
