"""Hypothesis plays histories, a batch from one seed, and shrinks one that breaks an invariant to the shortest that does."""

from __future__ import annotations

import gc
import logging
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from tests.simulation.history import History, histories
from tests.simulation.world import Violation, play

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BATCH", "Found", "search", "told", "told_for_some_seed"]

BATCH: Final = 200
"""Histories of one seed: so few that a failing batch is played again in seconds."""
_RARELY: Final = 20_000
"""Objects made between two looks for garbage. With Python's own 700, looks take a twentieth of the time."""
_RACES: Final = 40
"""Orders in which what is going on at once may happen."""


@dataclass(frozen=True, slots=True)
class Found:
    """A history that breaks an invariant, `after` how many that do not, shrunk."""

    history: History
    problem: str
    after: int
    trace: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join((str(self.history), "", *self.trace, "", self.problem))


def search(from_seed: int, count: int = BATCH, *, shrink: bool = True) -> Found | None:
    """Play so many histories; the first that breaks an invariant, as short as it can be made unless told otherwise."""
    played = 0
    after = 0
    shortest: History | None = None

    @seeded(from_seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        derandomize=False,
        report_multiple_bugs=False,
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(histories())
    def one(history: History) -> None:
        nonlocal played, after, shortest
        played += 1
        try:
            play(history)
        except Violation:
            after = after or played
            shortest = history
            raise

    with quiet():
        try:
            one()
        except Violation:
            assert shortest is not None
            return told(shortest, after)
    return None


def told(history: History, after: int = 1) -> Found | None:
    """Play it once more, and say what happens; None where all is well."""
    with quiet():
        try:
            play(history, keep_trace=True)
        except Violation as violation:
            return Found(history, str(violation), after, tuple(violation.trace))
    return None


def told_for_some_seed(history: History) -> Found | None:
    """The same with other delays, where processes race; the first seed that shows it."""
    seeds = range(history.seed, history.seed + _RACES)
    return next((found for seed in seeds if (found := told(replace(history, seed=seed)))), None)


@contextmanager
def quiet() -> Iterator[None]:
    """Thousands of operators would log their lives, and what stood here before them be looked through for garbage again and again."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    often = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_RARELY)
    try:
        yield
    finally:
        gc.set_threshold(*often)
        gc.unfreeze()
        logging.disable(before)
