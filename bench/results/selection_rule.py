"""The rules by which the epoch of a fit is chosen, as rows state them."""

SELECTION_PAIRS = 2500
_OF_PAIRS = f"first {SELECTION_PAIRS:,} validation pairs"
_OF_SIBLINGS = f"sibling groups among {2 * SELECTION_PAIRS:,} validation stars at most"
_RULE = (
    "latest epoch within one standard error of the highest doppelganger-free share of the "
    "{measured_on}, measured {when} and at the end"
)
_WHEN = "some fifteen times over the fit"

SELECTION_RULE = _RULE.format(measured_on=_OF_PAIRS, when=_WHEN)
SURVEY_RULE = _RULE.format(measured_on=_OF_SIBLINGS, when=_WHEN)
WITHOUT_EPOCHS = _RULE.format(measured_on=_OF_PAIRS, when="some seven times in the second half")
"""Stands in the digest of settings for the rule of a method without epochs, to which no rule
applies: that of the first rows, so that their names stay."""


def as_setting(rule: str) -> str:
    """Return a rule as a setting of a method: that of a survey is the rule of pairs.

    What the share is measured on follows from the data, so that a method has the same settings on
    both.

    Examples
    --------
    >>> as_setting(SURVEY_RULE) == as_setting(SELECTION_RULE) == SELECTION_RULE
    True
    """
    return rule.replace(_OF_SIBLINGS, _OF_PAIRS)
