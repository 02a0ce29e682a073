"""The errors of data that cannot be used, and of the code that makes them."""

from starbench.common.text import escaped


class DataError(ValueError):
    """User-fixable error of a task or its data: one sentence that names what to change.

    Parameters
    ----------
    sentence : str
        May quote files and libraries: what is not printable in it is escaped.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(escaped(sentence))


class TaskFault(DataError):
    """Fault of the code of a task that is not starbench's own: one sentence that names the task."""
