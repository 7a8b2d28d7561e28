"""One shared listing of all keys at each issuer, refreshed on a period: existence and strays. Never one GET per key.

Also keeps the issuers' own status: whether the admin key works, how many keys, how many strays. Revokes nothing: it wakes the
ApiKeys that have something to do.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from keywright.api.apikey import KeyIssuerIdentity
from keywright.api.base import Condition
from keywright.api.durations import parse_duration
from keywright.api.keyissuer import KeyIssuerSpec, KeyIssuerStatus
from keywright.api.reading import read_issuer_spec
from keywright.api.reasons import Reason
from keywright.errors import Rejected, Retryable
from keywright.keys import ResourceKey, Tag
from keywright.planning.observed import Refusal
from keywright.reconcile.directory import refusal_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from keywright.keys import AttemptId, ListedKey
    from keywright.ports.cluster import Cluster, Object
    from keywright.ports.sink import Sink
    from keywright.reconcile.directory import IssuerDirectory, Ref

__all__ = ["Inventory"]

_GONE_AFTER: Final = 2
"""Passes in a row that must miss a key: listings may lag."""
_FAILED_AGAIN: Final = timedelta(seconds=20)


@dataclass(slots=True)
class _Book:
    """What the last pass over one issuer found."""

    by_uid8: dict[str, list[ListedKey]] = field(default_factory=dict)
    missed: dict[str, int] = field(default_factory=dict)


class Inventory:
    """All issuers' books."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        sink: Sink,
        directory: IssuerDirectory,
        cluster_id: str,
        clock: Callable[[], datetime],
        wake: Callable[[ResourceKey], None],
    ) -> None:
        """`wake` puts an ApiKey into the queue."""
        self._cluster = cluster
        self._sink = sink
        self._directory = directory
        self._cluster_id = cluster_id
        self._clock = clock
        self._wake = wake
        self._books: dict[Ref, _Book] = {}

    def listed(self, uid: str) -> tuple[ListedKey, ...] | None:
        """The live keys of the ApiKey with this uid in the last pass; None before the first."""
        if not self._books:
            return None
        return tuple(key for book in self._books.values() for key in book.by_uid8.get(uid[:8], ()))

    def is_gone(self, key_id: str) -> bool:
        """Whether the last passes in a row missed this key."""
        return any(book.missed.get(key_id, 0) >= _GONE_AFTER for book in self._books.values())

    async def refresh(self, ref: Ref) -> timedelta | None:
        """One pass over one issuer. Returns the time until the next; None where the issuer is gone."""
        found = self._cluster.issuer(*ref)
        if found is None:
            self._books.pop(ref, None)
            self._directory.forget(ref)
            return None
        identity = KeyIssuerIdentity.model_validate({"kind": ref[0], "name": ref[2], "uid": found["metadata"]["uid"]})
        try:
            spec = read_issuer_spec(found)
        except Rejected as error:
            await self._say(found, None, refusal_of(error))
            return _FAILED_AGAIN
        begun = self._clock()
        listing = await self._directory.listing(identity, ref[1], f"[kw/{self._cluster_id}/")
        if isinstance(listing, Refusal):
            await self._say(found, spec, listing)
            return max(_FAILED_AGAIN, timedelta(seconds=listing.after or 0))
        users = [seen for seen in map(self._cluster.api_key, self._cluster.users_of(identity, ref[1])) if seen]
        book = self._book(ref, listing, users, begun)
        strays = self._strays(book, users)
        self._books[ref] = book
        await self._say(found, spec, (sum(map(len, book.by_uid8.values())), strays))
        self._wake_concerned(book, users)
        return parse_duration(spec.inventory_interval)

    def _book(self, ref: Ref, listing: Iterable[ListedKey], users: list[Object], begun: datetime) -> _Book:
        by_uid8: dict[str, list[ListedKey]] = defaultdict(list)
        for key in listing:
            tag = Tag.parse(key.name)
            if tag is not None and tag.cluster == self._cluster_id:
                by_uid8[tag.uid8].append(key)
        live = {key.key_id for keys in by_uid8.values() for key in keys}
        expected = {
            status["keyId"]
            for seen in users
            if (status := seen.get("status") or {}).get("keyId") and _issued_before(status, begun)
        }
        missing = {key_id for key_id in expected if key_id not in live}
        before = self._books.get(ref, _Book()).missed
        if missing == expected and len(expected) > 1:
            # All at once: the admin key is of another organization now, or somebody cleared the list. Nothing is re-issued.
            return _Book(dict(by_uid8), {})
        return _Book(dict(by_uid8), {key_id: before.get(key_id, 0) + 1 for key_id in missing})

    def _strays(self, book: _Book, users: list[Object]) -> int:
        """Live keys with this cluster's tag that no ApiKey names, nor a delivered record in a target."""
        named: set[str] = set(self._sink.recorded())
        attempts: set[AttemptId] = set()
        for seen in users:
            status = seen.get("status") or {}
            named.update(filter(None, [status.get("keyId"), *(p["keyId"] for p in status.get("previous") or ())]))
            attempts.update(a["id"] for a in [status.get("attempt"), *(status.get("closedAttempts") or ())] if a)
        return sum(
            1
            for keys in book.by_uid8.values()
            for key in keys
            if key.key_id not in named and (tag := Tag.parse(key.name)) is not None and tag.attempt not in attempts
        )

    def _wake_concerned(self, book: _Book, users: list[Object]) -> None:
        """ApiKeys with a late key, or whose key is gone."""
        for seen in users:
            status, meta = seen.get("status") or {}, seen["metadata"]
            late = status.get("closedAttempts") and book.by_uid8.get(meta["uid"][:8])
            if late or book.missed.get(status.get("keyId", ""), 0) >= _GONE_AFTER:
                self._wake(ResourceKey(meta["namespace"], meta["name"]))

    async def _say(self, found: Object, spec: KeyIssuerSpec | None, result: Refusal | tuple[int, int]) -> None:
        """Write the issuer's status where it changed."""
        before = KeyIssuerStatus.model_validate(found.get("status") or {})
        keys, strays = before.keys, before.strays
        if isinstance(result, Refusal):
            status, reason, message = "False", result.reason, result.message
        else:
            keys, strays = result
            status, reason, message = "True", Reason.ADMIN_KEY_WORKS, "The issuer accepts the admin key."
            if spec is not None and spec.on_grant_lost == "Revoke":
                message += " Without effect in this version: onGrantLost: Revoke (a lost grant stops renewals)."
        ready = next((c for c in before.conditions if c.type == "Ready"), None)
        generation = found["metadata"].get("generation")
        condition = Condition.model_validate(
            {
                "type": "Ready",
                "status": status,
                "reason": reason,
                "message": message,
                "lastTransitionTime": ready.last_transition_time if ready and ready.status == status else self._clock(),
                "observedGeneration": generation,
            }
        )
        after = KeyIssuerStatus(observed_generation=generation, keys=keys, strays=strays, conditions=[condition])
        if after == before:
            return
        try:
            await self._cluster.patch_status(found, after.to_dict())
        except Retryable:
            return  # somebody edits the issuer, or the apiserver is away: the next pass says it


def _issued_before(status: Object, begun: datetime) -> bool:
    issued = status.get("issuedAt")
    return issued is not None and datetime.fromisoformat(issued).astimezone(UTC) < begun - timedelta(seconds=1)
