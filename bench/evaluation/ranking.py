"""Rankings of many stars, with a progress bar and a checkpoint.

A million stars take minutes on a CPU. What is counted is stored now and then, so that the same call
continues after it was stopped.
"""

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from starbench.common.progress import bar, say
from starbench.metrics import Counting

if TYPE_CHECKING:
    from tqdm import tqdm

Ranks = TypeVar("Ranks")

SECONDS_BETWEEN_CHECKPOINTS = 30.0
_SECONDS_WITHOUT_BAR = 2.0


def ranking_device(device: str) -> str:
    """Return the device that ranks the twins of a run on some torch device.

    A CUDA device has a kernel of its own; other accelerators are slower than the CPU's.
    """
    return device if device.startswith("cuda") else "cpu"


def rank_resumably(
    ranking: Counting[Ranks], checkpoint: Path | None = None, *, quiet: bool = False
) -> Ranks:
    """Finish a ranking; an interrupted one continues from its checkpoint.

    Parameters
    ----------
    ranking : Ranking or SiblingRanking
    checkpoint : pathlib.Path, optional
        File in which the counts are kept, if the ranking takes long or is interrupted. One of other
        latents, or of another division of the work, is replaced. The caller removes it.
    quiet : bool
        Draw no progress.

    Returns
    -------
    TwinRanks or SiblingRanks
    """
    if checkpoint is not None and checkpoint.exists():
        _restore(ranking, checkpoint)
    progress: tqdm[None] = bar(
        label="rank twins",
        total=int(ranking.costs.sum()),
        initial=int(ranking.costs[: ranking.n_done].sum()),
        unit=" distances",
        unit_scale=True,
        delay=_SECONDS_WITHOUT_BAR,
        quiet=quiet,
    )
    with progress:
        while not ranking.finished:
            try:
                ranking.advance(SECONDS_BETWEEN_CHECKPOINTS, progress.update)
            except (KeyboardInterrupt, SystemExit):
                if checkpoint is not None:
                    _save(ranking, checkpoint)
                raise
            if checkpoint is not None and (checkpoint.exists() or not ranking.finished):
                _save(ranking, checkpoint)
    return ranking.ranks()


def _save(ranking: Counting[Ranks], path: Path) -> None:
    import torch  # takes seconds, and short rankings need none

    from starbench.common import checkpoint

    checkpoint.save(
        path,
        {"counts": torch.from_numpy(ranking.counts)},
        {"identity": ranking.identity, "n_done": ranking.n_done},
    )


def _restore(ranking: Counting[Ranks], path: Path) -> None:
    """Put the stored counts in place if they belong to this ranking."""
    from starbench.common import checkpoint

    try:
        tensors, metadata = checkpoint.load(path)
    except checkpoint.CheckpointError as error:
        say(f"{error}; the ranking starts again.", error=True)
        return
    if metadata["identity"] == ranking.identity:
        ranking.counts, ranking.n_done = tensors["counts"].numpy(), metadata["n_done"]
