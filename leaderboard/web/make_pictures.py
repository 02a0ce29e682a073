"""Make the numbers of the tracks' pictures.

``python -m starbench.leaderboard.web.make_pictures`` writes ``pictures/<task>.json`` of every
built-in track, or of those named, from the emulators and without building a data set. Run it
whenever a track is added or has a new version.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from starbench.common.files import atomic_path
from starbench.leaderboard.web.pictures import PLANES, Picture, Stars
from starbench.tasks.apogee_giants.mismatch import ModelPairs
from starbench.tasks.apogee_giants.variants import GiantsVariant
from starbench.tasks.base import Split, Task
from starbench.tasks.observation.observed import Observed
from starbench.tasks.registry import BUILT_IN, get_task

FOLDER = Path(__file__).resolve().parent / "pictures"  # not the link of a strict install
PAIR = 0
SPLIT = "test"
WINDOW = (15_740.0, 15_772.0)  # Angstrom, with three strong lines of magnesium
N_PAIRS = 120  # drawn in the planes
N_SURVEY_STARS = 810  # of a survey, among which two members of each cluster are drawn
N_STRANGERS = 500  # stars whose nearest other composition is sought


def make_picture(task: Task) -> Picture:
    """Make the numbers of the picture of a task, beside those of what it changes."""
    window = (task.wavelength >= WINDOW[0]) & (task.wavelength <= WINDOW[1])
    before = _before(task)
    return Picture(
        task=task.name,
        version=task.version,
        pair=PAIR,
        wavelength=[round(float(x), 2) for x in task.wavelength[window]],
        unit=task.wavelength_unit,
        before=None if before is None else _stars(*before, window),
        after=_stars(task, task.name, window),
    )


def _before(task: Task) -> tuple[Task, str] | None:
    """Return what a track changes, and its title: the same stars, or the track it is based on."""
    inner = _unobserved(task)
    if isinstance(inner, ModelPairs) and task.card.survey:
        return _unobserved(inner.survey), "the same stars before they are observed"
    if isinstance(inner, ModelPairs):
        return inner.model, "the same stars from the first generator"
    if isinstance(inner, GiantsVariant) and not inner.card.changes:
        return inner, "the same stars without the changes"
    return None if task.card.base is None else (get_task(task.card.base), task.card.base)


def _unobserved(task: Task) -> Task:
    while isinstance(task, Observed):
        task = task.base
    return task


def _pairs(task: Task) -> Split:
    """Return the first pairs of a task, or the first two members of a survey's first clusters."""
    if not task.card.survey:
        return task.make(SPLIT, 0, N_PAIRS)
    stars = task.make(SPLIT, 0, N_SURVEY_STARS)
    assert stars.group is not None  # by the contract of surveys
    _, first, n_members = np.unique(stars.group, return_index=True, return_counts=True)
    clusters = first[n_members > 1]
    members = np.column_stack([clusters, clusters + 1])  # they stand side by side
    return Split(
        stars.flux[members, 0],
        stars.nuisance[members, 0],
        None if stars.composition is None else stars.composition[clusters],
        stars.noiseless_flux[members, 0],
        None if stars.unseen is None else stars.unseen[members, 0],
    )


def _stars(task: Task, title: str, window: np.ndarray) -> Stars:
    pairs = _pairs(task)
    names = [*task.nuisance_names, *task.elements, *task.card.unseen_names]
    labels = [pairs.nuisance]
    if pairs.composition is not None:
        labels.append(np.repeat(pairs.composition[:, None], 2, axis=1))
    if pairs.unseen is not None:
        labels.append(pairs.unseen)
    table = np.concatenate(labels, axis=2)
    wanted = [name for plane in PLANES for name in plane]
    wanted += [f"true {name}" for name in wanted]
    unseen = None if pairs.unseen is None else pairs.unseen[PAIR]
    return Stars(
        title=title,
        flux=[[round(float(x), 4) for x in flux[window]] for flux in pairs.flux[PAIR]],
        labels=_labels(task.nuisance_names, task.nuisance_units, pairs.nuisance[PAIR]),
        unseen=_labels(task.card.unseen_names, task.card.unseen_units, unseen),
        columns={
            name: [[float(f"{x:.4g}") for x in twins] for twins in table[..., names.index(name)]]
            for name in wanted
            if name in names
        },
        stranger=_stranger(task),
    )


def _labels(
    names: Sequence[str], units: Sequence[str], values: np.ndarray | None
) -> dict[str, list[float]]:
    if values is None:
        return {}
    titles = [name if unit in ("", "1") else f"{name} [{unit}]"
              for name, unit in zip(names, units, strict=True)]  # fmt: skip
    return {
        title: [float(f"{value:.4g}") for value in column]
        for title, column in zip(titles, values.T, strict=True)
    }


def _stranger(task: Task) -> float | None:
    """Return the median L1 distance of a composition to the nearest other one."""
    _, composition = task.drawn_labels(SPLIT, task.default_scale)
    if composition is None:
        return None
    group = task.groups(SPLIT, task.default_scale)
    if group is not None:
        composition = composition[np.unique(group, return_index=True)[1]]
    nearest = []
    for place, own in enumerate(composition[:N_STRANGERS]):
        distance = np.abs(composition - own).sum(axis=1)
        distance[place] = np.inf
        nearest.append(distance.min())
    return round(float(np.median(nearest)), 3)


def main(names: Sequence[str]) -> None:
    """Write the numbers of the tasks named, of all built-in ones without names."""
    FOLDER.mkdir(exist_ok=True)
    for name in names or BUILT_IN:
        picture = make_picture(get_task(name))
        with atomic_path(FOLDER / f"{name}.json") as temporary:
            temporary.write_text(picture.model_dump_json() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
