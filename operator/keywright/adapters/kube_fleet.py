"""What a person may see of ApiKeys, and of what they use, with their own rights: read once, or followed by watches.

Owns which missing right ends a command and which is only told. Writes nothing. Neighbours: kube.py; planning/fleet.py makes a report
of what is read here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from keywright.adapters.kube import path_of
from keywright.adapters.kube_errors import Gone, NotFound
from keywright.adapters.kube_lease import place_of
from keywright.adapters.kube_objects import KINDS, not_installed
from keywright.api.base import GROUP, VERSION
from keywright.errors import Rejected, Retryable, Unauthorized
from keywright.planning.fleet import Read
from keywright.planning.leases import Lease
from keywright.planning.standing import Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keywright.adapters.kube import KubeApi
    from keywright.planning.used import Ref

__all__ = ["FleetReader"]

_PREFIX: Final = f"/apis/{GROUP}/{VERSION}"
_LEASES: Final = "/apis/coordination.k8s.io/v1"
_USED: Final = ("KeyIssuer", "ClusterKeyIssuer", "VaultStore", "ClusterVaultStore")
_AGAIN: Final = 2.0
"""Seconds until a watch that broke off is begun anew."""
_NOW_AND_THEN: Final = 10.0
"""Seconds between looks at what is not watched."""

Object = dict[str, Any]


class FleetReader:
    """ApiKeys of one namespace, or of all (None), as they stand; `name`: that one alone."""

    def __init__(
        self, api: KubeApi, namespace: str | None, name: str | None, told: Callable[[str], None] = lambda _: None
    ) -> None:
        """`told` hears what is being read. A name wants a namespace."""
        self._api = api
        self._namespace = namespace
        self._name = name
        self._told = told
        self._keys: dict[tuple[str, str], Seen] = {}
        self._used: dict[Ref, Object] = {}
        self._versions: dict[str, int] = {}
        self._leases: list[Lease] = []
        self._forbidden: dict[str, str] = {}

    async def read(self) -> Read:
        """All of it. Raises Unauthorized, Unavailable, and Rejected(NotFound) for a name that is none."""
        await self._list_keys()
        if self._name is not None:
            await self._get_all_used()
        else:
            await asyncio.gather(*(self._list_used(kind) for kind in _USED))
        await self._read_leases()
        return self.seen()

    def seen(self) -> Read:
        """What is known by now."""
        kinds = {ref[0] for seen in self._keys.values() for ref in seen.uses}
        unread = [text for kind, text in self._forbidden.items() if kind in kinds]
        return Read(self._namespace, list(self._keys.values()), dict(self._used), tuple(self._leases), unread)

    async def events(self, uid: str) -> list[Object] | None:
        """The events about an object, oldest first; None where they may not be read."""
        try:
            path = path_of("/api/v1", "events", self._namespace)
            listing = await self._api.list(path, params={"fieldSelector": f"involvedObject.uid={uid}"})
        except Unauthorized:
            return None
        return sorted(listing.items, key=_when)

    async def follow(self, changed: Callable[[], None]) -> None:
        """Go on from what was read; `changed` is called after each piece of news. Never returns.

        Raises Unauthorized where a watch is not allowed.
        """
        kinds = ["ApiKey", *(kind for kind in _USED if kind in self._versions)]
        tasks = [asyncio.create_task(self._follow(kind, changed), name=f"watch-{kind}") for kind in kinds]
        tasks.append(asyncio.create_task(self._look_now_and_then(changed), name="look-now-and-then"))
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _list_keys(self) -> None:
        if self._name is not None and self._namespace is not None:
            path = path_of(_PREFIX, "apikeys", self._namespace, self._name)
            try:
                obj = await self._api.request("GET", path)
            except NotFound as error:
                if not error.named:
                    raise not_installed() from error
                raise Rejected(
                    f"there is no ApiKey {self._name} in namespace {self._namespace}: correct the name, or give the namespace with -n",
                    reason="NotFound",
                ) from error
            except Unauthorized as error:
                raise _denied(error, "get", "apikeys", self._namespace) from error
            self._keys = {_at(obj): Seen.of(obj)}
            self._versions["ApiKey"] = int(obj["metadata"]["resourceVersion"])
            return
        count = 0

        def take(obj: Object) -> Seen:
            nonlocal count
            count += 1
            if count % 500 == 0:
                self._told(f"reading ApiKeys: {count} so far")
            return Seen.of(obj)

        try:
            listing = await self._api.walk(path_of(_PREFIX, "apikeys", self._namespace), take)
        except NotFound as error:
            raise not_installed() from error
        except Unauthorized as error:
            raise _denied(error, "list", "apikeys", self._namespace) from error
        self._keys = {(seen.namespace, seen.name): seen for seen in listing.items}
        self._versions["ApiKey"] = listing.version

    async def _list_used(self, kind: str) -> None:
        resource, where = KINDS[kind], None if kind.startswith("Cluster") else self._namespace
        try:
            listing = await self._api.list(path_of(_PREFIX, resource, where))
        except (Unauthorized, NotFound) as error:
            if isinstance(error, NotFound) or error.reason != "Forbidden":
                raise
            self._forbidden[kind] = f"{_denied(error, 'list', resource, where)}."
            return
        self._used = {ref: obj for ref, obj in self._used.items() if ref[0] != kind}
        self._used |= {_ref(kind, obj): {**obj, "kind": kind} for obj in listing.items}
        self._versions[kind] = listing.version

    async def _get_all_used(self) -> None:
        named = {ref for seen in self._keys.values() for ref in seen.uses}
        await asyncio.gather(*(self._get_used(ref) for ref in named))

    async def _get_used(self, ref: Ref) -> None:
        kind, where, name = ref
        try:
            obj = await self._api.request("GET", path_of(_PREFIX, KINDS[kind], where, name))
        except NotFound:
            self._used.pop(ref, None)
            return
        except Unauthorized as error:
            if error.reason != "Forbidden":
                raise
            self._forbidden[kind] = f"{_denied(error, 'get', KINDS[kind], where)}."
            return
        self._used[ref] = {**obj, "kind": kind}

    async def _read_leases(self) -> None:
        """Of an operator for the whole cluster, and of one for this namespace; where there is no right, nobody knows."""
        places = [place_of((), None)] + ([place_of((self._namespace,), None)] if self._namespace else [])
        found = []
        for place in places:
            try:
                obj = await self._api.request("GET", path_of(_LEASES, "leases", place.namespace, place.name))
            except (NotFound, Unauthorized):
                continue
            found.append(Lease.of(obj))
        self._leases = found

    async def _follow(self, kind: str, changed: Callable[[], None]) -> None:
        where = None if kind.startswith("Cluster") else self._namespace
        path = path_of(_PREFIX, KINDS[kind], where)
        only = {"fieldSelector": f"metadata.name={self._name}"} if self._name is not None else {}
        while True:
            try:
                async for event in self._api.watch(path, self._versions[kind], params=only):
                    self._take(kind, event)
                    if event["type"] != "BOOKMARK":
                        changed()
            except Gone:
                await self._again(kind)
                changed()
            except Retryable:
                await asyncio.sleep(_AGAIN)
            except Unauthorized as error:
                raise _denied(error, "watch", KINDS[kind], where) from error

    async def _again(self, kind: str) -> None:
        if kind == "ApiKey":
            await self._list_keys()
        else:
            await self._list_used(kind)

    def _take(self, kind: str, event: Mapping[str, Any]) -> None:
        obj = event["object"]
        self._versions[kind] = int(obj["metadata"]["resourceVersion"])
        if event["type"] == "BOOKMARK":
            return
        gone = event["type"] == "DELETED"
        if kind != "ApiKey":
            if gone:
                self._used.pop(_ref(kind, obj), None)
            else:
                self._used[_ref(kind, obj)] = {**obj, "kind": kind}
        elif gone:
            self._keys.pop(_at(obj), None)
        else:
            self._keys[_at(obj)] = Seen.of(obj)

    async def _look_now_and_then(self, changed: Callable[[], None]) -> None:
        """At what is not worth a watch: the Lease, which is written every two seconds, and what one ApiKey alone uses."""
        while True:
            await asyncio.sleep(_NOW_AND_THEN)
            try:
                await self._read_leases()
                if self._name is not None:
                    await self._get_all_used()
            except Retryable:
                continue
            changed()


def _denied(error: Unauthorized, verb: str, resource: str, namespace: str | None) -> Unauthorized:
    """A missing right, and who has it to give; credentials that are refused altogether say so themselves."""
    if error.reason != "Forbidden":
        return error
    cluster = resource.startswith("cluster")
    where = "" if cluster else f" in namespace {namespace}" if namespace else " in all namespaces"
    role = "keywright-cluster-issuers" if cluster else "keywright-view"
    narrower = "" if cluster or namespace else ", or name a namespace with -n"
    text = f"you may not {verb} {resource}.{GROUP}{where}: ask for the ClusterRole {role}{narrower}"
    return Unauthorized(text, reason="Forbidden")


def _at(obj: Object) -> tuple[str, str]:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def _ref(kind: str, obj: Object) -> Ref:
    return kind, obj["metadata"].get("namespace"), obj["metadata"]["name"]


def _when(event: Object) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"])
