import pydantic
import pytest

from starbench.tasks.card import Card
from starbench.tasks.registry import get_task, task_names

FIELDS = {
    "name": "my-task",
    "version": 2,
    "family": "ideal",
    "reference": "You et al. (2026)",
    "licence": "CC-BY-4.0",
    "nuisance_names": ("Teff", "logg"),
    "nuisance_units": ("K", "dex"),
    "elements": ("Fe/H",),
    "sizes": {
        "full": {"train": 30, "validation": 20, "test": 20},
        "tiny": {"train": 3, "validation": 2, "test": 2},
    },
    "changelog": {1: "first", 2: "another continuum"},
}


def test_scales_are_the_first_and_the_smallest_on_the_card():
    card = Card(**FIELDS)
    assert (card.default_scale, card.smallest_scale) == ("full", "tiny")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": "My Task"}, "String should match pattern"),
        ({"name": "../escape"}, "String should match pattern"),
        ({"version": 0}, "greater than or equal to 1"),
        ({"version": "2"}, "valid integer"),
        ({"version": 3}, "changelog must have an entry for version 3"),
        ({"reference": " "}, "String should match pattern"),
        ({"licence": ""}, "at least 1 character"),
        ({"nuisance_names": ()}, "at least 1 item"),
        ({"nuisance_names": tuple("abcdef"), "nuisance_units": ("K",) * 6}, "at most 5 items"),
        ({"nuisance_units": ("K",)}, "one unit for each of nuisance_names"),
        ({"nuisance_names": ("Teff", "Teff")}, "nuisance_names must not name a column twice"),
        ({"elements": ("Fe/H", "Fe/H")}, "elements must not name a column twice"),
        ({"sizes": {}}, "at least 1 item"),
        ({"sizes": {"huge": FIELDS["sizes"]["full"]}}, "'full', 'mini', 'tiny' or 'own'"),
        (
            {"sizes": {"full": {"train": 3, "test": 2}}},
            "must have the keys train, validation, test",
        ),
        ({"sizes": {"full": {"train": 3, "validation": 0, "test": 2}}}, "greater than or equal"),
        ({"snr": 0.0}, "greater than 0"),
        ({"medium": "water"}, "'vacuum', 'air' or 'unknown'"),
        ({"colour": "red"}, "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_field_is_refused(changes, sentence):
    with pytest.raises(pydantic.ValidationError, match=sentence):
        Card(**{**FIELDS, **changes})


def test_a_card_cannot_be_changed():
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        Card(**FIELDS).version = 3


def test_a_derived_card_names_its_base_and_is_validated():
    derived = Card(**FIELDS).derive(name="my-task-snr50", family="noise", snr=50.0)
    assert (derived.base, derived.snr, derived.elements) == ("my-task", 50.0, ("Fe/H",))
    with pytest.raises(pydantic.ValidationError, match="greater than 0"):
        derived.derive(snr=-1.0)


def test_order_puts_a_task_before_its_noise_tracks_by_decreasing_snr():
    cards = [get_task(name).card for name in task_names()]
    assert sorted(cards, key=lambda card: card.order) == cards
    assert [card.family for card in cards][:6] == ["ideal", *["noise"] * 3, *["crowding"] * 2]
    assert {card.base for card in cards} == {None, "apogee-giants"}


def test_stars_without_twins_are_at_each_scale_or_at_none():
    card = get_task("apogee-giants-branch").card
    assert card.has_stars
    assert not get_task("apogee-giants").card.has_stars
    sizes = {scale: dict(splits) for scale, splits in card.sizes.items()}
    del sizes["tiny"]["stars"]
    with pytest.raises(pydantic.ValidationError, match="must have stars at each scale or at none"):
        card.derive(sizes=sizes)


def test_fields_of_unseen_parameters_and_label_errors_must_fit():
    card = get_task("apogee-giants-labels").card
    with pytest.raises(pydantic.ValidationError, match="unseen_units must have one unit for each"):
        card.derive(unseen_units=("K",))
    with pytest.raises(
        pydantic.ValidationError, match="nuisance_covariance must have 2 rows of 2 numbers"
    ):
        card.derive(nuisance_covariance=((1.0,),))


def test_a_survey_holds_stars_in_every_split():
    card = Card(**FIELDS, survey=True)
    assert [card.spectra_each(split) for split in card.sizes["full"]] == [1, 1, 1]
    assert Card(**FIELDS).spectra_each("train") == 2
    branch = get_task("apogee-giants-branch").card
    assert (branch.spectra_each("train"), branch.spectra_each("stars")) == (2, 1)
    with pytest.raises(pydantic.ValidationError, match="sizes of a survey must not have stars"):
        branch.derive(survey=True)


def test_pairs_of_a_model_belong_to_a_survey():
    card = get_task("apogee-giants-survey").card
    assert card.has_model_pairs
    assert [card.spectra_each(split) for split in ("train", "test", "pairs")] == [1, 1, 2]
    with pytest.raises(pydantic.ValidationError, match="only a survey trains on other pairs"):
        card.derive(survey=False)
