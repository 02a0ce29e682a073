"""Parts of a run that are written by hand, against the plain form that each replaced."""

import json
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from benchmarks.measure import Figure, Section, Size, Table, in_child, in_words, middle
from starbench.common.provenance import peak_memory_bytes
from starbench.common.threads import available_cores

_BEGAN = time.perf_counter()  # before the imports that a child makes
_TEXT = """\
Each measured in its own process: medians of {rounds} round(s) after one that is not counted, for
{spectra:,} spectra of {pixels:,} pixels, scaled from {sample:,} of them. Components: the {inputs}
principal components of the flux. Slopes: the default decoder of {inputs} coefficients and its
derivatives by 20 latents, as the refinement of noisy latents needs them. Noise: a vector for each
spectrum."""
_LATENT, _NUISANCE, _INPUTS, _WIDTHS = 20, 2, 40, (256, 512)
_PIXELS = 7214
_OVERSAMPLING = 32  # columns of the starting subspace besides those of the components

Kernel = Callable[[], object]


def measure(size: Size, say: Callable[[str], None]) -> Section:
    """Time all forms of all kernels."""
    sample = min(size.spectra, 4096)
    tables = []
    for name, forms in FORMS.items():
        figures = []
        for form in forms:
            for threads in _threads(name, size):
                label = f"{form}, {in_words(threads)}" if name == "noise" else form
                say(f"{name}: {label}")
                measured = in_child(
                    __name__, threads, name=name, form=form, sample=sample, rounds=size.rounds
                )
                figures.append(_figure(label, measured, size.spectra / sample))
        tables.append(Table(name, "memory added, MB", figures))
    text = _TEXT.format(
        rounds=size.rounds, spectra=size.spectra, pixels=_PIXELS, sample=sample, inputs=_INPUTS
    )
    return Section("Kernels", text, tables)


def _threads(name: str, size: Size) -> tuple[int, ...]:
    return tuple(n for n in size.threads if n <= available_cores()) if name == "noise" else (1,)


def _figure(label: str, measured: dict, scale: float) -> Figure:
    seconds, cpu = middle(measured["timings"])
    return Figure(label, seconds * scale, cpu * scale, measured["excluded"], measured["memory"])


# --- in the child


def _components(sample: int) -> Kernel:
    from starbench.methods.parts.representation import principal_components

    flux = _flux(sample)
    return lambda: principal_components(flux, _INPUTS, 0).deviation


def _components_by_torch(sample: int) -> Kernel:
    flux = torch.from_numpy(_flux(sample))

    def deviation() -> torch.Tensor:
        width = min(_INPUTS + _OVERSAMPLING, len(flux))
        singular = torch.svd_lowrank(flux - flux.mean(0), q=width, niter=2)[1]
        return singular[:_INPUTS] / len(flux) ** 0.5

    return deviation


def _flux(sample: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((sample, _PIXELS), np.float32)


def _slopes(sample: int) -> Kernel:
    from starbench.methods.parts.perceptron import output_and_slopes

    decoder, inputs = _decoder(sample)
    return lambda: [output_and_slopes(decoder, rows, _LATENT) for rows in inputs]


def _slopes_by_torch(sample: int) -> Kernel:
    decoder, inputs = _decoder(sample)

    def differentiate(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        axes = torch.eye(rows.shape[1])[:_LATENT]
        along = lambda axis: torch.func.jvp(decoder, (rows,), (axis.expand_as(rows),))  # noqa: E731
        return torch.func.vmap(along, out_dims=(None, 2))(axes)

    return lambda: [differentiate(rows) for rows in inputs]


def _decoder(sample: int) -> tuple[torch.nn.Sequential, list[torch.Tensor]]:
    """Return a decoder of the default widths, and its inputs in the batches of a refinement."""
    from starbench.methods.parts.perceptron import mlp

    torch.manual_seed(0)
    decoder = mlp((_LATENT + _NUISANCE, *_WIDTHS, _INPUTS), "silu").requires_grad_(False)
    return decoder, list(torch.randn(sample, _LATENT + _NUISANCE).split(488))


def _noise(sample: int) -> Kernel:
    from starbench.tasks.apogee_giants.task import ApogeeGiants
    from starbench.tasks.observation.noise import NoiseTrack

    track = NoiseTrack(ApogeeGiants(), 50)
    return lambda: track.noise("train", 0, -(-sample // 2))


FORMS: dict[str, dict[str, Callable[[int], Kernel]]] = {
    "components": {"starbench": _components, "torch.svd_lowrank": _components_by_torch},
    "slopes": {"starbench": _slopes, "torch.func, vmap of jvp": _slopes_by_torch},
    "noise": {"starbench": _noise},
}


def _child(threads: int, name: str, form: str, sample: int, rounds: int) -> dict:
    torch.set_num_threads(threads)
    kernel = FORMS[name][form](sample)
    before = peak_memory_bytes()
    kernel()
    excluded, timings = time.perf_counter() - _BEGAN, []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        kernel()
        timings.append((time.perf_counter() - wall, time.process_time() - cpu))
    memory = (peak_memory_bytes() - before) / 1e6
    return {"timings": timings, "excluded": excluded, "memory": memory}


if __name__ == "__main__":
    print(json.dumps(_child(**json.loads(sys.argv[1]))))
