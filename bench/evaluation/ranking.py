"""Rankings of many stars, with a progress bar and a checkpoint.

A million stars take minutes on a CPU. What is counted is stored now and then, so that the same call
continues after it was stopped.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

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
        File in which the counts are kept, if the ranking takes long or is interrupted. Any other
        file there is replaced, such as one of other latents, or of another division of the work:
        see `require_replaceable`. The caller removes it.
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


def require_replaceable(path: Path) -> None:
    """Check that a file may be replaced by the checkpoint of a ranking, and removed.

    Parameters
    ----------
    path : pathlib.Path
        Named by a user.

    Raises
    ------
    CheckpointError
        Unless it does not exist, or is the checkpoint of a ranking, of whatever latents.
    """
    if not os.path.lexists(path):
        return
    from starbench.common import checkpoint

    advice = "give a file that does not exist, or the checkpoint of a ranking"
    if not path.is_file():
        raise checkpoint.CheckpointError(f"checkpoint {path} is not a file; {advice}")
    try:
        metadata = checkpoint.load(path)[1]
    except checkpoint.CheckpointError:
        metadata = {}
    if not _is_of_ranking(metadata):
        raise checkpoint.CheckpointError(f"{path} is not the checkpoint of a ranking; {advice}")


def _is_of_ranking(metadata: Mapping[str, Any]) -> bool:
    return metadata.keys() == {"identity", "n_done"}


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
    if _is_of_ranking(metadata) and metadata["identity"] == ranking.identity:
        ranking.counts, ranking.n_done = tensors["counts"].numpy(), metadata["n_done"]
