import pytest

from starbench.tasks.synthesis import engine


def test_isolated_reports_errors_crashes_and_timeouts():
    with pytest.raises(engine.EngineError, match="ZeroDivisionError"):
        engine.isolated(lambda: 1 / 0)
    with pytest.raises(engine.EngineError, match="no result within"):
        engine.isolated(__import__("time").sleep, 5, timeout=0.2)
