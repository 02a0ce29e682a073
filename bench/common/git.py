"""The environment in which git runs as a program."""

import os

# Set while git runs a hook or an alias: they name a repository, whatever `git -C` says.
_OF_A_REPOSITORY = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)


def git_environment() -> dict[str, str]:
    """Return the environment of this process, in which no variable names a repository."""
    return {name: value for name, value in os.environ.items() if name not in _OF_A_REPOSITORY}
