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
