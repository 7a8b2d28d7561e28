"""What the listings at one issuer have shown of the keys that ApiKeys name: which are missing, and which are gone. Pure.

A key is gone when two looks in a row lack it, the second a little after the first: listings may lag, pages may shift.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet
    from datetime import datetime

__all__ = ["HANDFUL", "LAG", "Sightings"]

LAG: Final = timedelta(minutes=10)
"""By how much a listing may be behind: as long as an interrupted request may still make a key. So a key that none has shown yet is
not expected before it is this old, and one that was revoked just now may still be listed."""
HANDFUL: Final = 8
"""Missing keys that are looked for one by one: the second look costs less than a pass then."""


@dataclass(frozen=True, slots=True)
class Sightings:
    """Key ids.

    `shown`: in any listing of this process. `missing`: expected, and in the last listing not there. `doubtful`: not there either, but
    so new that the listing may lag behind them. `gone`: not there in two looks in a row. `vanished`: so many keys were named, and
    not a single one was there; 0: no such thing.
    """

    shown: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    doubtful: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    vanished: int = 0

    @property
    def suspects(self) -> frozenset[str]:
        """What a second look asks for, one by one; empty where that takes a whole pass, or nothing is missing."""
        if len(self.missing) > HANDFUL:
            return frozenset()
        return self.missing | frozenset(sorted(self.doubtful)[: HANDFUL - len(self.missing)])

    def after_pass(
        self, live: AbstractSet[str], current: Mapping[str, datetime], begun: datetime, *, second: bool
    ) -> Sightings:
        """All keys were listed, and `live` are there. `current`: the keys that ApiKeys name, and when each was issued, before `begun`.

        `second`: it is long enough since the first look for this to be another one.
        """
        shown = (self.shown & current.keys()) | live
        lacking = current.keys() - live
        gone = self.gone & lacking
        young = {key for key in lacking - shown if begun - current[key] < LAG}
        expected = current.keys() - young - gone
        missing = lacking & expected
        named = current.keys() - gone
        if expected and lacking >= named and len(named) > 1:
            # All at once: the admin key is of another organization now, or somebody cleared the list.
            return Sightings(frozenset(shown), gone=frozenset(gone), vanished=len(named))
        if second:
            gone |= missing & self.missing
        return Sightings(frozenset(shown), frozenset(missing - gone), frozenset(young - gone), frozenset(gone))

    def after_look(self, asked: AbstractSet[str], found: AbstractSet[str], refused: AbstractSet[str]) -> Sightings:
        """Suspects were asked for. `found` are listed after all; `refused` are keys that the platform does not accept any more."""
        gone = (self.missing & asked) - found | (self.doubtful & refused) - found
        return Sightings(self.shown | found, self.missing - asked, self.doubtful - found - gone, self.gone | gone)

    def struck(self, key_id: str) -> Sightings:
        """A key was revoked by keywright itself: nobody misses it."""
        if key_id not in self.missing | self.doubtful:
            return self
        return Sightings(
            self.shown, self.missing - {key_id}, self.doubtful - {key_id}, self.gone, vanished=self.vanished
        )
