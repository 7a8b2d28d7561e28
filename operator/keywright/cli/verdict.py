"""How findings look: folded beside a mark on a terminal, a line each in a pipe; what is wrong first, with the remedy below it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from keywright.cli.output import printable, say
from keywright.planning.diagnosis.finding import State, folded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keywright.planning.diagnosis.finding import Finding

__all__ = ["say_findings"]

_MARKS: Final = {State.WRONG: ("✗", "red"), State.NOTE: ("!", "yellow"), State.OK: ("✓", "green")}


def say_findings(findings: Sequence[Finding], namespace: str | None) -> None:
    """`namespace`: the only one that was looked at; None: all."""
    console = Console()
    shown = folded(findings)
    if console.is_terminal:
        console.print(Text(_summary(findings, namespace), style="bold"))
        console.print()
        console.print(_table(shown))
        return
    say(_summary(findings, namespace))
    for finding in shown:
        remedy = f" → {printable(finding.remedy)}" if finding.remedy else ""
        say(f"{finding.state:<5}  {finding.check:<9}  {printable(finding.text)}{remedy}")


def _summary(findings: Sequence[Finding], namespace: str | None) -> str:
    count = {state: sum(finding.state is state for finding in findings) for state in State}
    where = f" (namespace {namespace} alone was looked at)" if namespace else ""
    wrong = count[State.WRONG]
    head = "Nothing is wrong" if not wrong else "1 thing is wrong" if wrong == 1 else f"{wrong} things are wrong"
    notes = f", {count[State.NOTE]} to know" if count[State.NOTE] else ""
    return f"{head}{notes}, {count[State.OK]} ok{where}."


def _table(findings: Sequence[Finding]) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        table.add_row(Text(*_MARKS[finding.state]), Text(printable(finding.text)))
        if finding.remedy:
            table.add_row(
                "", Text(f"→ {printable(finding.remedy)}", style="bold" if finding.state is State.WRONG else "")
            )
    return table
