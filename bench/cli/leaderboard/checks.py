"""`starbench leaderboard verify`, `reproduce` and `confirm`: whether a row is what it says."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from starbench.cli.commands import Command, UserPath, option
from starbench.cli.errors import Failure, UserError
from starbench.cli.leaderboard.shared import (
    ROW,
    cached_tasks,
    installed_method,
    read_directory,
)
from starbench.cli.options import cache_option, few_enough, quiet_option, threads_option
from starbench.common.threads import most_processes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

jobs_option = option(
    "--jobs",
    type=click.IntRange(min=1),
    callback=few_enough(most_processes),
    default=1,
    show_default=True,
    metavar="N",
    help="Number of rows at once, where several are given.",
)


@click.command(
    cls=Command,
    loads="starbench.leaderboard.store.board",
    example=f"starbench leaderboard verify\nstarbench leaderboard verify \\\n    {ROW}",
)
@click.argument("rows", metavar="[ROW...]", nargs=-1, type=UserPath(path_type=Path))
@option(
    "--run",
    type=UserPath(path_type=Path, exists=True, file_okay=False),
    metavar="RUN",
    help="Folder of the run that made ROW; its latents are ranked again.",
)
@quiet_option
@read_directory
def verify(rows: tuple[Path, ...], run: Path | None, quiet: bool, directory: Path | None) -> None:
    """Recompute the rank metrics of rows.

    Also compares the data of each row with those of its task. ROW is the file of a row, or the
    folder of a run; by default all rows are verified. Exits with 1 if a row is refused.
    """
    from starbench.common.progress import bar, say
    from starbench.leaderboard.store import board
    from starbench.leaderboard.store.names import ROWS
    from starbench.leaderboard.store.traces import reading_traces
    from starbench.leaderboard.store.verify import (
        equal_fresh_ranks,
        equal_ranks,
        strays,
        verify_row,
    )
    from starbench.results.text import RowError, printable
    from starbench.tasks.errors import DataError

    task_of = cached_tasks()
    if run is not None and len(rows) != 1:
        raise click.UsageError("Give exactly one ROW with --run.")
    paths = [board.row_file(path) for path in rows]
    if not rows:
        folder = directory or board.readable_directory(Path.cwd())
        paths = board.row_paths(folder)
    verified, refused = [], 0
    stray = [] if rows else list(strays(folder))
    for sentence in stray:
        say(f"refused  {sentence}")
    with reading_traces(paths):
        for path in bar(paths, label="verify", unit="rows", quiet=quiet):
            try:
                row = verify_row(path, get_task=task_of, installed_method=installed_method, run=run)
                if path.parent.name == ROWS:
                    board.check_file_name(path, row)
            except (RowError, DataError) as error:
                refused += 1
                say(f"refused  {error}")
            else:
                verified.append((path, row))
                say(f"{row.status:8} {printable(path)}")
    if not rows and not refused and not stray:
        for sentence in [*equal_ranks(verified), *equal_fresh_ranks(verified)]:
            say(f"flagged  {sentence}")
    if refused or stray:
        files = "1 file" if len(stray) == 1 else f"{len(stray)} files"
        others = f" and {files} without a row" if stray else ""
        raise Failure(f"{refused} of {len(paths)} rows{others} are refused; see above.")


@click.command(
    cls=Command,
    loads="starbench.leaderboard.store.board",
    example=f"starbench leaderboard reproduce \\\n    {ROW}\n"
    "starbench leaderboard reproduce leaderboard/rows/*.json --jobs 4",
)
@click.argument("rows", metavar="ROW...", nargs=-1, required=True, type=UserPath(path_type=Path))
@threads_option("the row's, or all available cores if they are fewer")
@option(
    "--device",
    metavar="DEVICE",
    show_default="the row's",
    help="auto (a CUDA GPU if there is one, otherwise the CPU), cpu, cuda, cuda:1, ...",
)
@option(
    "--method",
    metavar="METHOD",
    show_default="the name in the row",
    help="The row's method as PATH.py:CLASS, if it has no registered name.",
)
@option(
    "--out",
    type=UserPath(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder in which to keep the repeated run; by default it is deleted.",
)
@option("--by", metavar="NAME", help="Record who repeated the run.")
@option("--replace", is_flag=True, help="Replace the record of an earlier repetition.")
@jobs_option
@cache_option
@quiet_option
def reproduce(rows: tuple[Path, ...], jobs: int, **options: Any) -> None:
    """Run a row again and compare ranks and metrics.

    ROW is the file of a row, or the folder of a run. On equal hardware, libraries and threads all
    ranks must be equal. Elsewhere, exits with 1 if a metric differs by more than its tolerance,
    which is printed, or if the stars that differ favour the row by more than chance. Writes the
    outcome to leaderboard/reproductions, or to reproduction.json in the folder of a run.

    An earlier outcome of ROW stays recorded unless --replace is given. Several rows are repeated
    one after another, the quickest first, without those that have an outcome already, so the same
    command continues after it was stopped.
    """
    from starbench.leaderboard.store.records import require_label

    require_label("--by", options["by"])
    if len(rows) == 1:
        _reproduce(rows[0], **options)
        return
    from starbench.leaderboard.store.board import row_file
    from starbench.leaderboard.store.bulk import of_other_versions, run_each, unchecked
    from starbench.results.text import printable

    left = [row_file(row) for row in rows]
    if not options["replace"]:
        left = unchecked(left, "reproduction")
    if options["method"] is None:
        others = of_other_versions(left, installed_method, cached_tasks())
        for row, reason in others.items():
            click.echo(f"skipped   {printable(row)}: {reason}")
        left = [row for row in left if row not in others]
    commands = {row: ["reproduce", str(row), *_arguments(options)] for row in left}
    ended = ((row, code == 0, said) for row, code, said in run_each(commands, jobs))
    _report(len(rows), len(commands), ended)


def _reproduce(
    row: Path,
    threads: int | None,
    device: str | None,
    method: str | None,
    out: Path | None,
    by: str | None,
    replace: bool,
    cache: Path | None,
    quiet: bool,
) -> None:
    from starbench.leaderboard.store import board, reproduce
    from starbench.leaderboard.store.bulk import unchecked
    from starbench.leaderboard.store.checks import check_rank_metrics
    from starbench.leaderboard.store.names import record_beside
    from starbench.leaderboard.store.repeat import repeat_run
    from starbench.leaderboard.store.reproductions import KIND, write_reproduction
    from starbench.leaderboard.store.task import task_of_rows
    from starbench.results.text import printable

    path = board.row_file(row)
    name = printable(path)
    original, original_ranks = board.read_row_and_ranks(path)
    reproduce.check_source(original, name)
    if original_ranks is not None:
        check_rank_metrics(original, original_ranks, name)
    method_class = reproduce.method_to_run(original, method)
    click.echo(f"Running again: {printable(original.command)}")
    again, ranks = repeat_run(
        original,
        name,
        method_class,
        task_of_rows(original.task, cache=cache),
        device=device,
        threads=threads,
        out=out,
        quiet=quiet,
    )
    if again is None:
        raise UserError(f"{out} already holds this run; give another --out.")
    if again.status != original.status:
        raise Failure(
            f"The repeated run has status {again.status}, but the row has {original.status}"
            + (f": {again.message}" if again.message else ".")
        )
    if original_ranks is None or ranks is None:
        click.echo(f"The repeated run agrees: its status is {original.status}, like the row's.")
        return
    reproduction = reproduce.compare(original, original_ranks, again, ranks)
    click.echo(f"{reproduction.ranks}\n")
    click.echo(reproduce.agreement_table(reproduction.metrics))
    click.echo(f"\n{reproduce.TOLERANCES}")
    if reproduction.conditions and reproduction.ranks.differing:
        click.echo(f"Ranks may differ, as {printable('; '.join(reproduction.conditions))}.")
    if replace or unchecked([path], KIND):
        click.echo(f"Wrote {printable(write_reproduction(path, again, reproduction, by=by))}")
    else:
        kept = printable(record_beside(path, KIND))
        click.echo(f"{kept} keeps an earlier repetition; give --replace to record this one.")
    if reproduction.fault is not None:
        raise Failure(reproduction.fault)
    click.echo(f"All {len(reproduction.metrics)} metrics agree.")


@click.command(
    cls=Command,
    loads="starbench.leaderboard.store.board",
    example=f"starbench leaderboard confirm \\\n    {ROW} \\\n"
    "    --state runs/apogee-giants/fader/0-ced64dfee2 \\\n"
    '    --beacon 36a70e9c2b1f4d58 --beacon-source "a later commit on main"\n'
    "starbench leaderboard confirm leaderboard/rows/*.json --runs runs --jobs 4 \\\n"
    '    --beacon 36a70e9c2b1f4d58 --beacon-source "a later commit on main"',
)
@click.argument("rows", metavar="ROW...", nargs=-1, required=True, type=UserPath(path_type=Path))
@option(
    "--state",
    type=UserPath(path_type=Path),
    metavar="DIR",
    help="Folder of the run that made ROW, or its best.safetensors.",
)
@option(
    "--runs",
    type=UserPath(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Folder of many runs, among which those that made the rows are found by their states.",
)
@option(
    "--beacon",
    metavar="VALUE",
    help="A public value that did not exist when ROW was committed; it names the streams of the "
    "fresh stars.",
)
@option(
    "--beacon-source",
    required=True,
    metavar="TEXT",
    help="What the value is and when it came to exist, such as a commit or the round of a public "
    "randomness beacon.",
)
@option(
    "--predictions",
    type=UserPath(path_type=Path, dir_okay=False),
    metavar="LATENTS",
    help="Latents of the spectra that `starbench data export --fresh` wrote, for a row of "
    "predictions; needs --key.",
)
@option(
    "--key",
    "key_file",
    type=UserPath(path_type=Path, dir_okay=False),
    metavar="KEY",
    help="Key that was written with these spectra.",
)
@option(
    "--method",
    metavar="METHOD",
    show_default="the name in the row",
    help="The row's method as PATH.py:CLASS, if it has no registered name.",
)
@option("--by", metavar="NAME", help="Record who confirms the row.")
@option("--replace", is_flag=True, help="Replace an earlier confirmation of ROW.")
@option("--device", metavar="DEVICE", show_default="the row's", help="A torch device.")
@threads_option("the row's, or all available cores if they are fewer")
@jobs_option
@cache_option
@quiet_option
def confirm(rows: tuple[Path, ...], runs: Path | None, jobs: int, **options: Any) -> None:
    """Score the fixed state behind a row on stars that nobody has seen.

    ROW is the file of a row, or the folder of a run. The method is not fitted: the state whose
    digest ROW holds encodes as many new test stars of the same task. Writes
    leaderboard/confirmations, or confirmation.json in the folder of a run. Exits with 1 if the
    difference from ROW lies outside its 95 % interval.

    With --runs, several rows are confirmed, without those that have an outcome already and those
    whose state is not found, so the same command continues after it was stopped. Rows of one task
    share the new stars, which are drawn once; --jobs confirms the rows of several tasks at once.
    """
    if runs is None:
        if len(rows) > 1:
            raise click.UsageError("Give --runs with several rows, or one ROW.")
        _confirm(rows[0], **options)
        return
    from starbench.common.progress import bar
    from starbench.leaderboard.store.board import row_file
    from starbench.leaderboard.store.bulk import states, unchecked
    from starbench.leaderboard.store.confirm import Witness
    from starbench.leaderboard.store.confirm_many import Order, confirm_many
    from starbench.results.text import printable

    if options["beacon"] is None or options["state"] or options["predictions"]:
        raise click.UsageError("Give --runs with --beacon, without --state or --predictions.")
    left = [row_file(row) for row in rows]
    if not options["replace"]:
        left = unchecked(left, "confirmation")
    found = states(left, runs)
    for row in left:
        if row not in found:
            click.echo(f"no state  {printable(row)}")
    order = Order(
        options["beacon"],
        Witness(options["beacon_source"], options["by"]),
        **{name: options[name] for name in ("method", "replace", "device", "threads", "cache")},
    )
    outcomes = bar(
        confirm_many(found, order, jobs),
        label="confirm",
        total=len(found),
        unit="row",
        quiet=options["quiet"],
    )
    _report(len(rows), len(found), outcomes)


def _confirm(
    row: Path,
    state: Path | None,
    beacon: str | None,
    beacon_source: str,
    predictions: Path | None,
    key_file: Path | None,
    method: str | None,
    by: str | None,
    replace: bool,
    device: str | None,
    threads: int | None,
    cache: Path | None,
    quiet: bool,
) -> None:
    from starbench.leaderboard.pages.trust import confirmation_text
    from starbench.leaderboard.store import board
    from starbench.leaderboard.store import confirm as store
    from starbench.leaderboard.store.confirmations import confirmation_beside
    from starbench.leaderboard.store.reproduce import method_to_run
    from starbench.leaderboard.store.task import task_of_rows
    from starbench.results.text import printable
    from starbench.tasks.fresh import FreshTest
    from starbench.tasks.storage.fresh_spectra import read_key

    path = board.row_file(row)
    if (state is None) == (predictions is None):
        raise click.UsageError("Give either --state or --predictions.")
    if (beacon is None) != (state is None) or (key_file is None) != (predictions is None):
        raise click.UsageError(
            "Give --state with --beacon, or --predictions with --key, which holds the beacon."
        )
    subject = store.read_subject(path, board.ranks_beside(path), replace=replace)
    witness = store.Witness(beacon_source, by)
    if state is not None and subject.row.predictions_sha256 is not None:
        raise UserError("The row is of predictions; give --predictions and --key, not --state.")
    task = task_of_rows(subject.row.task, cache=cache)
    if predictions is not None and key_file is not None:
        confirmation = store.confirm_predictions(
            subject, predictions, read_key(key_file), witness, task, quiet=quiet
        )
    else:
        assert state is not None and beacon is not None  # checked above
        confirmation = store.confirm_state(
            subject,
            state,
            FreshTest(task, beacon),
            witness,
            method_to_run(subject.row, method),
            device=device,
            threads=threads,
            quiet=quiet,
        )
    click.echo(confirmation_text(subject.row, confirmation))
    click.echo(f"Wrote {printable(confirmation_beside(path))}")
    if not confirmation.confirmed:
        raise Failure("The row is not confirmed: the difference lies outside its 95 % interval.")


def _arguments(options: "Mapping[str, Any]") -> list[str]:
    """Return options of a command for another process; `None` and `False` are left out."""
    arguments = ["--quiet"]
    for name, value in options.items():
        if name != "quiet" and value not in (None, False):
            arguments.append(f"--{name.replace('_', '-')}")
            arguments += [] if value is True else [str(value)]
    return arguments


def _report(n_rows: int, n_to_do: int, outcomes: "Iterable[tuple[Path, bool, str]]") -> None:
    """Say what came of each row: whether it agrees, and what was found."""
    from starbench.common.progress import say
    from starbench.results.text import printable

    say(f"{n_to_do} of {n_rows} rows to do")
    failed = 0
    for row, agrees, said in outcomes:
        failed += not agrees
        say(f"{'agrees' if agrees else 'fails':9} {printable(row)}: {printable(said)}")
    if failed:
        raise Failure(f"{failed} of {n_to_do} rows are not as they say; see above.")
