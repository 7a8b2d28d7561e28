"""Issuers as they can be used: what is shared, for how long, and what is never confused."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.planning.builders import an_api_key, settled
from tests.reconcile.world import World

from keywright.api.apikey import KeyIssuerIdentity
from keywright.api.apikey_status import ApiKeyStatus
from keywright.errors import Rejected, Unauthorized, Unavailable
from keywright.keys import ResourceKey, Workspace
from keywright.planning.observed import IssuerFacts, Refusal
from keywright.reconcile.directory import IssuerDirectory

ANYONE = [ResourceKey("search", f"ak-{i}") for i in range(200)]
MISTRAL = ResourceKey("search", "mistral")
SHARED = ResourceKey("", "shared")


async def facts(world: World, key: ResourceKey = ANYONE[0], **spec: Any) -> IssuerFacts | Refusal:
    """Of a fresh ApiKey."""
    return await world.process.directory.facts(key, an_api_key(**spec), ApiKeyStatus())


def identity(world: World, name: str = "mistral") -> KeyIssuerIdentity:
    """As it stands now."""
    found = world.cluster.issuer("KeyIssuer", "search", name)
    assert found
    return KeyIssuerIdentity(kind="KeyIssuer", name=name, uid=found["metadata"]["uid"])


def a_cluster_issuer(world: World, *grants: dict[str, Any]) -> None:
    """A ClusterKeyIssuer with its admin key in keywright-system."""
    ref = {"name": "admin", "key": "key", "namespace": "keywright-system"}
    spec = {"mistral": {"user": "dev@example.com", "adminKeySecretRef": ref}, "grants": list(grants)}
    world.cluster.create("ClusterKeyIssuer", SHARED, spec)
    world.cluster.values["Secret", "keywright-system", "admin"] = {"key": "admin"}


async def test_two_hundred_who_wait_cost_one_reading():
    """One admin key, one list of workspaces, one user: for all of them, at once and a little later."""
    world = World()
    found = await asyncio.gather(*(facts(world, key) for key in ANYONE))
    assert all(isinstance(one, IssuerFacts) for one in found)
    assert world.platform.reads == 2
    assert world.faults.met.count("before read_value") == 1
    world.now += timedelta(seconds=14)
    await facts(world)
    assert world.platform.reads == 2


async def test_two_hundred_who_wait_share_a_failure_for_seconds():
    """And ask again once it is old, so that mending shows."""
    world = World()
    world.faults.each("before workspaces", Unavailable("no answer"))
    found = await asyncio.gather(*(facts(world, key) for key in ANYONE))
    assert {one.reason for one in found if isinstance(one, Refusal)} == {"IssuerUnavailable"}
    assert world.faults.met.count("before workspaces") == 1
    world.faults.calm()
    assert isinstance(await facts(world), Refusal)
    world.now += timedelta(seconds=6)
    assert isinstance(await facts(world), IssuerFacts)


async def test_an_unknown_workspace_is_looked_for_again_after_seconds():
    """One that is known is believed for a minute."""
    world = World()
    assert isinstance(await facts(world, workspace="late"), Refusal)
    assert isinstance(await facts(world, workspace="late"), Refusal)
    assert world.platform.reads == 2
    world.platform.workspaces.append(Workspace("w", "late"))
    world.now += timedelta(seconds=6)
    assert isinstance(await facts(world, workspace="late"), IssuerFacts)


async def test_a_pinned_workspace_is_found_under_its_new_name():
    """While the spec says the same, the uuid of the first issuance counts."""
    world = World()
    [old] = [one for one in world.platform.workspaces if one.name == "search-prod"]
    world.platform.workspaces[1] = Workspace(old.id, "renamed")
    status = settled().model_copy(update={"workspace": settled().workspace.model_copy(update={"id": old.id})})  # type: ignore[union-attr]
    found = await world.process.directory.facts(ANYONE[0], an_api_key(), status)
    assert isinstance(found, IssuerFacts)
    assert found.workspace.name == "renamed"
    assert isinstance(await facts(world), Refusal)


async def test_a_new_admin_key_is_used_within_seconds():
    """And at once where the old one was refused."""
    world = World()
    await facts(world)
    world.platform.admin_key = "another"
    world.cluster.values["Secret", "search", "admin"] = {"key": "another"}
    client = await world.process.directory.client(identity(world), "search")
    with pytest.raises(Unauthorized) as refused:
        await client.workspaces()
    world.process.directory.failed(identity(world), "search", refused.value)
    assert isinstance(await facts(world), IssuerFacts)
    world.now += timedelta(seconds=16)
    assert isinstance(await facts(world), IssuerFacts)


async def test_a_recreated_issuer_does_not_revoke_its_namesakes_keys():
    """At another platform the id would be unknown, and unknown counts as revoked."""
    world = World()
    before = identity(world)
    world.cluster.delete("KeyIssuer", MISTRAL)
    world.create_issuer("mistral")
    with pytest.raises(Rejected, match="created again since"):
        await world.process.directory.client(before, "search")
    assert await world.process.directory.client(identity(world), "search")


async def test_an_edited_issuer_is_used_as_it_is_now():
    """Also by those who waited for the one before."""
    world = World()
    first = await facts(world)
    assert isinstance(first, IssuerFacts)
    world.cluster.edit("KeyIssuer", MISTRAL, lambda obj: obj["spec"].update(checkNewKeys=False))
    second = await facts(world)
    assert isinstance(second, IssuerFacts)
    assert (first.spec.check_new_keys, second.spec.check_new_keys) == (True, False)


async def test_candidates_of_a_cluster_issuer_are_only_the_granted_ones():
    """Nothing of other teams' workspaces; of a KeyIssuer all are told."""
    world = World()
    a_cluster_issuer(
        world, {"namespaces": {"selector": {"matchLabels": {"team": "search"}}}, "workspaces": ["search-*"]}
    )
    world.cluster.server.labels["search"] = {"team": "search"}
    ref = {"kind": "ClusterKeyIssuer", "name": "shared"}
    refusal = await facts(world, issuerRef=ref, workspace="nowhere")
    assert isinstance(refusal, Refusal)
    assert refusal.message.endswith("write one of: search-prod")
    everything = await facts(world, workspace="nowhere")
    assert isinstance(everything, Refusal)
    assert everything.message.endswith("write one of: Default, billing, search-prod")


async def test_an_ambiguous_name_tells_a_namespace_only_the_uuids_that_it_may_use():
    """Of two namesakes one is granted by its uuid, or none."""
    world = World()
    twin = Workspace("99999999-0000-4000-8000-000000000000", "search-prod")
    world.platform.workspaces.append(twin)
    ref = {"kind": "ClusterKeyIssuer", "name": "shared"}
    a_cluster_issuer(world, {"namespaces": {"names": ["search"]}, "workspaces": [twin.id]})
    refusal = await facts(world, issuerRef=ref)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "WorkspaceAmbiguous"
    assert refusal.message.endswith(f"write the uuid of one in spec.workspace: {twin.id}")
    world.cluster.edit("ClusterKeyIssuer", SHARED, lambda obj: obj["spec"].update(grants=[]))
    refusal = await facts(world, issuerRef=ref)
    assert isinstance(refusal, Refusal)
    assert refusal.message == "clusterkeyissuer/shared has 2 workspaces named search-prod; ask its owner for a uuid"


async def test_an_operator_of_single_namespaces_serves_no_cluster_kinds():
    """ClusterScopeOff says what to write."""
    world = World()
    directory = IssuerDirectory(
        world.cluster, world.platform.factory, cluster_scope=False, monotonic=lambda: 0.0, troubled=print
    )
    spec = an_api_key(issuerRef={"kind": "ClusterKeyIssuer", "name": "shared"})
    refusal = await directory.facts(ANYONE[0], spec, ApiKeyStatus())
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "ClusterScopeOff"
    assert "KeyIssuer" in refusal.message


async def test_closing_gives_all_clients_back():
    """Those in use and those that were replaced."""
    world = World()
    closed = 0

    class Closing:
        async def close(self) -> None:
            nonlocal closed
            closed += 1

    directory = IssuerDirectory(
        world.cluster,
        lambda *_: Closing(),
        cluster_scope=True,
        monotonic=lambda: world.now.timestamp(),  # noqa: PLW0108 -- as in world.py
        troubled=print,
    )
    await directory.client(identity(world), "search")
    world.cluster.edit("KeyIssuer", MISTRAL, lambda obj: obj["spec"]["mistral"].update(user="other@example.com"))
    await directory.client(identity(world), "search")
    await directory.close()
    assert closed == 2


async def test_a_workspace_pinned_at_another_issuer_is_looked_for_by_its_name():
    """A uuid of one organization is none in another: issuerRef may be changed while spec.workspace stays."""
    world = World()
    before = settled()
    assert before.workspace
    assert before.workspace.id not in {one.id for one in world.platform.workspaces}
    found = await world.process.directory.facts(ANYONE[0], an_api_key(), before)
    assert isinstance(found, IssuerFacts)
    assert found.workspace.name == "search-prod"


async def test_a_pinned_workspace_that_is_gone_is_not_replaced_by_a_namesake():
    """At the issuer that made the key."""
    world = World()
    before = settled().model_copy(update={"issuer": identity(world)})
    found = await world.process.directory.facts(ANYONE[0], an_api_key(), before)
    assert isinstance(found, Refusal)
    assert found.reason == "WorkspaceNotFound"


async def test_an_issuer_that_cannot_be_read_is_named():
    """Its spec is wrong, not the ApiKey's."""
    world = World()
    world.cluster.edit("KeyIssuer", MISTRAL, lambda obj: obj["spec"].pop("mistral"))
    refusal = await facts(world)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "IssuerInvalid"
    assert refusal.message.startswith("keyissuer/mistral: spec.mistral: write it")
