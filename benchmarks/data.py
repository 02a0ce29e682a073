"""Building the full data set, against PySME one spectrum at a time."""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from benchmarks.measure import Figure, Section, Size, Table, in_child, in_words, middle
from starbench.common.provenance import peak_memory_bytes
from starbench.common.threads import available_cores

_BEGAN = time.perf_counter()  # before the imports that a child makes
_SPLITS = ("train", "validation", "test")
_FULL = "full"
_TEXT = """\
All three splits of the full scale, {full:,} spectra of {pixels:,} pixels. starbench: `prepare` of
the `{scale}` data set ({built:,} spectra{scaled}) in an empty folder, which draws labels, emulates,
checks against the manifest and writes ({disk_mb:,.0f} MB on disk{disk_scaled}). The emulator was
trained on {training_stars:,} syntheses, once, which is not counted. PySME: the first spectra of the
same data set, one at a time, by `starbench.tasks.synthesis.spectrum`, which calls the library's
core directly and limits hydrogen lines to the range needed: that is faster than the library's own
`synthesize_spectrum`. Not counted: imports, loading, a first spectrum or block. Peak memory is that
of the process, for PySME with the processes it forks."""


def measure(size: Size, say: Callable[[str], None]) -> Section:
    """Build the data set, synthesise some of its stars, and compare their flux."""
    stars = max(size.syntheses, 1)
    builds = {}
    for threads in (n for n in size.threads if n <= available_cores()):
        say(f"building the {size.scale} data set on {in_words(threads)}")
        builds[threads] = in_child(__name__, threads, scale=size.scale, stars=stars)
    ours = builds[1]
    scale = ours["full"] / ours["built"]
    figures = [
        _built(f"starbench, {in_words(threads)}", build, scale) for threads, build in builds.items()
    ]
    reason, remarks = _why_no_pysme(size), []
    if reason is None:
        say(f"synthesising {size.syntheses} spectra")
        theirs = in_child(__name__, 1, syntheses=size.syntheses)
        figures.append(_synthesised(theirs, ours["full"]))
        remarks.append(_agreement(np.array(ours["flux"]), np.array(theirs["flux"])))
    else:
        remarks.append(f"PySME was not measured: {reason}.")
    text = _TEXT.format(
        full=ours["full"],
        pixels=len(ours["flux"][0]),
        scale=size.scale,
        built=ours["built"],
        scaled="" if size.scale == _FULL else ", scaled",
        disk_mb=1e-6 * ours["bytes"] * scale,
        disk_scaled="" if size.scale == _FULL else ", scaled",
        training_stars=ours["training_stars"],
    )
    return Section(
        "The data set", text, [Table("the full data set", "peak memory, MB", figures)], remarks
    )


def _why_no_pysme(size: Size) -> str | None:
    if not size.syntheses:
        return "this size asks for no syntheses"
    try:
        version("pysme-astro")
    except PackageNotFoundError:
        return 'it is not installed; `pip install -e ".[synthesis]"` does that'
    return None


def _built(name: str, measured: dict, scale: float) -> Figure:
    return Figure(
        name,
        measured["wall"] * scale,
        measured["cpu"] * scale,
        measured["excluded"],
        measured["memory"],
        f"{1e3 * measured['wall'] / measured['built']:.2f} ms a spectrum",
    )


def _synthesised(measured: dict, full: int) -> Figure:
    seconds, cpu = middle(measured["timings"])
    low, high = (f([wall for wall, _ in measured["timings"]]) for f in (min, max))
    return Figure(
        f"PySME {version('pysme-astro')}, a spectrum at a time",
        seconds * full,
        cpu * full,
        measured["excluded"],
        measured["memory"],
        f"scaled from {len(measured['timings'])} spectra of {seconds:.2f} s ({low:.2f}-{high:.2f})",
    )


def _agreement(ours: np.ndarray, theirs: np.ndarray) -> str:
    rms = np.sqrt(((ours - theirs) ** 2).mean(axis=1))
    return (
        f"Flux of the same {len(rms)} stars, emulator less PySME: rms {np.median(rms):.1e} "
        f"(median of stars), {rms.max():.1e} (worst star)."
    )


# --- in the child


def _build(scale: str, stars: int) -> dict:
    """Build a data set in an empty folder; also return the flux of the stars that PySME gets."""
    from starbench.tasks.apogee_giants.task import SCALES, ApogeeGiants

    with tempfile.TemporaryDirectory() as folder:
        task = ApogeeGiants(Path(folder))
        flux = task.make("train", 0, stars).flux[:, 0]
        excluded = time.perf_counter() - _BEGAN
        _fit_manifest(task, scale)
        wall, cpu = time.perf_counter(), time.process_time()
        task.prepare(scale, progress=False)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        n_bytes = task.cached(scale).path.stat().st_size
    return {
        "wall": wall,
        "cpu": cpu,
        "excluded": excluded,
        "memory": peak_memory_bytes() / 1e6,
        "bytes": n_bytes,
        "built": 2 * sum(SCALES[scale][split] for split in _SPLITS),
        "full": 2 * sum(SCALES[_FULL][split] for split in _SPLITS),
        "training_stars": task.emulator.facts["training_stars"],
        "flux": flux.tolist(),
    }


def _fit_manifest(task, scale: str) -> None:
    """Make a manifest if the committed one belongs to another emulator, as in development."""
    from starbench.tasks.apogee_giants.make_manifest import make_manifest
    from starbench.tasks.apogee_giants.task import SCALES

    try:
        fits = task.manifest.emulator_sha256 == task.emulator.sha256
    except FileNotFoundError:
        fits = False
    if not fits:
        task.manifest = make_manifest(task, {scale: SCALES[scale]})


def _synthesise(syntheses: int) -> dict:
    """Synthesise the first training stars one at a time, after the first as a warm-up."""
    from starbench.tasks.apogee_giants.task import ApogeeGiants
    from starbench.tasks.synthesis.spectrum import synthesise

    nuisance, composition = ApogeeGiants().labels("train", 0, syntheses)
    labels = np.column_stack([nuisance[:, 0], composition])
    synthesise(labels[0])
    excluded = time.perf_counter() - _BEGAN
    timings, flux = [], []
    for star in labels:
        wall, cpu = time.perf_counter(), _cpu_with_children()
        flux.append(synthesise(star).tolist())
        timings.append((time.perf_counter() - wall, _cpu_with_children() - cpu))
    unit = 1 if sys.platform == "darwin" else 1024
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    return {
        "timings": timings,
        "excluded": excluded,
        "memory": max(peak_memory_bytes(), children) / 1e6,
        "flux": flux,
    }


def _cpu_with_children() -> float:
    """Return the CPU time of this process and of its finished children [s]."""
    of_children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + of_children.ru_utime + of_children.ru_stime


def _child(arguments: dict) -> dict:
    import torch

    torch.set_num_threads(arguments.pop("threads"))
    return _synthesise(**arguments) if "syntheses" in arguments else _build(**arguments)


if __name__ == "__main__":
    print(json.dumps(_child(json.loads(sys.argv[1]))))
