"""The examples in docstrings and in Markdown pages, run as doctests."""

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import starbench
import starbench.leaderboard
import starbench.methods
import starbench.tasks

ROOT = Path(__file__).parents[1]
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
OPTIONAL_ENGINES = ("pysme", "concept_erasure")
FENCED_BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def modules():
    """Return the names of the package's modules whose source holds an example."""
    packages = (starbench, starbench.leaderboard, starbench.methods, starbench.tasks)
    found = {package.__name__: Path(package.__file__) for package in packages}
    for package in packages:
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            found[info.name] = Path(info.module_finder.find_spec(info.name).origin)
    return sorted(name for name, path in found.items() if ">>>" in path.read_text("utf-8"))


def pages():
    """Return the paths of the Markdown pages that hold an example."""
    patterns = ("*.md", "docs/**/*.md", "methods/*.md", "tasks/**/*.md", "examples/*.md")
    paths = {path for pattern in patterns for path in ROOT.glob(pattern)}
    return sorted(str(path.relative_to(ROOT)) for path in paths if ">>>" in path.read_text("utf-8"))


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def assert_passes(request, monkeypatch, tmp_path, cache):
    """Return a function that runs an example in an empty folder and shows doctest's report."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STARBENCH_CACHE", str(cache))

    def run(example):
        example.globs["getfixture"] = request.getfixturevalue  # as pytest's own doctests have it
        report = []
        doctest.DocTestRunner(optionflags=OPTIONS).run(example, out=report.append)
        assert not report, "".join(report)

    return run


@pytest.mark.parametrize("name", modules())
def test_examples_in_docstrings_run(name, assert_passes):
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in OPTIONAL_ENGINES:
            raise
        pytest.skip(f"{error.name} is not installed")
    examples = [test for test in doctest.DocTestFinder().find(module) if test.examples]
    assert examples, f"doctest finds none of the examples in {inspect.getsourcefile(module)}"
    for example in examples:
        assert_passes(example)


@pytest.mark.parametrize("page", pages())
def test_examples_in_markdown_pages_run(page, assert_passes):
    text = (ROOT / page).read_text("utf-8")
    blocks = [block for block in FENCED_BLOCK.findall(text) if ">>>" in block]
    source = "\n".join(blocks)  # one after the other, in one namespace
    assert_passes(doctest.DocTestParser().get_doctest(source, {}, page, page, 0))
