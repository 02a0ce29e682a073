"""Records beside a row, of a second run or of fresh stars: where they lie, what they share.

A row of ``rows/`` has them in ``reproductions/<row>.json`` and ``confirmations/<row>.json``; the
row in a run's folder has ``reproduction.json`` and ``confirmation.json`` there.
"""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field

from starbench.leaderboard.store.names import record_beside
from starbench.results.fields import Key, Label, Sha256
from starbench.results.schema import Hardware, Part, read_part
from starbench.results.text import RowError


def _a_time(text: str) -> str:
    """Refuse a date or time that does not exist."""
    datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return text


class Record(Part):
    """Who checked a row, when, and with what.

    Attributes
    ----------
    row_sha256 : str
        Of the bytes of the row's file.
    made_at : str
        Date and time, UTC.
    by : str or None
        Who made it.
    starbench_version, commit, dirty, libraries, environment_sha256, hardware
        Of the checking run, as in `starbench.results.schema.Row`.
    conditions : list of str
        What differs from the row's run and may change the rounding of sums.
    """

    row_sha256: Sha256
    made_at: Annotated[
        str, Field(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$"), AfterValidator(_a_time)
    ]
    by: Label | None = None
    starbench_version: Annotated[str, Field(pattern=r"^[0-9A-Za-z.+!_-]{1,64}$")]
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    dirty: bool | None = None
    libraries: Annotated[dict[Key, Label], Field(max_length=100)]
    environment_sha256: Sha256 | None = None
    hardware: Hardware
    conditions: Annotated[list[Label], Field(max_length=100)]


def require_label(option: str, text: str | None) -> None:
    """Refuse what a record cannot hold, before anything is computed.

    Parameters
    ----------
    option : str
        Option of the command that gave the text.
    text : str or None

    Raises
    ------
    RowError
    """
    if text is not None and not (1 <= len(text) <= 300 and text.isprintable()):
        raise RowError(f"{option} should be 1 to 300 printable characters")


RecordOf = TypeVar("RecordOf", bound=Record)


def read_record(record: type[RecordOf], row: Path, kind: str) -> RecordOf | None:
    """Read a row's record of a kind; None if there is none.

    Raises
    ------
    RowError
        With one sentence that names the file and what is wrong.
    """
    path = record_beside(row, kind)
    if not (path.exists() or path.is_symlink()):  # a link that leads nowhere is refused when read
        return None
    return read_part(record, path, kind)


def row_digest(row: Path) -> str:
    """Return the SHA-256 of a row's file, which ties a record to it."""
    return hashlib.sha256(row.read_bytes()).hexdigest()
