import pandas as pd
import pytest
from click.testing import CliRunner
from support import survey_files as made
from support.toy_task import ToyTask

from starbench.cli.main import main
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
    assert pd.read_csv(report)["identifier"].tolist() == ["star4", "star5"]
    assert not (tmp_path / "s.h5").exists()
    code, output = run(rows, "--out", tmp_path / "s.h5", "--report", tmp_path / "s.h5")
    assert code == 2 and "--report and --out are the same file" in " ".join(output.split())


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
