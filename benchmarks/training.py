"""An epoch of the default Fader network against one of the published architecture.

Both run `Fader.fit` unchanged; a hook of torch's optimisers takes the time of every step and ends
the fit after enough of them.
"""

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.measure import Figure, Section, Size, Table, in_child, in_words, middle
from starbench.common.provenance import peak_memory_bytes
from starbench.common.threads import available_cores

_TEXT = """\
An epoch of {spectra:,} training spectra of {pixels:,} pixels: the median of single steps, times the
steps of an epoch. Steps measured: {steps}. `default` works on 256 principal
components; `published` is the preset of that name, the networks of de Mijolla et al. (2021) on the
pixels. Both are trained by the same code with torch {torch}, adversary and optimisers included,
batch {batch}, on the same spectra, each in its own process, on the CPU. Not counted: what a fit
does once (principal components, scaling) and the warm-up steps. Peak memory is that of the process,
with the spectra ({flux_mb:,.0f} MB), Python and torch. The number of epochs that either needs is
not compared here."""


def measure(size: Size, say: Callable[[str], None]) -> Section:
    """Time steps of both networks, on one thread and, if there are two cores, on two."""
    tables = []
    with tempfile.TemporaryDirectory() as folder:
        say(f"drawing {size.spectra:,} spectra")
        arguments = {"folder": folder, "spectra": size.spectra, "pixels": size.pixels}
        pixels = in_child(__name__, available_cores(), **arguments)["pixels"]
        for threads in (n for n in size.threads if n <= available_cores()):
            figures = []
            for name, (warm_up, steps) in size.steps.items():
                say(f"training on {in_words(threads)}: {name}, {steps} steps")
                measured = in_child(
                    __name__, threads, folder=folder, name=name, warm_up=warm_up, steps=steps
                )
                figures.append(_figure(name, measured, size.spectra))
            caption = f"an epoch, {in_words(threads)}"
            tables.append(Table(caption, "peak memory, MB", figures))
    text = _TEXT.format(
        spectra=size.spectra,
        pixels=pixels,
        steps=", ".join(f"{n} `{name}` after {w}" for name, (w, n) in size.steps.items()),
        torch=version("torch"),
        batch=measured["batch"],
        flux_mb=4e-6 * size.spectra * pixels,
    )
    return Section("An epoch of training", text, tables)


def _figure(name: str, measured: dict, spectra: int) -> Figure:
    seconds, cpu = middle(measured["timings"])
    steps = spectra // measured["batch"]
    low, high = np.percentile([wall for wall, _ in measured["timings"]], [5, 95])
    note = (
        f"{steps} steps of {1000 * seconds:,.1f} ms "
        f"(5-95 %: {1000 * low:,.1f}-{1000 * high:,.1f}); "
        f"{measured['weights'] / 1e6:.1f} million weights"
    )
    return Figure(
        f"fader, {name}",
        seconds * steps,
        cpu * steps,
        measured["excluded"],
        measured["memory"],
        note,
    )


# --- in the child


def _draw(folder: Path, spectra: int, pixels: int | None) -> dict:
    """Write the first training spectra of the task, and their nuisance."""
    from starbench.tasks.apogee_giants.task import ApogeeGiants
    from starbench.tasks.drawn import BLOCK_PAIRS

    task = ApogeeGiants()
    pixels = len(task.wavelength) if pixels is None else pixels
    shape = (spectra // 2, 2, pixels)
    flux = np.lib.format.open_memmap(folder / "flux.npy", "w+", np.float32, shape)
    nuisance = np.empty((spectra // 2, 2, 2), np.float32)
    for start in range(0, len(flux), BLOCK_PAIRS):
        rows = slice(start, min(start + BLOCK_PAIRS, len(flux)))
        made = task.make("train", rows.start, rows.stop)
        flux[rows], nuisance[rows] = made.flux[:, :, :pixels], made.nuisance
    flux.flush()
    np.save(folder / "nuisance.npy", nuisance)
    return {"pixels": pixels}


class _Enough(Exception):
    """Ends a fit of which enough steps were timed."""


def _fit(folder: Path, name: str, warm_up: int, steps: int) -> dict:
    """Fit until enough steps are done, and return how long each took."""
    from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook

    from starbench.methods.base import Silent, View
    from starbench.methods.fader import Fader, FaderSettings

    clock: list[tuple[float, float]] = []
    optimisers: list[Optimizer] = []

    def note(optimiser: Optimizer, *_: object) -> None:
        if optimiser not in optimisers:
            optimisers.append(optimiser)
        if optimiser is optimisers[0]:  # each optimiser updates its weights once a step
            clock.append((time.perf_counter(), time.process_time()))
            if len(clock) > warm_up + steps:
                raise _Enough

    flux, nuisance = np.load(folder / "flux.npy"), np.load(folder / "nuisance.npy")
    view = View(flux.reshape(-1, flux.shape[2]), nuisance.reshape(-1, nuisance.shape[2]))
    changes = {} if name == "default" else Fader.presets[name]
    batch = min(FaderSettings(**changes).batch_size, len(view))
    # So many that the fit does not end before all steps are timed.
    epochs = max(FaderSettings().epochs, 1 + (warm_up + steps) // (len(view) // batch))
    method = Fader(FaderSettings(**changes | {"epochs": epochs}))
    began = time.perf_counter()
    hook = register_optimizer_step_post_hook(note)
    with contextlib.suppress(_Enough):
        method.fit(view, view, Silent())
    hook.remove()
    timed = np.diff(clock[warm_up:], axis=0)
    weights = [p for each in optimisers for group in each.param_groups for p in group["params"]]
    return {
        "timings": timed.tolist(),
        "excluded": clock[warm_up][0] - began,
        "memory": peak_memory_bytes() / 1e6,
        "batch": batch,
        "weights": sum(p.numel() for p in weights),
    }


def _child(arguments: dict) -> dict:
    import torch

    torch.set_num_threads(arguments.pop("threads"))
    arguments["folder"] = Path(arguments["folder"])
    return _fit(**arguments) if "name" in arguments else _draw(**arguments)


if __name__ == "__main__":
    print(json.dumps(_child(json.loads(sys.argv[1]))))
