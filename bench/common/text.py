"""Text of files and libraries, made safe to print."""

from collections.abc import Sequence

_NAMED, _LENGTH = 5, 80


def escaped(text: str) -> str:
    r"""Return a text with control and invisible characters escaped.

    Examples
    --------
    >>> escaped("\x1b[2Jx")
    '\\x1b[2Jx'
    """
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )


def one_line(text: object) -> str:
    r"""Return a text, or what an error says, with each run of whitespace as one space.

    Examples
    --------
    >>> one_line(ValueError("first line\n   second line"))
    'first line second line'
    """
    return " ".join(str(text).split())


def joined(words: Sequence[str]) -> str:
    """Return words as part of a sentence.

    Examples
    --------
    >>> joined(["one"]), joined(["one", "two"]), joined(["one", "two", "three"])
    ('one', 'one and two', 'one, two and three')
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def listed(names: Sequence[str]) -> str:
    """Return names from a file for a sentence: the first few, escaped and shortened.

    Examples
    --------
    >>> listed([f"mask{i}" for i in range(7)])
    'mask0, mask1, mask2, mask3, mask4 and 2 more'
    """
    shown = [escaped(name if len(name) <= _LENGTH else name[:_LENGTH] + "...") for name in names]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(shown[:_NAMED]) + more
