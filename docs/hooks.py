"""Hooks of MkDocs that fill pages with texts of the repository and tables from the code.

A line ``<!-- include: PATH -->`` is replaced by that Markdown file, counted from the root of the
repository, and ``<!-- include: PATH#NAME -->`` by what stands in it between ``<!-- NAME:begin -->``
and ``<!-- NAME:end -->``. A line ``The text of this page: [...](...)`` after it, for readers of the
file itself, goes with it. A line ``<!-- commands -->``, ``<!-- methods -->``, ``<!-- metrics -->``
or ``<!-- tasks -->`` is replaced by what the function of that name returns.
"""

import base64
import dataclasses
import inspect
import io
import os.path
import posixpath
import re
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import click
from matplotlib.mathtext import math_to_image
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from tabulate import tabulate

ROOT = Path(__file__).parents[1]
FIGURES = ("tasks/synthesis/figures/*.png",)  # of included pages, from outside docs/
INCLUDE = re.compile(
    r"^<!-- include: ([^\s#]+)(?:#(\S+))? -->(?:\nThe text of this (?:page|section): .*)?$",
    re.MULTILINE,
)
PLACEHOLDER = re.compile(r"^<!-- (commands|methods|metrics|tasks) -->$", re.MULTILINE)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\\[\[\]]|!\[[^\]]*\]\([^)]*\))*)\]\(([^)\s]+)\)")
FORMULA = re.compile(r"^\.\. math::[^\S\n]*(\S.*\n|\n+(?:[ ]{4,}\S.*\n)+)", re.MULTILINE)
MATHTEXT = {"le": "leq", "ge": "geq", "ne": "neq", "tfrac": "frac"}  # what Matplotlib calls them


# -------------------------------------------------------------------------------------------- hooks


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the figures of included pages to the site, under their path in the repository."""
    for pattern in FIGURES:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in included files and generated tables."""
    places = {source: uri for uri, source in _includes(files)}
    markdown = INCLUDE.sub(lambda match: _included(match, page, files, places), markdown)
    return PLACEHOLDER.sub(lambda match: globals()[match[1]](), markdown)


# ----------------------------------------------------------------------------------- included files


def _includes(files: Files) -> Iterator[tuple[str, str]]:
    """Yield the site's pages that hold a file of the repository, or parts of it, and its path."""
    for file in files.documentation_pages():
        for match in INCLUDE.finditer(file.content_string):
            yield file.src_uri, match[1]


def _included(match: re.Match[str], page: Page, files: Files, places: dict[str, str]) -> str:
    """Return a file's text, or a part of it, its links turned to the pages of the site."""
    source, part = match[1], match[2]
    try:
        text = (ROOT / source).read_text("utf-8")
        if part is not None:
            text = text.split(f"<!-- {part}:begin -->", 1)[1].split(f"<!-- {part}:end -->", 1)[0]
    except (OSError, IndexError):
        raise PluginError(f"{page.file.src_uri} includes {match[0]}, which is not there.") from None

    def turned(link: re.Match[str]) -> str:
        bang, label, target = link.groups()
        label = LINK.sub(turned, label)
        if re.match(r"[a-z]+:|#", target):
            return f"{bang}[{label}]({target})"
        path, hash_sign, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        uri = places.get(path) or path.removeprefix("docs/")
        if files.get_file_from_path(uri) is None:
            return label  # a file of the repository that is no page of the site
        here = PurePosixPath(page.file.src_uri).parent
        return f"{bang}[{label}]({os.path.relpath(uri, here)}{hash_sign}{anchor})"

    text = re.sub(r"\] \[(?=[^\[\]]*\](?![(\[]))", r"] \\[", text)  # [X/Fe] [dex] is no reference
    return LINK.sub(turned, text)


# --------------------------------------------------------------------------------- generated tables


def commands() -> str:
    """Return the help of every command, as the terminal shows it."""
    from starbench.cli.main import main

    return "\n".join(_helps(main, click.Context(main, info_name="starbench")))


def _helps(command: click.Command, context: click.Context) -> Iterator[str]:
    context.terminal_width = 80
    yield f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                yield from _helps(below, click.Context(below, info_name=name, parent=context))


def methods() -> str:
    """Return a table of the built-in methods, then each with its idea and its hyperparameters."""
    from starbench.methods.registry import BUILT_IN, get_method

    classes = [get_method(name) for name in sorted(BUILT_IN)]
    modules = [method.__module__ for method in classes]
    lines = [
        {
            "method": f"[{method.name}](#{method.name})",
            "label access": method.label_access,
            "kind": "control" if method.control else "competes",
            "reference": method.reference,
        }
        for method in classes
    ]
    parts = [tabulate(lines, headers="keys", tablefmt="github", disable_numparse=True)]
    for method in classes:
        fields = [
            {
                "hyperparameter": f"`{field.name}`",
                "default": f"`{field.default}`",
                "range": _range(field),
                "meaning": field.metadata.get("help", "").replace("|", "\\|"),
            }
            for field in dataclasses.fields(method.Hyperparameters)
        ]
        shared = modules.count(method.__module__) > 1  # otherwise the module describes the method
        about = (method if shared else sys.modules[method.__module__]).__doc__ or ""
        parts += [
            f"## {method.name} {{: #{method.name} }}",
            f"Version {method.version}. Label access: {method.label_access}.",
            _prose(inspect.cleandoc(about)),
            tabulate(fields, headers="keys", tablefmt="github", disable_numparse=True),
        ]
        for name, changes in method.presets.items():
            settings = " ".join(f"--set {key}={value}" for key, value in changes.items())
            parts.append(f"`--preset {name}` is `{settings}`.")
    return "\n\n".join(part for part in parts if part)


def _range(field: dataclasses.Field[Any]) -> str:
    """Return a hyperparameter's range or choices."""
    low, high = field.metadata.get("low"), field.metadata.get("high")
    if choices := field.metadata.get("choices"):
        return ", ".join(choices)
    if low is not None and high is not None:
        return f"{low} to {high}"
    return f"≥ {low}" if low is not None else f"≤ {high}" if high is not None else ""


def metrics() -> str:
    """Return a table of the metrics."""
    from starbench.metrics import METRICS

    lines = [
        {
            "metric": f"`{name}`",
            "on the board": metric.label,
            "definition": metric.definition,
            "better": "higher" if metric.higher_is_better else "lower",
            "version": metric.version,
        }
        for name, metric in METRICS.items()
    ]
    return tabulate(lines, headers="keys", tablefmt="github", disable_numparse=True)


def tasks() -> str:
    """Return what ``starbench tasks`` prints."""
    from starbench.cli.main import main

    with io.StringIO() as text:
        out, sys.stdout = sys.stdout, text
        try:
            main(["tasks"], standalone_mode=False)
        finally:
            sys.stdout = out
        return f"```text\n{text.getvalue().rstrip()}\n```"


# ---------------------------------------------------------------------------------- from docstrings


def _prose(docstring: str) -> str:
    """Return a module's docstring as Markdown: section titles in bold, formulas as figures."""
    text = re.sub(r"^(\w[\w ]*)\n-{3,}$", r"**\1**\n", docstring + "\n", flags=re.MULTILINE)
    head, title, references = text.partition("**References**\n")
    references = re.sub(r"\.\n(?=\S)", ".<br>\n", references)  # an entry ends in a full stop
    return FORMULA.sub(_formula, head + title + references)


def _formula(match: re.Match[str]) -> str:
    """Draw a formula at build time, so that reading it needs neither a script nor a font."""
    tex = " ".join(match[1].split())
    for name, drawable in MATHTEXT.items():
        tex = re.sub(rf"\\{name}\b", rf"\\{drawable}", tex)
    images = []
    for piece in re.split(r"\s*\\qquad\s*", tex):
        with io.BytesIO() as file:
            try:
                math_to_image(f"${piece}$", file, format="svg")
            except ValueError:
                raise PluginError(f"Matplotlib cannot draw the formula {piece}") from None
            data = base64.b64encode(file.getvalue()).decode()
        images.append(f'<img class="formula" alt="{piece}" src="data:image/svg+xml;base64,{data}">')
    return "\n" + " ".join(images) + "\n"
