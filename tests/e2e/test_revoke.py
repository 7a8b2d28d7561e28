"""`keywright revoke` and `keywright workspaces` as a person runs them: on a real control plane, beside an operator, at the sandbox."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.e2e.team import GROUP
from tests.e2e.together import Scenarios
from tests.running import wait_for

from keywright.devcluster import write_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.team import Team

pytestmark = [pytest.mark.plane, pytest.mark.xdist_group("served")]
scenarios = Scenarios()


def keywright(
    team: Team, command: str, *arguments: str, answers: str | None = None, kubeconfig: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it in a pipe; with `answers` stdin is a terminal on which they are typed, a line each."""
    login = ("--kubeconfig", str(kubeconfig or team.plane.kubeconfig), "-n", team.namespace)
    ours, theirs = pty.openpty()
    if answers is not None:
        os.write(ours, answers.encode())
    try:
        said = subprocess.run(
            (sys.executable, "-m", "keywright", command, *login, *arguments),
            stdin=subprocess.DEVNULL if answers is None else theirs,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert "Traceback" not in said.stderr
    return said


@scenarios
def whatever_the_policy_says_all_its_keys_die(team: Team):
    """Retain, suspended, in an overlap: two keys are dead and the Secret is gone when it returns; Argo CD is warned of."""
    team.create(deletionPolicy="Retain")
    team.ready()
    first = team.text()
    team.annotate("search", rotate="now")
    team.ready(revision=2)
    second = team.text()
    labels = {"argocd.argoproj.io/instance": "shop"}
    team.patch("search", {"metadata": {"labels": labels}, "spec": {"suspend": True}})
    team.says("Suspended")
    said = keywright(team, "revoke", "search", "--yes", "--yes")
    assert said.returncode == 0, said.stderr
    assert said.stdout == "search: It is gone; all its keys are revoked.\n"
    assert "keywright: search: Argo CD (application shop) creates it again, with a new key" in said.stderr
    assert not team.exists()
    assert not team.sandbox.accepts(first)
    assert not team.sandbox.accepts(second)
    assert team.target() is None


@scenarios
def it_asks_twice(team: Team):
    """One yes is none, on a terminal and without one; what would happen is said before it is asked."""
    team.create()
    status = team.ready()
    plaintext = team.text()
    for answers in ("n\n", "y\nn\n"):
        said = keywright(team, "revoke", "search", answers=answers)
        assert said.returncode == 1
        assert (
            f"search: Its key {status['maskedKey']} is revoked, {team.called('search-key')} is removed" in said.stderr
        )
        assert said.stderr.endswith("Nothing was revoked.\n")
    for flags, words in ((("--yes",), "one --yes is not enough"), ((), "write --yes --yes once you are sure")):
        said = keywright(team, "revoke", "search", *flags)
        assert (said.returncode, said.stdout) == (2, "")
        [line] = said.stderr.splitlines()
        assert words in line
    assert team.exists()
    assert team.sandbox.accepts(plaintext)
    said = keywright(team, "revoke", "search", answers="y\ny\n")
    assert said.returncode == 0, said.stderr
    assert not team.sandbox.accepts(plaintext)


@scenarios
def nobody_needs_to_wait(team: Team):
    """With --no-wait it returns at once, and the keys die all the same; one that is gone is told to be."""
    team.create(deletionPolicy="Retain")
    team.ready()
    said = keywright(team, "revoke", "search", "--no-wait", "--yes", "--yes")
    assert said.returncode == 0, said.stderr
    assert said.stdout == "search: The deletion is asked for; the operator revokes its keys first.\n"
    team.gone()
    assert team.sandbox.live_keys(f"{team.namespace}/search") == []
    absent = keywright(team, "revoke", "search", "--yes", "--yes")
    assert absent.returncode == 1
    assert f"there is no ApiKey search in namespace {team.namespace}" in absent.stderr


@scenarios
def workspaces_are_told_with_the_eyes_of_a_namespace(team: Team):
    """What a KeyIssuer has, and what a ClusterKeyIssuer grants; archived ones last. Who may not read the admin key is told so."""
    name = f"only-{team.namespace}"
    grants = [{"namespaces": {"names": [team.namespace]}, "workspaces": ["search-*"], "maxValidity": "30d"}]
    team.create_issuer(name, kind="ClusterKeyIssuer", spec={"grants": grants})
    _, users = team.sandbox.call("GET", "/v1/admin/users?email=admin@example.com")
    body = {"name": f"old-{team.namespace}", "admin_user_id": users["members"][0]["uuid"]}
    _, made = team.sandbox.call("POST", "/v1/admin/workspaces", body)
    team.sandbox.call("DELETE", f"/v1/admin/workspaces/{made['uuid']}")
    insecure = "--allow-insecure-issuers"
    said = keywright(team, "workspaces", insecure, "-o", "json", "--issuer", "mistral")
    assert said.returncode == 0, said.stderr
    found = {one["name"]: one for one in json.loads(said.stdout)["workspaces"]}
    assert found["search-prod"]["granted"]
    assert found["search-prod"]["issuer"] == {"kind": "KeyIssuer", "namespace": team.namespace, "name": "mistral"}
    assert found[body["name"]]["archived"]
    shown = keywright(team, "workspaces", insecure, "--issuer", f"clusterkeyissuer/{name}").stdout.splitlines()
    assert shown[0] == f"clusterkeyissuer/{name}, for ApiKeys in namespace {team.namespace}:"
    assert shown[2].split() == ["search-prod", found["search-prod"]["id"], "yes", "at", "most", "30d"]
    assert next(line for line in shown if line.startswith("billing")).endswith("no: not granted")

    with tempfile.TemporaryDirectory() as folder:
        viewer = _a_viewer(team, Path(folder))
        said = keywright(team, "workspaces", insecure, "--issuer", "mistral", kubeconfig=viewer)
    assert said.returncode == 1
    [line] = said.stderr.splitlines()
    assert f"you may not read the Secret {team.namespace}/mistral-admin with its admin key" in line
    team.plane.call("DELETE", f"{GROUP}/clusterkeyissuers/{name}")


def _a_viewer(team: Team, folder: Path) -> Path:
    """The kubeconfig of somebody who may look at keywright's kinds, as the cluster's own view has it."""
    base = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{team.namespace}"
    team.plane.call("POST", f"/api/v1/namespaces/{team.namespace}/serviceaccounts", {"metadata": {"name": "viewer"}})
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "keywright-view"}
    subject = {"kind": "ServiceAccount", "name": "viewer", "namespace": team.namespace}
    team.plane.call(
        "POST", f"{base}/rolebindings", {"metadata": {"name": "viewer"}, "roleRef": ref, "subjects": [subject]}
    )
    token = team.plane.token_of(team.namespace, "viewer")
    kubeconfig = folder / "kubeconfig"
    write_kubeconfig(kubeconfig, server=team.plane.server, ca_file=team.plane.ca_file, token=token)
    path = f"{GROUP}/namespaces/{team.namespace}/keyissuers"

    def may_look() -> bool:
        try:
            return bool(team.plane.call("GET", path, token=token))
        except RuntimeError:
            return False

    wait_for(may_look, "the apiserver knows of the right")
    return kubeconfig


@pytest.mark.parametrize("scenario", scenarios.names)
def test_revoke_and_workspaces(scenario: str, outcome: Callable[[Scenarios, str], None]):
    """What the scenario's own sentence says."""
    outcome(scenarios, scenario)
