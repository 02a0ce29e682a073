"""Build wheels from the files of the checkout alone; all settings are in pyproject.toml.

setuptools also packages files that an earlier build left in build/lib, such as modules and rows
that were since renamed or removed.
"""

import shutil

from setuptools import setup
from setuptools.command.build import build


class CleanBuild(build):
    """Removes the folder of an earlier build first."""

    def run(self) -> None:
        """Build."""
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


setup(cmdclass={"build": CleanBuild})
