"""What may be named in spec.workspace, with one namespace's eyes."""

from __future__ import annotations

from typing import Any

from keywright.api.keyissuer import KeyIssuerSpec
from keywright.keys import Workspace
from keywright.planning.offers import Offer, offers

DEFAULT, SEARCH, BILLING, OLD = (Workspace(name[:1] * 8, name) for name in ("Default", "search-prod", "billing", "old"))
TWIN = Workspace("t" * 8, "billing")


def offered(grants: list[dict[str, Any]] | None, *, cluster: bool = True, namespace: str = "shop") -> list[Offer]:
    """With all of them, one archived."""
    reference = {"name": "a", "key": "k", **({"namespace": "ops"} if cluster else {})}
    spec = KeyIssuerSpec.model_validate(
        {"mistral": {"user": "u@example.com", "adminKeySecretRef": reference}, "grants": grants}
    )
    live = [DEFAULT, SEARCH, BILLING, TWIN]
    return offers(spec, namespace, {"team": "a"}, cluster_scoped=cluster, live=live, archived=[OLD])


def test_a_keyissuer_offers_everything_but_what_is_archived():
    """Those that may be named first; a name that two have, by their ids only."""
    found = offered(None, cluster=False)
    assert [(o.workspace.name, o.use) for o in found] == [
        ("Default", "yes"),
        ("billing", "by its id: others have this name"),
        ("billing", "by its id: others have this name"),
        ("search-prod", "yes"),
        ("old", "no: archived"),
    ]


def test_a_clusterkeyissuer_offers_what_it_grants_to_the_namespace():
    """With the limits of each grant that gives it; by name or by label."""
    by_name = {"namespaces": {"names": ["shop"]}, "workspaces": ["search-*"], "maxValidity": "30d", "maxKeys": 2}
    by_label = {
        "namespaces": {"selector": {"matchLabels": {"team": "a"}}},
        "workspaces": ["search-prod"],
        "requireExpiry": True,
    }
    others = {"namespaces": {"names": ["other"]}, "workspaces": ["*"]}
    found = offered([by_name, by_label, others])
    assert [(o.workspace.name, o.granted) for o in found if o.usable] == [("search-prod", True)]
    assert found[0].limits == "at most 30d, at most 2 ApiKeys or with an expiry"
    assert {o.use for o in found[1:]} == {"no: not granted", "no: archived"}
    assert all(not o.usable for o in offered([])), "nothing is granted by default"


def test_a_keyissuers_own_grants_count():
    """They have no namespaces."""
    found = offered([{"workspaces": ["Default"]}], cluster=False)
    assert [o.workspace.name for o in found if o.usable] == ["Default"]
    assert found[0].limits == "any"
