"""The help texts of all commands, and what starting the program imports."""

import shlex
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from starbench.cli.main import main


def walk(command, path=()):
    """Yield every command with the words that name it."""
    yield path, command
    for name, each in getattr(command, "commands", {}).items():
        yield from walk(each, (*path, name))


COMMANDS = dict(walk(main))
every_command = pytest.mark.parametrize("path", COMMANDS, ids=" ".join)


@every_command
def test_help_fits_80_columns_and_ends_in_an_example(path):
    result = CliRunner().invoke(main, [*path, "--help"], terminal_width=80)
    assert result.exit_code == 0
    body, example = result.output.split("\nExample:\n")
    assert max(map(len, result.output.splitlines())) <= 80
    assert "..." not in body.partition("Commands:")[2]  # no summary is truncated
    assert f"starbench {path[0] if path else ''}".strip() in example


@every_command
def test_the_example_of_a_command_is_valid(path, tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()  # which examples name
    monkeypatch.chdir(tmp_path)
    for line in COMMANDS[path].example.replace("\\\n", " ").splitlines():
        program, *words = shlex.split(line)
        assert program == "starbench"
        command, context = main, click.Context(main)
        while isinstance(command, click.Group):
            name, *words = words
            command = command.get_command(context, name)
        assert command.make_context(command.name, words) is not None


@every_command
def test_options_of_one_name_look_alike(path):
    """Every value has a metavar or choices, and every help text is a sentence."""
    for parameter in COMMANDS[path].params:
        if isinstance(parameter, click.Option) and not parameter.is_flag:
            assert parameter.metavar or isinstance(parameter.type, click.Choice), parameter.name
        if isinstance(parameter, click.Option) and parameter.name != "help":
            assert parameter.help[0].isupper() or parameter.help.startswith(("auto", "hdf5"))
            assert parameter.help.endswith("."), parameter.help


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("run --method pca --out ''", "--out is empty; give it a value, or leave it out."),
        ("run --method ''", "--method is empty; give it a value."),
        ("sweep --method pca --method ''", "--method is empty; give it a value, or leave it out."),
        ("leaderboard add ''", "RUN... is empty; give it a value."),
        ("tune --method pca --trials 9999999999", "9999999999 is not in the range"),
    ],
)
def test_an_empty_value_is_not_taken_for_the_default(words, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, shlex.split(words))
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert not list(tmp_path.iterdir())


def test_help_says_how_to_turn_on_shell_completion():
    assert "_STARBENCH_COMPLETE=bash_source" in CliRunner().invoke(main, ["--help"]).output


def test_the_version_is_printed():
    assert CliRunner().invoke(main, ["--version"]).output.startswith("starbench, version 0.")


def test_starting_the_program_imports_nothing_heavy():
    heavy = {"torch", "numba", "numpy", "h5py", "pandas", "pydantic", "matplotlib", "tqdm"}
    script = f"import sys, starbench.cli.main; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert found.stdout.strip() == "[]"
