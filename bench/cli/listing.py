"""Tables and descriptions of methods, tasks and data sets, as the commands print them."""

import dataclasses
import inspect
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from tabulate import tabulate

from starbench.common.text import escaped
from starbench.methods.base import Method
from starbench.tasks.base import Task
from starbench.tasks.card import SPLITS, STARS, Card
from starbench.tasks.survey.report import Report

WIDTH = 80  # characters of a line of the terminal


def methods_table(methods: Iterable[type[Method]]) -> str:
    """Return a table of methods: name, label access and whether a control, reference."""
    lines = [
        {
            "method": method.name,
            "label access": f"{method.label_access}{', control' if method.control else ''}",
            "reference": method.reference,
        }
        for method in methods
    ]
    return tabulate(
        lines, headers="keys", disable_numparse=True, maxcolwidths=[None, None, WIDTH - 44]
    )


def describe_method(method: type[Method]) -> str:
    """Describe a method: its idea, its hyperparameters with defaults and ranges, its presets."""
    fields = [
        {
            "hyperparameter": field.name,
            "default": str(field.default),
            "meaning": _meaning(field),
        }
        for field in dataclasses.fields(method.Hyperparameters)
    ]
    presets = [
        f"--preset {name}: {' '.join(f'{key}={value}' for key, value in changes.items())}"
        for name, changes in method.presets.items()
    ]
    table = tabulate(fields, headers="keys", disable_numparse=True, maxcolwidths=[None, 16, 38])
    parts = [
        f"{method.name} (version {method.version})",
        _wrapped(_summary(method)),
        _wrapped(f"Label access: {method.label_access}. Reference: {method.reference}"),
        table if fields else "No hyperparameters.",
        *(_wrapped(preset) for preset in presets),
    ]
    return "\n\n".join(part for part in parts if part)


def _wrapped(text: str) -> str:
    return fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _meaning(field: dataclasses.Field[Any]) -> str:
    """Return what a hyperparameter means, with the values allowed and those of its tuning."""
    known = field.metadata.get("help", "")
    allowed = "True or False" if isinstance(field.default, bool) else allowed_values(field.metadata)
    remarks = [allowed] if allowed else []
    match field.metadata.get("tuned"):  # `starbench tune` refuses what is no range
        case (low, high):
            remarks.append(f"tuned within {low} to {high}")
    return f"{known} ({'; '.join(remarks)})" if remarks else known


def allowed_values(metadata: Mapping[str, Any]) -> str:
    """Return the range or the choices of a hyperparameter in words.

    Examples
    --------
    >>> allowed_values({"low": 1, "high": 64}), allowed_values({"low": 0.0, "high": None})
    ('1 to 64', 'at least 0.0')
    >>> allowed_values({"choices": ("flux", "log")}), allowed_values({})
    ('flux, log', '')
    """
    low, high, choices = (metadata.get(key) for key in ("low", "high", "choices"))
    if choices is not None:
        return ", ".join(str(choice) for choice in choices)
    if low is not None and high is not None:
        return f"{low} to {high}"
    if low is not None:
        return f"at least {low}"
    return "" if high is None else f"at most {high}"


def _summary(method: type[Method]) -> str:
    """Return the first paragraph that documents a method: its own docstring, or its module's."""
    text = method.__doc__ or sys.modules[method.__module__].__doc__ or ""
    return inspect.cleandoc(text).partition("\n\n")[0]


def tasks_table(tasks: Iterable[Task]) -> str:
    """Return a table of tasks of at most 80 columns: family, name, noise, size, nuisance.

    `describe_task` has the rest.
    """
    lines, before = [], None
    for task in tasks:
        lines.append(
            {
                "family": "" if task.card.family == before else task.card.family,
                "task": task.name,
                "SNR": "" if task.snr is None else f"{task.snr:g}",
                "test": f"{task.sizes(task.default_scale)['test']:,} "
                + ("stars" if task.card.survey else "pairs"),
                "nuisance": ", ".join(task.nuisance_names),
            }
        )
        before = task.card.family
    return tabulate(
        lines, headers="keys", disable_numparse=True, colalign=("left", "left", "right", "right")
    )


def _with_units(names: tuple[str, ...], units: tuple[str, ...]) -> str:
    return ", ".join(f"{name} [{unit}]" for name, unit in zip(names, units, strict=True))


def describe_task(task: Task) -> str:
    """Return the card of a task, one fact per line."""
    card = task.card
    sizes = [
        f"{scale}: {' / '.join(f'{splits[split]:,}' for split in SPLITS)}"
        + (f"; {splits[STARS]:,} single stars to train on without twins" if STARS in splits else "")
        for scale, splits in card.sizes.items()
    ]
    facts = [
        ("task", f"{card.name}, version {card.version}"),
        ("family", card.family),
        ("based on", f"{card.base}: {card.changes}" if card.base else ""),
        ("reference", card.reference),
        ("licence", card.licence),
        ("nuisance", _with_units(card.nuisance_names, card.nuisance_units)),
        ("composition", ", ".join(card.elements) or "unknown"),
        ("unseen", _with_units(card.unseen_names, card.unseen_units)),
        ("noise", _noise(card)),
        ("pixels", _pixels(task)),
        ("scales", "\n".join([f"train / validation / test {_items(task)}", *sizes])),
        ("changelog", "\n".join(f"{n}: {change}" for n, change in card.changelog.items())),
    ]
    return _facts_table(facts)


def _noise(card: Card) -> str:
    if card.survey:
        return "errors of each pixel; some are masked"
    return "none added" if card.snr is None else f"SNR {card.snr:g} per pixel"


def data_facts(task: Task, scale: str, path: Path | None) -> str:
    """Describe a data set as a whole, one fact per line.

    Parameters
    ----------
    task : Task
    scale : str
    path : pathlib.Path or None
        The file of the data set; None if the task stores no file.
    """
    dropped = getattr(task, "dropped", {})  # of own data
    if getattr(task, "has_errors", False):
        noise = "errors of each pixel; some may be masked"
    elif task.snr is None:
        noise = "not declared: spectra count as noiseless" if scale == "own" else "none added"
    else:
        given = "declared" if scale == "own" else "added when read"
        noise = f"SNR {task.snr:g} per pixel, {given}"
    facts = [
        ("task", f"{task.name}, version {task.version}, scale {scale}"),
        ("reference", task.reference),
        ("file", f"{path} ({path.stat().st_size / 1e6:,.1f} MB)" if path else ""),
        ("pixels", _pixels(task)),
        ("noise", noise),
        ("left out", ", ".join(f"{n:,} of {split}: all masked" for split, n in dropped.items())),
        ("composition", _composition(task)),
        *_made_from(task, scale),
        ("fingerprint", task.fingerprint(scale)),
    ]
    return _facts_table(facts)


def _items(task: Task) -> str:
    return "stars" if task.card.survey else "pairs"


def _facts_table(facts: list[tuple[str, str]]) -> str:
    """Return named facts as two columns; paths are not broken, so that they can be copied."""
    lines = [
        (
            name,
            "\n".join(
                fill(line, 64, break_long_words=False, break_on_hyphens=False)
                for line in value.splitlines()
            ),
        )
        for name, value in facts
        if value
    ]
    return tabulate(lines, tablefmt="plain", disable_numparse=True)


def splits_table(task: Task, scale: str) -> str:
    """Return a table of the splits with their sizes and the range of each nuisance."""
    lines = []
    for split in task.sizes(scale):
        nuisance, each = task.labels_on_disk(split, scale)[0], task.card.spectra_each(split)
        line = {"split": split}
        group = task.groups(split, scale)
        if group is None:
            line["pairs"] = f"{len(nuisance):,}" if each == 2 else ""
        else:
            size = np.unique(group, return_counts=True)[1]
            several = (size > 1).sum()
            smallest, largest = size[size > 1].min(initial=size.max()), size.max()
            stars = f"{smallest}" if smallest == largest else f"{smallest} to {largest}"
            line["groups"] = f"{several:,} of {stars} stars" if several else "none"
            line["field stars"] = f"{(size == 1).sum():,}"
        line["spectra"] = f"{each * len(nuisance):,}"
        for i, (name, unit) in enumerate(
            zip(task.nuisance_names, task.nuisance_units, strict=True)
        ):
            low, high = np.min(nuisance[..., i]), np.max(nuisance[..., i])
            line[f"{name} [{unit}]"] = f"{low:.6g} to {high:.6g}"
        lines.append(line)
    return tabulate(lines, headers="keys", disable_numparse=True)


def _made_from(task: Task, scale: str) -> list[tuple[str, str]]:
    """Return the recorded origin of a stored data set, such as a digest of the emulator."""
    if not task.stored:
        return []
    return [
        (name.replace("_", " "), str(value))
        for name, value in task.cached(scale).header.facts.items()
        if name not in ("task", "version", "scale")
    ]


def _pixels(task: Task) -> str:
    wavelength, unit, medium = task.wavelength, task.wavelength_unit, task.card.medium
    where = "medium not stated" if medium == "unknown" else f"in {medium}"
    return f"{len(wavelength):,}, {wavelength[0]:.2f}-{wavelength[-1]:.2f} {unit}, {where}"


def _composition(task: Task) -> str:
    if not task.elements:
        return "unknown"
    if task.card.has_model_pairs and not task.has_composition("train"):
        return ", ".join(task.elements) + "; of the pairs to train on alone"
    withheld = not task.has_composition("test")
    return ", ".join(task.elements) + ("; withheld for test" if withheld else "")


def import_table(stars: pd.DataFrame) -> str:
    """Return what was imported as a table: a line for each split."""
    lines = []
    for split in SPLITS:
        its = stars[stars["split"] == split]
        sizes, snr = its["group"].value_counts(), its["snr"].dropna()
        lines.append(
            {
                "split": split,
                "spectra": len(its),
                "stars": its["star"].nunique(),
                "groups of siblings": int((sizes > 1).sum()),
                "median SNR": f"{snr.median():.1f}" if len(snr) else "",
                "masked": f"{its['masked'].mean():.1%}",
            }
        )
    return tabulate(lines, headers="keys", disable_numparse=True)


def dropped_table(report: Report) -> str:
    """Return what was left out of an import as a table: a line for each reason."""
    lines = [
        {"left out": number, "because it": escaped(reason), "first": escaped(first.named)}
        for bad in (True, False)
        for reason, number in report.counts(bad=bad).items()
        for first in [next(each for each in report.dropped if each.reason == reason)]
    ]
    return tabulate(lines, headers="keys", disable_numparse=True)
