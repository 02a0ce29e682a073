"""The text of ``starbench leaderboard compare``: two methods on the same stars."""

import numpy as np

from starbench.leaderboard.statistics.aggregate import Group
from starbench.leaderboard.statistics.compare import compare_ranks, ranks_of
from starbench.leaderboard.statistics.resampling import found_stars
from starbench.leaderboard.statistics.strata import star_labels, strata, strata_table
from starbench.leaderboard.store.task import BoardTask


def comparison_text(chosen: tuple[Group, Group], metric: str, task: BoardTask) -> str:
    """Return the difference of two methods with its interval, and a table of it by label.

    Parameters
    ----------
    chosen : pair of Group
        The rows of the two methods, as `choose` returns them.
    metric : str
        One of `starbench.metrics.SHARES`.
    task : BoardTask
        The task of the rows as this version of starbench has it. The table is left out if its data
        are not those of the rows.
    """
    a, b = (group.row.method for group in chosen)
    row = chosen[0].row
    rank_a, rank_b = ranks_of(chosen)
    compared = compare_ranks(rank_a, rank_b, metric)
    lines = [
        f"{metric} on {row.task}",
        f"A, {a}: {100 * compared.share_a:.2f} % ({_seeds(compared.seeds_a)})",
        f"B, {b}: {100 * compared.share_b:.2f} % ({_seeds(compared.seeds_b)})",
        f"difference: {100 * compared.difference:+.2f} points, 95 % interval "
        f"{100 * compared.low:+.2f} to {100 * compared.high:+.2f}"
        + ("" if compared.separable else ": statistically tied"),
    ]
    if (row.task_version, row.data_fingerprint) != (task.version, task.fingerprint(row.scale)):
        lines.append(
            "The rows were made on other data than this version of starbench has, so the table by "
            "label is omitted."
        )
        return "\n".join(lines)
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


def _seeds(count: int) -> str:
    return f"{count} seed" if count == 1 else f"{count} seeds"
