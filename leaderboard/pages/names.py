"""What tables and sentences call a method, as Markdown, and the order in which tasks stand."""

from collections.abc import Sequence

from starbench.leaderboard.pages.escape import markdown
from starbench.leaderboard.statistics.aggregate import Group

MAX_LABEL = 160  # characters; a row may hold a hundred settings of three hundred characters each


def method_name(group: Group, others: Sequence[Group]) -> str:
    """Return the name of a group's method, with what tells it from others of the same label."""
    label = _cut(group.label)
    text = markdown(label)
    if label != group.label or any(
        other is not group and other.label == group.label for other in others
    ):
        row = group.row
        text += f" v{row.method_version} `{row.settings_digest[:8]}`"
    return text + (" *(control)*" if group.row.control else "")


def _cut(label: str) -> str:
    return label if len(label) <= MAX_LABEL else label[: MAX_LABEL - 4] + " ..."


def task_order(task: str) -> tuple[str, int, str]:
    """Sort a task before its noise tracks, and those from little noise to much."""
    name, _, snr = task.partition("-snr")
    return name, -int(snr) if snr.isdigit() else -(10**9), task
