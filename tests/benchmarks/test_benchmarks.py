"""The command runs at tiny sizes, and its tables can be read."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def python_m(module, *arguments):
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def tables(page):
    """Return the rows of each table by their first column, as dictionaries of text."""
    found, head = [], None
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            head = None
        elif head is None:
            head = cells
            found.append({})
        elif not cells[0].startswith(":"):
            found[-1][cells[0]] = dict(zip(head, cells, strict=True))
    return found


@pytest.mark.parametrize(
    ("part", "n_tables", "n_rows"),
    [
        pytest.param("ranking", 2, 5, marks=pytest.mark.slow),
        pytest.param("training", 1, 2, marks=pytest.mark.slow),
        ("data", 1, 1),
    ],
)
def test_each_part_prints_its_tables(part, n_tables, n_rows):
    done = python_m("benchmarks", "--tiny", "--only", part)
    assert done.returncode == 0, done.stderr
    found = tables(done.stdout)
    assert len(found) == n_tables
    assert len(found[0]) == n_rows
    for rows in found:
        first, *_ = rows.values()
        assert first["ratio"] == first["CPU ratio"] == "1.00"
        for row in rows.values():
            for column in ("seconds", "ratio", "CPU s", "CPU ratio", "not counted, s"):
                assert float(row[column].replace(",", "")) >= 0


def test_the_page_of_one_part_is_not_written():
    done = python_m("benchmarks", "--tiny", "--write")
    assert done.returncode == 2
    assert "--write needs a complete run" in done.stderr


@pytest.mark.skipif(find_spec("pysme") is None, reason="PySME is not installed")
def test_synthesis_of_one_spectrum():
    done = python_m("benchmarks.data", json.dumps({"threads": 1, "syntheses": 1}))
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout.splitlines()[-1])
    [flux] = measured["flux"]
    assert len(flux) == 7214
    [(wall, cpu)] = measured["timings"]
    assert wall > 0
    assert cpu > 0
