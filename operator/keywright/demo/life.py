"""The life of one key, from observations: which stages it has reached, and sentences about what is new. Pure.

Nothing here reads a clock, an object or a network: `reading.py` turns objects into these observations, `follower.py`
brings them in the order in which it sees them. Plaintexts do not come this far.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

__all__ = ["Delivered", "Held", "Life", "Saying", "Stage", "Standing", "span"]

_ABOUT_TO_END: Final = 1.0
"""Seconds: an old key with less than this left may be revoked between our question and the answer."""


class Stage(StrEnum):
    """In their order; the value heads a column."""

    REQUESTED = "requested"
    ISSUED = "issued"
    DELIVERED = "delivered"
    PROVED = "proved"
    ROTATED = "rotated"
    REFUSED = "old refused"
    DELETED = "deleted"

    @property
    def word(self) -> str:
        """As it stands in a line, where "old" is said in the sentence."""
        return "refused" if self is Stage.REFUSED else self.value


@dataclass(frozen=True, slots=True)
class Saying:
    """One thing that happened, in a word and a sentence."""

    word: str
    sentence: str
    trouble: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What an ApiKey says of itself.

    `previous`: ids of older keys that still live, and the seconds until each is revoked. `triggers`: the values of its
    trigger annotations.
    """

    wanted: str
    ready: bool = False
    reason: str = ""
    message: str = ""
    stalled: bool = False
    deleting: bool = False
    retains: bool = False
    key_id: str | None = None
    previous: Mapping[str, float] = field(default_factory=dict)
    triggers: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a Secret says of the key in it. `kind`: how such a place is called, where it is another."""

    key_id: str
    masked: str
    secret: str
    data_keys: tuple[str, ...]
    expires_on: date | None
    kind: str = "Secret"

    @property
    def place(self) -> str:
        """For a sentence."""
        return f"{self.kind} {self.secret}"


@dataclass(slots=True)
class Held:
    """One key; `works` is the issuer's last answer to a call with it, None before the first."""

    key_id: str
    masked: str
    works: bool | None = None


@dataclass(slots=True)
class Life:
    """One key's life so far. `at` everywhere: seconds on the caller's clock.

    `goal` is the stage that somebody waits for: until then the next stage counts as under way. `reached` says how long
    each stage took, in seconds since it was asked for.
    """

    goal: Stage | None = None
    reached: dict[Stage, float] = field(default_factory=dict)
    standing: Standing | None = None
    delivered: Delivered | None = None
    current: Held | None = None
    older: list[Held] = field(default_factory=list)
    _last: Standing | None = None
    _asked_at: float = 0.0
    _announced: bool = False
    _timed: bool = False
    _kind: str = "Secret"
    """How the place is called that the key was seen in last."""

    @property
    def under_way(self) -> Stage | None:
        """The stage that is being waited for, if any."""
        order = list(Stage)
        upcoming = next((stage for stage in order if stage not in self.reached), None)
        if self.goal is None or upcoming is None or order.index(upcoming) > order.index(self.goal):
            return None
        return upcoming

    @property
    def over(self) -> bool:
        """Whether there was an ApiKey, and it is gone with its Secret."""
        return self._last is not None and self.standing is None and self.delivered is None

    @property
    def retained(self) -> bool:
        """Whether the ApiKey is gone and left its key on purpose."""
        return self.standing is None and self._last is not None and self._last.retains

    @property
    def settled(self) -> bool:
        """Whether the ApiKey has written down the key that its Secret holds."""
        return self.standing is not None and self.current is not None and self.standing.key_id == self.current.key_id

    @property
    def overlap_left(self) -> float | None:
        """Seconds that the newest old key still has; None where there is none that lives."""
        if self.standing is None or not self.older:
            return None
        return self.standing.previous.get(self.older[-1].key_id)

    def asked(self, at: float) -> None:
        """A key, a rotation or a deletion is asked for: what follows is timed from here."""
        self._asked_at, self._announced = at, True

    def stands(self, standing: Standing | None, at: float) -> list[Saying]:
        """The ApiKey as it is now; None: there is none."""
        before, self.standing = self.standing, standing
        if standing is None:
            return self._end(at)
        first, self._last = self._last is None, standing
        if before is None or before.triggers != standing.triggers or before.deleting != standing.deleting:
            # Unless we were told before, it was asked for some time before now.
            self._asked_at = self._asked_at if self._announced else at
            self._timed, self._announced = self._announced, False
        said = self._reach(Stage.REQUESTED, at, standing.wanted) if first else []
        if standing.stalled and not (before and before.stalled and before.message == standing.message):
            said.append(Saying("stalled", f"{standing.reason}: {standing.message}", trouble=True))
        return said

    def holds(self, delivered: Delivered | None, at: float) -> list[Saying]:
        """The Secret as it is now; None: there is none."""
        before, self.delivered = self.delivered, delivered
        if delivered is None:
            if before and self.standing and not self.standing.deleting:
                self._asked_at, self._timed = at, False
                return [Saying("missing", f"{before.place} is gone", trouble=True)]
            return self._end(at)
        self._kind = delivered.kind
        if self.current is not None and self.current.key_id == delivered.key_id:
            return []
        if self.current is not None:
            self.older.append(Held(self.current.key_id, self.current.masked))  # asked anew: it is an old one now
        self.current = Held(delivered.key_id, delivered.masked)
        ends = f"works until {delivered.expires_on}" if delivered.expires_on else "never expires"
        place = f"{delivered.place}: {', '.join(delivered.data_keys)}"
        said = self._reach(Stage.ISSUED, at, f"{delivered.masked}, {ends}")
        return said + self._reach(Stage.DELIVERED, at, place)

    def answered(self, key_id: str, at: float, *, works: bool) -> list[Saying]:
        """The issuer's answer to a call with one of the keys."""
        if self.current is not None and self.current.key_id == key_id:
            return self._current_answered(self.current, at, works=works)
        old = next((held for held in self.older if held.key_id == key_id), None)
        if old is None or old.works is works:
            return []
        old.works = works
        if works:
            left = self.overlap_left
            return [Saying("overlap", f"the old {old.masked} works too" + (f", for {span(left)} more" if left else ""))]
        return self._reach(Stage.REFUSED, at, f"the old {old.masked}: 401 Unauthorized", again=True) + self._end(at)

    def to_try(self) -> list[Held]:
        """The keys whose answer is not known or may have changed.

        A new key; an old one once the new one works, and again once the ApiKey no longer lists it; all of a deleted
        ApiKey's.
        """
        due = [self.current] if self.current is not None and self._current_due(self.current) else []
        if self.current is None or (self.standing and self.standing.key_id != self.current.key_id):
            return due  # Not settled yet: what becomes of the old ones is not written down.
        living = self.standing.previous if self.standing else {}
        for old in self.older:
            left = living.get(old.key_id)
            overlaps = old.works is None and bool(self.current.works) and (left is None or left > _ABOUT_TO_END)
            ended = old.works is not False and left is None and not self.retained
            if overlaps or ended:
                due.append(old)
        return due

    def _current_due(self, held: Held) -> bool:
        if self.standing is not None and not self.standing.deleting:
            return self.delivered is not None and held.works is not True
        return held.works is not False and not self.retained

    def _current_answered(self, held: Held, at: float, *, works: bool) -> list[Saying]:
        before, held.works = held.works, works
        if not works:
            return self._end(at)
        if before:
            return []
        if not self.older:
            return self._reach(Stage.PROVED, at, f"GET /v1/models with the key in the {self._kind}: 200 OK")
        self.reached.pop(Stage.REFUSED, None)  # There is a newer old one.
        when = f"after {span(at - self._asked_at)} " if self._timed else ""
        return self._reach(Stage.ROTATED, at, f"{when}the {self._kind} holds {held.masked}: 200 OK", again=True)

    def _end(self, at: float) -> list[Saying]:
        """Deleted is what is gone from the cluster and refused at the issuer, with all that came before it."""
        if (
            not self.over
            or self.current is None
            or any(held.works is not False for held in (*self.older, self.current))
        ):
            return []
        return self._reach(Stage.DELETED, at, f"{self.current.masked}: 401; {self._kind} and ApiKey are gone")

    def _reach(self, stage: Stage, at: float, sentence: str, *, again: bool = False) -> list[Saying]:
        if stage in self.reached and not again:
            return []
        self.reached[stage] = at - self._asked_at
        return [Saying(stage.word, sentence)]


def span(seconds: float) -> str:
    """A span of time as people say it: 40 ms, 9 s, 59 min, 47 h."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:  # noqa: PLR2004 - two minutes are still counted in seconds
        return f"{max(0, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes <= 120 else f"{round(minutes / 60)} h"  # noqa: PLR2004 - as above
