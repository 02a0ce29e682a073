"""The plan of an import: which spectra, with which labels, groups and splits."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from starbench.tasks.card import SPLITS
from starbench.tasks.errors import DataError
from starbench.tasks.survey.choices import Choices
from starbench.tasks.survey.groups import group_of_stars, read_groups
from starbench.tasks.survey.labels import DEFAULT_NUISANCES, ERROR, NUISANCE, RATIO, of_stars
from starbench.tasks.survey.report import Report
from starbench.tasks.survey.spectra import COMBINED, Source
from starbench.tasks.survey.splits import DEFAULT_SHARES, FEWEST, assign
from starbench.tasks.survey.tables import read_table

SPARE_ADVICE = "(--spectra all imports it)"


@dataclass(frozen=True)
class Plan:
    """All spectra to import, known before any is read.

    Attributes
    ----------
    table : pandas.DataFrame
        The catalogues one after the other, with the columns `source_number` and `row`, `split` and
        `group_number`.
    nuisances, elements : tuple of str
    with_errors : bool
        Whether the nuisances of all stars have errors.
    offered : tuple of int
        Number of spectra that each source offers.
    splits_stated : bool
        Whether the files state the splits, which are kept.
    spare : pandas.DataFrame
        As `table`, whose index it continues: a combined spectrum of each star with visits, if there
        is one, which is imported if none of the visits can be used.
    """

    table: pd.DataFrame
    nuisances: tuple[str, ...]
    elements: tuple[str, ...]
    with_errors: bool
    offered: tuple[int, ...]
    splits_stated: bool
    spare: pd.DataFrame

    @cached_property
    def spectra(self) -> pd.DataFrame:
        """The table and the spare spectra."""
        return self.table if self.spare.empty else pd.concat([self.table, self.spare])

    @classmethod
    def of(cls, sources: Sequence[Source], choices: Choices, report: Report) -> "Plan":
        """Read the catalogues of all sources and the tables of groups and labels.

        Raises
        ------
        DataError
            If no spectra are left, or a table cannot be used.
        """
        named = next((source.nuisances for source in sources if source.nuisances), None)
        nuisances = choices.nuisances or named or DEFAULT_NUISANCES
        if twice := [name for name in set(nuisances) if nuisances.count(name) > 1]:
            raise DataError(f"--nuisance {min(twice)} is given twice; give it once.")
        catalogues = []
        for number, source in enumerate(sources):
            catalogue = source.catalogue(nuisances)
            if choices.spectra == "combined" and not source.states_combined:
                _require_one_each(catalogue, source.name)
            catalogues.append(catalogue.assign(source_number=number, row=np.arange(len(catalogue))))
        table = pd.concat(catalogues, ignore_index=True)
        if table.empty:
            report.check(0, 0)
            raise DataError(f"{sources[0].name} holds no spectra; give files of spectra of stars.")
        if "replaced" not in table:
            table["replaced"] = ""
        table["replaced"] = table["replaced"].fillna("")
        table["flagged"] = table["flagged"].isin([True]) if "flagged" in table else False
        for name in nuisances:
            if NUISANCE + name not in table:
                table[NUISANCE + name] = np.nan
        if choices.labels is not None:
            _relabel(table, choices.labels, nuisances, report)
        table = _usable(table, nuisances, report)
        table = _grouped(table, choices.groups, report)
        report.read = summary(table, nuisances)
        stated = choices.shares is None and "split" in table and set(table["split"]) <= set(SPLITS)
        table, spare = _split(table, choices.shares, report, stated)
        columns = [column for column in map(str, table.columns) if column.startswith(RATIO)]
        elements = [column for column in columns if table[column].notna().all()]
        if len(elements) < len(columns):
            lacking = [column.removeprefix(RATIO) for column in columns if column not in elements]
            report.note(
                f"Abundance ratios that some star lacks are left out: {', '.join(lacking)}."
            )
        errors = [ERROR + name for name in nuisances]
        known = set(errors) <= set(table)
        with_errors = known and bool(table[errors].notna().all(axis=None))
        if known and not with_errors and table[errors].notna().any(axis=None):
            n_lacking = table.loc[table[errors].isna().any(axis=1), "star"].nunique()
            report.note(f"Errors of labels are left out, since {n_lacking} stars lack them.")
        return cls(
            table,
            tuple(nuisances),
            tuple(column.removeprefix(RATIO) for column in elements),
            with_errors,
            tuple(len(catalogue) for catalogue in catalogues),
            stated,
            _complete(spare, elements + (errors if with_errors else [])),
        )


def summary(table: pd.DataFrame, nuisances: Sequence[str]) -> pd.DataFrame:
    """Return what a report says of each spectrum, so far as it is known before it is read."""
    columns = {name: name for name in ("identifier", "star", "group", "split", "source")}
    columns |= {"snr": "", "snr_stated": "snr", "masked": "", "velocity": "velocity"}
    columns |= {name: NUISANCE + name for name in nuisances} | {"labels_of": "labels_of"}
    found = table.reindex(columns=list(columns.values()))
    return found.set_axis(list(columns), axis=1).reset_index(drop=True)


def _complete(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    return table[table[columns].notna().all(axis=1)] if columns else table


def _require_one_each(catalogue: pd.DataFrame, name: str) -> None:
    """Refuse several spectra of a star where none is known to be the combined one."""
    again = catalogue["star"].duplicated() if len(catalogue) else pd.Series(dtype=bool)
    if again.any():
        raise DataError(
            f"{name} has several spectra of {catalogue.loc[again, 'star'].iloc[0]}, and does not "
            "say which is combined, as files of APOGEE do; leave one of each star in it, or omit "
            "--spectra combined."
        )


def _relabel(table: pd.DataFrame, path: Path, nuisances: tuple[str, ...], report: Report) -> None:
    """Put the labels of a table in place of those of the files, in place."""
    place = f"--labels {path}"
    labels = of_stars(read_table(path, "--labels"), nuisances, place)
    known = table["star"].isin(labels.index)
    if not known.any():
        sentence = (
            f"{place} has all nuisances of none of the stars; identify stars as the spectra do, "
            f"such as {table['star'].iloc[0]}."
        )
        raise DataError(report.explained(sentence))
    for column in labels.columns:
        table[column] = np.where(
            known, table["star"].map(labels[column]), table.get(column, np.nan)
        )
    for name in nuisances:  # the errors of other labels
        if ERROR + name in table and ERROR + name not in labels:
            table.loc[known, ERROR + name] = np.nan
    table.loc[known, "labels_of"] = path.name
    table.loc[known, "flagged"] = False


def _usable(table: pd.DataFrame, nuisances: tuple[str, ...], report: Report) -> pd.DataFrame:
    """Leave out, and report, what has no labels or occurs twice."""
    again = table["identifier"].duplicated()
    lacking = table[[NUISANCE + name for name in nuisances]].isna()
    unlabelled = lacking.any(axis=1) & ~again & (table["replaced"] == "")
    for row in table[again].itertuples():
        report.drop(
            row.identifier,
            row.source,
            "was imported from another file",
            "; give each once",
            is_bad=False,
        )
    for index, row in zip(table.index[unlabelled], table[unlabelled].itertuples(), strict=True):
        names = [name for name in nuisances if lacking.loc[index, NUISANCE + name]]
        report.drop(row.identifier, row.source, "has no label", f"{names[0]}; add it with --labels")
    return table[~again & ~lacking.any(axis=1)].reset_index(drop=True)


def _grouped(table: pd.DataFrame, path: Path | None, report: Report) -> pd.DataFrame:
    """Add the columns `group`, of names, and `group_number`."""
    n_dropped = len(report.dropped)
    declared = pd.Series(pd.NA, table.index, object)
    if "group" in table:  # one spectrum that states the group of its star is enough
        declared = table["star"].map(group_of_stars(table[table["group"].notna()], report))
    if path is not None and len(table):
        declared = table["star"].map(read_groups(path, table["star"], report)).fillna(declared)
    left = ~table["star"].isin({each.identifier for each in report.dropped[n_dropped:]})
    table, declared = table[left].reset_index(drop=True), declared[left].reset_index(drop=True)
    # A star without a group is its own, also where a group has the same name.
    taken = set(declared.dropna())
    own = table["star"].map(lambda star: _free_name(star, taken))
    table["group"] = declared.fillna(own)
    table["group_number"] = pd.factorize(table["group"])[0]
    return table


def _free_name(star: str, taken: set[str]) -> str:
    while star in taken:
        star = f"star {star}"
    return star


def _check_splits(table: pd.DataFrame) -> None:
    """Refuse stated splits that part siblings: a method would learn from stars of the test."""
    for column, what in (("star", "star"), ("group", "group")):
        parted = table.groupby(column)["split"].nunique()
        if (parted > 1).any():
            name = parted.index[parted > 1][0]
            splits = " and ".join(sorted(table.loc[table[column] == name, "split"].unique()))
            raise DataError(
                f"The files state that {what} {name} is in {splits}; correct them, or give "
                "--split, which shares out the stars anew."
            )


def _split(
    table: pd.DataFrame, shares: tuple[float, float, float] | None, report: Report, stated: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Choose the splits, leave out what others replace, and return it and what is spare."""
    chosen = table["replaced"] == ""
    if stated:
        table = table[chosen].reset_index(drop=True)
        _check_splits(table)
        return table, table.iloc[:0]
    groups = table["group"].copy()
    counts = groups[chosen].value_counts()
    if len(counts) == sum(FEWEST) - 1 and (counts > 1).any():
        spare = table.index[~chosen & (groups.map(counts) == 1)]
        if len(spare):
            star, source = table.loc[spare[0], ["star", "source"]]
            chosen.loc[spare[0]] = True
            groups.loc[spare[0]] = f"{star} once more"
            report.note(
                f"There are only {len(counts)} groups and field stars: the second spectrum of "
                f"{star}, from {source}, counts as a field star, and what is chosen by validation "
                "means little."
            )
    is_spare = ~chosen & (table["replaced"] == COMBINED)
    is_spare &= ~table["star"].where(is_spare).duplicated() & table["star"].isin(
        table.loc[chosen, "star"]
    )
    for row in table[~chosen & ~is_spare].itertuples():
        report.drop(row.identifier, row.source, str(row.replaced), SPARE_ADVICE, is_bad=False)
    others = table.loc[is_spare]
    table = table[chosen].reset_index(drop=True)
    if len(table):
        try:
            table["split"] = assign(list(groups[chosen]), shares or DEFAULT_SHARES)
        except DataError as error:
            raise DataError(report.explained(str(error))) from error
        split_of = table.drop_duplicates("star").set_index("star")["split"]
        others = others.assign(split=others["star"].map(split_of))
    return table, others.set_axis(range(len(table), len(table) + len(others)))
