"""What a workload's status says of its rollout, as kubectl reads it; and what is sent to restart one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.adapters.kube_wire import a_kubeconfig, a_status
from tests.adapters.wire_server import http

from keywright.adapters.kube import KubeApi
from keywright.adapters.kube_workloads import KubeWorkloads, progress_of
from keywright.api.apikey import RestartRef
from keywright.errors import Conflict, Rejected, Unauthorized
from keywright.planning.observed import RolledOut, Rolling

if TYPE_CHECKING:
    from pathlib import Path

    from tests.adapters.wire_server import WireServer

ROLLOUT = RestartRef(kind="Rollout", name="web")
WEB = RestartRef(kind="Deployment", name="web")
PAUSED = "is paused: kubectl rollout resume lets it go on"
ON_DELETE = "replaces a pod only when somebody deletes it (updateStrategy OnDelete): delete its pods"


def a_workload(spec: dict[str, Any], **status: Any) -> dict[str, Any]:
    """Of generation 7."""
    return {"metadata": {"generation": 7}, "spec": spec, "status": status}


NEW: dict[str, Any] = {
    "observedGeneration": 7,
    "replicas": 3,
    "updatedReplicas": 3,
    "availableReplicas": 3,
    "readyReplicas": 3,
}
LATE = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]
SPREAD: dict[str, Any] = {
    "observedGeneration": 7,
    "desiredNumberScheduled": 2,
    "updatedNumberScheduled": 2,
    "numberAvailable": 2,
}
ARGO = {"observedGeneration": "7", "phase": "Healthy"}

CASES = [
    ("all new and available", "Deployment", {"replicas": 3}, NEW, RolledOut()),
    ("not seen by its controller", "Deployment", {"replicas": 3}, NEW | {"observedGeneration": 6}, Rolling()),
    ("some pods are old", "Deployment", {"replicas": 3}, NEW | {"updatedReplicas": 2}, Rolling()),
    ("an old pod still ends", "Deployment", {"replicas": 3}, NEW | {"replicas": 4}, Rolling()),
    ("a new pod is not available", "Deployment", {"replicas": 3}, NEW | {"availableReplicas": 2}, Rolling()),
    ("no status yet", "Deployment", {"replicas": 3}, {}, Rolling()),
    ("one replica by default", "Deployment", {}, NEW | {"replicas": 1, "updatedReplicas": 1}, RolledOut()),
    ("scaled to zero", "Deployment", {"replicas": 0}, {}, RolledOut()),
    ("paused", "Deployment", {"replicas": 3, "paused": True}, NEW | {"updatedReplicas": 0}, Rolling(PAUSED)),
    ("paused once it was complete", "Deployment", {"replicas": 3, "paused": True}, NEW, RolledOut()),
    (
        "past its deadline",
        "Deployment",
        {"replicas": 3},
        NEW | {"availableReplicas": 2, "conditions": LATE},
        Rolling("has exceeded its progress deadline: its new pods do not become ready"),
    ),
    ("all new and ready", "StatefulSet", {"replicas": 3}, NEW, RolledOut()),
    ("a pod is not ready", "StatefulSet", {"replicas": 3}, NEW | {"readyReplicas": 2}, Rolling()),
    ("a pod is old", "StatefulSet", {"replicas": 3}, NEW | {"updatedReplicas": 2}, Rolling()),
    ("not seen by its controller", "StatefulSet", {"replicas": 3}, NEW | {"observedGeneration": 6}, Rolling()),
    (
        "a partition that is updated",
        "StatefulSet",
        {"replicas": 3, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}},
        NEW | {"updatedReplicas": 1},
        RolledOut(),
    ),
    ("scaled to zero", "StatefulSet", {"replicas": 0}, {}, RolledOut()),
    (
        "by hand",
        "StatefulSet",
        {"replicas": 3, "updateStrategy": {"type": "OnDelete"}},
        NEW | {"updatedReplicas": 2},
        Rolling(ON_DELETE),
    ),
    ("on every node", "DaemonSet", {}, SPREAD, RolledOut()),
    ("on no node", "DaemonSet", {}, {"observedGeneration": 7}, RolledOut()),
    ("an old pod", "DaemonSet", {}, SPREAD | {"updatedNumberScheduled": 1}, Rolling()),
    ("not available", "DaemonSet", {}, SPREAD | {"numberAvailable": 1}, Rolling()),
    ("not seen by its controller", "DaemonSet", {}, {"observedGeneration": 6}, Rolling()),
    (
        "by hand",
        "DaemonSet",
        {"updateStrategy": {"type": "OnDelete"}},
        SPREAD | {"updatedNumberScheduled": 1},
        Rolling(ON_DELETE),
    ),
    ("healthy", "Rollout", {}, ARGO, RolledOut()),
    ("healthy before the restart", "Rollout", {}, ARGO | {"observedGeneration": "6"}, Rolling()),
    ("under way", "Rollout", {}, ARGO | {"phase": "Progressing"}, Rolling()),
    ("at a step that waits for a person", "Rollout", {}, ARGO | {"phase": "Paused"},
     Rolling("is paused: kubectl argo rollouts promote lets it go on")),
    ("degraded", "Rollout", {}, ARGO | {"phase": "Degraded"}, Rolling("is Degraded: kubectl argo rollouts get rollout shows why")),
    ("scaled to zero", "Rollout", {"replicas": 0}, {}, RolledOut()),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "spec", "status", "expected"), [case[1:] for case in CASES], ids=[f"{case[1]} {case[0]}" for case in CASES]
)
def test_how_far_a_rollout_is(kind: str, spec: dict[str, Any], status: dict[str, Any], expected: RolledOut | Rolling):
    """The rules of kubectl rollout status, and of Argo's own command for its kind."""
    assert progress_of(kind, a_workload(spec, **status)) == expected


@pytest.fixture
async def workloads(wire: WireServer, tmp_path: Path):
    """Over a WireServer."""
    async with await KubeApi.connect(a_kubeconfig(tmp_path / "kubeconfig", wire.url, {"token": "a-token"})) as api:
        yield KubeWorkloads(api)


async def test_a_restart_is_one_request_without_a_read(wire: WireServer, workloads: KubeWorkloads):
    """A merge patch that names nothing but the annotation; its answer tells how far the rollout is."""
    wire.answers(http(200, a_workload({"replicas": 3}, **NEW)))
    assert await workloads.restart("team", WEB, "restart.keywright.dev/search", "key-1") == RolledOut()
    [request] = wire.seen
    assert (request.method, request.target) == ("PATCH", "/apis/apps/v1/namespaces/team/deployments/web")
    assert request.headers["content-type"] == "application/merge-patch+json"
    annotations = {"restart.keywright.dev/search": "key-1"}
    assert json.loads(request.body) == {"spec": {"template": {"metadata": {"annotations": annotations}}}}


async def test_a_rollout_with_a_template_of_its_own_is_patched_as_it_was_read(
    wire: WireServer, workloads: KubeWorkloads
):
    """Read first, and guarded by what was read."""
    stands = a_workload({"replicas": 3, "template": {}}, **ARGO)
    stands["metadata"]["resourceVersion"] = "42"
    wire.answers(http(200, stands))
    assert await workloads.restart("team", ROLLOUT, "restart.keywright.dev/search", "key-1") == RolledOut()
    read, patch = wire.seen
    assert read.target == patch.target == "/apis/argoproj.io/v1alpha1/namespaces/team/rollouts/web"
    assert json.loads(patch.body)["metadata"] == {"resourceVersion": "42"}
    wire.answers(http(200, stands), http(409, a_status("Conflict")))
    with pytest.raises(Conflict):
        await workloads.restart("team", ROLLOUT, "restart.keywright.dev/search", "key-1")


async def test_a_rollout_whose_template_is_another_s_is_not_touched(wire: WireServer, workloads: KubeWorkloads):
    """Given a template beside workloadRef, its controller would take it for invalid."""
    stands = a_workload({"workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "search-api"}})
    stands["metadata"]["resourceVersion"] = "42"
    wire.answers(http(200, stands))
    with pytest.raises(Rejected) as rejected:
        await workloads.restart("team", ROLLOUT, "restart.keywright.dev/search", "key-1")
    assert rejected.value.reason == "TemplateElsewhere"
    assert "deployment/search-api" in str(rejected.value)
    assert [request.method for request in wire.seen] == ["GET"]


async def test_a_missing_right_is_told_from_a_refusal(wire: WireServer, workloads: KubeWorkloads):
    """Both are 403: RBAC names verb and resource, an admission webhook says what it likes."""
    no_right = 'deployments.apps "web" is forbidden: User "k" cannot patch resource "deployments" in API group "apps"'
    wire.answers(http(403, a_status("Forbidden", no_right)))
    with pytest.raises(Unauthorized):
        await workloads.restart("team", WEB, "a", "b")
    wire.answers(http(403, a_status("Forbidden", 'admission webhook "w" denied the request: no annotations')))
    with pytest.raises(Rejected) as rejected:
        await workloads.restart("team", WEB, "a", "b")
    assert "no annotations" in str(rejected.value)
