"""Showing progress to people: a bar on a terminal, plain lines in a pipe or a CI log."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from keywright.devcluster.progress import Building, Note, Progress, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

__all__ = ["shown"]

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
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[times]}"),
            TextColumn("[dim]{task.fields[latest]}"),
            console=console,
            transient=True,
        )
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
                    latest=_short(progress.latest),
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


def _short(text: str) -> str:
    return text.replace("[", "(")[:60]
