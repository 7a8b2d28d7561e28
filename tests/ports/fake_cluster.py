"""The port Cluster in memory: resourceVersions, 409, a watch that may lag behind."""

from __future__ import annotations

import copy
import uuid
from typing import TYPE_CHECKING, Any, Literal

from tests.ports.faults import Faults

from keywright.api.base import GROUP, VERSION
from keywright.api.reading import issuer_wanted, issuers_recorded
from keywright.errors import Conflict
from keywright.keys import ResourceKey, SecretValue
from keywright.ports.cluster import EventNote, Object, finalizer_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from keywright.api.apikey import KeyIssuerIdentity
    from keywright.api.base import ConfigMapKeyRef, SecretKeyRef

__all__ = ["FakeCluster"]


class FakeCluster:
    """Implements keywright.ports.cluster.Cluster; methods without a port's docstring are the outside world."""

    def __init__(self, clock: Callable[[], datetime], faults: Faults | None = None) -> None:
        self._clock = clock
        self.faults = faults or Faults()
        self.stored: dict[tuple[str, ResourceKey], Object] = {}
        self._seen: dict[tuple[str, ResourceKey], Object] = {}
        self.lagging = False
        self.version = 1000
        self.values: dict[tuple[str, str, str], dict[str, str]] = {}
        self.labels: dict[str, dict[str, str]] = {}
        self.ending: set[str] = set()
        self.events: list[EventNote] = []
        self.writes: list[str] = []
        self.collect: Callable[[str], None] = lambda _uid: None

    # What is known.

    def api_key(self, key: ResourceKey) -> Object | None:
        """The ApiKey as last seen."""
        return copy.deepcopy(self._seen.get(("ApiKey", key)))

    def api_keys(self) -> Iterable[Object]:
        """All ApiKeys as last seen."""
        return [copy.deepcopy(obj) for (kind, _), obj in self._seen.items() if kind == "ApiKey"]

    def claimants(self, namespace: str, secret: str) -> Iterable[Object]:
        """By spec.target.secret.name."""
        return [
            obj
            for obj in self.api_keys()
            if obj["metadata"]["namespace"] == namespace
            and (obj["spec"]["target"].get("secret") or {}).get("name") == secret
        ]

    def users_of(self, identity: KeyIssuerIdentity, namespace: str | None) -> Iterable[ResourceKey]:
        """By spec.issuerRef."""
        for obj in self.api_keys():
            ref = obj["spec"]["issuerRef"]
            if (ref.get("kind", "KeyIssuer"), ref["name"]) == (identity.kind, identity.name) and namespace in (
                None,
                obj["metadata"]["namespace"],
            ):
                yield _key(obj)

    def count_users(self, identity: KeyIssuerIdentity, issuer_namespace: str | None, namespace: str) -> int:
        """Of one namespace."""
        return sum(1 for key in self.users_of(identity, issuer_namespace) if key.namespace == namespace)

    def dependents(self, kind: str, namespace: str | None, name: str) -> Iterable[Object]:
        """Of a KeyIssuer's own namespace, or of all."""
        for obj in self.api_keys():
            named = {issuer_wanted(obj), *issuers_recorded(obj)}
            if (kind, name) in named and namespace in (None, obj["metadata"]["namespace"]):
                yield obj

    def issuer(self, kind: str, namespace: str | None, name: str) -> Object | None:
        """As last seen."""
        return copy.deepcopy(self._seen.get((kind, ResourceKey(namespace or "", name))))

    # Reads and guarded writes.

    async def refresh(self, key: ResourceKey) -> Object | None:
        """Read, and remembered."""
        self.faults.before("refresh")
        self._look(("ApiKey", key))
        return self.api_key(key)

    async def patch_status(self, seen: Object, status: Mapping[str, Any]) -> Object:
        """Guarded; the same status again is no write."""
        if (seen.get("status") or {}) == status:
            return seen
        what = f"patch_status {'attempt ' if 'attempt' in status else ''}of {seen['kind']}"
        return self._write(seen, what, lambda obj: obj.update(status=copy.deepcopy(dict(status))))

    async def add_finalizer(self, seen: Object) -> Object:
        """Guarded."""
        finalizers, ours = list(seen["metadata"].get("finalizers") or []), finalizer_of(seen)
        if ours in finalizers:
            return seen
        what = f"add_finalizer of {seen['kind']}"
        return self._write(seen, what, lambda obj: obj["metadata"].update(finalizers=[*finalizers, ours]))

    async def remove_finalizer(self, seen: Object) -> None:
        """Guarded; gone counts as done."""
        left = [name for name in seen["metadata"].get("finalizers") or [] if name != finalizer_of(seen)]
        at = (seen["kind"], _key(seen))
        if at not in self.stored or self.stored[at]["metadata"]["uid"] != seen["metadata"]["uid"]:
            self._look(at)
            return
        what = f"remove_finalizer of {seen['kind']}"
        self._write(seen, what, lambda obj: obj["metadata"].update(finalizers=left))

    async def read_value(
        self, kind: Literal["Secret", "ConfigMap"], namespace: str, ref: SecretKeyRef | ConfigMapKeyRef
    ) -> SecretValue | None:
        """One value by name."""
        self.faults.before("read_value")
        value = self.values.get((kind, ref.namespace or namespace, ref.name), {}).get(ref.key)
        return SecretValue(value) if value else None

    async def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        """Of a namespace."""
        self.faults.before("namespace_labels")
        return self.labels.get(namespace, {})

    async def is_ending(self, namespace: str) -> bool:
        """As somebody said."""
        self.faults.before("is_ending")
        return namespace in self.ending

    def note(self, event: EventNote) -> None:
        """Kept; the same words once."""
        if (event.reason, event.message) not in {(e.reason, e.message) for e in self.events}:
            self.events.append(event)

    def _write(self, seen: Object, what: str, change: Callable[[Object], Any]) -> Object:
        self.faults.before(what)
        at = (seen["kind"], _key(seen))
        there = self.stored.get(at)
        if there is None or there["metadata"]["resourceVersion"] != seen["metadata"]["resourceVersion"]:
            if there is None:
                self._look(at)
            raise Conflict(f"{at[0]} {at[1]} was changed by somebody else")
        obj = copy.deepcopy(there)
        change(obj)
        self._store(at, obj)
        self._look(at)  # what this process wrote itself, it has seen
        self.writes.append(what)
        self.faults.after(what)
        return copy.deepcopy(obj)

    # The outside world.

    def create(self, kind: str, key: ResourceKey, spec: Mapping[str, Any], **metadata: Any) -> Object:
        """Somebody creates an object."""
        obj: Object = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": kind,
            "metadata": {
                "namespace": key.namespace,
                "name": key.name,
                "uid": str(uuid.uuid4()),
                "generation": 1,
                "creationTimestamp": self._clock().strftime("%Y-%m-%dT%H:%M:%SZ"),
                **metadata,
            },
            "spec": copy.deepcopy(dict(spec)),
        }
        assert (kind, key) not in self.stored
        self._store((kind, key), obj)
        self.catch_up(unless_lagging=True)
        return copy.deepcopy(obj)

    def edit(self, kind: str, key: ResourceKey, change: Callable[[Object], Any]) -> Object:
        """Somebody edits an object; a changed spec is a new generation."""
        obj = copy.deepcopy(self.stored[kind, key])
        change(obj)
        if obj["spec"] != self.stored[kind, key]["spec"]:
            obj["metadata"]["generation"] += 1
        self._store((kind, key), obj)
        self.catch_up(unless_lagging=True)
        return copy.deepcopy(obj)

    def delete(self, kind: str, key: ResourceKey) -> None:
        """Somebody deletes an object: at once, or once its finalizers are gone; asked for twice, it is being deleted as before."""
        obj = copy.deepcopy(self.stored[kind, key])
        if "deletionTimestamp" not in obj["metadata"]:
            obj["metadata"]["deletionTimestamp"] = self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")
            obj["metadata"]["generation"] += 1
            self._store((kind, key), obj)
        self.catch_up(unless_lagging=True)

    def catch_up(self, *, unless_lagging: bool = False) -> None:
        """The watch tells everything that happened."""
        if not (unless_lagging and self.lagging):
            for at in {*self._seen, *self.stored}:
                self._look(at)

    def _store(self, at: tuple[str, ResourceKey], obj: Object) -> None:
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        if "deletionTimestamp" in obj["metadata"] and not obj["metadata"].get("finalizers"):
            self.stored.pop(at, None)
            self.collect(obj["metadata"]["uid"])
        else:
            self.stored[at] = obj

    def _look(self, at: tuple[str, ResourceKey]) -> None:
        if at in self.stored:
            self._seen[at] = self.stored[at]
        else:
            self._seen.pop(at, None)


def _key(obj: Object) -> ResourceKey:
    return ResourceKey(obj["metadata"]["namespace"], obj["metadata"]["name"])
