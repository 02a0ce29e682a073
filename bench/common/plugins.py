"""Loading methods and tasks: built-in, from an installed package, or from a file."""

import difflib
import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from starbench.common.paths import user_path
from starbench.common.sources import allow_neighbours
from starbench.common.text import one_line

Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class Plugins:
    """The plug-ins of one kind.

    Attributes
    ----------
    kind : str
        ``"method"`` or ``"task"``, as in ``--task`` and ``starbench tasks``.
    built_in : dict of str to str
        For each name, ``module:attribute``, so that listing the names imports nothing.
    group : str
        Group of entry points under which packages register others.
    error : type of Exception
        Raised with one sentence if something cannot be found or loaded.
    """

    kind: str
    built_in: dict[str, str]
    group: str
    error: type[Exception]

    def names(self) -> tuple[str, ...]:
        """Return the built-in names, in their order, and then those of installed packages."""
        others = {point.name for point in entry_points(group=self.group)} - set(self.built_in)
        return (*self.built_in, *sorted(others))

    def shadowed(self) -> list[str]:
        """Return a sentence for each entry point that is not used: its name is a built-in one."""
        return [
            f"{_package(point)} registers a {self.kind} {point.name!r}, which is the name of one "
            "of starbench's own; the latter is used."
            for point in entry_points(group=self.group)
            if point.name in self.built_in
        ]

    def package_of(self, name: str, kind: type) -> str | None:
        """Return name and version of the installed package that registers a class, if one does."""
        top = kind.__module__.partition(".")[0]
        for point in entry_points(group=self.group):
            same = point.name == name and point.attr == kind.__qualname__
            if same and point.module.partition(".")[0] == top and point.dist is not None:
                return f"{point.dist.name} {point.dist.version}"
        return None

    def load(self, spec: str) -> Any:
        """Load the class of a name or of ``PATH.py:CLASS``.

        Raises
        ------
        Exception
            Of type `error`.
        """
        if ".py:" in spec:
            return self._from_file(*spec.rsplit(":", 1))
        if spec in self.built_in:
            module, attribute = self.built_in[spec].split(":")
            return getattr(importlib.import_module(module), attribute)
        if spec.endswith(".py"):
            raise self.error(f"--{self.kind} {spec} names no class; give it as {spec}:CLASS.")
        points = [point for point in entry_points(group=self.group) if point.name == spec]
        if not points:
            near = difflib.get_close_matches(spec, self.names(), n=3, cutoff=0.4) or self.names()
            names = "name is" if len(near) == 1 else "names are"
            raise self.error(
                f"There is no {self.kind} {spec!r}; the nearest {names} {', '.join(near)}."
            )
        if len({point.value for point in points}) > 1:
            packages = " and ".join(sorted(map(_package, points)))
            raise self.error(f"{packages} register a {self.kind} {spec!r}; uninstall all but one.")
        try:
            return points[0].load()
        except (Exception, SystemExit) as error:  # third-party code may raise anything
            raise self.error(
                f"{self.kind.capitalize()} {spec!r} of {_package(points[0])} cannot be loaded: "
                f"{in_one_line(error)}."
            ) from error

    def _from_file(self, filename: str, attribute: str) -> Any:
        path = user_path(filename)
        try:
            exists = path.is_file()
        except OSError as error:  # a name that no file can have
            raise self.error(f"--{self.kind} {filename}: {error.strerror}.") from None
        name = _module_name(path) if exists else ""
        spec = importlib.util.spec_from_file_location(name, path) if exists else None
        if spec is None or spec.loader is None:
            raise self.error(f"There is no file {filename}; give --{self.kind} as PATH.py:CLASS.")
        allow_neighbours(path)
        module = importlib.util.module_from_spec(spec)
        # Dataclasses and pickle look their module up by name.
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:  # third-party code may raise anything
            del sys.modules[name]
            raise self.error(f"{filename} cannot be loaded: {in_one_line(error)}.") from error
        if not hasattr(module, attribute):
            raise self.error(
                f"{filename} defines no {attribute!r}; give --{self.kind} as PATH.py:CLASS."
            )
        return getattr(module, attribute)


def each_loaded(
    names: Iterable[str], get: Callable[[str], Loaded], error: type[Exception]
) -> tuple[dict[str, Loaded], dict[str, str]]:
    """Load each name by itself, so that a broken package hides no other.

    Parameters
    ----------
    names : iterable of str
    get : callable
        Returns what has a name.
    error : type of Exception
        What it raises if that cannot be loaded.

    Returns
    -------
    loaded : dict of str to what `get` returns
    faults : dict of str to str
        For each other name, what the error says.
    """
    loaded, faults = {}, {}
    for name in names:
        try:
            loaded[name] = get(name)
        except error as fault:
            faults[name] = str(fault)
    return loaded, faults


def _module_name(path: Path) -> str:
    """Return the name by which a file is imported: its own, unless another module has it.

    Worker processes find a module by its own name only.
    """
    name = path.stem
    if name.isidentifier():
        known = sys.modules.get(name)
        if known is not None:
            origin = getattr(known, "__file__", None)
        else:
            found = importlib.util.find_spec(name)
            if found is None:
                return name
            origin = found.origin
        if origin is not None and Path(origin).resolve() == path.resolve():
            return name
    return f"starbench_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"


def _package(point: EntryPoint) -> str:
    return f"package {point.dist.name}" if point.dist else "a package without a name"


def place_of(error: BaseException, files: Collection[Path]) -> str:
    """Return where third-party code raised an error: its own line, and the line of what it called.

    The error of a library says little without the line that called it.

    Parameters
    ----------
    error : BaseException
    files : collection of pathlib.Path
        Of that code.

    Returns
    -------
    str
        Such as ``"my_method.py:12, raised at linalg.py:90"``.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename) in files]
    shown = own[-1:] if own[-1:] == frames[-1:] else [*own[-1:], frames[-1]]
    return ", raised at ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in shown)


def in_one_line(error: BaseException) -> str:
    """Return what an exception of third-party code says; of a wrong card, its first field."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        return (
            f"{error.title}({field or 'as a whole'}: {first['msg'].removeprefix('Value error, ')})"
        )
    return one_line(repr(error))
