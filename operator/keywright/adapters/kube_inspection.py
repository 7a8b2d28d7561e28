"""The port `Inspection` on a real apiserver: reviews of rights, CRDs, what runs, clocks. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.request import getproxies, proxy_bypass

from keywright.adapters.address import base_url, trust
from keywright.adapters.http_date import date_of
from keywright.adapters.kube import path_of
from keywright.adapters.kube_errors import NotFound
from keywright.adapters.kube_objects import KINDS
from keywright.api.base import GROUP, VERSION
from keywright.errors import Ambiguous, Unauthorized, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from keywright.adapters.kube import KubeApi
    from keywright.keys import SecretValue
    from keywright.planning.diagnosis.rights import Right
    from keywright.ports.cluster import Object

__all__ = ["KubeInspection"]

_REVIEWS: Final = "/apis/authorization.k8s.io/v1"
_CRDS: Final = "/apis/apiextensions.k8s.io/v1"
_OURS: Final = {"labelSelector": "app.kubernetes.io/name=keywright"}
_RUNNING: Final = {"Deployment": ("/apis/apps/v1", "deployments"), "Lease": ("/apis/coordination.k8s.io/v1", "leases")}


class KubeInspection:
    """Implements keywright.ports.inspection.Inspection."""

    def __init__(self, api: KubeApi, *, allow_insecure: bool) -> None:
        """`allow_insecure`: clocks behind plain http and loopback addresses are looked at, too."""
        self._api = api
        self._allow_insecure = allow_insecure

    async def hello(self) -> str:
        """As the port says; a review of oneself is what everybody with credentials may ask for."""
        version = await self._api.request("GET", "/version")
        await self._review("selfsubjectaccessreviews", {"resourceAttributes": {"verb": "get", "resource": "pods"}})
        return str(version.get("gitVersion", "of an unknown version"))

    async def date(self) -> datetime | None:
        """As the port says."""
        login = self._api.login
        hostname = login.configuration.tls_server_name
        return await date_of(f"{login.server}/version", tls=login.tls, proxy=login.proxy, server_hostname=hostname)

    async def date_at(self, url: str, ca_bundle: SecretValue | None) -> datetime | None:
        """As the port says."""
        try:
            there = base_url(url, allow_insecure=self._allow_insecure)
            context = trust(ca_bundle)
        except ValueError:
            return None  # whoever uses this address says what is wrong with it
        proxy = None if proxy_bypass(f"{there.host}:{there.port}") else getproxies().get(there.scheme)
        return await date_of(f"{there}/", tls=True if context is None else context, proxy=proxy)

    async def may(self, right: Right, user: str | None = None) -> bool:
        """As the port says."""
        resource, _, sub = right.resource.partition("/")
        asked = {"verb": right.verb, "group": right.group, "resource": resource, "subresource": sub}
        asked |= {"namespace": right.namespace or "", "name": right.name or ""}
        spec: dict[str, Any] = {"resourceAttributes": asked}
        if user is None:
            return await self._review("selfsubjectaccessreviews", spec)
        groups = ["system:serviceaccounts", "system:authenticated", f"system:serviceaccounts:{user.split(':')[2]}"]
        return await self._review("subjectaccessreviews", {**spec, "user": user, "groups": groups})

    async def _review(self, kind: str, spec: dict[str, Any]) -> bool:
        try:
            answer = await self._api.request("POST", f"{_REVIEWS}/{kind}", body={"spec": spec})
        except Ambiguous as error:
            raise Unavailable(str(error)) from None  # a question, though it is a POST
        return (answer.get("status") or {}).get("allowed") is True

    async def crd(self, name: str) -> Object | None:
        """As the port says."""
        try:
            return await self._api.request("GET", path_of(_CRDS, "customresourcedefinitions", None, name))
        except NotFound:
            return None

    async def served(self) -> frozenset[str]:
        """As the port says."""
        try:
            answer = await self._api.request("GET", f"/apis/{GROUP}/{VERSION}")
        except NotFound:
            return frozenset()
        return frozenset(one["name"] for one in answer.get("resources") or ())

    async def objects(self, kind: str, namespace: str | None) -> Sequence[Object]:
        """As the port says."""
        at = None if kind.startswith("Cluster") else namespace
        try:
            listing = await self._api.list(path_of(f"/apis/{GROUP}/{VERSION}", KINDS[kind], at))
        except NotFound:
            return []
        return [{**item, "kind": kind} for item in listing.items]

    async def operators(self, namespace: str | None, kind: str) -> Sequence[Object]:
        """As the port says."""
        prefix, resource = _RUNNING[kind]
        return (await self._api.list(path_of(prefix, resource, namespace), params=_OURS)).items

    async def is_ending(self, namespace: str) -> bool:
        """As the port says."""
        try:
            found = await self._api.request("GET", path_of("/api/v1", "namespaces", None, namespace))
        except NotFound:
            return True
        except Unauthorized:
            return False
        return "deletionTimestamp" in found["metadata"]
