"""Histories survive writing and reading, and damaged ones are refused."""

import pytest

from starbench.results.history import read_history, write_history
from starbench.results.text import RowError


def test_a_history_survives_writing_and_reading(tmp_path):
    history = [{"epoch": 1, "loss": 0.1}, {"epoch": 2, "loss": 1e-300, "any name, even this": 2.5}]
    write_history(tmp_path / "history.csv", history)
    again = read_history(tmp_path / "history.csv")
    assert again == history
    assert isinstance(again[0]["epoch"], int)


def test_a_history_without_epochs_is_empty(tmp_path):
    write_history(tmp_path / "history.csv", [])
    assert read_history(tmp_path / "history.csv") == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"loss,epoch\n1,2\n", "first column should be `epoch`"),
        (b"epoch,loss,loss\n1,2,3\n", "no name should occur twice"),
        (b"epoch,loss\n1,nan\n", "line 2, `loss` should be a finite number"),
        (b"epoch,loss\n1,many\n", "line 2, `loss` should be a finite number"),
        (b"epoch,loss\n1.5,1\n", "line 2, `epoch` should be a finite number"),
        (b"epoch,loss\n,1\n", "line 2, `epoch` should be a finite number"),
        (b"epoch,loss\n1\n", "line 2 has 1 fields, but the header has 2"),
        (b"epoch,loss\n2,1\n1,1\n", "should increase"),
        (b'epoch,"loss\n', "not a CSV history"),
        (b"epoch,loss\n\xff,1\n", "not a CSV history"),
    ],
)
def test_a_damaged_history_is_refused(tmp_path, content, words):
    (tmp_path / "history.csv").write_bytes(content)
    with pytest.raises(RowError, match=words):
        read_history(tmp_path / "history.csv")
