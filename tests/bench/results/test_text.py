"""Untrusted text: what is refused, and what a terminal gets to see."""

import pytest

from starbench.results.text import printable, require_printable, shorten


@pytest.mark.parametrize("character", ["\x1b", "\n", "\t", "\u202e", "\u200b", "\u2028", "\ud800"])
def test_control_and_invisible_characters_are_refused(character):
    with pytest.raises(ValueError, match="should contain only printable characters; remove"):
        require_printable(f"a{character}b")


def test_letters_of_any_script_are_accepted():
    assert require_printable("Fader <ä> 星 & π") == "Fader <ä> 星 & π"


def test_a_printed_path_holds_no_control_characters():
    assert printable("runs/\x1b[2J/row.json") == "runs/?[2J/row.json"


def test_long_texts_are_cut():
    assert shorten("x" * 300) == "x" * 200 + "..."
    assert shorten("a\nb") == "a\\nb"
