"""The contract of tasks, as checks whose messages say what to change.

`clauses` lists the checks; `check_task` runs them on the smallest scale of a task. The test suite
applies them to every registered task, and ``starbench check --task`` to any task.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, partial

import numpy as np
from pydantic import ValidationError

from starbench.common.plugins import in_one_line
from starbench.tasks.base import OPTIONAL_FIELDS, Labels, Spectra, Split, Task
from starbench.tasks.card import Card
from starbench.tasks.forward import parameters_of

SAMPLE = 128  # pairs of each split that the clauses examine
# A stored spectrum may have been made on another machine, whose sums differ in the last bits.
_ROUNDING = 1e-4
_REAL = "fiu"  # kinds of dtypes of real numbers
_FORWARD_PAIRS = 4  # whose spectra are made by the forward model too
_FIELDS = ("flux", "nuisance", "noiseless_flux", *OPTIONAL_FIELDS)


class Breach(AssertionError):
    """A violation of a clause of the contract."""


class Subject:
    """A task under examination, with its first pairs.

    Parameters
    ----------
    task : Task
        Its data at its smallest scale must have been prepared.
    """

    def __init__(self, task: Task):
        self.task = task
        self.scale = task.card.smallest_scale
        self.sizes = task.sizes(self.scale)

    @cached_property
    def made(self) -> dict[str, Split]:
        """The first pairs of each split, as `make` makes them."""
        return {s: self.task.make(s, 0, min(SAMPLE, n)) for s, n in self.sizes.items()}

    @cached_property
    def labels(self) -> dict[str, tuple[Labels, Labels | None]]:
        """Nuisance and composition of each whole split."""
        return {split: self.task.labels_on_disk(split, self.scale) for split in self.sizes}

    def noise(self, split: str) -> Spectra:
        """Return the noise of the first pairs, in units of its error; NaN in masked pixels."""
        pairs = self.made[split]
        noise = pairs.flux.astype(np.float64) - pairs.noiseless_flux
        if pairs.error is None:
            return (noise * (self.task.snr or 1.0)).astype(np.float32)
        masked = np.isinf(pairs.error)
        return np.where(masked, np.nan, noise / np.where(masked, 1, pairs.error)).astype(np.float32)

    @property
    def noisy(self) -> bool:
        """Whether the task states the size of its noise."""
        return self.task.snr is not None or self.made["test"].error is not None


def _require(condition: bool, what_to_change: str) -> None:
    if not condition:
        raise Breach(what_to_change)


def _equal(first: Labels | None, second: Labels | None) -> bool:
    if first is None or second is None:
        return first is second
    return np.array_equal(first, second, equal_nan=True)


def wavelength_increases(subject: Subject) -> None:
    """Check that there is one wavelength for each pixel, in increasing order."""
    require_wavelength(subject.task)


def require_wavelength(task: Task, *, exact: bool = True) -> None:
    """Raise a `Breach` if wavelengths are no array, not finite, or do not increase.

    Where they need not be exactly float64, a run converts them.
    """
    wavelength = task.wavelength
    _require(
        isinstance(wavelength, np.ndarray)
        and wavelength.ndim == 1
        and (wavelength.dtype == np.float64 or (not exact and wavelength.dtype.kind in _REAL)),
        "wavelength must be a one-dimensional numpy array of float64",
    )
    _require(
        bool(np.isfinite(wavelength).all() and (np.diff(wavelength) > 0).all()),
        "wavelength must be finite and increase from pixel to pixel",
    )


def pairs_can_be_made(subject: Subject) -> None:
    """Check that `make` returns pairs."""
    for split, pairs in subject.made.items():
        require_split(pairs, split)


def require_split(pairs: object, split: str) -> None:
    """Raise a `Breach` if pairs are no `Split` of arrays."""
    arrays = [getattr(pairs, field, None) for field in _FIELDS if field not in OPTIONAL_FIELDS]
    _require(
        isinstance(pairs, Split) and all(isinstance(array, np.ndarray) for array in arrays),
        f"make must return a starbench.tasks.base.Split of numpy arrays for {split}",
    )


def nuisances_have_units(subject: Subject) -> None:
    """Check that the card states the unit of each nuisance and of the wavelengths."""
    card = subject.task.card
    for name, unit in zip(card.nuisance_names, card.nuisance_units, strict=True):
        _require(bool(unit.strip()), f"nuisance_units must state the unit of {name}; '1' for none")
    _require(bool(card.wavelength_unit.strip()), "wavelength_unit must state a unit")


def chunks_cover_each_split(subject: Subject) -> None:
    """Check that chunks come in order and hold as many pairs as the card says."""
    for split, n_pairs in subject.sizes.items():
        for _ in covering(subject.task.chunks(split, subject.scale), split, n_pairs):
            pass


def covering(
    chunks: Iterable[tuple[slice, Split]], split: str, n_pairs: int
) -> Iterator[tuple[slice, Split]]:
    """Yield chunks; raise a `Breach` where they are not consecutive, and if they are too few."""
    done = 0
    for rows, piece in chunks:
        require_split(piece, split)
        _require(
            rows.start == done and rows.stop - rows.start == len(piece) > 0,
            f"chunks of {split} must be consecutive ranges of as many pairs as they yield",
        )
        done = rows.stop
        _require(done <= n_pairs, f"chunks of {split} hold {done} pairs, the card says {n_pairs}")
        yield rows, piece
    _require(done == n_pairs, f"chunks of {split} hold {done} pairs, the card says {n_pairs}")


def arrays_have_shape_and_type(subject: Subject) -> None:
    """Check that all arrays are float32 and have the shapes that the card asks for."""
    for split, pairs in subject.made.items():
        require_arrays(subject.task, pairs, split, min(SAMPLE, subject.sizes[split]))


def require_arrays(task: Task, pairs: Split, split: str, n: int, *, exact: bool = True) -> None:
    """Raise a `Breach` if an array of n pairs is not float32, or of another shape.

    Where they need not be exactly float32, a run converts them.
    """
    each = task.card.spectra_each(split)
    shapes = {
        "flux": (n, each, len(task.wavelength)),
        "noiseless_flux": (n, each, len(task.wavelength)),
        "nuisance": (n, each, len(task.nuisance_names)),
        "composition": (n, len(task.elements)),
        "unseen": (n, each, len(task.card.unseen_names)),
        "error": (n, each, len(task.wavelength)),
        "nuisance_error": (n, each, len(task.nuisance_names)),
    }
    for field, shape in shapes.items():
        values = getattr(pairs, field)
        if values is None and (field != "unseen" or not shape[-1]) and field in OPTIONAL_FIELDS:
            continue
        _require(
            isinstance(values, np.ndarray)
            and values.shape == shape
            and (values.dtype == np.float32 or (not exact and values.dtype.kind in _REAL)),
            f"{field} of {split} must be float32 {shape}, not "
            f"{getattr(values, 'dtype', type(values))} {getattr(values, 'shape', '')}",
        )


def values_are_finite(subject: Subject) -> None:
    """Check that no value is NaN or infinite."""
    for split, pairs in subject.made.items():
        require_finite(pairs, split)


def require_finite(pairs: Split, split: str) -> None:
    """Raise a `Breach` if a value is NaN or infinite, but for errors of masked pixels."""
    for field in _FIELDS:
        values = getattr(pairs, field)
        if values is None:
            continue
        if field == "error":
            _require(
                bool((values > 0).all()) and bool(np.isfinite(values).any(axis=-1).all()),
                f"error of {split} must be above 0, and infinite in the masked pixels alone",
            )
            _require(
                bool((pairs.flux[np.isinf(values)] == 1).all()),
                f"flux of {split} must be 1 where its error is infinite",
            )
            continue
        _require(bool(np.isfinite(values).all()), f"{field} of {split} holds NaN or infinity")


def flux_is_normalised(subject: Subject) -> None:
    """Check that flux is dimensionless, with its continuum near 1."""
    for split, pairs in subject.made.items():
        level = float(np.nanmedian(pairs.noiseless_flux))
        _require(
            0.2 < level < 2,
            f"flux of {split} has a median of {level:.3g}: divide it by the continuum",
        )


def labels_match_the_spectra(subject: Subject) -> None:
    """Check that labels read or drawn without the spectra equal those of `make`."""
    for split, pairs in subject.made.items():
        for name, (nuisance, composition) in {
            "labels_on_disk": subject.labels[split],
            "drawn_labels": subject.task.drawn_labels(split, subject.scale),
        }.items():
            same = len(nuisance) == subject.sizes[split] and _equal(
                nuisance[: len(pairs)].astype(np.float32), pairs.nuisance
            )
            if composition is not None:
                composition = composition[: len(pairs)].astype(np.float32)
            same = same and _equal(composition, pairs.composition)
            _require(same, f"{name} must return the same labels of {split} as make does")


def twins_differ_in_nuisance(subject: Subject) -> None:
    """Check that the spectra of a pair have different nuisance values."""
    for split, (nuisance, _) in subject.labels.items():
        if subject.task.card.spectra_each(split) == 1:
            continue
        same = float((nuisance[:, 0] == nuisance[:, 1]).all(axis=1).mean())
        _require(same < 0.5, f"{100 * same:.0f} % of the pairs of {split} have equal nuisances")


def siblings_share_their_composition(subject: Subject) -> None:
    """Check the sibling groups of a survey's stars, and that siblings have one composition."""
    for split, pairs in subject.made.items():
        require_group(subject.task, pairs, split)
        groups = subject.task.groups(split, subject.scale)
        if pairs.group is None:
            _require(groups is None, f"groups must return None for {split}, which has none")
            continue
        _require(
            groups is not None
            and pairs.group is not None
            and len(groups) == subject.sizes[split]
            and np.array_equal(groups[: len(pairs)], pairs.group),
            f"groups must return the same groups of {split} as make does",
        )
        if pairs.composition is not None and pairs.group is not None:
            _, first, of_group = np.unique(pairs.group, return_index=True, return_inverse=True)
            _require(
                np.array_equal(pairs.composition, pairs.composition[first][of_group]),
                f"stars of {split} in one group must have one composition",
            )


def require_group(task: Task, pairs: Split, split: str) -> None:
    """Raise a `Breach` if stars of a survey are in no groups, or others are."""
    if not task.card.survey or task.card.spectra_each(split) == 2:
        _require(
            pairs.group is None,
            f"group of {split} must be None: only stars of a survey are in groups",
        )
        return
    _require(
        isinstance(pairs.group, np.ndarray)
        and pairs.group.dtype == np.int64
        and pairs.group.shape == (len(pairs),),
        f"group of {split} must be int64 [n_stars] in a survey",
    )


def pairs_are_the_same_in_any_range(subject: Subject) -> None:
    """Check that `make` makes the same pairs, to the last bit, whatever range is asked for."""
    for split, pairs in subject.made.items():
        n = len(pairs)
        for start, stop in {(0, n), (0, 1), (n // 3, n // 2 + 1), (n - 1, n)}:
            part = subject.task.make(split, start, stop)
            for field in _FIELDS:
                values = getattr(pairs, field)
                _require(
                    _equal(None if values is None else values[start:stop], getattr(part, field)),
                    f"{field} of {split} pairs {start}-{stop - 1} depends on the range that is "
                    "asked for: draw each pair from its own item of a random stream",
                )


def chunks_match_make(subject: Subject) -> None:
    """Check that `chunks` yields the pairs that `make` makes, each time."""
    for split, pairs in subject.made.items():
        for rows, piece in subject.task.chunks(split, subject.scale):
            made = slice(rows.start, min(rows.stop, len(pairs)))
            if made.start >= len(pairs):
                break
            for field in _FIELDS:
                values, expected = getattr(piece, field), getattr(pairs, field)
                same = values is expected or np.allclose(
                    values[: made.stop - made.start],
                    expected[made],
                    rtol=_ROUNDING,
                    atol=_ROUNDING,
                    equal_nan=True,
                )
                _require(same, f"{field} of {split}: chunks and make must return the same values")


def splits_share_nothing(subject: Subject) -> None:
    """Check that no composition, pair or spectrum is in two splits."""
    rows: dict[str, dict[str, Labels]] = {"pairs": {}, "compositions": {}, "spectra": {}}
    for split, (nuisance, composition) in subject.labels.items():
        rows["pairs"][split] = nuisance.reshape(len(nuisance), -1)
        # Values of a single element may agree by chance.
        if composition is not None and composition.shape[1] > 1:
            rows["compositions"][split] = composition
        flux = subject.made[split].noiseless_flux
        rows["spectra"][split] = flux.reshape(-1, flux.shape[-1])
    for kind, of_splits in rows.items():
        drawn = {
            split: {row.tobytes() for row in np.ascontiguousarray(values)}
            for split, values in of_splits.items()
        }
        for first, second in itertools.combinations(drawn, 2):
            shared = len(drawn[first] & drawn[second])
            _require(
                not shared,
                f"{first} and {second} share {shared} of their {kind}: include the split in the "
                "name of the random stream",
            )


def fingerprint_identifies_the_data(subject: Subject) -> None:
    """Check that the fingerprint is a constant string that differs between scales."""
    task = subject.task
    prints = {scale: task.fingerprint(scale) for scale in task.card.sizes}
    for scale, text in prints.items():
        _require(isinstance(text, str) and bool(text), "fingerprint must return a string")
        _require(task.fingerprint(scale) == text, "fingerprint must not change between calls")
    sizes = {scale: tuple(task.sizes(scale).values()) for scale in prints}
    _require(
        len(set(prints.values())) >= len(set(sizes.values())),
        "fingerprint must differ between scales",
    )


def noise_matches_the_card(subject: Subject) -> None:
    """Check the noise: mean 0 and the stated deviation, or no noise where none is stated."""
    for split in subject.made:
        noise = subject.noise(split)
        if not subject.noisy:
            _require(
                not np.nan_to_num(noise).any(),
                f"flux of {split} differs from noiseless_flux: state the noise's SNR on the card, "
                "or the error of each pixel, or change both alike",
            )
            continue
        mean, deviation = float(np.nanmean(noise)), float(np.nanstd(noise))
        # Rounding of the flux to float32 is far below the noise.
        error = 5 / np.sqrt(noise.size)
        _require(
            abs(mean) < error and abs(deviation - 1) < error,
            f"the noise of {split} has mean {mean:.3f} and deviation {deviation:.3f} in units of "
            "its error, which should be 0 and 1",
        )


def noise_is_independent(subject: Subject) -> None:
    """Check that noise is uncorrelated between the spectra of a pair, pairs and splits."""
    if not subject.noisy:
        return
    noise = {split: subject.noise(split).astype(np.float64) for split in subject.sizes}
    compared = {
        f"{first} and {second}": (noise[first][:, 0], noise[second][:, 0])
        for first, second in itertools.combinations(noise, 2)
    }
    for split, values in noise.items():
        if values.shape[1] == 2:
            compared[f"the spectra of a pair of {split}"] = values[:, 0], values[:, 1]
        compared[f"neighbouring pairs of {split}"] = values[:-1], values[1:]
    for which, (first, second) in compared.items():
        n = min(len(first), len(second))
        product = first[:n] * second[:n]
        if product.size == 0 or not (np.nan_to_num(first).any() and np.nan_to_num(second).any()):
            continue  # a single pair has no neighbour; the clause above fails where no noise is
        correlation = float(np.nanmean(product) / (np.nanstd(first) * np.nanstd(second)))
        _require(
            abs(correlation) < 5 / np.sqrt(product.size),
            f"the noise of {which} is correlated ({correlation:.3f}): draw it independently",
        )


def forward_model_makes_the_spectra(subject: Subject) -> None:
    """Check that a forward model, if the task offers one, makes the task's noiseless flux."""
    forward = subject.task.forward_model()
    if forward is None:
        return
    pairs = subject.made["test"]
    _require(pairs.composition is not None, "a task with a forward_model must hold compositions")
    assert pairs.composition is not None
    each = slice(_FORWARD_PAIRS)
    parameters = parameters_of(
        np.concatenate(pairs.nuisance[each]),
        np.repeat(pairs.composition[each], pairs.nuisance.shape[1], axis=0),
        None if pairs.unseen is None else np.concatenate(pairs.unseen[each]),
    )
    _require(
        forward.model.n_parameters == parameters.shape[1],
        f"forward_model must take the {parameters.shape[1]} columns of nuisance, composition and "
        f"unseen, not {forward.model.n_parameters}",
    )
    made = forward.model.spectra(parameters)
    flux = np.concatenate(pairs.noiseless_flux[each])
    _require(
        made.shape == flux.shape and bool(np.allclose(made, flux, rtol=0, atol=_ROUNDING)),
        "forward_model must make the noiseless_flux of the task's stars, or return None",
    )


def stored_data_are_sound(subject: Subject) -> None:
    """Check that `problems` finds nothing wrong with data that have just been prepared."""
    for problem, _ in subject.task.problems(subject.scale, progress=False):
        raise Breach(f"problems names a fault of data that were just prepared: {problem}")


def clauses() -> tuple[Callable[[Subject], None], ...]:
    """Return the checks, each taking the subject."""
    return (
        wavelength_increases,
        pairs_can_be_made,
        nuisances_have_units,
        chunks_cover_each_split,
        arrays_have_shape_and_type,
        values_are_finite,
        flux_is_normalised,
        labels_match_the_spectra,
        twins_differ_in_nuisance,
        siblings_share_their_composition,
        pairs_are_the_same_in_any_range,
        chunks_match_make,
        splits_share_nothing,
        fingerprint_identifies_the_data,
        noise_matches_the_card,
        noise_is_independent,
        forward_model_makes_the_spectra,
        stored_data_are_sound,
    )


def check_task(task: Task) -> Iterator[tuple[str, str | None]]:
    """Run every clause on the smallest scale of a task; yield its name and None, or the problem.

    Data that are missing are built first.
    """
    if not isinstance(getattr(task, "card", None), Card):
        yield "card_is_valid", "set `card` to a starbench.tasks.card.Card"
        return
    try:
        Card(**dict(task.card))  # model_copy(update=...) checks nothing
    except ValidationError as error:
        yield "card_is_valid", in_one_line(error)
        return
    yield "card_is_valid", None
    subject = Subject(task)
    problem = _problem(lambda: task.prepare(subject.scale, progress=False))
    yield "data_can_be_prepared", problem
    if problem is not None:
        return
    for clause in clauses():
        problem = _problem(partial(clause, subject))
        yield clause.__name__, problem
        if problem is not None and clause in (wavelength_increases, pairs_can_be_made):
            return  # the other clauses examine what is missing


def _problem(examine: Callable[[], object]) -> str | None:
    try:
        examine()
    except Breach as breach:
        return str(breach)
    except (Exception, SystemExit) as error:  # third-party code may raise anything
        return f"raised {in_one_line(error)}"
    return None
