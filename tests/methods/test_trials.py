"""The trials kept in methods/trials follow from their ranges, and the choices from the trials."""

import json
from pathlib import Path

import pytest

from starbench.methods.registry import get_method
from starbench.tuning.choice import choose
from starbench.tuning.design import planned_settings
from starbench.tuning.trial import Trial

FILES = sorted((Path(__file__).parents[2] / "methods" / "trials").glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_trials_are_those_of_the_ranges_and_the_choice_follows_from_them(path: Path) -> None:
    study = json.loads(path.read_text())
    method = get_method(path.stem)
    assert (study["method"], study["label_access"]) == (method.name, method.label_access)
    assert len(study["trials"]) >= 2, "one track alone"
    trials = [[Trial(**each) for each in of_task] for of_task in study["trials"].values()]
    first, *others = ([each.settings for each in of_task] for of_task in trials)
    assert len(first) >= 8 and all(settings == first for settings in others)
    if study["version"] == method.version:  # later ones may have other ranges
        assert first == planned_settings(method, len(first))
    choice = choose(method, list(zip(*trials, strict=True)))
    assert choice.by_twins == study["choice"]["by_twins"]
    assert choice.without_twins == study["choice"]["without_twins"]
    assert list(choice.twin_shares) == pytest.approx(study["choice"]["twin_shares"])


def test_there_are_trials() -> None:
    assert FILES
