"""The schema of a row: settings, metrics and provenance of one run, as a JSON file.

Rows are untrusted text. `read_row` checks the size before it parses, types without conversion, the
length and characters of every string, and relations between metrics that hold for every method.

============  ===========================================================================
file          content
============  ===========================================================================
``row.json``  a `Row`: sorted keys, two spaces of indentation, equal bytes for equal rows
``ranks.h5``  the ranks of the run, see `starbench.results.ranks`
============  ===========================================================================
"""

import hashlib
import json
import shlex
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from starbench.common.files import atomic_path
from starbench.metrics import SHARES, metric
from starbench.results.fields import (
    METHOD_NAME,
    Amount,
    Count,
    Key,
    Label,
    MethodName,
    Number,
    Place,
    Setting,
    Sha256,
    TaskName,
)
from starbench.results.ranks import check_file_size
from starbench.results.selection_rule import WITHOUT_EPOCHS, as_setting
from starbench.results.text import (
    RowError,
    json_kind,
    printable,
    require_printable,
    shorten,
    unique_keys,
    validation_sentence,
)

SCHEMA_VERSION: Literal[1] = 1
MAX_ROW_BYTES = 1_000_000


class Part(BaseModel):
    """A row, a part of one, or another record that is checked like a row."""

    # Strict: "0.9" is not 0.9 and true is not 1. No extra keys: a misspelt field is an error.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


PartOf = TypeVar("PartOf", bound=Part)


# ------------------------------------------------------------------------------------------- schema


class RecordedEstimate(Part):
    """The value of one metric.

    Attributes
    ----------
    value : float
    low, high : float or None
        Ends of the 95 % interval; both or neither.
    version : int
        Version of the metric's definition; estimates of different versions never share a table.
    """

    value: Number
    low: Number | None = None
    high: Number | None = None
    version: Annotated[int, Field(ge=1, lt=2**31)]

    @model_validator(mode="after")
    def _ordered(self) -> "RecordedEstimate":
        if (self.low is None) != (self.high is None):
            raise ValueError("should have both `low` and `high`, or neither")
        if self.low is not None and self.high is not None:
            # The ends may be summed in another order than the value, and differ by rounding.
            slack = 1e-6 * max(abs(self.low), abs(self.value), abs(self.high))
            if not self.low - slack <= self.value <= self.high + slack:
                raise ValueError(
                    "should have low <= value <= high, not "
                    f"{self.low:g}, {self.value:g}, {self.high:g}"
                )
        return self


class Selection(Part):
    """How the scored state of the method was chosen.

    Attributes
    ----------
    rule : str
        In words, such as ``"last epoch"``.
    epoch : int or None
        The epoch chosen, counted from 1; None where there are no epochs.
    """

    rule: Label
    epoch: Count | None = None


class Hardware(Part):
    """The machine of a run.

    Attributes
    ----------
    processor : str
    cores, threads : int
        Cores that the run could use, and threads that it used.
    memory_gib : float
    device : str
        The torch device of the method, such as ``"cpu"``.
    accelerator : str or None
        The accelerator's model, if there was one.
    system : str
        Operating system and architecture.
    processor_model : str or None
        Family, model and stepping, which tell chips of one name apart.
    instruction_sets : dict of str to str
        Those that a library uses, by its name: ``"AVX512"`` of torch.
    linear_algebra : dict of str to str
        The kernels of NumPy's and torch's linear algebra, by library and version.

    Rows of the first releases lack the last three.
    """

    processor: Label
    cores: Count
    threads: Count
    memory_gib: Amount
    device: Label
    accelerator: Label | None = None
    system: Label
    processor_model: Label | None = None
    instruction_sets: Annotated[dict[Key, Label], Field(max_length=16)] = {}
    linear_algebra: Annotated[dict[Key, Label], Field(max_length=16)] = {}

    @property
    def machine(self) -> str:
        """What computed, in words: the accelerator, or the processor with its instruction set."""
        if self.accelerator is not None:
            return self.accelerator
        used = self.instruction_sets.get("torch")
        return self.processor if used is None else f"{self.processor} ({used})"


class Code(Part):
    """The code of a method that is not starbench's own.

    Attributes
    ----------
    sha256 : str
        Digest of the method's file and of those beside it that it imports, or of all modules of
        its package.
    package : str or None
        Name and version of the installed package that registers the method.
    """

    sha256: Sha256
    package: Label | None = None


class Given(Part):
    """What the run's command named by its place, from the folder where it was run.

    Attributes
    ----------
    method, task : str or None
        ``PATH.py:CLASS``; None for a registered name.
    data : str or None
        The user's own pairs: a file, a folder or a name on the Hugging Face Hub.
    """

    method: Place | None = None
    task: Place | None = None
    data: Place | None = None


class Load(Part):
    """How busy and how fast the machine was during a run, so that times can be compared.

    Runs are counted when the run begins, after each epoch and at the end: all runs of the user on
    the machine, each of which holds a locked file in its folder of temporary files. The reference
    kernel, version 1, is 4 products of two float32 matrices [1024, 1024] and the twin ranks of
    2,000 latents of 20 dimensions, on the processor and with the threads of the run. See
    `starbench.runs.load`.

    Attributes
    ----------
    runs_at_once : int
        Largest number of runs that shared the machine, this one included.
    kernel_seconds : float or None
        Time of the reference kernel beside the fit [s]; None where an accelerator did the work.
    kernel_version : int or None
        Version of the kernel; times in kernels of different versions are not compared.
    """

    runs_at_once: Annotated[int, Field(ge=1, lt=2**31)]
    kernel_seconds: Annotated[float, Field(gt=0, le=1e15)] | None = None
    kernel_version: Count | None = None


class Declared(Part):
    """What whoever made a row says of it; nothing of it can be measured.

    Attributes
    ----------
    outside_data : str or None
        Data that the method learned from besides those of the task.
    pretraining : str or None
        What was trained before the run, and on what.
    code : str or None
        Where others can fetch the code of a method that is not starbench's own.
    """

    outside_data: Label | None = None
    pretraining: Label | None = None
    code: Label | None = None


_ADVERSARY = {"cross_entropy": "adversary_cross_entropy", "chance": "chance_cross_entropy"}
"""Names of the diagnostics in the field `adversary`, which rows had before `diagnostics`."""


class Row(Part):
    """One run of one method on one task, with everything that the leaderboard needs of it.

    Attributes
    ----------
    method, method_version, label_access, control, reference
        As the method declares them.
    hyperparameters : dict
        All settings of the run, defaults included.
    preset : str or None
        Name of the preset that the settings started from.
    overrides : dict
        The `hyperparameters` that were set by hand on top of the preset or the defaults.
    task, task_version, scale, split, data_fingerprint
        What was scored; `data_fingerprint` is the task's digest of its data.
    snr : float or None
        Signal-to-noise ratio per pixel of the noise in the spectra, as the task's card states or
        the user's own data declare it; None for none, and in older rows.
    filling : str or None
        What masked pixels hold, such as the mean training spectrum, where the method takes no
        errors; None where it takes them, or the data have none.
    seed : int
    selection : Selection
    status : {"ok", "diverged", "failed"}
        Only an ``ok`` row has `metrics` and `ranks_sha256`; others give the reason in `message`.
    message : str or None
        Why there are no metrics, or what to know before trusting them, such as a
        `starbench.runs.diagnostics.remark`.
    metrics : dict of str to RecordedEstimate
        On the test split. A metric that a method cannot have, such as a reconstruction error
        without a decoder, is absent.
    validation_metrics : dict of str to RecordedEstimate
        On the validation split.
    diagnostics : dict of str to float
        Watched quantities of the scored epoch that the method declares, and their references.
    ranks_sha256 : str or None
        `ranks_digest` of the ranks written beside the row.
    starbench_version, commit, dirty, libraries
        The code; `commit` is None outside a checkout, and `dirty` says whether files differed.
    state_sha256 : str or None
        Digest of the scored state of the method, as `starbench.common.checkpoint.state_sha256` of
        the tensors in ``best.safetensors`` in the run's folder gives it.
    source_sha256 : str or None
        Digest of the method's source files: `code.sha256`, or that of its module in starbench and
        of those that it imports from ``starbench.methods``.
    environment_sha256 : str or None
        Digest of the versions of Python and of all installed distributions.

    Rows of predictions lack the first two of these digests, and those of the first releases all.
    hardware : Hardware
    seconds : dict of str to float
        Wall time of each stage and the ``total``.
    load : Load or None
        What else the machine did; None in rows of the first releases.
    epochs : int or None
    peak_memory_mb : float or None
    n_parameters : int
    predictions_sha256 : str or None
        Digest of the scored file of predictions; None if starbench trained the method.
    code : Code or None
        None for starbench's own methods, which `commit` determines, for predictions, and in rows of
        the first releases.
    given : Given
        Empty if everything had a registered name.
    declared : Declared
        Empty in rows of the first releases.
    looks_before : int or None
        Number of other settings of the method that had been scored on this test split before, as
        far as the cache of the run's machine knows; None in rows of the first releases.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    method: MethodName
    method_version: Count
    label_access: Literal["none", "nuisance", "pairs", "oracle"]
    control: bool = False
    reference: Label
    hyperparameters: Annotated[dict[Key, Setting], Field(max_length=100)]
    preset: Annotated[str, Field(pattern=METHOD_NAME)] | None = None
    overrides: Annotated[dict[Key, Setting], Field(max_length=100)] = {}
    task: TaskName
    task_version: Count
    scale: Literal["full", "mini", "tiny", "own"]
    split: Literal["test"] = "test"
    data_fingerprint: Annotated[str, Field(pattern=r"^[A-Za-z0-9:._-]{1,128}$")]
    snr: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    filling: Label | None = None
    seed: Count
    selection: Selection
    status: Literal["ok", "diverged", "failed"]
    message: Annotated[str, Field(max_length=1000), AfterValidator(require_printable)] | None = None
    metrics: Annotated[dict[Key, RecordedEstimate], Field(max_length=400)] = {}
    validation_metrics: Annotated[dict[Key, RecordedEstimate], Field(max_length=400)] = {}
    diagnostics: Annotated[dict[Key, Number], Field(max_length=64)] = {}
    ranks_sha256: Sha256 | None = None
    starbench_version: Annotated[str, Field(pattern=r"^[0-9A-Za-z.+!_-]{1,64}$")]
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    dirty: bool | None = None
    libraries: Annotated[dict[Key, Label], Field(max_length=100)]
    state_sha256: Sha256 | None = None
    source_sha256: Sha256 | None = None
    environment_sha256: Sha256 | None = None
    hardware: Hardware
    seconds: Annotated[dict[Key, Amount], Field(max_length=32)]
    load: Load | None = None
    epochs: Count | None = None
    peak_memory_mb: Amount | None = None
    n_parameters: Count
    predictions_sha256: Sha256 | None = None
    code: Code | None = None
    given: Given = Given()
    declared: Declared = Declared()
    looks_before: Count | None = None

    @model_validator(mode="before")
    @classmethod
    def _with_diagnostics(cls, content: Any) -> Any:
        """Read the field `adversary` of older rows as diagnostics."""
        if not isinstance(content, dict) or "adversary" not in content:
            return content
        content = dict(content)
        adversary = content.pop("adversary")
        if adversary is not None and "diagnostics" not in content:
            if not isinstance(adversary, dict) or not adversary.keys() <= _ADVERSARY.keys():
                raise ValueError(f"`adversary` should hold {' and '.join(_ADVERSARY)} or be null")
            content["diagnostics"] = {_ADVERSARY[key]: adversary[key] for key in adversary}
        return content

    @field_validator("metrics", "validation_metrics")
    @classmethod
    def _possible(cls, metrics: dict[str, RecordedEstimate]) -> dict[str, RecordedEstimate]:
        return possible_metrics(metrics)

    @model_validator(mode="after")
    def _consistent(self) -> "Row":
        if self.status == "ok":
            for name in SHARES:
                if name not in self.metrics:
                    raise ValueError(f"`metrics` should hold `{name}` in a row whose status is ok")
            if self.ranks_sha256 is None:
                raise ValueError("`ranks_sha256` should be given in a row whose status is ok")
        elif self.metrics or self.ranks_sha256:
            raise ValueError(
                "`metrics` and `ranks_sha256` should be empty in a row whose status is "
                f"{self.status}"
            )
        elif not self.message:
            raise ValueError(f"`message` should say why the status is {self.status}")
        if self.selection.epoch is not None and not 1 <= self.selection.epoch <= (self.epochs or 0):
            raise ValueError(
                f"`selection.epoch` should be one of the {self.epochs or 0} in `epochs`, not "
                f"{self.selection.epoch}"
            )
        for key, value in self.overrides.items():
            if key not in self.hyperparameters or self.hyperparameters[key] != value:
                raise ValueError(f"`overrides.{key}` should equal `hyperparameters.{key}`")
        return self

    @property
    def settings_digest(self) -> str:
        """Digest of method and settings, equal for runs that differ only in seed, data or code.

        It is also equal on pairs and on a survey.
        """
        nothing_selected = self.status == "ok" and self.selection.epoch is None
        settings = {
            "hyperparameters": self.hyperparameters,
            "method": self.method,
            "method_version": self.method_version,
            "label_access": self.label_access,
            "rule": WITHOUT_EPOCHS if nothing_selected else as_setting(self.selection.rule),
        }
        return hashlib.sha256(_canonical(settings).encode()).hexdigest()

    @property
    def kernels(self) -> float | None:
        """Time of fit and score as a multiple of the reference kernel; None without either."""
        stages = [self.seconds[stage] for stage in ("fit", "score") if stage in self.seconds]
        if not stages or self.load is None or self.load.kernel_seconds is None:
            return None
        return sum(stages) / self.load.kernel_seconds

    @property
    def command(self) -> str:
        """The command that repeats the run at the row's commit, quoted for a shell.

        Names in capitals stand for what the row does not know, such as PREDICTIONS.h5.
        """
        if self.predictions_sha256:
            words = ["starbench", "score", "PREDICTIONS.h5", "--method-name", self.method]
            words += ["--label-access", self.label_access, "--reference", self.reference]
        else:
            words = ["starbench", "run", "--method", self.given.method or self.method]
        if self.scale == "own":
            words += ["--data", self.given.data or "PAIRS"]
            words += [] if self.snr is None else ["--snr", repr(self.snr)]
        else:
            words += ["--task", self.given.task or self.task, "--scale", self.scale]
        words += ["--seed", str(self.seed)]
        if self.preset:
            words += ["--preset", self.preset]
        settings = self.hyperparameters if self.predictions_sha256 else self.overrides
        for key, value in sorted(settings.items()):
            text = value if isinstance(value, str) else json.dumps(value)
            words += ["--set", f"{key}={text}"]
        for option, said in (
            ("--outside-data", self.declared.outside_data),
            ("--pretraining", self.declared.pretraining),
            ("--code-from", self.declared.code),
        ):
            words += [] if said is None else [option, said]
        if not self.predictions_sha256:  # threads decide how sums are rounded
            words += ["--threads", str(self.hardware.threads)]
        return shlex.join(words)


def possible_metrics(metrics: dict[str, RecordedEstimate]) -> dict[str, RecordedEstimate]:
    """Return metrics, or raise a ValueError where a value cannot be."""
    for name, estimate in metrics.items():
        low, high = possible_range(name)
        for value in (estimate.value, estimate.low, estimate.high):
            if value is not None and not low <= value <= high:
                raise ValueError(f"`{name}` should lie in [{low:g}, {high:g}], not be {value:g}")
    shares = [metrics[name].value for name in SHARES if name in metrics]
    if shares != sorted(shares):
        raise ValueError(f"should have {' <= '.join(SHARES)}")
    return metrics


def possible_range(name: str) -> tuple[float, float]:
    """Return the bounds of a metric's values; infinite for an unknown metric."""
    try:
        declared = metric(name)
    except KeyError:
        return -np.inf, np.inf
    return declared.low, declared.high


# --------------------------------------------------------------------------------- reading, writing


def row_text(row: Part) -> str:
    """Return a row, or another record, as JSON: equal texts for equal ones."""
    return _canonical(row.model_dump(mode="python"), indent=2) + "\n"


def parse_row(text: str | bytes, name: str = "row") -> Row:
    """Check the text of a row and return the row.

    Parameters
    ----------
    text : str or bytes
    name : str
        Name of the row in errors.

    Raises
    ------
    RowError
        With one sentence that names the field and what it should be.
    """
    return parse_part(Row, text, name, "row")


def parse_part(part: type[PartOf], text: str | bytes, name: str, kind: str) -> PartOf:
    """Check the text of a row, or of another record of this schema, and return it.

    Parameters
    ----------
    part : type
        `Row`, or another subclass of `Part`.
    text : str or bytes
    name, kind : str
        The record and what it is, in errors.

    Raises
    ------
    RowError
        With one sentence that names the field and what it should be.
    """
    if len(text) > MAX_ROW_BYTES:
        raise RowError(
            f"{name}: has {len(text):,} bytes; a {kind} may have at most {MAX_ROW_BYTES:,}"
        )
    try:
        # Python's parser takes other encodings, too, which other readers of rows do not expect.
        text = text if isinstance(text, str) else text.decode("utf-8")
        # Parsers differ in which of two equal keys they keep.
        content = json.loads(text, object_pairs_hook=unique_keys, parse_constant=_no_constant)
    except RecursionError:
        raise RowError(f"{name}: nested too deeply for a {kind}") from None
    except ValueError as error:
        raise RowError(f"{name}: not valid JSON ({shorten(str(error))})") from None
    if not isinstance(content, dict):
        found = json_kind(content)
        raise RowError(f"{name}: a {kind} is a JSON object of named fields, not a {found}")
    try:
        return part.model_validate(content)
    except ValidationError as error:
        raise RowError(f"{name}: {validation_sentence(error, kind)}") from None


def read_row(path: Path) -> Row:
    """Read and check a row.

    Raises
    ------
    RowError
        With one sentence that names the file, the field and what it should be.
    """
    return read_part(Row, path, "row")


def read_part(part: type[PartOf], path: Path, kind: str) -> PartOf:
    """Read and check a row, or another record of this schema; see `parse_part`."""
    check_file_size(Path(path), MAX_ROW_BYTES, kind)
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise RowError(f"{printable(path)}: cannot be read ({error.strerror})") from None
    return parse_part(part, text, printable(path), kind)


def write_row(row: Part, path: Path) -> None:
    """Write a row, or another record, atomically: equal ones give equal bytes."""
    with atomic_path(path) as temporary:
        temporary.write_text(row_text(row), encoding="utf-8")


# ------------------------------------------------------------------------------------------ helpers


def _canonical(content: Any, indent: int | None = None) -> str:
    """Return JSON with sorted keys and no NaN."""
    return json.dumps(content, sort_keys=True, indent=indent, ensure_ascii=False, allow_nan=False)


def _no_constant(name: str) -> float:
    """Refuse NaN and infinity, which Python's parser accepts but JSON does not have."""
    raise ValueError(f"JSON has no number {name}; remove it")
