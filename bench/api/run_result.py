"""The result of a run, as a notebook uses it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from starbench.api.tables import metrics_frame
from starbench.common.drawing import import_matplotlib

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from starbench.results.schema import Row


@dataclass(frozen=True)
class RunResult:
    """The result of a run: its row, and its files as tables, arrays and figures.

    Attributes
    ----------
    row : Row
        The row in ``row.json``: settings, metrics, versions, hardware. Its `status`
        is ``"ok"``, ``"diverged"`` or ``"failed"``; only an ``"ok"`` run has metrics and ranks.
    folder : pathlib.Path
    fresh : bool
        False if the run had already been finished and was not repeated.
    """

    row: "Row"
    folder: Path
    fresh: bool

    def __repr__(self) -> str:
        if self.row.status == "ok":
            share = self.row.metrics["doppelganger_free"].value
            summary = f"the twin is nearest for {share:.1%} of the stars"
        else:
            summary = f"{self.row.status}: {self.row.message}"
        return (
            f"<{self.row.method} on {self.row.task}, scale {self.row.scale}, "
            f"seed {self.row.seed}: {summary}>"
        )

    @property
    def metrics(self) -> "pd.DataFrame":
        """Metrics on the test split, one per line, with the columns value, low and high.

        `low` and `high` are the ends of the 95 % interval; `starbench.metrics.METRICS` defines
        the metrics.
        """
        return metrics_frame(self.row.metrics)

    @property
    def history(self) -> "pd.DataFrame":
        """Losses and diagnostics of each epoch of the training; empty if there are no epochs."""
        import pandas as pd

        from starbench.results.history import read_history

        path = self.folder / "history.csv"
        epochs = read_history(path) if path.exists() else []
        return pd.DataFrame(epochs).set_index("epoch") if epochs else pd.DataFrame()

    @property
    def ranks(self) -> npt.NDArray[np.int64]:
        """Rank of every test star's twin [n_pairs, 2]; 1 if the twin is nearest.

        In a survey [n_ordered], of each ordered pair of siblings.
        """
        from starbench.results.ranks import read_ranks

        return read_ranks(self.folder / "ranks.h5").rank

    def swap_figure(self) -> "Figure":
        """Draw a test star: true, reconstructed, and decoded from its twin's latent.

        It is the star of median swapped error; residuals are drawn below. A notebook shows the
        figure after ``%matplotlib inline``.

        Raises
        ------
        ValueError
            If the method has no decoder.
        """
        import_matplotlib()
        from starbench.results.example import read_example
        from starbench.runs.plots import figure_spectra

        path, row = self.folder / "example.h5", self.row
        if not path.exists():
            raise ValueError(f"{row.method} has no decoder, so there is no spectrum to draw")
        title = f"{row.method} on {row.task}, scale {row.scale}, seed {row.seed}"
        return figure_spectra(read_example(path), title)
