"""Whether people have taken a grant away, for how long, and what the issuer says of that: what excuses the end of a current key.

Knows no more of grants than people write in histories: the name of a workspace, its uuid, or *.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import Site, World

    from keywright.ports.cluster import Object

__all__ = ["Grants"]

_GRACE: Final = 599.0
"""Seconds that a grant has been lost for, at least, before a key ends: ten minutes, written down in whole seconds."""
_HEARD: Final = 2.0
"""Seconds until all have heard of an edit, unless they stand still or are deaf."""


@dataclass(frozen=True, slots=True)
class _Word:
    """What an issuer said from some time on; `allows` None: everything. An issuer that is gone says nothing."""

    since: float
    uid: str
    revokes: bool
    allows: tuple[str, ...] | None

    def grants(self, workspace: dict[str, str]) -> bool:
        """Whether it allows this workspace, whatever the limits."""
        return self.allows is None or not {workspace["id"], workspace["name"], "*"}.isdisjoint(self.allows)


class Grants:
    """What issuers said and say, at all sites."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._said: defaultdict[tuple[str, str], list[_Word]] = defaultdict(list)

    def heard(self, site: Site, issuer: Object, event: str) -> None:
        """A new version of an issuer, or its end."""
        meta, spec = issuer["metadata"], issuer["spec"]
        granted = [w for grant in spec.get("grants", ()) for w in grant["workspaces"]] if "grants" in spec else None
        word = _Word(
            self._world.time(),
            meta["uid"] if event != "DELETED" else "",
            spec.get("onGrantLost") == "Revoke",
            None if granted is None else tuple(granted),
        )
        self._said[site.name, meta["name"]].append(word)

    def cloned(self, site: Site, of: Site) -> None:
        """A clone's issuers said the same."""
        for (name, issuer), words in list(self._said.items()):
            if name == of.name:
                self._said[site.name, issuer] = [*words]

    def excuse(self, process: Process, status: dict[str, Any], *, clock_jumped: bool) -> bool:
        """Whether the key that this status names may end: its grant was lost for ten minutes, and the issuer said Revoke.

        Whoever has just stood still, or is deaf, may go by what was so before; where clocks jumped, or a status was put back, ten
        minutes may be none.
        """
        now = self._world.time()
        words = self._said[process.site.name, status["issuer"]["name"]]
        informed = max(self._world.stalled_until, process.deaf_until) + _HEARD
        moments = [now, *(word.since for word in words if word.since > now - _HEARD or word.since < informed)]
        lost_for = max(self._lost_for(words, at, status) for at in moments)
        return lost_for > 0 if clock_jumped else lost_for >= _GRACE

    def overdue(self, site: Site, obj: Object) -> bool:
        """Whether an ApiKey names a key that is to end, or is to have ended."""
        status = obj.get("status") or {}
        if "keyId" not in status:
            return False
        words = self._said[site.name, status["issuer"]["name"]]
        return self._lost_for(words, self._world.time(), status) > 0

    def _lost_for(self, words: list[_Word], at: float, status: dict[str, Any]) -> float:
        """Seconds for which the maker of the key had not allowed it just before a time; 0 where it did, or does not revoke."""
        before = [word for word in words if word.since < at]
        if not before or not before[-1].revokes:
            return 0.0
        lost_since = at
        for word in reversed(before):
            if word.uid != status["issuer"]["uid"] or word.grants(status["workspace"]):
                break
            lost_since = word.since
        return at - lost_since
