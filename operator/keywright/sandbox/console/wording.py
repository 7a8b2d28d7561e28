"""Stored values in words: times, days to go, and who made a key."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from keywright.sandbox.store.keys import KeyRow

__all__ = ["Maker", "days_away", "maker", "name_parts"]

_TAGGED: Final = re.compile(r"(?P<label>.*?) ?\[kw/(?P<cluster>[a-z0-9-]{1,8})/[0-9a-f-]{8}/[a-z0-9]{8}\]", re.DOTALL)
"""How keywright names its keys: `<label> [kw/<cluster>/<ApiKey's uid>/<attempt>]`."""

_RESOURCE: Final = re.compile(r"[a-z0-9][a-z0-9.-]*/[a-z0-9][a-z0-9.-]*")
"""`<namespace>/<name>`: the label unless the ApiKey gives its own."""


@dataclass(frozen=True, slots=True)
class Maker:
    """Who made a key, and a second line about it."""

    who: str
    detail: str | None = None


def maker(key: KeyRow) -> Maker:
    """Who made a key, as far as its name and its user tell."""
    tagged = _TAGGED.fullmatch(key.name or "")
    if tagged is None:
        return Maker(key.created_by)
    detail = f"keywright, cluster {tagged['cluster']}, as {key.created_by}"
    if _RESOURCE.fullmatch(tagged["label"]):
        return Maker(f"ApiKey {tagged['label']}", detail)
    return Maker("an ApiKey with its own label", detail)


def name_parts(name: str) -> tuple[str, str]:
    """A key's name, cut in front of keywright's tag where it has one: both parts together are the name."""
    tagged = _TAGGED.fullmatch(name)
    label = name if tagged is None else tagged["label"]
    return label, name[len(label) :]


def days_away(day: str, today: str) -> str:
    """A date as seen from today, both YYYY-MM-DD."""
    days = (date.fromisoformat(day) - date.fromisoformat(today)).days
    match days:
        case 0:
            return "today"
        case 1:
            return "tomorrow"
        case -1:
            return "yesterday"
        case _:
            return f"in {days:,} days" if days > 0 else f"{-days:,} days ago"
