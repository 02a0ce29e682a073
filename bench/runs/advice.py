"""What to do about a survey on which a method cannot learn."""

from starbench.evaluation.views import Labels
from starbench.methods.base import Method
from starbench.tasks.base import Task
from starbench.tasks.own.hdf5 import SCALE


def pairs_advice(task: Task, scale: str, method: type[Method], train: Labels) -> str | None:
    """Return how a user's own survey gets what a method may lack there; None if it lacks nothing.

    Only the method knows whether it can do without, as one that looks for siblings itself can. So
    this adds to the sentence of a method that has refused.

    Parameters
    ----------
    task : Task
    scale : str
    method : type of Method
    train : Labels
        Of the split that it is trained on.
    """
    if scale != SCALE or not task.card.survey or task.card.has_model_pairs or method.control:
        return None
    needs = {"pairs": [train.has_siblings]}
    needs["oracle"] = [train.has_siblings, train.composition is not None]
    if all(needs.get(method.label_access, [])):
        return None
    return (
        "`starbench data import --pairs-of apogee-giants-survey` adds pairs of a model to train on"
    )
