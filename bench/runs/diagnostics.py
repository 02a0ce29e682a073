"""A method's diagnostics, in the progress bar, in the row and in its remark.

The harness knows no method's quantities by name; `starbench.methods.base.Diagnostic` declares them.
"""

from collections.abc import Mapping, Sequence

from starbench.methods.base import Diagnostic, SettingError
from starbench.methods.registry import get_method
from starbench.results.history import MEASURE


def declared_diagnostics(method_name: str) -> tuple[Diagnostic, ...]:
    """Return the diagnostics of a method by its name; none if the method is not installed."""
    try:
        return get_method(method_name).diagnostics
    except SettingError:
        return ()


def summary(epoch: Mapping[str, float], diagnostics: Sequence[Diagnostic]) -> str:
    """Format the values of an epoch for the progress bar: diagnostics beside their references.

    Examples
    --------
    >>> entropy = Diagnostic("entropy", "adversary", reference="chance")
    >>> summary({"epoch": 3, "entropy": 3.2, "chance": 4.6, "loss": 0.5}, [entropy])
    'adversary 3.2 of 4.6, loss 0.5'
    """
    by_name = {diagnostic.name: diagnostic for diagnostic in diagnostics}
    references = {diagnostic.reference for diagnostic in diagnostics if diagnostic.name in epoch}
    parts = []
    for name, value in epoch.items():
        if name == "epoch" or name in references:
            continue
        if name == MEASURE:
            parts.append(f"twins nearest {value:.1%}")
        elif name in by_name:
            reference = epoch.get(by_name[name].reference or "")
            against = "" if reference is None else f" of {reference:.4g}"
            parts.append(f"{by_name[name].label} {value:.4g}{against}")
        else:
            parts.append(f"{name.replace('_', ' ')} {value:.3g}")
    return ", ".join(parts)


def recorded_names(diagnostics: Sequence[Diagnostic]) -> list[str]:
    """Return the names of the diagnostics and of their references."""
    return [
        name
        for diagnostic in diagnostics
        for name in (diagnostic.name, diagnostic.reference)
        if name is not None
    ]


def recorded_diagnostics(
    epoch: Mapping[str, float], diagnostics: Sequence[Diagnostic]
) -> dict[str, float]:
    """Return the values of the diagnostics, and of their references, that an epoch reported."""
    return {name: epoch[name] for name in recorded_names(diagnostics) if name in epoch}


def remark(epoch: Mapping[str, float], diagnostics: Sequence[Diagnostic]) -> str | None:
    """Return a remark on the diagnostics that lie outside their bounds.

    Parameters
    ----------
    epoch : mapping of str to float
        What the scored epoch reported.
    diagnostics : sequence of Diagnostic
        Those that the method declares.

    Returns
    -------
    str or None
        None if all that were reported lie within their bounds.

    Examples
    --------
    >>> entropy = Diagnostic(
    ...     "entropy", "cross-entropy", reference="chance", high=1.001, above="it is fooled"
    ... )
    >>> remark({"entropy": 4.7, "chance": 4.6}, [entropy])
    'the cross-entropy ends at 4.7 (chance: 4.6): it is fooled'
    >>> remark({"entropy": 4.6, "chance": 4.6}, [entropy])
    """
    remarks = [_remark(epoch, diagnostic) for diagnostic in diagnostics]
    return "; ".join(each for each in remarks if each is not None) or None


def _remark(epoch: Mapping[str, float], diagnostic: Diagnostic) -> str | None:
    value, unit, compared = epoch.get(diagnostic.name), 1.0, ""
    if value is None:
        return None
    if diagnostic.reference is not None:
        unit = epoch.get(diagnostic.reference, 0.0)
        if not unit:
            return None
        compared = f" ({diagnostic.reference.replace('_', ' ')}: {unit:.4g})"
    ends = f"the {diagnostic.label} ends at {value:.4g}{compared}"
    if diagnostic.high is not None and value > diagnostic.high * unit:
        return f"{ends}: {diagnostic.above}"
    if diagnostic.low is not None and value < diagnostic.low * unit:
        return f"{ends}: {diagnostic.below}"
    return None
