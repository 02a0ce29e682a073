"""The origin of a method that is not starbench's own: its code, and how a command names it."""

import inspect
from dataclasses import dataclass
from pathlib import Path

from starbench.common.paths import short_path, user_path
from starbench.common.sources import code_digest, is_own, module_digest, package_folder
from starbench.methods.base import Method
from starbench.methods.registry import PLUGINS

_LONGEST = 1000  # characters of a path that a row holds


@dataclass(frozen=True)
class Code:
    """The code of a method; the attributes are those of `starbench.results.schema.Code`."""

    sha256: str
    package: str | None


@dataclass(frozen=True)
class Given:
    """What a command names; the attributes are those of `starbench.results.schema.Given`."""

    method: str | None = None
    task: str | None = None
    data: str | None = None


@dataclass(frozen=True)
class Declared:
    """What its author says of a run; see `starbench.results.schema.Declared`."""

    outside_data: str | None = None
    pretraining: str | None = None
    code: str | None = None

    def of_method(self, method_class: type[Method]) -> "Declared":
        """Return what is said of a run of a method, which may say more by its class attributes."""
        return Declared(
            self.outside_data or method_class.outside_data,
            self.pretraining or method_class.pretraining,
            self.code,
        )


def source_file(method_class: type[Method]) -> Path | None:
    """Return the file that defines a class; None for a class defined in a notebook."""
    try:
        source = inspect.getsourcefile(method_class)
    except (TypeError, OSError):
        return None
    return None if source is None else Path(source)


def method_code(method_class: type[Method]) -> Code | None:
    """Return the code of a method; None for starbench's own and for one without a file."""
    if is_own(method_class.__module__):
        return None
    source = source_file(method_class)
    if source is None:
        return None
    package = PLUGINS.package_of(method_class.name, method_class)
    return Code(code_digest(method_class.__module__, source), package)


def source_sha256(method_class: type[Method]) -> str | None:
    """Return the digest of a method's source files; None for one without a file.

    For a method of a third party it is that of `method_code`.
    """
    source = source_file(method_class)
    if source is None:
        return None
    if is_own(method_class.__module__):
        return module_digest(method_class.__module__, within="starbench.methods")
    return code_digest(method_class.__module__, source)


def given(
    method: str | type[Method] | None, task: object = None, data: str | Path | None = None
) -> Given:
    """Return how a command names a method and its data.

    Parameters
    ----------
    method, task, data
        As `starbench.api.run` takes them; `method` is None for predictions.
    """
    return Given(
        _storable(_name(method) if isinstance(method, type) else method),
        _storable(task if isinstance(task, str) else None),
        None if data is None else _printable(short_path(user_path(data))),
    )


def _name(method_class: type[Method]) -> str:
    """Return what names a class on the command line."""
    source = source_file(method_class)
    if is_own(method_class.__module__) or PLUGINS.package_of(method_class.name, method_class):
        return method_class.name
    if source is None or package_folder(method_class.__module__, source) is not None:
        return f"METHOD.py:{method_class.__qualname__}"  # what its author would save it as
    return f"{source}:{method_class.__qualname__}"


def _storable(name: str | None) -> str | None:
    """Return ``PATH.py:CLASS`` with a short path; None for a registered name."""
    if name is None or ".py:" not in name:
        return None
    path, _, attribute = name.rpartition(":")
    return _printable(f"{short_path(user_path(path))}:{attribute}")


def _printable(text: str) -> str | None:
    return text if text.isprintable() and len(text) <= _LONGEST else None
