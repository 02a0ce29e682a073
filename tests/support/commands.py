"""Commands of starbench, called in the process of the test."""

from click.testing import CliRunner

from starbench.cli.main import main


def starbench(*arguments: object) -> tuple[int, str]:
    """Return the exit code and the output of ``starbench ARGUMENTS``, which prints no traceback."""
    outcome = CliRunner().invoke(main, [*map(str, arguments)])
    assert "Traceback" not in outcome.output
    return outcome.exit_code, outcome.output


def leaderboard(*arguments: object) -> tuple[int, str]:
    """Return the exit code and the output of ``starbench leaderboard ARGUMENTS``."""
    return starbench("leaderboard", *arguments)
