"""Write the predictions of a run's method as a file."""

from pathlib import Path

import numpy as np

from starbench.common.files import new_hdf5
from starbench.common.progress import bar
from starbench.common.settings import SettingError
from starbench.evaluation.encoding import BATCH, encode_split
from starbench.evaluation.reconstruction import decoder
from starbench.evaluation.views import Views
from starbench.methods.base import Method
from starbench.runs.predictions import RECONSTRUCTIONS, place_of
from starbench.runs.restore import restore
from starbench.runs.run_folder import RunFolder
from starbench.tasks.base import SPLITS, Task
from starbench.tasks.storage.files import large_file


def _was_edited(task: Task, run: RunFolder) -> bool:
    """Return whether the code of a task of others has changed since a run."""
    settings = run.read_settings()  # of which a run is not restored, so that they may be missing
    return bool(settings) and settings.get("task_sha256") != task.code_sha256


def write_predictions(
    run: RunFolder,
    task: Task,
    path: Path,
    method_class: type[Method] | None = None,
    *,
    quiet: bool = False,
) -> None:
    """Write the predictions of a finished run's method for all splits, atomically.

    Parameters
    ----------
    run : RunFolder
    task : Task
        The task of the run.
    path : pathlib.Path
        With reconstructions some 3 GB at the full scale.
    method_class : type of Method, optional
        By default the method that has the row's name.
    quiet : bool
        Draw no progress.

    Raises
    ------
    SettingError
        If the folder does not hold a run whose method can be restored, the data are not those of
        the run, or the method is a control.
    """
    method, row = restore(run, method_class)
    if row.control:
        raise SettingError(f"{row.method} is a control; only latents ranked by L1 can be exported.")
    task.prepare(row.scale, progress=not quiet)
    if task.fingerprint(row.scale) != row.data_fingerprint or _was_edited(task, run):
        raise SettingError(
            f"{run.path} was run on other data than {task.name} now has; run it again."
        )
    sizes = task.sizes(row.scale)
    survey = task.card.survey
    decoded = 2 if method.has_decoder and not survey else 1
    total = task.card.spectra_each("test") * (
        sizes["train"] + decoded * (sizes["validation"] + sizes["test"])
    )
    views = Views(task, row.scale, type(method), row.seed)
    # Latents, whose size is not known yet, are small beside the two reconstructions of a star.
    decoded_pairs = 0 if decoded == 1 else sizes["validation"] + sizes["test"]
    n_bytes = 4 * decoded_pairs * 4 * len(task.wavelength) + 256 * total + 2**20
    progress = bar(
        label=f"predict {method.name}", total=total, unit="spectra", unit_scale=True, quiet=quiet
    )
    with (
        large_file(path, n_bytes, "choose another PREDICTIONS") as new,
        new_hdf5(new) as file,
        progress,
    ):
        for split in SPLITS:
            split_view = views.of(split)
            latent = encode_split(method, split_view, progress.update)
            stored = latent[:, 0] if survey else latent
            file.create_dataset(place_of(split, "latent"), data=stored, track_times=False)
            if split == "train" or decoded == 1:
                continue
            n, n_pixels = len(latent), len(task.wavelength)
            reconstruct = decoder(method, latent, split_view.labels.nuisance, n_pixels)
            places = [
                file.create_dataset(
                    place_of(split, name), (n, 2, n_pixels), np.float32, track_times=False
                )
                for name in RECONSTRUCTIONS
            ]
            for start in range(0, n, BATCH // 2):
                pairs = slice(start, min(start + BATCH // 2, n))
                for place, flux in zip(places, reconstruct(pairs), strict=True):
                    place[pairs] = flux
                file.check()
                progress.update(2 * (pairs.stop - pairs.start))
