"""`starbench methods`, `tasks` and `check`."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from click.testing import CliRunner

from starbench.cli.main import main
from starbench.common import plugins


def invoke(*arguments):
    return CliRunner().invoke(main, [str(each) for each in arguments])


def test_methods_are_listed():
    listed = invoke("methods")
    assert listed.exit_code == 0
    for word in ("fader", "conditional-autoencoder", "nuisance", "de Mijolla"):
        assert word in listed.output


def test_a_method_is_described_with_ranges_and_choices():
    described = invoke("methods", "fader").output
    words = " ".join(described.split())
    assert "adversary_weight 0.3 weight w of the adversary's" in words
    for allowed in ("(at least 1)", "(selu, silu, relu, gelu)", "(1 to 1024)", "(True or False)"):
        assert allowed in words
    assert "(at least 0.0; tuned within 0.03 to 3.0)" in words
    assert "--preset published" in described
    assert invoke("methods", "fadr").exit_code == 2


@pytest.mark.parametrize("names", [[], ["fader"], ["information-bound"], ["infogan"]], ids=str)
def test_methods_fit_a_terminal_of_80_columns(names):
    assert max(map(len, invoke("methods", *names).output.splitlines())) <= 80


def test_tasks_are_listed():
    listed = invoke("tasks")
    assert "apogee-giants-snr50" in listed.output and "12,500" in listed.output
    assert max(map(len, listed.output.splitlines())) <= 80


@pytest.mark.parametrize(
    ("command", "known", "taken"),
    [("tasks", "apogee-giants-snr30", "apogee-giants"), ("methods", "fader", "pca")],
)
def test_a_broken_package_hides_no_other(command, known, taken, monkeypatch):
    points = [
        EntryPoint("their-own", "no_such_module:Thing", f"starbench.{command}"),
        EntryPoint(taken, "no_such_module:Thing", f"starbench.{command}"),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: points)
    listed = invoke(command)
    assert listed.exit_code == 0 and known in listed.stdout
    broken, shadowed = listed.stderr.splitlines()
    assert "'their-own' of a package without a name cannot be loaded: Module" in broken
    assert f"'{taken}', which is the name of one of starbench's own" in shadowed


def test_a_task_is_described_by_its_card():
    described = invoke("tasks", "apogee-giants-snr50").output
    for words in (
        "SNR 50 per pixel",
        "apogee-giants",
        "7,214, 15",
        "mini: 2,500 / 1,250 / 1,250",
    ):
        assert words in described
    assert invoke("tasks", "apogee-gaints").exit_code == 2


def test_check_examines_the_contract_of_a_task():
    path = Path(__file__).parents[3] / "tasks" / "example.py"
    result = invoke("check", "--task", f"{path}:MyTask")
    assert result.exit_code == 0, result.output
    assert result.output.count("pass  ") > 3 and "meets the contract." in result.output


def test_check_of_a_task_takes_no_hyperparameters():
    result = invoke("check", "--task", "apogee-giants", "--set", "latent=3")
    assert result.exit_code == 2
    assert "--set is for METHOD; leave it out with --task." in result.stderr


@pytest.mark.parametrize("arguments", [(), ("pca", "--task", "apogee-giants")])
def test_check_takes_either_a_method_or_a_task(arguments):
    result = invoke("check", *arguments)
    assert result.exit_code == 2 and "Give either METHOD or --task." in result.stderr
