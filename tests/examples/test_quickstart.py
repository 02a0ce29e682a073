"""The notebook `examples/quickstart.ipynb`, executed at the scale tiny."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "examples" / "quickstart.ipynb"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """The outputs of all cells."""
    folder = tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUICKSTART_SCALE", "tiny")
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        resources = {"metadata": {"path": str(folder)}}
        NotebookClient(notebook, timeout=300, resources=resources).execute()
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def test_the_notebook_draws_the_swap_and_the_recovery_curve(outputs):
    images = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(images) == 2


def test_the_notebook_shows_three_tables(outputs):
    tables = [output for output in outputs if "text/html" in output.get("data", {})]
    assert len(tables) == 3


def test_the_notebook_warns_of_nothing(outputs):
    streams = [output.text for output in outputs if output.output_type == "stream"]
    assert not [text for text in streams if "Warning" in text]


def test_the_notebook_is_committed_without_outputs():
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    assert not [cell for cell in cells if cell.get("outputs")]
