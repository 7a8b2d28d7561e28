"""What is Vault's own in the life of a key: who may log in, policies, versions, other people's fields, and nothing in the cluster.

The operator has the rights of manifests/ and, in each namespace, the Role of examples/vault/; it logs in to Vault as the
namespace's ServiceAccount.
"""

from __future__ import annotations

import base64
import itertools
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.together import Scenarios
from tests.e2e.vault_team import VaultTeam
from tests.running import wait_for
from tests.sinks import Alone, alone

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Plane
    from tests.running import Operator, Sandbox

pytestmark = [pytest.mark.plane, pytest.mark.xdist_group("served")]
KEY_LENGTH = 32
"""A template's other texts are read, too."""
scenarios = Scenarios(alone=Alone("vault", "It is about what Vault alone has."))


@scenarios
def no_object_in_the_cluster_holds_it_and_no_dead_version_lies_around(team: VaultTeam):
    """Five rotations while a consumer reads from Vault all the time: no call is refused. In the end one version is readable."""
    team.create(rotation={"overlap": "1s"})
    team.ready()
    over, refused, calls, failed = threading.Event(), [], [0], []

    def consume() -> None:
        try:
            while not over.wait(0.02):
                before = team.text()
                calls[0] += 1
                if not team.sandbox.accepts(before) and team.text() == before:
                    refused.append(before[:4])
        except Exception as error:  # noqa: BLE001 -- told in the test's own thread
            failed.append(error)

    consumer = threading.Thread(target=consume)
    consumer.start()
    try:
        for revision in range(2, 7):
            team.rotated(revision)
        wait_for(lambda: "previous" not in team.status(), "the older keys have ended")
    finally:
        over.set()
        consumer.join()
    assert (refused, failed) == ([], [])
    assert calls[0] > 50
    metadata = team.vault.metadata(team.path("search-key"))
    living = [n for n, version in metadata["versions"].items() if not version["destroyed"]]
    assert living == [str(metadata["current_version"])]
    there = team.plane.call("GET", f"/api/v1/namespaces/{team.namespace}/secrets")["items"]
    assert [secret["metadata"]["name"] for secret in there] == ["mistral-admin"]
    team.delete()
    team.gone()
    assert team.vault.metadata(team.path("search-key")) is None


@scenarios
def what_others_keep_at_a_path_stays_with_merge(team: VaultTeam):
    """Refused without it, with the remedy; with it their field survives the key's whole life."""
    team.vault.put(team.path("shared"), {"password": "theirs"})
    team.create(target={"vault": {"storeRef": {"name": "vault"}, "path": "shared"}})
    assert "spec.target.vault.merge" in team.says("TargetForeign")
    assert team.live_keys() == []
    team.patch("search", {"spec": {"target": {"vault": {"merge": True}}}})
    team.ready()
    team.annotate("search", rotate="1")
    team.ready(revision=2)
    assert team.vault.data(team.path("shared"))["password"] == "theirs"
    assert team.sandbox.accepts(team.text("shared", "api_key"))
    team.delete()
    team.gone()
    assert team.vault.data(team.path("shared")) == {"password": "theirs"}


@scenarios
def a_missing_policy_is_found_before_a_key_is_asked_for(team: VaultTeam):
    """The lines to add are in the message; once they are there the key comes by itself."""
    team.vault.allow(team.namespace, f"{team.namespace}/other/")
    team.create()
    message = team.says("TargetRefused")
    assert (
        f'path "secret/data/{team.namespace}/search-key" {{ capabilities = ["create", "read", "update"] }}' in message
    )
    assert team.live_keys() == []
    policy = team.vault.call("GET", f"sys/policies/acl/{team.namespace}")["data"]["policy"]
    lines = message.partition("of its role: ")[2]
    team.vault.call("PUT", f"sys/policies/acl/{team.namespace}", {"policy": f"{policy}\n{lines}"})
    team.ready()
    assert team.sandbox.accepts(team.text())


@scenarios
def a_policy_taken_away_mid_way_is_said_and_the_key_goes_on(team: VaultTeam):
    """V3: the key in Vault stays Ready, a rotation waits without a key being asked for; given back, it goes on."""
    team.create(rotation={"overlap": "0s"})
    first = team.ready()
    team.vault.allow(team.namespace, f"{team.namespace}/", without=("data",))
    team.annotate("search", rotate="1")
    wait_for(lambda: "add to the policy" in team.condition("search").get("message", ""), "it is said")
    assert [key["key_id"] for key in team.live_keys()] == [first["keyId"]]
    assert team.condition()["status"] == "True"
    team.vault.allow(team.namespace, f"{team.namespace}/")
    team.ready(revision=2)


@scenarios
def who_may_log_in_is_said(team: VaultTeam):
    """A ServiceAccount that is not there, a right that was not given, an audience that the role does not want: each with its remedy."""
    store = f"/apis/keywright.dev/v1alpha1/namespaces/{team.namespace}/vaultstores/vault"

    def log_in_as(account: dict[str, Any]) -> None:
        patch = {"spec": {"auth": {"kubernetes": {"serviceAccountRef": account}}}}
        team.plane.call("PATCH", store, patch, content_type="application/merge-patch+json")

    def is_seen() -> bool:
        stands = team.plane.call("GET", store)
        return (stands.get("status") or {}).get("observedGeneration") == stands["metadata"]["generation"]

    log_in_as({"name": "nobody"})
    # An ApiKey may be heard of before its store is: with the store as it was, it would get its key.
    wait_for(is_seen, "the operator has seen that")
    team.create()
    assert "serviceaccounts/token" in team.says("StoreRefused")
    log_in_as({"name": "default", "audiences": ["somebody-else"]})
    wait_for(lambda: "audiences" in team.condition().get("message", ""), "the audience is named")
    wait_for(lambda: team.store_ready().get("reason") == "StoreRefused", "the store says it too")
    assert team.live_keys() == []
    log_in_as({"name": "default", "audiences": ["vault"]})
    team.ready()
    wait_for(lambda: team.store_ready().get("reason") == "StoreWorks", "the store says that it works")


@scenarios
def a_cluster_store_is_for_whom_it_selects_and_below_their_prefix(team: VaultTeam):
    """Nobody by default; a granted namespace writes below its own prefix, whatever its path says."""
    name = team.namespace
    path = "/apis/keywright.dev/v1alpha1/clustervaultstores"
    spec = {"address": team.vault.address, "prefix": "{namespace}/", "auth": {"kubernetes": {"role": name}}}
    body = {
        "apiVersion": "keywright.dev/v1alpha1",
        "kind": "ClusterVaultStore",
        "metadata": {"name": name},
        "spec": spec,
    }
    team.plane.call("POST", path, body)
    try:
        ref = {"kind": "ClusterVaultStore", "name": name}
        team.create(target={"vault": {"storeRef": ref, "path": "search-key", "field": "api-key"}})
        assert f"names: [{name}]" in team.says("StoreNotGranted")
        assert team.live_keys() == []
        patch = {"spec": {"namespaces": {"names": [name]}}}
        team.plane.call("PATCH", f"{path}/{name}", patch, content_type="application/merge-patch+json")
        team.ready()
        assert team.sandbox.accepts(team.text())
        team.create("climbing", target={"vault": {"storeRef": ref, "path": "%2e%2e/other/key"}})
        assert "spec.target.vault.path must" in team.says("InvalidSpec", "climbing")
        for one in ("search", "climbing"):
            team.delete(one)
            team.gone(one)
    finally:
        team.plane.call("DELETE", f"{path}/{name}")


@scenarios
def a_store_that_is_gone_does_not_hold_its_api_keys(team: VaultTeam):
    """The key goes on; a deletion revokes it, and cleans with what is remembered of the store."""
    team.create()
    team.ready()
    plaintext = team.text()
    team.plane.call("DELETE", f"/apis/keywright.dev/v1alpha1/namespaces/{team.namespace}/vaultstores/vault")
    asked = itertools.count()

    def is_said() -> bool:
        # A rotation that is asked for before the operator has heard that the store is gone still goes through.
        team.annotate("search", rotate=str(next(asked)))
        condition = team.condition()
        return "there is no vaultstore/vault" in condition["message"] and condition["status"] == "True"

    wait_for(is_said, "it is said, and the key goes on", pause=1.0)
    team.delete()
    team.gone()
    assert not team.sandbox.accepts(plaintext)
    assert team.vault.metadata(team.path("search-key")) is None


@pytest.mark.parametrize("scenario", scenarios.names)
def test_life_in_vault(scenario: str, outcome: Callable[[Scenarios, str], None]):
    """What the scenario's own sentence says."""
    outcome(scenarios, scenario)


@alone("vault", "A Secret is an object in the cluster: tests/e2e/test_canary.py looks where else its plaintext stands.")
def test_a_plaintext_in_vault_is_nowhere_in_the_cluster(served_plane: Plane, sandbox: Sandbox, operator: Operator):
    """Not a byte of it in etcd's files, in the operator's log at DEBUG, or in an event: neither plain nor in base64, at any offset."""
    with served_plane.a_namespace() as namespace:
        team = VaultTeam(served_plane, sandbox, namespace, operator)
        team.prepare()
        team.create(rotation={"overlap": "0s"})
        for revision in (1, 2, 3, 4):
            team.rotated(revision)
            team.text()
        plaintexts = {text for text in team.vault.shown if len(text) == KEY_LENGTH}
        assert len(plaintexts) >= 4
        events = json.dumps(served_plane.call("GET", "/api/v1/events")["items"]).encode()
        etcd = served_plane.cluster.directory / "etcd"
        places: dict[Path | str, bytes] = wait_for(lambda: _contents(etcd), "no file goes while they are read")
        admin_key = sandbox.admin_key.encode()
        assert any(_found(admin_key, content) for content in places.values()), "what is in a Secret is found there"
        places |= {"log": operator.said().encode(), "events": events}
        for plaintext in plaintexts:
            held = [str(place) for place, content in places.items() if _found(plaintext.encode(), content)]
            assert held == []


def _contents(folder: Path) -> dict[Path | str, bytes]:
    """Of each file; nothing where one was renamed or removed meanwhile."""
    try:
        return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    except FileNotFoundError:
        return {}


def _found(secret: bytes, content: bytes) -> bool:
    """As it is, or in base64 at any of the three offsets."""
    forms = [secret]
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + secret)
        forms.append(encoded[4 if offset else 0 : -4])
    return any(form in content for form in forms)
