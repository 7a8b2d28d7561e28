"""`make year`: a thousand ApiKeys that are created together live through 2028, and docs/year.svg shows what they ask of the platform.

By the planner's own arithmetic, two seconds for each delivery, no clock and no chance: the same picture each time.
"""

from __future__ import annotations

import calendar
import sys
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tests.planning.builders import an_api_key
from tests.planning.lives import DAY, Fields, Life

from keywright.api.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

BEGINS: Final = datetime(2028, 1, 1, 8, tzinfo=UTC)
"""All keys are made in the seconds after this."""
ENDS: Final = datetime(2029, 1, 1, tzinfo=UTC)
PICTURE: Final = Path("docs/year.svg")


class Policy(NamedTuple):
    """What some of the keys have in common; `fields` say what its schedule means."""

    count: int
    validity: str | None
    rotation: dict[str, str]
    fields: Fields | None = None


def scheduled(  # noqa: PLR0917 -- reads as a row of a table below
    count: int,
    text: str,
    zone: str,
    on: Callable[[date], bool],
    hour: int,
    minute: int = 0,
    validity: str | None = None,
) -> Policy:
    """By the local clock of a zone, once on each day `on`."""
    rotation = {"schedule": text, "timeZone": zone, "overlap": "1h"}
    return Policy(count, validity, rotation, Fields(text, frozenset({minute}), frozenset({hour}), on))


POLICIES: Final = (
    Policy(250, "90d", {}),
    Policy(150, "90d", {"renewBefore": "15d"}),
    Policy(200, "30d", {}),
    Policy(100, "30d", {"renewBefore": "50%"}),
    Policy(100, "365d", {"renewBefore": "33%"}),
    Policy(40, "7d", {}),
    Policy(5, "1d", {}),
    Policy(20, "10d", {"renewBefore": "30d"}),
    scheduled(40, "0 3 1 * *", "Europe/Paris", lambda day: day.day == 1, 3, validity="90d"),
    scheduled(25, "30 2 * * SUN", "Europe/Paris", lambda day: day.isoweekday() == 7, 2, 30),
    scheduled(20, "15 2 * * SUN", "Australia/Lord_Howe", lambda day: day.isoweekday() == 7, 2, 15),
    scheduled(20, "0 3 1,15 * *", "Asia/Kathmandu", lambda day: day.day in (1, 15), 3, validity="90d"),
    scheduled(5, "30 1 * * *", "America/New_York", lambda _: True, 1, 30),
    scheduled(10, "0 3 29 2 *", "UTC", lambda day: (day.month, day.day) == (2, 29), 3),
    Policy(15, None, {}),
)


def a_year() -> list[tuple[Policy, Life]]:
    """Every key's whole year."""
    lives = []
    for policy in POLICIES:
        fields: dict[str, Any] = {"expiry": {"validity": policy.validity} if policy.validity else None}
        spec = an_api_key(**fields, rotation=policy.rotation or None)
        for _ in range(policy.count):
            number = len(lives)
            life = Life(spec, BEGINS + timedelta(seconds=number), uid=f"uid-{number}")
            life.run(ENDS)
            lives.append((policy, life))
    return lives


def per_day(lives: Iterable[Life], *, by_schedule: bool) -> Counter[date]:
    """Replacements on each day of UTC; the first keys are not counted."""
    return Counter(
        at.date() for life in lives for at, reason in life.issued[1:] if (reason == Reason.SCHEDULED) is by_schedule
    )


STYLE: Final = (
    "text{font:12px sans-serif;fill:#57606a}.axis{stroke:#8c959f}.spread{fill:#218bff}.fixed{fill:#d4741c}"
    "@media(prefers-color-scheme:dark){text{fill:#9ea7b3}.axis{stroke:#6e7681}}"
)
WIDE, HIGH, LEFT, TOP = 2, 220, 46, 34
"""Of a day, of all, and what is left of and above the bars, in pixels."""


def picture(spread: Counter[date], fixed: Counter[date]) -> str:
    """A bar for each day: what jitter spreads below, what a schedule asks for on top; readable on light and on dark."""
    days = [BEGINS.date() + i * DAY for i in range((ENDS - BEGINS).days + 1)]
    most = -(-max(spread[day] + fixed[day] for day in days) // 20) * 20
    scale, width = HIGH / most, LEFT + WIDE * len(days) + 12
    mean = round(spread.total() / len(days))
    said = f"before the last day, with jitter ({mean} a day in the mean, {max(spread.values())} at most)"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {TOP + HIGH + 26}" role="img">',
        f"<title>Keys issued per day in 2028, for a thousand ApiKeys created together</title><style>{STYLE}</style>",
        f'<rect class="spread" x="{LEFT}" y="8" width="10" height="10"/>',
        f'<text x="{LEFT + 15}" y="17">{said}</text>',
        f'<rect class="fixed" x="{LEFT + 420}" y="8" width="10" height="10"/>',
        f'<text x="{LEFT + 435}" y="17">by a schedule, to the minute</text>',
    ]
    for value in range(0, most + 1, 20):
        y = TOP + HIGH - value * scale
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value}</text>')
        parts.append(f'<path class="axis" d="M{LEFT} {y:.1f}h{WIDE * len(days)}" opacity="{0.25 if value else 1}"/>')
    for i, day in enumerate(days):
        x, y = LEFT + WIDE * i, float(TOP + HIGH)
        for name, count in (("spread", spread[day]), ("fixed", fixed[day])):
            y -= count * scale
            if count:
                parts.append(f'<rect class="{name}" x="{x}" y="{y:.1f}" width="{WIDE}" height="{count * scale:.1f}"/>')
        if day.day == 1:
            parts.append(f'<text x="{x}" y="{TOP + HIGH + 16}">{calendar.month_abbr[day.month]}</text>')
    return "\n".join([*parts, "</svg>", ""])


def drawn(lives: list[tuple[Policy, Life]]) -> str:
    """The picture of a year."""
    return picture(*(per_day((life for _, life in lives), by_schedule=by_schedule) for by_schedule in (False, True)))


if __name__ == "__main__":
    PICTURE.write_text(drawn(a_year()), encoding="utf-8")
    sys.stdout.write(f"wrote {PICTURE}\n")
