"""Types of the fields of rows and of other records, checked without conversion."""

from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, Field

from starbench.common.settings import MAX_INT
from starbench.results.reported import LARGEST
from starbench.results.text import require_printable


def _setting(value: Any) -> Any:
    """Refuse a hyperparameter that is not a finite, bounded JSON value or a list of numbers."""
    if isinstance(value, list):
        if len(value) > 256:
            raise ValueError("should be a list of at most 256 numbers")
        for item in value:
            if isinstance(item, bool) or not isinstance(item, int | float):
                raise ValueError("should be a list of numbers only")
            _setting(item)
    elif isinstance(value, str):
        if len(value) > 300:
            raise ValueError("should be at most 300 characters long")
        require_printable(value)
    elif isinstance(value, float):
        if not np.isfinite(value):
            raise ValueError("should be finite")
    elif isinstance(value, int):  # bool is a subclass
        if abs(value) >= MAX_INT:
            raise ValueError("should be an integer of at most 63 bits")
    elif value is not None:
        raise ValueError("should be true, false, a number, a string, a list of numbers, or null")
    return value


def _no_parent(text: str) -> str:
    """Refuse `..`, as names become parts of file names."""
    if ".." in text:
        raise ValueError("should not contain `..`")
    return text


def _bounded(value: float) -> float:
    """Refuse numbers whose squares or sums would overflow in aggregates of rows."""
    if not abs(value) <= LARGEST:
        raise ValueError(f"should lie between -1e150 and 1e150, not be {value:g}")
    return value


METHOD_NAME = r"^[a-z0-9][a-z0-9-]{0,63}(\.[a-z0-9][a-z0-9-]{0,63})?$"
MethodName = Annotated[str, Field(pattern=METHOD_NAME)]
TaskName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"), AfterValidator(_no_parent)
]
Label = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(require_printable)]
Key = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(require_printable)]
Place = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(require_printable)]
Setting = Annotated[Any, AfterValidator(_setting)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, lt=MAX_INT)]
Amount = Annotated[float, Field(ge=0, le=1e15)]
Number = Annotated[float, AfterValidator(_bounded)]
