"""`starbench check`: the contract on the tiny scale of the standard task."""

from pathlib import Path

from click.testing import CliRunner

from starbench.cli.main import main
from starbench.methods import example
from starbench.methods.contract import clauses
from starbench.runs.check import check

BROKEN = '''
from starbench.methods.example import MyMethod

class Cheat(MyMethod):
    """Reads what it may not see."""
    def fit(self, train, validation, monitor):
        super().fit(train, validation, monitor)
        self.axes[0] = train.composition[0, 0]
'''


def test_the_example_passes_every_clause(toy_task):
    results = dict(check(toy_task, example.MyMethod, example.Settings(latent=4)))
    assert len(results) == len(clauses()) + 1
    assert not any(results.values())


def test_the_command_says_what_to_change(tmp_path):
    path = tmp_path / "cheat.py"
    path.write_text(BROKEN)
    result = CliRunner().invoke(main, ["check", f"{path}:Cheat", "--cache", str(tmp_path)])
    assert result.exit_code == 1
    assert "MEND  fit works within label access" in result.output
    assert "breaks 1 of the contract's clauses" in result.output


def test_the_command_passes_a_method_from_a_file(tmp_path):
    source = Path(example.__file__)
    result = CliRunner().invoke(main, ["check", f"{source}:MyMethod", "--cache", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert result.output.count("pass") == len(clauses()) + 1
