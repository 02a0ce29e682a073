"""The rows and the suite as pandas data frames."""

from pathlib import Path

import pandas as pd

from starbench.leaderboard.statistics.aggregate import sections
from starbench.leaderboard.statistics.facts import (
    metric_facts,
    metric_names,
    row_facts,
    suite_facts,
)
from starbench.leaderboard.statistics.suite import score_suite
from starbench.leaderboard.store.board import load, shipped_directory
from starbench.tasks.suites import DEFAULT, get_suite


def rows_frame(directory: Path | None = None) -> pd.DataFrame:
    """Return all rows of a leaderboard, one line per run.

    Parameters
    ----------
    directory : pathlib.Path, optional
        The leaderboard's folder; by default the one that ships with starbench.

    Returns
    -------
    pandas.DataFrame
        By task, and on each the methods with the highest share of nearest twins first within a
        label access. The columns are those of ``leaderboard.csv``, among them ``method``,
        ``method_version``, ``label_access``, ``control``, ``task``, ``scale``, ``seed``,
        ``status``, ``seconds.fit``, ``n_parameters`` and ``commit``, and for each metric its value
        and 95 % interval, such as ``doppelganger_free``, ``doppelganger_free.low`` and
        ``doppelganger_free.high``; NaN where a run lacks it. ``hyperparameters`` and ``overrides``
        hold dictionaries. ``level`` says how far a row has been checked. Rows with ``superseded``
        are of an older version of their method; average those that share a ``group``, which differ
        only in their seed.

    Raises
    ------
    RowError
        For the first row that is invalid.

    Examples
    --------
    >>> rows = rows_frame()
    >>> fader = rows.query("method == 'fader' and task == 'apogee-giants' and not superseded")
    >>> sorted(fader.seed)
    [0, 1, 2]
    """
    entries = load(directory or shipped_directory(), checked=False)
    names = metric_names(entry.row for entry in entries)
    return pd.DataFrame(
        {
            "file": entry.path.name,
            "group": group.key,
            "superseded": section.superseded(group),
            "level": entry.level,
            **row_facts(entry.row),
            "hyperparameters": entry.row.hyperparameters,
            **metric_facts(entry.row, names),
        }
        for section in sections(entries)
        for group in section.groups
        for entry in (*group.entries, *group.diverged)
    )


def suite_frame(name: str = DEFAULT, directory: Path | None = None) -> pd.DataFrame:
    """Return the methods of a leaderboard on the tracks of a suite, one line per method.

    Parameters
    ----------
    name : str
        Name of the suite.
    directory : pathlib.Path, optional
        The leaderboard's folder; by default the one that ships with starbench.

    Returns
    -------
    pandas.DataFrame
        The lines and columns of ``suite.csv``: methods by label access, the best first, and the
        information bound last. ``score`` is the suite score with its 95 % interval, ``score.low``
        and ``score.high``; ``family.<name>`` the mean gap closed in a family; ``<task>`` the share
        of nearest twins on a track and ``<task>.gap_closed`` the gap closed. NaN where a method
        lacks a track, and so a score.

    Raises
    ------
    DataError
        If there is no such suite.
    RowError
        For the first row that is invalid.

    Examples
    --------
    >>> suite = suite_frame()
    >>> bound = suite.iloc[-1]
    >>> bound.method, round(float(bound["apogee-giants-snr50"]), 3)
    ('information-bound', 0.889)
    """
    suite = get_suite(name)
    entries = load(directory or shipped_directory(), checked=False)
    return pd.DataFrame(suite_facts(score_suite(suite, sections(entries))))
