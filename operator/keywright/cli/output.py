"""How commands print: tables for people, aligned text for pipes, JSON or YAML for programs; progress on stderr."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import typer
import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from keywright.cli.options import OutputFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["printable", "progress", "say", "say_document", "say_table"]

_SILENT: Final = 2.0
"""Seconds that a command may take without a word."""


def printable(text: str) -> str:
    """One line without control characters: names come from outside, and a terminal obeys them."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def say(line: str) -> None:
    """One line on stdout."""
    typer.echo(line)


def say_table(columns: Sequence[str], rows: Sequence[Sequence[str]], whole: Sequence[str] = ()) -> None:
    """A table that folds on a terminal, less the columns that are `whole`; aligned text, a line a row, in a pipe."""
    console = Console()
    rows = [[printable(cell) for cell in row] for row in rows]
    if console.is_terminal:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold", no_wrap=column in whole)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        console.print(table)
        return
    widths = [max(len(line[i]) for line in (columns, *rows)) for i in range(len(columns))]
    for line in (columns, *rows):
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def say_document(output: OutputFormat, document: dict[str, Any]) -> None:
    """JSON or YAML."""
    if output is OutputFormat.YAML:
        say(yaml.safe_dump(document, sort_keys=False).rstrip())
    else:
        say(json.dumps(document, indent=2))


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Hears what is being done: shown in place on a terminal, a line every few seconds in a pipe; on stderr."""
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status("") as status:
            yield lambda text: status.update(Text(printable(text)))
        return
    spoke = time.monotonic()

    def line(text: str) -> None:
        nonlocal spoke
        if time.monotonic() - spoke >= _SILENT:
            spoke = time.monotonic()
            typer.echo(f"{printable(text)}…", err=True)

    yield line
