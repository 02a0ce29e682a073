"""Make the manifest of the standard tracks from the shipped emulators.

``python -m starbench.tasks.apogee_giants.make_track_manifest`` takes seconds. Run it after every
change of a track that is not yet released; once a version of a track has been released, a change
needs a new version.
"""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from starbench.common.files import write_json
from starbench.tasks.apogee_giants.track_manifest import PATH, StandardTrack, TrackDigests
from starbench.tasks.registry import get_task, task_names


def write_manifest(tracks: Iterable[StandardTrack], path: Path = PATH) -> None:
    """Write the digests of tracks atomically."""
    write_json(path, {track.name: asdict(TrackDigests.of(track.base)) for track in tracks})


if __name__ == "__main__":
    every = [get_task(name) for name in task_names()]
    write_manifest(task for task in every if isinstance(task, StandardTrack))
