"""What goes wrong is told where people look: in the condition, in an event, in a metric, whatever else fails beside it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tests.reconcile.world import KEY, SECRET, World

from keywright.errors import Rejected, Unavailable
from keywright.keys import ResourceKey

if TYPE_CHECKING:
    from collections.abc import Callable

OTHER = ResourceKey("search", "other-key")
FORBIDDEN = Rejected("Secret search/mistral-key would not be written: 403 Forbidden", reason="TargetRefused")


def failing(world: World, call: str, error: Exception) -> None:
    """Each such call, from now on."""

    def strike(_met: int, name: str) -> None:
        if name == call:
            raise error

    world.faults.strike = strike


def events(world: World, reason: str) -> list[str]:
    """Messages of the events with this reason."""
    return [event.message for event in world.cluster.events if event.reason == reason]


async def a_settled_world(**spec: object) -> World:
    """One key, in its Secret."""
    world = World()
    world.create(**spec)
    await world.settle()
    return world


async def test_a_refused_request_leaves_an_event():
    """The step that failed is silent, the closing of its attempt speaks."""
    world = World()
    failing(world, "before create", Rejected("expiration is too far ahead", reason="IssuerRefused"))
    world.create()
    await world.settle(within=timedelta(seconds=1))
    assert events(world, "IssuerRefused") == ["expiration is too far ahead"]


async def test_the_revocation_of_a_key_that_could_not_be_delivered_is_told():
    """Also in the pass that made it."""
    world = World()
    world.create()
    world.platform.refuses_new_keys = 7
    await world.settle(within=timedelta(seconds=1))
    assert len(events(world, "KeyCheckFailed")) == 1
    assert len(events(world, "LateKeyRevoked")) == 1
    assert world.live() == set()


async def test_a_new_key_that_cannot_be_tried_is_not_called_broken():
    """Where checkUrl does not answer, the message says that, and what may be switched off."""
    world = World()
    failing(world, "before check", Unavailable("keyissuer/mistral cannot be reached; check spec.mistral.checkUrl"))
    world.create()
    await world.settle(within=timedelta(seconds=1))
    [message] = events(world, "KeyCheckFailed")
    assert message.startswith("The new key could not be tried and was revoked: keyissuer/mistral cannot be reached")
    assert "checkNewKeys: false" in message
    assert world.live() == set()


async def test_what_is_abandoned_is_told_with_the_name_of_its_issuer():
    """Whoever looks for the key needs to know where."""
    world = await a_settled_world()
    key_id = world.status().key_id
    failing(world, "before revoke", Unavailable("no answer"))
    world.delete()
    await world.settle(within=timedelta(seconds=1))
    world.annotate(abandon="true")
    await world.settle()
    [message] = events(world, "Abandoned")
    assert f"may still live at keyissuer/mistral: {key_id}." in message


async def test_a_revocation_that_failed_is_not_told_as_done():
    """No event Revoked before it is true."""
    world = await a_settled_world(rotation={"overlap": "0s"})
    failing(world, "before revoke", Unavailable("no answer"))
    world.now += timedelta(minutes=10)
    world.annotate(rotate="now")
    await world.settle(within=timedelta(seconds=1))
    assert not events(world, "Revoked")
    assert len(events(world, "RevocationFailed")) == 1


async def test_an_issuer_whose_status_cannot_be_written_wakes_its_api_keys_all_the_same():
    """A missing right on keyissuers/status hides no lost key."""
    world = await a_settled_world()
    await world.look_over()
    world.cluster.edit("KeyIssuer", ResourceKey("search", "mistral"), lambda obj: obj.pop("status"))
    world.platform.keys.clear()
    failing(world, "before patch_status of KeyIssuer", Rejected("403", reason="Forbidden"))
    for _ in range(2):
        world.now += timedelta(minutes=5)
        await refused(world, lambda: world.process.inventory.refresh(("KeyIssuer", "search", "mistral")))
    assert world.woken == {KEY}


async def refused(world: World, call: Callable) -> None:
    """What a worker would log and repeat."""
    try:
        await call()
    except Rejected:
        assert world.faults.met


async def test_a_secret_that_may_not_be_deleted_holds_the_deletion_and_says_so():
    """The key is dead by then; with the right back, the ApiKey goes."""
    world = await a_settled_world()
    failing(world, "before clean", FORBIDDEN)
    world.delete()
    await world.settle()
    assert world.live() == set()
    stalled = world.status().condition("Stalled")
    assert stalled
    assert stalled.reason == "TargetRefused"
    assert "403 Forbidden" in stalled.message
    writes = len(world.cluster.writes)
    await world.settle(within=timedelta(minutes=5))
    assert len(world.cluster.writes) == writes
    world.faults.calm()
    await world.settle()
    world.nothing_left()


async def test_a_left_secret_that_may_not_be_deleted_is_said_and_deleted_later():
    """The old place of a key that moved: the new one is served meanwhile."""
    world = await a_settled_world()
    world.now += timedelta(minutes=10)
    world.edit(target={"secret": {"name": OTHER.name}})
    await world.settle()
    failing(world, "before clean", FORBIDDEN)
    world.now += timedelta(days=3)
    await world.settle()
    assert world.says()[:2] == ("True", "Issued")
    assert any("403 Forbidden" in message for message in events(world, "TargetRefused"))
    assert SECRET in world.sink.stored
    world.faults.calm()
    await world.settle()
    assert set(world.sink.stored) == {OTHER}
    world.one_key(secret=OTHER)


async def test_an_ended_secret_that_may_not_be_deleted_is_said():
    """With afterEnd: Clean."""
    world = await a_settled_world(expiry={"date": "2026-12-01", "afterEnd": "Clean"})
    failing(world, "before clean", FORBIDDEN)
    world.now += timedelta(days=10)
    await world.settle()
    status, reason, message = world.says()
    assert (status, reason) == ("False", "Expired")
    assert "403 Forbidden" in message
    world.faults.calm()
    await world.settle()
    assert world.sink.stored == {}
    assert "403" not in world.says()[2]


async def test_an_abandoned_place_that_may_not_be_deleted_does_not_stop_the_key():
    """Fenced, never delivered into, and left by the spec."""
    world = World()
    failing(world, "before deliver", Rejected("no", reason="TargetRefused"))
    world.create()
    await world.settle(within=timedelta(seconds=1))
    failing(world, "before clean", FORBIDDEN)
    world.edit(target={"secret": {"name": OTHER.name}})
    await world.settle()
    assert world.says()[0] == "True"
    world.one_key(secret=OTHER)
