"""`starbench data import`: spectra of stars, in the formats of surveys, to one file."""

import math
from collections.abc import Sequence
from pathlib import Path

import click

from starbench.cli.commands import Command, UserPath, option
from starbench.cli.errors import Stopped
from starbench.cli.options import cache_option, quiet_option
from starbench.common.text import escaped


def _shares(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> tuple[float, float, float] | None:
    if value is None:
        return None
    try:
        parts = [float(part) for part in value.split(",")]
    except ValueError:
        parts = []
    if len(parts) != 3 or not all(part > 0 for part in parts) or not math.isfinite(sum(parts)):
        raise click.BadParameter(
            f"{value} is not three shares; give those of train, validation and test, as 80,10,10."
        )
    train, validation, test = (part / sum(parts) for part in parts)
    return train, validation, test


def _share(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    if math.isnan(value):  # which click takes to lie in any range
        raise click.BadParameter("nan is not a share; give a number from 0 to 1.")
    return value


def _check_report(report_file: Path, out: Path, inputs: Sequence[Path]) -> None:
    """Refuse a report in place of a file that is read or written, or in a missing folder."""
    from starbench.tasks.survey.sources import is_among

    if report_file.resolve() == out.resolve():
        raise click.UsageError("--report and --out are the same file; give two.")
    if not report_file.parent.is_dir():
        raise click.UsageError(f"The folder of --report {report_file} does not exist; make it.")
    if is_among(report_file, inputs):
        raise click.UsageError(f"--report {report_file} is a file to read; give another name.")


@click.command(
    "import",
    cls=Command,
    example="starbench data import apogee/ --groups clusters.csv --out survey.h5\n"
    "starbench data import survey.parquet --labels labels.csv --out survey.h5",
)
@click.argument(
    "places", metavar="SOURCE...", nargs=-1, required=True, type=UserPath(path_type=Path)
)
@option(
    "--out",
    required=True,
    type=UserPath(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="HDF5 file to write, for --data.",
)
@option(
    "--groups",
    type=UserPath(dir_okay=False, path_type=Path),
    metavar="TABLE",
    help="Sibling groups, such as clusters: CSV, Parquet or FITS with the columns star and group. "
    "Spectra of one star are siblings without it.",
)
@option(
    "--labels",
    type=UserPath(dir_okay=False, path_type=Path),
    metavar="TABLE",
    help="Labels by star, such as allStar: CSV, Parquet or FITS; they replace those of the files.",
)
@option(
    "--nuisance",
    "nuisances",
    multiple=True,
    metavar="NAME",
    show_default="those of the files, or Teff and logg",
    help="A label that is a nuisance; may be repeated.",
)
@option(
    "--spectra",
    type=click.Choice(["visits", "combined", "all"]),
    default="visits",
    show_default=True,
    help="Of a star in APOGEE's files: its visits, one combined spectrum, or all, although a "
    "combined one shares the noise of its visits. Other files do not say which is combined.",
)
@option(
    "--continuum",
    type=click.Choice(["auto", "all", "none"]),
    default="auto",
    show_default=True,
    help="Which spectra to divide by ASPCAP's pseudo-continuum: those in flux units, all, or none.",
)
@option(
    "--pixels",
    type=click.Choice(["aspcap", "source"]),
    show_default="those of a survey that starbench wrote, or aspcap",
    help="The 7,214 pixels of ASPCAP, or those of the first spectrum.",
)
@option(
    "--split",
    "shares",
    callback=_shares,
    metavar="A,B,C",
    show_default="the splits of the files, or 80,10,10",
    help="Shares of field stars in train, validation and test. Groups of siblings are shared out "
    "between validation and test, whole.",
)
@option(
    "--max-dropped",
    type=click.FloatRange(0, 1),
    callback=_share,
    default=0.1,
    show_default=True,
    metavar="SHARE",
    help="Largest share of bad spectra to leave out; more is an error.",
)
@option(
    "--wavelength-unit",
    type=click.Choice(["angstrom", "nm", "um", "log10"]),
    default="angstrom",
    show_default=True,
    help="Unit of wavelengths in Parquet files; log10 is the logarithm of Angstrom.",
)
@option(
    "--medium",
    type=click.Choice(["vacuum", "air"]),
    default="vacuum",
    show_default=True,
    help="Medium of wavelengths in Parquet files.",
)
@option(
    "--pairs-of",
    metavar="TASK",
    help="Survey task, such as apogee-giants-survey, whose pairs of a model are copied to FILE: "
    "methods that need twins or compositions train on them.",
)
@option(
    "--pairs-scale",
    metavar="SCALE",
    show_default="full, or the first scale of the task",
    help="Scale of that task: how many pairs are copied; needs --pairs-of.",
)
@option(
    "--report",
    "report_file",
    type=UserPath(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="CSV to write, with a line for each spectrum: its split, SNR, masked share, velocity and "
    "labels, or why it was left out.",
)
@option("--force", is_flag=True, help="Replace FILE.")
@cache_option
@quiet_option
def import_command(
    places: tuple[Path, ...],
    out: Path,
    groups: Path | None,
    labels: Path | None,
    nuisances: tuple[str, ...],
    spectra: str,
    continuum: str,
    pixels: str | None,
    shares: tuple[float, float, float] | None,
    max_dropped: float,
    wavelength_unit: str,
    medium: str,
    pairs_of: str | None,
    pairs_scale: str | None,
    report_file: Path | None,
    force: bool,
    cache: Path | None,
    quiet: bool,
) -> None:
    """Import spectra of stars into one file for --data.

    SOURCE is a file or a folder: APOGEE's apStar, aspcapStar, mwmStar and mwmVisit files, Parquet
    files of the Multimodal Universe, or HDF5 files of starbench. Spectra are brought to the rest
    frame, to vacuum and once to the survey's pixels; bits of APOGEE's mask become masked pixels.
    A spectrum that cannot be used is left out and counted.
    """
    from starbench.cli.listing import dropped_table, import_table
    from starbench.tasks.errors import DataError
    from starbench.tasks.registry import get_task
    from starbench.tasks.survey.choices import Choices, WavelengthScale
    from starbench.tasks.survey.importing import import_survey
    from starbench.tasks.survey.model_pairs import PairsOf
    from starbench.tasks.survey.report import Report

    choices = Choices(
        groups=groups,
        labels=labels,
        nuisances=nuisances,
        spectra=spectra,
        continuum=continuum,
        pixels=pixels,
        shares=shares,
        max_dropped=max_dropped,
        wavelengths=WavelengthScale(wavelength_unit, medium),
    )
    if report_file is not None:
        _check_report(report_file, out, [*places, *filter(None, (groups, labels))])
    pairs = None
    if pairs_of is not None:
        task = get_task(pairs_of, cache=cache)
        pairs = PairsOf(task, pairs_scale or task.default_scale)
    elif pairs_scale is not None:
        raise click.UsageError("--pairs-scale needs --pairs-of; give both.")
    report = Report()
    try:
        imported = import_survey(
            list(places),
            out,
            choices,
            pairs=pairs,
            report=report,
            force=force,
            cache=cache,
            progress=not quiet,
        )
    except KeyboardInterrupt as error:
        raise Stopped(f"Stopped; {out} is unchanged.") from error
    except DataError:
        if report_file is not None and (report.dropped or report.read is not None):
            report.to_csv(report_file)
            click.echo(f"Wrote {report_file}")
        raise
    click.echo(import_table(imported.stars))
    if report.dropped:
        click.echo("\n" + dropped_table(report))
    for note in report.notes:
        click.echo(f"\n{escaped(note)}")
    if report_file is not None:
        report.to_csv(report_file, imported.stars)
        click.echo(f"\nWrote {report_file}")
    click.echo(f"\nWrote {out} ({out.stat().st_size / 1e6:,.1f} MB)")
