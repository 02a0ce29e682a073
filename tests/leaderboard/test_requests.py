"""Pull requests with rows: one that is made, and hostile ones, of which nothing runs."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from support.commands import leaderboard
from support.rows import FakeTask, draw_ranks, row_content

from starbench.cli.leaderboard import requests as cli
from starbench.leaderboard.pages import generate, readme
from starbench.leaderboard.requests import review
from starbench.leaderboard.store import board
from starbench.leaderboard.store.rank_changes import rank_changes
from starbench.leaderboard.store.reproduce import Reproduction
from starbench.leaderboard.store.reproductions import write_reproduction
from starbench.results.ranks import read_ranks
from starbench.results.schema import read_row
from starbench.tasks import registry

NEW = "leaderboard/rows/apogee-giants-v1__theirs__seed0-"


def git(folder, *arguments, **environment):
    ended = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        capture_output=True, text=True, check=True, env={**os.environ, **environment},
    )  # fmt: skip
    return ended.stdout


@pytest.fixture(autouse=True)
def identity(monkeypatch, tmp_path):
    """Let git commit as nobody, without the settings of the machine."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "A tester")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "tester@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.setattr(registry, "get_task", lambda name: FakeTask())
    monkeypatch.setattr(cli, "installed_method", lambda name: None)


@pytest.fixture
def checkout(add, make_run, directory):
    """Return a repository whose leaderboard has a row of fader."""
    root = directory.parent
    (root / "README.md").write_text(f"# starbench\n{readme.BEGIN}\n{readme.END}\n")
    add(make_run(seed=0))
    generate.build(board.load(directory), directory)
    git(root, "init", "--quiet", "--initial-branch", "main")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "Start")
    return root


def third_party(make_run, **fields):
    code = {"sha256": "0" * 64}
    declared = {"code": "github.com/me/theirs at 1a2b3c"}
    return make_run(
        **{"method": "theirs", "nearest": 0.6, "code": code, "declared": declared}
        | {"given": {"method": "theirs.py:Theirs"}} | fields
    )  # fmt: skip


def test_a_row_is_submitted_to_a_bare_repository_and_passes_review(checkout, make_run, tmp_path):
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(checkout), str(bare))
    before = git(checkout, "rev-parse", "HEAD"), git(checkout, "status", "--porcelain")

    code, output = leaderboard("submit", third_party(make_run, declared={}), "--repository", bare)
    assert code == 2 and "give the same `starbench run` again with --code-from" in output
    code, output = leaderboard("submit", third_party(make_run, dirty=True), "--repository", bare)
    assert code == 2 and "commit the changes and run again" in output
    assert "--allow-dirty" not in output  # which is an option of `add` alone
    assert git(bare, "branch", "--list", "rows/*") == ""

    code, output = leaderboard("submit", third_party(make_run), "--repository", bare)
    assert code == 0, output
    branch = git(bare, "branch", "--list", "rows/*").strip()
    assert f"Pushed {branch} to {bare}" in output
    assert "Rows of theirs on apogee-giants" in output
    assert "starbench leaderboard reproduce leaderboard/rows/apogee-giants-v1__theirs__" in output
    assert " --method theirs.py:Theirs" in output
    assert "Also belongs to it: The code of theirs: github.com/me/theirs at 1a2b3c;" in output
    assert before == (git(checkout, "rev-parse", "HEAD"), git(checkout, "status", "--porcelain"))
    changed = git(bare, "diff", "--name-only", "main", branch).split()
    assert "leaderboard/LEADERBOARD.md" in changed and "leaderboard/leaderboard.csv" in changed
    assert [name for name in changed if name.startswith(NEW) and name.endswith(".json")]

    git(checkout, "fetch", "--quiet", str(bare), f"{branch}:refs/pull-request")
    code, output = leaderboard("review", "main", "refs/pull-request", "--repository", checkout)
    assert (code, output.partition(";")[0]) == (0, "1 row to add"), output
    code, output = leaderboard("reproduce", third_party(make_run))
    assert code == 2 and "give that file with --method. Its code: github.com/me/theirs" in output
    code, output = leaderboard("submit", third_party(make_run), "--repository", tmp_path)
    assert code == 2 and "git clone: " in output


@pytest.fixture
def bare(checkout, tmp_path):
    """Return a bare clone of the checkout, to push to."""
    git(tmp_path, "clone", "--quiet", "--bare", str(checkout), str(tmp_path / "bare.git"))
    return tmp_path / "bare.git"


def test_a_submission_that_was_stopped_can_be_repeated(checkout, bare, make_run):
    runs = [third_party(make_run), third_party(make_run, seed=1)]
    code, first = leaderboard("submit", *runs, "--repository", bare)
    assert code == 0, first
    branch = git(bare, "branch", "--list", "rows/*").strip()
    pushed = git(bare, "rev-parse", branch)
    code, again = leaderboard("submit", *runs, "--repository", bare)
    assert (code, again) == (0, first) and git(bare, "rev-parse", branch) == pushed
    code, output = leaderboard("submit", runs[0], "--repository", bare)
    assert code == 2 and f"has a branch {branch} with other files; delete it there" in output
    assert git(bare, "rev-parse", branch) == pushed


def test_the_users_settings_of_git_change_nothing(
    checkout, bare, make_run, directory, tmp_path, monkeypatch
):
    (path,) = (directory / "rows").glob("*fader*.json")
    ranks = read_ranks(board.ranks_beside(path))
    found = Reproduction([], rank_changes(ranks, ranks), [])
    write_reproduction(path, read_row(path), found)
    generate.build(board.load(directory), directory)
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message", "Reproduced")
    git(checkout, "push", "--quiet", str(bare), "main")
    (tmp_path / "ignored").write_text("*.h5\n*.csv\n")
    settings = tmp_path / "gitconfig"
    settings.write_text(
        f"[core]\nexcludesFile = {tmp_path / 'ignored'}\nautocrlf = true\n"
        "[clone]\ndefaultRemoteName = upstream\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    code, output = leaderboard("submit", third_party(make_run), "--repository", bare)
    assert code == 0, output
    branch = git(bare, "branch", "--list", "rows/*").strip()
    changed = git(bare, "diff", "--name-only", "main", branch).split()
    assert [name for name in changed if name.startswith(NEW) and name.endswith(".ranks.h5")]
    page = git(bare, "show", f"{branch}:leaderboard/LEADERBOARD.md")
    assert "| fader | reproduced |" in page


def test_the_repository_of_a_hook_is_not_touched(checkout, bare, make_run, tmp_path, monkeypatch):
    """Git names the repository of a hook or an alias in the environment of what it runs."""
    mine = tmp_path / "mine"
    git(tmp_path, "clone", "--quiet", str(checkout), str(mine))
    run = third_party(make_run)
    before = git(mine, "branch", "--all"), git(mine, "status"), git(mine, "rev-parse", "HEAD")
    with monkeypatch.context() as hook:
        hook.setenv("GIT_DIR", str(mine / ".git"))
        hook.setenv("GIT_INDEX_FILE", str(mine / ".git" / "index"))
        code, output = leaderboard("submit", run, "--repository", bare)
    assert code == 0, output
    after = git(mine, "branch", "--all"), git(mine, "status"), git(mine, "rev-parse", "HEAD")
    assert after == before and git(bare, "branch", "--list", "rows/*")


def test_commits_without_a_common_one_are_refused(checkout):
    git(checkout, "switch", "--quiet", "--orphan", "other")
    git(checkout, "commit", "--quiet", "--allow-empty", "--message", "Start again")
    git(checkout, "switch", "--quiet", "main")
    code, output = leaderboard("review", "main", "other", "--repository", checkout)
    assert code == 2 and "BASE and HEAD have no commit in common" in output


@pytest.fixture
def request_of(checkout):
    """Return a function that commits files to a branch, and reviews it from main."""

    def of(change):
        git(checkout, "switch", "--quiet", "--create", "theirs")
        change(checkout)
        git(checkout, "add", "--all")
        git(checkout, "commit", "--quiet", "--message", "Hostile")
        git(checkout, "switch", "--quiet", "main")
        return leaderboard("review", "main", "theirs", "--repository", checkout)

    return of


def new_row(root, **fields):
    """Write a row and its ranks without the checks of `add`."""
    rank, tied = draw_ranks(5, 0.6)
    content = row_content(rank, tied, **{"method": "theirs", "code": {"sha256": "0" * 64}} | fields)
    path = root / f"{NEW}00000000.json"
    path.write_text(json.dumps(content))
    board.write_ranks(board.ranks_beside(path), rank, tied)
    return path


RAN = "raise SystemExit('the code of the pull request ran')\n"


def with_code(*places):
    def change(root):
        new_row(root)
        for place in places:
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            (root / place).write_text(RAN)

    return change


def as_link(root):
    (root / f"{NEW}00000000.json").symlink_to("/etc/passwd")


def replaced(root):
    (path,) = (root / "leaderboard" / "rows").glob("*fader*.json")
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 0 '))


def removed(root):
    for path in (root / "leaderboard" / "rows").glob("*fader*"):
        path.unlink()


def huge(root):
    (root / f"{NEW}00000000.json").write_bytes(b"0" * 20_000_001)


def large(root):
    (root / f"{NEW}00000000.json").write_bytes(b" " * 1_000_001)


def executable(root):
    new_row(root).chmod(0o755)


def with_record(root):
    path = new_row(root)
    kept = root / "leaderboard" / "reproductions" / path.name
    kept.parent.mkdir()
    kept.write_text("{}")


def trace_of_a_rival(root):
    new_row(root)
    (path,) = (root / "leaderboard" / "rows").glob("*fader*.json")
    (path.parent / f"{path.stem}.history.csv").write_text("epoch\n")


def fresh_ranks_alone(root):
    (path,) = (root / "leaderboard" / "rows").glob("*fader*.json")
    (root / "leaderboard" / "confirmations").mkdir()
    (root / "leaderboard" / "confirmations" / f"{path.stem}.ranks.h5").write_bytes(b"junk")


def pages_alone(root):
    new_row(root)
    path = root / "leaderboard" / "LEADERBOARD.md"
    path.write_text(path.read_text().replace("fader", "theirs"))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (with_code("leaderboard/rows/evil.py"), "rows/evil.py: a pull request with rows holds"),
        (with_code("leaderboard/store/checks.py"), "store/checks.py: a pull request with rows"),
        (with_code("conftest.py", "sitecustomize.py", "setup.py"), "conftest.py: a pull request"),
        (with_code(".github/workflows/rows.yml"), "workflows/rows.yml: a pull request with rows"),
        (with_code("leaderboard/rows/a/b.json"), "rows/a/b.json: a pull request with rows holds"),
        (as_link, "not a plain file (mode 120000); add the file itself"),
        (executable, "not a plain file (mode 100755)"),
        (replaced, "replaces a file of another's row; rows are never edited"),
        (removed, "removed; rows and pages stay"),
        (huge, "has 20,000,001 bytes; a file may have 20,000,000"),
        (large, "has 1,000,001 bytes; a row may have at most 1,000,000"),
        (with_record, "a record of a check comes from somebody else than the row"),
        (trace_of_a_rival, ".history.csv: lies beside no row or record of this pull request"),
        (fresh_ranks_alone, ".ranks.h5: lies beside no row or record of this pull request"),
        (lambda root: new_row(root, dirty=True), "field `dirty` is true"),
        (lambda root: new_row(root, task_version=0), "field `task_version` is 0, but"),
        (lambda root: new_row(root, task="../../etc"), "field `task`"),
        (lambda root: new_row(root, seed=7), "the file of this row must be named"),
        (pages_alone, "the file of this row must be named"),
    ],
)  # fmt: skip
def test_a_hostile_pull_request_is_refused_and_nothing_of_it_runs(request_of, change, sentence):
    code, output = request_of(change)
    assert code == 1 and sentence in " ".join(output.split()), output
    assert "the code of the pull request ran" not in output


def test_paths_that_lead_elsewhere_are_refused(checkout):
    """Git's own commands do not make such a tree, but it may be pushed."""
    blob = git(checkout, "hash-object", "-w", "README.md").strip()

    def tree(text):
        made = subprocess.run(
            ["git", "-C", str(checkout), "mktree", "--missing"],
            input=text, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return made.stdout.strip()

    for name in ("..", "-x"):
        inner = tree(f"100644 blob {blob}\t{name}.json\n")
        rows = tree(f"040000 tree {inner}\trows\n")
        root = tree(f"040000 tree {rows}\tleaderboard\n")
        commit = git(checkout, "commit-tree", root, "-p", "HEAD", "-m", "x").strip()
        code, output = leaderboard("review", "main", commit, "--repository", checkout)
        assert code == 1 and f"{name}.json: a pull request with rows holds only" in output


def test_many_large_files_are_refused_before_they_are_read(request_of, monkeypatch):
    monkeypatch.setattr(review, "_MAX_TOTAL", 100)
    code, output = request_of(new_row)
    assert code == 1 and "bytes in all; split the pull request, as one may have 100" in output


def test_a_record_of_a_check_comes_alone(request_of):
    def change(root):
        (path,) = (root / "leaderboard" / "rows").glob("*fader*.json")
        ranks = read_ranks(board.ranks_beside(path))
        found = Reproduction([], rank_changes(ranks, ranks), [])
        write_reproduction(path, read_row(path), found, by="a reviewer")
        generate.build(board.load(root / "leaderboard"), root / "leaderboard")
        assert "| fader | reproduced |" in (root / "leaderboard" / "LEADERBOARD.md").read_text()

    code, output = request_of(change)
    assert code == 0 and output.startswith("0 rows to add"), output


def test_pages_that_stay_need_not_be_given_and_a_replaced_record_is_flagged(request_of, checkout):
    (path,) = (checkout / "leaderboard" / "rows").glob("*fader*.json")
    ranks = read_ranks(board.ranks_beside(path))
    found = Reproduction([], rank_changes(ranks, ranks), [])
    write_reproduction(path, read_row(path), found, by="a reviewer")
    generate.build(board.load(checkout / "leaderboard"), checkout / "leaderboard")
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message", "Reproduced")

    def change(root):
        write_reproduction(path, read_row(path), found, by="another")

    code, output = request_of(change)
    assert code == 0, output
    assert "replaces a record that somebody else may have made" in " ".join(output.split())


def test_a_row_that_the_leaderboard_has_is_not_submitted(checkout, tmp_path):
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(checkout), str(bare))
    (path,) = (checkout / "leaderboard" / "rows").glob("*fader*.json")
    code, output = leaderboard("submit", path, "--repository", bare)
    assert code == 2 and "rows are never edited, so leave it out" in " ".join(output.split())


def test_code_without_rows_is_not_this_commands_matter(request_of):
    code, output = request_of(lambda root: (root / "conftest.py").write_text(RAN))
    assert code == 0 and output.startswith("0 rows to add")


def test_the_workflow_runs_nothing_of_the_pull_request():
    text = (Path(__file__).parents[2] / ".github" / "workflows" / "rows.yml").read_text()
    assert "pull_request_target" in text and "persist-credentials: false" in text
    assert "ref: ${{ github.event.pull_request.base.sha }}" in text
    permissions = text.partition("permissions:\n")[2].partition("concurrency")[0]
    assert permissions == "  contents: read\n"
    assert "secrets" not in text.replace("no secret is", "")
    assert ".head." not in text  # neither its commit nor anything that its author chose
