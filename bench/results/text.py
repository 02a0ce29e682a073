"""Text from untrusted files: checked, escaped and shortened before it is shown."""

import unicodedata
from typing import Any

from pydantic import ValidationError


class RowError(ValueError):
    """A row or ranks file that cannot be used: one sentence naming file, field and cure."""


def require_printable(text: str) -> str:
    """Refuse what could move a cursor, reorder a line or hide: control and invisible characters."""
    for character in text:
        # Cc and Cf hold escape, bell, bidirectional overrides and zero-width characters.
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
            raise ValueError(
                f"should hold require_printable characters only, without {character!a}; remove it"
            )
    return text


def printable(text: object) -> str:
    """Return a path or another foreign text with what a terminal would obey replaced by `?`."""
    return "".join(character if character.isprintable() else "?" for character in str(text))


def shorten(text: str, length: int = 200) -> str:
    """Return a text safe to print: ASCII, one line, bounded."""
    text = ascii(text)[1:-1]
    return text if len(text) <= length else text[:length] + "..."


def json_kind(value: Any) -> str:
    """Name the JSON type of a value."""
    return {list: "list", str: "text", bool: "truth value", type(None): "null"}.get(
        type(value), "number"
    )


def validation_sentence(error: ValidationError) -> str:
    """Say the first thing that is wrong with a row: the field, what it should be, what it is."""
    first = error.errors(include_url=False, include_context=False)[0]
    field = shorten(".".join(str(part) for part in first["loc"] if part != "[key]"))
    named = f"field `{field}` " if field else ""
    match first["type"]:
        case "extra_forbidden":
            return f"{named}is not a field of a row; remove it or mend its spelling"
        case "missing":
            return f"{named}is missing; add it"
        case "value_error":
            return named + shorten(first["msg"].removeprefix("Value error, "), 400)
    wish = first["msg"].replace("Input should", "should", 1)
    return f"{named}{shorten(wish)}, not {shorten(repr(first['input']), 60)}"
