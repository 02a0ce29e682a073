"""A user whose fresh environment holds a package made as a README says."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path


class OutsideUser:
    """Installs a package that registers `source` under a group of entry points, and runs commands.

    Parameters
    ----------
    home : pathlib.Path
        An empty folder, in which commands run.
    readme : pathlib.Path
        Holds the package's pyproject.toml as its one block of TOML.
    group : str
        Group of the entry point in that block.
    source : pathlib.Path
        The module that the package holds.
    """

    def __init__(self, home: Path, readme: Path, group: str, source: Path):
        self.home = home
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", home / "venv"], check=True)
        self._python = home / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        # The packages of the environment that runs the tests serve this one too: no network.
        (site,) = (home / "venv").rglob("site-packages")
        paths = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
        lines = [f"import site; site.addsitedir({path!r})\n" for path in paths]
        (site / "of-the-tests.pth").write_text("".join(lines))

        (project,) = re.findall(r"```toml\n(.*?)```", readme.read_text(), re.DOTALL)
        (target,) = tomllib.loads(project)["project"]["entry-points"][group].values()
        module = home / "my-package" / f"{target.split(':')[0].replace('.', '/')}.py"
        module.parent.mkdir(parents=True)
        shutil.copy(source, module)
        (home / "my-package" / "pyproject.toml").write_text(project)
        self.run("pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation",
                 "-e", "my-package")  # fmt: skip

    def run(self, *command):
        """Run a Python module as a command, which must succeed; return all that it prints."""
        environment = {**os.environ, "STARBENCH_CACHE": str(self.home / "cache")}
        environment |= {"MPLBACKEND": "agg"}
        environment.pop("PYTHONPATH", None)
        done = subprocess.run(
            [self._python, "-m", *map(str, command)],
            cwd=self.home, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr
