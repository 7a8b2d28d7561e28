"""Showing progress to people: a bar on a terminal, plain lines in a pipe or a CI log."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.table import Column

from keywright.devcluster.progress import Building, Note, Progress, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

__all__ = ["shown"]

_STEP = 38  # characters: "(3/3) kube-controller-manager v1.37.12"
_SHORTEST_STEP = 12
_BAR = 14
_TIMES = 24  # "10:00, about 10 min left"
_LATEST = 20
_PLAIN_EVERY = 30.0  # seconds between two lines of a step


@contextmanager
def shown(console: Console) -> Iterator[Report]:
    """A report that writes to `console` while the block runs."""
    if console.is_terminal:
        with _Bar(console) as report:
            yield report
    else:
        yield _Lines(console)


class _Lines:
    """A line when a step begins, every half minute, and at its end."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._spoke = 0.0

    def __call__(self, progress: Progress) -> None:
        match progress:
            case Note(text):
                self._say(text)
            case Building(finished=True):
                self._say(f"{_step(progress)}: built in {_clock(progress.elapsed)}")
            case Building(elapsed=0.0):
                self._say(f"{_step(progress)}: building, about {_about(progress.remaining)} for all that is left")
            case Building():
                if self._clock() - self._spoke >= _PLAIN_EVERY:
                    self._say(f"{_step(progress)}: {_clock(progress.elapsed)}, about {_about(progress.remaining)} left")

    def _say(self, text: str) -> None:
        self._spoke = self._clock()
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class _Bar:
    """One bar for all steps, which appears with the first of them."""

    def __init__(self, console: Console) -> None:
        # Widths are given: rich would take the room for the longest text from the bar, until none is left of it.
        step = max(_SHORTEST_STEP, min(_STEP, console.width - _BAR - _TIMES - 3))
        self._bars = Bars(
            TextColumn("{task.description}", table_column=Column(width=step, no_wrap=True)),
            BarColumn(bar_width=None, table_column=Column(width=_BAR)),
            TextColumn("{task.fields[times]}", table_column=Column(width=_TIMES, no_wrap=True)),
            TextColumn("[dim]{task.fields[latest]}", table_column=Column(no_wrap=True)),
            console=console,
            transient=True,
        )
        self._room = max(0, console.width - _STEP - _BAR - _TIMES - 3 - 1)
        self._task: TaskID | None = None

    def __enter__(self) -> Report:
        self._bars.start()
        return self._report

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def _report(self, progress: Progress) -> None:
        match progress:
            case Note(text):
                self._bars.console.print(text, markup=False, highlight=False)
            case Building():
                if self._task is None:
                    self._task = self._bars.add_task("", total=1.0, times="", latest="")
                self._bars.update(
                    self._task,
                    completed=progress.fraction,
                    description=_step(progress),
                    times=f"{_clock(progress.elapsed)}, about {_about(progress.remaining)} left",
                    latest=_short(progress.latest, self._room),
                )
                if progress.finished:
                    self._bars.console.print(
                        f"{_step(progress)}: built in {_clock(progress.elapsed)}", markup=False, highlight=False
                    )


def _step(progress: Building) -> str:
    # Parentheses, since square brackets are rich's own.
    return f"({progress.number}/{progress.total}) {progress.binary}"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _about(seconds: float) -> str:
    """Estimates are rough, and say so by their unit."""
    if seconds < 90:  # noqa: PLR2004 - below that, minutes are too rough
        return f"{max(5, round(seconds / 5) * 5)} s"
    return f"{round(seconds / 60)} min"


def _short(text: str, room: int) -> str:
    """Nothing where there is hardly room; the end of a package's name says more than its beginning."""
    text = text.replace("[", "(")
    if room < _LATEST:
        return ""
    return text if len(text) <= room else f"…{text[len(text) - room + 1 :]}"
