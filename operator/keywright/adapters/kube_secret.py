"""The port `Sink` on Kubernetes Secrets: compare-and-set by resourceVersion, one request per write.

Owns the requests and what the watch of managed Secrets said. Must not decide anything, and keeps no plaintext.
Neighbours: kube_manifest.py says how a Secret looks, kube_reading.py what one tells; wiring passes on what kopf's watch says.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

from keywright.adapters.kube import MERGE_PATCH, path_of
from keywright.adapters.kube_cache import NewestSeen
from keywright.adapters.kube_errors import NotFound
from keywright.adapters.kube_manifest import create_body, fence_patch, release_patch, take_over_patch, update_patch
from keywright.adapters.kube_reading import MANAGED, Base, Held, base_of, find_plaintext, read_secret, writer_of
from keywright.adapters.kube_template import Texts
from keywright.api.apikey import KeyIssuerIdentity
from keywright.api.apikey_status import Handled
from keywright.errors import Conflict, Rejected, Unauthorized, Unavailable
from keywright.keys import LABEL_LIMIT, AttemptId, KeyId, KeyRecord, ResourceKey, SecretValue
from keywright.planning.observed import Absent, Foreign

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence

    from keywright.adapters.kube import KubeApi
    from keywright.planning.layout import Owner
    from keywright.planning.observed import Present, Sought, TargetLayout, TargetState
    from keywright.ports.sink import Delivery
    from keywright.ports.stores import Store

__all__ = ["MANAGED_SELECTOR", "SecretSink"]

MANAGED_SELECTOR: Final = f"{MANAGED}=true"
"""What the watch of Secrets selects: without it every Secret of the cluster would enter memory."""

_PLACEHOLDER: Final = "x" * 32
"""Stands for a plaintext in a rehearsal: as long as one."""

_PAGE: Final = 100
"""Secrets per page of a list: each may have 1 MiB, and anybody may put our label on theirs."""

_DRY: Final = {"dryRun": "All"}


class SecretSink:
    """Implements keywright.ports.sink.Sink."""

    def __init__(self, api: KubeApi, namespaces: Sequence[str] | None = None) -> None:
        """`namespaces`: list only there; None: everywhere."""
        self._api = api
        self._namespaces = namespaces
        self._store: NewestSeen[Held] = NewestSeen()

    # What is told.

    def seen(self, event_type: str | None, obj: Mapping[str, Any]) -> ResourceKey | None:
        """Take what the watch of managed Secrets says; returns the ApiKey it concerns, None where it is no news."""
        metadata = obj["metadata"]
        key = ResourceKey(metadata["namespace"], metadata["name"])
        uid, version = metadata["uid"], int(metadata["resourceVersion"])
        if event_type == "DELETED":
            gone = self._store.remove(key, uid, version)
            return gone.present.owner if gone else None
        if not self._store.is_news(key, uid, version):
            return None
        match read_secret(obj):
            case Held() as held:
                self._store.put(key, uid, version, held)
                return held.present.owner
            case Foreign():
                gone = self._store.discard(key, version)
                return gone.present.owner if gone else None

    async def sync(self) -> list[ResourceKey]:
        """List all managed Secrets; may be repeated. Returns the ApiKeys that this told something about."""
        told: list[ResourceKey] = []

        def take(item: Mapping[str, Any]) -> ResourceKey:
            if owner := self.seen(None, item):
                told.append(owner)
            return ResourceKey(item["metadata"]["namespace"], item["metadata"]["name"])

        for namespace in (None,) if self._namespaces is None else self._namespaces:
            listing = await self._api.walk(
                path_of("/api/v1", "secrets", namespace), take, params={"labelSelector": MANAGED_SELECTOR}, page=_PAGE
            )
            for key in self._store.absent_from(listing.items, listing.version, namespace):
                gone = self._store.discard(key, listing.version)
                told += [gone.present.owner] if gone else []
        return told

    def known(self, namespace: str, name: str) -> Present | None:
        """What a watch last said stands there, without asking; None says nothing: only `read` knows of absence."""
        held = self._store.get(ResourceKey(namespace, name))
        return held.present if held else None

    def recorded(self) -> dict[KeyId, ResourceKey]:
        """The ids of all keys that a delivered record names, as last seen, each with a Secret where it stands."""
        return {held.present.record.key_id: key for key, held in self._store.items() if held.present.record}

    async def moved(self, namespace: str, name: str) -> bool:  # noqa: ARG002 - the port's signature
        """The watch tells."""
        return False

    async def reach(self, store: Store, namespaces: Collection[str]) -> None:
        """Secrets lie in no store."""

    async def read(self, namespace: str, name: str, sought: Sought | None = None) -> TargetState:
        """What stands there now: Absent, Present (ours) or Foreign; and whether that holds the plaintext that is sought.

        What was sought, and who changed the data, goes to who asks and is not remembered.
        """
        obj = await self._get(namespace, name)
        if obj is None:
            return Absent()
        found = self._take(obj)
        if sought is not None:
            found = read_secret(obj, sought)
        if isinstance(found, Foreign):
            return found
        present = found.present
        delivered = sought and sought.record and sought.record.digest
        if sought is None or (present.record and present.record.digest == present.digest == delivered):
            return present
        keys = (*present.data_keys, *(sought.layout.template or {sought.layout.key: ""}))
        return replace(present, changed_by=writer_of(obj, keys))

    # Writes.

    async def rehearse(self, layout: TargetLayout, owner: Owner, version: str | None) -> None:
        """Ask by a server-side dry run of the very object, with a placeholder for the plaintext; changes nothing."""
        record = _rehearsed(owner)
        data = Texts(layout.key, layout.template, record).render(SecretValue(_PLACEHOLDER))
        if version is None:
            body = create_body(layout, owner, record, data)
            # No plaintext is on its way in or out, so the answer may be quoted in full.
            await self._create(layout, body, params=_DRY, confidential=False)
        else:
            patch = update_patch(await self._base(layout, owner, version), layout, owner, record, data)
            await self._patch(layout.namespace, layout.name, patch, params=_DRY)

    async def deliver(self, delivery: Delivery, version: str | None) -> Present:
        """Write plaintext and record in one go."""
        layout, owner, record = delivery.layout, delivery.owner, delivery.record
        data = Texts(layout.key, layout.template, record).render(delivery.plaintext)
        if version is None:
            return self._present(await self._create(layout, create_body(layout, owner, record, data)))
        patch = update_patch(await self._base(layout, owner, version), layout, owner, record, data)
        return self._present(await self._patch(layout.namespace, layout.name, patch))

    async def fence(self, layout: TargetLayout, owner: Owner, mark: str, version: str | None) -> Present:
        """Touch the target, so that a writer that saw `version` can no longer deliver.

        An absent one is made, empty, as ours; one that is to be adopted becomes ours as it is.
        """
        if version is None:
            return self._present(await self._create(layout, create_body(layout, owner, None, {}, mark)))
        patch = fence_patch(version, mark)
        if layout.adopted and self.known(layout.namespace, layout.name) is None:
            obj = await self._at(layout.namespace, layout.name, version)
            if self._may_go_over(obj, layout, owner):
                patch = take_over_patch(version, owner, mark)
        return self._present(await self._patch(layout.namespace, layout.name, patch))

    async def rewrite(self, layout: TargetLayout, owner: Owner, record: KeyRecord, version: str) -> Present:
        """Lay the same key out anew, with this record: the plaintext, known by its digest, is read from the target itself.

        Conflict where another version stands there, or not that plaintext.
        """
        obj = await self._at(layout.namespace, layout.name, version)
        plaintext = find_plaintext(obj, record, layout)
        if plaintext is None:
            raise Conflict(f"Secret {layout.namespace}/{layout.name} no longer holds the key that was delivered")
        rendered = Texts(layout.key, layout.template, record).render(plaintext)
        patch = update_patch(base_of(obj), layout, owner, record, rendered)
        return self._present(await self._patch(layout.namespace, layout.name, patch))

    async def prove(
        self, namespace: str, name: str, key_id: KeyId, check: Callable[[SecretValue], Awaitable[bool]]
    ) -> bool | None:
        """What `check` says of the plaintext that stands there for this key; None where there is none."""
        obj = await self._get(namespace, name)
        held = self._take(obj) if obj else None
        record = held.present.record if isinstance(held, Held) else None
        if obj is None or record is None or record.key_id != key_id:
            return None
        plaintext = find_plaintext(obj, record)
        return await check(plaintext) if plaintext else None

    async def prune(self, namespace: str, name: str, key_id: KeyId) -> None:
        """A Secret has no older versions."""

    async def clean(self, namespace: str, name: str, version: str, *, adopted: bool) -> None:
        """Remove what is ours; what is gone already counts as done. Adopted: only what was put there since; the Secret stays."""
        key = ResourceKey(namespace, name)
        if adopted:
            obj = await self._get(namespace, name)
            if obj is not None:
                _same(obj, version)
                self._take(await self._patch(namespace, name, release_patch(obj)))
            return
        held = self._store.get(key)
        preconditions = {"resourceVersion": version}
        if held and held.present.version == version:
            preconditions["uid"] = held.uid
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}
        before = self._store.version(key)
        with _refusals(namespace, name):
            try:
                await self._api.request(
                    "DELETE", path_of("/api/v1", "secrets", namespace, name), body=body, confidential=True
                )
            except NotFound as error:
                if not error.named:
                    raise
        self._store.discard(key, max(before, int(version)))

    # Requests.

    async def _get(self, namespace: str, name: str) -> dict[str, Any] | None:
        key = ResourceKey(namespace, name)
        before = self._store.version(key)
        with _refusals(namespace, name, "cannot be read"):
            try:
                return await self._api.request("GET", path_of("/api/v1", "secrets", namespace, name), confidential=True)
            except NotFound as error:
                if not error.named:
                    raise Unavailable(f"the apiserver knows no Secrets: {error}") from error
                self._store.discard(key, before)
                return None

    async def _at(self, namespace: str, name: str, version: str) -> dict[str, Any]:
        """The Secret as it stands, if that is at this version."""
        obj = await self._get(namespace, name)
        if obj is None:
            raise Conflict(f"Secret {namespace}/{name} is gone")
        return _same(obj, version)

    async def _base(self, layout: TargetLayout, owner: Owner, version: str) -> Base:
        """What a delivery goes over: remembered, else read."""
        held = self._store.get(ResourceKey(layout.namespace, layout.name))
        if held and held.present.version == version:
            return held.base
        obj = await self._at(layout.namespace, layout.name, version)
        self._may_go_over(obj, layout, owner)
        return base_of(obj)

    def _may_go_over(self, obj: Mapping[str, Any], layout: TargetLayout, owner: Owner) -> bool:
        """Whether it is somebody else's, and to be adopted; raises Rejected where it is theirs alone."""
        found = self._take(obj)
        if not isinstance(found, Foreign):
            return False
        if not layout.adopted or found.adoptable_by != owner.key.name:
            raise Rejected(f"Secret {layout.namespace}/{layout.name} is {found.whose}", reason="TargetRefused")
        return True

    async def _create(
        self,
        layout: TargetLayout,
        body: dict[str, Any],
        *,
        params: Mapping[str, str] | None = None,
        confidential: bool = True,
    ) -> dict[str, Any]:
        with _refusals(layout.namespace, layout.name):
            return await self._api.request(
                "POST",
                path_of("/api/v1", "secrets", layout.namespace),
                body=body,
                params=params,
                confidential=confidential,
            )

    async def _patch(
        self, namespace: str, name: str, patch: dict[str, Any], *, params: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        with _refusals(namespace, name):
            try:
                return await self._api.request(
                    "PATCH",
                    path_of("/api/v1", "secrets", namespace, name),
                    body=patch,
                    params=params,
                    content_type=MERGE_PATCH,
                    confidential=True,
                )
            except NotFound as error:
                raise Conflict(f"Secret {namespace}/{name} is gone") from error

    def _take(self, obj: Mapping[str, Any]) -> Held | Foreign:
        """A Secret as just read: its own state is the answer, whatever else is known already."""
        metadata = obj["metadata"]
        key, version = ResourceKey(metadata["namespace"], metadata["name"]), int(metadata["resourceVersion"])
        found = read_secret(obj)
        if isinstance(found, Held):
            self._store.put(key, metadata["uid"], version, found)
        else:
            self._store.discard(key, version)
        return found

    def _present(self, obj: Mapping[str, Any]) -> Present:
        """The answer to a write."""
        found = self._take(obj)
        if isinstance(found, Foreign):
            metadata = obj["metadata"]
            raise Rejected(
                f"Secret {metadata['namespace']}/{metadata['name']} was written, but its labels or annotations did not stay: "
                "an admission webhook strips those under keywright.dev/",
                reason="TargetRefused",
            )
        return found.present


@contextmanager
def _refusals(namespace: str, name: str, what: str = "would not be written") -> Iterator[None]:
    """A target's refusals all have one reason; a log-in that is not accepted refuses no target."""
    try:
        yield
    except (Unauthorized, Rejected) as error:
        if error.reason == "Unauthorized":
            raise Unavailable(str(error)) from error
        raise Rejected(f"Secret {namespace}/{name} {what}: {error}", reason="TargetRefused") from error


def _same(obj: dict[str, Any], version: str) -> dict[str, Any]:
    metadata = obj["metadata"]
    if metadata["resourceVersion"] != version:
        raise Conflict(f"Secret {metadata['namespace']}/{metadata['name']} changed")
    return obj


def _rehearsed(owner: Owner) -> KeyRecord:
    """A record as large as they get, so that a rehearsal meets every limit on size."""
    uuid = "00000000-0000-4000-8000-000000000000"
    return KeyRecord(
        key_id=KeyId(uuid),
        attempt=AttemptId("00000000"),
        revision=1_000_000,
        cluster=owner.cluster,
        owner=owner.key,
        owner_uid=owner.uid,
        issuer=KeyIssuerIdentity(kind="ClusterKeyIssuer", name="x" * 253, uid=uuid),
        masked="xxxx...xxxx",
        digest="0" * 64,
        issued_at=datetime(2000, 1, 1, tzinfo=UTC),
        expires_on=date(2000, 1, 1),
        workspace_id=uuid,
        workspace_name="x" * 255,
        workspace="x" * 255,
        label="x" * LABEL_LIMIT,
        expiry="2000-01-01",
        handled=Handled(rotate="x" * 64, compromised="x" * 64),
    )
