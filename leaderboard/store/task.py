"""What the leaderboard needs to know of a task: its data, its base task and its noise."""

import math
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple, Protocol

import numpy as np

from starbench.tasks import registry
from starbench.tasks.base import Task
from starbench.tasks.card import Card
from starbench.tasks.errors import DataError
from starbench.tasks.registry import get_task


class BoardTask(Protocol):
    """The part of `starbench.tasks.base.Task` that the leaderboard uses."""

    @property
    def version(self) -> int:
        """Raised whenever the data change."""

    @property
    def nuisance_names(self) -> tuple[str, ...]:
        """Names of the nuisance factors."""

    @property
    def elements(self) -> tuple[str, ...]:
        """Names of the composition's columns."""

    def sizes(self, scale: str) -> Mapping[str, int]:
        """Return the number of pairs of each split."""

    def fingerprint(self, scale: str) -> str:
        """Return a short digest of the data."""

    def drawn_labels(self, split: str, scale: str) -> tuple[np.ndarray, np.ndarray | None]:
        """Draw nuisance [n_pairs, 2, n_nuisance] and composition [n_pairs, n_elements]."""


def task_of_rows(name: str, **options: Any) -> Task:
    """Return the task that rows name, with the options of `starbench.tasks.registry.get_task`.

    Raises
    ------
    DataError
        If it is not installed here, or cannot be loaded.
    """
    try:
        return registry.get_task(name, **options)
    except DataError as error:
        if name in registry.task_names():
            raise
        raise DataError(
            f"The row is on the task {name}, which is not installed here; install the package that "
            "registers it, or leave out the row."
        ) from error


def installed_task(name: str) -> Task | None:
    """Return the task that rows name, None where it is not installed here."""
    try:
        return registry.get_task(name)
    except DataError:
        return None


class TaskFacts(NamedTuple):
    """What sorts tasks and groups them in figures.

    Attributes
    ----------
    base : str
        The noiseless task that a noise track is based on, or the task itself.
    snr : float
        Signal-to-noise ratio per pixel; infinite without noise.
    """

    base: str
    snr: float


def task_facts(name: str) -> TaskFacts:
    """Return base task and SNR of a task, from its card.

    A task that is not installed here stands alone, without noise.

    Examples
    --------
    >>> task_facts("apogee-giants-snr50")
    TaskFacts(base='apogee-giants', snr=50.0)
    """
    card = card_of(name)
    if card is None:
        return TaskFacts(name, math.inf)
    return TaskFacts(card.base or card.name, math.inf if card.snr is None else card.snr)


@cache  # a card comes with its whole task, and pages ask for that of each row several times
def card_of(name: str) -> Card | None:
    """Return the card of a task, None where it is not installed here."""
    try:
        return get_task(name).card
    except DataError:
        return None


def task_order(name: str) -> tuple[str, float, str]:
    """Return the key that sorts a task before its noise tracks, and those by decreasing SNR."""
    base, snr = task_facts(name)
    return base, -snr, name
