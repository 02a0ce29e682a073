"""Code of third parties: importing a file's neighbours, and the digest of all that belongs to it.

To a file belong the files beside it that it imports; to a module of a package, all of the package.
"""

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES
from importlib.metadata import packages_distributions
from pathlib import Path

_folders: list[str] = []  # of files whose neighbours may be imported, the newest first
_INSTALLED = ("site-packages", "dist-packages")


def allow_neighbours(path: Path) -> None:
    """Let a Python file import the files of its folder, here and in processes that it spawns.

    The folder comes last, so that no file in it stands in for an installed package.
    """
    folder = str(path.resolve().parent)
    others = [other for other in _folders if other != folder]
    if folder not in sys.path or folder in _folders:
        # Of two files that have neighbours of one name, the newest finds its own.
        sys.path[:] = [place for place in sys.path if place not in _folders]
        sys.path.extend([folder, *others])
        _folders[:] = [folder, *others]
    for neighbour in _neighbours(path.resolve(), set()):
        name = neighbour.stem
        file = getattr(sys.modules.get(name), "__file__", None) or ""
        if str(Path(file).parent) in others:
            del sys.modules[name]


def code_digest(module: str, path: Path) -> str:
    """Return the SHA-256 of the code that a module belongs to.

    Parameters
    ----------
    module : str
        Name of an imported module.
    path : pathlib.Path
        Its file.
    """
    folder = package_folder(module, path)
    if folder is None:
        return source_digest(path)
    suffixes = (*SOURCE_SUFFIXES, *EXTENSION_SUFFIXES)
    files = [file for file in folder.rglob("*") if file.name.endswith(suffixes)]
    return _add_files(hashlib.sha256(), files, folder)


def package_folder(module: str, path: Path) -> Path | None:
    """Return the folder of the outermost package that holds a module; None for a lone file."""
    parts = module.split(".")
    for length in range(1, len(parts) + 1):
        package = sys.modules.get(".".join(parts[:length]))
        for folder in getattr(package, "__path__", ()):
            # Another package may have the name of a user's file.
            if path.is_relative_to(folder):
                return Path(folder)
    return None


def source_digest(path: Path) -> str:
    """Return the SHA-256 of a Python file and of the files of its folder that it imports."""
    own = hashlib.sha256(path.read_bytes())
    neighbours = _neighbours(path, set())
    if not neighbours:
        return own.hexdigest()
    return _add_files(hashlib.sha256(own.digest()), neighbours, path.parent)


def third_party_digest(modules: Iterable[str]) -> str | None:
    """Return the SHA-256 of modules that are not starbench's own, and of what belongs to them.

    To a file belong the files beside it that it imports, as in `source_digest`; to a module of a
    package the modules of the package that it imports, but not all others, so that a change of one
    plug-in changes no other.

    Parameters
    ----------
    modules : iterable of str
        Names of imported modules; those of starbench and those without a file do not count.

    Returns
    -------
    str or None
        None if no module counts.
    """
    digests = set()
    for module in modules:
        path = module_file(module)
        if is_own(module) or path is None:
            continue
        lone = package_folder(module, path) is None
        digests.add(source_digest(path) if lone else module_digest(module, module.split(".")[0]))
    return digest_of_all(digests)


def digest_of_all(digests: Iterable[str]) -> str | None:
    """Return one digest for several in any order: None for none, a single one unchanged."""
    different = sorted(set(digests))
    if len(different) < 2:
        return different[0] if different else None
    return hashlib.sha256("".join(different).encode()).hexdigest()


def is_own(module: str) -> bool:
    """Return whether a module is starbench's own."""
    return module.startswith("starbench.")


def module_file(module: str) -> Path | None:
    """Return the file of an imported module; None without one, as in a notebook."""
    file = getattr(sys.modules.get(module), "__file__", None)
    path = None if file is None else Path(file)
    return path if path is not None and path.is_file() else None


def module_digest(module: str, within: str) -> str:
    """Return the SHA-256 of an imported module and of those of a package that it imports.

    Parameters
    ----------
    module : str
    within : str
        The package; what the module imports from elsewhere does not count.
    """
    files: dict[str, Path] = {}
    _collect_modules(module, within, files)
    digest = hashlib.sha256()
    for name, file in sorted(files.items()):
        digest.update(name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _collect_modules(module: str, within: str, files: dict[str, Path]) -> None:
    """Add the file of a module, and of those of the package that it imports in turn."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None or module in files:
        return
    files[module] = Path(spec.origin)
    for node in _nodes(files[module]):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and (parent := _imported_from(node, spec.parent)):
            names = [parent, *(f"{parent}.{alias.name}" for alias in node.names)]
        for name in names:
            if (name == within or name.startswith(f"{within}.")) and _is_module(name):
                _collect_modules(name, within, files)


def _imported_from(node: ast.ImportFrom, package: str | None) -> str | None:
    """Return the full name of what a module of a package imports names from."""
    relative = "." * node.level + (node.module or "")
    try:
        return importlib.util.resolve_name(relative, package)
    except ImportError:  # beyond the outermost package
        return None


def _nodes(path: Path) -> Iterator[ast.AST]:
    """Yield the nodes of a Python file; none of one that cannot be parsed."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    yield from ast.walk(tree)


def _is_module(name: str) -> bool:
    """Return whether a dotted name, whose parents can be imported, is a module."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the parent is a module, not a package
        return False


def _add_files(digest: "hashlib._Hash", files: Iterable[Path], folder: Path) -> str:
    for file in sorted(files):
        name = file.relative_to(folder).as_posix()
        digest.update(name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _neighbours(path: Path, seen: set[Path]) -> set[Path]:
    """Return the files beside `path` that it imports, and those that they import in turn.

    All files of a package count, whichever of them it imports.
    """
    for name in _imported(path):
        if path.parent.name in _INSTALLED and not _installed_together(path.stem, name):
            continue
        package = path.parent / name
        files = list(package.rglob("*.py")) if (package / "__init__.py").is_file() else []
        for file in files or [package.with_name(f"{name}.py")]:
            if file.is_file() and file not in seen and file != path:
                seen.add(file)
                if not files:
                    _neighbours(file, seen)
    return seen


def _installed_together(module: str, other: str) -> bool:
    """Return whether one distribution installed both modules."""
    owners = packages_distributions()
    return bool({*owners.get(module, ())} & {*owners.get(other, ())})


def _imported(path: Path) -> Iterator[str]:
    """Yield the first parts of the names that a file imports, inside functions too."""
    for node in _nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
