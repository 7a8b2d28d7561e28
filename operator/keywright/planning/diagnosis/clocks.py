"""Whose clock is wrong. Pure.

Two clocks that differ do not say which is wrong; of three, two that agree do.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from keywright.planning.diagnosis.finding import Check, ok, wrong

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keywright.planning.diagnosis.finding import Finding

__all__ = ["Reading", "of_clocks"]

_TOLERATED: Final = timedelta(seconds=30)
"""Clocks that are set from the network differ by milliseconds; past half a minute tokens and certificates just made are refused."""


_NAMED: Final = 5
"""Clocks that a line names."""


class Reading(NamedTuple):
    """A clock, and how far it is ahead of this machine's, as near as a second."""

    whose: str
    ahead: timedelta


def of_clocks(readings: Sequence[Reading]) -> list[Finding]:
    """`readings`: all but this machine's own."""
    clocks = [Reading("this machine", timedelta(0)), *readings]
    agreeing = [[other for other in clocks if abs(other.ahead - one.ahead) <= _TOLERATED] for one in clocks]
    most = max(len(group) for group in agreeing)
    right = next(group for group in agreeing if len(group) == most)
    odd = [one for one in clocks if one not in right]
    if not odd:
        if not readings:
            return []
        return [ok(Check.CLOCK, f"{_all(clocks)} agree")]
    if most == 1 or 2 * most == len(clocks):
        pairs = ", ".join(f"{_possessive(one.whose)} {_said(one.ahead)}" for one in readings if one in odd)
        return [
            wrong(
                Check.CLOCK,
                f"clocks differ, and which is right cannot be told from here: beside this machine's, {pairs}",
                "set them by NTP (timedatectl), this machine's first",
            )
        ]
    reference = right[len(right) // 2].ahead
    return [_off(one, one.ahead - reference, right) for one in odd]


def _off(one: Reading, ahead: timedelta, right: Sequence[Reading]) -> Finding:
    what = f"{_possessive(one.whose)} clock {_said(ahead)} (against {_all(right)})"
    if one.whose == "this machine":
        remedy = "set this machine's clock by NTP (timedatectl); the cluster is not touched by it"
    elif one.whose.startswith("the operator"):
        remedy = (
            "set the clock of the node that its pod runs on by NTP: expiry, renewals and schedules are reckoned by it"
        )
    elif one.whose == "the apiserver":
        remedy = "set the clocks of the control plane's nodes by NTP: tokens and ages are reckoned by them"
    else:
        remedy = "tell whoever runs it: the last days of keys are reckoned by it"
    return wrong(Check.CLOCK, what, remedy)


def _possessive(whose: str) -> str:
    return f"{whose}'s"


def _said(ahead: timedelta) -> str:
    seconds = abs(ahead.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if seconds >= 2 * size or unit == "s":
            return f"is {seconds / size:.0f} {unit} {'ahead' if ahead > timedelta(0) else 'behind'}"
    return "is right"


def _all(clocks: Sequence[Reading]) -> str:
    names = [one.whose for one in clocks]
    if len(names) > _NAMED:
        names[_NAMED - 1 :] = [f"{len(names) - _NAMED + 1} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
