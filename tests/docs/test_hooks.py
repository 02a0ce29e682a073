"""What the hooks of MkDocs write into the pages."""

from types import SimpleNamespace

import pytest

pytest.importorskip("mkdocs", reason="the documentation's tools are not installed")

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

from docs import hooks
from starbench.methods.registry import BUILT_IN
from starbench.metrics import METRICS


@pytest.fixture
def include(tmp_path, monkeypatch):
    """Return a function that includes a file of a small repository in a page of its site."""
    monkeypatch.setattr(hooks, "ROOT", tmp_path)
    (tmp_path / "parts").mkdir()
    pages = ("guide/part.md", "other.md")
    files = Files([File(name, str(tmp_path), str(tmp_path), False) for name in pages])
    (tmp_path / "guide").mkdir()
    (tmp_path / "guide" / "part.md").write_text("<!-- include: parts/README.md -->\n")
    (tmp_path / "other.md").write_text("<!-- include: OTHER.md -->\n")

    def run(text, directive="<!-- include: parts/README.md -->"):
        (tmp_path / "parts" / "README.md").write_text(text)
        page = SimpleNamespace(file=files.get_file_from_path("guide/part.md"))
        return hooks.on_page_markdown(directive, page=page, config=None, files=files)

    return run


@pytest.mark.parametrize(
    ("link", "turned"),
    [
        ("[it](../OTHER.md#top)", "[it](../other.md#top)"),
        ("[`code.py`](code.py)", "`code.py`"),
        ("[web](https://example.org/a)", "[web](https://example.org/a)"),
        ("[here](#below)", "[here](#below)"),
        ("[X/Fe] [dex]", r"[X/Fe] \[dex]"),
    ],
)
def test_links_of_included_files_lead_to_pages(include, link, turned):
    assert include(link) == turned


def test_a_part_of_a_file_is_included(include):
    text = "a\n<!-- x:begin -->\nb\n<!-- x:end -->\nc\n"
    assert include(text, "<!-- include: parts/README.md#x -->").strip() == "b"


@pytest.mark.parametrize("place", ["parts/none.md", "parts/README.md#none"])
def test_an_include_of_a_missing_file_or_part_is_refused(include, place):
    with pytest.raises(PluginError, match=place):
        include("text", f"<!-- include: {place} -->")


def test_tables_hold_every_method_metric_task_and_command():
    methods, metrics = hooks.methods(), hooks.metrics()
    assert all(f"{{: #{name} }}" in methods for name in BUILT_IN)
    assert all(f"`{name}`" in metrics for name in METRICS)
    assert "apogee-giants-snr50" in hooks.tasks()
    assert "## starbench leaderboard reproduce\n" in hooks.commands()


def test_formulas_are_drawn_and_headings_are_bold():
    text = hooks._prose(
        "Title.\n\n.. math::\n\n    a \\le b, \\qquad c.\n\nReferences\n----------\nA."
    )
    assert text.count('<img class="formula"') == 2
    assert "**References**" in text


def test_a_formula_that_cannot_be_drawn_is_named():
    with pytest.raises(PluginError, match="nosuch"):
        hooks._prose("Title.\n\n.. math::\n\n    \\nosuch{a}\n")
