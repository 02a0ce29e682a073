"""Import of a survey: from files of spectra to one HDF5 file, a few spectra in memory at a time.

A first pass reads catalogues: names, labels and groups, from which the splits follow. A second pass
reads the spectra, checks them, brings them to the survey's pixels and divides them by a
pseudo-continuum where they are in flux units, and writes them. A star that cannot be used is left
out and reported.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from starbench.common.progress import bar
from starbench.tasks.card import PAIRS, SPLITS
from starbench.tasks.errors import DataError
from starbench.tasks.own.hdf5 import OwnData
from starbench.tasks.storage.about import About
from starbench.tasks.storage.files import large_file
from starbench.tasks.storage.write_pairs import counted
from starbench.tasks.survey import continuum as continua
from starbench.tasks.survey.choices import Choices
from starbench.tasks.survey.labels import ERROR, NUISANCE, RATIO, UNITS, column_name
from starbench.tasks.survey.model_pairs import PairsOf, pairs_beside
from starbench.tasks.survey.plan import Plan, summary
from starbench.tasks.survey.reading import Reading, Star
from starbench.tasks.survey.report import Report
from starbench.tasks.survey.sources import open_sources
from starbench.tasks.survey.spectra import Source
from starbench.tasks.survey.splits import FEWEST
from starbench.tasks.survey.write import Stars, SurveyFile
from starbench.tasks.synthesis.wavelengths import aspcap_wavelengths

_FLUSHED = 256  # spectra that are written at once


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Attributes
    ----------
    stars : pandas.DataFrame
        One row for each spectrum that was written, in reading order: identifier, star, group,
        split, source, the signal-to-noise ratio measured (the median of flux over error) and
        stated, the share of masked pixels, the velocity, and the labels and where they come from.
    report : Report
        What was left out.
    """

    stars: pd.DataFrame
    report: Report


def import_survey(
    places: Sequence[Path],
    out: Path,
    choices: Choices,
    *,
    pairs: PairsOf | None = None,
    report: Report | None = None,
    force: bool = False,
    cache: Path | None = None,
    progress: bool = True,
) -> Imported:
    """Import spectra of stars.

    Parameters
    ----------
    places : sequence of pathlib.Path
        Files or folders; see `starbench.tasks.survey.sources.open_sources`.
    out : pathlib.Path
        HDF5 file to write, atomically.
    choices : Choices
    pairs : PairsOf, optional
        Pairs of a model that the file gets too.
    report : Report, optional
        An empty one, which has what was left out even after an error.
    force : bool
        Replace `out`.
    cache : pathlib.Path, optional
    progress : bool
        Draw a progress bar.

    Raises
    ------
    DataError
        If too few of the spectra can be used, or the pairs do not fit: one sentence with a file, a
        star and what to do.
    """
    if out.exists() and not force:
        raise DataError(f"--out {out} exists; give --force to replace it.")
    report = Report() if report is None else report
    sources = open_sources(
        places,
        report,
        spectra=choices.spectra,
        wavelengths=choices.wavelengths,
        besides=out,
        cache=cache,
        progress=progress,
    )
    plan = Plan.of(sources, choices, report)
    pixels = next((source.pixels for source in sources if source.pixels is not None), None)
    if choices.pixels == "aspcap" or (pixels is None and choices.pixels is None):
        pixels = aspcap_wavelengths()
    elif choices.pixels == "source":
        pixels = None  # those of the first spectrum
    reading = Reading(sources, plan, pixels, choices.continuum, report, progress)
    first = next(reading.stars, None)
    if first is None:
        report.check(0, choices.max_dropped)
        report.check(0, 0)
        raise DataError(f"SOURCE {places[0]} holds no spectrum that can be used.")
    about = _about(plan, sources, reading)
    # Labels, names and what HDF5 keeps of its chunks take a few per cent more than the spectra.
    n_bytes = int(8.4 * len(plan.table) * len(reading.pixels)) + 2**23
    with_errors = first.error is not None
    if pairs is not None:
        pairs.check(about, with_errors=with_errors)
        plan, about = _with_elements_of(pairs, plan, about, report)
        pairs.prepare(progress=progress)
        n_bytes += about.n_bytes({PAIRS: pairs.n}, errors=with_errors)
    kept: list[Kept] = []
    with (
        large_file(out, n_bytes, "choose another --out") as new,
        SurveyFile(new, about) as file,
    ):
        for batch in _batches(first, reading.stars):
            _append(file, batch, plan)
            kept += [Kept(star.row, star.snr, star.masked) for star in batch]
        table = plan.spectra.loc[[star.row for star in kept]]
        report.read = _summary(table, plan.nuisances, kept)
        report.check(len(kept), choices.max_dropped)
        _check_splits(file.sizes, report)
        _note(table, plan, choices, reading, report)
        if pairs is not None:
            _append_pairs(file, pairs, plan, with_errors, progress)
            report.note(pairs.sentence)
        provenance = _provenance(places, choices, sources, reading, report)
        file.describe(provenance | ({} if pairs is None else {"pairs": pairs.provenance()}))
    try:
        OwnData(out)
    except DataError as error:
        report.note(f"starbench run cannot use this file: {error}")
    return Imported(report.read, report)


def _about(plan: Plan, sources: Sequence[Source], reading: Reading) -> About:
    """Return the metadata of the file, once the first star has been read."""
    stated = {name: unit for source in sources for name, unit in source.units.items()}
    units = tuple(stated.get(name, UNITS.get(column_name(name), "")) for name in plan.nuisances)
    return About(
        reading.pixels, "Angstrom", "vacuum", plan.nuisances, units, plan.elements, survey=True
    )


def _with_elements_of(
    pairs: PairsOf, plan: Plan, about: About, report: Report
) -> tuple[Plan, About]:
    """Return plan and metadata with the elements that stars and pairs share.

    Where the stars have no composition, the file names the elements of the pairs.
    """
    if sentence := pairs.left_out(plan.elements):
        report.note(sentence)
    plan = replace(plan, elements=pairs.elements(plan.elements))
    return plan, replace(about, elements=plan.elements or pairs.own_elements)


def _append_pairs(
    file: SurveyFile, pairs: PairsOf, plan: Plan, with_errors: bool, progress: bool
) -> None:
    """Copy the pairs, chunk by chunk."""
    pieces = pairs_beside(
        pairs.task,
        pairs.scale,
        file.about.elements if pairs.with_composition else (),
        with_errors=with_errors,
        with_nuisance_errors=plan.with_errors,
    )
    label = f"copy pairs of {pairs.task.name}"
    with bar(label=label, total=pairs.n, unit="pair", quiet=not progress) as count:
        chunks = counted(lambda _: pieces, count)
        file.add_pairs(pairs.n, chunks(PAIRS), with_composition=pairs.with_composition)


class Kept(NamedTuple):
    """What is remembered of a spectrum that was written."""

    row: int
    snr: float
    masked: float


def _batches(first: Star, stars: Iterator[Star]) -> Iterator[list[Star]]:
    batch = [first]
    for star in stars:
        if len(batch) == _FLUSHED:
            yield batch
            batch = []
        batch.append(star)
    yield batch


def _append(file: SurveyFile, batch: list[Star], plan: Plan) -> None:
    rows = np.array([star.row for star in batch])
    table = plan.spectra.loc[rows]
    flux = np.stack([star.flux for star in batch])
    error = None
    if batch[0].error is not None:
        error = np.stack([star.error for star in batch if star.error is not None])

    def values(prefix: str, names: tuple[str, ...]) -> npt.NDArray[np.float32]:
        return table[[prefix + name for name in names]].to_numpy(np.float32)

    for split in SPLITS:
        its = (table["split"] == split).to_numpy()
        if its.any():
            stars = Stars(
                flux[its],
                None if error is None else error[its],
                values(NUISANCE, plan.nuisances)[its],
                values(ERROR, plan.nuisances)[its] if plan.with_errors else None,
                table["group_number"].to_numpy(np.int64)[its],
                table["identifier"].to_numpy()[its].tolist(),
                values(RATIO, plan.elements)[its] if plan.elements else None,
            )
            file.append(split, stars)


def _check_splits(sizes: dict[str, int], report: Report) -> None:
    for split, fewest in zip(SPLITS, FEWEST, strict=True):
        if sizes[split] < fewest:
            sentence = (
                f"Only {sizes[split]} stars are left in {split}; give more stars or other --split "
                "shares."
            )
            raise DataError(report.explained(sentence))


def _note(
    table: pd.DataFrame, plan: Plan, choices: Choices, reading: Reading, report: Report
) -> None:
    """Say what of the outcome, of which the table has a row for each spectrum, is unexpected."""
    reading.note_resampled()
    siblings = table.groupby(["group_number", "split"])["star"].transform("size") > 1
    if not (siblings & (table["split"] == "test")).any():
        report.note(
            "No star of test has a sibling, so starbench run cannot use this file; give --groups."
        )
    if (siblings & (table["split"] == "train")).any() and not plan.splits_stated:
        report.note(
            "There are too few field stars to train on: groups of siblings are in train, too."
        )
    if not plan.splits_stated:
        several = table.groupby(["star", "split"])["group"].transform("size") > 1
        stars = set(table.loc[several, "star"])
        if stars:
            advice = "; keep one of each star in the files to train on it"
            if table["group"].nunique() < sum(FEWEST):
                advice = ""  # without the second spectra there would be too little to import
            elif stars <= set(plan.spectra.loc[plan.spectra["combined"], "star"]):
                advice = "; --spectra combined takes one of each star"
            report.note(
                f"{len(stars)} of {table['star'].nunique()} stars have several spectra, which are "
                f"siblings and not trained on{advice}."
            )
    if choices.labels is not None:
        others = table[table["labels_of"] != choices.labels.name]
        if len(others):
            report.note(
                f"{others['star'].nunique()} stars are not in {choices.labels.name}; their labels "
                f"are those of {', '.join(sorted(others['labels_of'].unique()))}."
            )
    flagged = table.loc[table["flagged"], "star"]
    if len(flagged):
        report.note(
            f"ASPCAP flags labels of {flagged.nunique()} of the stars as bad, first those of "
            f"{flagged.iloc[0]}; give better ones with --labels."
        )
    if reading.n_assumed and choices.continuum == "auto":
        report.note(
            f"{reading.n_assumed} spectra were divided by a pseudo-continuum, as rows do not say "
            "whether they are normalised; if they are, give --continuum none."
        )


def _provenance(
    places: Sequence[Path],
    choices: Choices,
    sources: Sequence[Source],
    reading: Reading,
    report: Report,
) -> dict[str, Any]:
    options = {
        name: value.name if isinstance(value, Path) else value
        for name, value in asdict(choices).items()
    }
    return {
        "sources": [place.name for place in places][:20],
        "read": [
            source.name if "/" not in source.name else Path(source.name).name for source in sources
        ],
        "options": options,
        "resampling": "flux-conserving (Carnall 2017, arXiv:1705.05165), once; coinciding pixels "
        "are copied",
        "frame": "rest frame of the star, vacuum",
        "continuum": f"{reading.n_normalised} spectra by {continua.RECIPE}; others as in the files",
        **report.provenance(),
    }


def _summary(table: pd.DataFrame, nuisances: tuple[str, ...], kept: list[Kept]) -> pd.DataFrame:
    found = summary(table, nuisances)
    found["snr"] = [star.snr for star in kept]
    found["masked"] = [star.masked for star in kept]
    return found
