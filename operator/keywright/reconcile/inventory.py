"""One shared listing of all keys at each issuer, refreshed on a period: existence and strays. Never one GET per key.

Also keeps the issuers' own status: whether the admin key works, how many keys, how many strays. Revokes nothing: it wakes the
ApiKeys that have something to do.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from keywright.api.apikey import KeyIssuerIdentity
from keywright.api.base import Condition
from keywright.api.durations import parse_duration
from keywright.api.keyissuer import KeyIssuerSpec, KeyIssuerStatus
from keywright.api.reading import read_issuer_spec
from keywright.api.reasons import Reason
from keywright.errors import Rejected, Retryable
from keywright.keys import ResourceKey, Tag
from keywright.planning.observed import Refusal
from keywright.reconcile.directory import ref_of, refusal_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from keywright.keys import AttemptId, KeyId, ListedKey
    from keywright.ports.cluster import Cluster, Object
    from keywright.ports.sink import Sink
    from keywright.reconcile.directory import IssuerDirectory, Ref

__all__ = ["Inventory"]

_GONE_AFTER: Final = 2
"""Passes in a row that must miss a key: listings may lag."""
_LOOKED_AGAIN: Final = 0.5
"""The share of its interval that must lie between two passes for both to count: an edited issuer is looked at again at once."""
_FAILED_AGAIN: Final = timedelta(seconds=20)


@dataclass(slots=True)
class _Book:
    """What the last pass over one issuer found."""

    by_uid8: dict[str, list[ListedKey]] = field(default_factory=dict)
    """As listed, also those that have been revoked since: `live` tells."""
    missed: dict[str, int] = field(default_factory=dict)
    used: dict[str, date] = field(default_factory=dict)
    live: set[str] = field(default_factory=set)
    counted_at: datetime | None = None
    issuer: str = ""
    """The uid of the issuer that was listed."""
    begun: datetime | None = None


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
        return tuple(
            key for book in self._books.values() for key in book.by_uid8.get(uid[:8], ()) if key.key_id in book.live
        )

    def looked(self, issuer: str) -> datetime | None:
        """When the last pass over the issuer with this uid began; None before the first."""
        return next((book.begun for book in self._books.values() if book.issuer == issuer), None)

    def is_gone(self, key_id: str) -> bool:
        """Whether the last passes in a row missed this key."""
        return any(book.missed.get(key_id, 0) >= _GONE_AFTER for book in self._books.values())

    def last_used(self, key_id: str) -> date | None:
        """The day on which the issuer saw this key used last, as of the last pass."""
        return next((book.used[key_id] for book in self._books.values() if key_id in book.used), None)

    def lists(self, identity: KeyIssuerIdentity, namespace: str | None, key_id: str) -> bool:
        """Whether the last pass over the issuer of that name, re-created or not, showed this key."""
        book = self._books.get(ref_of(identity, namespace))
        return book is not None and key_id in book.live

    def strike(self, key_id: KeyId) -> None:
        """A key is known to be dead: what the last pass found is older than that."""
        for book in self._books.values():
            book.live.discard(key_id)

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
        concerned = [seen for seen in self._cluster.api_keys() if identity.uid in _issuers_named(seen)]
        again = timedelta(seconds=parse_duration(spec.inventory_interval).total_seconds() * _LOOKED_AGAIN)
        book = self._book(
            self._books.get(ref, _Book()), listing, _current_keys(concerned, identity, begun), (begun, again)
        )
        book.issuer, book.begun = identity.uid, begun
        strays = self._strays(book)
        self._books[ref] = book
        self._wake_concerned(book, concerned)
        await self._say(found, spec, (sum(map(len, book.by_uid8.values())), strays))
        return parse_duration(spec.inventory_interval)

    def _book(
        self, before: _Book, listing: Iterable[ListedKey], expected: set[str], pace: tuple[datetime, timedelta]
    ) -> _Book:
        """`pace`: when the pass began, and how long after the last one that counted it counts too."""
        by_uid8: dict[str, list[ListedKey]] = defaultdict(list)
        for key in listing:
            tag = Tag.parse(key.name)
            if tag is not None and tag.cluster == self._cluster_id:
                by_uid8[tag.uid8].append(key)
        keys = [key for of_one in by_uid8.values() for key in of_one]
        live: set[str] = {key.key_id for key in keys}
        used: dict[str, date] = {key.key_id: key.last_used for key in keys if key.last_used}
        missing = expected - live
        begun, again = pace
        counted_at = begun
        if missing == expected and len(expected) > 1:
            # All at once: the admin key is of another organization now, or somebody cleared the list. Nothing is re-issued.
            missed = {}
        elif before.counted_at is not None and begun - before.counted_at < again:
            missed = {key_id: times for key_id, times in before.missed.items() if key_id in missing}
            counted_at = before.counted_at
        else:
            missed = {key_id: before.missed.get(key_id, 0) + 1 for key_id in missing}
        return _Book(dict(by_uid8), missed, used, live, counted_at)

    def _strays(self, book: _Book) -> int:
        """Live keys with this cluster's tag that no ApiKey names, nor a delivered record in a target."""
        named: set[str] = set(self._sink.recorded())
        attempts: set[AttemptId] = set()
        for seen in self._cluster.api_keys():
            status = seen.get("status") or {}
            named.update(filter(None, [status.get("keyId"), *(p["keyId"] for p in status.get("previous") or ())]))
            attempts.update(a["id"] for a in [status.get("attempt"), *(status.get("closedAttempts") or ())] if a)
        return sum(
            1
            for keys in book.by_uid8.values()
            for key in keys
            if key.key_id not in named and (tag := Tag.parse(key.name)) is not None and tag.attempt not in attempts
        )

    def _wake_concerned(self, book: _Book, concerned: list[Object]) -> None:
        """ApiKeys with a late key, whose key is gone, or was used on another day than their status says."""
        for seen in concerned:
            status, meta = seen.get("status") or {}, seen["metadata"]
            late = status.get("closedAttempts") and book.by_uid8.get(meta["uid"][:8])
            key_id = status.get("keyId", "")
            used = book.used.get(key_id)
            used_anew = used is not None and used.isoformat() != status.get("lastUsed")
            if late or used_anew or book.missed.get(key_id, 0) >= _GONE_AFTER:
                self._wake(ResourceKey(meta["namespace"], meta["name"]))

    async def _say(self, found: Object, spec: KeyIssuerSpec | None, result: Refusal | tuple[int, int]) -> None:
        """Write the issuer's status where it changed."""
        before = _status_of(found)
        keys, strays = before.keys, before.strays
        works = not isinstance(result, Refusal)
        if isinstance(result, Refusal):
            reason, message = result.reason, result.message
        else:
            keys, strays = result
            reason, message = Reason.ADMIN_KEY_WORKS, "The platform accepts the admin key."
            if spec is not None and spec.on_grant_lost == "Revoke":
                message += " Without effect in this version: onGrantLost: Revoke (a lost grant stops renewals)."
        ready = next((c for c in before.conditions if c.type == "Ready"), None)
        generation = found["metadata"].get("generation")
        condition = Condition(
            type="Ready",
            status="True" if works else "False",
            reason=reason,
            message=message,
            last_transition_time=self._clock(),
            observed_generation=generation,
        ).since(ready)
        after = KeyIssuerStatus(observed_generation=generation, keys=keys, strays=strays, conditions=[condition])
        if after == before:
            return
        try:
            await self._cluster.patch_status(found, after.to_dict())
        except Retryable:
            return  # somebody edits the issuer, or the apiserver is away: the next pass says it


def _status_of(found: Object) -> KeyIssuerStatus:
    """What was said of an issuer; what cannot be read is said anew."""
    try:
        return KeyIssuerStatus.model_validate(found.get("status") or {})
    except ValidationError:
        return KeyIssuerStatus()


def _issuers_named(seen: Object) -> set[str]:
    """The uids of all issuers that hold keys of an ApiKey, wherever its spec points by now."""
    status = seen.get("status") or {}
    entries = [status, status.get("attempt"), *(status.get("closedAttempts") or ()), *(status.get("previous") or ())]
    return {entry["issuer"]["uid"] for entry in entries if entry and entry.get("issuer")}


def _current_keys(concerned: list[Object], identity: KeyIssuerIdentity, begun: datetime) -> set[str]:
    """The keys that a listing begun then must show: others are of another issuer, or newer."""
    return {
        status["keyId"]
        for seen in concerned
        if (status := seen.get("status") or {}).get("keyId")
        and (status.get("issuer") or {}).get("uid") == identity.uid
        and _issued_before(status, begun)
    }


def _issued_before(status: Object, begun: datetime) -> bool:
    issued = status.get("issuedAt")
    return issued is not None and datetime.fromisoformat(issued).astimezone(UTC) < begun - timedelta(seconds=1)
