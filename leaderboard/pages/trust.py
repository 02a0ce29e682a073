"""What a confirmation found, as text for the terminal."""

from tabulate import tabulate

from starbench.leaderboard.statistics.columns import signed_points
from starbench.leaderboard.store.confirmations import Confirmation
from starbench.metrics import SHARES, metric
from starbench.results.schema import Row
from starbench.results.text import printable


def confirmation_text(row: Row, confirmation: Confirmation) -> str:
    """Return the shares of the row and of the fresh stars, and whether the row is confirmed."""
    lines = []
    for name in SHARES:
        apart = confirmation.differences[name]
        lines.append(
            [
                metric(name).label,
                f"{100 * row.metrics[name].value:.2f}",
                f"{100 * confirmation.metrics[name].value:.2f}",
                signed_points(apart.value),
                f"{signed_points(apart.low)} to {signed_points(apart.high)}",
            ]
        )
    table = tabulate(
        lines,
        headers=["% of stars", "row", "fresh", "difference", "95 % interval"],
        colalign=["left", "right", "right", "right", "left"],
        disable_numparse=True,
    )
    said = f"Fresh stars of {confirmation.task} from the beacon {printable(confirmation.beacon)}."
    verdict = "Confirmed." if confirmation.confirmed else "Not confirmed."
    differing = "\n".join(f"Differs from the row's run: {each}" for each in confirmation.conditions)
    return "\n\n".join(part for part in (said, table, differing, verdict) if part)
