"""Make the manifest of ``apogee-giants`` from the shipped emulator.

``python -m starbench.tasks.apogee_giants.make_manifest`` takes less than a minute and writes no
data. Run it after every change of the emulator or the population; once a version of the task has
been released, such a change needs a new version.
"""

from collections.abc import Mapping

from tqdm import tqdm

from starbench.tasks.apogee_giants.manifest import (
    GROUP_PAIRS,
    PATH,
    Manifest,
    labels_sha256,
    project,
)
from starbench.tasks.apogee_giants.task import SCALES, ApogeeGiants
from starbench.tasks.apogee_giants.tracks import SNRS
from starbench.tasks.arrays import Spectra
from starbench.tasks.base import SPLITS
from starbench.tasks.card import Scale, Sizes
from starbench.tasks.observation.noise import NoiseTrack

_DECIMALS = 6  # of a projection, far below the tolerance


def make_manifest(
    task: ApogeeGiants, scales: Mapping[Scale, Sizes] = SCALES, *, progress: bool = False
) -> Manifest:
    """Make the manifest of a task.

    Parameters
    ----------
    task : ApogeeGiants
    scales : dict
        Number of pairs of each split at each scale.
    progress : bool
        Draw a progress bar.
    """
    noise = {}
    for snr in SNRS:
        track = NoiseTrack(task, snr)
        noise[track.name] = {
            split: _numbers(track.noise(split, 0, GROUP_PAIRS))[0] for split in SPLITS
        }
    return Manifest(
        task=task.name,
        version=task.version,
        emulator_sha256=task.emulator.sha256,
        labels_sha256={
            scale: {split: labels_sha256(*task.labels(split, 0, n)) for split, n in sizes.items()}
            for scale, sizes in scales.items()
        },
        flux=_complete_groups(task, scales, progress),
        last_group={
            scale: {
                split: _numbers(task.make(split, n - n % GROUP_PAIRS, n).flux)[0]
                for split, n in sizes.items()
                if n % GROUP_PAIRS
            }
            for scale, sizes in scales.items()
        },
        noise=noise,
    )


def _complete_groups(
    task: ApogeeGiants, scales: Mapping[Scale, Sizes], progress: bool
) -> dict[str, list[float]]:
    """Return the projections of all complete groups of the largest scale."""
    largest = {split: max(sizes[split] for sizes in scales.values()) for split in SPLITS}
    flux: dict[str, list[float]] = {split: [] for split in SPLITS}
    places = [
        (split, start) for split in SPLITS for start in range(0, largest[split], task.chunk_pairs)
    ]
    for split, start in tqdm(places, "manifest", unit="chunk", disable=not progress):
        stop = min(start + task.chunk_pairs, largest[split])
        stop -= stop % GROUP_PAIRS
        flux[split] += _numbers(task.make(split, start, stop).flux)
    return flux


def _numbers(flux: Spectra) -> list[float]:
    return [round(float(x), _DECIMALS) for x in project(flux)]


if __name__ == "__main__":
    make_manifest(ApogeeGiants(), progress=True).write(PATH)
