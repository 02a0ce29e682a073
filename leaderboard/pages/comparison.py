"""The text of ``starbench leaderboard compare``: two methods on one track, or on a suite."""

import numpy as np
from tabulate import tabulate

from starbench.leaderboard.statistics.aggregate import Group
from starbench.leaderboard.statistics.columns import percent, signed_points
from starbench.leaderboard.statistics.compare import Comparison, compare_ranks, ranks_of
from starbench.leaderboard.statistics.resampling import found_stars
from starbench.leaderboard.statistics.strata import star_labels, strata, strata_table
from starbench.leaderboard.statistics.suite_order import compare_lines
from starbench.leaderboard.statistics.suite_scores import SuiteLine, SuiteScores
from starbench.leaderboard.store.task import BoardTask


def comparison_text(chosen: tuple[Group, Group], metric: str, task: BoardTask | None) -> str:
    """Return the difference of two methods with its interval, and a table of it by label.

    Parameters
    ----------
    chosen : pair of Group
        The rows of the two methods, as `choose` returns them.
    metric : str
        One of `starbench.metrics.SHARES`.
    task : BoardTask or None
        The task of the rows as it is installed here, None where it is not. The table is left out
        unless its data are those of the rows.
    """
    a, b = (group.row.method for group in chosen)
    row = chosen[0].row
    rank_a, rank_b = ranks_of(chosen)
    compared = compare_ranks(rank_a, rank_b, metric)
    lines = [
        f"{metric} on {row.task}, version {row.task_version}",
        f"A, {a}: {100 * compared.share_a:.2f} % ({_seeds(compared.seeds_a)})",
        f"B, {b}: {100 * compared.share_b:.2f} % ({_seeds(compared.seeds_b)})",
        _difference(compared),
    ]
    if task is None:
        lines.append(
            f"The task {row.task} is not installed here, so the table by label is omitted; install "
            "the package that registers it to see the table."
        )
        return "\n".join(lines)
    if (row.task_version, row.data_fingerprint) != (task.version, task.fingerprint(row.scale)):
        lines.append(
            "The rows were made on other data than this version of starbench has, so the table by "
            "label is omitted."
        )
        return "\n".join(lines)
    if isinstance(rank_a, list) or isinstance(rank_b, list):
        return "\n".join(lines)  # of a survey, whose siblings differ in their labels
    nuisance, composition = task.drawn_labels("test", row.scale)
    labels = star_labels(nuisance, composition, task.nuisance_names, task.elements)
    stars_a, stars_b = (
        np.stack([found_stars(rank, metric) for rank in of_seeds]) for of_seeds in (rank_a, rank_b)
    )
    lines += [
        "\nThe stars in fifths of each label; < marks the largest difference:\n",
        strata_table(strata(stars_a, stars_b, labels)),
    ]
    return "\n".join(lines)


def suite_comparison_text(chosen: tuple[SuiteLine, SuiteLine], scores: SuiteScores) -> str:
    """Return the difference of two suite scores with its interval, and the gap closed by track.

    Parameters
    ----------
    chosen : pair of SuiteLine
        As `choose_lines` returns them.
    scores : SuiteScores
    """
    a, b = chosen
    compared = compare_lines(a, b)
    lines = [
        f"score on {scores.suite.name}",
        *(
            f"{name}, {line.row.method}: {100 * share:.2f} % ({_seeds(line.n_seeds)})"
            for name, line, share in (("A", a, compared.share_a), ("B", b, compared.share_b))
        ),
        _difference(compared),
    ]
    if a.row.label_access != b.row.label_access:
        lines.append(
            f"A has label access {a.row.label_access} and B {b.row.label_access}: what they may "
            "learn from differs."
        )
    gaps = []
    for track in scores.suite.tracks:
        closed = [line.tracks[track.task].gap_closed or 0.0 for line in chosen]
        numbers = (*(percent(gap, 1) for gap in closed), signed_points(closed[0] - closed[1], 1))
        gaps.append([track.task, track.family, *numbers])
    headers = ["Track", "Family", "A [%]", "B [%]", "A - B"]
    align = ["left", "left", "right", "right", "right"]
    gap_table = tabulate(gaps, headers=headers, colalign=align, disable_numparse=True)
    return "\n".join(
        [*lines, "\nThe gap between chance and the bound that each closes:\n", gap_table]
    )


def _difference(compared: Comparison) -> str:
    return (
        f"difference: {signed_points(compared.difference)} points, 95 % interval "
        f"{signed_points(compared.low)} to {signed_points(compared.high)}"
        + ("" if compared.separable else ": statistically tied")
    )


def _seeds(count: int) -> str:
    return f"{count} seed" if count == 1 else f"{count} seeds"
