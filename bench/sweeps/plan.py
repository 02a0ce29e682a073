"""The plan of a sweep: which runs it consists of, from options or as JSON lines.

Each line of a plan is an object with the fields of `PlannedRun`, in the words of ``starbench run``.
Plans can therefore be written by other programs, joined and cut.
"""

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from starbench.common.files import atomic_path
from starbench.common.settings import MAX_INT, SettingError, bounded_int, split_setting
from starbench.results.text import shorten, unique_keys, validation_sentence
from starbench.tasks.registry import DEFAULT
from starbench.tasks.storage.about import declared_snr

MAX_SEEDS = 1000  # of one range

Word = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class PlannedRun:
    """One run; the attributes are the options of ``starbench run`` that say which run it is.

    Attributes
    ----------
    method : str
        A name, or ``PATH.py:CLASS``.
    task : str
        A name, or ``PATH.py:CLASS``.
    data : str or None
        A user's own pairs in place of the task.
    snr : float or None
        The declared signal-to-noise ratio per pixel of `data`.
    scale : str or None
        The task's own if None.
    seed : int
    preset : str or None
    settings : tuple of str
        Hyperparameters as ``key=value``.
    """

    method: Word
    task: Word = DEFAULT
    data: Word | None = None
    snr: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    scale: Word | None = None
    seed: Annotated[int, Field(ge=0, lt=MAX_INT)] = 0
    preset: Word | None = None
    settings: tuple[str, ...] = ()

    def words(self) -> list[str]:
        """Return the options of ``starbench run`` that ask for this run."""
        words = ["--method", self.method, "--seed", str(self.seed)]
        words += ["--task", self.task] if self.data is None else ["--data", self.data]
        for name in ("snr", "scale", "preset"):
            if (value := getattr(self, name)) is not None:
                words += [f"--{name}", str(value)]
        for setting in self.settings:
            words += ["--set", setting]
        return words

    def __str__(self) -> str:
        return " ".join(
            [self.method, "on", self.data or self.task, *self.settings, "seed", str(self.seed)]
        )


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return the seeds of a list such as ``0-4`` or ``0,3,7-9``.

    Raises
    ------
    SettingError
        If `text` is not such a list, or a range has too many seeds.

    Examples
    --------
    >>> parse_seeds("0,3,7-9")
    (0, 3, 7, 8, 9)
    """
    seeds: dict[int, None] = {}
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        if not low.isdecimal() or (dash and not high.isdecimal()):
            raise SettingError(
                f"--seeds must be a list such as 0-4 or 0,3,7, but got '{shorten(text)}'."
            )
        first, last = bounded_int(low), bounded_int(high or low)
        if first is None or last is None:
            raise SettingError(f"--seeds must be less than {MAX_INT}, not '{shorten(part)}'.")
        if not 0 <= last - first < MAX_SEEDS:
            raise SettingError(
                f"--seeds must list increasing ranges of at most {MAX_SEEDS} seeds, not '{part}'."
            )
        seeds |= dict.fromkeys(range(first, last + 1))
    return tuple(seeds)


def combinations(settings: Iterable[str]) -> list[tuple[str, ...]]:
    """Return all combinations of the listed values of settings.

    Raises
    ------
    SettingError
        If a setting is not ``key=value``, or a key is given twice.

    Examples
    --------
    >>> combinations(["epochs=2,3", "widths=(8,4)"])
    [('epochs=2', 'widths=(8,4)'), ('epochs=3', 'widths=(8,4)')]
    """
    choices: dict[str, list[str]] = {}
    for setting in settings:
        key, values = split_setting(setting)
        if key in choices:
            raise SettingError(f"--set {key} is given twice; list its values as {key}=1,2.")
        choices[key] = [f"{key}={value}" for value in _split_values(values)]
    return list(itertools.product(*choices.values()))


def _split_values(text: str) -> list[str]:
    """Split at the commas outside brackets, so that a tuple stays one value."""
    values, depth = [""], 0
    for character in text:
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            values.append("")
        else:
            values[-1] += character
    return values


def make_plan(
    methods: Iterable[str],
    tasks: Iterable[str],
    seeds: Iterable[int],
    settings: Iterable[str] = (),
    *,
    data: str | None = None,
    snr: float | None = None,
    scale: str | None = None,
    preset: str | None = None,
) -> list[PlannedRun]:
    """Return a run for each task, method, combination of settings and seed, without repetitions.

    Raises
    ------
    SettingError, DataError
        If a setting is not ``key=value`` or is given twice, or `snr` is not positive.

    Examples
    --------
    >>> [str(run) for run in make_plan(["pca", "pca"], ["a", "b"], [0])]
    ['pca on a seed 0', 'pca on b seed 0']
    """
    snr = None if snr is None else declared_snr(snr, "--snr")
    base = PlannedRun("none", data=data, snr=snr, scale=scale, preset=preset)
    runs = (
        replace(base, task=task, method=method, settings=chosen, seed=seed)
        for task, method, chosen, seed in itertools.product(
            tasks, methods, combinations(settings), seeds
        )
    )
    return list(dict.fromkeys(runs))


def write_plan(path: Path, plan: Sequence[PlannedRun]) -> None:
    """Write a plan as JSON lines, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text("".join(f"{plan_line(run)}\n" for run in plan), encoding="utf-8")


def plan_line(run: PlannedRun) -> str:
    """Return a run as a line of a plan, without the fields that have their default.

    Examples
    --------
    >>> plan_line(PlannedRun("fader", settings=("epochs=8",)))
    '{"method": "fader", "task": "apogee-giants", "seed": 0, "settings": ["epochs=8"]}'
    """
    fields = {name: value for name, value in asdict(run).items() if value not in (None, ())}
    return json.dumps(fields)


def read_plan(path: Path) -> list[PlannedRun]:
    """Read a plan; blank lines are passed over, and repeated runs count once.

    Raises
    ------
    SettingError
        If the file cannot be read, is empty, or a line is no run; the sentence names the line.
    """
    try:
        runs = list(dict.fromkeys(_runs_of(path)))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text"
        raise SettingError(f"--from-plan {path} cannot be read: {reason}.") from None
    if not runs:
        raise SettingError(f"--from-plan {path} holds no run.")
    return runs


def holds_a_plan(path: Path) -> bool:
    """Return whether a plan lies at the path of --plan, which a new one may replace.

    Raises
    ------
    SettingError
        If something else lies there.
    """
    if not path.exists():
        return False
    try:
        if not path.is_file():  # a pipe would be waited for
            raise SettingError("not a file")
        for _ in _runs_of(path):
            pass
    except (OSError, UnicodeDecodeError, SettingError):
        raise SettingError(
            f"--plan {path} exists and is no plan; give another file, or remove it."
        ) from None
    return True


def _runs_of(path: Path) -> Iterator[PlannedRun]:
    """Yield the run of each line of a plan, so that another large file is not read to its end."""
    adapter = TypeAdapter(PlannedRun)
    with path.open(encoding="utf-8-sig") as file:  # some editors begin a text with a mark
        for number, line in enumerate(map(str.strip, file), 1):
            if not line:
                continue
            try:
                run = adapter.validate_json(line)
                json.loads(line, object_pairs_hook=unique_keys)
            except ValidationError as error:
                sentence = validation_sentence(error, "plan")
                sentence = sentence.replace(" at line 1 column", " at column")  # of this line
                raise SettingError(f"{path}, line {number}: {sentence}.") from None
            except ValueError as error:  # of two equal keys the last would count
                raise SettingError(f"{path}, line {number}: {error}.") from None
            yield run
