"""The error of data that cannot be used."""


class DataError(ValueError):
    """User-fixable error of a task or its data: one sentence that names what to change."""
