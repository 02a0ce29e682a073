"""Export of a task whose splits hold stars: HDF5, rows of the Multimodal Universe, FITS."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from starbench.tasks.base import Task
from starbench.tasks.card import PAIRS, SPLITS
from starbench.tasks.errors import DataError
from starbench.tasks.storage.about import About
from starbench.tasks.storage.description import describe
from starbench.tasks.storage.write_pairs import counted
from starbench.tasks.survey.labels import column_name, error_columns
from starbench.tasks.survey.model_pairs import pairs_beside
from starbench.tasks.survey.tables import STAR_NAMES, text
from starbench.tasks.survey.write import Stars, SurveyFile

if TYPE_CHECKING:
    from tqdm import tqdm

# Columns that each format has besides labels, or that an import looks for.
_RESERVED = {
    "parquet": {"spectrum", "object_id", "group", "restframe", "source", "split", *STAR_NAMES},
    "fits": {"apogee_id", "param"},
}


def export_survey(
    task: Task,
    scale: str,
    out: Path,
    form: str,
    about: About,
    with_composition: tuple[str, ...],
    bar: "tqdm[Any]",
) -> None:
    """Write all splits of a survey.

    Parameters
    ----------
    task : Task
    scale : str
    out : pathlib.Path
        Nothing exists there; the caller moves it once it is complete.
    form : {"hdf5", "parquet", "fits"}
    about : About
    with_composition : tuple of str
        Splits whose composition is written.
    bar : tqdm
        Is advanced by the stars that are written.

    Raises
    ------
    DataError
        If the format does not hold what the task has, or a name of it.
    """
    if form in _RESERVED:
        _check_labels(form, about)
    if form == "fits":
        _check_ascii(task, scale, about)

    def stars(split: str) -> Iterator[tuple[int, Stars]]:
        for first, each in _stars(task, scale, split, split in with_composition):
            yield first, each
            bar.update(len(each.flux))

    match form:
        case "hdf5":
            _write_hdf5(out, task, scale, about, stars, with_composition, bar)
        case "parquet":
            _write_rows(out, task, scale, about, stars)
        case "fits":
            _write_fits(out, task, scale, about, stars)
        case _:
            raise DataError(
                f"--format {form} is for pairs; give hdf5, parquet or fits for a survey."
            )


def _stars(
    task: Task, scale: str, split: str, with_composition: bool
) -> Iterator[tuple[int, Stars]]:
    names = identifiers(task, scale, split)
    for rows, piece in task.chunks(split, scale):
        error = None if piece.error is None else piece.error[:, 0]
        if error is None and task.snr is not None:
            error = np.full(piece.flux[:, 0].shape, 1 / task.snr, np.float32)
        group = np.arange(rows.start, rows.stop) if piece.group is None else piece.group
        yield (
            rows.start,
            Stars(
                piece.flux[:, 0],
                error,
                piece.nuisance[:, 0],
                None if piece.nuisance_error is None else piece.nuisance_error[:, 0],
                group.astype(np.int64),
                names[rows],
                piece.composition if with_composition else None,
            ),
        )


def identifiers(task: Task, scale: str, split: str) -> list[str]:
    """Return the name of each star of a split: that of its file, or its number in the split."""
    numbered = [f"{split}-{row:07d}" for row in range(task.sizes(scale)[split])]
    names = task.identifiers(split, scale) or numbered
    return [text(name) or other for name, other in zip(names, numbered, strict=True)]


def _check_labels(form: str, about: About) -> None:
    """Check that each label has a column of its own, under its name in lower case.

    Raises
    ------
    DataError
        With a label that has not.
    """
    advice = "rename it, or give --format hdf5"
    labels = (*about.nuisance_names, *about.elements)
    errors = {
        column: name for name in about.nuisance_names for column in error_columns(column_name(name))
    }
    counts = Counter(map(column_name, labels))
    for name in labels:
        column = column_name(name)
        if counts[column] > 1:
            other = next(x for x in reversed(labels) if column_name(x) == column)
            raise DataError(
                f"--format {form} has one column {column} for the labels {name} and {other}; "
                "rename one of them, or give --format hdf5."
            )
        if column in errors:
            raise DataError(
                f"--format {form} has a column {column} for the error of {errors[column]}, not for "
                f"the label {name}; {advice}."
            )
        if column in _RESERVED[form] or not column.strip():
            raise DataError(
                f"--format {form} has no column {column} for the label {name}, as imports find "
                f"other things there; {advice}."
            )


def _check_ascii(task: Task, scale: str, about: About) -> None:
    """Check that headers of FITS hold all names.

    Raises
    ------
    DataError
        With a label or a star of which they do not hold the name.
    """
    advice = "rename it, or give --format hdf5 or parquet"
    for name in (*about.nuisance_names, *about.elements):
        if not (name.isascii() and name.isprintable()):
            raise DataError(f"--format fits does not hold the label {name!a}; {advice}.")
    for name in about.nuisance_names:
        if "," in name or name != name.strip():
            raise DataError(
                f"--format fits lists labels between commas, so it does not hold {name!a}; "
                f"{advice}."
            )
    for split in SPLITS:
        for name in identifiers(task, scale, split):
            if not (name.isascii() and name.isprintable()):
                raise DataError(f"--format fits does not hold the star {name!a}; {advice}.")


def _write_hdf5(
    out: Path,
    task: Task,
    scale: str,
    about: About,
    stars: Any,
    with_composition: tuple[str, ...],
    bar: "tqdm[Any]",
) -> None:
    # Its stars have errors in place of a declared noise; readers refuse files with both.
    about = replace(about, snr=None)
    with SurveyFile(out, about) as file:
        for split in SPLITS:
            for _, each in stars(split):
                file.append(split, each)
        if task.card.has_model_pairs:
            pieces = pairs_beside(
                task,
                scale,
                about.elements,
                with_errors=each.error is not None,
                with_nuisance_errors=each.nuisance_error is not None,
            )
            file.add_pairs(
                task.sizes(scale)[PAIRS],
                counted(lambda _: pieces, bar)(PAIRS),
                with_composition=PAIRS in with_composition,
            )


def _write_rows(out: Path, task: Task, scale: str, about: About, stars: Any) -> None:
    from starbench.tasks.survey.write_rows import RowsFile, fields

    out.mkdir()
    _, first = next(_stars(task, scale, SPLITS[0], with_composition=False))
    has = (first.error is not None, first.nuisance_error is not None)
    for split in SPLITS:
        RowsFile(out / f"{split}.parquet", about, *has).write(each for _, each in stars(split))
    describe(out, task, scale, fields(about, *has), "parquet")


def _write_fits(out: Path, task: Task, scale: str, about: About, stars: Any) -> None:
    try:
        from starbench.tasks.survey.write_fits import grid_pixels, write_stars
    except ImportError as error:
        raise DataError("--format fits needs astropy; install starbench[fits].") from error
    pixels = grid_pixels(about)
    for split in SPLITS:
        (out / split).mkdir(parents=True)
        for first, each in stars(split):
            if each.error is None:
                raise DataError(
                    "FITS files of APOGEE's kind hold an error for each pixel, which these spectra "
                    "do not have; declare --snr, or give --format hdf5 or parquet."
                )
            write_stars(out / split, split, first, each, about, pixels)
    describe(out, task, scale, [], "fits")
