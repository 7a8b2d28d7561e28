"""The two sinks that scenarios are played on, and how one is declared that holds for one of them alone.

Nothing that is said of neither is left out by chance: tests/test_sinks.py holds each file of tests/e2e and tests/chaos to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SINKS", "Alone", "Case", "Sink", "alone", "alone_of", "case"]

Sink = Literal["secret", "vault"]
SINKS: Final[tuple[Sink, ...]] = ("secret", "vault")

F = TypeVar("F", bound="Callable[..., Any]")

_MARK = "holds_for"


@dataclass(frozen=True, slots=True)
class Alone:
    """The only sink that something holds for, and why, in words."""

    sink: Sink
    why: str


@dataclass(frozen=True, slots=True)
class Case:
    """A scenario's case that there is for one sink alone."""

    value: Any
    alone: Alone


def alone(sink: Sink, why: str) -> Callable[[F], F]:
    """Declare that a scenario, or a test, holds for one sink alone; written below the decorator that collects it."""

    def mark(play: F) -> F:
        setattr(play, _MARK, Alone(sink, why))
        return play

    return mark


def alone_of(play: Callable[..., Any]) -> Alone | None:
    """What was declared."""
    return getattr(play, _MARK, None)


def case(sink: Sink, why: str, value: Any) -> Case:
    """Declare that one case of a scenario is for one sink alone."""
    return Case(value, Alone(sink, why))
