"""rotation.restart on a real control plane: real controllers roll a Deployment, and the older key waits for them.

There is no kubelet: pods are what they are until the test says that they are ready.
"""

from __future__ import annotations

import json
import tempfile
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import grant
from tests.e2e.team import MERGE
from tests.e2e.together import Scenarios
from tests.running import wait_for
from tests.sinks import alone

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.team import Team

pytestmark = [pytest.mark.plane, pytest.mark.xdist_group("served")]
scenarios = Scenarios()

MARK = "restart.keywright.dev/search"
WEB = {"kind": "Deployment", "name": "web"}
ARGO = "/apis/argoproj.io/v1alpha1"
ROLLOUTS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {
        "name": "rollouts.argoproj.io",
    },
    "spec": {
        "group": "argoproj.io",
        "names": {"kind": "Rollout", "plural": "rollouts", "singular": "rollout"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
            }
        ],
    },
}
"""As much of Argo's kind as keywright has to do with."""


def may_restart(team: Team) -> None:
    """manifests/restart is bound in the team's namespace, and the apiserver knows it."""
    with tempfile.TemporaryDirectory() as folder:
        grant(team.plane, "restart", team.namespace, Path(folder))
    wait_for(lambda: team.plane.may("patch", "apps", "deployments", team.namespace), "the right is known")


def a_template() -> dict[str, Any]:
    """Pods that use the key as most do: in their environment, read when they start."""
    key = {"name": "MISTRAL_API_KEY", "valueFrom": {"secretKeyRef": {"name": "search-key", "key": "api-key"}}}
    container = {"name": "main", "image": "none", "env": [key]}
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}


class Web:
    """A Deployment of two pods."""

    def __init__(self, team: Team) -> None:
        """Created, and running."""
        self._team = team
        self._path = f"/apis/apps/v1/namespaces/{team.namespace}/deployments/web"
        spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": a_template()}
        body = {"metadata": {"name": "web"}, "spec": spec}
        team.plane.call("POST", self._path.rpartition("/")[0], body)
        self.runs()

    def stands(self) -> dict[str, Any]:
        """As it is."""
        return self._team.plane.call("GET", self._path)

    @property
    def restarts(self) -> int:
        """Each changed pod template is a generation, and a ReplicaSet."""
        sets = self._team.plane.call("GET", f"/apis/apps/v1/namespaces/{self._team.namespace}/replicasets")["items"]
        generation = self.stands()["metadata"]["generation"]
        assert len(sets) == generation
        return generation - 1

    def mark(self) -> str | None:
        """The key that its pod template names."""
        return (self.stands()["spec"]["template"]["metadata"].get("annotations") or {}).get(MARK)

    def marked(self, key_id: str) -> None:
        """Wait until it names this key, and its controller has seen that."""
        wait_for(lambda: self.mark() == key_id, f"the pod template names {key_id}")
        wait_for(lambda: self._seen(self.stands()), "its controller has seen it")

    def runs(self) -> None:
        """The kubelets of this namespace do their work until every pod is new and ready."""

        def done() -> bool:
            self._ready_pods()
            stands = self.stands()
            status = stands.get("status") or {}
            counts = [status.get(name) for name in ("replicas", "updatedReplicas", "availableReplicas")]
            return self._seen(stands) and counts == [2, 2, 2]

        wait_for(done, "all pods are new and ready")

    @staticmethod
    def _seen(stands: dict[str, Any]) -> bool:
        return (stands.get("status") or {}).get("observedGeneration") == stands["metadata"]["generation"]

    def _ready_pods(self) -> None:
        folder = f"/api/v1/namespaces/{self._team.namespace}/pods"
        for pod in self._team.plane.call("GET", folder)["items"]:
            if (pod.get("status") or {}).get("phase") == "Running":
                continue
            ready = {"type": "Ready", "status": "True", "lastTransitionTime": pod["metadata"]["creationTimestamp"]}
            body = {"status": {"phase": "Running", "conditions": [ready]}}
            with suppress(RuntimeError):  # gone meanwhile
                self._team.plane.call("PATCH", f"{folder}/{pod['metadata']['name']}/status", body, content_type=MERGE)


def told(team: Team, reason: str) -> list[str]:
    """The events of this reason, once there is one."""
    return wait_for(lambda: [words for why, words in team.events() if why == reason], f"an event {reason}")


@scenarios
def a_deployment_is_restarted_once_for_each_key_and_the_old_key_waits_for_it(team: Team):
    """Rolled by the real controller; past its overlap the old key works until the last new pod is ready, and not for long after."""
    may_restart(team)
    web = Web(team)
    team.create(rotation={"overlap": "0s", "restart": [WEB]})
    web.marked(team.ready()["keyId"])
    assert web.restarts == 1
    web.runs()
    before = web.stands()["spec"]["template"]["spec"]
    old = team.text()

    team.annotate("search", rotate="now")
    status = team.ready(revision=2)
    web.marked(status["keyId"])

    def held() -> dict[str, Any] | None:
        found = team.status()
        return found if "deployment/web" in found["next"]["reason"] else None

    waits = wait_for(held, "it says so")
    assert waits["next"]["action"] == "Revoke"
    assert waits["next"]["at"] == waits["previous"][0]["rolloutsUntil"]
    assert team.condition()["reason"] == "Issued"
    assert team.condition(of_type="Reconciling") == {}
    assert team.sandbox.accepts(old), "pods that still run with it are served"
    web.runs()
    wait_for(lambda: not team.sandbox.accepts(old), "the old key is refused")
    wait_for(lambda: team.status().get("previous") is None, "it leaves the status")
    assert "rollout" not in team.status()
    assert team.sandbox.accepts(team.text())
    assert web.restarts == 2
    assert web.stands()["spec"]["template"]["spec"] == before, "nothing else was changed"

    def told_of_both() -> bool:
        return all(any(f"revision {n}." in words for words in told(team, "Restarted")) for n in (1, 2))

    wait_for(told_of_both, "an event for each")
    assert all("deployment/web" in words for words in told(team, "Restarted"))


@scenarios
def an_old_key_outlives_no_rollout_that_was_complete_before_its_overlap(team: Team):
    """Complete while the overlap lasts: the key ends with the overlap, without another look."""
    may_restart(team)
    web = Web(team)
    team.create(rotation={"overlap": "30s", "restart": [WEB]})
    web.marked(team.ready()["keyId"])
    web.runs()
    old = team.text()
    team.annotate("search", rotate="now")
    status = team.ready(revision=2)
    web.marked(status["keyId"])
    web.runs()
    wait_for(lambda: "rollout" not in team.status(), "the rollout is seen to be complete")
    wait_for(lambda: not team.sandbox.accepts(old), "the old key is refused")
    [entry] = status["previous"]
    assert team.sandbox.revoked_at(entry["keyId"]) >= datetime.fromisoformat(entry["revokeAt"]), "its overlap lasts"
    assert web.restarts == 2


@scenarios
@alone("secret", "It is about the workload, whatever its key stands in.")
def a_missing_workload_is_a_warning_and_holds_nothing_up(team: Team):
    """Ready, with an event that says what to correct; the old key ends at once, as its overlap of none has it."""
    may_restart(team)
    team.create(rotation={"overlap": "0s", "restart": [{"kind": "StatefulSet", "name": "nothing"}]})
    team.ready()
    assert "There is no statefulset/nothing" in told(team, "RestartFailed")[0]
    old = team.text()
    team.annotate("search", rotate="now")
    team.ready(revision=2)
    wait_for(lambda: not team.sandbox.accepts(old), "the old key is refused")
    assert "rollout" not in team.status()


@scenarios
@alone("secret", "It is about the workload, whatever its key stands in.")
def without_the_role_it_is_a_warning_that_names_the_manifest(team: Team):
    """The operator of manifests/ alone may not touch a workload; once the Role is bound, the next key restarts it."""
    web = Web(team)
    team.create(rotation={"overlap": "0s", "restart": [WEB]})
    team.ready()
    [message] = told(team, "RestartFailed")
    assert "manifests/restart" in message
    assert 'cannot patch resource "deployments"' in message
    assert f"kubectl rollout restart -n {team.namespace} deployment/web" in message
    assert web.restarts == 0
    may_restart(team)
    team.annotate("search", rotate="now")
    web.marked(team.ready(revision=2)["keyId"])
    assert web.restarts == 1


@scenarios
def a_compromised_key_ends_at_once_and_its_consumers_are_restarted(team: Team):
    """No rollout is waited for, and none is looked at."""
    may_restart(team)
    web = Web(team)
    team.create(rotation={"overlap": "48h", "restart": [WEB]})
    web.marked(team.ready()["keyId"])
    old = team.text()
    team.annotate("search", compromised="yes")
    status = team.ready(revision=2)
    wait_for(lambda: not team.sandbox.accepts(old), "the old key is refused")
    web.marked(status["keyId"])
    wait_for(lambda: "rollout" not in team.status(), "nothing is waited for")


@scenarios
@alone("secret", "It is about the workload, whatever its key stands in.")
def argo_rollouts_are_restarted_and_waited_for(team: Team):
    """One with a pod template of its own by that; one that has another's says which to name."""
    team.plane.kubectl("apply", "--server-side", "-f", "-", stdin=_yaml(ROLLOUTS))
    team.plane.kubectl("wait", "--for=condition=Established", "--timeout=120s", "crd/rollouts.argoproj.io")
    may_restart(team)
    folder = f"{ARGO}/namespaces/{team.namespace}/rollouts"
    for name, spec in {
        "own": {"replicas": 2, "template": a_template()},
        "other": {"workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}},
    }.items():
        body = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": name}, "spec": spec}
        wait_for(lambda body=body: _made(team, folder, body), "the kind is served")
    restart = [{"kind": "Rollout", "name": name} for name in ("own", "other")]
    team.create(rotation={"overlap": "0s", "restart": restart})
    team.ready()
    assert "deployment/web" in told(team, "RestartFailed")[0]
    assert "template" not in team.plane.call("GET", f"{folder}/other")["spec"]
    old = team.text()
    team.annotate("search", rotate="now")
    key_id = team.ready(revision=2)["keyId"]

    def marked() -> dict[str, Any] | None:
        stands = team.plane.call("GET", f"{folder}/own")
        mark = stands["spec"]["template"]["metadata"].get("annotations", {}).get(MARK)
        return stands if mark == key_id else None

    stands = wait_for(marked, "its template names the key")
    assert team.sandbox.accepts(old)
    status = {"observedGeneration": str(stands["metadata"]["generation"]), "phase": "Healthy"}
    team.plane.call("PATCH", f"{folder}/own/status", {"status": status}, content_type=MERGE)
    wait_for(lambda: not team.sandbox.accepts(old), "the old key is refused")


def _made(team: Team, folder: str, body: dict[str, Any]) -> bool:
    try:
        team.plane.call("POST", folder, body)
    except RuntimeError as error:
        if "404" in str(error):
            return False
        raise
    return True


def _yaml(document: dict[str, Any]) -> str:
    return json.dumps(document)


@pytest.mark.parametrize("scenario", scenarios.names)
def test_restart(scenario: str, outcome: Callable[[Scenarios, str], None]):
    """What the scenario's own sentence says."""
    outcome(scenarios, scenario)
