"""The port `Cluster` on a real apiserver: ApiKeys and issuers as the watches saw them, and guarded writes.

Owns what is known of these kinds. Must not decide anything, nor touch the Secrets keywright delivers into
(kube_secret.py). Neighbours: wiring, which passes on what kopf's watches say; kube.py.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import TYPE_CHECKING, Any, Final, Literal

from keywright.adapters.kube import MERGE_PATCH, path_of
from keywright.adapters.kube_cache import NewestSeen
from keywright.adapters.kube_errors import NotFound
from keywright.adapters.kube_events import EventWriter
from keywright.adapters.kube_index import ApiKeyIndex
from keywright.adapters.kube_patch import dropped_field, merge_diff
from keywright.adapters.kube_tokens import service_account_token
from keywright.api.base import GROUP, VERSION
from keywright.errors import Conflict, Rejected, Unauthorized, Unavailable
from keywright.keys import ResourceKey, SecretValue
from keywright.ports.cluster import finalizer_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from keywright.adapters.kube import KubeApi
    from keywright.api.apikey import KeyIssuerIdentity
    from keywright.api.base import ConfigMapKeyRef, SecretKeyRef
    from keywright.ports.cluster import EventNote, Object

__all__ = ["KINDS", "KubeCluster", "not_installed"]

KINDS: Final = {
    "ApiKey": "apikeys",
    "KeyIssuer": "keyissuers",
    "ClusterKeyIssuer": "clusterkeyissuers",
    "VaultStore": "vaultstores",
    "ClusterVaultStore": "clustervaultstores",
}
"""The kinds this adapter keeps, and their resources."""

_PREFIX: Final = f"/apis/{GROUP}/{VERSION}"

_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"

_LABELS_KEPT: Final = 60.0
"""Seconds that a namespace's labels are believed: the port's word."""

_NAMESPACES_KEPT: Final = 4096
"""Namespaces whose labels are remembered; past it all are asked again."""


class KubeCluster:
    """Implements keywright.ports.cluster.Cluster."""

    def __init__(
        self,
        api: KubeApi,
        now: Callable[[], datetime],
        namespaces: Sequence[str] | None = None,
        *,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        """`namespaces`: only these, and no cluster-scoped kind; None: all. `busy`: events had better wait."""
        self._api = api
        self._namespaces = namespaces
        self._stores: dict[str, NewestSeen[Object]] = {kind: NewestSeen() for kind in KINDS}
        self._index = ApiKeyIndex()
        self._events = EventWriter(api, now, busy=busy)
        self._labels: dict[str, tuple[float, asyncio.Task[Mapping[str, str]]]] = {}

    # What is known.

    def api_key(self, key: ResourceKey) -> Object | None:
        """The ApiKey as last seen; None: not there."""
        return self._stores["ApiKey"].get(key)

    def api_keys(self) -> Iterable[Object]:
        """All ApiKeys as last seen."""
        return self._stores["ApiKey"].values()

    def claimants(self, namespace: str, place: str) -> Iterable[Object]:
        """The ApiKeys whose target is this place."""
        found = (self.api_key(key) for key in self._index.of_target(namespace, place))
        return [obj for obj in found if obj is not None]

    def users_of(self, identity: KeyIssuerIdentity, namespace: str | None) -> Iterable[ResourceKey]:
        """ApiKeys whose issuerRef names this issuer; `namespace`: a KeyIssuer's own, None for a ClusterKeyIssuer."""
        return self._index.of_issuer(identity.kind, namespace, identity.name)

    def count_users(self, identity: KeyIssuerIdentity, issuer_namespace: str | None, namespace: str) -> int:
        """How many ApiKeys of `namespace` name this issuer."""
        return self._index.count(identity.kind, issuer_namespace, identity.name, namespace)

    def dependents(self, kind: str, namespace: str | None, name: str) -> Iterable[Object]:
        """ApiKeys that name this issuer anywhere, re-created or not."""
        for keys in (self._index.of_issuer(kind, namespace, name), self._index.of_maker(kind, namespace, name)):
            yield from (obj for key in keys if (obj := self.api_key(key)) is not None)

    def issuer(self, kind: str, namespace: str | None, name: str) -> Object | None:
        """The issuer object as last seen; None: not there."""
        return self._stores[kind].get(ResourceKey(namespace or "", name))

    def issuers(self) -> list[Object]:
        """All issuers of both kinds as last seen."""
        return [obj for kind in ("KeyIssuer", "ClusterKeyIssuer") for obj in self._stores[kind].values()]

    def store(self, kind: str, namespace: str | None, name: str) -> Object | None:
        """The VaultStore or ClusterVaultStore as last seen; None: not there."""
        return self._stores[kind].get(ResourceKey(namespace or "", name))

    def stores(self) -> list[Object]:
        """All stores of both kinds as last seen."""
        return [obj for kind in ("VaultStore", "ClusterVaultStore") for obj in self._stores[kind].values()]

    # What is told.

    def seen(self, kind: str, event_type: str | None, obj: Mapping[str, Any]) -> bool:
        """Take what a watch says; False where it is no news, as the echo of a write of our own."""
        metadata = obj["metadata"]
        key = ResourceKey(metadata.get("namespace") or "", metadata["name"])
        uid, version = metadata["uid"], int(metadata["resourceVersion"])
        store = self._stores[kind]
        if event_type == "DELETED":
            gone = store.remove(key, uid, version)
            if gone is not None and kind == "ApiKey":
                self._index.replace(gone, None)
            return gone is not None
        if not store.is_news(key, uid, version):
            return False
        state = _kept(kind, obj)
        old = store.get(key)
        store.put(key, uid, version, state)
        if kind == "ApiKey":
            self._index.replace(old, state)
        return True

    async def sync(self) -> list[ResourceKey]:
        """List all kinds, so that absence is known; may be repeated.

        Returns the ApiKeys that this told something about.

        Raises Unavailable where the kinds are not installed or the apiserver does not answer.
        """
        told: list[ResourceKey] = []
        for kind, resource in KINDS.items():
            if self._namespaces is None:
                told += await self._sync_kind(kind, resource, None)
            elif not kind.startswith("Cluster"):
                for namespace in self._namespaces:
                    told += await self._sync_kind(kind, resource, namespace)
        return told

    async def _sync_kind(self, kind: str, resource: str, namespace: str | None) -> list[ResourceKey]:
        told: list[ResourceKey] = []

        def take(item: Object) -> ResourceKey:
            if self.seen(kind, None, item):
                told.append(_key_of(item))
            return _key_of(item)

        try:
            listing = await self._api.walk(path_of(_PREFIX, resource, namespace), take)
        except NotFound as error:
            raise not_installed() from error
        store = self._stores[kind]
        for key in store.absent_from(listing.items, listing.version, namespace):
            gone = store.discard(key, listing.version)
            if kind == "ApiKey":
                self._index.replace(gone, None)
            told.append(key)
        return told if kind == "ApiKey" else []

    async def refresh(self, key: ResourceKey) -> Object | None:
        """Read the ApiKey anew, after a Conflict."""
        held = self._stores["ApiKey"].version(key)
        try:
            obj = await self._api.request("GET", path_of(_PREFIX, "apikeys", key.namespace, key.name))
        except NotFound as error:
            if not error.named:
                raise not_installed() from error
            self._vanished("ApiKey", key, held)
            return None
        self.seen("ApiKey", None, obj)
        return self.api_key(key)

    def _vanished(self, kind: str, key: ResourceKey, held: int) -> None:
        gone = self._stores[kind].discard(key, held)
        if gone is not None and kind == "ApiKey":
            self._index.replace(gone, None)

    async def annotate(self, key: ResourceKey, name: str, value: str, *, rehearse: bool) -> Object | None:
        """Set one annotation of an ApiKey, whoever else wrote meanwhile; None: not there."""
        try:
            obj = await self._api.request(
                "PATCH",
                path_of(_PREFIX, "apikeys", key.namespace, key.name),
                body={"metadata": {"annotations": {name: value}}},
                params={"dryRun": "All"} if rehearse else None,
                content_type=MERGE_PATCH,
            )
        except NotFound as error:
            if not error.named:
                raise not_installed() from error
            return None
        if not rehearse:
            self.seen("ApiKey", None, obj)
        return obj

    # Guarded writes.

    async def patch_status(self, seen: Object, status: Mapping[str, Any]) -> Object:
        """Replace the status, guarded by what was seen. Returns what stands now.

        Raises Rejected(InvalidSpec) where the installed CRD dropped a field of it.
        """
        diff = merge_diff(seen.get("status") or {}, status)
        if not diff:
            return seen
        answer = await self._patch(seen, {"status": diff}, "status")
        self.seen(seen["kind"], None, answer)
        if field := dropped_field(_without_none(status), answer.get("status") or {}):
            raise Rejected(
                f"the installed CRD is older than this operator and dropped {field}: run kubectl apply --server-side -f crds again",
                reason="InvalidSpec",
            )
        return answer

    async def add_finalizer(self, seen: Object) -> Object:
        """Put keywright's finalizer on, guarded."""
        finalizers, ours = seen["metadata"].get("finalizers") or [], finalizer_of(seen)
        if ours in finalizers:
            return seen
        answer = await self._patch(seen, {"metadata": {"finalizers": [*finalizers, ours]}})
        self.seen(seen["kind"], None, answer)
        return answer

    async def remove_finalizer(self, seen: Object) -> None:
        """Take keywright's finalizer off, guarded; an object that is gone counts as done."""
        metadata, ours = seen["metadata"], finalizer_of(seen)
        finalizers = metadata.get("finalizers") or []
        if ours not in finalizers:
            return
        left = [name for name in finalizers if name != ours]
        kind, key = seen["kind"], _key_of(seen)
        try:
            answer = await self._patch(seen, {"metadata": {"finalizers": left}})
        except NotFound:
            # Absent for good: this very uid never comes back, whatever late events say.
            answer = None
        if answer is None or (metadata.get("deletionTimestamp") and not left):
            gone = self._stores[kind].remove(key, metadata["uid"])
            if gone is not None and kind == "ApiKey":
                self._index.replace(gone, None)
        else:
            self.seen(kind, None, answer)

    async def _patch(self, seen: Object, patch: dict[str, Any], sub: str | None = None) -> Object:
        """A merge patch that names the resourceVersion it was made for.

        NotFound passes only for a removed finalizer's object.
        """
        metadata, kind = seen["metadata"], seen["kind"]
        guarded = {**patch, "metadata": {**patch.get("metadata", {}), "resourceVersion": metadata["resourceVersion"]}}
        path = path_of(_PREFIX, KINDS[kind], metadata.get("namespace"), metadata["name"], sub)
        held = self._stores[kind].version(_key_of(seen))
        try:
            return _kept(kind, await self._api.request("PATCH", path, body=guarded, content_type=MERGE_PATCH))
        except NotFound as error:
            if not error.named:
                raise not_installed() from error
            if "finalizers" in guarded["metadata"] and finalizer_of(seen) not in guarded["metadata"]["finalizers"]:
                raise
            self._vanished(kind, _key_of(seen), held)
            raise Conflict(f"{kind} {_key_of(seen)} is gone") from error

    # What is asked for by name.

    async def read_value(
        self, kind: Literal["Secret", "ConfigMap"], namespace: str, ref: SecretKeyRef | ConfigMapKeyRef
    ) -> SecretValue | None:
        """One data key of one object, less blank space around it; None where object, key or value is missing."""
        at = ref.namespace or namespace
        resource = "secrets" if kind == "Secret" else "configmaps"
        try:
            obj = await self._api.request("GET", path_of("/api/v1", resource, at, ref.name))
        except NotFound:
            return None
        encoded = (obj.get("data" if kind == "Secret" else "binaryData") or {}).get(ref.key)
        text = (obj.get("data") or {}).get(ref.key) if encoded is None else _decoded(encoded)
        if encoded is not None and text is None:
            raise Rejected(
                f"the data key {ref.key} of {kind} {at}/{ref.name} holds bytes that are no UTF-8 text: write the value as plain text",
                reason="IssuerInvalid",
            )
        return SecretValue(text.strip()) if text and text.strip() else None

    async def token(self, namespace: str, account: str, audiences: Sequence[str]) -> SecretValue:
        """A short-lived token of a ServiceAccount, made out for these audiences; asked for anew each time."""
        return await service_account_token(self._api, namespace, account, audiences)

    async def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        """The labels of a namespace, at most a minute old; asked for once however many wait.

        Raises Unavailable: it is gone.
        """
        now = asyncio.get_running_loop().time()
        kept = self._labels.get(namespace)
        if kept is None or now - kept[0] >= _LABELS_KEPT or _failed(kept[1]):
            if len(self._labels) >= _NAMESPACES_KEPT:
                self._labels.clear()
            kept = (now, asyncio.create_task(self._read_labels(namespace), name=f"labels-of-{namespace}"))
            self._labels[namespace] = kept
        # Shielded: one of several who wait may be cancelled.
        return await asyncio.shield(kept[1])

    async def _read_labels(self, namespace: str) -> Mapping[str, str]:
        try:
            obj = await self._api.request("GET", path_of("/api/v1", "namespaces", None, namespace))
        except NotFound as error:
            raise Unavailable(f"the namespace {namespace} is gone") from error
        return obj["metadata"].get("labels") or {}

    async def is_ending(self, namespace: str) -> bool:
        """Whether a namespace is being deleted, or gone; False where there is no right to know."""
        try:
            obj = await self._api.request("GET", path_of("/api/v1", "namespaces", None, namespace))
        except NotFound:
            return True
        except Unauthorized:
            return False
        return "deletionTimestamp" in obj["metadata"]

    def note(self, event: EventNote) -> None:
        """Write an event in the background: never waits or fails; the same words within an hour are written once."""
        self._events.note(event)

    async def drain(self, seconds: float) -> None:
        """At shutdown: write the events that wait, within this time."""
        await self._events.drain(seconds)


def _kept(kind: str, obj: Mapping[str, Any]) -> Object:
    """Less what is most of an object's size and of no use here; the watch's own object stays as it is."""
    metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    if _LAST_APPLIED in (metadata.get("annotations") or {}):
        metadata["annotations"] = {n: v for n, v in metadata["annotations"].items() if n != _LAST_APPLIED}
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind, **obj, "metadata": metadata}


def _key_of(obj: Mapping[str, Any]) -> ResourceKey:
    metadata = obj["metadata"]
    return ResourceKey(metadata.get("namespace") or "", metadata["name"])


def _decoded(encoded: str) -> str | None:
    """None: no text. Never an exception, since a UnicodeDecodeError carries the bytes that it could not read."""
    try:
        return base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def _without_none(status: Mapping[str, Any]) -> dict[str, Any]:
    """None counts as absent in a merge patch: it cannot come back."""
    return {
        name: _without_none(value) if isinstance(value, dict) else value
        for name, value in status.items()
        if value is not None
    }


def not_installed() -> Unavailable:
    """What an unknown path means."""
    return Unavailable(f"the kinds of {GROUP}/{VERSION} are not installed: run kubectl apply --server-side -f crds")
