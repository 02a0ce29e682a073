"""Tables of the methods and tasks that there are."""

import dataclasses
import inspect
import sys
from collections.abc import Iterable

from tabulate import tabulate

from starbench.methods.base import Method
from starbench.tasks.base import Task


def methods_table(methods: Iterable[type[Method]]) -> str:
    """Return a table of methods: name, label access, whether a control, reference."""
    lines = [
        {
            "method": method.name,
            "label access": method.label_access,
            "control": "yes" if method.control else "",
            "reference": method.reference,
        }
        for method in methods
    ]
    return tabulate(lines, headers="keys", disable_numparse=True)


def describe_method(method: type[Method]) -> str:
    """Return what a method is, its hyperparameters with defaults and meanings, and its presets."""
    parts = [
        f"{method.name} (version {method.version})",
        inspect.cleandoc(_own_doc(method)).partition("\n\n")[0],
        f"Label access: {method.label_access}. Reference: {method.reference}",
    ]
    fields = [
        {
            "hyperparameter": field.name,
            "default": str(field.default),
            "meaning": field.metadata.get("help", ""),
        }
        for field in dataclasses.fields(method.Hyperparameters)
    ]
    parts.append(
        tabulate(fields, headers="keys", disable_numparse=True) if fields else "No hyperparameters."
    )
    for name, changes in method.presets.items():
        settings = " ".join(f"{key}={value}" for key, value in changes.items())
        parts.append(f"--preset {name}: {settings}")
    return "\n\n".join(part for part in parts if part)


def _own_doc(method: type[Method]) -> str:
    """Return what a method says of itself; without a word of its own, what its module says."""
    return method.__doc__ or sys.modules[method.__module__].__doc__ or ""


def tasks_table(tasks: Iterable[Task]) -> str:
    """Return a table of tasks: name, version, noise, sizes at full scale, nuisance, reference."""
    lines = []
    for task in tasks:
        sizes = task.sizes("full")
        nuisance = zip(task.nuisance_names, task.nuisance_units, strict=True)
        lines.append(
            {
                "task": task.name,
                "version": task.version,
                "SNR a pixel": "no noise" if task.snr is None else f"{task.snr:g}",
                "pairs (train / validation / test)": " / ".join(f"{n:,}" for n in sizes.values()),
                "nuisance": ", ".join(f"{name} [{unit}]" for name, unit in nuisance),
                "reference": task.reference,
            }
        )
    return tabulate(lines, headers="keys", disable_numparse=True)
