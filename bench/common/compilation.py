"""Compiling functions with numba, with a cache on disk that may be missing or damaged.

Importing numba takes half a second: import this module only where something is computed.
"""

# Numba's caches are not annotated.
# mypy: disable-error-code="no-untyped-call"

from collections.abc import Callable
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

import numba
from numba.core import types
from numba.core.caching import FunctionCache
from numba.extending import intrinsic

P = ParamSpec("P")
R = TypeVar("R")


class _OptionalCache(FunctionCache):
    """A cache of machine code whose faults cost a compilation and nothing else.

    Numba itself raises whatever `pickle` or the disk raises, in the middle of a ranking.
    """

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(signature, target_context)
        except Exception:  # damage makes pickle raise anything
            with suppress(Exception):
                self.flush()  # so that the next process finds a cache again
            return None

    def save_overload(self, signature: Any, data: Any) -> None:
        with suppress(Exception):
            super().save_overload(signature, data)


def _widest_vectors(_: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # The base class's `add`, as llvmlite's own knows only some of LLVM's attributes.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.none(), generate


# The stub of numba does not say that compiled functions give no typing context.
with_widest_vectors: Callable[[], None] = intrinsic(_widest_vectors)  # type: ignore[assignment]
"""Let the compiler use the widest vectors of the processor in the function that calls this.

LLVM leaves half the width of AVX-512 unused, as processors before 2019 slowed down by it.
"""


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function when it is called first, and keep the machine code on disk if possible."""
    dispatcher: Callable[P, R] = numba.njit(nogil=True)(function)
    with suppress(RuntimeError):  # neither the package's folder nor the user's cache is writable
        dispatcher._cache = _OptionalCache(function)  # type: ignore[attr-defined]  # as njit does
    return dispatcher
