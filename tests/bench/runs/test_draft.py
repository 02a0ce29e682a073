"""Drafts of rows: the digest that names a run's folder, and what several processes leave."""

import dataclasses

import pytest

from starbench.common.provenance import current_provenance
from starbench.common.settings import SettingError
from starbench.metrics import Estimate
from starbench.runs.draft import Identity, Result, RowDraft, Subject, Worker, parts_message

SUBJECT = Subject(
    method="fader",
    method_version=1,
    label_access="nuisance",
    hyperparameters={
        "latent": 20, "widths": (64, 32), "rate": 1e-3, "mixed": None, "flag": True, "name": "silu",
    },
    task="apogee-giants",
    task_version=1,
    scale="tiny",
    data_fingerprint="abc123-tiny",
    seed=3,
)  # fmt: skip
IDENTITY = Identity(SUBJECT, method_class="Fader", device_type="cpu", source_sha256=None)


@pytest.fixture
def draft():
    return RowDraft(SUBJECT, "A reference", "last epoch", current_provenance("cpu", 1))


def test_the_digest_of_an_identity_never_changes():
    # Else the folders of finished runs would no longer be found.
    assert IDENTITY.digest == "6637591226"


@pytest.mark.parametrize(
    "change",
    [
        {"device_type": "cuda"},
        {"source_sha256": "0" * 64},
        {"task_sha256": "0" * 64},
        {"subject": dataclasses.replace(SUBJECT, seed=4)},
        {"subject": dataclasses.replace(SUBJECT, hyperparameters={"latent": 21})},
        {"subject": dataclasses.replace(SUBJECT, data_fingerprint="abc124-tiny")},
    ],
)
def test_whatever_changes_a_result_changes_the_digest(change):
    assert dataclasses.replace(IDENTITY, **change).digest != IDENTITY.digest


def test_a_draft_and_a_result_make_a_row(draft):
    shares = dict.fromkeys(
        ("doppelganger_free", "doppelganger_0.1", "doppelganger_1"), Estimate(0.5, 0.4, 0.6, 1)
    )
    result = Result(
        "ok", metrics=shares, diagnostics={"spread": 0.5}, ranks_sha256="0" * 64, epoch=4, epochs=5
    )
    row = draft.row(result, "row")
    assert (row.method, row.seed, row.hyperparameters["widths"]) == ("fader", 3, [64, 32])
    assert row.selection.rule == "last epoch" and row.selection.epoch == 4
    assert row.metrics["doppelganger_1"].value == 0.5
    assert row.diagnostics == {"spread": 0.5}
    assert row.hardware.threads == 1


def test_what_does_not_fit_into_a_row_is_refused_before_the_run(draft):
    draft.check("The method")
    with pytest.raises(SettingError, match=r"The method: field `reference` .*\.$"):
        dataclasses.replace(draft, reference="").check("The method")


def test_several_processes_are_named_in_the_message(draft):
    first, second = Worker("a" * 40, False, 1), Worker("b" * 40, True, 2)
    assert parts_message([first, second], None) == (
        "made in parts: aaaaaaaaaa on 1 thread, then bbbbbbbbbb (changed) on 2 threads"
    )
    assert parts_message([first, second], "a remark").startswith("a remark; made in parts: ")
    assert draft.made_in_parts([first, second]).provenance.dirty is True
    assert draft.made_in_parts([first, Worker("a" * 40, False, 2)]) == draft
