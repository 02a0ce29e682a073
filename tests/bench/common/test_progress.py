"""Tests of what progress draws on a terminal, in a log, and when nothing should be drawn."""

import io
from types import SimpleNamespace

import pytest
from support.waiting import wait_until

from starbench.common import progress
from starbench.common.progress import bar, say, shown, stage


class Screen(io.StringIO):
    """Standard error that may be a terminal."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def _standard_error(monkeypatch, screen):
    # Not sys.stderr itself, which pytest sets again after the fixtures.
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=screen))
    return screen


@pytest.fixture
def terminal(monkeypatch):
    return _standard_error(monkeypatch, Screen(terminal=True))


@pytest.fixture
def log(monkeypatch):
    return _standard_error(monkeypatch, Screen(terminal=False))


def test_a_stage_is_drawn_only_inside_shown(terminal):
    assert list(stage("outside", range(3), delay=0)) == [0, 1, 2]
    with shown(quiet=True):
        assert list(stage("quiet", range(3), delay=0)) == [0, 1, 2]
    assert terminal.getvalue() == ""
    with shown(quiet=False):
        assert list(stage("inside", range(3), delay=0)) == [0, 1, 2]
    assert "inside:   0%" in terminal.getvalue()


def test_quiet_holds_inside_a_block_that_is_shown(terminal):
    with shown(quiet=False), shown(quiet=True), stage("inner", delay=0):
        pass
    assert terminal.getvalue() == ""


def test_a_short_stage_is_not_drawn(terminal):
    with shown(quiet=False):
        with stage("import"):
            pass
        assert sum(stage("steps", range(10))) == 45
    assert terminal.getvalue().strip() == ""


def test_a_stage_leaves_no_trace_on_the_terminal(terminal):
    with shown(quiet=False), stage("decompose", delay=0):
        pass
    assert terminal.getvalue().rpartition("decompose [00:00]")[2].strip() == ""


def test_an_error_leaves_no_stage_on_the_screen(terminal):
    with pytest.raises(RuntimeError) as caught, shown(quiet=False):
        for _ in stage("epoch", range(3), delay=0):
            raise RuntimeError
    assert progress._open == []
    assert terminal.getvalue().endswith("\r") and caught.tb  # the loop is still alive
    assert terminal.getvalue().splitlines()[-1].strip() == ""


def test_the_clock_of_the_newest_bar_runs_while_nothing_advances(terminal, monkeypatch):
    monkeypatch.setattr(progress, "_TICK", 0.01)
    with shown(quiet=False), bar(label="outer", total=2, quiet=False), stage("inner", delay=0):
        drawn = terminal.getvalue().count("outer")
        assert wait_until(lambda: terminal.getvalue().count("inner [00:00]") >= 3)
        assert terminal.getvalue().count("outer") == drawn


def test_the_clock_goes_back_to_the_outer_bar(terminal, monkeypatch):
    monkeypatch.setattr(progress, "_TICK", 0.01)
    with shown(quiet=False), bar(label="outer", total=2, quiet=False):
        with stage("inner", delay=0):
            pass
        drawn = terminal.getvalue().count("outer")
        assert wait_until(lambda: terminal.getvalue().count("outer") >= drawn + 3)


def test_a_log_gets_the_last_state_of_a_bar_as_a_line(log):
    with bar(label="fit", total=30, quiet=False) as fit:
        for _ in range(30):
            fit.update()
        fit.set_postfix_str("loss 0.5")
    assert log.getvalue() == "fit: 100% 30/30 [00:00<00:00, loss 0.5]\n"


def test_a_log_gets_a_line_now_and_then(log, monkeypatch):
    monkeypatch.setattr(progress, "_TICK", 0.005)
    monkeypatch.setattr(progress, "_BETWEEN_LINES", 0.02)
    with shown(quiet=False), bar(label="fit", total=2, quiet=False) as fit:
        fit.update()
        with stage("epoch 2", delay=0):
            assert wait_until(lambda: log.getvalue().count("epoch 2") >= 2)
    lines = log.getvalue().splitlines()
    assert "epoch 2 [00:00]" in lines
    assert lines[-1].startswith("fit:  50% 1/2 [00:00<")
    assert not {"\r", "\x1b"} & set(log.getvalue())


def test_a_short_stage_leaves_no_line_in_a_log(log):
    with shown(quiet=False), stage("import", delay=0):
        pass
    assert log.getvalue() == ""


def test_a_quiet_bar_needs_no_standard_error(monkeypatch):
    _standard_error(monkeypatch, None)
    assert list(bar(range(3), label="quiet", quiet=True)) == [0, 1, 2]


def test_a_message_comes_between_the_states_of_a_bar(terminal):
    with bar(label="fit", total=2, quiet=False) as fit:
        fit.update()
        say("stopped", error=True)
    lines = [line.rpartition("\r")[2] for line in terminal.getvalue().splitlines()]
    assert "stopped" in lines
