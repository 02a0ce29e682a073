"""Names of the files and folders of a leaderboard.

A row is ``rows/<name>.json``. Beside it lie files of the same name with another ending, and in the
folders of records files of the same name. In the folder of a run the row is ``row.json``, and the
files beside it are called by their endings alone, such as ``ranks.h5``.
"""

from pathlib import Path

ROWS = "rows"
REPRODUCTIONS = "reproductions"
CONFIRMATIONS = "confirmations"
FOLDERS = (ROWS, REPRODUCTIONS, CONFIRMATIONS)

JSON = ".json"
RANKS = ".ranks.h5"
EXAMPLE = ".example.h5"
HISTORY = ".history.csv"
ENDINGS = {
    ROWS: (JSON, RANKS, EXAMPLE, HISTORY),
    REPRODUCTIONS: (JSON,),
    CONFIRMATIONS: (JSON, RANKS),
}

ROW_OF_RUN = "row.json"


def beside(path: Path, ending: str) -> Path:
    """Return the file of another ending beside a row or a record.

    Examples
    --------
    >>> beside(Path("rows/a.json"), RANKS).name, beside(Path("run/row.json"), RANKS).name
    ('a.ranks.h5', 'ranks.h5')
    """
    if path.name == ROW_OF_RUN:
        return path.with_name(ending.removeprefix("."))
    return path.with_name(path.name.removesuffix(JSON) + ending)


def record_beside(row: Path, kind: str) -> Path:
    """Return the path of a row's record of a kind, such as ``confirmation``."""
    if row.name == ROW_OF_RUN:
        return row.with_name(f"{kind}{JSON}")
    return row.parent.with_name(f"{kind}s") / row.name


def main_file(file: Path) -> Path:
    """Return the row or record that a file of the leaderboard lies beside, or is.

    Examples
    --------
    >>> main_file(Path("rows/a.history.csv")).name
    'a.json'
    """
    for ending in ENDINGS.get(file.parent.name, ()):
        if file.name.endswith(ending):
            return file.with_name(file.name.removesuffix(ending) + JSON)
    return file.with_name(file.name + JSON)
