"""How tables and sentences name methods and label accesses, as Markdown."""

from collections.abc import Sequence

from starbench.leaderboard.pages.escape import markdown
from starbench.leaderboard.statistics.aggregate import ACCESS_ORDER, Group
from starbench.results.schema import Row

MAX_LABEL = 160  # characters; a row may hold a hundred settings of three hundred characters each

_ACCESS = {
    "none": "No labels",
    "nuisance": "Nuisance labels",
    "pairs": "Pairs: which spectra are twins",
    "oracle": "Oracle: composition, or the generator",
}
ACCESS_TITLES = {access: _ACCESS[access] for access in ACCESS_ORDER}


def method_name(group: Group, others: Sequence[Group]) -> str:
    """Return the name of a group's method, distinct from other groups of the same label."""
    label = _cut(group.label)
    text = markdown(label)
    if label != group.label or any(
        other is not group and other.label == group.label for other in others
    ):
        row = group.row
        text += f" v{row.method_version} `{row.settings_digest[:8]}`"
    return text + (" *(control)*" if group.row.control else "")


def remarks(row: Row) -> list[str]:
    """Return what is to be known of a row besides its figures, as phrases without markup."""
    said = row.declared
    phrases = [
        f"{what} {text}"
        for what, text in (
            ("outside data:", said.outside_data),
            ("pretraining:", said.pretraining),
            ("code:", said.code),
        )
        if text is not None
    ]
    if row.looks_before:
        other = "other setting" if row.looks_before == 1 else "other settings"
        phrases.append(f"scored after {row.looks_before} {other} on this test split")
    return phrases


def _cut(label: str) -> str:
    return label if len(label) <= MAX_LABEL else label[: MAX_LABEL - 4] + " ..."
