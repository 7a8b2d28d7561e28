"""Tokens of ServiceAccounts for the whole cluster: the right of manifests/vault, and what its policy leaves of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import ROOT
from tests.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Plane
    from tests.e2e.guarded import Guarded

pytestmark = [pytest.mark.plane, pytest.mark.xdist_group("guarded")]

MANIFESTS = ROOT / "manifests" / "vault"


def refusal(
    plane: Plane, namespace: str, spec: dict[str, Any], token: str | None = None, account: str = "default"
) -> str:
    """What is said against a token of a ServiceAccount; empty where it is made."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    try:
        made = plane.call("POST", path, {"spec": spec}, token=token)
    except RuntimeError as error:
        return str(error)
    assert made["status"]["token"]
    return ""


FOR_VAULT = {"audiences": ["vault"], "expirationSeconds": 600}


def may(plane: Plane) -> bool:
    """Whether the operator has the right."""
    return plane.may("create", "", "serviceaccounts/token", "default")


@pytest.fixture
def keywright(guarded: Guarded) -> Iterator[str]:
    """The operator's token, with right and policy in force; both are taken away afterwards."""
    plane, token = guarded.plane, guarded.plane.token_of("keywright-system", "keywright")
    assert not may(plane), "nothing of it by itself"
    plane.kubectl("apply", "-f", str(MANIFESTS / "audiences.yaml"))
    plane.kubectl("apply", "-k", str(MANIFESTS))
    try:
        wait_for(lambda: may(plane), "the right is known")
        wait_for(
            lambda: "denied" in refusal(plane, "default", {**FOR_VAULT, "audiences": ["other"]}, token),
            "the policy is in force",
        )
        yield token
    finally:
        plane.kubectl("delete", "-k", str(MANIFESTS))
        wait_for(lambda: not may(plane), "the right is gone")


REFUSED = {
    "the apiserver's own audience, by leaving it out": {"expirationSeconds": 600},
    "no audience": {"audiences": [], "expirationSeconds": 600},
    "the apiserver's own audience": {"audiences": ["https://kubernetes.default.svc"], "expirationSeconds": 600},
    "another audience beside": {"audiences": ["vault", "https://kubernetes.default.svc"], "expirationSeconds": 600},
    "one that begins like it": {"audiences": ["vault.example.com"], "expirationSeconds": 600},
    "another case": {"audiences": ["Vault"], "expirationSeconds": 600},
    "for a day": {"audiences": ["vault"], "expirationSeconds": 86400},
    "for as long as it likes": {"audiences": ["vault"]},
}


def test_keywright_gets_tokens_for_vault_and_no_others(guarded: Guarded, keywright: str):
    """In any namespace; whoever else makes tokens is not concerned."""
    with guarded.plane.a_namespace() as namespace:
        wait_for(lambda: not refusal(guarded.plane, namespace, FOR_VAULT, keywright), "there is a ServiceAccount")
        said = {how: refusal(guarded.plane, namespace, spec, keywright) for how, spec in REFUSED.items()}
        assert {how: "denied" in words for how, words in said.items()} == dict.fromkeys(REFUSED, True), said
        assert "serviceAccountRef.audiences" in said["another case"]
        assert "ten minutes" in said["for a day"]
        assert "denied" in refusal(guarded.plane, "keywright-system", REFUSED["no audience"], keywright, "keywright")
        assert [refusal(guarded.plane, namespace, spec) for spec in ({}, {"audiences": ["other"]})] == ["", ""]
