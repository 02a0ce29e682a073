"""What a task raises when the data it is given cannot be used."""


class DataError(ValueError):
    """Data that cannot be used: one sentence that names the file, the field and what to change."""
