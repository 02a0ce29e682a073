"""The notebook `examples/quickstart.ipynb`, executed at the scale tiny."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "examples" / "quickstart.ipynb"


@pytest.mark.slow
def test_the_notebook_draws_two_figures_and_three_tables_without_a_warning(tmp_path, monkeypatch):
    # One test, as workers would each execute the notebook for tests of their own.
    monkeypatch.setenv("QUICKSTART_SCALE", "tiny")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    kinds = [kind for output in outputs for kind in output.get("data", {})]
    assert kinds.count("image/png") == 2
    assert kinds.count("text/html") == 3
    streams = [output.text for output in outputs if output.output_type == "stream"]
    assert not [text for text in streams if "Warning" in text]


def test_the_notebook_is_committed_without_outputs():
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    assert not [cell for cell in cells if cell.get("outputs")]
