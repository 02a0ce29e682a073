"""The card of a task: what it is, in facts that the harness, the tables and the site read."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

SPLITS = ("train", "validation", "test")
STARS = "stars"
"""The further split of some tasks: stars without a twin, to train on."""
PAIRS = "pairs"
"""The further split of some surveys: pairs of a model, to train on where twins are needed."""
FAMILIES = ("ideal", "noise", "crowding", "assumptions", "reality")
"""Families of the standard tracks, in the order of tables; other tasks may name others."""
MAX_NUISANCES = 5

_Text = Annotated[str, Field(min_length=1, pattern=r"\S")]
_Positive = Annotated[int, Field(ge=1)]
Scale = Literal["full", "mini", "tiny", "own"]
"""Scales that a row may have; ``own`` is that of users' own pairs."""
Medium = Literal["vacuum", "air", "unknown"]
"""What wavelengths are measured in; ``unknown`` where a file does not say."""
Sizes = dict[str, _Positive]
"""Number of pairs, or of a survey's stars, of each split."""


def spectra_each(split: str, *, survey: bool = False) -> int:
    """Return the length of the second axis of a split's arrays: 2 for pairs, 1 for stars.

    Parameters
    ----------
    split : str
    survey : bool
        Whether the task is a survey: all its splits but ``pairs`` hold stars.
    """
    return 1 if split == STARS or (survey and split != PAIRS) else 2


class Card(BaseModel):
    """What a task is.

    Attributes
    ----------
    name : str
        Lower-case words joined by hyphens: the name on the command line and in rows.
    version : int
        Raised whenever the data change. Rows of different versions never share a table.
    family : str
        The kind of question that the task asks, such as ``ideal`` or ``noise``; tasks of a family
        are averaged together.
    base : str, optional
        Name of the task that this one changes.
    changes : str
        What it changes, in a phrase.
    breaks : str
        What the change breaks, and for whom, in some three sentences for the task's page.
    reference : str
        Where the task is described.
    licence : str
        Terms under which the data may be used.
    nuisance_names, nuisance_units : tuple of str
        One to five known factors that are not chemistry.
    elements : tuple of str
        Names of the composition's columns; empty where no split has a composition.
    sizes : dict
        Number of pairs of each split at each scale (``full``, ``mini``, ``tiny`` or ``own``). The
        first scale is the default one, and each larger scale begins with the smaller ones. A task
        may have a further split ``stars``, of single stars of distinct compositions: methods that
        may not use twins train on it, so that the set holds no twins to be found. A survey may have
        a further split ``pairs``, of two spectra each: methods that need twins or compositions
        train on it, as nobody knows those of real stars.
    nuisance_covariance : tuple of tuple of float, optional
        Covariance of the errors of a spectrum's nuisance labels, which methods are told; None where
        labels are exact.
    unseen_names, unseen_units : tuple of str
        Parameters of each spectrum that no method is given, such as the true nuisance where labels
        have errors. They take part in the information bound alone.
    snr : float, optional
        Signal-to-noise ratio per pixel, at a continuum of 1, of the noise in the flux: that the
        task adds, or that users' own pairs declare. None for no noise, or none that is known.
    survey : bool
        Whether each split but ``pairs`` holds stars of one spectrum each, in sibling groups, in
        place of pairs; `sizes` then counts stars.
    medium : {"vacuum", "air", "unknown"}
        Medium in which the wavelengths are measured.
    wavelength_unit : str
    changelog : dict of int to str
        What each version changed; the current version must be in it.

    Examples
    --------
    >>> from starbench.tasks.registry import get_task
    >>> card = get_task("apogee-giants-snr50").card
    >>> card.family, card.base, card.snr, card.default_scale
    ('noise', 'apogee-giants', 50.0, 'full')
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    version: _Positive
    family: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    base: str | None = None
    changes: str = ""
    breaks: str = ""
    reference: _Text
    licence: _Text
    nuisance_names: Annotated[tuple[_Text, ...], Field(min_length=1, max_length=MAX_NUISANCES)]
    nuisance_units: tuple[str, ...]
    elements: tuple[_Text, ...] = ()
    nuisance_covariance: tuple[tuple[float, ...], ...] | None = None
    unseen_names: tuple[_Text, ...] = ()
    unseen_units: tuple[str, ...] = ()
    sizes: Annotated[dict[Scale, Sizes], Field(min_length=1)]
    snr: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    survey: bool = False
    medium: Medium = "vacuum"
    wavelength_unit: str = "Angstrom"
    changelog: dict[int, _Text]

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if len(self.nuisance_units) != len(self.nuisance_names):
            raise ValueError("nuisance_units must have one unit for each of nuisance_names")
        if len(self.unseen_units) != len(self.unseen_names):
            raise ValueError("unseen_units must have one unit for each of unseen_names")
        for field in ("nuisance_names", "elements", "unseen_names"):
            names = getattr(self, field)
            if len(set(names)) != len(names):
                raise ValueError(f"{field} must not name a column twice")
        for scale, sizes in self.sizes.items():
            if set(sizes) - {STARS, PAIRS} != set(SPLITS):
                raise ValueError(
                    f"sizes of scale {scale} must have the keys {', '.join(SPLITS)}, and may have "
                    f"{STARS}, or {PAIRS} of a survey"
                )
        for further in (STARS, PAIRS):
            if len({further in sizes for sizes in self.sizes.values()}) > 1:
                raise ValueError(f"sizes must have {further} at each scale or at none")
        if self.survey and self.has_stars:
            raise ValueError(f"sizes of a survey must not have {STARS}: all its splits hold stars")
        if self.has_model_pairs and not self.survey:
            raise ValueError(f"sizes must not have {PAIRS}: only a survey trains on other pairs")
        if self.nuisance_covariance is not None:
            n = len(self.nuisance_names)
            if [len(row) for row in self.nuisance_covariance] != [n] * n:
                raise ValueError(f"nuisance_covariance must have {n} rows of {n} numbers")
        if self.version not in self.changelog:
            raise ValueError(f"changelog must have an entry for version {self.version}")
        return self

    @property
    def default_scale(self) -> str:
        """The scale that a run uses if none is given: the first on the card."""
        return next(iter(self.sizes))

    @property
    def smallest_scale(self) -> str:
        """The scale with the fewest pairs, for checks of the contract."""
        return min(self.sizes, key=lambda scale: sum(self.sizes[scale].values()))

    @property
    def has_stars(self) -> bool:
        """Whether methods that may not use twins train on stars without a twin."""
        return all(STARS in sizes for sizes in self.sizes.values())

    @property
    def has_model_pairs(self) -> bool:
        """Whether methods that need twins or compositions train on pairs of a model."""
        return all(PAIRS in sizes for sizes in self.sizes.values())

    def spectra_each(self, split: str) -> int:
        """Return the length of the second axis of a split's arrays: 2 for pairs, 1 for stars."""
        return spectra_each(split, survey=self.survey)

    @property
    def order(self) -> tuple[str, int, float, str]:
        """Key that sorts a task before those based on it, those by family and decreasing SNR."""
        family = FAMILIES.index(self.family) if self.family in FAMILIES else len(FAMILIES)
        # A survey has noise of its own.
        noise = float("inf") * (1 if self.survey else -1) if self.snr is None else -self.snr
        return self.base or self.name, family, noise, self.name

    def derive(self, **changes: Any) -> "Card":
        """Return the card of a task based on this one, with some fields changed.

        Raises
        ------
        pydantic.ValidationError
            If a changed field does not fit.
        """
        own = {"base": self.name, "changes": "", "breaks": ""}
        return Card(**{**dict(self), **own, **changes})

    def then(self, effect: str, **changes: Any) -> "Card":
        """Return the card of the same task with one more effect on its spectra or labels.

        Parameters
        ----------
        effect : str
            A phrase that is added to what the task changes.
        **changes
            Fields that the effect sets.

        Raises
        ------
        pydantic.ValidationError
            If a changed field does not fit.

        Examples
        --------
        >>> from starbench.tasks.registry import get_task
        >>> card = get_task("apogee-giants-snr50").card
        >>> card.then("masks the edges of detectors").changes
        'adds Gaussian noise of SNR 50 per pixel; masks the edges of detectors'
        """
        both = "; ".join(phrase for phrase in (self.changes, effect) if phrase)
        return Card(**{**dict(self), "changes": both, **changes})
