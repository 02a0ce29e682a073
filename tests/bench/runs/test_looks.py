"""Rows say how often the test split was looked at, and what their author says of them."""

from support.toy_task import ToyTask

from starbench.methods.registry import get_method
from starbench.results.schema import read_row
from starbench.runs import looks, runner
from starbench.runs.origin import Declared


def test_other_settings_of_a_method_are_counted(tmp_path, linear):
    def row(seed=0, **settings):
        return runner.run(
            task, linear, linear.Hyperparameters(epochs=2, **settings), seed=seed, scale="tiny",
            device="cpu", threads=1, out=tmp_path, quiet=True,
        ).row  # fmt: skip

    task = ToyTask()
    task._cache = tmp_path / "cache"
    assert row().looks_before == 0
    assert row(seed=1).looks_before == 0  # another seed is no other setting
    assert row(latent=5).looks_before == 1
    assert row(latent=4).looks_before == 2
    assert looks.look(task, "tiny", "other", {}) == 0
    task._cache = tmp_path / "file"
    task._cache.write_text("")
    assert looks.look(task, "tiny", "other", {}) is None  # the cache takes no files


def test_a_row_holds_what_its_author_declares(tmp_path, toy_task, blind, monkeypatch):
    monkeypatch.setattr(blind, "outside_data", "APOGEE DR17", raising=False)

    def run(declared):
        outcome = runner.run(
            toy_task, blind, scale="tiny", device="cpu", threads=1, out=tmp_path, quiet=True,
            declared=declared,
        )  # fmt: skip
        assert read_row(outcome.folder.row) == outcome.row
        return outcome.row.declared.model_dump(), outcome.fresh

    said = {"outside_data": "APOGEE DR17", "pretraining": None, "code": None}
    assert run(None) == (said, True)
    said["code"] = "github.com/me/blind at 1a2b3c"
    assert run(Declared(code=said["code"])) == (said, False)  # also of a finished run
    assert run(None) == (said, False)
    assert get_method("pca").outside_data is None
