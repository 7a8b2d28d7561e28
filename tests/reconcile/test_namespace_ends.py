"""K8: a namespace goes, with its KeyIssuer and the admin key's Secret in it, in whatever order, with operators that come and go."""

from __future__ import annotations

import logging
from datetime import timedelta
from itertools import permutations
from typing import TYPE_CHECKING

import pytest
from tests.ports.faults import Crash
from tests.reconcile.test_holding import MISTRAL, REF, is_held, is_there
from tests.reconcile.world import SECRET, World

from keywright.errors import Ambiguous
from keywright.keys import ResourceKey

if TYPE_CHECKING:
    from collections.abc import Callable

ADMIN = ("Secret", "search", "admin")

PARTS: dict[str, Callable[[World], object]] = {
    "issuer": World.delete_issuer,
    "admin key": lambda world: world.cluster.values.pop(ADMIN),
    "ApiKey": World.delete,
}
ORDERS = list(permutations(PARTS))


def irrevocable(world: World) -> float:
    """The metric of the operator that runs now."""
    value = world.process.metrics.registry.get_sample_value("keywright_irrevocable_keys")
    assert value is not None
    return value


async def a_used_world(**spec: object) -> World:
    """A key, and an older one in its overlap."""
    world = World()
    assert irrevocable(world) == 0
    world.create(**spec)
    await world.settle()
    world.now += timedelta(minutes=10)
    world.annotate(rotate="now")
    await world.settle()
    assert len(world.live()) == 2
    return world


def namespace_ends(world: World) -> None:
    """Asked for: from now on nothing new can be made in it."""
    world.cluster.server.ending.add("search")
    world.sink.refusal = "403 Forbidden: the namespace is being deleted"


async def started_again(world: World) -> None:
    """Another operator, which has read what there is to read."""
    world.start()
    await world.look_over()
    await world.settle()


@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
@pytest.mark.parametrize("seen", [True, False], ids=["each step seen", "all at once"])
async def test_everything_is_revoked_whatever_goes_first(order: tuple[str, ...], seen: bool):  # noqa: FBT001 -- a case of the table
    """The operator is up: its admin key is kept in memory for as long as there is something to revoke, and the issuer waits."""
    world = await a_used_world()
    namespace_ends(world)
    for part in order:
        PARTS[part](world)
        if seen:
            await world.settle()
            world.now += timedelta(minutes=1)
            assert is_there(world) or world.live() == set()
    await world.settle()
    world.nothing_left()
    assert not is_there(world)
    assert irrevocable(world) == 0


@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
async def test_an_operator_that_was_replaced_in_between_revokes_while_the_admin_key_is_there(order: tuple[str, ...]):
    """Started anew at each step before the Secret goes: the new one reads it at its start, whether it needs it yet or not."""
    for at in range(order.index("admin key") + 1):
        world = await a_used_world()
        namespace_ends(world)
        for number, part in enumerate(order):
            if number == at:
                await started_again(world)
            PARTS[part](world)
            await world.settle()
            world.now += timedelta(minutes=1)
        world.nothing_left()
        assert not is_there(world)


@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
async def test_without_the_admin_key_it_is_said_counted_and_releasable(
    order: tuple[str, ...], caplog: pytest.LogCaptureFixture
):
    """The operator was away: nobody can revoke. Each key is named, counted, and let go by a person; then the issuer goes too."""
    world = await a_used_world()
    current = world.status().key_id
    keys = sorted(world.named())
    namespace_ends(world)
    for part in order:
        PARTS[part](world)
    await started_again(world)
    stalled = world.status().condition("Stalled")
    assert stalled
    assert stalled.reason == world.says()[1] == "IssuerCredentialsGone"
    assert all(key_id in stalled.message for key_id in keys)
    assert "Secret search/admin with data key key does not exist" in stalled.message
    assert (
        'revoke the key at the platform, then annotate the ApiKey with keywright.dev/abandon: "true"' in stalled.message
    )
    assert irrevocable(world) == 2
    assert is_there(world)
    writes = len(world.cluster.writes)
    await world.settle(within=timedelta(minutes=5))
    assert len(world.cluster.writes) == writes, "it is said once"

    world.annotate(abandon="true")
    caplog.clear()
    await world.settle()
    assert not world.cluster.stored, "ApiKey and issuer are gone"
    assert irrevocable(world) == 0
    [line] = [record for record in caplog.records if record.levelno == logging.WARNING]
    [event] = [event for event in world.cluster.events if event.reason == "Abandoned"]
    for said in (line.getMessage(), event.message):
        assert all(key_id in said for key_id in keys)
        assert "keyissuer/mistral" in said
    assert current in world.live()


@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
async def test_an_admin_key_that_is_put_back_mends_it(order: tuple[str, ...]):
    """No namespace goes, things were deleted one by one, and the operator was started anew: the Secret is all that it takes."""
    world = await a_used_world()
    for part in order:
        PARTS[part](world)
    await started_again(world)
    assert world.says()[1] == "IssuerCredentialsGone"
    world.cluster.values[ADMIN] = {"key": "admin"}
    world.now += timedelta(seconds=20)
    await world.settle()
    world.nothing_left()
    assert not is_there(world)


async def test_what_is_kept_in_memory_makes_no_key():
    """The Secret is gone and nothing else: issuing stops and says so, in the issuer's status too; what is over is revoked all the same."""
    world = await a_used_world(rotation={"overlap": "1h"})
    del world.cluster.values[ADMIN]
    world.annotate(rotate="again")
    world.now += timedelta(minutes=10)
    await world.look_over()
    await world.settle()
    assert world.says()[1] == "RenewalFailing"
    stalled = world.status().condition("Stalled")
    assert stalled
    assert stalled.reason == "AdminKeyMissing"
    [ready] = world.cluster.stored[MISTRAL]["status"]["conditions"]
    assert (ready["status"], ready["reason"]) == ("False", "AdminKeyMissing")
    world.now += timedelta(hours=1)
    await world.settle()
    assert world.live() == {world.status().key_id}
    assert world.platform.posts == 2
    world.cluster.values[ADMIN] = {"key": "admin"}
    world.now += timedelta(seconds=20)
    await world.settle()
    assert world.platform.posts == 3
    assert world.live() == world.named()


async def test_an_issuer_on_its_way_out_is_looked_over_by_what_is_in_memory():
    """Late keys are found until the end, and its status says that it can be used for that."""
    world = await a_used_world()
    world.delete_issuer()
    del world.cluster.values[ADMIN]
    world.now += timedelta(minutes=5)
    reads = world.platform.reads
    await world.look_over()
    assert world.platform.reads == reads + 1
    [ready] = world.cluster.stored[MISTRAL]["status"]["conditions"]
    assert (ready["status"], ready["reason"]) == ("True", "AdminKeyWorks")
    await started_again(world)
    [ready] = world.cluster.stored[MISTRAL]["status"]["conditions"]
    assert (ready["status"], ready["reason"]) == ("False", "IssuerCredentialsGone")


async def test_an_older_key_that_cannot_be_revoked_is_counted_while_its_api_key_lives():
    """Its overlap is over, the Secret is gone and the operator was started anew: the key in use goes on."""
    world = await a_used_world(rotation={"overlap": "1h"})
    del world.cluster.values[ADMIN]
    world.now += timedelta(hours=2)
    await started_again(world)
    assert irrevocable(world) == 1
    assert world.says()[:2] == ("True", "Issued")
    stalled = world.status().condition("Stalled")
    assert stalled
    assert stalled.reason == "IssuerCredentialsGone"
    writes = len(world.cluster.writes)
    await world.settle(within=timedelta(minutes=5))
    assert len(world.cluster.writes) == writes, "it is said once"
    world.cluster.values[ADMIN] = {"key": "admin"}
    world.now += timedelta(seconds=20)
    await world.settle()
    assert world.status().condition("Stalled") is None
    assert irrevocable(world) == 0
    world.one_key()


@pytest.mark.parametrize("restarted", [False, True])
async def test_an_interrupted_attempt_in_a_namespace_that_goes(restarted: bool):  # noqa: FBT001 -- a case of the table
    """Killed between POST and Secret, then everything deleted at once: found by its tag, revoked, waited for in case more comes.

    No fence can be put any more, and none is needed. Started anew without the admin key, the tag is said, counted and let go.
    """
    world = World()
    world.create()
    world.faults.each("after create", Crash())
    with pytest.raises(Crash):
        await world.settle()
    world.faults.calm()
    if not restarted:
        await started_again_without_a_pass(world)
    namespace_ends(world)
    for part in PARTS.values():
        part(world)
    if restarted:
        await started_again(world)
        attempt = world.status().attempt
        assert attempt
        stalled = world.status().condition("Stalled")
        assert stalled
        assert stalled.reason == "IssuerCredentialsGone"
        assert "any tagged [kw/c1u5ter0/" in stalled.message
        assert attempt.id in stalled.message
        assert irrevocable(world) == 1
        world.annotate(abandon="true")
        await world.settle()
        assert attempt.id in world.cluster.events[-1].message
    else:
        await world.settle()
        assert world.live() == set()
        assert world.status().condition("Reconciling").reason == "WaitingForLateKeys"  # type: ignore[union-attr]
        step = world.status().next
        assert step
        assert step.at
        assert world.now < step.at < world.now + timedelta(minutes=11)
        assert is_held(world)
        world.now = step.at
        await world.settle()
    assert not world.cluster.stored


async def started_again_without_a_pass(world: World) -> None:
    """Another operator, which has looked over the issuer and not at the ApiKey yet."""
    world.start()
    await world.process.inventory.refresh(REF)
    world.woken.clear()


async def test_a_late_key_is_revoked_by_what_is_in_memory():
    """The POST timed out and arrives minutes after all was deleted: the deletion has waited for it."""
    world = World()
    world.create()
    world.faults.each("before create", Ambiguous("late"))
    await world.settle(within=timedelta(seconds=1))
    world.faults.calm()
    namespace_ends(world)
    for part in PARTS.values():
        part(world)
    await world.settle()
    world.platform.commit_late()
    assert len(world.live()) == 1
    assert is_there(world)
    await world.quieten()
    assert world.live() == set()
    assert not world.cluster.stored


@pytest.mark.parametrize("secret_first", [False, True])
async def test_a_retained_key_dies_with_the_namespace_that_its_secret_goes_with(
    secret_first: bool,  # noqa: FBT001 -- a case of the table
    caplog: pytest.LogCaptureFixture,
):
    """Retain keeps a key in its Secret, and no Secret stays: the end is the same in whatever order things are deleted. The log says it."""
    caplog.set_level(logging.INFO)
    world = await a_used_world(deletionPolicy="Retain")
    key_id = world.status().key_id
    namespace_ends(world)
    if secret_first:
        world.excused = True
        world.sink.remove(SECRET)
    for part in PARTS.values():
        part(world)
    await world.settle()
    world.nothing_left()
    assert not world.cluster.stored
    assert f"Revoking key {key_id}: its ApiKey is deleted; deletionPolicy: Retain has nothing to keep" in caplog.text
    assert "Secret mistral-key goes with its namespace" in caplog.text


async def test_an_issuer_made_again_by_force_does_not_cost_the_old_keys():
    """Finalizer taken off by hand, created again for another organization: what the old one made is revoked where it was made."""
    world = await a_used_world()
    world.delete_issuer(by_force=True)
    world.create_issuer("mistral")
    world.cluster.values[ADMIN] = {"key": "of another organization"}
    await world.look_over()
    world.delete()
    await world.settle()
    world.nothing_left()
    assert is_there(world)
    assert not is_held(world)


async def test_an_issuer_deleted_by_force_does_not_cost_its_keys_while_the_operator_lives():
    """Its client stays in memory until nobody names it any more."""
    world = await a_used_world()
    world.delete_issuer(by_force=True)
    del world.cluster.values[ADMIN]
    await world.look_over()
    world.delete()
    await world.settle()
    world.nothing_left()


async def test_an_edited_address_never_gets_the_kept_admin_key():
    """The Secret is gone and somebody writes another URL: the old client ends what it made where it made it, no other is built."""
    world = await a_used_world()
    built: list[str] = []
    factory = world.platform.factory

    def watched(name, spec, admin_key, ca_bundle):
        built.append(spec.mistral.url)
        return factory(name, spec, admin_key, ca_bundle)

    world.process.directory._factory = watched
    del world.cluster.values[ADMIN]
    world.cluster.edit(*MISTRAL, lambda obj: obj["spec"]["mistral"].update(url="https://evil.example.com"))
    world.now += timedelta(minutes=1)
    world.delete()
    await world.settle()
    world.nothing_left()
    assert built == []


async def test_a_cluster_issuers_keys_die_with_a_namespace_though_the_operator_was_away():
    """Its admin key lies elsewhere: nothing is lost, and the issuer stays for the others."""
    world = World()
    reference = {"name": "admin", "key": "key", "namespace": "keywright-system"}
    grants = [{"namespaces": {"names": ["search"]}, "workspaces": ["*"]}]
    spec = {"mistral": {"user": "dev@example.com", "adminKeySecretRef": reference}, "grants": grants}
    world.cluster.create("ClusterKeyIssuer", ResourceKey("", "shared"), spec)
    world.cluster.values["Secret", "keywright-system", "admin"] = {"key": "admin"}
    world.create(issuerRef={"kind": "ClusterKeyIssuer", "name": "shared"})
    await world.settle()
    shared = world.cluster.stored["ClusterKeyIssuer", ResourceKey("", "shared")]
    assert shared["metadata"]["finalizers"] == ["keywright.dev/in-use"]
    namespace_ends(world)
    world.delete()
    world.start()
    await world.settle()
    world.nothing_left()
    assert world.cluster.stored["ClusterKeyIssuer", ResourceKey("", "shared")]["metadata"]["finalizers"] == []
