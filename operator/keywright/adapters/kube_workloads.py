"""The port `Workloads` on a real apiserver: one merge patch of one annotation, and single reads by name.

Owns what a workload's status says of its rollout. Must not list, watch, or change anything else. Neighbour: kube.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from keywright.adapters.kube import MERGE_PATCH, path_of
from keywright.adapters.kube_errors import NotFound
from keywright.api.apikey import called
from keywright.errors import Rejected, Unauthorized
from keywright.planning.observed import RolledOut, Rolling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keywright.adapters.kube import KubeApi
    from keywright.api.apikey import RestartRef

__all__ = ["KubeWorkloads", "progress_of"]

_APPS: Final = "/apis/apps/v1"
_SERVED_AT: Final = {
    "Deployment": (_APPS, "deployments"),
    "StatefulSet": (_APPS, "statefulsets"),
    "DaemonSet": (_APPS, "daemonsets"),
    "Rollout": ("/apis/argoproj.io/v1alpha1", "rollouts"),
}
_DEADLINE: Final = 10.0
"""Seconds for one request: a webhook that hangs must not hold up the key, and gets another chance."""


class KubeWorkloads:
    """Implements keywright.ports.workloads.Workloads."""

    def __init__(self, api: KubeApi) -> None:
        """Asks nothing."""
        self._api = api

    async def restart(
        self, namespace: str, workload: RestartRef, annotation: str, value: str
    ) -> RolledOut | Rolling | None:
        """Write the annotation into the pod template: one request, whose answer tells how far the rollout is."""
        patch: dict[str, Any] = {"spec": {"template": {"metadata": {"annotations": {annotation: value}}}}}
        if workload.kind == "Rollout":
            # Blindly patched, one that has its template by workloadRef would get a second one, which its controller takes for invalid.
            seen = await self._ask(namespace, workload)
            if seen is None:
                return None
            if (ref := seen["spec"].get("workloadRef")) is not None:
                other = called(str(ref.get("kind")), str(ref.get("name")))
                raise Rejected(f"its pod template is that of {other} (spec.workloadRef)", reason="TemplateElsewhere")
            patch["metadata"] = {"resourceVersion": seen["metadata"]["resourceVersion"]}
        stands = await self._ask(namespace, workload, patch)
        return None if stands is None else progress_of(workload.kind, stands)

    async def look(self, namespace: str, workload: RestartRef) -> RolledOut | Rolling | None:
        """How far its rollout is."""
        stands = await self._ask(namespace, workload)
        return None if stands is None else progress_of(workload.kind, stands)

    async def _ask(
        self, namespace: str, workload: RestartRef, patch: Mapping[str, Any] | None = None
    ) -> dict[str, Any] | None:
        """Read it, or patch it; None where it is not there."""
        prefix, resource = _SERVED_AT[workload.kind]
        path = path_of(prefix, resource, namespace, workload.name)
        try:
            if patch is None:
                return await self._api.request("GET", path, deadline=_DEADLINE)
            return await self._api.request("PATCH", path, body=patch, content_type=MERGE_PATCH, deadline=_DEADLINE)
        except NotFound as error:
            if error.named:
                return None
            raise Rejected(str(error), reason="NotInstalled") from error
        except Unauthorized as error:
            if error.reason == "Forbidden" and f'resource "{resource}"' not in str(error):
                # Not for a missing right, of which RBAC names the resource: an admission plugin or webhook says no.
                raise Rejected(str(error), reason="Denied") from error
            raise


def progress_of(kind: str, workload: Mapping[str, Any]) -> RolledOut | Rolling:
    """How far its rollout is, as `kubectl rollout status` has it, or for Argo's kind `kubectl argo rollouts status`.

    A workload whose pods are replaced only when somebody deletes them (OnDelete) is measured by its pods all the same.
    """
    spec, status = workload.get("spec") or {}, workload.get("status") or {}
    generation = workload["metadata"].get("generation", 0)
    if kind == "Rollout":
        return _argo(spec, status, generation)
    if spec.get("replicas") == 0:
        return RolledOut()
    if status.get("observedGeneration", 0) < generation:
        return Rolling()
    return {"Deployment": _deployment, "StatefulSet": _stateful_set, "DaemonSet": _daemon_set}[kind](spec, status)


def _deployment(spec: Mapping[str, Any], status: Mapping[str, Any]) -> RolledOut | Rolling:
    updated = status.get("updatedReplicas", 0)
    if (
        updated >= spec.get("replicas", 1)
        and status.get("replicas", 0) <= updated
        and status.get("availableReplicas", 0) >= updated
    ):
        return RolledOut()
    if spec.get("paused"):
        return Rolling("is paused: kubectl rollout resume lets it go on")
    late = any(
        c.get("type") == "Progressing" and c.get("reason") == "ProgressDeadlineExceeded"
        for c in status.get("conditions") or ()
    )
    return Rolling("has exceeded its progress deadline: its new pods do not become ready" if late else None)


def _stateful_set(spec: Mapping[str, Any], status: Mapping[str, Any]) -> RolledOut | Rolling:
    replicas, updated = spec.get("replicas", 1), status.get("updatedReplicas", 0)
    strategy = spec.get("updateStrategy") or {}
    partition = (strategy.get("rollingUpdate") or {}).get("partition") or 0
    if status.get("readyReplicas", 0) >= replicas and updated >= replicas - partition:
        return RolledOut()
    return Rolling(_on_delete(strategy))


def _daemon_set(spec: Mapping[str, Any], status: Mapping[str, Any]) -> RolledOut | Rolling:
    desired = status.get("desiredNumberScheduled", 0)
    if status.get("updatedNumberScheduled", 0) >= desired and status.get("numberAvailable", 0) >= desired:
        return RolledOut()
    return Rolling(_on_delete(spec.get("updateStrategy") or {}))


def _on_delete(strategy: Mapping[str, Any]) -> str | None:
    if strategy.get("type") != "OnDelete":
        return None
    return "replaces a pod only when somebody deletes it (updateStrategy OnDelete): delete its pods"


def _argo(spec: Mapping[str, Any], status: Mapping[str, Any], generation: int) -> RolledOut | Rolling:
    """By its phase, once its controller has seen the newest generation, which it writes down as a text."""
    if spec.get("replicas") == 0:
        return RolledOut()
    if status.get("observedGeneration") != str(generation):
        return Rolling()
    match status.get("phase"):
        case "Healthy":
            return RolledOut()
        case "Paused":
            return Rolling("is paused: kubectl argo rollouts promote lets it go on")
        case "Degraded":
            return Rolling("is Degraded: kubectl argo rollouts get rollout shows why")
        case _:
            return Rolling()
