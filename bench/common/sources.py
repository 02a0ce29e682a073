"""Users' Python files: importing their neighbours, and the digest of all their code."""

import ast
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path


def allow_neighbours(path: Path) -> None:
    """Let a Python file import the files of its folder, here and in processes that it spawns.

    The folder comes last, so that no file in it stands in for an installed package.
    """
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)


def source_digest(path: Path) -> str:
    """Return the SHA-256 of a Python file and of the files of its folder that it imports."""
    own = hashlib.sha256(path.read_bytes())
    neighbours = sorted(_neighbours(path, set()))
    if not neighbours:
        return own.hexdigest()
    digest = hashlib.sha256(own.digest())
    for neighbour in neighbours:
        name = neighbour.relative_to(path.parent).as_posix()
        digest.update(name.encode() + b"\0" + hashlib.sha256(neighbour.read_bytes()).digest())
    return digest.hexdigest()


def _neighbours(path: Path, seen: set[Path]) -> set[Path]:
    """Return the files beside `path` that it imports, and those that they import in turn.

    All files of a package count, whichever of them it imports.
    """
    for name in _imported(path):
        package = path.parent / name
        files = list(package.rglob("*.py")) if (package / "__init__.py").is_file() else []
        for file in files or [package.with_name(f"{name}.py")]:
            if file.is_file() and file not in seen and file != path:
                seen.add(file)
                if not files:
                    _neighbours(file, seen)
    return seen


def _imported(path: Path) -> Iterator[str]:
    """Yield the first parts of the names that a file imports, inside functions too."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return  # a file that cannot be imported
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
