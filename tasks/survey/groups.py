"""A table of sibling groups, such as the members of clusters."""

from pathlib import Path

import pandas as pd

from starbench.common.text import listed
from starbench.tasks.errors import DataError
from starbench.tasks.survey.report import Report
from starbench.tasks.survey.tables import GROUP_NAMES, read_table, star_column, text

_LIKE_EMPTY = frozenset(
    ("nan", "none", "null", "na", "n/a", "<na>", "-", "--", "-1", "-9999", "field")
)
"""Names, in lower case, that tables give to what is in no group."""


def read_groups(path: Path, stars: pd.Series, report: Report) -> pd.Series:
    """Return the group of each star that a table names.

    Parameters
    ----------
    path : pathlib.Path
        CSV, Parquet or FITS with a column of stars and a column ``group`` or ``cluster``.
    stars : pandas.Series
        The stars there are. The others in the table are noted in the report.
    report : Report
        Gets the stars in two groups, which are left out of the survey: nobody knows their siblings.

    Returns
    -------
    pandas.Series
        Names of groups, by star.

    Raises
    ------
    DataError
        If it is not such a table, or none of its stars is there.
    """
    place = f"--groups {path}"
    table = read_table(path, "--groups")
    column = next((name for name in GROUP_NAMES if name in table.columns), None)
    if column is None:
        raise DataError(
            f"{place} has the columns {listed(list(table.columns))}; name the column of groups "
            f"{GROUP_NAMES[0]}."
        )
    found = pd.DataFrame({"star": star_column(table, place), "group": table[column].map(text)})
    empty = found.loc[found["group"] == "", "star"]
    found = found[(found["group"] != "") & (found["star"] != "")]
    known = found["star"].isin(set(stars))
    if not known.any():
        first = "" if found.empty else f", such as {found['star'].iloc[0]}"
        sentence = (
            f"{place} names none of the stars that are imported{first}; identify them as the "
            f"spectra do, such as {stars.iloc[0]}."
        )
        raise DataError(report.explained(sentence))
    unknown = found.loc[~known, "star"].drop_duplicates()
    if len(unknown):
        report.note(
            f"{path.name} names {len(unknown)} stars that are not among the spectra, first "
            f"{unknown.iloc[0]}; add their spectra or remove them from the table."
        )
    found = found[known]
    _note_empty(path, empty[empty.isin(set(stars) - set(found["star"]))], report)
    return group_of_stars(found.assign(source=path.name), report)


def _note_empty(path: Path, stars: pd.Series, report: Report) -> None:
    """Say which stars a table names but puts into no group."""
    if len(stars):
        report.note(
            f"{path.name} has no group for {stars.nunique()} of the stars that are imported, first "
            f"{stars.iloc[0]}, which count as field stars unless their files state a group; fill "
            "in the groups of members."
        )


def _note_like_empty(found: pd.DataFrame, report: Report) -> None:
    """Say which groups have a name that may stand for none: their stars count as siblings."""
    alike = found[found["group"].str.lower().isin(_LIKE_EMPTY)]
    for name, rows in alike.groupby("group"):
        if rows["star"].nunique() > 1:
            report.note(
                f"{rows['source'].iloc[0]} puts {rows['star'].nunique()} stars into a group named "
                f"{name}, so that they are siblings; leave the cells of field stars empty."
            )


def group_of_stars(stated: pd.DataFrame, report: Report) -> pd.Series:
    """Return the one group of each star; report the stars in two, which have none.

    Parameters
    ----------
    stated : pandas.DataFrame
        With the columns `star`, `group` and `source`, which states it.
    report : Report

    Returns
    -------
    pandas.Series
        Names of groups, by star.
    """
    found = stated.drop_duplicates(["star", "group"])
    _note_like_empty(found, report)
    twice = found.loc[found["star"].duplicated(keep=False)]
    for star, rows in twice.groupby("star", sort=False):
        report.drop(
            str(star),
            rows["source"].iloc[0],
            "is in two groups",
            f"({', '.join(rows['group'].head(3))}); keep one of them",
        )
    return found[~found["star"].isin(set(twice["star"]))].set_index("star")["group"]
