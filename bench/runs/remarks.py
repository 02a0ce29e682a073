"""Remarks on how a fit ended: what a reader of its row should know before trusting the figures."""

from collections.abc import Mapping

_ABOVE_CHANCE = 1.001  # an epoch's mean cross-entropy is known to some 0.0005 of chance
_FAR_BELOW_CHANCE = 0.9


def remark(epoch: Mapping[str, float]) -> str | None:
    """Say of the scored epoch if the adversary did not end a little below chance.

    An adversary that reads nothing ends at chance or, as it learns some stars by heart, a little
    below it. Above chance it is being fooled: the encoder moves faster than the adversary can
    follow, and another adversary would read the nuisance (methods/TUNING.md has a run in which
    that cost nine points).

    Parameters
    ----------
    epoch : mapping
        A row of the history.

    Returns
    -------
    str or None
        None where there is no adversary, or nothing to remark.
    """
    value, chance = epoch.get("adversary_cross_entropy"), epoch.get("chance_cross_entropy")
    if value is None or not chance:
        return None
    ends = f"the adversary's cross-entropy ends at {value:.3f}, chance is {chance:.3f}"
    if value > _ABOVE_CHANCE * chance:
        return f"{ends}: it is fooled, and says nothing of what the latent leaks"
    if value < _FAR_BELOW_CHANCE * chance:
        return f"{ends}: it still reads the nuisance from the latent"
    return None
