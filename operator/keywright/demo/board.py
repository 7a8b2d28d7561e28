"""Everything that is known and has been said so far: what the view shows. No input or output of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from keywright.demo.life import Life, Saying

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from keywright.keys import ResourceKey

__all__ = ["Board", "Line"]


@dataclass(frozen=True, slots=True)
class Line:
    """Something that happened, `at` seconds after the start. `about` None: to the whole machinery."""

    at: float
    about: ResourceKey | None
    saying: Saying


@dataclass(slots=True)
class Board:
    """Lives by name, lines in order. `clock` gives seconds since the start; `tell` gets each line as it comes."""

    clock: Callable[[], float]
    tell: Callable[[Line], None]
    lives: dict[ResourceKey, Life] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    foot: tuple[str, ...] = ()

    def life(self, key: ResourceKey) -> Life:
        """The life of this key; a new one where none was known, or the last one of that name is over."""
        if key not in self.lives or self.lives[key].over:
            self.lives[key] = Life()
        return self.lives[key]

    def say(self, about: ResourceKey | None, sayings: Iterable[Saying]) -> None:
        """Write down and tell."""
        for saying in sayings:
            line = Line(self.clock(), about, saying)
            self.lines.append(line)
            self.tell(line)
