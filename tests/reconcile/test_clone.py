"""A clone of the cluster, restored from the same snapshot: same UIDs, same cluster id, one platform, and neither kills the other's keys."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.reconcile.world import DAY, KEY, World

from keywright.errors import Ambiguous
from keywright.keys import KeyId

if TYPE_CHECKING:
    from collections.abc import Callable

    from keywright.ports.cluster import Object

MISTRAL = ("KeyIssuer", "search", "mistral")


def snapshot(world: World) -> World:
    """Another world over the same platform, with the objects and Secrets as they are now."""
    clone = World()
    clone.platform = world.platform
    clone.now = world.now
    clone._ids = world._ids  # both make theirs at random
    clone.cluster.server.stored = dict(world.cluster.stored)
    clone.cluster.server.version = world.cluster.server.version
    clone.cluster.catch_up()
    clone.sink.store.stored = dict(world.sink.stored)
    clone.sink.store.version = world.sink.store.version
    clone.sink.catch_up()
    clone.start()
    return clone


def cloned_at(world: World, boundary: str) -> Callable[[], World]:
    """Take a snapshot when this boundary is next met; returns how to get it."""
    taken: list[World] = []

    def strike(_met: int, call: str) -> None:
        if call == boundary and not taken:
            taken.append(snapshot(world))

    world.faults.strike = strike
    return lambda: taken[0]


def use(world: World) -> str:
    """Somebody works with the key in this world's Secret; returns its id."""
    key_id = KeyId(world.status().key_id or "")
    live = world.platform.keys[key_id]
    assert live.plaintext == world.holds()
    live.listed = replace(live.listed, last_used=world.now.date())
    return key_id


def issuer(world: World) -> Object:
    """As last seen."""
    found = world.cluster.issuer(*MISTRAL)
    assert found
    return found


def told(world: World, kind: str) -> str:
    """What was said of strays about objects of this kind."""
    return " ".join(e.message for e in world.cluster.events if e.about["kind"] == kind and e.reason == "StrayKey")


async def days(count: int, *worlds: World) -> None:
    """Both clusters work side by side, and everybody uses the key that they have."""
    for _ in range(count):
        for world in worlds:
            world.now += DAY
            use(world)
        for world in worlds:
            await world.look_over()
            await world.settle()


async def cloned_within_an_attempt() -> tuple[World, World]:
    """A rotation was under way when the snapshot was taken: made and not delivered. One day later the clone comes up."""
    world = World()
    world.create()
    await world.settle()
    world.now += timedelta(minutes=10)
    clone_of = cloned_at(world, "before deliver")
    world.annotate(rotate="now")
    await world.settle()
    clone = clone_of()
    world.now += DAY
    use(world)
    clone.now = world.now
    return world, clone


async def test_an_attempt_open_in_the_snapshot_does_not_cost_the_other_cluster_its_key():
    """K13: the clone finds the key of an attempt that it knows as interrupted, and that somebody uses: it makes one of its own."""
    world, clone = await cloned_within_an_attempt()
    await clone.settle()
    await clone.look_over()
    await days(4, world, clone)
    theirs, ours = world.status().key_id, clone.status().key_id
    assert theirs != ours
    assert {theirs, ours} == set(world.platform.keys), "the key that both had at the snapshot has been rotated away"
    assert theirs
    assert ours
    assert (issuer(world)["status"]["strays"], issuer(clone)["status"]["strays"]) == (1, 1)
    assert ours in told(world, "KeyIssuer")
    assert theirs in told(clone, "KeyIssuer")
    assert theirs in told(clone, "ApiKey")
    assert told(world, "ApiKey") == ""


@pytest.mark.parametrize("first", ["world", "clone"])
async def test_deleting_the_api_key_in_one_cluster_leaves_the_others_key(first: str):
    """Nor does the other one's deletion; each names what it leaves."""
    world, clone = await cloned_within_an_attempt()
    await clone.settle()
    await days(3, world, clone)
    deleted, other = (world, clone) if first == "world" else (clone, world)
    plaintext = other.holds()
    deleted.delete()
    await deleted.settle(within=timedelta(minutes=30))
    assert ("ApiKey", KEY) not in deleted.cluster.stored
    assert other.platform.accepts(plaintext)
    await days(1, other)
    other.delete()
    await other.settle(within=timedelta(minutes=30))
    assert not other.platform.accepts(plaintext)


async def test_a_key_of_an_attempt_closed_in_the_snapshot_is_left_by_both_once_somebody_uses_it():
    """It turned up late, in the hands of whoever posted it: neither of the two clusters that watch for it knows who that is."""
    world = World()
    world.create()
    world.faults.each("before create", Ambiguous("late"))
    await world.settle(within=timedelta(seconds=1))
    world.faults.calm()
    clone = snapshot(world)
    await world.settle()
    await clone.settle()
    [late] = world.platform.late
    world.platform.commit_late()
    world.now = clone.now = max(world.now, clone.now) + DAY
    late.listed = replace(late.listed, last_used=world.now.date())
    for one in (world, clone):
        await one.look_over()
        await one.settle()
        assert late.listed.key_id in told(one, "ApiKey")
    assert world.platform.accepts(late.plaintext)
    assert len(world.platform.keys) == 3


async def test_a_cluster_restored_to_yesterday_kills_no_key_that_is_used_today():
    """K13, alone: what its status knows as an interrupted attempt was settled since, and its pods work with that key."""
    world, restored = await cloned_within_an_attempt()
    used = world.status().key_id
    await restored.settle()
    await days(3, restored)
    assert used in restored.platform.keys
    assert issuer(restored)["status"]["strays"] == 1


async def test_a_key_of_an_interrupted_attempt_that_nobody_uses_is_revoked_as_ever():
    """The clone of a cluster that died in the midst of it: nobody has delivered that key anywhere."""
    world, clone = await cloned_within_an_attempt()
    lost = world.status().key_id
    live = world.platform.keys[KeyId(lost or "")]
    live.listed = replace(live.listed, last_used=(world.now - DAY).date())
    await clone.settle()
    assert lost not in clone.platform.keys
