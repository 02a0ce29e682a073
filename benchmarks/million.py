"""Ranking a million stars on the CPU: the whole, resumable, or a fraction that is scaled to it.

    python -m benchmarks.million --fraction 0.01 --threads 1    # seconds; says what the whole takes
    python -m benchmarks.million --checkpoint million.safetensors --threads 2    # minutes

A fraction takes bands spaced evenly over the triangle of tiles, long and short ones, and scales
their time by the number of distances. The whole is stored every half a minute: after Ctrl-C, or a
kill, the same command continues, and its seconds add up. A sample of ranks is compared with a brute
force in NumPy's float32. CPU time depends less on the load of the machine than wall time does.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.gpu_ranking import sampled_rank
from benchmarks.ranking import NOISE, peak_memory
from starbench.common.files import write_json
from starbench.evaluation.ranking import rank_resumably
from starbench.metrics import Ranking
from starbench.metrics._l1 import CpuBands
from starbench.metrics.ranking import twin_distances

SAMPLE = 100  # stars for the brute force


def latents(n_stars: int, d: int) -> np.ndarray:
    """Return latents [n_pairs, 2, d] of scattered twins, made without copies in float64."""
    rng = np.random.default_rng(1)
    latent = rng.standard_normal((n_stars // 2, 2, d), np.float32)
    latent *= np.float32(NOISE)
    latent += rng.standard_normal((n_stars // 2, 1, d), np.float32)
    return latent


def fraction(latent: np.ndarray, share: float) -> None:
    """Count evenly spaced bands on one thread, and scale their time."""
    rows = latent.reshape(-1, latent.shape[2])
    bands = CpuBands(rows, twin_distances(rows))
    counts = np.zeros((2, len(rows)), np.int32)
    bands.count(len(bands.costs) - 1, counts)  # compiles
    n = max(1, round(share * len(bands.costs)))
    chosen = np.linspace(0, len(bands.costs) - 1, n + 2).round().astype(int)[1:-1]
    wall, cpu = time.perf_counter(), time.process_time()
    for band in chosen:
        bands.count(int(band), counts)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    measured = bands.costs[chosen].sum()
    scale = bands.costs.sum() / measured
    print(
        f"- measured: {n} of {len(bands.costs):,} bands, {measured:.3g} of {bands.costs.sum():.3g} "
        f"distances, in {wall:.1f} s ({cpu:.1f} s of CPU) on one thread"
    )
    print(f"- {measured * latent.shape[2] / cpu:.3g} terms |a - b| a second of CPU")
    print(f"- scaled to all: {wall * scale:,.0f} s, {cpu * scale:,.0f} s of CPU")


def whole(latent: np.ndarray, checkpoint: Path, threads: int) -> int:
    """Rank all, from the checkpoint on if there is one; return how many sampled ranks differ."""
    log = checkpoint.with_suffix(".json")
    began, cpu = time.perf_counter(), time.process_time()
    before = {"wall": 0.0, "cpu": 0.0, "parts": 0}
    if log.exists() and checkpoint.exists():
        before = json.loads(log.read_text())
    ranking = Ranking(latent, n_threads=threads)
    try:
        ranks = rank_resumably(ranking, checkpoint)
    finally:
        spent = {
            "wall": before["wall"] + time.perf_counter() - began,
            "cpu": before["cpu"] + time.process_time() - cpu,
            "parts": before["parts"] + 1,
        }
        write_json(log, spent)
    rank = ranks.rank.reshape(-1)
    print(
        f"- {spent['wall']:,.0f} s, {spent['cpu']:,.0f} s of CPU, {threads} threads, in "
        f"{spent['parts']} part(s)"
    )
    print(f"- {(rank == 1).mean():.1%} of the twins are nearest")
    stars = np.random.default_rng(3).permutation(len(rank))[:SAMPLE]
    different = int((rank[stars] != sampled_rank(latent, stars)).sum())
    print(f"- {different} of {len(stars)} ranks differ from a brute force in float32")
    checkpoint.unlink(missing_ok=True)
    log.unlink()
    return different


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stars", type=int, default=1_000_000, help="an even number")
    parser.add_argument("--dimensions", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--fraction", type=float, help="share of the bands, on one thread")
    parser.add_argument("--checkpoint", type=Path, default=Path("million.safetensors"))
    arguments = parser.parse_args()
    latent = latents(arguments.stars, arguments.dimensions)
    held = peak_memory()
    print(f"{arguments.stars:,} stars of {arguments.dimensions} dimensions\n")
    if arguments.fraction:
        fraction(latent, arguments.fraction)
        different = 0
    else:
        different = whole(latent, arguments.checkpoint, arguments.threads)
    print(
        f"- peak memory {peak_memory():,.0f} MB, of which {held:,.0f} MB before the ranking: "
        f"libraries, latents of {latent.nbytes / 1e6:,.0f} MB, and making them"
    )
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
