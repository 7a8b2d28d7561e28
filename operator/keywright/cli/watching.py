"""Showing what is waited for: a table that moves on a terminal, a line for each change in a pipe."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

import typer
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from keywright.cli.output import printable, say
from keywright.planning.trigger import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from keywright.planning.trigger import Answer

__all__ = ["Watching", "watching"]

_PICTURES: Final = 8
"""A second: enough for a spinner to turn."""
_MARKS: Final = {State.DONE: ("✓", "green"), State.FAILED: ("✗", "red")}


class Watching(Protocol):
    """Hears how far each is."""

    def tell(self, name: str, answer: Answer) -> None:
        """May say the same again and again."""
        ...


@contextmanager
def watching(names: Sequence[str]) -> Iterator[Watching]:
    """Shows these names, in this order, while the block runs."""
    console = Console()
    if not console.is_terminal:
        yield _Lines()
        return
    moving = _Moving(names, time.monotonic)
    with Live(get_renderable=moving.table, console=console, refresh_per_second=_PICTURES, vertical_overflow="visible"):
        yield moving


class _Lines:
    """Changes on stderr, with what became of it on stdout; what failed on stderr, too."""

    def __init__(self) -> None:
        self._said: dict[str, Answer] = {}

    def tell(self, name: str, answer: Answer) -> None:
        """Once each."""
        if self._said.get(name) == answer:
            return
        self._said[name] = answer
        text = f"{name}: {printable(answer.message)}"
        if answer.state is State.DONE:
            say(text)
        else:
            typer.echo(f"keywright: {text}" if answer.state is State.FAILED else text, err=True)


class _Moving:
    """A row each: a mark, the name, how far it is, and for how long it has waited."""

    def __init__(self, names: Sequence[str], clock: Callable[[], float]) -> None:
        """`clock` gives seconds."""
        self._clock = clock
        self._begun = clock()
        self._took: dict[str, float] = {}
        self._answers: dict[str, Answer | None] = dict.fromkeys(names)
        self._spinner = Spinner("dots")

    def tell(self, name: str, answer: Answer) -> None:
        """What is done or failed stands still."""
        self._answers[name] = answer
        if answer.state is not State.WAITING:
            self._took.setdefault(name, self._clock() - self._begun)

    def table(self) -> Table:
        """As it is now."""
        table = Table.grid(padding=(0, 1))
        for column in ("", "bold", ""):
            table.add_column(style=column, overflow="fold")
        table.add_column(justify="right", style="dim", no_wrap=True)
        for name, answer in self._answers.items():
            mark = _MARKS.get(answer.state) if answer else None
            took = self._took.get(name, self._clock() - self._begun)
            table.add_row(
                Text(*mark) if mark else self._spinner,
                Text(name),
                Text(printable(answer.message) if answer else "Asking."),
                f"{took:.0f} s",
            )
        return table
