"""The commands ``starbench data``: build, describe, check and export data sets."""

from pathlib import Path
from typing import Any

import click
import numpy as np
from tabulate import tabulate

from starbench.cli.errors import Report
from starbench.cli.options import OWN_PAIRS, cache_option
from starbench.tasks.base import SPLITS, Task
from starbench.tasks.errors import DataError
from starbench.tasks.registry import get_task
from starbench.tasks.storage.layout import FORMATS


@click.group()
def data() -> None:
    """Build, describe, check and export the data of a task."""


def _options(command: Any) -> Any:
    """Add the options that say which data set."""
    for option in (
        click.option("--quiet", is_flag=True, help="Draw no progress."),
        cache_option,
        click.option("--scale", metavar="NAME",
                     help="Size of the splits: full (the default), mini or tiny."),
        click.option("--task", "name", metavar="NAME",
                     help="A name of `starbench tasks`; by default apogee-giants."),
    ):  # fmt: skip
        command = option(command)
    return command


_own_data = click.option(
    "--data", "own", type=click.Path(path_type=Path), metavar="PAIRS", help=OWN_PAIRS,
)  # fmt: skip


@data.command()
@_options
@click.option("--split", metavar="NAME", help="With --chunk: the split that the chunk is in.")
@click.option("--chunk", type=int, metavar="N", help="Build only this chunk anew, counted from 0.")
def build(
    name: str | None,
    scale: str | None,
    cache: Path | None,
    quiet: bool,
    split: str | None,
    chunk: int | None,
) -> None:
    """Build a data set, go on with an interrupted build, or build one chunk anew."""
    task = get_task(name, cache=cache)
    scale = scale or task.default_scale
    if (split is None) != (chunk is None):
        raise DataError("Give --split and --chunk together, or neither.")
    cached = task.cached(scale)
    if split is None:
        task.prepare(scale, progress=not quiet)
        click.echo(cached.path)
    else:
        cached.rebuild(split, chunk)
        click.echo(f"Built {split} chunk {chunk} of {cached.path}")


@data.command()
@_options
@_own_data
def info(
    name: str | None, scale: str | None, cache: Path | None, quiet: bool, own: Path | None
) -> None:
    """Print what a data set holds."""
    task = get_task(name, data=own, cache=cache, progress=not quiet)
    scale = scale or task.default_scale
    if task.stored:
        path = _existing(task, scale)
        if fault := task.cached(scale).fault():
            raise DataError(f"{path} {fault}; `starbench data build` builds it anew.")
    else:
        task.prepare(scale, progress=not quiet)
    click.echo(_facts(task, scale))
    click.echo("\n" + _splits(task, scale))


@data.command()
@_options
@_own_data
@click.option("--repair", is_flag=True, help="Rebuild what is damaged.")
@click.pass_context
def verify(
    ctx: click.Context,
    name: str | None,
    scale: str | None,
    cache: Path | None,
    quiet: bool,
    own: Path | None,
    repair: bool,
) -> None:
    """Check every number of a data set; exit code 1 if one is not what it should be."""
    task = get_task(name, data=own, cache=cache, progress=not quiet)
    scale = scale or task.default_scale
    if own is not None:
        if repair:
            raise DataError("--repair cannot mend --data; only standard tasks can be rebuilt.")
        task.prepare(scale, progress=not quiet)
        click.echo(f"{own} is sound; its fingerprint is {task.fingerprint(scale)}.")
        return
    path = _existing(task, scale)
    cached = task.cached(scale)
    problems = list(task.problems(scale, progress=not quiet))
    for problem, place in problems:
        click.echo(f"{problem}{'; it is rebuilt' if repair else ''}.", err=True)
        if repair and place is not None:
            cached.rebuild(*place)
    if repair:
        task.prepare(scale, progress=not quiet)
    elif problems:
        click.echo("`starbench data verify --repair` rebuilds what is damaged.", err=True)
        ctx.exit(1)
    click.echo(f"{path} is sound; its fingerprint is {task.fingerprint(scale)}.")


@data.command("export")
@click.argument("out", metavar="OUT", type=click.Path(path_type=Path))
@_options
@_own_data
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="hdf5 (a file; the default if OUT ends in .h5 or .hdf5), parquet (a folder of "
    "three files; the default without a suffix) or datasets (a folder for "
    "`datasets.load_from_disk`).",
)
@click.option(
    "--withhold-composition", is_flag=True, help="Leave out the composition of the test split."
)
@click.option("--force", is_flag=True, help="Replace what an earlier export left at OUT.")
def export_command(
    out: Path,
    name: str | None,
    scale: str | None,
    cache: Path | None,
    quiet: bool,
    own: Path | None,
    form: str | None,
    withhold_composition: bool,
    force: bool,
) -> None:
    """Write a data set as files for other frameworks.

    The pairs keep their order, in which `starbench score` expects latents. A track with noise
    exports the noisy flux alone; `starbench score --task` judges reconstructions against the
    noiseless one.
    """
    from starbench.tasks.storage.export import export  # loads Arrow

    task = get_task(name, data=own, cache=cache, progress=not quiet)
    scale = scale or task.default_scale
    try:
        export(
            task,
            scale,
            out,
            form,
            withhold_composition=withhold_composition,
            force=force,
            progress=not quiet,
        )
    except KeyboardInterrupt as error:
        raise Report(f"Stopped; {out} is as it was before.", 130) from error
    files = [path for path in [out, *out.rglob("*")] if path.is_file()]
    click.echo(f"Wrote {out} ({sum(path.stat().st_size for path in files) / 1e6:,.1f} MB)")


def _existing(task: Any, scale: str) -> Path:
    """Return the path of a standard task's data set, which has to be there."""
    path = task.cached(scale).path
    if not path.exists():
        raise DataError(
            f"{path} is not there; build it with "
            f"`starbench data build --task {task.name} --scale {scale}`."
        )
    return path


def _facts(task: Task, scale: str) -> str:
    """Return what holds for the whole set, one fact a line."""
    wavelength = task.wavelength
    facts = [
        ("task", f"{task.name}, version {task.version}, scale {scale}"),
        ("reference", task.reference),
        (
            "pixels",
            f"{len(wavelength):,}, {wavelength[0]:.2f}-{wavelength[-1]:.2f} {task.wavelength_unit}",
        ),
        (
            "noise",
            "none added" if task.snr is None else f"SNR {task.snr:g} a pixel, made when read",
        ),
        ("composition", _composition(task, scale)),
    ]
    if path := task.data_file(scale):
        facts.insert(2, ("file", f"{path} ({path.stat().st_size / 1e6:,.1f} MB)"))
    facts += [(name.replace("_", " "), str(value)) for name, value in task.source().items()]
    facts.append(("fingerprint", task.fingerprint(scale)))
    return tabulate(facts, tablefmt="plain", disable_numparse=True)


def _composition(task: Task, scale: str) -> str:
    if not task.elements:
        return "not known"
    withheld = task.labels_on_disk("test", scale)[1] is None
    return ", ".join(task.elements) + ("; withheld for test" if withheld else "")


def _splits(task: Any, scale: str) -> str:
    """Return a table of the splits with the range of each nuisance."""
    lines = []
    for split in SPLITS:
        nuisance = task.labels_on_disk(split, scale)[0]
        line = {"split": split, "pairs": f"{len(nuisance):,}", "spectra": f"{2 * len(nuisance):,}"}
        for i, (name, unit) in enumerate(
            zip(task.nuisance_names, task.nuisance_units, strict=True)
        ):
            low, high = np.min(nuisance[..., i]), np.max(nuisance[..., i])
            line[f"{name} [{unit}]"] = f"{low:.6g} to {high:.6g}"
        lines.append(line)
    return tabulate(lines, headers="keys", disable_numparse=True)
