"""Twin ranking against other libraries; `benchmarks.ranking` measures."""

import argparse
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks import ranking
from benchmarks.measure import Failed, Figure, Section, Size, Table, middle

_TEXT = """\
Exact L1 rank of every star's twin among float32 latents; two thirds of the twins are nearest. One
thread, a process for each method and round, medians of {rounds} round(s) that take turns. Not
counted: imports and a first call on eight stars, in which starbench compiles if the machine has
never run it. Memory: the rise of the process's peak during the ranking. The KDTree query is what
the published code of de Mijolla et al. (2021) does (all neighbours of every star, sorted); its time
is that of a random sample of queries, scaled to all."""


def measure(size: Size, say: Callable[[str], None]) -> Section:
    """Rank with every method, and check the ranks."""
    arguments = argparse.Namespace(
        stars=size.stars, dimensions=size.dimensions, latents="good", repeat=1, full=False
    )
    rounds: dict[str, list[dict]] = {name: [] for name in ranking.METHODS}
    ranks = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(size.rounds):
            for name in ranking.METHODS:
                say(f"ranking {size.stars:,} stars: {name}")
                measured, queries, rank = ranking.run(name, arguments, Path(folder))
                rounds[name].append(measured)
                ranks[name] = queries, rank
        say(f"ranking {size.large:,} stars: starbench")
        more = argparse.Namespace(**{**vars(arguments), "stars": size.large})
        large, _, _ = ranking.run("starbench", more, Path(folder))

    ours = ranks["starbench"][1]
    figures = [
        _figure(name, rounds[name], _note(name, *ranks[name], ours, size.stars))
        for name in ranking.METHODS
    ]
    latent = ranking.latents("good", size.stars, size.dimensions)
    checked, different, unexplained = ranking.check(latent, ours)
    if unexplained:
        raise Failed(f"{unexplained} of starbench's ranks are wrong by more than near-ties explain")
    memory = "memory added, MB"
    return Section(
        "Twin ranking",
        _TEXT.format(rounds=size.rounds),
        [
            Table(f"{size.stars:,} stars of {size.dimensions} dimensions", memory, figures),
            Table(f"{size.large:,} stars", memory, [_figure("starbench", [large], "one round")]),
        ],
        [
            f"{(ours == 1).mean():.1%} of the twins are nearest.",
            f"starbench against a float64 brute force: {different} of {checked} ranks differ. A "
            "difference that near-ties, equal to the last places of float32, do not explain would "
            "have stopped this run.",
        ],
    )


def _figure(name: str, rounds: list[dict], note: str) -> Figure:
    seconds, cpu = middle([(x["wall"], x["cpu"]) for x in rounds])
    # The longest first call: starbench compiles only in the first round.
    excluded, memory = (max(x[key] for x in rounds) for key in ("first_call", "memory"))
    return Figure(_full_name(name), seconds, cpu, excluded, memory, note)


def _full_name(name: str) -> str:
    """Return a method's name with the version of the library and the function called."""
    if name == "first-kernel":
        return "starbench 0.1.0, its first kernel"
    library, _, call = name.partition("-")
    calls = {"cdist": " cdist in blocks", "kdtree": " cKDTree.query(k = all), as published"}
    return f"{library} {version(library)}{calls.get(call, '')}"


def _note(name: str, queries: np.ndarray, rank: np.ndarray, ours: np.ndarray, stars: int) -> str:
    if name == "starbench":
        return ""
    off = np.abs(rank - ours[queries])
    note = f"{(off > 0).sum()} of {len(queries):,} ranks differ"
    if off.any():
        note += f", by {off.max()} at most"
    return note if len(queries) == stars else f"scaled from {len(queries)} queries; {note}"
