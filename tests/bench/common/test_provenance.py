"""What a row says of the code that made it."""

import os
import subprocess

from starbench.common import provenance


def committed(folder, message):
    """Make a repository of one commit, and return its SHA."""
    folder.mkdir()
    for arguments in (
        ("init", "--quiet"),
        ("-c", "user.name=A tester", "-c", "user.email=tester@example.org",
         "commit", "--quiet", "--allow-empty", "--message", message),
        ("rev-parse", "HEAD"),
    ):  # fmt: skip
        ended = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True, text=True, check=True,
            env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull},
        )  # fmt: skip
    return ended.stdout.strip()


def test_the_commit_is_that_of_the_code_also_within_a_hook_of_another_repository(
    tmp_path, monkeypatch
):
    of_code, other = (committed(tmp_path / name, name) for name in ("code", "other"))
    assert of_code != other
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    assert provenance.checkout(tmp_path / "code") == (of_code, False)


def test_rows_tables_and_texts_are_no_code(tmp_path):
    code = tmp_path / "code"
    committed(code, "code")

    def git(*arguments):
        subprocess.run(["git", "-C", str(code), *arguments], check=True, capture_output=True)

    for name in (
        "leaderboard/rows/a.json", "leaderboard/rows/a.ranks.h5", "leaderboard/suite.csv",
        "leaderboard/confirmations/a.json", "leaderboard/LEADERBOARD.md", "methods/TUNING.md",
        "README.md", "docs/figures/a.png",
    ):  # fmt: skip
        (code / name).parent.mkdir(parents=True, exist_ok=True)
        (code / name).write_text("new")
        git("add", name)
    assert provenance.checkout(code)[1] is False
    for name in ("leaderboard/store/rows.py", "tasks/emulator.h5", "methods/fader.py"):
        (code / name).parent.mkdir(parents=True, exist_ok=True)
        (code / name).write_text("new")
        git("add", name)
        assert provenance.checkout(code)[1] is True
        git("rm", "--cached", "--force", name)
        assert provenance.checkout(code)[1] is False
