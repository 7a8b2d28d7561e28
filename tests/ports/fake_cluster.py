"""The port Cluster in memory: one apiserver with resourceVersions and 409, and what each process has seen of it."""

from __future__ import annotations

import marshal
import uuid
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Literal

from tests.ports.faults import Faults

from keywright.adapters.kube_cache import NewestSeen
from keywright.api.base import GROUP, VERSION
from keywright.api.reading import issuer_wanted, issuers_recorded
from keywright.errors import Conflict
from keywright.keys import ResourceKey, SecretValue
from keywright.planning.places import place_seen
from keywright.ports.cluster import EventNote, Object, finalizer_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from keywright.api.apikey import KeyIssuerIdentity
    from keywright.api.base import ConfigMapKeyRef, SecretKeyRef

__all__ = ["ApiServer", "FakeCluster"]

At = tuple[str, ResourceKey]
"""Kind and name."""


class ApiServer:
    """What stands, and what people do to it. Objects are never changed in place: whoever holds one may keep it."""

    guarded = True
    """Whether a write that names an older version is a Conflict."""

    def __init__(self, clock: Callable[[], datetime], new_uid: Callable[[], str] = lambda: str(uuid.uuid4())) -> None:
        """`clock` stamps creations and deletions; `new_uid` gives another at each call."""
        self._clock = clock
        self._new_uid = new_uid
        self.stored: dict[At, Object] = {}
        self.version = 1000
        self.values: dict[tuple[str, str, str], dict[str, str]] = {}
        self.labels: dict[str, dict[str, str]] = {}
        self.ending: set[str] = set()
        """Namespaces that are being deleted."""
        self.collect: Callable[[str], None] = lambda _uid: None
        self.watchers: list[Callable[[str, Object], None]] = []
        """Each hears of every change: ADDED, MODIFIED or DELETED, and the object."""

    def create(self, kind: str, key: ResourceKey, spec: Mapping[str, Any], **metadata: Any) -> Object:
        """Somebody creates an object."""
        obj: Object = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": kind,
            "metadata": {
                "namespace": key.namespace,
                "name": key.name,
                "uid": self._new_uid(),
                "generation": 1,
                "creationTimestamp": self._clock().strftime("%Y-%m-%dT%H:%M:%SZ"),
                **metadata,
            },
            "spec": copied(spec),
        }
        assert (kind, key) not in self.stored
        return self.store((kind, key), obj, "ADDED")

    def edit(self, kind: str, key: ResourceKey, change: Callable[[Object], Any]) -> Object:
        """Somebody edits an object; a changed spec is a new generation."""
        obj = copied(self.stored[kind, key])
        change(obj)
        if obj["spec"] != self.stored[kind, key]["spec"]:
            obj["metadata"]["generation"] += 1
        return self.store((kind, key), obj)

    def delete(self, kind: str, key: ResourceKey) -> None:
        """Somebody deletes an object: at once, or once its finalizers are gone."""
        there = self.stored[kind, key]
        if "deletionTimestamp" not in there["metadata"]:
            stamp = self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")
            generation = there["metadata"]["generation"] + 1
            self.store(
                (kind, key),
                {**there, "metadata": {**there["metadata"], "deletionTimestamp": stamp, "generation": generation}},
            )

    def write(self, seen: Object, fields: Mapping[str, Any], metadata: Mapping[str, Any]) -> Object:
        """A guarded write of top-level fields and of metadata."""
        at = (seen["kind"], key_of(seen))
        there = self.stored.get(at)
        if there is None or (
            self.guarded and there["metadata"]["resourceVersion"] != seen["metadata"]["resourceVersion"]
        ):
            raise Conflict(f"{at[0]} {at[1]} was changed by somebody else")
        return self.store(at, {**there, **fields, "metadata": {**there["metadata"], **metadata}})

    def store(self, at: At, obj: Object, event: str = "MODIFIED") -> Object:
        """A new version; one that is deleted, and that nothing holds, is gone."""
        self.version += 1
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        gone = "deletionTimestamp" in obj["metadata"] and not obj["metadata"].get("finalizers")
        if gone:
            self.stored.pop(at, None)
            self.collect(obj["metadata"]["uid"])
        else:
            self.stored[at] = obj
        for watcher in self.watchers:
            watcher("DELETED" if gone else event, obj)
        return obj


class FakeCluster:
    """Implements keywright.ports.cluster.Cluster: one process's eyes and hands.

    Methods without a port's docstring are the outside world.
    """

    def __init__(
        self, clock: Callable[[], datetime], faults: Faults | None = None, server: ApiServer | None = None
    ) -> None:
        """Over an apiserver of its own, unless one is given."""
        self.server = server or ApiServer(clock)
        self.faults = faults or Faults()
        self.lagging = False
        """Whether the watch is silent."""
        self._seen: defaultdict[str, NewestSeen[Object]] = defaultdict(NewestSeen)
        self.events: list[EventNote] = []
        self.writes: list[str] = []
        self.server.watchers.append(self._watch)

    # What is known.

    def api_key(self, key: ResourceKey) -> Object | None:
        """The ApiKey as last seen."""
        return self._seen["ApiKey"].get(key)

    def api_keys(self) -> Iterable[Object]:
        """All ApiKeys as last seen."""
        return self._seen["ApiKey"].values()

    def claimants(self, namespace: str, place: str) -> Iterable[Object]:
        """By spec.target."""
        return [
            obj for obj in self.api_keys() if obj["metadata"]["namespace"] == namespace and place_seen(obj) == place
        ]

    def users_of(self, identity: KeyIssuerIdentity, namespace: str | None) -> Iterable[ResourceKey]:
        """By spec.issuerRef."""
        for obj in self.api_keys():
            ref = obj["spec"]["issuerRef"]
            if (ref.get("kind", "KeyIssuer"), ref["name"]) == (identity.kind, identity.name) and namespace in (
                None,
                obj["metadata"]["namespace"],
            ):
                yield key_of(obj)

    def count_users(self, identity: KeyIssuerIdentity, issuer_namespace: str | None, namespace: str) -> int:
        """Of one namespace."""
        return sum(1 for key in self.users_of(identity, issuer_namespace) if key.namespace == namespace)

    def dependents(self, kind: str, namespace: str | None, name: str) -> Iterable[Object]:
        """Of a KeyIssuer's own namespace, or of all."""
        for obj in self.api_keys():
            named = {issuer_wanted(obj), *issuers_recorded(obj)}
            if (kind, name) in named and namespace in (None, obj["metadata"]["namespace"]):
                yield obj

    def store(self, kind: str, namespace: str | None, name: str) -> Object | None:
        """The store as last seen."""
        return self._seen[kind].get(ResourceKey(namespace or "", name))

    def stores(self) -> Iterable[Object]:
        """All stores as last seen."""
        return [obj for kind in ("VaultStore", "ClusterVaultStore") for obj in self._seen[kind].values()]

    async def token(self, namespace: str, account: str, audiences: Sequence[str]) -> SecretValue:
        """Of any account, and good for nothing."""
        await self.faults.before("token")
        return SecretValue(f"{namespace}/{account} for {', '.join(audiences)}")

    def issuer(self, kind: str, namespace: str | None, name: str) -> Object | None:
        """As last seen."""
        return self._seen[kind].get(ResourceKey(namespace or "", name))

    def seen(self, event: str, obj: Object) -> bool:
        """A watch spoke; False where that is no news."""
        meta, key = obj["metadata"], key_of(obj)
        version = int(meta["resourceVersion"])
        if event == "DELETED":
            return self._seen[obj["kind"]].remove(key, meta["uid"]) is not None
        return self._seen[obj["kind"]].put(key, meta["uid"], version, obj)

    # Reads and guarded writes.

    async def refresh(self, key: ResourceKey) -> Object | None:
        """Read, and remembered."""
        await self.faults.before("refresh")
        self._look(("ApiKey", key))
        return self.server.stored.get(("ApiKey", key))

    async def annotate(self, key: ResourceKey, name: str, value: str, *, rehearse: bool) -> Object | None:
        """Whatever version stands there."""
        what, at = "rehearse annotate" if rehearse else "annotate", ("ApiKey", key)
        await self.faults.before(what)
        if rehearse or at not in self.stored:
            return self.stored.get(at)
        obj = self.server.edit(*at, lambda obj: obj["metadata"].setdefault("annotations", {}).update({name: value}))
        self._take(obj)
        self.writes.append(what)
        await self.faults.after(what)
        return obj

    async def patch_status(self, seen: Object, status: Mapping[str, Any]) -> Object:
        """Guarded; the same status again is no write."""
        if (seen.get("status") or {}) == status:
            return seen
        what = f"patch_status {'attempt ' if 'attempt' in status else ''}of {seen['kind']}"
        return await self._write(seen, what, fields={"status": copied(status)})

    async def add_finalizer(self, seen: Object) -> Object:
        """Guarded."""
        finalizers, ours = list(seen["metadata"].get("finalizers") or []), finalizer_of(seen)
        if ours in finalizers:
            return seen
        what = "add_finalizer" if seen["kind"] == "ApiKey" else "hold"
        return await self._write(seen, what, metadata={"finalizers": [*finalizers, ours]})

    async def remove_finalizer(self, seen: Object) -> None:
        """Guarded; gone counts as done."""
        left = [name for name in seen["metadata"].get("finalizers") or [] if name != finalizer_of(seen)]
        at = (seen["kind"], key_of(seen))
        if at not in self.stored:
            self._look(at)
            return
        if self.stored[at]["metadata"]["uid"] != seen["metadata"]["uid"]:
            raise Conflict(f"{at[0]} {at[1]} was made again")
        what = "remove_finalizer" if seen["kind"] == "ApiKey" else "let go"
        await self._write(seen, what, metadata={"finalizers": left})

    async def read_value(
        self, kind: Literal["Secret", "ConfigMap"], namespace: str, ref: SecretKeyRef | ConfigMapKeyRef
    ) -> SecretValue | None:
        """One value by name."""
        await self.faults.before("read_value")
        value = self.values.get((kind, ref.namespace or namespace, ref.name), {}).get(ref.key)
        return SecretValue(value) if value else None

    async def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        """Of a namespace."""
        await self.faults.before("namespace_labels")
        return self.server.labels.get(namespace, {})

    async def is_ending(self, namespace: str) -> bool:
        """As somebody said."""
        await self.faults.before("is_ending")
        return namespace in self.server.ending

    def note(self, event: EventNote) -> None:
        """Kept; the same words once."""
        if (event.reason, event.message) not in {(e.reason, e.message) for e in self.events}:
            self.events.append(event)

    async def _write(
        self,
        seen: Object,
        what: str,
        fields: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Object:
        await self.faults.before(what)
        try:
            obj = self.server.write(seen, fields or {}, metadata or {})
        except Conflict:
            at = (seen["kind"], key_of(seen))
            if at not in self.stored:
                self._look(at)
            raise
        self._take(obj)  # what this process wrote itself, it has seen
        self.writes.append(what)
        await self.faults.after(what)
        return obj

    # The outside world.

    @property
    def stored(self) -> dict[At, Object]:
        """What stands at the apiserver."""
        return self.server.stored

    @property
    def values(self) -> dict[tuple[str, str, str], dict[str, str]]:
        """Data of Secrets and ConfigMaps that issuers refer to."""
        return self.server.values

    def create(self, kind: str, key: ResourceKey, spec: Mapping[str, Any], **metadata: Any) -> Object:
        """Somebody creates an object."""
        return self.server.create(kind, key, spec, **metadata)

    def edit(self, kind: str, key: ResourceKey, change: Callable[[Object], Any]) -> Object:
        """Somebody edits an object."""
        return self.server.edit(kind, key, change)

    def delete(self, kind: str, key: ResourceKey) -> None:
        """Somebody deletes an object."""
        self.server.delete(kind, key)

    def catch_up(self) -> None:
        """The watch tells everything that happened."""
        for kind, held in self._seen.items():
            there = [key for of_kind, key in self.stored if of_kind == kind]
            for key in held.absent_from(there, self.server.version, None):
                held.discard(key, self.server.version)
        for obj in self.stored.values():
            self.seen("MODIFIED", obj)

    def _watch(self, event: str, obj: Object) -> None:
        if not self.lagging:
            self.seen(event, obj)

    def _take(self, obj: Object) -> None:
        """The answer to a write of our own: the last finalizer's removal ends the object."""
        gone = "deletionTimestamp" in obj["metadata"] and not obj["metadata"].get("finalizers")
        self.seen("DELETED" if gone else "MODIFIED", obj)

    def _look(self, at: At) -> None:
        kind, key = at
        if (obj := self.stored.get(at)) is not None:
            self.seen("MODIFIED", obj)
        else:
            self._seen[kind].discard(key, self.server.version)


def key_of(obj: Object) -> ResourceKey:
    """Its name."""
    return ResourceKey(obj["metadata"]["namespace"], obj["metadata"]["name"])


def copied(json: Any) -> Any:
    """Of JSON nothing is shared. Thirty times as fast as copy.deepcopy, which the simulation's time would notice."""
    return marshal.loads(marshal.dumps(json))  # noqa: S302 - written a moment ago, by this very process
