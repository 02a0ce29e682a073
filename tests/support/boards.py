"""Boards of made methods on the tracks of a made suite, whose ranks are kept in memory."""

import json
from pathlib import Path

import numpy as np
from support.rows import diverged, draw_ranks, row_content

from starbench.leaderboard.statistics.aggregate import sections
from starbench.leaderboard.statistics.suite import chance_share, score_suite
from starbench.leaderboard.store.board import Entry, file_name
from starbench.results.schema import parse_row
from starbench.tasks.suites import Suite, SuiteTrack

N_PAIRS = 500
CONTENT = row_content(*draw_ranks(0, 0.5))
CHANCE = chance_share(N_PAIRS)
SUITE = Suite(
    "made-v1",
    (
        SuiteTrack("plain", 1, "ideal", "plain"),
        SuiteTrack("noisy", 1, "noise", "plain"),
        SuiteTrack("noisier", 1, "noise", "plain"),
        SuiteTrack("crowded", 1, "crowding", "crowded"),
        SuiteTrack("skewed", 2, "assumptions", "skewed"),
    ),
    beside=(SuiteTrack("real", 1, "reality", "real"),),
    unbroken="noisy",
)
ALL = {"plain": 0.9, "noisy": 0.5, "noisier": 0.2, "crowded": 0.4, "skewed": 0.6}


def ranks_of_share(share, order=None, n_pairs=N_PAIRS):
    """Return ranks of which a share is 1: of the first pairs, or of the first in an order."""
    order = np.arange(n_pairs) if order is None else order
    rank = np.full((n_pairs, 2), 7)
    rank[order[: round(share * n_pairs)]] = 1
    return rank


class Board:
    """Rows of made methods, whose ranks are kept in memory."""

    def __init__(self):
        self.entries, self.ranks = [], {}

    def add(
        self,
        task,
        share,
        seeds=(0, 1, 2),
        method="fader",
        n_diverged=0,
        level="reproduced",
        **fields,
    ):
        """Add the rows of a method: its share on each seed, or one share for all."""
        version = next((track.version for track in SUITE.compared if track.task == task), 1)
        fields = {"task": task, "task_version": version, "method": method, **fields}
        shares = share if isinstance(share, list) else [share] * len(seeds)
        for seed, of_seed in zip(seeds, shares, strict=True):
            rank = of_seed if isinstance(of_seed, np.ndarray) else ranks_of_share(of_seed)
            row = parse_row(json.dumps({**CONTENT, "seed": seed, **fields}))
            self.entries.append(Entry(row, Path("rows") / file_name(row), level))
            self.ranks[self.entries[-1].path.name] = rank
        for seed in range(100, 100 + n_diverged):
            row = parse_row(json.dumps(diverged({**CONTENT, "seed": seed, **fields})))
            self.entries.append(Entry(row, Path("rows") / file_name(row), level))
        return self

    def add_bound(self, tasks=ALL, share=1.0):
        for task in tasks:
            self.add(task, share, (0,), "information-bound", label_access="oracle", control=True)
        return self

    def add_method(self, shares, method="fader", **fields):
        for task, share in shares.items():
            self.add(task, share, method=method, **fields)
        return self

    def read(self, groups):
        return [
            np.stack([self.ranks[entry.path.name] for entry in group.entries]) for group in groups
        ]

    def scores(self, suite=SUITE):
        return score_suite(suite, sections(self.entries), self.read)

    def line(self, method="fader", suite=SUITE):
        (line,) = [line for line in self.scores(suite).lines if line.row.method == method]
        return line
