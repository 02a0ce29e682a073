"""The generated files: LEADERBOARD.md, suite.csv, leaderboard.csv and the README's table.

They depend on the rows alone, neither on date and machine nor on the order of files.
"""

from collections.abc import Sequence
from pathlib import Path

from starbench.common.files import atomic_path
from starbench.leaderboard.pages.leaderboard_page import CSV, leaderboard_page
from starbench.leaderboard.pages.readme import readme_part, with_table
from starbench.leaderboard.pages.rows_csv import rows_csv, suite_csv
from starbench.leaderboard.statistics.aggregate import sections
from starbench.leaderboard.statistics.judgement import judge
from starbench.leaderboard.statistics.suite import score_suite
from starbench.leaderboard.store.board import Entry
from starbench.results.text import printable
from starbench.tasks.suites import get_suite

PAGE = "LEADERBOARD.md"
SUITE_CSV = "suite.csv"
FILES = (PAGE, CSV, SUITE_CSV)  # of the leaderboard's folder


def pages(entries: Sequence[Entry], directory: Path) -> dict[Path, str]:
    """Return the contents of LEADERBOARD.md, the CSVs, and the README if the checkout has one."""
    all_sections = sections(entries)
    judged = judge(all_sections)
    scores = score_suite(get_suite(), all_sections)
    contents = {
        directory / PAGE: leaderboard_page(entries, judged, scores, all_sections),
        directory / SUITE_CSV: suite_csv(scores),
        directory / CSV: rows_csv(all_sections, judged),
    }
    readme = directory.parent / "README.md"
    if readme.is_file():
        text = readme.read_text(encoding="utf-8")
        contents[readme] = with_table(text, readme_part(scores), printable(readme))
    return contents


def build(entries: Sequence[Entry], directory: Path) -> list[Path]:
    """Write the generated files that are out of date, and return them."""
    outdated = differing(entries, directory)
    for path, text in outdated.items():
        with atomic_path(path) as temporary:
            temporary.write_bytes(text.encode())
    return list(outdated)


def differing(entries: Sequence[Entry], directory: Path) -> dict[Path, str]:
    """Return the contents of the generated files that are missing or out of date."""
    return {
        path: text
        for path, text in pages(entries, Path(directory)).items()
        if not path.is_file() or path.read_bytes() != text.encode()
    }
