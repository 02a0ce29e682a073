"""Time and memory of ranking every star's twin: starbench against other libraries.

    python benchmarks/ranking.py            # 25,000 stars of 20 dimensions, a minute or two
    python benchmarks/ranking.py --full     # all queries of the KD-tree as well: minutes more
    python benchmarks/ranking.py --large    # then starbench alone, 100,000 stars
    python benchmarks/ranking.py --only starbench scipy-cdist --stars 5000

Every method runs on one thread in its own process, on the same latents, and all in one run. Seconds
are the least of the repeats; CPU seconds are those of the same repeat, and ratios are of CPU
seconds, which depend little on the load of the machine. The first call, on eight stars, is not
counted: it imports, and for starbench compiles, as on a machine that has never run it. Memory is
the rise of the process's peak resident memory during the ranking.

- starbench    `starbench.metrics.twin_ranks`: float32, exact.
- first-kernel starbench's kernel of version 0.1.0, `benchmarks/first_kernel.py`: float32, exact.
- scipy-cdist  `scipy.spatial.distance.cdist(..., "cityblock")` in blocks of queries: float64.
- torch-cdist  `torch.cdist(..., p=1)` in blocks of queries: float32.
- scipy-kdtree `scipy.spatial.cKDTree.query(..., k=all, p=1)` and the twin's place in the result, as
  the code published with de Mijolla et al. 2021 does it: float64. It sorts the gallery of every
  star, which takes so long that, without --full, only some queries are made and their time is
  scaled up (memory is that of a block of queries in both cases).

Ranks are compared with starbench's. As other code rounds differently, they may differ where a
stranger is as far as the twin to within a few units in the last place of float32. A sample of
starbench's ranks is checked against a float64 brute force that counts such near-ties, and the run
fails if they do not explain every difference.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

METHODS = ("starbench", "first-kernel", "scipy-cdist", "torch-cdist", "scipy-kdtree")
BLOCK_VALUES = 10_000_000  # distances at a time for the methods that need blocks
KDTREE_QUERIES = 500
# Scatter of twins about their mean, for which two thirds are nearest at 25,000 x 20.
NOISE = 0.47
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def latents(kind: str, n_stars: int, d: int) -> np.ndarray:
    """Return latents [n_pairs, 2, d]: two thirds of the twins nearest, or twins at random."""
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(n_stars // 2, 2, d))
    if kind == "random":
        return noise.astype(np.float32)
    common = rng.normal(size=(n_stars // 2, 1, d))
    return (common + NOISE * noise).astype(np.float32)


def rank_in_blocks(distances, latent, queries):
    """Rank by blocks of a function (first query, last query) -> distances [n_block, n_stars]."""
    n_stars = 2 * len(latent)
    rank = np.empty(len(queries), np.int64)
    block = max(1, BLOCK_VALUES // n_stars)
    for start in range(0, len(queries), block):
        stars = queries[start : start + block]
        distance = distances(stars)
        row = np.arange(len(stars))
        own = distance[row, stars ^ 1].copy()
        distance[row, stars] = distance[row, stars ^ 1] = np.inf
        rank[start : start + block] = 1 + (distance <= own[:, None]).sum(axis=1)
    return rank


def starbench(latent, queries):
    from starbench.metrics import twin_ranks

    return twin_ranks(latent, n_threads=1).rank.reshape(-1)[queries]


def first_kernel(latent, queries):
    from first_kernel import rank_first  # beside this file, which is run as a script

    return rank_first(latent)[queries]


def scipy_cdist(latent, queries):
    from scipy.spatial.distance import cdist

    z = latent.reshape(-1, latent.shape[2])
    return rank_in_blocks(lambda stars: cdist(z[stars], z, "cityblock"), latent, queries)


def torch_cdist(latent, queries):
    import torch

    torch.set_num_threads(1)
    z = torch.from_numpy(latent.reshape(-1, latent.shape[2]))
    return rank_in_blocks(
        lambda stars: torch.cdist(z[torch.from_numpy(stars)], z, p=1).numpy(), latent, queries
    )


def scipy_kdtree(latent, queries):
    from scipy.spatial import cKDTree

    z = latent.reshape(-1, latent.shape[2])
    tree = cKDTree(z)
    rank = np.empty(len(queries), np.int64)
    block = max(1, BLOCK_VALUES // len(z))
    for start in range(0, len(queries), block):
        stars = queries[start : start + block]
        _, neighbours = tree.query(z[stars], k=len(z), p=1)
        # The star itself comes first; a duplicate may come before it, and the rank is off by one.
        rank[start : start + block] = np.argmax(neighbours == (stars ^ 1)[:, None], axis=1)
    return rank


def peak_memory() -> float:
    """Peak resident memory of this process in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def child(arguments) -> None:
    """Rank with one method, write the ranks, print the measurements as JSON."""
    rank = globals()[arguments.child.replace("-", "_")]
    latent = latents(arguments.latents, arguments.stars, arguments.dimensions)
    queries = np.arange(arguments.stars)
    repeats = arguments.repeat
    if arguments.child == "scipy-kdtree":
        repeats = 1
        if not arguments.full:
            queries = np.random.default_rng(2).permutation(queries)[:KDTREE_QUERIES]
    start = time.perf_counter()
    few = latents("good", 8, arguments.dimensions)
    rank(few, np.arange(8))
    first_call = time.perf_counter() - start
    before = peak_memory()
    timings = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        result = rank(latent, queries)
        timings.append((time.perf_counter() - wall, time.process_time() - cpu))
    np.savez(arguments.output, queries=queries, rank=result)
    wall, cpu = min(timings, key=lambda timing: timing[1])
    scale = arguments.stars / len(queries)
    print(
        json.dumps(
            {
                "wall": wall * scale,
                "cpu": cpu * scale,
                "first_call": first_call,
                "memory": peak_memory() - before,
                "queries": len(queries),
            }
        )
    )


def run(name: str, arguments, folder: Path) -> tuple[dict, np.ndarray, np.ndarray]:
    """Run one method in its own process."""
    output = folder / f"{name}.npz"
    command = [sys.executable, __file__, "--child", name, "--output", str(output)]
    command += ["--stars", str(arguments.stars), "--dimensions", str(arguments.dimensions)]
    command += ["--latents", arguments.latents, "--repeat", str(arguments.repeat)]
    command += ["--full"] if arguments.full else []
    environment = os.environ | ONE_THREAD | {"NUMBA_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{name} did not finish: its process ended with status {done.returncode}")
    with np.load(output) as saved:
        return json.loads(done.stdout.splitlines()[-1]), saved["queries"], saved["rank"]


def check(latent: np.ndarray, rank: np.ndarray) -> tuple[int, int, int]:
    """Compare a sample of ranks with float64; return how many, how many differ, and unexplained."""
    z = latent.reshape(-1, latent.shape[2]).astype(np.float64)
    sample = np.random.default_rng(3).permutation(len(z))[:500]
    different = unexplained = 0
    for star in sample:
        distance = np.abs(z - z[star]).sum(axis=1)
        own = distance[star ^ 1]
        distance = np.delete(distance, [star, star ^ 1])
        near = np.abs(distance - own) <= 2 * z.shape[1] * np.finfo(np.float32).eps * own
        off = abs(1 + (distance <= own).sum() - rank[star])
        different += off > 0
        unexplained += off > near.sum()
    return len(sample), int(different), int(unexplained)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stars", type=int, default=25_000, help="an even number")
    parser.add_argument("--dimensions", type=int, default=20)
    parser.add_argument("--latents", choices=("good", "random"), default="good")
    parser.add_argument("--only", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--full", action="store_true", help="all queries of the KD-tree")
    parser.add_argument("--large", action="store_true", help="then starbench with 100,000 stars")
    parser.add_argument("--child", choices=METHODS, help=argparse.SUPPRESS)
    parser.add_argument("--output", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stars < 2 or arguments.stars % 2 or arguments.dimensions < 1:
        parser.error("--stars must be even and --dimensions at least 1")
    if arguments.child:
        child(arguments)
        return 0

    print(
        f"{arguments.stars:,} stars of {arguments.dimensions} dimensions, {arguments.latents} "
        f"latents, one thread, least of {arguments.repeat}\n"
    )
    print(
        f"{'method':13} {'seconds':>8} {'CPU s':>8} {'ratio':>7} {'first call s':>13} "
        f"{'memory MB':>10}  ranks that differ"
    )
    ours, failures = None, 0
    with tempfile.TemporaryDirectory() as folder:
        for name in ("starbench", *(m for m in METHODS[1:] if m in arguments.only)):
            measured, queries, rank = run(name, arguments, Path(folder))
            if ours is None:
                ours, our_rank = measured, rank
                note = "-"
            else:
                off = np.abs(rank - our_rank[queries])
                note = f"{(off > 0).sum()} of {len(queries)}, by {off.max()} at most"
            if measured["queries"] < arguments.stars:
                note += f" (time scaled from {measured['queries']} queries)"
            print(
                f"{name:13} {measured['wall']:8.2f} {measured['cpu']:8.2f} "
                f"{measured['cpu'] / ours['cpu']:7.1f} {measured['first_call']:13.2f} "
                f"{measured['memory']:10.0f}  {note}",
                flush=True,
            )
        latent = latents(arguments.latents, arguments.stars, arguments.dimensions)
        checked, different, failures = check(latent, our_rank)
        print(f"\n{(our_rank == 1).mean():.1%} of the twins are nearest")
        print(
            f"starbench against float64 brute force: {different} of {checked} ranks differ, "
            f"{failures} of them for another reason than near-ties"
        )
        if arguments.large:
            arguments.stars, arguments.repeat = 100_000, 1
            measured, _, _ = run("starbench", arguments, Path(folder))
            print(
                f"starbench, {arguments.stars:,} stars: {measured['wall']:.1f} s, "
                f"{measured['cpu']:.1f} CPU s, "
                f"{measured['memory']:.0f} MB"
            )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
