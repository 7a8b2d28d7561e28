"""The Kubernetes adapters keep the ports' laws on the real apiserver, under the operator's own rights."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from tests.adapters.kube_builders import an_api_key
from tests.adapters.kube_wire import connected
from tests.conftest import grant
from tests.exchange import HAND
from tests.ports.cluster_contract import ClusterContract
from tests.ports.sink_contract import SinkContract
from tests.ports.workloads_contract import WorkloadsContract
from tests.running import wait_for

from keywright.adapters.kube_objects import KubeCluster
from keywright.adapters.kube_secret import SecretSink
from keywright.adapters.kube_workloads import KubeWorkloads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.conftest import Plane

    from keywright.adapters.kube import KubeApi
    from keywright.api.apikey import RestartRef
    from keywright.ports.cluster import Object

pytestmark = pytest.mark.plane

RESOURCES = {"ApiKey": "apikeys", "KeyIssuer": "keyissuers"}


@dataclass
class RealCluster:
    """A KubeCluster, and the admin as somebody else."""

    port: KubeCluster
    plane: Plane
    namespace: str

    async def create(self, kind: str, name: str, spec: Mapping[str, Any]) -> Object:
        """Seen at once, as a watch would."""
        body = {"apiVersion": "keywright.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        made = self.plane.call("POST", self._at(kind), body)
        self.port.seen(kind, "ADDED", made)
        return made

    async def annotate(self, seen: Object, name: str, value: str) -> None:
        """Not seen."""
        at = f"{self._at(seen['kind'])}/{seen['metadata']['name']}"
        patch = {"metadata": {"annotations": {name: value}}}
        self.plane.call("PATCH", at, patch, content_type="application/merge-patch+json")

    async def delete(self, seen: Object) -> Object | None:
        """Seen at once: as modified while a finalizer holds it, else as deleted."""
        at = f"{self._at(seen['kind'])}/{seen['metadata']['name']}"
        left = self.plane.call("DELETE", at)
        if left["kind"] == "Status":
            gone = {**seen["metadata"], "resourceVersion": str(int(seen["metadata"]["resourceVersion"]) + 1)}
            self.port.seen(seen["kind"], "DELETED", {**seen, "metadata": gone})
            return None
        self.port.seen(seen["kind"], "MODIFIED", left)
        return left

    async def create_secret(self, name: str, data: Mapping[str, str]) -> None:
        """Somebody's."""
        body = {"metadata": {"name": name}, "stringData": dict(data)}
        self.plane.call("POST", f"/api/v1/namespaces/{self.namespace}/secrets", body)

    def _at(self, kind: str) -> str:
        return f"/apis/keywright.dev/v1alpha1/namespaces/{self.namespace}/{RESOURCES[kind]}"


class TestKubeCluster(ClusterContract):
    """On the apiserver."""

    @pytest.fixture
    async def place(self, plane: Plane, namespace: str, tmp_path):
        """A new namespace for each law."""
        async with await connected(plane, tmp_path) as api:
            yield RealCluster(KubeCluster(api, lambda: datetime.now(UTC)), plane, namespace)


@dataclass
class RealSink:
    """A SecretSink, and the admin as somebody else."""

    port: SecretSink
    plane: Plane
    namespace: str
    owner: str
    owner_uid: str
    hand = HAND

    async def make_foreign(
        self,
        name: str,
        texts: Mapping[str, str] = MappingProxyType({"api-key": "theirs"}),
        adoptable_by: str | None = None,
    ) -> None:
        """Not seen."""
        annotations = {"keywright.dev/adoptable-by": adoptable_by} if adoptable_by else {}
        body = {"metadata": {"name": name, "annotations": annotations}, "stringData": dict(texts)}
        self.plane.call("POST", self._at(), body)

    async def strip(self, name: str) -> None:
        """Not seen."""
        data = self.plane.call("GET", self._at(name))["data"]
        self.plane.call("PUT", self._at(name), {"metadata": {"name": name}, "data": data})

    async def strip_annotations(self, name: str) -> None:
        """Not seen."""
        bare = {"metadata": {"annotations": None}}
        self.plane.call("PATCH", self._at(name), bare, content_type="application/merge-patch+json")

    async def spoil(self, name: str, key: str) -> None:
        """Not seen."""
        self.plane.call(
            "PATCH", self._at(name), {"stringData": {key: "spoilt"}}, content_type="application/merge-patch+json"
        )

    async def remove(self, name: str) -> None:
        """Not seen."""
        self.plane.call("DELETE", self._at(name))

    async def texts(self, name: str) -> Mapping[str, str]:
        """As the admin reads them."""
        data = self.plane.call("GET", self._at(name)).get("data", {})
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def _at(self, name: str = "") -> str:
        return f"/api/v1/namespaces/{self.namespace}/secrets" + (f"/{name}" if name else "")


class TestSecretSink(SinkContract):
    """On the apiserver."""

    @pytest.fixture
    async def place(self, plane: Plane, namespace: str, tmp_path):
        """A new namespace for each law, with the ApiKey that owns what is delivered."""
        at = f"/apis/keywright.dev/v1alpha1/namespaces/{namespace}/apikeys"
        owner = plane.call("POST", at, an_api_key(namespace))["metadata"]
        async with await connected(plane, tmp_path) as api:
            yield RealSink(SecretSink(api), plane, namespace, owner["name"], owner["uid"])


POD = {
    "metadata": {"labels": {"app": "search-api"}, "annotations": {"team": "search"}},
    "spec": {"containers": [{"name": "main", "image": "none"}]},
}


@dataclass
class RealWorkloads:
    """KubeWorkloads with the rights of manifests/restart, and the admin as somebody else."""

    api: KubeApi
    plane: Plane
    namespace: str

    @property
    def port(self) -> KubeWorkloads:
        """As the operator's ServiceAccount."""
        return KubeWorkloads(self.api)

    async def create(self, workload: RestartRef) -> None:
        """With three replicas."""
        spec = {"selector": {"matchLabels": POD["metadata"]["labels"]}, "template": POD}
        spec |= {} if workload.kind == "DaemonSet" else {"replicas": 3}
        body = {"metadata": {"name": workload.name}, "spec": spec}
        self.plane.call("POST", self._at(workload).rpartition("/")[0], body)

    async def complete(self, workload: RestartRef) -> None:
        """What their controllers would say, which do not run on this plane."""
        generation = self.plane.call("GET", self._at(workload))["metadata"]["generation"]
        counted = {
            "StatefulSet": {"replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3},
            "DaemonSet": {
                "currentNumberScheduled": 2,
                "desiredNumberScheduled": 2,
                "updatedNumberScheduled": 2,
                "numberAvailable": 2,
                "numberMisscheduled": 0,
                "numberReady": 2,
            },
        }[workload.kind]
        status = {"status": {"observedGeneration": generation, **counted}}
        path = f"{self._at(workload)}/status"
        self.plane.call("PATCH", path, status, content_type="application/merge-patch+json")

    async def annotations(self, workload: RestartRef) -> Mapping[str, str]:
        """As they stand."""
        stands = self.plane.call("GET", self._at(workload))
        return stands["spec"]["template"]["metadata"].get("annotations") or {}

    async def rolls(self, workload: RestartRef) -> int:
        """Each changed template is a generation."""
        return self.plane.call("GET", self._at(workload))["metadata"]["generation"] - 1

    async def without_rights(self) -> KubeWorkloads:
        """The Role is unbound again."""
        path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{self.namespace}/rolebindings/keywright-restart"
        self.plane.call("DELETE", path)
        wait_for(lambda: not self.plane.may("patch", "apps", "deployments", self.namespace), "the right is gone")
        return self.port

    def _at(self, workload: RestartRef) -> str:
        return f"/apis/apps/v1/namespaces/{self.namespace}/{workload.kind.lower()}s/{workload.name}"


class TestKubeWorkloads(WorkloadsContract):
    """On the apiserver."""

    @pytest.fixture
    async def place(self, plane: Plane, namespace: str, tmp_path):
        """A new namespace for each law, in which the right is given."""
        grant(plane, "restart", namespace, tmp_path)
        wait_for(lambda: plane.may("patch", "apps", "deployments", namespace), "the right is known")
        wait_for(lambda: plane.may("patch", "argoproj.io", "rollouts", namespace), "the right is known")
        async with await connected(plane, tmp_path) as api:
            yield RealWorkloads(api, plane, namespace)
