"""`starbench data`: build, describe, verify, import, export and synthesise data sets."""

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from starbench.cli.commands import Group, UserPath, option
from starbench.cli.data_import import import_command
from starbench.cli.errors import Failure, Stopped, UserError
from starbench.cli.options import (
    backend_option,
    cache_option,
    config_option,
    data_option,
    few_enough,
    max_dropped_option,
    quiet_option,
    scale_option,
    snr_option,
    task_option,
)
from starbench.common.threads import most_processes

if TYPE_CHECKING:
    from starbench.tasks.base import Task

Decorated = TypeVar("Decorated")


@click.group(cls=Group, example="starbench data build --task apogee-giants-snr50 --scale mini")
def data() -> None:
    """Build, describe, verify, import and export data sets."""


data.add_command(import_command)


def data_set_options(command: Decorated) -> Decorated:
    """Add the options that name a data set."""
    for add in (quiet_option, cache_option, scale_option, task_option):
        command = add(command)
    return command


@data.command(
    example="starbench data build --scale mini\n"
    "starbench data build --scale mini --split train --chunk 3"
)
@data_set_options
@option("--split", metavar="SPLIT", help="Split of the chunk to rebuild; needs --chunk.")
@option(
    "--chunk", type=int, metavar="N", help="Rebuild only this chunk, counted from 0; needs --split."
)
def build(
    task: str | None,
    scale: str | None,
    cache: Path | None,
    quiet: bool,
    split: str | None,
    chunk: int | None,
) -> None:
    """Build a task's data set.

    Continues an interrupted build. --split and --chunk rebuild a single chunk.
    """
    from starbench.tasks.registry import get_task

    if (split is None) != (chunk is None):
        raise UserError("Give --split and --chunk together, or neither.")
    loaded = get_task(task, cache=cache)
    scale = scale or loaded.default_scale
    cached = loaded.cached(scale)
    if split is None or chunk is None:
        loaded.prepare(scale, progress=not quiet)
        click.echo(cached.path)
    else:
        cached.rebuild(split, chunk)
        click.echo(f"Built {split} chunk {chunk} of {cached.path}")


@data.command(
    loads="starbench.cli.listing",
    example="starbench data info --scale mini\nstarbench data info --data my_pairs.h5",
)
@data_set_options
@data_option
@snr_option
@max_dropped_option
def info(
    task: str | None,
    scale: str | None,
    cache: Path | None,
    quiet: bool,
    data: Path | None,
    snr: float | None,
    max_dropped: float | None,
) -> None:
    """Describe a data set.

    Prints its file, pixels, noise and composition, and the range of each nuisance.
    """
    from starbench.cli.listing import data_facts, splits_table
    from starbench.tasks.registry import get_task

    loaded = get_task(
        task, data=data, cache=cache, snr=snr, max_dropped=max_dropped, progress=not quiet
    )
    scale = scale or loaded.default_scale
    path = getattr(loaded, "path", None)  # of your own pairs, or of their copy in the cache
    if loaded.stored:
        path = _built(loaded, scale)
        if fault := loaded.cached(scale).fault():
            raise UserError(f"{path} {fault}; `starbench data build` builds it again.")
    else:
        loaded.prepare(scale, progress=not quiet)
    click.echo(data_facts(loaded, scale, path))
    click.echo("\n" + splits_table(loaded, scale))


@data.command(
    example="starbench data verify --scale mini\nstarbench data verify --scale mini --repair"
)
@data_set_options
@data_option
@snr_option
@max_dropped_option
@option("--repair", is_flag=True, help="Rebuild what is damaged.")
def verify(
    task: str | None,
    scale: str | None,
    cache: Path | None,
    quiet: bool,
    data: Path | None,
    snr: float | None,
    max_dropped: float | None,
    repair: bool,
) -> None:
    """Check every number of a data set against its manifest.

    Exits with 1 if anything is damaged.
    """
    from starbench.tasks.registry import get_task

    loaded = get_task(
        task, data=data, cache=cache, snr=snr, max_dropped=max_dropped, progress=not quiet
    )
    scale = scale or loaded.default_scale
    if repair and not loaded.stored:
        raise UserError(
            f"--repair works only on data that starbench built, unlike {data or loaded.name}; "
            "remove the option."
        )
    if loaded.stored:
        name = str(_built(loaded, scale))
    else:
        loaded.prepare(scale, progress=not quiet)
        name = str(data or loaded.name)
    problems = list(loaded.problems(scale, progress=not quiet))
    for problem, place in problems:
        click.echo(f"{problem}{'; it is rebuilt' if repair else ''}.", err=True)
        if repair and place is not None:
            loaded.cached(scale).rebuild(*place)
    if repair:
        loaded.prepare(scale, progress=not quiet)
    elif problems:
        raise Failure("The data set is damaged; `starbench data verify --repair` rebuilds it.")
    click.echo(f"{name} is intact; its fingerprint is {loaded.fingerprint(scale)}.")


@data.command(
    example="starbench data export pairs.h5 --scale mini\n"
    "starbench data export pairs --task apogee-giants-snr50 --format parquet"
)
@click.argument("out", metavar="OUT", type=UserPath(path_type=Path))
@data_set_options
@data_option
@snr_option
@option(
    "--format",
    "form",
    type=click.Choice(("hdf5", "parquet", "datasets", "fits")),
    show_default="hdf5 if OUT ends in .h5 or .hdf5, parquet if it has no suffix",
    help="hdf5 is one file; parquet a folder of three files, for surveys with rows as in the "
    "Multimodal Universe; datasets a folder for `datasets.load_from_disk`, of pairs; fits a folder "
    "of files like APOGEE's aspcapStar, of surveys.",
)
@option("--withhold-composition", is_flag=True, help="Leave out the composition of the test split.")
@option(
    "--twins",
    is_flag=True,
    help="Keep the twins of the test split together, with their composition; by default the test "
    "spectra of a task are shuffled.",
)
@option("--force", is_flag=True, help="Replace an earlier export at OUT.")
@option(
    "--fresh",
    metavar="VALUE",
    help="Write new test spectra in a secret order, without composition and twins, drawn from "
    "streams that hold this public value; needs --key.",
)
@option(
    "--key",
    "key_file",
    type=UserPath(dir_okay=False, path_type=Path),
    metavar="KEY",
    help="File for the key of --fresh, which maps the spectra to stars; keep it to yourself.",
)
def export(
    out: Path,
    task: str | None,
    scale: str | None,
    cache: Path | None,
    quiet: bool,
    data: Path | None,
    snr: float | None,
    form: str | None,
    withhold_composition: bool,
    twins: bool,
    force: bool,
    fresh: str | None,
    key_file: Path | None,
) -> None:
    """Write a data set for other frameworks.

    The test spectra of a task of pairs are shuffled: OUT tells neither which are twins nor their
    composition, and its attribute test_order, which a file of predictions copies, says so to
    `starbench score`. With --twins they stay in pairs, in the order in which `starbench score`
    expects predictions without that attribute. The stars of a survey are not shuffled, and keep
    their groups. A task with noise exports only the noisy flux; `starbench score` compares
    reconstructions with the noiseless flux.

    With --fresh, OUT gets the spectra that `starbench leaderboard confirm` asks the owner of a row
    of predictions to encode.
    """
    if (fresh is None) != (key_file is None):
        raise click.UsageError("Give --fresh and --key together, or neither.")
    if fresh is not None and (form not in (None, "hdf5") or withhold_composition or twins):
        raise click.UsageError("--fresh writes HDF5 without composition; remove other options.")
    from starbench.tasks.export import export as export_pairs
    from starbench.tasks.registry import get_task
    from starbench.tasks.storage.fresh_spectra import write_fresh

    loaded = get_task(task, data=data, cache=cache, snr=snr, progress=not quiet)
    if fresh is not None and key_file is not None:
        key = write_fresh(
            loaded,
            scale or loaded.default_scale,
            fresh,
            out,
            key_file,
            force=force,
            progress=not quiet,
        )
        click.echo(f"Wrote {out} ({out.stat().st_size / 1e6:,.1f} MB)")
        click.echo(f"Wrote {key_file}, whose SHA-256 {key.sha256} the spectra hold")
        return
    try:
        export_pairs(
            loaded,
            scale or loaded.default_scale,
            out,
            form,
            withhold_composition=withhold_composition,
            twins=twins,
            force=force,
            progress=not quiet,
        )
    except KeyboardInterrupt as error:
        raise Stopped(f"Stopped; {out} is unchanged.") from error
    files = [path for path in [out, *out.rglob("*")] if path.is_file()]
    click.echo(f"Wrote {out} ({sum(path.stat().st_size for path in files) / 1e6:,.1f} MB)")


@data.command(
    example="starbench data synthesise --out sets --stars 1600 --workers 8\n"
    "starbench data synthesise --out sets --backend dask --config cluster.yml"
)
@option(
    "--out",
    type=UserPath(file_okay=False, path_type=Path),
    required=True,
    metavar="DIR",
    help="Folder of the stars; all workers must see it.",
)
@option(
    "--stars",
    type=click.IntRange(min=1),
    default=1500,
    show_default=True,
    metavar="N",
    help="Number of training stars; 328 test stars are added.",
)
@option(
    "--seed", type=int, default=1, show_default=True, metavar="N", help="Seed of the training set."
)
@option(
    "--generator",
    type=click.Choice(["pysme", "moog"]),
    default="pysme",
    show_default=True,
    help="What synthesises them: the first generator or the second.",
)
@option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    show_default="2",
    callback=few_enough(most_processes),
    help="Number of processes on this machine.",
)
@backend_option
@config_option
@quiet_option
def synthesise(
    out: Path,
    stars: int,
    seed: int,
    generator: str,
    workers: int | None,
    backend: str | None,
    config: Path | None,
    quiet: bool,
) -> None:
    """Synthesise the stars that the emulator is fitted to.

    Needs the extra `synthesis`, and for moog a program that
    `python -m starbench.tasks.synthesis.moog.install` builds. With --backend each star is a task of
    its own. Stars that are finished are not repeated, so the same command continues after it was
    stopped.
    """
    from concurrent.futures import ProcessPoolExecutor

    from starbench.cli.sweep import configuration
    from starbench.sweeps.backends.executors import executor_on
    from starbench.tasks.synthesis.generators import GENERATORS
    from starbench.tasks.synthesis.training_set import make_sets

    if config is not None and backend is None:
        raise click.UsageError("--config needs --backend.")
    if workers is not None and backend is not None:
        raise click.UsageError("Give either --workers or --backend, not both.")
    if missing := GENERATORS[generator].missing():
        raise UserError(missing)
    if backend is None:
        with ProcessPoolExecutor(workers or 2) as pool:
            failed = make_sets(out, stars, seed, pool, generator=generator, quiet=quiet)
    else:
        with executor_on(configuration(backend, config), out.resolve()) as executor:
            failed = make_sets(out, stars, seed, executor, generator=generator, quiet=quiet)
    if failed:
        raise Failure(f"{failed} stars failed; {out / 'failures.csv'} gives the reasons.")


def _built(task: "Task", scale: str) -> Path:
    """Return the path of a task's data set, which must have been built."""
    path = Path(task.cached(scale).path)
    if not path.exists():
        raise UserError(
            f"{path} does not exist; build it with "
            f"`starbench data build --task {task.name} --scale {scale}`."
        )
    return path
