"""One shared listing of all keys at each issuer, refreshed on a period: existence, last use, strays. Never one GET per key.

Also keeps the issuers' own status: whether the admin key works, how many keys, how many strays. Revokes nothing: it wakes the
ApiKeys that have something to do. What a listing means is sightings.py's and planning/strays.py's.
"""

from __future__ import annotations

import re
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from keywright.api.apikey import KeyIssuerIdentity, called
from keywright.api.durations import parse_duration
from keywright.api.reading import read_issuer_spec
from keywright.api.reasons import Reason
from keywright.errors import Ambiguous, Rejected, Retryable, Terminal
from keywright.keys import KeyId, ResourceKey, Tag
from keywright.planning.observed import Refusal
from keywright.planning.strays import survey
from keywright.ports.cluster import EventNote
from keywright.reconcile.directory import ref_of, refusal_of
from keywright.reconcile.issuer_status import IssuerStatusWriter
from keywright.reconcile.lastread import LastRead
from keywright.reconcile.pace import PassPace
from keywright.reconcile.sightings import LAG, Sightings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from keywright.api.keyissuer import KeyIssuerSpec
    from keywright.keys import ListedKey
    from keywright.metrics import Metrics
    from keywright.planning.strays import Survey
    from keywright.ports.cluster import Cluster, Object
    from keywright.ports.sink import Sink
    from keywright.reconcile.directory import IssuerDirectory, Ref

__all__ = ["Inventory"]

_SECOND_LOOK: Final = 30.0
"""Seconds after which keys that a pass has missed are looked for once more; half an interval where that is shorter."""
_FAILED_AGAIN: Final = 20.0
"""Seconds until a failed look is repeated."""
_REST: Final = 0.5
"""The share of its interval that lies between two passes at least, however long one takes."""
_SOONEST: Final = 1.0
_NAMED: Final = 10
"""Strays that an event names: `keywright sweep` shows all."""
_ENDING: Final = re.compile(r"[A-Za-z0-9]{4}\Z")
"""Of a masked key: the platform's name filter finds keys by their last four characters as well."""
_NOBODY: Final = "--------"
"""Stands for a UID in a search that finds nothing: a request as small as they get."""


@dataclass(slots=True)
class _Book:
    """What is known of one issuer's keys, and when it is looked at next (seconds of the monotonic clock)."""

    by_uid8: dict[str, list[ListedKey]] = field(default_factory=dict)
    """As listed, also those that have been revoked since: `live` tells."""
    used: dict[str, date] = field(default_factory=dict)
    live: set[str] = field(default_factory=set)
    sightings: Sightings = field(default_factory=Sightings)
    strays: frozenset[str] = frozenset()
    issuer: str = ""
    """The uid of the issuer that was listed."""
    begun: datetime | None = None
    """When the last pass that came to its end began."""
    version: tuple[str, int] | None = None
    """uid and generation that the last pass was made for."""
    pages: int = 0
    next_pass: float = float("-inf")
    second_due: float = float("inf")
    """From when on another look at what is missing counts as the second."""
    look_at: float = float("inf")
    """When the suspects are asked for one by one."""


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
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        wake: Callable[[ResourceKey], None],
        metrics: Metrics,
    ) -> None:
        """`clock` gives aware UTC, `monotonic` seconds; `sleep` takes seconds. `wake` puts an ApiKey into the queue."""
        self._cluster = cluster
        self._sink = sink
        self._directory = directory
        self._cluster_id = cluster_id
        self._clock = clock
        self._monotonic = monotonic
        self._sleep = sleep
        self._statuses = IssuerStatusWriter(cluster, clock=clock, sleep=sleep)
        self._wake = wake
        self._metrics = metrics
        self._books: dict[Ref, _Book] = {}
        self._specs = LastRead("spec", read_issuer_spec)
        self._struck: dict[str, float] = {}
        self._doubted: set[Ref] = set()

    # What is known.

    def listed(self, uid: str) -> tuple[ListedKey, ...] | None:
        """The live keys of the ApiKey with this uid in the last pass; None before the first."""
        books = [book for book in self._books.values() if book.begun is not None]
        if not books:
            return None
        return tuple(key for book in books for key in book.by_uid8.get(uid[:8], ()) if key.key_id in book.live)

    def looked(self, issuer: str) -> datetime | None:
        """When the last pass over the issuer with this uid began; None before the first."""
        return next((book.begun for book in self._books.values() if book.issuer == issuer), None)

    def is_gone(self, key_id: str) -> bool:
        """Whether two looks in a row missed this key."""
        return any(key_id in book.sightings.gone for book in self._books.values())

    def last_used(self, key_id: str) -> date | None:
        """The day on which the issuer saw this key used last, as of the last pass."""
        return next((book.used[key_id] for book in self._books.values() if key_id in book.used), None)

    def lists(self, identity: KeyIssuerIdentity, namespace: str | None, key_id: str) -> bool:
        """Whether the last pass over the issuer of that name, re-created or not, showed this key."""
        book = self._books.get(ref_of(identity, namespace))
        return book is not None and key_id in book.live

    def strays(self) -> int:
        """How many strays the last passes have found, at all issuers."""
        return sum(len(book.strays) for book in self._books.values())

    def vanished(self, ref: Ref) -> bool:
        """Whether the last pass over this issuer lacked every key that it should have shown."""
        return ref in self._books and self._books[ref].sightings.vanished > 0

    # What is told.

    def strike(self, key_id: KeyId) -> None:
        """A key is known to be dead: a pass under way, or a listing that lags, may show it all the same."""
        now = self._monotonic()
        self._struck = {key: at for key, at in self._struck.items() if now - at < LAG.total_seconds()}
        self._struck[key_id] = now
        for book in self._books.values():
            book.live.discard(key_id)
            book.sightings = book.sightings.struck(key_id)

    def doubt(self, ref: Ref) -> None:
        """An ApiKey could not use this issuer: the next `refresh` asks it a small thing, and says how it went."""
        self._doubted.add(ref)

    # What is done.

    async def refresh(self, ref: Ref) -> timedelta | None:
        """What is due at one issuer: a pass, a second look. Returns the time until the next; None where the issuer is gone."""
        found = self._cluster.issuer(*ref)
        if found is None:
            self._forget(ref)
            return None
        try:
            spec = self._specs.of(found)
        except Rejected as error:
            await self._say(ref, refusal=refusal_of(error))
            return timedelta(seconds=_FAILED_AGAIN)
        book = self._books.setdefault(ref, _Book())
        version = found["metadata"]["uid"], found["metadata"].get("generation", 0)
        identity = KeyIssuerIdentity.model_validate({"kind": ref[0], "name": ref[2], "uid": version[0]})
        now = self._monotonic()
        if book.version != version or now >= book.next_pass:
            self._doubted.discard(ref)
            book.version = version
            await self._pass(ref, identity, spec, book)
        elif now >= book.look_at:
            await self._look_again(ref, identity, spec, book)
        elif ref in self._doubted:
            self._doubted.discard(ref)
            listing = await self._directory.listing(identity, ref[1], Tag.search(self._cluster_id, _NOBODY))
            await self._say(ref, refusal=listing if isinstance(listing, Refusal) else None)
        due = min(book.next_pass, book.look_at) - self._monotonic()
        return timedelta(seconds=max(_SOONEST, due))

    async def _pass(self, ref: Ref, identity: KeyIssuerIdentity, spec: KeyIssuerSpec, book: _Book) -> None:
        """List all keys, slowly where there are many, and compare them with what is written down."""
        interval = parse_duration(spec.inventory_interval).total_seconds()
        begun, started = self._clock(), self._monotonic()

        async def first() -> None:
            """A long pass says early that the admin key works; that this cannot be written is no reason to end it."""
            with suppress(Retryable, Terminal, Ambiguous):
                await self._say(ref)

        expected = book.pages or PassPace.pages_of(len(self._concerned(identity)))
        pace = PassPace(interval=interval, expected=expected, sleep=self._sleep, first=first)
        listing = await self._directory.listing(identity, ref[1], f"[kw/{self._cluster_id}/", pace=pace)
        ended = self._monotonic()
        if isinstance(listing, Refusal):
            book.next_pass = ended + max(_FAILED_AGAIN, listing.after or 0.0)
            await self._say(ref, refusal=listing)
            return
        found = self._cluster.issuer(*ref)
        if found is None or (found["metadata"]["uid"], found["metadata"].get("generation", 0)) != book.version:
            book.version = None  # it was edited while its keys were read: they may be another organization's
            return
        book.pages = pace.pages
        book.next_pass = max(started + interval, ended + interval * _REST)
        concerned = self._concerned(identity)
        before = book.sightings.vanished
        counted = self._enter(book, listing, _current_keys(concerned, identity, begun), begun)
        book.issuer, book.begun = identity.uid, begun
        book.second_due = book.look_at = float("inf")
        if book.sightings.missing | book.sightings.doubtful:
            book.second_due = ended + min(_SECOND_LOOK, interval * _REST)
            if book.sightings.suspects:
                book.look_at = book.second_due
            else:
                book.next_pass = min(book.next_pass, book.second_due)
        if bool(before) != bool(book.sightings.vanished):
            for seen in concerned:
                self._wake(_name_of(seen))
        self._wake_concerned(book, concerned)
        self._tell_strays(ref, found, book, counted)
        await self._say(ref, counted=counted)

    def _enter(
        self, book: _Book, listing: Iterable[ListedKey], current: Mapping[str, datetime], begun: datetime
    ) -> Survey:
        by_uid8: dict[str, list[ListedKey]] = defaultdict(list)
        keys = []
        for key in listing:
            tag = Tag.parse(key.name)
            if tag is not None and tag.cluster == self._cluster_id and key.key_id not in self._struck:
                by_uid8[tag.uid8].append(key)
                keys.append(key)
        second = self._monotonic() >= book.second_due
        book.by_uid8 = dict(by_uid8)
        book.live = {key.key_id for key in keys}
        book.used = {key.key_id: key.last_used for key in keys if key.last_used}
        book.sightings = book.sightings.after_pass(book.live, current, begun, second=second)
        return survey(keys, self._cluster_id, self._cluster.api_keys(), self._sink.recorded())

    async def _look_again(self, ref: Ref, identity: KeyIssuerIdentity, spec: KeyIssuerSpec, book: _Book) -> None:
        """Ask for each suspect by itself; what is missing still is gone."""
        suspects = book.sightings.suspects
        concerned = {
            key_id: seen
            for seen in self._concerned(identity)
            if (key_id := (seen.get("status") or {}).get("keyId", "")) in suspects
        }
        found, refused = set(), set()
        for key_id, seen in concerned.items():
            try:
                if await self._shows(identity, ref, seen, key_id):
                    found.add(key_id)
                elif key_id in book.sightings.doubtful and spec.check_new_keys:
                    refused |= {key_id} if await self._is_refused(identity, ref, seen, key_id) else set()
            except (Terminal, Retryable, Ambiguous) as error:
                self._directory.failed(identity, ref[1], error)
                after = error.after if isinstance(error, Retryable) else None
                book.look_at = self._monotonic() + max(_FAILED_AGAIN, after or 0.0)
                return
        book.sightings = book.sightings.after_look(concerned.keys(), found, refused)
        book.second_due = book.look_at = float("inf")
        for key_id, seen in concerned.items():
            if key_id in book.sightings.gone:
                self._wake(_name_of(seen))

    async def _shows(self, identity: KeyIssuerIdentity, ref: Ref, seen: Object, key_id: str) -> bool:
        """Whether a listing shows a key: by its tag, and where that was edited, or is a predecessor's, by its last characters."""
        client = await self._directory.client(identity, ref[1], ending=True)
        searches = [Tag.search(self._cluster_id, seen["metadata"]["uid"])]
        if ending := _ENDING.search((seen.get("status") or {}).get("maskedKey") or ""):
            searches.append(ending[0])
        for search in searches:
            if any(key.key_id == key_id for key in await client.list_keys(search)):
                return True
        return False

    async def _is_refused(self, identity: KeyIssuerIdentity, ref: Ref, seen: Object, key_id: str) -> bool:
        """Whether the platform refuses a key that is too new for listings to tell: the one in its target is tried."""
        target = (seen.get("status") or {}).get("target") or {}
        if target.get("kind") != "Secret":
            return False
        client = await self._directory.client(identity, ref[1], ending=True)
        namespace = seen["metadata"]["namespace"]
        return await self._sink.prove(namespace, target["name"], KeyId(key_id), client.check) is False

    def _concerned(self, identity: KeyIssuerIdentity) -> list[Object]:
        return [seen for seen in self._cluster.api_keys() if identity.uid in _issuers_named(seen)]

    def _wake_concerned(self, book: _Book, concerned: list[Object]) -> None:
        """ApiKeys with a late key, whose key is gone, or was used on another day than their status says, or an older one after its time."""
        for seen in concerned:
            status = seen.get("status") or {}
            late = status.get("closedAttempts") and book.by_uid8.get(seen["metadata"]["uid"][:8])
            key_id = status.get("keyId", "")
            used = book.used.get(key_id)
            used_anew = used is not None and used.isoformat() != status.get("lastUsed")
            if late or used_anew or key_id in book.sightings.gone or _used_after(status, book.used):
                self._wake(_name_of(seen))

    def _tell_strays(self, ref: Ref, found: Object, book: _Book, counted: Survey) -> None:
        """In metrics; in an event where there is one that was not there before."""
        self._metrics.stray_keys.labels(*_labels(ref)).set(len(counted.strays))
        self._metrics.last_pass.labels(*_labels(ref)).set(self._clock().timestamp())
        ids = frozenset(stray.key.key_id for stray in counted.strays)
        if fresh := ids - book.strays:
            named = [*sorted(fresh), *sorted(ids - fresh)][:_NAMED]
            more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
            where = f" -n {ref[1]}" if ref[1] else ""
            text = (
                f"Live keys with this cluster's tag that no ApiKey and no Secret names: {', '.join(named)}{more}. "
                f"They are left; keywright sweep{where} --issuer {called(ref[0], ref[2])} shows why, and revokes them with --revoke."
            )
            self._cluster.note(EventNote(about=found, type="Warning", reason=Reason.STRAY_KEY, message=text))
        book.strays = ids

    async def _say(self, ref: Ref, *, refusal: Refusal | None = None, counted: Survey | None = None) -> None:
        vanished = self._books[ref].sightings.vanished if ref in self._books else 0
        await self._statuses.say(ref, refusal=refusal, counted=counted, vanished=vanished)

    def _forget(self, ref: Ref) -> None:
        self._doubted.discard(ref)
        self._directory.forget(ref)
        if self._books.pop(ref, None) is not None:
            for series in (self._metrics.stray_keys, self._metrics.last_pass):
                with suppress(KeyError):  # no pass came to its end
                    series.remove(*_labels(ref))


def _labels(ref: Ref) -> tuple[str, str, str]:
    return ref[0], ref[1] or "", ref[2]


def _name_of(seen: Object) -> ResourceKey:
    return ResourceKey(seen["metadata"]["namespace"], seen["metadata"]["name"])


def _issuers_named(seen: Object) -> set[str]:
    """The uids of all issuers that hold keys of an ApiKey, wherever its spec points by now."""
    status = seen.get("status") or {}
    entries = [status, status.get("attempt"), *(status.get("closedAttempts") or ()), *(status.get("previous") or ())]
    return {entry["issuer"]["uid"] for entry in entries if entry and entry.get("issuer")}


def _used_after(status: Object, used: Mapping[str, date]) -> bool:
    """Whether an older key was used on a later day than its status knows of, and than the one on which it was replaced."""
    return any(
        used[p["keyId"]].isoformat() > (p.get("usedOn") or p.get("replacedAt") or "~")[:10]
        for p in status.get("previous") or ()
        if p["keyId"] in used
    )


def _current_keys(concerned: list[Object], identity: KeyIssuerIdentity, begun: datetime) -> dict[str, datetime]:
    """The keys that a listing begun then could show, and when each was issued: others are another issuer's, or newer, or end now."""
    return {
        status["keyId"]: issued
        for seen in concerned
        if (status := seen.get("status") or {}).get("keyId")
        and "deletionTimestamp" not in seen["metadata"]
        and (status.get("issuer") or {}).get("uid") == identity.uid
        and (issued := _issued_before(status, begun)) is not None
    }


def _issued_before(status: Object, begun: datetime) -> datetime | None:
    if (said := status.get("issuedAt")) is None:
        return None
    issued = datetime.fromisoformat(said).astimezone(UTC)
    return issued if issued < begun - timedelta(seconds=1) else None
