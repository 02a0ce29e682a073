"""Find methods by name, in packages or in a file, and build their hyperparameters."""

import ast
import dataclasses
import difflib
import inspect
import re
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from starbench.common.plugins import Plugins, in_one_line
from starbench.common.settings import MAX_INT, split_settings
from starbench.methods.base import LABEL_ACCESS, Diagnostic, Method, OracleControl, SettingError
from starbench.results.fields import METHOD_NAME
from starbench.results.text import shorten
from starbench.tasks.base import Task

# Where the class of each name is defined; as text, so that listing the names imports nothing.
BUILT_IN = {
    "ada-gvae": "starbench.methods.ada_gvae:AdaGvae",
    "autoencoder": "starbench.methods.autoencoder:PlainAutoencoder",
    "beta-vae": "starbench.methods.beta_vae:BetaVae",
    "cannon": "starbench.methods.cannon:Cannon",
    "club": "starbench.methods.club:Club",
    "composition": "starbench.methods.controls.composition:Composition",
    "conditional-autoencoder": "starbench.methods.conditional_autoencoder:ConditionalAutoencoder",
    "conditional-flow": "starbench.methods.conditional_flow:ConditionalFlow",
    "conditional-vae": "starbench.methods.conditional_vae:ConditionalVae",
    "conditional-whitening": "starbench.methods.conditional_whitening:ConditionalWhitening",
    "constant-latent": "starbench.methods.controls.trivial:ConstantLatent",
    "contrastive": "starbench.methods.contrastive:Contrastive",
    "dann": "starbench.methods.dann:Dann",
    "factor-vae": "starbench.methods.factor_vae:FactorVae",
    "factordis": "starbench.methods.factordis:FactorDis",
    "fader": "starbench.methods.fader:Fader",
    "found-twins": "starbench.methods.found_twins:FoundTwins",
    "gandalf": "starbench.methods.gandalf:Gandalf",
    "hsic": "starbench.methods.hsic:Hsic",
    "information-bound": "starbench.methods.controls.information_bound:InformationBound",
    "infogan": "starbench.methods.infogan:InfoGan",
    "invariant-vib": "starbench.methods.invariant_vib:InvariantVib",
    "ivae": "starbench.methods.ivae:IdentifiableVae",
    "label-regression": "starbench.methods.label_regression:LabelRegression",
    "linear-erasure": "starbench.methods.linear_erasure:LinearErasure",
    "mmd": "starbench.methods.mmd:Mmd",
    "nuisance-latent": "starbench.methods.controls.trivial:NuisanceLatent",
    "payne": "starbench.methods.payne:Payne",
    "pca": "starbench.methods.pca:PrincipalComponents",
    "polynomial-residual": "starbench.methods.polynomial_residual:PolynomialResidual",
    "random-latent": "starbench.methods.controls.trivial:RandomLatent",
    "raw-flux": "starbench.methods.controls.trivial:RawFlux",
    "rsca": "starbench.methods.rsca:RelevantScaledComponents",
    "swap-consistency": "starbench.methods.swap_consistency:SwapConsistency",
    "twin-by-order": "starbench.methods.controls.trivial:TwinByOrder",
    "vicreg": "starbench.methods.vicreg:VicReg",
}
ENTRY_POINT_GROUP = "starbench.methods"


PLUGINS = Plugins("method", BUILT_IN, ENTRY_POINT_GROUP, SettingError)


def method_names() -> tuple[str, ...]:
    """Return the names of all methods: the built-in ones and those of installed packages."""
    return tuple(sorted(PLUGINS.names()))


def get_method(spec: str | type[Method]) -> type[Method]:
    """Find a method by its name, or in a file as ``my_method.py:MyMethod``; check a class.

    Raises
    ------
    SettingError
        If there is no such method, or the object of that name is not a method.
    """
    if isinstance(spec, type):
        return _checked(spec, spec.__qualname__)
    if not isinstance(spec, str):
        raise SettingError(f"method is {spec!r}; give a name, 'PATH.py:CLASS' or a class.")
    method = _checked(PLUGINS.load(spec), spec)
    if ".py:" not in spec and spec != method.name:
        raise SettingError(f"The method registered as {spec} has name {method.name}; rename one.")
    return method


def _checked(candidate: Any, spec: str) -> type[Method]:
    if not (isinstance(candidate, type) and issubclass(candidate, Method)):
        raise SettingError(f"{spec} is not a subclass of starbench.methods.base.Method.")
    for attribute in ("name", "label_access", "reference", "Hyperparameters"):
        if not hasattr(candidate, attribute):
            raise SettingError(f"{spec} does not set the class attribute '{attribute}'.")
    if not isinstance(candidate.name, str) or not re.fullmatch(METHOD_NAME, candidate.name):
        raise SettingError(
            f"The class attribute 'name' of {spec} is {candidate.name!a}; "
            "give it lower-case words joined by hyphens."
        )
    built_in = BUILT_IN.get(candidate.name)
    if built_in is not None and built_in != f"{candidate.__module__}:{candidate.__qualname__}":
        raise SettingError(
            f"{spec} has the name of starbench's own method {candidate.name}; give it another."
        )
    if type(candidate.version) is not int or candidate.version < 1:
        raise SettingError(f"The class attribute 'version' of {spec} must be a positive integer.")
    if not isinstance(candidate.reference, str) or not candidate.reference.strip():
        raise SettingError(f"The class attribute 'reference' of {spec} must be a non-empty string.")
    if not (
        isinstance(candidate.Hyperparameters, type)
        and _all_have_defaults(candidate.Hyperparameters)
    ):
        raise SettingError(
            f"Hyperparameters of {spec} must be a dataclass whose fields all have defaults."
        )
    _check_hyperparameters(candidate, spec)
    if candidate.label_access not in LABEL_ACCESS:
        raise SettingError(f"label_access of {spec} must be one of {', '.join(LABEL_ACCESS)}.")
    diagnostics = candidate.diagnostics
    if not (
        isinstance(diagnostics, tuple | list)
        and all(isinstance(diagnostic, Diagnostic) for diagnostic in diagnostics)
    ):
        raise SettingError(
            f"The class attribute 'diagnostics' of {spec} must be a tuple of "
            "starbench.methods.base.Diagnostic."
        )
    if type(candidate.takes_errors) is not bool:
        raise SettingError(f"The class attribute 'takes_errors' of {spec} must be True or False.")
    encode = candidate.encode_stars if issubclass(candidate, OracleControl) else candidate.encode
    if candidate.takes_errors and "error" not in inspect.signature(encode).parameters:
        raise SettingError(
            f"{spec} takes errors, but its {encode.__name__} has no argument 'error'; add it."
        )
    if issubclass(candidate, OracleControl) and not (
        candidate.control and candidate.label_access == "oracle"
    ):
        raise SettingError(
            f"{spec} is an OracleControl: leave its label_access at 'oracle' and control at True."
        )
    return candidate


def _all_have_defaults(kind: type) -> bool:
    missing = dataclasses.MISSING
    return dataclasses.is_dataclass(kind) and all(
        field.default is not missing or field.default_factory is not missing
        for field in dataclasses.fields(kind)
    )


def make_method(
    method: type[Method],
    hyperparameters: Any,
    task: Task | None,
    *,
    seed: int = 0,
    device: str = "cpu",
) -> Method:
    """Make a method that is not fitted; an oracle control learns how the task's spectra are made.

    Parameters
    ----------
    method : type of Method
    hyperparameters : object
        Instance of the method's dataclass.
    task : Task or None
        What the method is for, if that is known.
    seed : int
    device : str
    """
    made = method(hyperparameters, seed=seed, device=device)
    if isinstance(made, OracleControl) and task is not None:
        made.forward = task.forward_model()
    return made


def make_hyperparameters(
    method: type[Method], preset: str | None = None, settings: tuple[str, ...] | list[str] = ()
) -> Any:
    """Build hyperparameters from the defaults, then a preset, then ``key=value`` settings.

    Raises
    ------
    SettingError
        If the preset or a key does not exist, a key is given twice, or a value does not fit its
        type or range.
    """
    fields = {field.name: field for field in dataclasses.fields(method.Hyperparameters)}
    types = _types(method.Hyperparameters)
    values = {}
    if preset is not None:
        if preset not in method.presets:
            presets = ", ".join(method.presets) or "none"
            raise SettingError(f"{method.name} has no preset '{preset}'; it has: {presets}.")
        values.update(method.presets[preset])
    for key, text in split_settings(settings).items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=3, cutoff=0.4)
            names = " or ".join(near) if near else ", ".join(fields)
            meant = f"did you mean {names}?" if names else "it has none, so leave out --set."
            raise SettingError(f"{method.name} has no hyperparameter '{key}'; {meant}")
        values[key] = _parsed(text, types[key], f"--set {key}")
    for key, value in values.items():
        _check_range(value, fields[key], f"--set {key}")
    return _built(method, values)


def hyperparameters_of(method: type[Method], values: Mapping[str, Any]) -> Any:
    """Build hyperparameters from those of a row, checked as if each had been set.

    Parameters
    ----------
    method : type of Method
    values : mapping of str to value
        All of them, as JSON holds them: tuples are lists.

    Raises
    ------
    SettingError
        If the installed method has other hyperparameters, or a value does not fit its type or
        range.
    """
    fields = {field.name: field for field in dataclasses.fields(method.Hyperparameters)}
    types = _types(method.Hyperparameters)
    defaults = method.Hyperparameters()
    changed = {}
    for key in sorted({*fields, *values}):
        if key not in fields or key not in values:
            which = "the row" if key in values else f"the installed {method.name}"
            raise SettingError(
                f"Only {which} has the hyperparameter {key!a}; check out the row's commit."
            )
        default, value, label = getattr(defaults, key), values[key], f"hyperparameter {key}"
        if value != (list(default) if isinstance(default, tuple) else default):
            changed[key] = _fitted(value, types[key], label)
            _check_range(changed[key], fields[key], label)
    return _built(method, changed)


def _built(method: type[Method], values: Mapping[str, Any]) -> Any:
    """Build hyperparameters; the code of their own may refuse them."""
    try:
        return method.Hyperparameters(**values)
    except SettingError:
        raise
    except (Exception, SystemExit) as error:  # third-party code may raise anything
        given = ", ".join(f"{key} = {shorten(repr(value), 60)}" for key, value in values.items())
        raise SettingError(
            f"{method.name} refuses {given or 'the defaults of its hyperparameters'}: "
            f"{in_one_line(error)}."
        ) from error


def _types(kind: type) -> dict[str, Any]:
    """Return the types of a dataclass's fields, also where they are written as texts."""
    try:
        return get_type_hints(kind)
    except Exception as error:  # third-party code may name anything
        raise SettingError(
            f"The types of {kind.__qualname__} cannot be resolved: {in_one_line(error)}."
        ) from error


def _check_hyperparameters(method: type[Method], spec: str) -> None:
    """Check that defaults and presets are what their fields say, and can be used."""
    kind = method.Hyperparameters
    fields, types = {field.name: field for field in dataclasses.fields(kind)}, _types(kind)
    defaults = _built(method, {})
    values = {
        f"The default of {name} in {spec}": (name, getattr(defaults, name)) for name in fields
    }
    if not isinstance(method.presets, Mapping) or not all(
        isinstance(preset, Mapping) for preset in method.presets.values()
    ):
        raise SettingError(f"presets of {spec} must map names to hyperparameters by their names.")
    for preset, settings in method.presets.items():
        for name, value in settings.items():
            if name not in fields:
                raise SettingError(
                    f"Preset {preset!a} of {spec} sets {name!a}, which is no hyperparameter; "
                    f"choose from {', '.join(fields)}."
                )
            values[f"{name} in preset {preset!a} of {spec}"] = name, value
    for label, (name, value) in values.items():
        if _is_settable(types[name]):
            _fitted(value, types[name], label)
        _check_range(value, fields[name], label)
    for settings in method.presets.values():
        _built(method, settings)


_NUMBERS_AND_TEXTS = (int, float, bool, str)


def _is_settable(kind: Any) -> bool:
    """Return whether a value of a type can be written after --set."""
    if get_origin(kind) in (Union, UnionType):
        return all(each is NoneType or _is_settable(each) for each in get_args(kind))
    items = get_args(kind)[:1] if get_origin(kind) is tuple else (kind,)
    return any(each in _NUMBERS_AND_TEXTS for each in items)


def _parsed(text: str, kind: Any, label: str) -> Any:
    if kind is str:
        return text
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):  # of deep brackets
        lowered = {"true": True, "false": False, "none": None}
        value = lowered.get(text.lower(), text)
    try:
        return _fitted(value, kind, label, text)
    except SettingError:
        if get_origin(kind) in (Union, UnionType) and str in get_args(kind):
            return text  # such as 5 for a text or None
        raise


def _fitted(value: Any, kind: Any, label: str, text: str | None = None) -> Any:
    """Return a value as a type: numbers as float, one or a list of them as tuple."""
    members = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    for member in sorted(members, key=lambda each: each is not type(value)):  # 3 stays an int
        found = _of_type(value, member)
        if found is not _UNFIT:
            return found
    allowed = " or ".join(map(_type_name, members))
    items = value if isinstance(value, tuple | list) else (value,)
    if not all(map(_in_bounds, items)):
        allowed += f", with integers of at most 63 bits and other numbers up to {_LARGEST:.2g}"
    given = _text_of(value) if text is None else text
    raise SettingError(f"{label} must be of type {allowed}, but got '{shorten(given, 60)}'.")


_UNFIT = object()
_LARGEST = float(np.finfo(np.float32).max)  # methods compute in float32


def _of_type(value: Any, kind: Any) -> Any:
    """Return a value converted to a type, or `_UNFIT` if it is not of that type."""
    if get_origin(kind) is tuple and _is_settable(kind):
        items = tuple(value) if isinstance(value, tuple | list) else (value,)
        # A network may have no hidden layers; of other numbers there is at least one.
        if items or get_args(kind)[0] is not float:
            fitted = tuple(_of_type(item, get_args(kind)[0]) for item in items)
            return _UNFIT if _UNFIT in fitted else fitted
    elif kind is float and type(value) in (int, float):
        return float(value) if _in_bounds(value) else _UNFIT
    elif kind is NoneType:
        return None if value is None else _UNFIT
    elif kind in _NUMBERS_AND_TEXTS and type(value) is kind and _in_bounds(value):
        return value
    return _UNFIT


def _in_bounds(number: Any) -> bool:
    """Return whether a number is one that rows and arrays can hold; true of other values."""
    if isinstance(number, int):
        return abs(number) < MAX_INT
    return not isinstance(number, float) or abs(number) <= _LARGEST


def _text_of(value: Any) -> str:
    try:
        return str(value)
    except ValueError:  # Python refuses to write numbers of thousands of digits
        return "a number of thousands of digits"


def _type_name(kind: Any) -> str:
    if kind is NoneType:
        return "None"
    if get_origin(kind) is tuple and get_args(kind)[:1] == (float,):
        return f"{kind} with at least one number"
    return kind.__name__ if isinstance(kind, type) and get_origin(kind) is None else str(kind)


def _check_range(value: Any, field: dataclasses.Field[Any], label: str) -> None:
    low, high = field.metadata.get("low"), field.metadata.get("high")
    choices = field.metadata.get("choices")
    if choices is not None and value not in choices:
        allowed = ", ".join(map(str, choices))
        raise SettingError(f"{label} must be one of {allowed}, but got '{value}'.")
    for item in value if isinstance(value, tuple) else (value,):
        if not isinstance(item, int | float):
            continue
        if (low is not None and item < low) or (high is not None and item > high):
            bounds = f"at least {low}" if high is None else f"between {low} and {high}"
            raise SettingError(f"{label} must be {bounds}, but got {value}.")
