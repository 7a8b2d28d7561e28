"""One thing that was looked at: well, worth knowing, or wrong and what to do about it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Check", "Finding", "State", "clause", "counted", "folded", "halves", "note", "ok", "ordered", "wrong"]

_NAMED: Final = 3
"""Things of one kind that a line names, and lines of one kind that a screen shows: what to do is the same for all."""


class Check(StrEnum):
    """What is looked at; what may be the cause of others comes first."""

    APISERVER = "apiserver"
    KINDS = "kinds"
    RIGHTS = "rights"
    OPERATOR = "operator"
    CLOCK = "clock"
    ISSUERS = "issuers"
    VAULT = "vault"
    DELETION = "deletion"
    APIKEYS = "apikeys"


class State(StrEnum):
    """How it is, the worst first."""

    WRONG = "wrong"
    NOTE = "note"
    """Nothing is broken by it, or it could not be looked at."""
    OK = "ok"


@dataclass(frozen=True, slots=True)
class Finding:
    """`text`: what is so; `remedy`: what to do, always there where it is wrong. Clauses without a full stop.

    `reason`: the CamelCase word that a status gives for it; `objects`: all that it is about, where the text counts them.
    """

    check: Check
    state: State
    text: str
    remedy: str = ""
    reason: str = ""
    objects: tuple[str, ...] = ()


def wrong(check: Check, text: str, remedy: str) -> Finding:
    """Something to be mended."""
    return Finding(check, State.WRONG, text, remedy)


def note(check: Check, text: str, remedy: str = "") -> Finding:
    """Something to know."""
    return Finding(check, State.NOTE, text, remedy)


def ok(check: Check, text: str) -> Finding:
    """Nothing to do."""
    return Finding(check, State.OK, text)


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first, causes before what follows from them."""
    states, checks = list(State), list(Check)
    return sorted(findings, key=lambda f: (states.index(f.state), checks.index(f.check)))


def folded(findings: Sequence[Finding]) -> list[Finding]:
    """The same for a screen: one for each reason, a few of what has none, and how many more there are."""
    shown: list[Finding] = []
    for state in State:
        for check in Check:
            groups: dict[str, list[Finding]] = {}
            for finding in findings:
                if (finding.state, finding.check) == (state, check):
                    groups.setdefault(finding.reason, []).append(finding)
            for reason, same in groups.items():
                most = 1 if reason else _NAMED
                few = len(same) <= most + 1
                shown += same if few else same[:most]
                if not few:
                    of_which = f"of reason {reason}" if reason else "like these"
                    shown.append(
                        Finding(check, state, f"and {len(same) - most} more {of_which}; -o json names them all")
                    )
    return ordered(shown)


def counted(names: Iterable[str], one: str) -> str:
    """`ApiKey a`, `2 ApiKeys (a, b)`, `9 ApiKeys (a, b, c, …)`; `one`: what one of them is called."""
    all_of_them = sorted(names)
    if len(all_of_them) == 1:
        return f"{one} {all_of_them[0]}"
    more = ", …" if len(all_of_them) > _NAMED else ""
    return f"{len(all_of_them)} {one}s ({', '.join(all_of_them[:_NAMED])}{more})"


def halves(message: str) -> tuple[str, str]:
    """What is wrong and what to do, of a sentence that says both, as messages of conditions do; "": it says one only."""
    what, _, remedy = message.strip().removesuffix(".").partition("; ")
    return what, remedy


def clause(remedy: str) -> str:
    """A remedy of api/reasons.py, a sentence, as the doctor writes one."""
    return f"{remedy[0].lower()}{remedy[1:].removesuffix('.')}"
