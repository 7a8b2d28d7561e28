"""The operator has the rights that it uses, and asks for nothing else; and what people get by the roles for them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from tests.chaos.proxy import KEYS
from tests.conftest import ROOT
from tests.e2e.guarded import ACCOUNT, ended, requests_of
from tests.e2e.team import GROUP, Team
from tests.e2e.test_restart import ROLLOUTS, a_template, may_restart
from tests.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.proxy import FaultProxy
    from tests.conftest import Plane
    from tests.e2e.guarded import Guarded
    from tests.running import Operator, Sandbox

pytestmark = pytest.mark.plane
RBAC = "/apis/rbac.authorization.k8s.io/v1"

Right = tuple[str, str, str]
"""API group, resource with its subresource, verb."""


def rights_of(role: dict[str, Any]) -> set[Right]:
    """Each verb on each resource by itself."""
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def used(entries: list[dict[str, Any]]) -> set[Right]:
    """What was asked for."""
    found = set()
    for entry in entries:
        if (where := entry.get("objectRef")) is not None:
            resource = "/".join(filter(None, (where["resource"], where.get("subresource"))))
            found.add((where.get("apiGroup", ""), resource, entry["verb"]))
    return found


def denied(plane: Plane, user: str, namespace: str | None = None) -> list[str]:
    """What was refused for want of a right, while its namespace was not on its way out; `namespace`: there alone."""
    over, found = ended(plane), []
    for entry in requests_of(plane, user):
        where = (entry.get("objectRef") or {}).get("namespace")
        too_late = where in over and entry["requestReceivedTimestamp"] > over[where]
        refused = entry.get("annotations", {}).get("authorization.k8s.io/decision") == "forbid"
        if refused and not too_late and namespace in (None, where):
            found.append(f"{entry['verb']} {entry['requestURI']}")
    return found


def all_used(plane: Plane, user: str, rights: set[Right], namespace: str | None = None) -> None:
    """Wait until a user has asked for each; `namespace`: there."""

    def left() -> set[Right]:
        entries = requests_of(plane, user)
        if namespace is not None:
            entries = [e for e in entries if (e.get("objectRef") or {}).get("namespace") == namespace]
        return rights - used(entries)

    try:
        wait_for(lambda: not left(), "each right is used", pause=1)
    except AssertionError:
        raise AssertionError(f"granted and never used: {left()}") from None


def a_store(kind: str) -> dict[str, Any]:
    """One that nobody can reach: its status says so."""
    secret = {"name": "none", "key": "token"} | ({"namespace": "none"} if kind == "ClusterVaultStore" else {})
    spec = {"address": "https://vault.invalid:8200", "auth": {"tokenSecretRef": secret}}
    return {"apiVersion": "keywright.dev/v1alpha1", "kind": kind, "metadata": {"name": "away"}, "spec": spec}


def live_a_life(team: Team, proxy: FaultProxy, *issuers: str) -> None:
    """All that needs a right: keys at issuers of each kind, a CA bundle, a store, a rotation, a conflict, a deletion."""
    team.plane.call("POST", f"{GROUP}/namespaces/{team.namespace}/vaultstores", a_store("VaultStore"))
    team.plane.call("POST", f"/api/v1/namespaces/{team.namespace}/configmaps", {"metadata": {"name": "ca"}, "data": {}})
    team.create_issuer("bundled", url=proxy.url, caBundleConfigMapRef={"name": "ca", "key": "ca.crt"})
    team.create("unbundled", issuer="bundled")
    team.says("IssuerInvalid", "unbundled")
    for kind in issuers:
        team.create(kind.lower(), issuerRef={"kind": kind, "name": "mistral"})
        team.ready(kind.lower())
    name = issuers[0].lower()
    held = proxy.hold("POST", KEYS, committed=True, containing=f'"{team.namespace}/{name} [kw/')
    team.annotate(name, rotate="1")
    held.met()
    team.patch(name, {"metadata": {"labels": {"somebody": "was-here"}}})
    held.release()
    team.ready(name, revision=2)
    wait_for(lambda: team.events(name), "an event is written")
    for gone in ("unbundled", *(kind.lower() for kind in issuers)):
        team.delete(gone)
        team.gone(gone)


@pytest.mark.xdist_group("guarded")
def test_each_right_in_the_whole_cluster_is_used_and_no_call_denied(guarded: Guarded):
    """Of the ClusterRole, and of the Role in keywright-system: by the audit log, which knows this operator only."""
    grants = [{"namespaces": {"selector": {"matchExpressions": [{"key": "none", "operator": "DoesNotExist"}]}}}]
    grants[0]["workspaces"] = ["search-*"]
    with guarded.a_team() as team:
        team.create_issuer(kind="ClusterKeyIssuer", url=guarded.proxy.url, spec={"grants": grants})
        guarded.plane.call("POST", f"{GROUP}/clustervaultstores", a_store("ClusterVaultStore"))
        live_a_life(team, guarded.proxy, "KeyIssuer", "ClusterKeyIssuer")
    for made in ("clusterkeyissuers/mistral", "clustervaultstores/away"):
        guarded.plane.call("DELETE", f"{GROUP}/{made}")
    everywhere = rights_of(guarded.plane.call("GET", f"{RBAC}/clusterroles/keywright"))
    home = rights_of(guarded.plane.call("GET", f"{RBAC}/namespaces/keywright-system/roles/keywright"))
    # The lease is renewed every few seconds, and events give way to keys.
    all_used(guarded.plane, ACCOUNT, everywhere)
    all_used(guarded.plane, ACCOUNT, home, "keywright-system")
    assert denied(guarded.plane, ACCOUNT) == [], "nor in any test before this one"


@pytest.mark.xdist_group("rights")
def test_each_right_in_one_namespace_is_used_and_no_call_denied(
    plane: Plane, sandbox: Sandbox, proxy: FaultProxy, namespaced_operator: Callable[..., Operator]
):
    """Of the Role of manifests/namespaced, which is all that such an operator has."""
    with plane.a_namespace() as namespace:
        team = Team(plane, sandbox, namespace)
        team.create_admin_secret()
        team.create_issuer(url=proxy.url)
        namespaced_operator(namespace, "--leader-elect")
        live_a_life(team, proxy, "KeyIssuer")
        role = plane.call("GET", f"{RBAC}/namespaces/{namespace}/roles/keywright")
        user = f"system:serviceaccount:{namespace}:keywright"
        all_used(plane, user, rights_of(role))
        assert denied(plane, user) == []


@pytest.mark.xdist_group("guarded")
def test_each_right_to_restart_is_used_and_no_call_denied(guarded: Guarded):
    """Of the Role of manifests/restart: one workload of each kind, whose pods nobody starts, so that an older key waits for all."""
    guarded.plane.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(ROLLOUTS))
    guarded.plane.kubectl("wait", "--for=condition=Established", "--timeout=120s", "crd/rollouts.argoproj.io")
    with guarded.a_team() as team:
        may_restart(team)
        common = {"selector": {"matchLabels": {"app": "web"}}, "template": a_template()}
        kinds = {
            "Deployment": ("apps/v1", {"replicas": 1}),
            "StatefulSet": ("apps/v1", {"replicas": 1, "serviceName": "web"}),
            "DaemonSet": ("apps/v1", {}),
            "Rollout": ("argoproj.io/v1alpha1", {"replicas": 1}),
        }
        for kind, (version, spec) in kinds.items():
            body = {"apiVersion": version, "kind": kind, "metadata": {"name": "web"}, "spec": {**common, **spec}}
            guarded.plane.kubectl("-n", team.namespace, "apply", "-f", "-", stdin=json.dumps(body))
        team.create(rotation={"overlap": "0s", "restart": [{"kind": kind, "name": "web"} for kind in kinds]})
        team.ready()
        team.annotate("search", rotate="1")
        team.ready(revision=2)
        role = guarded.plane.call("GET", f"{RBAC}/namespaces/{team.namespace}/roles/keywright-restart")
        all_used(guarded.plane, ACCOUNT, rights_of(role), team.namespace)
        assert denied(guarded.plane, ACCOUNT, team.namespace) == []


@pytest.mark.xdist_group("guarded")
def test_the_page_of_rights_is_current(guarded: Guarded):
    """Each of its commands prints what stands below it."""
    page = (ROOT / "docs" / "rights.md").read_text("utf-8")
    blocks = re.findall(r"```\n\$ kubectl ([^\n]*)\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 2
    for command, shown in blocks:
        printed = "\n".join(line.rstrip() for line in guarded.plane.kubectl(*command.split()).splitlines())
        assert shown.rstrip() == printed.rstrip(), printed


PEOPLE = {
    "keywright-view": {"get apikeys": True, "list keyissuers": True, "patch apikeys": False},
    "keywright-edit": {"create apikeys": True, "patch apikeys": True, "patch apikeys/status": False}
    | {"patch keyissuers": False, "abandon apikeys": False},
    "keywright-issuers": {
        "create keyissuers": True,
        "patch keyissuers/status": False,
        "create clusterkeyissuers": False,
    },
    "keywright-abandon": {"abandon apikeys": True, "patch apikeys": False},
    "view": {"get apikeys": True, "create apikeys": False},
    "edit": {"get apikeys": True, "create apikeys": True, "create keyissuers": False, "abandon apikeys": False},
    "admin": {"create apikeys": True, "create keyissuers": True, "abandon apikeys": False},
}
"""What whoever is bound to a role may do in their namespace."""


@pytest.mark.parametrize("role", PEOPLE)
def test_what_people_may_do_by_a_role(plane: Plane, namespace: str, role: str):
    """View looks, edit asks for keys, admin makes issuers; none of ours reads a Secret, and nobody abandons by the way."""
    user = f"someone-{namespace}-{role}"
    plane.call(
        "POST",
        f"{RBAC}/namespaces/{namespace}/rolebindings",
        {
            "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}],
        },
    )

    def may(asked: str) -> bool:
        verb, resource = asked.split()
        group = "" if resource == "secrets" else "keywright.dev"
        return plane.allows(user, verb, group, resource, namespace)

    expected = PEOPLE[role]
    wait_for(
        lambda: all(may(asked) for asked in expected if expected[asked]), "the binding and the aggregation are seen"
    )
    assert {asked: may(asked) for asked in expected} == expected
    if role.startswith("keywright-") or role == "view":
        assert not any(may(f"{verb} secrets") for verb in ("get", "list", "watch", "create", "patch"))
