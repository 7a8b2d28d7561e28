"""K8: a namespace is deleted with its KeyIssuer and the admin key's Secret in it, on the real plane with its namespace controller.

Namespaces whose keys stand in Secrets and others whose keys stand in Vault go at the same time: the namespace controller is slow.
"""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import bring_up
from tests.e2e.team import GROUP
from tests.e2e.vault_team import TEAMS
from tests.running import Operator, Sandbox, wait_for
from tests.sinks import SINKS, alone

from keywright.devcluster import write_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.conftest import Plane
    from tests.e2e.team import Team
    from tests.sinks import Sink

pytestmark = [pytest.mark.plane, pytest.mark.xdist_group("ending")]

PATIENCE = 300.0
"""Seconds: the namespace controller looks again after pauses of its own, that grow."""
IN_USE = "keywright.dev/in-use"


@pytest.fixture(scope="module")
def ending() -> Plane:
    """A control plane whose operator may be stopped: nobody else needs it."""
    return bring_up("ending")


@pytest.fixture(scope="module")
def keeper(ending: Plane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """An operator for the whole cluster under the rights of manifests/; a test that stops it starts it again."""
    folder: Path = tmp_path_factory.mktemp("keeper")
    token = ending.token_of("keywright-system", "keywright")
    write_kubeconfig(folder / "kubeconfig", server=ending.server, ca_file=ending.ca_file, token=token)
    operator = Operator(folder, folder / "kubeconfig")
    operator.start()
    yield operator
    assert operator.stop() == 0
    assert "Traceback" not in operator.said()


@pytest.fixture
def absent(tmp_path: Path) -> Iterator[Sandbox]:
    """A platform of its own, for a test to take away and give back."""
    sandbox = Sandbox(tmp_path / "absent")
    sandbox.start()
    yield sandbox
    sandbox.stop()


def a_team(plane: Plane, sandbox: Sandbox, operator: Operator, sink: Sink = "secret") -> Team:
    """A namespace of its own, which the test deletes."""
    name = f"ends-{secrets.token_hex(4)}"
    plane.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    return TEAMS[sink](plane, sandbox, name, operator)


def with_issuer(plane: Plane, sandbox: Sandbox, operator: Operator, sink: Sink = "secret") -> Team:
    """A team that has an admin key and a KeyIssuer of its own."""
    team = a_team(plane, sandbox, operator, sink)
    team.prepare()
    return team


def with_cluster_issuer(plane: Plane, sandbox: Sandbox, operator: Operator, sink: Sink = "secret") -> tuple[Team, Team]:
    """A team, and one that keeps an admin key for it: the ClusterKeyIssuer is called after the keeper's namespace."""
    team, keeper = a_team(plane, sandbox, operator, sink), a_team(plane, sandbox, operator)
    team.prepare(with_issuer=False)
    keeper.create_admin_secret()
    grants = [{"namespaces": {"names": [team.namespace]}, "workspaces": ["*"]}]
    keeper.create_issuer(keeper.namespace, kind="ClusterKeyIssuer", spec={"grants": grants})
    return team, keeper


def all_made(team: Team, names: Sequence[str]) -> set[str]:
    """ApiKeys of these names, `kept` to be retained; the ids of their keys, once each has one."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: team.create(name, deletionPolicy="Retain" if name == "kept" else "Revoke"), names))
    return {team.ready(name)["keyId"] for name in names}


def delete(team: Team) -> None:
    """Ask for the namespace's deletion."""
    team.plane.call("DELETE", f"/api/v1/namespaces/{team.namespace}")


def is_gone(team: Team) -> bool:
    """Whether the namespace is."""
    names = [item["metadata"]["name"] for item in team.plane.call("GET", "/api/v1/namespaces")["items"]]
    return team.namespace not in names


def goes(team: Team) -> None:
    """Wait until the namespace is gone; what holds it is said."""
    try:
        wait_for(lambda: is_gone(team), f"{team.namespace} is gone", seconds=PATIENCE, pause=0.2)
    except AssertionError:
        conditions = team.plane.call("GET", f"/api/v1/namespaces/{team.namespace}")["status"]["conditions"]
        items = team.plane.call("GET", f"{GROUP}/namespaces/{team.namespace}/apikeys")["items"]
        raise AssertionError(f"{team.namespace} is still there: {conditions} {items}") from None


def own_keys(team: Team) -> list[dict[str, Any]]:
    """The live keys at the platform of all ApiKeys of the namespace: their labels begin with it."""
    return team.sandbox.live_keys(f"{team.namespace}/")


def finalizers(plane: Plane, path: str) -> list[str]:
    """Of an object."""
    return plane.call("GET", f"{GROUP}/{path}")["metadata"].get("finalizers", [])


def holds_written(plane: Plane, team: Team) -> int:
    """How often the team's issuer itself was written by the operator, as the audit log has it: a write that came too late is none."""
    path = f'"/apis/keywright.dev/v1alpha1/namespaces/{team.namespace}/keyissuers/mistral"'
    lines = plane.audit_log.read_text(encoding="utf-8").splitlines()
    return sum(path in line and '"verb":"patch"' in line and '"code":200' in line for line in lines)


def is_known_to_go(plane: Plane, kind: str, namespace: str, name: str) -> None:
    """Wait until the operator has seen that an issuer is being deleted: watches of two kinds are not in step."""

    def said() -> bool:
        events = plane.call("GET", f"/api/v1/namespaces/{namespace}/events")["items"]
        about = [event["involvedObject"] for event in events if event["reason"] == "IssuerDeleting"]
        return (kind, name) in [(one["kind"], one["name"]) for one in about]

    wait_for(said, f"{kind} {name} is said to be deleted")


def has_issuer(plane: Plane, kind: str, name: str) -> bool:
    """Whether an issuer of this name stands anywhere."""
    return name in [item["metadata"]["name"] for item in plane.call("GET", f"{GROUP}/{kind}")["items"]]


def test_with_the_operator_up_everything_is_revoked_and_the_namespace_goes(
    ending: Plane, sandbox: Sandbox, keeper: Operator, absent: Sandbox
):
    """Fifty keys, one in its overlap, one to be retained in a Secret that cannot stay: all dead, for both kinds of issuer.

    Of those in Vault, whose paths are gone, the retained one lives on in its own: that outlives the namespace. Where the platform is
    away meanwhile, they die once it is back, when the admin key is in the operator's memory and nowhere else.
    """
    own, vaulted = (with_issuer(ending, sandbox, keeper, sink) for sink in SINKS)
    shared, elsewhere = with_cluster_issuer(ending, sandbox, keeper)
    away, away_vaulted = (with_issuer(ending, absent, keeper, sink) for sink in SINKS)
    few = ["kept", "key-01", "key-02"]
    all_made(own, ["kept", *(f"key-{i:02}" for i in range(50))])
    all_made(vaulted, few)
    shared.create(issuerRef={"kind": "ClusterKeyIssuer", "name": elsewhere.namespace})
    shared.ready()
    for team in (away, away_vaulted):
        all_made(team, ["search"])
    assert holds_written(ending, own) == 1, "whoever was first held the issuer for all"
    for team in (own, vaulted):
        team.annotate("key-01", rotate="now")
        team.ready("key-01", revision=2)
    teams = (own, vaulted, shared, away, away_vaulted)
    assert [len(own_keys(team)) for team in teams] == [52, 4, 1, 1, 1]

    absent.stop()
    for team in teams:
        delete(team)
    for team in (away, away_vaulted):
        team.says("RevocationFailed", of_type="Reconciling")
        wait_for(lambda team=team: team.secret("mistral-admin") is None, "the admin key is gone", seconds=PATIENCE)
    absent.start()
    kept = vaulted.text("kept-key")
    for team in teams:
        goes(team)
        assert len(own_keys(team)) == (team is vaulted)
    assert sandbox.accepts(kept)
    assert vaulted.text("kept-key") == kept
    assert [vaulted.target(f"{name}-key") for name in few[1:]] == [None, None]
    assert away_vaulted.target() is None
    wait_for(lambda: not finalizers(ending, f"clusterkeyissuers/{elsewhere.namespace}"), "nobody holds the issuer")


def test_with_the_operator_away_it_is_said_counted_and_released(ending: Plane, sandbox: Sandbox, keeper: Operator):
    """Deleted meanwhile, the admin key is gone: each ApiKey says so, a metric counts, abandon lets go and names. A cluster issuer's die.

    What stands in Vault and nobody can log in to remove any more is dead, left, and named.
    """
    teams = [with_issuer(ending, sandbox, keeper, sink) for sink in SINKS]
    granted = [with_cluster_issuer(ending, sandbox, keeper, sink) for sink in SINKS]
    shared, in_vault = (team for team, _ in granted)
    names = ("one", "two")
    key_ids = {team.namespace: all_made(team, names) for team in teams}
    for team, elsewhere in granted:
        team.create(issuerRef={"kind": "ClusterKeyIssuer", "name": elsewhere.namespace})
        team.ready()
    assert keeper.series("keywright_irrevocable_keys") == [({}, 0.0)]
    assert keeper.stop() == 0
    for team in (*teams, shared, in_vault):
        delete(team)
    for team in teams:
        wait_for(lambda team=team: team.secret("mistral-admin") is None, "the admin key goes first", seconds=PATIENCE)
        assert team.exists("one")
    stores = f"{GROUP}/namespaces/{in_vault.namespace}/vaultstores"
    wait_for(lambda: not ending.call("GET", stores)["items"], "the store goes first", seconds=PATIENCE)
    assert (is_gone(shared), is_gone(in_vault)) == (False, False)
    since = len(keeper.said())
    keeper.start()
    for team, name in product(teams, names):
        message = team.says("IssuerCredentialsGone", name, of_type="Stalled")
        assert f"Secret {team.namespace}/mistral-admin" in message
        assert 'keywright.dev/abandon: "true"' in message
        assert team.condition(name)["reason"] == "IssuerCredentialsGone"
    wait_for(lambda: keeper.series("keywright_irrevocable_keys") == [({}, 4.0)], "all keys are counted")
    assert {team.namespace: {key["key_id"] for key in own_keys(team)} for team in teams} == key_ids
    assert has_issuer(ending, "keyissuers", "mistral")
    for team, name in product(teams, names):
        team.annotate(name, abandon="true")
    for team in (*teams, shared, in_vault):
        goes(team)
    assert own_keys(shared) + own_keys(in_vault) == []
    wait_for(lambda: keeper.series("keywright_irrevocable_keys") == [({}, 0.0)], "none is counted any more")

    def warned(*words: str) -> list[str]:
        lines = [line for line in keeper.said()[since:].splitlines() if "WARNING" in line]
        return [line for line in lines if all(word in line for word in words)]

    # A namespace may be gone before the operator has said why it let go.
    for key_id in set().union(*key_ids.values()):
        wait_for(lambda key_id=key_id: warned("Released by", key_id), f"{key_id} is named")
    assert in_vault.target() is not None
    wait_for(lambda: warned(in_vault.called("search-key"), "still holds"), "the path is named")


@alone("secret", "It is about issuers: no target is looked at.")
def test_issuers_wait_for_their_last_key_and_unused_ones_for_nobody(ending: Plane, sandbox: Sandbox, keeper: Operator):
    """Deleted while a key is of it, an issuer makes none and goes with that key; a ClusterKeyIssuer too; never used, it goes at once."""
    own = with_issuer(ending, sandbox, keeper)
    shared, elsewhere = with_cluster_issuer(ending, sandbox, keeper)
    cluster_issuer = f"clusterkeyissuers/{elsewhere.namespace}"
    issuer = f"namespaces/{own.namespace}/keyissuers"
    assert finalizers(ending, cluster_issuer) == []
    own.create_issuer("unused")
    ending.call("DELETE", f"{GROUP}/{issuer}/unused")
    assert not has_issuer(ending, f"namespaces/{own.namespace}/keyissuers", "unused")
    own.create()
    shared.create(issuerRef={"kind": "ClusterKeyIssuer", "name": elsewhere.namespace})
    for team, path, known in (
        (own, f"{issuer}/mistral", ("KeyIssuer", own.namespace, "mistral")),
        (shared, cluster_issuer, ("ClusterKeyIssuer", "default", elsewhere.namespace)),
    ):
        team.ready()
        assert finalizers(ending, path) == [IN_USE]
        ending.call("DELETE", f"{GROUP}/{path}")
        is_known_to_go(ending, *known)
        team.annotate("search", rotate="now")
        team.says("RenewalFailing")
        assert "is being deleted" in team.condition(of_type="Stalled")["message"]
        assert sandbox.accepts(team.text())
        assert finalizers(ending, path) == [IN_USE]
        team.delete()
        team.gone()
        assert own_keys(team) == []
    wait_for(lambda: not has_issuer(ending, issuer, "mistral"), "the KeyIssuer goes")
    wait_for(lambda: not has_issuer(ending, "clusterkeyissuers", elsewhere.namespace), "so does the other")
