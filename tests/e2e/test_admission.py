"""The optional admission policies on the real apiserver: who may let go of keys, and what stays as it was made."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import ROOT
from tests.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.guarded import Guarded
    from tests.e2e.team import Team

pytestmark = [pytest.mark.plane, pytest.mark.xdist_group("guarded")]

MANIFESTS = ROOT / "manifests" / "admission"


@pytest.fixture
def policies(guarded: Guarded) -> Iterator[None]:
    """In force, and taken away afterwards: an apiserver takes a moment for both."""
    guarded.plane.kubectl("apply", "-k", str(MANIFESTS))
    try:
        with guarded.a_team() as team:
            team.create(suspend=True)
            person = Person(team, *EDITOR)
            wait_for(lambda: "cannot be edited" in refusal(moved, team), "one policy is in force")
            wait_for(lambda: "the verb abandon" in person.annotate(anything()), "and the other")
        yield
    finally:
        guarded.plane.kubectl("delete", "-k", str(MANIFESTS))
        with guarded.a_team() as team:
            team.create(suspend=True)
            person = Person(team, *EDITOR)
            wait_for(lambda: not refusal(moved, team), "one policy is gone")
            wait_for(lambda: not person.annotate(anything()), "and the other")


def moved(team: Team) -> None:
    """An edit that one of them refuses: to another place each time, since what changes nothing is no edit."""
    body = json.dumps({"spec": {"target": {"secret": {"name": f"elsewhere-{anything()}"}}}})
    team.plane.kubectl("-n", team.namespace, "patch", "apikey", "search", "--type=merge", "-p", body)


def anything() -> str:
    """Another text each time."""
    return secrets.token_hex(4)


def refusal(edit: Any, *arguments: Any) -> str:
    """What the apiserver says against it; empty where it takes it."""
    try:
        edit(*arguments)
    except RuntimeError as error:
        return str(error)
    return ""


MEANT_FOR = {
    "keywright-view": ("get", "apikeys"),
    "keywright-edit": ("patch", "apikeys"),
    "keywright-issuers": ("patch", "keyissuers"),
    "keywright-abandon": ("abandon", "apikeys"),
}
"""One right of each role."""


class Person:
    """Somebody with some of our roles in a namespace, and no others."""

    def __init__(self, team: Team, *roles: str) -> None:
        self.team = team
        self.name = f"{team.namespace}-{'-'.join(roles)}"
        for role in roles:
            team.plane.call(
                "POST",
                f"/apis/rbac.authorization.k8s.io/v1/namespaces/{team.namespace}/rolebindings",
                {
                    "metadata": {"name": f"{self.name}-{role}"},
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                    "subjects": [{"kind": "User", "name": self.name, "apiGroup": "rbac.authorization.k8s.io"}],
                },
            )
        wait_for(lambda: all(self.may(*MEANT_FOR[role]) for role in roles), "the bindings are seen")

    def may(self, verb: str, resource: str) -> bool:
        """What the apiserver says of a right of theirs."""
        return self.team.plane.allows(self.name, verb, "keywright.dev", resource, self.team.namespace)

    def kubectl(self, *arguments: str) -> str:
        """As this person."""
        return self.team.plane.kubectl("--as", self.name, "-n", self.team.namespace, *arguments)

    def annotate(self, value: str, name: str = "search") -> str:
        """What is said against keywright.dev/abandon with this value, or a - that takes it away."""
        change = "keywright.dev/abandon-" if value == "-" else f"keywright.dev/abandon={value}"
        return refusal(self.kubectl, "annotate", "--overwrite", "apikey", name, change)

    def patch(self, kind: str, name: str, body: dict[str, Any]) -> str:
        """What is said against a merge patch."""
        return refusal(self.kubectl, "patch", kind, name, "--type=merge", "-p", json.dumps(body))


EDITOR = ("keywright-view", "keywright-edit", "keywright-issuers")


@pytest.mark.usefixtures("policies")
def test_abandoning_needs_its_own_verb(guarded: Guarded):
    """By the annotation or by the finalizer; whatever else an object is asked to be is not held up by it."""
    with guarded.a_team() as team:
        team.create()
        team.ready()
        editor, trusted = Person(team, *EDITOR), Person(team, *EDITOR, "keywright-abandon")
        assert "ask for the verb abandon" in editor.annotate("true")
        assert "its keys stay alive" in editor.patch("apikey", "search", {"metadata": {"finalizers": []}})
        assert "its keys stay alive" in editor.patch("keyissuer", "mistral", {"metadata": {"finalizers": []}})
        assert trusted.annotate("true") == ""
        assert "ask for the verb abandon" in editor.annotate("yes")
        assert editor.patch("apikey", "search", {"spec": {"suspend": True}}) == ""
        assert editor.annotate("-") == ""
        assert trusted.patch("apikey", "search", {"metadata": {"finalizers": []}}) == ""
        # The operator puts its finalizer back, and takes it off itself once the key is revoked.
        wait_for(lambda: finalizers(team), "the finalizer is back")
        editor.kubectl("delete", "apikey", "search", "--wait=false")
        team.gone()


def finalizers(team: Team) -> list[str]:
    """Of the ApiKey."""
    found = json.loads(team.plane.kubectl("get", "apikey", "search", "-n", team.namespace, "-o", "json"))
    return found["metadata"].get("finalizers", [])


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "another platform is sent the admin key": (
        "keyissuer",
        {"mistral": {"url": "https://example.com"}},
        "url, adminPath",
    ),
    "another path": ("keyissuer", {"mistral": {"adminPath": "/v2/admin"}}, "url, adminPath"),
    "keys are tried elsewhere": ("keyissuer", {"mistral": {"checkUrl": "https://example.com"}}, "url, adminPath"),
    "another Secret is sent": ("keyissuer", {"mistral": {"adminKeySecretRef": {"name": "other"}}}, "adminKeySecretRef"),
    "another data key is sent": (
        "keyissuer",
        {"mistral": {"adminKeySecretRef": {"key": "other"}}},
        "adminKeySecretRef",
    ),
    "another issuer": ("apikey", {"issuerRef": {"name": "other"}}, "issuerRef"),
    "another kind of issuer": ("apikey", {"issuerRef": {"kind": "ClusterKeyIssuer"}}, "issuerRef"),
    "another Secret": ("apikey", {"target": {"secret": {"name": "other"}}}, "where the key is delivered"),
    "Vault": (
        "apikey",
        {"target": {"secret": None, "vault": {"storeRef": {"name": "vault"}, "path": "a/b"}}},
        "where the key is delivered",
    ),
}
TAKEN: dict[str, tuple[str, dict[str, Any]]] = {
    "grants": ("keyissuer", {"grants": [{"workspaces": ["search-*"]}]}),
    "user": ("keyissuer", {"mistral": {"user": "dev@example.com"}}),
    "budget": ("keyissuer", {"requests": {"perSecond": 5}}),
    "workspace": ("apikey", {"workspace": "billing"}),
    "expiry": ("apikey", {"expiry": {"validity": "30d"}}),
    "template": ("apikey", {"target": {"secret": {"template": {"KEY": "${api_key}"}}}}),
    "deletion policy": ("apikey", {"deletionPolicy": "Retain"}),
}


@pytest.mark.usefixtures("policies")
def test_what_an_issuer_and_a_target_are_cannot_be_edited(guarded: Guarded):
    """Where the admin key goes, who makes the key and where it is delivered; all else is edited as ever."""
    with guarded.a_team() as team:
        team.create(suspend=True)
        editor = Person(team, *EDITOR)
        names = {"keyissuer": "mistral", "apikey": "search"}
        for case, (kind, spec, sentence) in REFUSED.items():
            said = editor.patch(kind, names[kind], {"spec": spec})
            assert sentence in said, case
            assert "cannot be edited" in said, case
        for case, (kind, spec) in TAKEN.items():
            assert editor.patch(kind, names[kind], {"spec": spec}) == "", case
