"""Issuers stay while ApiKeys use them: the finalizer keywright.dev/in-use, on before the first key is asked for, off after the last.

Owns that finalizer, and that taking it off and beginning to rely on it never cross. Asks no issuer anything. Neighbours:
planning/holding.py decides; directory.py tells planning whether an issuer is held; engine.py says when to look.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from keywright.api.apikey import called
from keywright.api.reading import issuer_wanted, issuers_recorded
from keywright.api.reasons import Reason
from keywright.errors import Conflict
from keywright.planning.holding import hold_due
from keywright.ports.cluster import IN_USE, EventNote
from keywright.reconcile.account import log_fields

if TYPE_CHECKING:
    from keywright.api.apikey import KeyIssuerIdentity
    from keywright.ports.cluster import Cluster, Object

__all__ = ["Holding", "Ref", "is_deleting", "named_and_makers"]

_log = logging.getLogger(__name__)

Ref = tuple[str, str | None, str]
"""Kind, namespace (None for cluster-scoped ones), name."""

_LOOKED_AGAIN: Final = timedelta(minutes=5)
"""A net: who stops using an issuer has it looked at. A look costs neither a read nor, mostly, a write."""


class Holding:
    """The finalizers of all issuers."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._locks: defaultdict[Ref, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._letting_go: set[Ref] = set()

    def is_held(self, ref: Ref, found: Object) -> bool:
        """Whether the issuer cannot go, nor is about to."""
        return ref not in self._letting_go and IN_USE in (found["metadata"].get("finalizers") or ())

    async def hold(self, ref: Ref, identity: KeyIssuerIdentity) -> None:
        """Keep this very issuer: one write, however many ask for it at once.

        Raises Conflict where it was changed, or made again, since it was looked at; what `add_finalizer` raises otherwise.
        """
        async with self._locks[ref]:
            found = self._cluster.issuer(*ref)
            if found is None or found["metadata"]["uid"] != identity.uid:
                raise Conflict(f"{_say(ref)} is another one than a moment ago")
            await self._cluster.add_finalizer(found)

    async def look(self, ref: Ref) -> timedelta | None:
        """Hold or let go as it is due. Returns when to look again; None where the issuer is gone. Raises what its writes raise."""
        async with self._locks[ref]:
            found = self._cluster.issuer(*ref)
            if found is None:
                self._locks.pop(ref)
                return None
            held, deleting = IN_USE in (found["metadata"].get("finalizers") or ()), is_deleting(found)
            has_keys = ((ref[0], ref[2]) in issuers_recorded(seen) for seen in self._cluster.dependents(*ref))
            match hold_due(held=held, deleting=deleting, dependents=has_keys):
                case "Hold":
                    await self._cluster.add_finalizer(found)
                case "Release":
                    await self._release(ref, found)
                case None if held and deleting:
                    self._say_who_uses(ref, found)
                case None:
                    pass
        return _LOOKED_AGAIN

    async def _release(self, ref: Ref, found: Object) -> None:
        """From the decision to the answer nobody takes the issuer for held: an ApiKey that comes now holds it anew."""
        self._letting_go.add(ref)
        try:
            await self._cluster.remove_finalizer(found)
        finally:
            self._letting_go.discard(ref)
        _log.info("%s is used by no ApiKey any more", _say(ref), extra=log_fields(ref))

    def _say_who_uses(self, ref: Ref, found: Object) -> None:
        """One of them, in an order that rarely changes: whoever waits for the deletion wants to know why."""
        users = (seen["metadata"] for seen in self._cluster.dependents(*ref))
        first = min((f"{meta['namespace']}/{meta['name']}" for meta in users), default=None)
        message = (
            f"{_say(ref)} is being deleted; it makes no keys and goes once no ApiKey uses it any more, such as {first}: delete them, "
            "or write another issuer into their spec.issuerRef."
        )
        self._cluster.note(EventNote(about=found, type="Normal", reason=Reason.ISSUER_DELETING, message=message))


def named_and_makers(seen: Object) -> tuple[frozenset[Ref], frozenset[Ref]]:
    """All issuers that an ApiKey names, and those of them at which it has keys or attempts."""
    makers, wanted = issuers_recorded(seen), issuer_wanted(seen)
    return _refs(seen, makers | {wanted} if wanted else makers), _refs(seen, makers)


def _refs(seen: Object, named: frozenset[tuple[str, str]]) -> frozenset[Ref]:
    namespace = seen["metadata"]["namespace"]
    return frozenset((kind, None if kind == "ClusterKeyIssuer" else namespace, name) for kind, name in named)


def is_deleting(found: Object) -> bool:
    """Whether somebody asked for its deletion."""
    return "deletionTimestamp" in found["metadata"]


def _say(ref: Ref) -> str:
    return called(ref[0], ref[2])
