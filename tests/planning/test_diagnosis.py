"""What the doctor makes of what it has read: rights, CRDs, clocks, operators."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any

import pytest
import yaml
from tests.conftest import ROOT
from tests.planning.builders import NOW
from tests.planning.fleets import an_object

from keywright.api.crd import KINDS, crd_of
from keywright.planning.diagnosis import clocks, kinds, rights, running
from keywright.planning.diagnosis.clocks import Reading
from keywright.planning.diagnosis.finding import Check, Finding, State, counted, folded, ok, ordered, wrong
from keywright.planning.diagnosis.running import Account, Operators
from keywright.planning.leases import Lease
from keywright.planning.standing import Seen

RBAC = [*yaml.safe_load_all((ROOT / "manifests/rbac.yaml").read_text("utf-8"))]
ACCOUNT = Account("keywright-system", "keywright", everywhere=True)


def said(findings: list[Finding], state: State = State.WRONG) -> str:
    """All that is wrong, in one text."""
    return "\n".join(f"{f.text} → {f.remedy}" for f in findings if f.state is state)


def ago(**how: float) -> str:
    """A time of the apiserver's."""
    return f"{NOW - timedelta(**how):%Y-%m-%dT%H:%M:%SZ}"


# What is shown.


def test_what_is_wrong_comes_first_and_causes_before_what_follows():
    """Whatever the order in which looks have ended."""
    one, other = wrong(Check.APIKEYS, "late", "x"), wrong(Check.KINDS, "early", "x")
    assert ordered([ok(Check.KINDS, "well"), one, other]) == [other, one, ok(Check.KINDS, "well")]


def test_many_of_a_kind_are_folded_so_that_the_first_screen_names_all_kinds():
    """A thousand lines of one cause do not push out another one."""
    many = [wrong(Check.APIKEYS, f"key {i}", "x") for i in range(1000)]
    shown = folded([*many, ok(Check.CLOCK, "well")])
    assert [f.text for f in shown] == [
        "key 0",
        "key 1",
        "key 2",
        "and 997 more like these; -o json names them all",
        "well",
    ]
    assert len(folded(many[:4])) == 4, "a line that says one more is no shorter"


def test_each_reason_is_shown():
    """However many there are of another one."""
    of = [Finding(Check.APIKEYS, State.WRONG, f"{reason} {i}", "x", reason) for reason in ("A", "B") for i in range(3)]
    assert [f.text for f in folded(of)] == [
        *("A 0", "and 2 more of reason A; -o json names them all"),
        *("B 0", "and 2 more of reason B; -o json names them all"),
    ]


def test_names_are_counted():
    """Three at most."""
    assert counted(["b"], "ApiKey") == "ApiKey b"
    assert counted("edcba", "ApiKey") == "5 ApiKeys (a, b, c, …)"


# Rights.


def test_the_operators_rights_are_those_of_the_manifest():
    """Each verb of each rule, where the rule holds; the Lease by its name."""
    wanted = rights.shipped_rights(RBAC, "keywright-system", everywhere=True)
    assert rights.Right("create", "", "secrets") in wanted
    assert rights.Right("patch", "keywright.dev", "apikeys/status") in wanted
    assert rights.Right("patch", "coordination.k8s.io", "leases", "keywright-system", "keywright") in wanted
    assert rights.of_operator(dict.fromkeys(wanted, True), ACCOUNT)[0].state is State.OK
    lacking = {right: right.resource != "secrets" for right in wanted}
    text = said(rights.of_operator(lacking, ACCOUNT))
    assert "keywright-system/keywright may not get, list, watch, create, patch, delete secrets" in text
    assert "manifests/rbac.yaml grants it" in text
    assert "has none of its rights" in said(rights.of_operator(dict.fromkeys(wanted, False), ACCOUNT))


def test_who_may_only_look_is_told_and_nothing_is_wrong():
    """The verbs, and the ClusterRole that has them."""
    answers = {right: right.verb in ("get", "list") for right in rights.caller_needs("search")}
    [finding] = rights.of_caller(answers, "search")
    assert finding.state is State.NOTE
    assert "not patch, delete apikeys.keywright.dev" in finding.text
    assert "keywright-edit" in finding.remedy


def test_tokens_and_restarts_that_a_namespace_must_grant():
    """Where an ApiKey needs them; the Role that gives them is named."""
    store = {
        "kind": "VaultStore",
        "metadata": {"namespace": "shop", "name": "vault"},
        "spec": {"auth": {"kubernetes": {"role": "x"}}},
    }
    vault = {"vault": {"storeRef": {"name": "vault"}, "path": "p"}}
    rotation = {"restart": [{"kind": "Deployment", "name": "api"}]}
    seen = {"metadata": {"namespace": "shop", "name": "a"}, "spec": {"target": vault, "rotation": rotation}}
    wanted = [*rights.logins([store], [seen]), *rights.restarts([seen])]
    text = said(rights.of_extras(dict.fromkeys(wanted, False)))
    assert "create serviceaccounts/token of default in namespace shop" in text
    assert "may not get, patch deployments.apps in namespace shop" in text
    assert "manifests/restart" in text
    assert rights.of_extras(dict.fromkeys(wanted, True)) == []


# CRDs.


def installed() -> dict[str, dict[str, Any]]:
    """As this version's."""
    return {f"{kind.plural}.keywright.dev": copy.deepcopy(crd_of(kind)) for kind in KINDS}


def schema(crd: dict[str, Any]) -> dict[str, Any]:
    """Of the only version."""
    return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]


def test_the_crds_of_this_version_are_well():
    """One line."""
    [finding] = kinds.of_kinds(installed())
    assert finding.state is State.OK


def test_an_older_crd_is_named_with_a_field_that_it_lacks():
    """Of its status, too."""
    crds = installed()
    del schema(crds["apikeys.keywright.dev"])["status"]["properties"]["rollout"]
    text = said(kinds.of_kinds(crds))
    assert "apikeys.keywright.dev is older than this keywright: it lacks status.rollout" in text
    assert "kubectl apply --server-side -f crds" in text


def test_a_newer_crd_is_worth_a_note():
    """It is this program that is old."""
    crds = installed()
    schema(crds["apikeys.keywright.dev"])["spec"]["properties"]["colour"] = {"type": "string"}
    [finding] = kinds.of_kinds(crds)
    assert (finding.state, "it has spec.colour" in finding.text) == (State.NOTE, True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda crd: schema(crd)["spec"]["properties"]["suspend"].update(default=True),
            "its rules for spec.suspend differ",
        ),
        (lambda crd: crd["metadata"].update(deletionTimestamp="2026-01-01T00:00:00Z"), "is being deleted"),
        (lambda crd: crd["spec"]["versions"][0].update(name="v1"), "does not serve v1alpha1"),
        (
            lambda crd: crd.update(
                status={"conditions": [{"type": "NamesAccepted", "status": "False", "message": "ak is taken"}]}
            ),
            "is not in force: ak is taken",
        ),
    ],
    ids=["rules", "deleting", "version", "names"],
)
def test_a_crd_that_is_not_in_order(change, says: str):
    """Each with what is the matter."""
    crds = installed()
    change(crds["apikeys.keywright.dev"])
    assert says in said(kinds.of_kinds(crds))


def test_missing_crds_are_named_by_whoever_may_read_what():
    """Also by discovery alone."""
    crds: dict[str, Any] = {**installed(), "vaultstores.keywright.dev": None}
    assert "not installed: vaultstores.keywright.dev" in said(kinds.of_kinds(crds))
    served = frozenset(kind.plural for kind in KINDS)
    assert kinds.of_served(served)[0].state is State.OK
    assert "not installed: apikeys.keywright.dev" in said(kinds.of_served(served - {"apikeys"}))
    assert "all 5" in said(kinds.of_served(frozenset()))


# Clocks.


@pytest.mark.parametrize(
    ("readings", "says"),
    [
        ({"the apiserver": 5, "api.mistral.ai": -5}, ""),
        (
            {"the apiserver": 600, "api.mistral.ai": 601},
            "this machine's clock is 10 min behind (against the apiserver and",
        ),
        (
            {"the apiserver": 0, "the operator": 7200},
            "the operator's clock is 2 h ahead (against this machine and the apiserver)",
        ),
        ({"the apiserver": -90, "api.mistral.ai": 0}, "the apiserver's clock is 90 s behind"),
        ({"the apiserver": 0, "api.mistral.ai": 300000}, "api.mistral.ai's clock is 3 d ahead"),
        (
            {"the apiserver": 3600},
            "which is right cannot be told from here: beside this machine's, the apiserver's is 60 min ahead",
        ),
    ],
    ids=["well", "this machine", "operator", "apiserver", "platform", "two"],
)
def test_whose_clock_is_wrong(readings: dict[str, float], says: str):
    """The odd one among those that agree; of two, neither."""
    found = clocks.of_clocks([Reading(whose, timedelta(seconds=by)) for whose, by in readings.items()])
    assert says in said(found)
    assert bool(says) == (found[0].state is State.WRONG)


def test_many_clocks_that_agree_fit_a_line():
    """A platform for each team."""
    [finding] = clocks.of_clocks([Reading(f"host-{i}", timedelta(0)) for i in range(20)])
    assert finding.text == "this machine, host-0, host-1, host-2 and 17 more agree"


# Operators.


def a_lease(
    renewed: float,
    *,
    holder: str = "pod-1",
    skew: float = 0,
    namespace: str = "keywright-system",
    name: str = "keywright",
) -> Lease:
    """Renewed so many seconds ago by the apiserver's clock; the holder's is ahead by `skew`."""
    written = {"manager": "keywright", "time": ago(seconds=renewed), "fieldsV1": {"f:spec": {"f:renewTime": {}}}}
    at = f"{NOW - timedelta(seconds=renewed - skew):%Y-%m-%dT%H:%M:%S.%fZ}"
    return Lease.of(
        {
            "metadata": {"namespace": namespace, "name": name, "managedFields": [written]},
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": at},
        }
    )


def a_deployment(wanted: int, available: int, *arguments: str) -> dict[str, Any]:
    """As manifests/ has it."""
    pod = {"serviceAccountName": "keywright", "containers": [{"args": ["run", *arguments]}]}
    return {
        "metadata": {"namespace": "keywright-system", "name": "keywright"},
        "spec": {"replicas": wanted, "template": {"spec": pod}},
        "status": {"availableReplicas": available},
    }


def an_api_key(*, observed: int = 1, changed: float = 120) -> Seen:
    """Changed so many seconds ago; by default an operator has answered."""
    return Seen.of(
        an_object(status={"observedGeneration": observed}, namespace="shop", creationTimestamp=ago(seconds=changed))
    )


@pytest.mark.parametrize(
    ("operators", "api_keys", "says"),
    [
        (Operators([a_deployment(2, 2)], [a_lease(2)]), [an_api_key()], ""),
        (Operators([], []), [an_api_key()], ""),
        (Operators([], []), [], "no operator is to be seen"),
        (
            Operators([a_deployment(2, 0)], []),
            [],
            "0 of 2 replicas of the Deployment keywright-system/keywright are available",
        ),
        (Operators([a_deployment(0, 0)], [a_lease(2)]), [], ""),
        (Operators([a_deployment(0, 0)], [a_lease(60)]), [], "is scaled to 0 → kubectl -n keywright-system scale"),
        (Operators([a_deployment(2, 1)], [a_lease(2)]), [], "nobody takes over if that one dies"),
        (
            Operators([], [a_lease(3600)]),
            [],
            "nobody leads: pod-1 renewed the Lease keywright-system/keywright last 60 min ago",
        ),
        (
            Operators([], [a_lease(9, holder="")]),
            [],
            "nobody leads: the Lease keywright-system/keywright was given back 9 s ago",
        ),
        (
            Operators([], []),
            [an_api_key(observed=0)],
            "no operator works: ApiKey shop/search waits (the last edit",
        ),
        (
            Operators([], [a_lease(2)]),
            [an_api_key(observed=0)],
            "the operator passes over ApiKey shop/search: the last edit",
        ),
        (Operators([], [a_lease(2)]), [an_api_key(observed=0, changed=10)], ""),
        (Operators(None, None), [], ""),
    ],
    ids=[
        *("well", "outside", "none", "no pods", "run otherwise", "scaled down", "no standby", "ran out", "given back"),
        *("unanswered", "stuck", "new", "unseen"),
    ],
)
def test_whether_an_operator_works(operators: Operators, api_keys: list[Seen], says: str):
    """And what to do where none does."""
    found = running.of_operators(operators, api_keys, NOW)
    assert says in said(found)
    assert bool(says) == any(f.state is State.WRONG for f in found)
    assert all(f.remedy for f in found if f.state is State.WRONG)


def test_a_lease_that_an_operator_of_one_namespace_has_left_is_worth_a_note():
    """Where one of the whole cluster leads."""
    left = a_lease(864000, holder="", namespace="shop", name="keywright-namespaced")
    found = running.of_operators(Operators([], [a_lease(2), left]), [an_api_key()], NOW)
    assert sorted(f.state for f in found) == [State.NOTE, State.OK]
    assert said(running.of_operators(Operators([], [left]), [an_api_key()], NOW)).startswith("nobody leads")


def test_an_operators_clock_is_told_by_what_the_apiserver_noted_beside_its_stamp():
    """However long ago the Lease was renewed; one that was given back tells nothing."""
    lease = a_lease(3600, skew=7200)
    assert running.operators_ahead(Operators([], [lease])) == [("the operator", timedelta(hours=2))]
    assert running.operators_ahead(Operators([], [a_lease(3600, holder="", skew=7200)])) == []
    assert not running.is_served(Operators([], [lease]), [], NOW), "its own stamp lies in the future"


def test_whose_rights_are_looked_at():
    """The Deployment's account; a Lease's namespace where it runs otherwise; else the one of manifests/."""
    alone = a_deployment(1, 1, "--namespace=shop")
    alone["metadata"]["namespace"] = "shop"
    assert running.accounts(Operators([alone], [])) == [Account("shop", "keywright", everywhere=False)]
    assert running.accounts(Operators([a_deployment(2, 2)], [a_lease(2)])) == [ACCOUNT]
    assert running.accounts(Operators(None, None)) == [ACCOUNT]
