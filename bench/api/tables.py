"""Tables of the leaderboard, of a suite and of metrics."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from starbench.metrics import Estimate
    from starbench.results.schema import RecordedEstimate


def rows() -> "pd.DataFrame":
    """Return the rows of the leaderboard that are shipped with starbench.

    Returns
    -------
    pandas.DataFrame
        A line for each run: method, task, seed, settings and every metric.

    Examples
    --------
    >>> import starbench as sb
    >>> rows = sb.rows()
    >>> bool((rows["method"] == "fader").any())
    True
    """
    from starbench.leaderboard.frame import rows_frame

    return rows_frame()


def suite(name: str = "giants-v1") -> "pd.DataFrame":
    """Return the methods of the leaderboard on the tracks of a suite, with their scores.

    Parameters
    ----------
    name : str
        Name of the suite.

    Returns
    -------
    pandas.DataFrame
        A line for each method, the information bound last. ``score`` is the mean over families of
        the gap between chance and the information bound that the method closes, with its 95 %
        interval ``score.low`` to ``score.high``; ``<task>`` is the share of nearest twins on a
        track, and ``<task>.gap_closed`` the gap closed. NaN where a method lacks a track, and so a
        score.

    Raises
    ------
    DataError
        If there is no such suite.

    Examples
    --------
    >>> import starbench as sb
    >>> bound = sb.suite().iloc[-1]
    >>> bound.method, float(bound["apogee-giants.gap_closed"])
    ('information-bound', 1.0)
    """
    from starbench.leaderboard.frame import suite_frame

    return suite_frame(name)


def metrics_frame(estimates: "Mapping[str, Estimate | RecordedEstimate]") -> "pd.DataFrame":
    """Return a line for each metric, in the order of `starbench.metrics.METRICS`."""
    import pandas as pd

    from starbench.metrics import METRICS, family

    order = list(METRICS)
    names = sorted(estimates, key=lambda name: order.index(family(name)))
    return pd.DataFrame(
        [(estimates[name].value, estimates[name].low, estimates[name].high) for name in names],
        index=pd.Index(names, name="metric"),
        columns=["value", "low", "high"],
    )
