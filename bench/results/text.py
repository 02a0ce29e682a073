"""Untrusted text: checked, and escaped and shortened before it is printed."""

import re
import unicodedata
from typing import Any

from pydantic import ValidationError


class RowError(ValueError):
    """A file of a run cannot be used; the message names the file, the field and what to change."""


def require_printable(text: str) -> str:
    """Refuse control and invisible characters, which could move a cursor or reorder a line.

    Raises
    ------
    ValueError
    """
    for character in text:
        # Cc and Cf hold escape, bell, bidirectional overrides and zero-width characters.
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
            raise ValueError(f"should contain only printable characters; remove {character!a}")
    return text


def printable(text: object) -> str:
    """Return a path or another untrusted text with control characters replaced by `?`."""
    return "".join(character if character.isprintable() else "?" for character in str(text))


def shorten(text: str, length: int = 200) -> str:
    """Return a text safe to print: ASCII, one line, bounded."""
    text = ascii(text)[1:-1]
    return text if len(text) <= length else text[:length] + "..."


def json_kind(value: Any) -> str:
    """Name the JSON type of a value."""
    return {list: "list", str: "string", bool: "boolean", type(None): "null"}.get(
        type(value), "number"
    )


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build a JSON object, refusing a key given twice: an ``object_pairs_hook``.

    Raises
    ------
    ValueError

    Examples
    --------
    >>> unique_keys([("a", 1), ("a", 2)])
    Traceback (most recent call last):
        ...
    ValueError: key 'a' occurs twice; remove one
    """
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for place, (key, _) in enumerate(pairs) if key in keys[:place])
        raise ValueError(f"key {twice!a} occurs twice; remove one")
    return content


def validation_sentence(error: ValidationError, whole: str = "row") -> str:
    """Return the first error of a row, or another whole, as a sentence that names the field."""
    first = error.errors(include_url=False, include_context=False)[0]
    field = shorten(".".join(str(part) for part in first["loc"] if part != "[key]"))
    named = f"field `{field}` " if field else ""
    match first["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            return f"{named}is not a field of a {whole}; remove it or correct its spelling"
        case "missing":
            return f"{named}is missing; add it"
        case "value_error":
            return named + shorten(first["msg"].removeprefix("Value error, "), 400)
    expected = re.sub(r"^\w+ should", "should", first["msg"])  # an input, a string, a dictionary
    return f"{named}{shorten(expected)}, not {shorten(repr(first['input']), 60)}"
