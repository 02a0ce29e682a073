"""Ranking a million stars' twins on a GPU: checked against the CPU, timed beside other libraries.

    python -m benchmarks.gpu_ranking                     # a minute or two on an H100
    python -m benchmarks.gpu_ranking --device cpu --stars 4000 --check-stars 2000   # tries it

It prints Markdown, and ends with status 1 if a rank differs for another reason than a near-tie.

1. Ranks of 25,000 stars on the device against those on the CPU, for latents with two thirds of the
   twins nearest, random ones, ones with many exact ties, and broken ones. Ranks are expected to be
   equal, since both add the same float32 terms in the same order. A star whose rank differs is
   explained if that many strangers are as far as its twin to a few units in the last place.
2. Seconds for 1,000,000 stars of 20 dimensions: the median of three rounds after a warm-up, with
   the latents' way to the device and back; ranks of a sample of stars against a brute force in
   float32.
3. Other ways to the same counts, in the same process on the same device:

   - torch.cdist  `torch.cdist(..., p=1)` in blocks: the reference, which anyone has.
   - torch tiles  starbench's own kernel without Triton.
   - KeOps        `pykeops.torch.LazyTensor`: the closer or tied strangers alone.
   - faiss        `IndexFlat(d, METRIC_L1).range_search`, a radius a query, on one core: faiss has
                  no range search on GPUs. It lists the neighbours, which a count need not.

   Those that would take minutes run on fewer stars or queries; their seconds are scaled to all
   pairs of the full number.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from statistics import median

import numpy as np
import torch

from benchmarks.ranking import latents
from starbench.metrics import TwinRanks, _l1_torch, twin_ranks

ROUNDS = 3
SAMPLE = 200  # stars, for brute forces and faiss
# Pairs of stars that an alternative computes, at most: seconds, not minutes.
CDIST_STARS, TILES_STARS = 25_000, 100_000
CONFIGURATIONS = [(16, 128, 4), (32, 64, 2), (32, 128, 4), (32, 256, 8), (64, 128, 8)]


def timed(device: str, work: Callable[[], object]) -> float:
    """Return the seconds of some work, with all that it left to do on the device."""
    synchronise(device)
    began = time.perf_counter()
    work()
    synchronise(device)
    return time.perf_counter() - began


def synchronise(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def flat(latent: np.ndarray) -> np.ndarray:
    return latent.reshape(-1, latent.shape[2])


# --- ranks


def cases(n_stars: int, d: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield latents of every kind, by name."""
    rng = np.random.default_rng(5)
    yield "two thirds nearest", latents("good", n_stars, d)
    yield "random", latents("random", n_stars, d)
    yield (
        "whole numbers 0-2: exact ties",
        rng.integers(0, 3, (n_stars // 2, 2, d)).astype(np.float32),
    )
    broken = latents("good", n_stars, d)
    for value in (np.nan, np.inf, -np.inf):
        broken.reshape(-1)[rng.permutation(broken.size)[:20]] = value
    yield "60 values not finite", broken
    yield "of 1e-41: subnormal", latents("good", n_stars, d) * np.float32(1e-41)


def unexplained(latent: np.ndarray, ours: TwinRanks, theirs: TwinRanks) -> tuple[int, int]:
    """Return how many stars' ranks or ties differ, and for how many near-ties do not explain it."""
    z = flat(latent).astype(np.float64)
    off = np.abs(ours.rank - theirs.rank).reshape(-1)
    off = np.maximum(off, np.abs(ours.tied - theirs.tied).reshape(-1))
    stars, margin = np.flatnonzero(off), 2 * z.shape[1] * float(np.finfo(np.float32).eps)
    wrong = 0
    for star in stars[:1000]:
        distance = np.abs(z - z[star]).sum(axis=1)
        own = distance[star ^ 1]
        near = np.abs(np.delete(distance, [star, star ^ 1]) - own) <= margin * own
        wrong += off[star] > near.sum()
    return len(stars), int(wrong)


def sampled_rank(latent: np.ndarray, stars: np.ndarray) -> np.ndarray:
    """Rank by NumPy in float32, term by term."""
    z = flat(latent)
    columns = np.ascontiguousarray(z.T)
    rank = np.empty(len(stars), np.int64)
    for i, star in enumerate(stars):
        distance = np.zeros(len(z), np.float32)
        for column in columns:
            distance += np.abs(column - column[star])
        rank[i] = 1 + (np.delete(distance, [star, star ^ 1]) <= distance[star ^ 1]).sum()
    return rank


def check(n_stars: int, d: int, device: str) -> int:
    """Compare the device's ranks with the CPU's; return how many differ without an explanation."""
    print(f"\nRanks of {n_stars:,} stars of {d} dimensions, {device} against CPU:\n")
    failures = 0
    for name, latent in cases(n_stars, d):
        ours, theirs = twin_ranks(latent, device=device), twin_ranks(latent)
        different, wrong = unexplained(latent, ours, theirs)
        failures += wrong
        print(f"- {name}: {different} of {n_stars:,} stars differ, {wrong} not by near-ties")
    return failures


# --- times


def starbench(latent: np.ndarray, device: str) -> tuple[float, float]:
    """Return the median seconds, and the peak of the device's memory in MB."""
    twin_ranks(latent[:500], device=device)  # compiles
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    seconds = [timed(device, lambda: twin_ranks(latent, device=device)) for _ in range(ROUNDS)]
    print("  rounds: " + ", ".join(f"{second:.2f} s" for second in seconds), file=sys.stderr)
    memory = torch.cuda.max_memory_allocated() / 1e6 if device.startswith("cuda") else 0.0
    return median(seconds), memory


def cdist(latent: np.ndarray, device: str) -> float:
    z = torch.from_numpy(flat(latent)).to(device)
    stars = torch.arange(len(z), device=device)

    def rank() -> None:
        for query in stars.split(2048):
            distance = torch.cdist(z[query], z, p=1)
            own = distance.gather(1, (query ^ 1)[:, None])
            (distance < own).sum(1)
            (distance <= own).sum(1)

    rank()
    return timed(device, rank)


def tiles(latent: np.ndarray, device: str) -> float:
    """Time starbench's kernel in plain torch."""
    z = torch.from_numpy(flat(latent)).to(device)
    columns, counts = z.T.contiguous(), torch.zeros((2, len(z)), dtype=torch.int32, device=device)
    thresholds = (z - z[torch.arange(len(z), device=device) ^ 1]).abs().sum(1)

    def rank(n_queries: int) -> None:
        _l1_torch.count_closer(columns, thresholds, 0, *counts, n_queries=n_queries)

    rank(1024)
    return timed(device, lambda: rank(len(z)))


def keops(latent: np.ndarray, device: str) -> float:
    from pykeops.torch import LazyTensor

    z = torch.from_numpy(flat(latent)).to(device)
    own = (z - z[torch.arange(len(z), device=device) ^ 1]).abs().sum(1)

    def rank(n_queries: int) -> torch.Tensor:
        query, star = LazyTensor(z[:n_queries, None, :]), LazyTensor(z[None, :, :])
        distance = (query - star).abs().sum(-1)
        within: torch.Tensor = (LazyTensor(own[:n_queries, None, None]) - distance).step().sum(1)
        return within

    rank(1000)  # compiles
    return timed(device, lambda: rank(len(z)))


def faiss_range(latent: np.ndarray, device: str) -> float:
    """Time a sample of queries, scaled to all."""
    import faiss

    faiss.omp_set_num_threads(1)
    z = flat(latent)
    index = faiss.IndexFlat(z.shape[1], faiss.METRIC_L1)
    index.add(z)
    stars = np.random.default_rng(3).permutation(len(z))[:20]

    def rank() -> None:
        for star in stars:
            index.range_search(z[star : star + 1], float(np.abs(z[star] - z[star ^ 1]).sum()))

    return timed("cpu", rank) * len(z) / len(stars)


def configurations(latent: np.ndarray) -> None:
    """Time the Triton kernel with several sizes of tile."""
    from starbench.metrics import _l1_triton

    z = torch.from_numpy(flat(latent)).cuda()
    n = len(z) // _l1_torch.PADDED_TO * _l1_torch.PADDED_TO
    columns, counts = z[:n].T.contiguous(), torch.zeros((2, n), dtype=torch.int32, device="cuda")
    thresholds = (z - z[torch.arange(len(z), device="cuda") ^ 1]).abs().sum(1)[:n].contiguous()
    print(f"\nTiles of the Triton kernel, {n:,} stars (queries x gallery, warps):\n")
    for queries, gallery, warps in CONFIGURATIONS:

        def rank(n_queries: int, sizes: tuple[int, int, int] = (queries, gallery, warps)) -> None:
            _l1_triton.count_closer(
                columns,
                thresholds,
                0,
                *counts,
                n_queries=n_queries,
                queries=sizes[0],
                gallery=sizes[1],
                warps=sizes[2],
            )

        rank(1024)
        seconds = median(timed("cuda", lambda rank=rank: rank(n)) for _ in range(ROUNDS))
        print(f"- {queries} x {gallery}, {warps}: {seconds:.3f} s", flush=True)


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--stars", type=int, default=1_000_000, help="an even number")
    parser.add_argument("--check-stars", type=int, default=25_000, help="an even number")
    parser.add_argument("--dimensions", type=int, default=20)
    arguments = parser.parse_args()
    device, n_stars, d = arguments.device, arguments.stars, arguments.dimensions
    cuda = device.startswith("cuda")

    name = torch.cuda.get_device_name() if cuda else "the CPU, one thread"
    packages = ("torch", "triton", "numba", "pykeops", "faiss-cpu", "faiss-gpu")
    print(f"- device: {name}")
    print(f"- {', '.join(f'{package} {installed(package)}' for package in packages)}", flush=True)
    failures = check(arguments.check_stars, d, device)

    latent = latents("good", n_stars, d)
    seconds, memory = starbench(latent, device)
    rank = twin_ranks(latent, device=device).rank.reshape(-1)
    stars = np.random.default_rng(3).permutation(n_stars)[:SAMPLE]
    different = int((rank[stars] != sampled_rank(latent, stars)).sum())
    failures += different
    kernel = "numba" if device == "cpu" else _l1_torch.kernel_name(device)
    print(f"\nRanks of {n_stars:,} stars of {d} dimensions by the kernel in {kernel}:\n")
    print(f"- {seconds:.2f} s, {memory:,.0f} MB of the device's memory at most")
    print(f"- {n_stars**2 * d / seconds:.3g} terms |a - b| a second")
    print(f"- {different} of {len(stars)} ranks differ from a brute force in float32")
    print(f"- {(rank == 1).mean():.1%} of the twins are nearest", flush=True)

    print("\n| all pairs of the stars | seconds | ratio | measured |\n|---|---|---|---|")
    print(f"| starbench, {kernel} | {seconds:.2f} | 1 | all |", flush=True)
    alternatives: list[tuple[str, str, Callable[[np.ndarray, str], float], int]] = [
        ("torch.cdist in blocks", "torch", cdist, CDIST_STARS),
        ("starbench, torch tiles", "torch", tiles, TILES_STARS),
        ("KeOps", "pykeops", keops, n_stars),
        ("faiss range_search, one core", "faiss-cpu", faiss_range, n_stars),
    ]
    for label, package, measure, most in alternatives:
        number = installed(package)
        if number == "not installed":
            print(f"| {label} | {number} | | |")
            continue
        n = min(n_stars, most)
        part = latents("good", n, d)
        try:
            other = measure(part, device) * (n_stars / n) ** 2
        except Exception as error:  # one that fails says nothing about the others
            print(f"| {label} | failed: {' '.join(str(error).split())[:200]} | | |", flush=True)
            continue
        print(
            f"| {label} {number} | {other:,.1f} | {other / seconds:,.1f} | "
            f"{'20 queries' if measure is faiss_range else f'{n:,} stars'} |",
            flush=True,
        )
    if kernel == "Triton":
        configurations(latents("good", min(n_stars, 262_144), d))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
