"""An issuer stays while anything may have to be revoked at it, and no longer."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.ports.fake_cluster import FakeCluster
from tests.ports.faults import Crash
from tests.reconcile.world import DAY, KEY, World

from keywright.api.apikey import KeyIssuerIdentity
from keywright.errors import Conflict, Unauthorized
from keywright.keys import ResourceKey
from keywright.ports.cluster import IN_USE
from keywright.reconcile.holding import Holding

if TYPE_CHECKING:
    from keywright.ports.cluster import Object

MISTRAL = ("KeyIssuer", ResourceKey("search", "mistral"))
REF = ("KeyIssuer", "search", "mistral")
EU = ResourceKey("search", "eu")
HOLDING = "hold"


def is_held(world: World, name: str = "mistral") -> bool:
    """Whether the issuer as it stands has the finalizer."""
    return IN_USE in (
        world.cluster.stored["KeyIssuer", ResourceKey("search", name)]["metadata"].get("finalizers") or ()
    )


def is_there(world: World, name: str = "mistral") -> bool:
    """Whether the issuer stands."""
    return ("KeyIssuer", ResourceKey("search", name)) in world.cluster.stored


async def a_settled_world(**spec: object) -> World:
    """One ApiKey, issued ten minutes ago."""
    world = World()
    world.create(**spec)
    await world.settle()
    world.now += timedelta(minutes=10)
    return world


async def test_an_issuer_is_held_when_the_first_key_is_asked_for():
    """And at every POST: a key that nobody could revoke is never made."""
    world = World()

    def witness(call: str) -> None:
        assert is_held(world) or call != "before create"

    world.faults.witness = witness
    await world.settle()
    assert not is_held(world), "nobody uses it yet"
    world.create()
    await world.settle()
    world.annotate(rotate="now")
    world.now += timedelta(minutes=10)
    await world.settle()
    assert world.platform.posts == 2
    assert world.cluster.writes.count(HOLDING) == 1


async def test_a_hundred_keys_at_once_cost_one_write_to_their_issuer():
    """Whoever comes first holds it for all."""
    world = World()
    keys = [ResourceKey("search", f"ak-{i}") for i in range(100)]
    for key in keys:
        world.create(key, target={"secret": {"name": key.name}})
    await asyncio.gather(*(world.process.reconciler.reconcile(key) for key in keys))
    assert all(world.status(key).key_id for key in keys)
    assert world.cluster.writes.count(HOLDING) == 1
    assert "refresh" not in " ".join(world.faults.met), "and no conflict"


async def test_an_issuer_that_was_never_used_goes_at_once():
    """No operator is needed for it; a refused ApiKey does not hold it either."""
    world = World()
    world.create(workspace="nowhere")
    await world.settle()
    assert not is_held(world)
    world.delete_issuer()
    assert not is_there(world)


async def test_an_issuer_is_let_go_with_its_last_api_key():
    """Two used it; it is still there, and could be deleted now without waiting for anybody."""
    world = await a_settled_world()
    other = ResourceKey("search", "other")
    world.create(other, target={"secret": {"name": "other"}})
    await world.settle(other)
    world.delete()
    await world.settle()
    assert is_held(world)
    world.delete(other)
    await world.settle(other)
    assert not is_held(world)
    assert is_there(world)


async def test_an_api_key_without_a_key_holds_an_issuer_that_is_held():
    """It may be about to ask for one: only who names the issuer nowhere lets it go."""
    world = await a_settled_world()
    waiting = ResourceKey("search", "waiting")
    world.create(waiting, workspace="nowhere", target={"secret": {"name": "waiting"}})
    await world.settle(waiting)
    world.delete()
    await world.settle()
    assert is_held(world)
    world.delete(waiting)
    await world.settle(waiting)
    assert not is_held(world)


async def test_older_keys_hold_the_issuer_that_made_them():
    """U10: another issuer is wanted; the old one goes when the overlap is over and its key is revoked, not before."""
    world = await a_settled_world()
    world.create_issuer("eu")
    world.edit(issuerRef={"name": "eu"})
    await world.settle()
    world.delete_issuer()
    await world.settle()
    assert is_there(world)
    assert is_held(world, "eu")
    assert len(world.live()) == 2
    world.now += 3 * DAY
    await world.settle()
    assert not is_there(world)
    world.one_key()


async def test_an_interrupted_attempt_holds_its_issuer():
    """Killed in the midst of a POST: what it may have made is looked for first."""
    world = World()
    world.create()
    world.faults.each("after create", Crash())
    with pytest.raises(Crash):
        await world.settle()
    world.faults.calm()
    world.start()
    world.delete_issuer()
    world.create_issuer("eu")
    world.edit(issuerRef={"name": "eu"})
    await world.hold_over()
    assert is_there(world)
    await world.quieten()
    world.one_key()
    assert is_there(world), "the closed attempt is watched for a day"
    await world.quieten(hours=25)
    assert not is_there(world)


async def test_a_hold_that_somebody_took_off_is_put_back():
    """Also one that an older version never put on: keys are recorded at it."""
    world = await a_settled_world()
    world.cluster.edit(*MISTRAL, lambda obj: obj["metadata"].update(finalizers=["example.com/theirs"]))
    await world.hold_over()
    assert is_held(world)
    world.delete()
    await world.settle()
    assert world.cluster.stored[MISTRAL]["metadata"]["finalizers"] == ["example.com/theirs"]


async def test_an_issuer_that_is_being_deleted_makes_no_key_and_ends_what_it_made():
    """The key goes on working, its renewal is refused with what to do; older ones are revoked; deleted, it goes and so does the issuer."""
    world = await a_settled_world(rotation={"overlap": "1h"})
    world.annotate(rotate="1")
    await world.settle()
    world.delete_issuer()
    world.annotate(rotate="2")
    world.now += timedelta(minutes=10)
    await world.settle()
    status, reason, message = world.says()
    assert (status, reason) == ("True", "RenewalFailing")
    assert "keyissuer/mistral is being deleted and makes no keys; write another issuer into spec.issuerRef" in message
    stalled = world.status().condition("Stalled")
    assert stalled
    assert stalled.reason == "IssuerDeleting"
    assert world.platform.posts == 2
    world.now += timedelta(hours=1)
    await world.settle()
    assert len(world.live()) == 1
    assert is_there(world)
    world.delete()
    await world.settle()
    world.nothing_left()
    assert not is_there(world)


async def test_an_issuer_deleted_by_mistake_is_made_again_at_no_cost():
    """As docs/architecture.md says: its finalizer off, created under its name. No key is issued anew, and the next rotation works."""
    world = await a_settled_world()
    world.delete_issuer()
    await world.look_over()
    world.delete_issuer(by_force=True)
    world.create_issuer("mistral")
    await world.look_over()
    await world.settle()
    assert world.platform.posts == 1
    assert world.says()[0] == "True"
    assert is_held(world), "at once: there are keys of that name"
    world.now += timedelta(minutes=10)
    world.annotate(rotate="now")
    await world.settle()
    world.now += 3 * DAY
    await world.settle()
    assert world.platform.posts == 2
    world.one_key()


async def test_a_post_is_not_sent_to_an_issuer_that_was_deleted_after_the_intent():
    """In the moment between: the attempt ends without a request, and leaves nothing to look for."""
    world = World()
    world.create()

    def strike(_met: int, call: str) -> None:
        if call == "after patch_status attempt of ApiKey":
            world.delete_issuer()

    world.faults.strike = strike
    await world.settle(within=timedelta(seconds=1))
    assert world.platform.posts == 0
    assert world.status().closed_attempts == []
    assert world.says()[1] == "IssuerDeleting"


async def test_whoever_waits_for_a_deletion_is_told_who_uses_the_issuer():
    """In an event that is repeated hourly at most: its words stay."""
    world = await a_settled_world()
    world.delete_issuer()
    await world.hold_over()
    await world.hold_over()
    [event] = [event for event in world.cluster.events if event.about["kind"] == "KeyIssuer"]
    assert event.reason == "IssuerDeleting"
    assert "keyissuer/mistral is being deleted" in event.message
    assert "such as search/pipeline: delete them" in event.message


async def test_an_issuer_that_may_not_be_held_is_not_used_and_that_is_said():
    """K4: the rights of an older version. No key is made that could be left alone; with the right, it is."""
    world = World()
    world.faults.each(
        f"before {HOLDING}", Unauthorized("403 Forbidden: cannot patch resource keyissuers", reason="Forbidden")
    )
    world.create()
    await world.settle(within=timedelta(seconds=1))
    assert "cannot patch resource keyissuers" in world.says()[2]
    assert world.status().condition("Stalled")
    assert world.platform.posts == 0
    world.faults.calm()
    await world.settle()
    world.one_key()


async def test_an_issuer_edited_by_somebody_is_held_all_the_same():
    """K1: the guarded write lost, and is decided anew."""
    world = World()
    world.create()

    def strike() -> None:
        world.cluster.edit(*MISTRAL, lambda obj: obj["metadata"].update(labels={"by": "somebody"}))

    world.faults.once(f"before {HOLDING}", strike)
    await world.settle()
    world.one_key()
    assert is_held(world)


class Slow(FakeCluster):
    """The finalizer's removal is under way for as long as a test wants."""

    def __init__(self, world: World) -> None:
        super().__init__(world.clock)
        self.asked, self.answer = asyncio.Event(), asyncio.Event()

    async def remove_finalizer(self, seen: Object) -> None:
        """Asked, and answered later."""
        self.asked.set()
        await self.answer.wait()
        await super().remove_finalizer(seen)


async def test_who_comes_while_the_hold_is_taken_off_takes_it_anew():
    """Decided when nobody used it; an ApiKey appears before the write is answered: it does not rely on what is about to go."""
    cluster = Slow(World())
    issuer = cluster.create("KeyIssuer", MISTRAL[1], {}, finalizers=[IN_USE])
    identity = KeyIssuerIdentity(kind="KeyIssuer", name="mistral", uid=issuer["metadata"]["uid"])
    holding = Holding(cluster)
    assert holding.is_held(REF, issuer)
    look = asyncio.create_task(holding.look(REF))
    await cluster.asked.wait()
    cluster.create("ApiKey", KEY, {"issuerRef": {"name": "mistral"}})
    assert not holding.is_held(REF, issuer)
    hold = asyncio.create_task(holding.hold(REF, identity))
    cluster.answer.set()
    await asyncio.gather(look, hold)
    now = cluster.issuer(*REF)
    assert now
    assert holding.is_held(REF, now)


async def test_a_namesake_is_not_held_in_its_place():
    """Deleted and created again since it was looked at: the planner looks again."""
    world = World()
    before = world.cluster.stored[MISTRAL]["metadata"]["uid"]
    world.delete_issuer()
    world.create_issuer("mistral")
    with pytest.raises(Conflict):
        await world.process.directory.holding.hold(REF, KeyIssuerIdentity(kind="KeyIssuer", name="mistral", uid=before))
    assert not is_held(world)
