"""What is told while the control plane is found, built and started, and how long a build may still take.

The rest of the room only emits these values; `console.py` shows them. Nothing here prints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from keywright.devcluster.recipes import Recipe

__all__ = ["Building", "Forecast", "Note", "Progress", "Report", "silent"]

_REFERENCE_CORES = 2  # the machine on which the recipes' seconds were measured
_SLOWEST, _FASTEST = 8.0, 0.25  # a step found in Go's own cache says little about the next one


@dataclass(frozen=True, slots=True)
class Note:
    """One sentence, said once."""

    text: str


@dataclass(frozen=True, slots=True)
class Building:
    """Where a build stands; sent at the start of a step, about twice a second, and at its end.

    Durations are seconds. `fraction` is that of all steps together, and `remaining` their estimate.
    """

    binary: str
    number: int
    total: int
    elapsed: float
    fraction: float
    remaining: float
    latest: str
    finished: bool


Progress: TypeAlias = Note | Building
Report: TypeAlias = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """A report for callers that show nothing."""


class Forecast:
    """Estimates from the recipes' figures, scaled by the cores here and by how long earlier steps really took."""

    def __init__(self, recipes: tuple[Recipe, ...], *, cores: int) -> None:
        """`recipes`: the steps, in their order."""
        self._figures = [recipe.seconds * _REFERENCE_CORES / max(cores, 1) for recipe in recipes]
        self._took: list[float] = []

    def finish(self, took: float) -> None:
        """The running step took so many seconds: the next one is scaled by it."""
        self._took.append(took)

    def remaining(self, elapsed: float) -> float:
        """Seconds to go for the running step and all after it; `elapsed` of the running step."""
        running, *later = [figure * self._scale() for figure in self._figures[len(self._took) :]]
        return max(running - elapsed, elapsed * 0.1) + sum(later)

    def fraction(self, elapsed: float) -> float:
        """Of all steps together, below 1 until the last one is finished."""
        if len(self._took) == len(self._figures):
            return 1.0
        spent = sum(self._took) + elapsed
        return spent / (spent + self.remaining(elapsed))

    def _scale(self) -> float:
        if not self._took:
            return 1.0
        return min(_SLOWEST, max(_FASTEST, sum(self._took) / sum(self._figures[: len(self._took)])))
