"""A pull request with rows: its branch, its files, and its text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from starbench.leaderboard.pages import generate
from starbench.leaderboard.pages.names import remarks
from starbench.leaderboard.requests.git import git
from starbench.leaderboard.store import board
from starbench.leaderboard.store.checks import check_acceptable
from starbench.leaderboard.store.levels import unnamed
from starbench.leaderboard.store.names import ROWS
from starbench.leaderboard.store.task import BoardTask
from starbench.methods.base import Method
from starbench.methods.registry import BUILT_IN
from starbench.results.schema import Row, read_row
from starbench.results.text import RowError, printable

_REMOTE = "origin"


@dataclass(frozen=True)
class Submission:
    """What a pull request with rows needs.

    Attributes
    ----------
    branch : str
        Pushed to the repository.
    title, text : str
        Of the pull request; text in Markdown.
    also : tuple of str
        What else belongs to it, a sentence each.
    """

    branch: str
    title: str
    text: str
    also: tuple[str, ...]


def submit(
    runs: Sequence[Path],
    repository: str,
    base: str,
    *,
    get_task: Callable[[str], BoardTask],
    installed_method: Callable[[str], type[Method] | None],
) -> Submission:
    """Push a branch with rows and the generated files, and return the text of the pull request.

    The branch is made in a clone of its own, so the user's checkout stays as it is. A call that was
    stopped can be repeated.

    Parameters
    ----------
    runs : sequence of pathlib.Path
        As `starbench.leaderboard.store.board.add` takes them.
    repository : str
        URL or path of a git repository to which the user may push, such as a fork.
    base : str
        The branch that the pull request asks to change.
    get_task, installed_method : callable
        As `starbench.leaderboard.store.board.add` takes them.

    Raises
    ------
    RowError
        If a row is refused, or git is.
    """
    rows = [read_row(board.row_file(Path(run))) for run in runs]
    for run, row in zip(runs, rows, strict=True):
        check_acceptable(row, printable(run))  # before anything is fetched
        _require_code(row, printable(run))
    with TemporaryDirectory(prefix="starbench-") as temporary:
        clone = Path(temporary) / "clone"
        git(Path(temporary), "clone", "--quiet", "--depth", "1", "--origin", _REMOTE,
            "--branch", base, "--", _absolute(repository), str(clone))  # fmt: skip
        directory = clone / "leaderboard"
        if not (directory / board.MARKER).is_file():
            raise RowError(
                f"--repository {printable(repository)}: its branch {printable(base)} has no "
                "leaderboard; give a clone or a fork of starbench"
            )
        for run, row in zip(runs, rows, strict=True):
            if (directory / ROWS / board.file_name(row)).exists():
                raise RowError(
                    f"{printable(run)}: the leaderboard of {printable(base)} has a row of this "
                    "method, seed and settings; rows are never edited, so leave it out"
                )
        paths = board.add(runs, directory, get_task=get_task, installed_method=installed_method)
        generate.build(board.load(directory), directory)
        branch = f"rows/{paths[0].stem}"
        git(clone, "switch", "--quiet", "--create", branch)
        # Forced, as many users have git ignore all HDF5 files.
        git(clone, "add", "--force", "--", "leaderboard", "README.md")
        title = _title(rows)
        git(clone, "commit", "--quiet", "--message", title)
        if not _has_been_pushed(clone, branch, repository):
            git(clone, "push", "--quiet", _REMOTE, branch)
        names = [path.name for path in paths]
    also = tuple(dict.fromkeys(sentence for row in rows for sentence in _also(row)))
    return Submission(branch, title, _text(rows, names, also), also)


def _has_been_pushed(clone: Path, branch: str, repository: str) -> bool:
    """Return whether the repository has the branch with these files, of a call that was stopped.

    Raises
    ------
    RowError
        If it has a branch of this name with other files.
    """
    if not git(clone, "ls-remote", _REMOTE, f"refs/heads/{branch}"):
        return False
    git(clone, "fetch", "--quiet", "--depth", "1", _REMOTE, f"refs/heads/{branch}")
    made, there = (git(clone, "rev-parse", f"{name}^{{tree}}") for name in ("HEAD", "FETCH_HEAD"))
    if made != there:
        raise RowError(
            f"--repository {printable(repository)}: has a branch {branch} with other files; delete "
            "it there, and run the command again"
        )
    return True


def _absolute(repository: str) -> str:
    """Return a path as seen from anywhere; a URL as it is."""
    return str(Path(repository).resolve()) if Path(repository).exists() else repository


def _require_code(row: Row, name: str) -> None:
    """Refuse a row whose code nobody is told how to get."""
    own = row.method in BUILT_IN and row.predictions_sha256 is None
    package = row.code is not None and row.code.package is not None
    if own or package or row.declared.code is not None:
        return
    command = "score" if row.predictions_sha256 else "run"
    raise RowError(
        f"{name}: field `declared.code` is null, so nobody knows where to fetch the method's code; "
        f"give the same `starbench {command}` again with --code-from, such as a repository and a "
        "commit"
    )


def _title(rows: Sequence[Row]) -> str:
    methods = sorted({row.method for row in rows})
    tasks = sorted({row.task for row in rows})
    title = f"Rows of {', '.join(methods)} on {', '.join(tasks)}"
    return title if len(title) <= 72 else f"{len(rows)} rows of {len(methods)} methods"


def _also(row: Row) -> list[str]:
    """Return what else belongs to the pull request of a row."""
    sentences = []
    if row.predictions_sha256 is not None:
        sentences.append(
            f"The code that made the predictions of {row.method}: {row.declared.code}. Without a "
            "confirmation on fresh stars (docs/submit.md) the row has no rank."
        )
    elif row.code is not None:
        place = row.declared.code or f"the package {row.code.package}"
        sentences.append(
            f"The code of {row.method}: {place}; its SHA-256 is {row.code.sha256}. Keep it there: "
            "the row is of that code, and a reviewer runs it."
        )
    if (reason := unnamed(row)) is not None:
        sentences.append(f"The row of {row.method} can never rank, as {reason}.")
    if row.state_sha256 is not None:
        sentences.append(
            "The folder of the run: keep it, as whoever confirms the row on fresh stars needs "
            "best.safetensors."
        )
    return sentences


def _text(rows: Sequence[Row], names: Sequence[str], also: Sequence[str]) -> str:
    """Return the text of the pull request."""
    lines = ["| row | nearest [%] | remarks |", "| :--- | ---: | :--- |"]
    for row, name in zip(rows, names, strict=True):
        share = row.metrics.get("doppelganger_free")
        shown = row.status if share is None else f"{100 * share.value:.2f}"
        said = "; ".join(remarks(row)).replace("|", r"\|")
        lines.append(f"| `{name}` | {shown} | {said} |")
    given = {
        name: f" --method {row.given.method}" if row.given.method else ""
        for row, name in zip(rows, names, strict=True)
    }
    commands = [
        f"starbench leaderboard reproduce leaderboard/{ROWS}/{name}{given[name]}"
        for row, name in zip(rows, names, strict=True)
        if row.predictions_sha256 is None
    ]
    checks = (
        ["To check:", "```sh\n" + "\n".join(commands) + "\n```"]
        if commands
        else ["To check: `starbench data export --fresh`, as docs/submit.md describes."]
    )
    parts = [
        "\n".join(lines),
        "The rows are submitted: nobody else has run them yet, so they have no rank.",
        *checks,
        *also,
    ]
    return "\n\n".join(parts) + "\n"
