"""Loading methods and tasks: built-in, from an installed package, or from a file."""

import difflib
import importlib
import importlib.util
import sys
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any


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
        points = {point.name: point for point in entry_points(group=self.group)}
        if spec not in points:
            near = difflib.get_close_matches(spec, self.names(), n=3, cutoff=0.4) or self.names()
            raise self.error(
                f"There is no {self.kind} {spec!r}; the nearest names are {', '.join(near)}."
            )
        try:
            return points[spec].load()
        except Exception as error:  # a third party's package can raise anything
            package = points[spec].dist
            source = f" of package {package.name}" if package else ""
            raise self.error(
                f"{self.kind.capitalize()} {spec!r}{source} cannot be loaded: {error!r}."
            ) from error

    def _from_file(self, filename: str, attribute: str) -> Any:
        path = Path(filename)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if not path.is_file() or spec is None or spec.loader is None:
            raise self.error(f"There is no file {filename}; give --{self.kind} as PATH.py:CLASS.")
        module = importlib.util.module_from_spec(spec)
        # Dataclasses look their module up by name while they are being defined.
        sys.modules.setdefault(path.stem, module)
        try:
            spec.loader.exec_module(module)
        except Exception as error:  # a third party's file can raise anything
            raise self.error(f"{filename} cannot be loaded: {error!r}.") from error
        if not hasattr(module, attribute):
            raise self.error(
                f"{filename} defines no {attribute!r}; give --{self.kind} as PATH.py:CLASS."
            )
        return getattr(module, attribute)
