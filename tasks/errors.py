"""The error of data that cannot be used."""

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
