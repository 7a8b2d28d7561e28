"""How `keywright status` looks: what is wrong and what to do first, then what is due, then one line in numbers. Pure.

Made of rich's Text only: nothing that comes from outside is read as markup. On a terminal all fits one screen; a pipe gets every
line, whole.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.text import Text

from keywright.api.apikey import called
from keywright.cli.output import printable
from keywright.planning.spans import exact, relative, span

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from keywright.api.report import FleetReport, KeyReport, ObjectName, OperatorReport, Problem

__all__ = ["Screen", "changes", "detail", "fleet"]

_FEWEST_ROWS: Final = 5
_MOST_PROBLEMS: Final = 6
_LONGEST_NAME: Final = 40
_NAMED: Final = 3
"""ApiKeys that a problem names; the rest is counted."""
_STYLES: Final = {"NeedsPerson": "bold red", "Retrying": "yellow", "Notice": "cyan"}
_STATES: Final = {
    "Ready": "green",
    "Issuing": "cyan",
    "Retrying": "yellow",
    "Stalled": "bold red",
    "Suspended": "dim",
    "Deleting": "dim",
    "Unobserved": "bold red",
}
_ACTIONS: Final = {
    "Renew": "renews",
    "Rotate": "rotates",
    "Revoke": "older key ends",
    "Retry": "tries again",
    "Release": "goes",
    "Expire": "ends",
    "Issue": "issues",
}
_TABLE: Final = ("STATE", "NEXT", "EXPIRES", "KEY", "WORKSPACE", "ISSUER", "TARGET")
_FIRST_TO_GO: Final = ("TARGET", "ISSUER", "WORKSPACE", "KEY", "EXPIRES")
"""Columns that a narrow terminal does without."""
_SHORTENED: Final = {"NAME": 20, "NAMESPACE": 16, "WORKSPACE": 12}
"""Columns that are cut to so many characters before a column of the first need goes."""


@dataclass(frozen=True, slots=True)
class Screen:
    """Where it is shown. `width`, `height` None: a pipe, which gets all. `glyphs`: whether it can show more than ASCII."""

    width: int | None
    height: int | None
    glyphs: bool

    def mark(self, severity: str) -> str:
        """The sign before a problem."""
        marks = (
            {"NeedsPerson": "✗", "Retrying": "!", "Notice": "·"} if self.glyphs else {"NeedsPerson": "x", "Notice": "-"}
        )
        return marks.get(severity, "!")

    @property
    def more(self) -> str:
        """Stands for what was cut off."""
        return "…" if self.glyphs else "~"

    def cut(self, text: str, width: int | None) -> str:
        """No longer than that; in a pipe, whole."""
        if self.width is None or width is None or len(text) <= width:
            return text
        return f"{text[: width - 1]}{self.more}"

    def wrapped(self, text: str, indent: str, style: str = "", *, first: str | None = None) -> list[Text]:
        """A sentence that goes on below itself; in a pipe, one line. `first`: the indentation of its first line."""
        text, first = printable(text), indent if first is None else first
        if self.width is None:
            return [Text(first + text, style=style)]
        width = max(20, self.width - 1)
        lines = textwrap.wrap(text, width, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False)
        return [Text(line, style=style) for line in lines]


def fleet(report: FleetReport, screen: Screen) -> list[Text]:
    """The whole fleet."""
    top = _problems(report.problems, screen, report.at)
    foot = _foot(report, screen)
    if not report.api_keys:
        where = f"in namespace {report.namespace}; -A looks in all" if report.namespace else "in any namespace"
        return [*top, Text(f"There are no ApiKeys {where}."), *foot[1:]]
    room = None if screen.height is None else max(_FEWEST_ROWS, screen.height - len(top) - len(foot) - 4)
    return [*top, *_table(report, screen, room), Text(), *foot]


def detail(report: FleetReport, screen: Screen) -> list[Text]:
    """One ApiKey in full: `report` holds it alone, with its detail."""
    [key] = report.api_keys
    assert key.detail is not None, "it was asked for by name"
    more, now = key.detail, report.at
    lines = [Text.assemble((f"{key.namespace}/{key.name}", "bold"), "  ", (key.state, _STATES[key.state])), Text()]
    lines += [part for text in more.why for part in screen.wrapped(text, "  ")]
    fields: list[tuple[str, str | None]] = [
        ("Key", _and_id(key.masked_key, more.key_id)),
        (
            "Workspace",
            _and_id(key.workspace.name or key.wanted_workspace, key.workspace.id)
            if key.workspace
            else key.wanted_workspace,
        ),
        (
            "Issuer",
            called(key.issuer.kind, key.issuer.name) + _state_of(report, key.issuer.kind) if key.issuer else None,
        ),
        ("Target", _target(key)),
        ("Issued", f"{_when(more.issued_at, now)}, revision {more.revision}" if more.issued_at else None),
        ("Expires", _when(key.expires_at, now) if key.expires_at else "never" if key.masked_key else None),
        ("Renews", _when(key.renewal_time, now) if key.renewal_time else None),
        ("Last used", str(more.last_used) if more.last_used else None),
        ("Restarts", ", ".join(called(r.kind, r.name) for r in more.restart) or None),
    ]
    fields += [("Older key", f"{p.key_id}, until {_when(p.revoke_at, now)}") for p in more.previous]
    if more.attempt:
        fields.append(
            ("Attempt", f"{more.attempt.id}, begun {_when(more.attempt.started_at, now)}, for {more.attempt.reason}")
        )
    fields += [
        (e.kind, f"{e.name}: {_rolled(e.restarted_at, e.trouble, now)}")
        for e in (more.rollout.pending if more.rollout else ())
    ]
    lines += [
        Text(),
        *(part for name, value in fields if value for part in screen.wrapped(value, " " * 14, first=f"  {name:<12}")),
    ]
    lines += [Text(), Text("Conditions", style="bold")]
    for c in more.conditions:
        head = f"  {c.type:<12}{c.status}, {c.reason}, for {span(now - c.last_transition_time)}: "
        lines += screen.wrapped(c.message, " " * 14, first=head)
    lines += _events(key, screen, now)
    return (
        lines
        + _operator(report.operator, screen, now)
        + [part for text in report.unread for part in screen.wrapped(text, "", "yellow")]
    )


def changes(before: FleetReport | None, after: FleetReport) -> list[str]:
    """What is new, a line each, for a pipe that follows."""
    known = {(key.namespace, key.name): key for key in before.api_keys} if before else {}
    stamp = f"{after.at:%Y-%m-%dT%H:%M:%SZ}"
    lines = []
    for key in after.api_keys:
        old = known.pop((key.namespace, key.name), None)
        if old is None or _told(old) != _told(key):
            said = key.message or "Not looked at yet."
            lines.append(f"{stamp} {key.namespace}/{key.name} {key.state}: {printable(said)}")
    lines += [f"{stamp} {namespace}/{name} is gone." for namespace, name in known]
    for used, old_ones in (
        (after.issuers, before.issuers if before else []),
        (after.stores, before.stores if before else []),
    ):
        was = {(one.kind, one.namespace, one.name): one for one in old_ones}
        for one in used:
            old_one = was.get((one.kind, one.namespace, one.name))
            if one.message and (old_one is None or (old_one.reason, old_one.message) != (one.reason, one.message)):
                lines.append(f"{stamp} {called(one.kind, one.name)} {one.reason}: {printable(one.message)}")
    if before and before.operator.state != after.operator.state:
        lines.append(f"{stamp} operator {after.operator.state}")
    return lines


def _told(key: KeyReport) -> tuple[object, ...]:
    """What is worth a line where it changes."""
    return key.state, key.message, key.masked_key, key.older_keys


def _problems(problems: Sequence[Problem], screen: Screen, now: datetime) -> list[Text]:
    lines: list[Text] = []
    shown = problems if screen.height is None else problems[:_MOST_PROBLEMS]
    for problem in shown:
        lasts = f", for {span(now - problem.since)}" if problem.since and problem.since < now else ""
        about = f"{called(problem.source.kind, problem.source.name)}" if problem.source else _counted(problem.api_keys)
        style = _STYLES[problem.severity]
        head = f"{screen.mark(problem.severity)} {problem.reason}"
        room = screen.width and screen.width - len(head)
        lines.append(Text.assemble((head, style), screen.cut(f"  {printable(about)}{lasts}", room)))
        lines += screen.wrapped(problem.message, "  ")
        lines += screen.wrapped(problem.remedy, "    ", "bold", first="  → " if screen.glyphs else "  > ")
        lines += [part for text in _held(problem, now) for part in screen.wrapped(text, "  ", "dim")]
        lines.append(Text())
    if left := len(problems) - len(shown):
        lines += [Text(f"  and {left:,} more; | less shows all", style="yellow"), Text()]
    return lines


def _held(problem: Problem, now: datetime) -> list[str]:
    """Whom it holds up, and how pressing that is."""
    if not problem.api_keys:
        return []
    names = [f"{one.namespace}/{one.name}" for one in problem.api_keys]
    many = len(names) > 1 or problem.source is not None
    text = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else "")
    said = [text] if many else []
    if problem.not_ready:
        said.append(f"{problem.not_ready:,} without a key that works" if many else "no key that works")
    elif problem.first_expiry and problem.severity != "Notice":
        ends = relative(problem.first_expiry, now)
        said.append(f"the keys work, the first ends {ends}" if many else f"the key works, and ends {ends}")
    return ["; ".join(said)] if said else []


def _table(report: FleetReport, screen: Screen, room: int | None) -> list[Text]:
    shown = report.api_keys if room is None or len(report.api_keys) <= room else report.api_keys[: room - 1]
    columns: tuple[str, ...] = ("NAME", *_TABLE) if report.namespace else ("NAMESPACE", "NAME", *_TABLE)
    rows = [dict(zip(columns, _row(key, report.at, alone=bool(report.namespace)), strict=True)) for key in shown]
    widths = {c: max(len(c), *(len(row[c]) for row in rows)) for c in columns}
    if screen.width is not None:
        for name in ("NAMESPACE", "NAME", "WORKSPACE"):
            widths[name] = min(widths.get(name, 0), _LONGEST_NAME)
        columns = _fitting(columns, widths, screen.width)
    lines = [Text(_line([c.ljust(widths[c]) for c in columns]), style="bold")]
    for key, row in zip(shown, rows, strict=True):
        line = Text()
        for number, column in enumerate(columns):
            cell = screen.cut(row[column], widths[column]).ljust(widths[column])
            line.append(cell if number == 0 else f"  {cell}", style=_STATES[key.state] if column == "STATE" else "")
        line.rstrip()
        lines.append(line)
    if left := len(report.api_keys) - len(shown):
        lines.append(Text(f"{screen.more} and {left:,} that are due later; | less shows all", style="dim"))
    return lines


def _fitting(columns: Sequence[str], widths: dict[str, int], room: int) -> tuple[str, ...]:
    """The columns that there is room for; names are cut where the last ones do not fit."""
    kept = list(columns)
    for gone in _FIRST_TO_GO:
        if gone in _SHORTENED:
            for name, least in _SHORTENED.items():
                over = _width(kept, widths) - room
                if over > 0 and name in kept:
                    widths[name] = min(widths[name], max(least, widths[name] - over))
        if _width(kept, widths) <= room:
            break
        kept.remove(gone)
    return tuple(kept)


def _width(columns: Iterable[str], widths: dict[str, int]) -> int:
    return sum(widths[c] + 2 for c in columns) - 2


def _row(key: KeyReport, now: datetime, *, alone: bool) -> list[str]:
    cells = [
        *([] if alone else [key.namespace]),
        key.name,
        key.state,
        _next(key, now),
        relative(key.expires_at, now) if key.expires_at else "never" if key.masked_key else "",
        key.masked_key or "",
        (key.workspace.name if key.workspace else None) or key.wanted_workspace or "",
        called(key.issuer.kind, key.issuer.name) if key.issuer else "",
        key.place or "",
    ]
    return [printable(cell) for cell in cells]


def _next(key: KeyReport, now: datetime) -> str:
    """What is due, and when; where something is wrong, the word for it."""
    if key.state in ("Stalled", "Unobserved", "Retrying"):
        return key.reason or key.state
    step = key.next
    if step is None or step.action == "None":
        return "nothing due"
    what = _ACTIONS.get(step.action, step.action)
    return f"{what} {relative(step.at, now)}" if step.at else what


def _foot(report: FleetReport, screen: Screen) -> list[Text]:
    s = report.summary
    person = (
        f"{s.need_person:,} {'needs' if s.need_person == 1 else 'need'} a person"
        if s.need_person
        else "none needs a person"
    )
    ready = "all ready" if s.ready == s.total else f"{s.ready:,} ready"
    week = f"{s.renew_within_week:,} renew{'s' if s.renew_within_week == 1 else ''} within a week"
    lines = screen.wrapped(f"{_many(s.total)}: {ready}, {week}, {person}.", "", "bold")
    lines += _operator(report.operator, screen, report.at)
    return lines + [part for text in report.unread for part in screen.wrapped(text, "", "yellow")]


def _operator(operator: OperatorReport, screen: Screen, now: datetime) -> list[Text]:
    match operator.state:
        case "Working":
            text = f"Operator: {operator.holder} works (Lease {operator.lease})."
        case "Silent":
            ago = f", renewed last {relative(operator.renewed_at, now)}" if operator.renewed_at else ""
            text = f"Operator: none seems to work (Lease {operator.lease}{ago})."
        case _:
            text = "Operator: no Lease can be seen; what stands in the ApiKeys is all that is known of it."
    return screen.wrapped(text, "", "dim")


def _events(key: KeyReport, screen: Screen, now: datetime) -> list[Text]:
    assert key.detail is not None, "it was asked for by name"
    events = key.detail.events
    if events is None:
        return [Text(), *screen.wrapped("Events: you may not list them in this namespace.", "", "yellow"), Text()]
    lines = [
        Text(),
        Text("Events, newest last" if events else "No events within the hour that they are kept.", style="bold"),
    ]
    for event in events:
        head = f"  {relative(event.at, now):<12}{event.reason}: "
        lines += screen.wrapped(event.message, " " * 14, "yellow" if event.type == "Warning" else "", first=head)
    return [*lines, Text()]


def _target(key: KeyReport) -> str | None:
    target = key.detail.target if key.detail else None
    if target is None or not target.key:
        return key.place
    return f"{key.place}, {'field' if target.kind == 'Vault' else 'data key'} {target.key}"


def _state_of(report: FleetReport, kind: str) -> str:
    one = next((i for i in report.issuers if i.kind == kind), None)
    if one is None or one.ready is None:
        return ""
    return ", which works" if one.ready else f", which does not work ({one.reason})"


def _rolled(at: datetime | None, trouble: str | None, now: datetime) -> str:
    begun = f"restarted {relative(at, now)}, its rollout is waited for" if at else "to be restarted"
    return f"{begun}; it {trouble}" if trouble else begun


def _when(at: datetime | None, now: datetime) -> str:
    return f"{exact(at)} ({relative(at, now)})" if at else ""


def _and_id(name: str | None, uuid: str | None) -> str | None:
    return f"{name}  {uuid}" if name and uuid else name or uuid


def _counted(api_keys: Sequence[ObjectName]) -> str:
    if len(api_keys) == 1:
        return f"{api_keys[0].namespace}/{api_keys[0].name}"
    return _many(len(api_keys)) if api_keys else "the operator"


def _many(count: int) -> str:
    return "1 ApiKey" if count == 1 else f"{count:,} ApiKeys"


def _line(cells: Iterable[str]) -> str:
    return "  ".join(cells).rstrip()
