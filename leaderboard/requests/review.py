"""Checks of a pull request with rows, which run none of its code.

The files of the pull request are read from git's objects, never checked out. First their paths,
kinds and sizes are compared with what `starbench leaderboard add` and `build` write; only then are
the rows read, as untrusted data, by the code of the base branch, in a copy of its leaderboard.
"""

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from starbench.leaderboard.pages import generate
from starbench.leaderboard.requests.git import git
from starbench.leaderboard.store import board
from starbench.leaderboard.store.checks import check_acceptable, check_data
from starbench.leaderboard.store.names import (
    CONFIRMATIONS,
    ENDINGS,
    FOLDERS,
    JSON,
    REPRODUCTIONS,
    ROWS,
    main_file,
)
from starbench.leaderboard.store.task import BoardTask
from starbench.leaderboard.store.verify import (
    equal_fresh_ranks,
    equal_ranks,
    strays,
    verify_row,
)
from starbench.methods.base import Method
from starbench.results.text import RowError, printable
from starbench.tasks.errors import DataError

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}"


def _of_folders(*folders: str) -> re.Pattern[str]:
    """Return the pattern of the paths that files of folders of the leaderboard may have."""
    ways = [rf"{folder}/{_NAME}({'|'.join(map(re.escape, ENDINGS[folder]))})" for folder in folders]
    return re.compile(f"leaderboard/({'|'.join(ways)})")


_ROW = _of_folders(ROWS)
_RECORD = _of_folders(REPRODUCTIONS, CONFIRMATIONS)
_WHOLE = ("README.md", *(f"leaderboard/{name}" for name in generate.FILES))
_MAX_BYTES = 20_000_000  # of a file; readers have narrower limits of their own
_MAX_TOTAL = 300_000_000
_MAX_FILES = 2_000
_PLAIN = "100644"  # git's mode of a file that is neither a link nor executable


@dataclass(frozen=True)
class Change:
    """A file that a pull request adds or changes.

    Attributes
    ----------
    path : str
    mode : str
        Git's, after the change; ``000000`` where the file is removed.
    blob : str
    kind : str
        Git's letter: A for added, M for modified, D for deleted, T for another kind of file.
    """

    path: str
    mode: str
    blob: str
    kind: str

    @property
    def is_data(self) -> bool:
        """Whether it is below a folder of rows or records, whatever its name."""
        top = self.path.lower().split("/")[:2]
        return top[0] == "leaderboard" and top[-1] in FOLDERS


@dataclass(frozen=True)
class Review:
    """What the checks found.

    Attributes
    ----------
    rows : tuple of str
        Names of the rows that were added.
    faults, flags : tuple of str
        Why the pull request is refused, and what a reader should look at, a sentence each.
    """

    rows: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


def review(
    repository: Path,
    base: str,
    head: str,
    *,
    get_task: Callable[[str], BoardTask],
    installed_method: Callable[[str], type[Method] | None],
) -> Review:
    """Check a pull request.

    Parameters
    ----------
    repository : pathlib.Path
        A clone that has both commits; its files are those of the base.
    base, head : str
        Commits or branches.
    get_task, installed_method : callable
        As `starbench.leaderboard.store.board.add` takes them; neither may load a file that a row
        names.

    Raises
    ------
    RowError
        If git fails.
    """
    base, head = (_commit(repository, each) for each in (base, head))
    try:
        start = git(repository, "merge-base", base, head).decode().strip()
    except RowError:
        raise RowError(
            "git merge-base: BASE and HEAD have no commit in common; give branches of one "
            "repository, and fetch all their commits with `git fetch --unshallow`"
        ) from None
    changes = _changes(repository, start, head)
    if not any(change.is_data for change in changes):
        touched = sorted(change.path for change in changes if change.path in _WHOLE[1:])
        return Review(flags=tuple(f"{path} changes without a row or a record." for path in touched))
    faults = _faults_of_paths(repository, changes)
    if faults:  # nothing is read of such a pull request
        return Review(faults=tuple(faults))
    with TemporaryDirectory(prefix="starbench-") as temporary:
        return _review_contents(repository, changes, Path(temporary), get_task, installed_method)


def _commit(repository: Path, name: str) -> str:
    if name.startswith("-"):
        raise RowError(f"{printable(name)}: not the name of a commit; give a branch or a SHA")
    return git(repository, "rev-parse", "--verify", f"{name}^{{commit}}").decode().strip()


def _changes(repository: Path, start: str, head: str) -> list[Change]:
    raw = git(repository, "diff-tree", "-r", "-z", "--no-renames", "--raw", "--full-index",
              start, head)  # fmt: skip
    fields = raw.decode("utf-8", "backslashreplace").split("\0")
    changes = []
    for facts, path in zip(fields[:-1:2], fields[1::2], strict=True):
        _, mode, _, blob, kind = facts.lstrip(":").split(" ")
        changes.append(Change(path, mode, blob, kind[0]))
    return changes


def _faults_of_paths(repository: Path, changes: Sequence[Change]) -> list[str]:
    """Return why files may not be part of a pull request with rows, before any is read."""
    faults, total = [], 0
    if len(changes) > _MAX_FILES:
        return [f"The pull request has {len(changes):,} files; give at most {_MAX_FILES:,}."]
    for change in changes:
        name = printable(change.path)
        data = bool(_ROW.fullmatch(change.path) or _RECORD.fullmatch(change.path))
        if not data and change.path not in _WHOLE:
            faults.append(
                f"{name}: a pull request with rows holds only what `leaderboard add` and "
                "`leaderboard build` wrote; move it to one of its own."
            )
        elif change.kind == "D":
            faults.append(f"{name}: removed; rows and pages stay.")
        elif change.mode != _PLAIN:
            faults.append(f"{name}: not a plain file (mode {change.mode}); add the file itself.")
        elif _ROW.fullmatch(change.path) and change.kind != "A":
            faults.append(f"{name}: replaces a file of another's row; rows are never edited.")
        else:
            size = _size(repository, change.blob)
            total += size
            if size > _MAX_BYTES:
                faults.append(f"{name}: has {size:,} bytes; a file may have {_MAX_BYTES:,}.")
    if total > _MAX_TOTAL:
        faults.append(
            f"The files have {total:,} bytes in all; split the pull request, as one may have "
            f"{_MAX_TOTAL:,}."
        )
    rows = [change for change in changes if _ROW.fullmatch(change.path)]
    records = [change for change in changes if _RECORD.fullmatch(change.path)]
    if rows and records:
        faults.append(
            f"{printable(records[0].path)}: a record of a check comes from somebody else than the "
            "row; give it in a pull request of its own, after the row was merged."
        )
    return faults


def _size(repository: Path, blob: str) -> int:
    return int(git(repository, "cat-file", "-s", blob))


def _review_contents(
    repository: Path,
    changes: Sequence[Change],
    folder: Path,
    get_task: Callable[[str], BoardTask],
    installed_method: Callable[[str], type[Method] | None],
) -> Review:
    """Read the files in a copy of the base's leaderboard, and check them there."""
    directory = folder / "leaderboard"
    _copy_base(repository, folder)
    data = [change for change in changes if change.path not in _WHOLE]
    written = {
        change.path: _content(repository, change) for change in changes if change.path in _WHOLE
    }
    for change in data:
        target = folder / change.path  # of one of the two patterns, so below `folder`
        if target.exists() and change.kind == "A":
            return Review(faults=(f"{printable(change.path)}: the leaderboard has this file.",))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(_content(repository, change))
    added = _rows_of(directory, changes, _ROW)
    faults = [*strays(directory), *_lonely(data)]
    for path in sorted({*added, *_rows_of(directory, changes, _RECORD)}):
        try:
            _check_row(path, path in added, get_task, installed_method)
        except (RowError, DataError) as error:
            faults.append(str(error).replace(f"{folder}/", ""))
    flags: list[str] = []
    if not faults:
        try:
            entries = board.load(directory)
            faults = _outdated(entries, directory, written, repository)
        except RowError as error:
            faults = [str(error)]
    if not faults:
        rows = [(entry.path, entry.row) for entry in entries]
        alike = [*equal_ranks(rows), *equal_fresh_ranks(rows)]
        flags += [sentence.replace(f"{folder}/", "") for sentence in alike]
    flags += [
        f"{printable(change.path)}: replaces a record that somebody else may have made; say why."
        for change in changes
        if _RECORD.fullmatch(change.path) and change.kind == "M"
    ]
    return Review(tuple(path.name for path in added), tuple(faults), tuple(flags))


def _copy_base(repository: Path, folder: Path) -> None:
    """Copy the base's rows, and the files that pages are generated from."""
    directory = folder / "leaderboard"
    for name in FOLDERS:
        if (repository / "leaderboard" / name).is_dir():
            shutil.copytree(repository / "leaderboard" / name, directory / name, symlinks=True)
    shutil.copyfile(repository / "leaderboard" / board.MARKER, directory / board.MARKER)
    if (repository / "README.md").is_file():
        shutil.copyfile(repository / "README.md", folder / "README.md")


def _content(repository: Path, change: Change) -> bytes:
    return git(repository, "cat-file", "blob", change.blob)


def _rows_of(directory: Path, changes: Sequence[Change], pattern: re.Pattern[str]) -> list[Path]:
    """Return the files of the rows that changed files of a pattern belong to."""
    names = (Path(change.path).name for change in changes if pattern.fullmatch(change.path))
    return sorted(directory / ROWS / name for name in names if name.endswith(JSON))


def _lonely(changes: Sequence[Change]) -> list[str]:
    """Return which files come without the row or record that they belong to."""
    paths = {change.path for change in changes}
    return [
        f"{printable(change.path)}: lies beside no row or record of this pull request; remove it."
        for change in changes
        if main_file(Path(change.path)).as_posix() not in paths
    ]


def _check_row(
    path: Path,
    added: bool,
    get_task: Callable[[str], BoardTask],
    installed_method: Callable[[str], type[Method] | None],
) -> None:
    """Raise if a row cannot be verified, or may not be added."""
    row = verify_row(path, get_task=get_task, installed_method=installed_method)
    if added:
        name = printable(path.name)
        check_acceptable(row, name)
        if row.task_version < (task := get_task(row.task)).version:
            check_data(row, None, name, task)  # refused: only rows kept have older data


def _outdated(
    entries: Sequence[board.Entry], directory: Path, written: dict[str, bytes], repository: Path
) -> list[str]:
    """Return which generated files, changed or those of the base, are not those of the rows."""
    faults = []
    for path, text in generate.pages(entries, directory).items():
        name = path.relative_to(directory.parent).as_posix()
        found, before = written.get(name), repository / name
        if found is None and before.is_file():
            found = before.read_bytes()  # rows need not change every page
        if found != text.encode():
            faults.append(
                f"{name}: not what the rows give; merge the base branch, run `starbench "
                "leaderboard build`, and commit what it writes."
            )
    return faults
