"""The whole life of a key, on a real control plane: issued, delivered, used, rotated, repaired, revoked."""

from __future__ import annotations

import time
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.together import Scenarios
from tests.running import wait_for
from tests.sinks import alone

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.team import Team

pytestmark = [pytest.mark.plane, pytest.mark.xdist_group("served")]
scenarios = Scenarios()


TOGETHER = 5
"""Seconds after a rotation in which another trigger asks for what was just done."""


def days_on(status: dict[str, Any], days: int) -> str:
    """The day so many days after the key was issued."""
    return str(date.fromisoformat(status["issuedAt"][:10]) + timedelta(days=days))


@scenarios
def an_api_key_becomes_a_working_key_and_dies_with_it(team: Team):
    """Applied: a working key stands in the target and the status tells when it ends. Deleted: it is refused, nothing stays."""
    team.create(label="Pipeline integration")
    status = team.ready()
    plaintext = team.text()
    assert team.sandbox.accepts(plaintext)
    assert status["expiresAt"] == f"{days_on(status, 90)}T23:59:59Z"
    assert status["renewalTime"] < status["expiresAt"]
    assert status["next"] == {
        "action": "Renew",
        "at": status["renewalTime"],
        "reason": "The renewal time comes before the key's last day.",
    }
    assert status["maskedKey"][:4] == plaintext[:4]
    assert status["workspace"]["name"] == "search-prod"
    assert "attempt" not in status
    [key] = team.live_keys()
    assert key["key_id"] == status["keyId"]
    assert key["name"].startswith("Pipeline integration [kw/")
    assert key["workspace_name"] == "search-prod"
    target = team.target()
    assert target is not None
    assert target["metadata"]["annotations"]["keywright.dev/key-id"] == status["keyId"]
    assert status == {k: v for k, v in status.items() if v}, "what says nothing is left out"
    uid = key["name"].rpartition("/")[0].rpartition("/")[2]

    team.delete()
    team.gone()
    assert not team.sandbox.accepts(plaintext)
    assert team.target() is None
    assert team.sandbox.live_keys(f"/{uid}/") == []


@scenarios
def the_story_is_told_once_in_events(team: Team):
    """Issued is one event, with the masked key and its end."""
    team.create()
    status = team.ready()
    # Of a new issuer its watch may tell later than the ApiKey's own: that is an event, too.
    [message] = wait_for(lambda: [words for reason, words in team.events() if reason == "Issued"], "an event")
    assert {reason for reason, _ in team.events()} <= {"Issued", "IssuerNotFound"}
    assert status["maskedKey"] in message
    assert status["keyId"] in message


@scenarios
def a_template_fills_the_target(team: Team):
    """Each text of the template stands there with its variables filled in; an edit of it makes no new key."""
    template = {"MISTRAL_API_KEY": "${api_key}", "config.ini": "[mistral]\nkey=${api_key}\nid=${key_id} $$1\n"}
    team.create(target={"secret": {"name": "app", "template": template}})
    status = team.ready()
    plaintext = team.text("app", "MISTRAL_API_KEY")
    assert team.sandbox.accepts(plaintext)
    assert team.text("app", "config.ini") == f"[mistral]\nkey={plaintext}\nid={status['keyId']} $1\n"
    team.patch("search", {"spec": {"target": {"secret": {"template": {"config.ini": "key: ${api_key}\n"}}}}})
    wait_for(lambda: team.text("app", "config.ini") == f"key: {plaintext}\n", "the new template is laid out")
    assert team.ready()["keyId"] == status["keyId"]


@scenarios
@alone("secret", "target.vault has no labels and annotations to ask for.")
def labels_and_annotations_stand_on_the_secret(team: Team):
    """Beside the label that the watch selects by; edited, they are written with the same key."""
    secret = {"name": "search-key", "labels": {"app": "search"}, "annotations": {"example.com/owner": "search"}}
    team.create(target={"secret": secret})
    status = team.ready()
    assert team.target()["metadata"]["labels"] == {"app": "search", "keywright.dev/managed": "true"}
    assert team.target()["metadata"]["annotations"]["example.com/owner"] == "search"
    team.patch("search", {"spec": {"target": {"secret": {"labels": None, "annotations": {"example.com/b": "2"}}}}})
    wait_for(lambda: "example.com/b" in team.target()["metadata"]["annotations"], "it is written anew")
    assert team.target()["metadata"]["labels"] == {"keywright.dev/managed": "true"}
    assert team.ready()["keyId"] == status["keyId"]
    assert team.made() == 1


@scenarios
def rotation_overlaps_and_then_ends_the_old_key(team: Team):
    """The annotation asks for a new key; the old one works until the overlap is over, and no longer."""
    team.create(rotation={"overlap": "30s"})
    team.ready()
    old = team.text()
    team.annotate("search", rotate="now")
    status = team.ready(revision=2)
    new = team.text()
    assert new != old
    assert team.sandbox.accepts(new)
    assert team.sandbox.accepts(old), "the old key lives through the overlap"
    assert status["handled"]["rotate"] == "now"
    assert len(status["previous"]) == 1
    wait_for(lambda: not team.sandbox.accepts(old), "the old key is refused")
    wait_for(lambda: not team.status().get("previous"), "the old key leaves the status")
    assert team.sandbox.accepts(new)
    assert [key["key_id"] for key in team.live_keys()] == [status["keyId"]]


@scenarios
def a_compromised_key_dies_at_once(team: Team):
    """keywright.dev/compromised: the new key is delivered, every older one revoked without an overlap."""
    team.create()
    team.ready()
    first = team.text()
    team.annotate("search", rotate="1")
    team.ready(revision=2)
    second = team.text()
    team.annotate("search", compromised="1")
    status = team.ready(revision=3)
    wait_for(lambda: [k["key_id"] for k in team.live_keys()] == [status["keyId"]], "only the new key lives")
    assert team.sandbox.accepts(team.text())
    assert not team.sandbox.accepts(first)
    assert not team.sandbox.accepts(second)


@scenarios
def a_spec_change_makes_a_key_that_fits(team: Team):
    """Another workspace and another expiry: a new key as asked, the old one in its overlap."""
    team.create(rotation={"overlap": "0s"})
    team.ready()
    old = team.text()
    team.patch("search", {"spec": {"workspace": "billing", "expiry": {"validity": "30d"}}})
    status = team.ready(revision=2)
    assert status["workspace"]["name"] == "billing"
    assert status["expiresAt"].startswith(days_on(status, 30))
    wait_for(lambda: not team.sandbox.accepts(old), "the old key is refused: no overlap was asked for")
    assert team.sandbox.accepts(team.text())


@scenarios.of(deleted="deleted", plaintext="plaintext")
def a_lost_or_changed_target_is_repaired_with_a_new_key(team: Team, case: str):
    """Deleted, or edited by somebody: a new key is delivered, since nobody has the old plaintext."""
    team.create(rotation={"overlap": "0s"})
    first = team.ready()
    if case == "deleted":
        team.delete_target()
    else:
        team.edit_target("search-key", {"stringData": {"api-key": "somebody's own"}})
    status = team.ready(revision=2)
    assert team.sandbox.accepts(team.text())
    wait_for(lambda: [k["key_id"] for k in team.live_keys()] == [status["keyId"]], "one key lives")
    assert status["keyId"] != first["keyId"]


@scenarios
def a_moved_target_takes_its_key_along(team: Team):
    """Another name: a key stands there, and the old target goes when its key does."""
    team.create(rotation={"overlap": "0s"})
    team.ready()
    team.patch("search", {"spec": {"target": {"secret": {"name": "elsewhere"}}}})
    team.ready(revision=2)
    assert team.sandbox.accepts(team.text("elsewhere"))
    wait_for(lambda: team.target() is None, "the old one is removed")


@scenarios
def retain_leaves_the_key_and_its_target_and_a_re_created_api_key_adopts_them(team: Team):
    """deletionPolicy: Retain keeps both; the same ApiKey applied again takes them over without a new key."""
    team.create(deletionPolicy="Retain")
    first = team.ready()
    plaintext = team.text()
    team.delete()
    team.gone()
    assert team.text() == plaintext
    assert team.sandbox.accepts(plaintext)
    [message] = wait_for(lambda: [words for reason, words in team.events() if reason == "Retained"], "the event")
    assert first["keyId"] in message

    team.create(deletionPolicy="Retain")
    again = team.ready()
    assert again["keyId"] == first["keyId"]
    assert team.text() == plaintext
    assert team.sandbox.posts(f"{team.namespace}/search ") == 1
    team.patch("search", {"spec": {"deletionPolicy": "Revoke"}})
    wait_for(team.is_bound, "the target is bound to its ApiKey")
    team.delete()
    team.gone()
    assert not team.sandbox.accepts(plaintext)


@scenarios
def a_re_created_api_key_gets_a_key_of_its_own(team: Team):
    """Deleted and applied again at once: the old key is revoked, the target ends with the new one's."""
    team.create()
    old = team.ready()
    plaintext = team.text()
    team.delete()
    team.gone()
    team.create()
    status = team.ready()
    assert status["keyId"] != old["keyId"]
    assert not team.sandbox.accepts(plaintext)
    assert team.sandbox.accepts(team.text())


@scenarios
def a_suspended_api_key_waits_and_says_so(team: Team):
    """suspend: nothing is issued until it is lifted; deletion still revokes."""
    team.create(suspend=True)
    assert "spec.suspend" in team.says("Suspended")
    assert team.live_keys() == []
    team.patch("search", {"spec": {"suspend": False}})
    team.ready()
    plaintext = team.text()
    team.patch("search", {"spec": {"suspend": True}})
    assert team.says("Suspended")
    assert team.condition()["status"] == "True"
    team.delete()
    team.gone()
    assert not team.sandbox.accepts(plaintext)


@scenarios
def a_cluster_issuer_grants_nothing_by_itself(team: Team):
    """A ClusterKeyIssuer serves a namespace once a grant names it, for the workspaces it names."""
    name = team.namespace
    team.create_issuer(name, kind="ClusterKeyIssuer")
    team.create(issuerRef={"kind": "ClusterKeyIssuer", "name": name})
    try:
        message = team.says("NotGranted")
        assert f"names: [{name}]" in message
        grants = [{"namespaces": {"names": [name]}, "workspaces": ["search-*"], "maxValidity": "90d"}]
        path = f"/apis/keywright.dev/v1alpha1/clusterkeyissuers/{name}"
        team.plane.call("PATCH", path, {"spec": {"grants": grants}}, content_type="application/merge-patch+json")
        team.ready()
        assert team.sandbox.accepts(team.text())
        team.delete()
        team.gone()
    finally:
        team.plane.call("DELETE", f"/apis/keywright.dev/v1alpha1/clusterkeyissuers/{name}")


@scenarios
def ten_triggers_in_a_second_are_one_rotation(team: Team):
    """Values that pile up ask for one new key, and the last one is answered."""
    team.create(rotation={"overlap": "0s"})
    team.ready()
    begun = time.monotonic()
    for i in range(10):
        team.annotate("search", rotate=str(i))
    wait_for(lambda: team.status().get("handled", {}).get("rotate") == "9", "the last value is answered")
    # Where a machine needs longer than a second for ten edits, those that come too late for one rotation ask for another.
    most = 3 + (time.monotonic() - begun) // TOGETHER
    assert team.status()["revision"] <= most, "one rotation, or one more for what came while it ran"


@pytest.mark.parametrize("scenario", scenarios.names)
def test_life(scenario: str, outcome: Callable[[Scenarios, str], None]):
    """What the scenario's own sentence says."""
    outcome(scenarios, scenario)
