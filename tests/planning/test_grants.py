"""Who may have what: one grant alone must allow the whole request."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from tests.planning.builders import WORKSPACE

from keywright.api.keyissuer import KeyIssuerSpec
from keywright.keys import Workspace
from keywright.planning import grants


def a_request(**changes: Any) -> grants.GrantRequest:
    """Namespace search asks for 90 days in search-prod."""
    fields: dict[str, Any] = {
        "issuer": "clusterkeyissuer/mistral",
        "cluster_scoped": True,
        "namespace": "search",
        "namespace_labels": {"team": "search"},
        "workspace": WORKSPACE,
        "today": date(2026, 11, 24),
        "last_day": date(2027, 2, 22),
        "keys_in_namespace": 3,
    }
    return grants.GrantRequest(**{**fields, **changes})


def an_issuer(*given: dict[str, Any] | None) -> KeyIssuerSpec:
    """With these grants; one None: no grants at all."""
    mistral = {"user": "dev@example.com", "adminKeySecretRef": {"name": "admin", "key": "key"}}
    return KeyIssuerSpec.model_validate({"mistral": mistral} | ({} if given == (None,) else {"grants": list(given)}))


def a_grant(**changes: Any) -> dict[str, Any]:
    """To namespace search, for search-prod."""
    return {"namespaces": {"names": ["search"]}, "workspaces": ["search-prod"], **changes}


@pytest.mark.parametrize(
    ("sentence", "issuer", "request_", "says"),
    [
        (
            "a ClusterKeyIssuer grants nothing by itself",
            an_issuer(None),
            a_request(),
            "grants nothing to namespace search",
        ),
        ("a KeyIssuer serves its namespace", an_issuer(None), a_request(cluster_scoped=False), None),
        (
            "a KeyIssuer with grants keeps to them",
            an_issuer({"workspaces": ["billing"]}),
            a_request(cluster_scoped=False),
            "no grant",
        ),
        ("a name grants", an_issuer(a_grant()), a_request(), None),
        ("a star grants", an_issuer(a_grant(workspaces=["search-*"])), a_request(), None),
        ("a star in the middle grants", an_issuer(a_grant(workspaces=["s*-prod"])), a_request(), None),
        ("case matters", an_issuer(a_grant(workspaces=["Search-prod"])), a_request(), "no grant"),
        (
            "nothing but a star is special",
            an_issuer(a_grant(workspaces=["search.prod", "[s]earch-prod"])),
            a_request(),
            "no grant",
        ),
        ("a uuid grants, in any case", an_issuer(a_grant(workspaces=[WORKSPACE.id.upper()])), a_request(), None),
        (
            "another namespace is not granted",
            an_issuer(a_grant()),
            a_request(namespace="other"),
            "grants nothing to namespace other",
        ),
        (
            "a label grants",
            an_issuer(a_grant(namespaces={"selector": {"matchLabels": {"team": "search"}}})),
            a_request(),
            None,
        ),
        (
            "another label does not",
            an_issuer(a_grant(namespaces={"selector": {"matchLabels": {"team": "x"}}})),
            a_request(),
            "nothing",
        ),
        (
            "an empty selector means all",
            an_issuer(a_grant(namespaces={"selector": {}})),
            a_request(namespace="any"),
            None,
        ),
        (
            "expressions must all hold",
            an_issuer(
                a_grant(
                    namespaces={
                        "selector": {
                            "matchExpressions": [
                                {"key": "team", "operator": "In", "values": ["search"]},
                                {"key": "tier", "operator": "Exists"},
                            ]
                        }
                    }
                )
            ),
            a_request(),
            "nothing",
        ),
        (
            "a longer validity is refused with the number",
            an_issuer(a_grant(maxValidity="30d")),
            a_request(),
            "at most 30d",
        ),
        ("exactly the validity is allowed", an_issuer(a_grant(maxValidity="90d")), a_request(), None),
        (
            "maxValidity implies an expiry",
            an_issuer(a_grant(maxValidity="90d")),
            a_request(last_day=None),
            "to 90d or less",
        ),
        (
            "an expiry may be required",
            an_issuer(a_grant(requireExpiry=True)),
            a_request(last_day=None),
            "requires an expiry",
        ),
        ("the last key that is allowed", an_issuer(a_grant(maxKeys=3)), a_request(), None),
        (
            "one key too many",
            an_issuer(a_grant(maxKeys=2)),
            a_request(),
            "at most 2 ApiKeys, and by age this is number 3",
        ),
        (
            "two grants do not add up",
            an_issuer(a_grant(maxValidity="30d"), a_grant(workspaces=["billing"], maxValidity="365d")),
            a_request(),
            "at most 30d",
        ),
        (
            "one grant of several is enough",
            an_issuer(a_grant(maxValidity="30d"), a_grant(workspaces=["*"])),
            a_request(),
            None,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_grants(sentence: str, issuer: KeyIssuerSpec, request_: grants.GrantRequest, says: str | None):
    """Each row: whether it is allowed, or what the refusal says."""
    refusal = grants.refused(issuer, request_)
    assert (refusal.message if refusal else None) is says or (refusal and says and says in refusal.message), sentence


def test_candidates_are_only_what_is_granted():
    """A ClusterKeyIssuer's message tells a namespace nothing of others' workspaces."""
    others = Workspace("2", "billing")
    assert grants.granted_workspaces(an_issuer(a_grant()), "search", {}, [WORKSPACE, others]) == [WORKSPACE]
    assert grants.granted_workspaces(an_issuer(a_grant()), "other", {}, [WORKSPACE, others]) == []
