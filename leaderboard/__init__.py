"""The leaderboard: rows, their checks, and what is generated from them."""

from starbench.leaderboard.board import Entry, add, find_directory, load
from starbench.leaderboard.compare import Comparison
from starbench.leaderboard.judgement import Judgement, judge
from starbench.leaderboard.render import build, differing, leaderboard_page, readme_part
from starbench.leaderboard.terminal import table_for_run
from starbench.leaderboard.verdict import Verdict

__all__ = [
    "Comparison",
    "Entry",
    "Judgement",
    "Verdict",
    "add",
    "build",
    "differing",
    "find_directory",
    "judge",
    "leaderboard_page",
    "load",
    "readme_part",
    "table_for_run",
]
