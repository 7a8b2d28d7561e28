"""What the first people who used it ran into."""

from __future__ import annotations

import uuid
from datetime import date, timedelta
from typing import TYPE_CHECKING

from tests.reconcile.world import SECRET, World

from keywright.errors import RateLimited
from keywright.keys import Workspace

if TYPE_CHECKING:
    from keywright.ports.cluster import EventNote

MINUTE = timedelta(minutes=1)


async def a_settled_world(**spec: object) -> World:
    """One ApiKey, issued a minute ago: the storm guard still minds."""
    world = World()
    world.create(**spec)
    await world.settle()
    world.now += MINUTE
    return world


def events(world: World, reason: str) -> list[EventNote]:
    """Those of one reason."""
    return [event for event in world.cluster.events if event.reason == reason]


async def test_a_pause_of_less_than_a_second_is_a_pause():
    """A 429 whose pause is nearly over: one attempt is closed and one delivers, not one after the other within the same pass."""
    world = World()
    refused = iter([RateLimited("busy", after=0.05)])

    def strike(_met: int, call: str) -> None:
        if call == "before create" and (error := next(refused, None)):
            raise error

    world.faults.strike = strike
    world.create()
    due = await world.pass_over()
    assert due is not None
    assert due >= timedelta(milliseconds=1)
    assert world.platform.posts == 1, "the one that was refused"
    assert world.status().attempt is None
    await world.settle()
    world.one_key()


async def test_a_rotation_asked_for_passes_the_guard_whatever_else_is_due():
    """The Secret was lost within the interval: it waits, and the annotation ends the waiting."""
    world = await a_settled_world()
    world.excused = True
    world.sink.remove(SECRET)
    await world.settle(within=timedelta(seconds=1))
    assert "keywright.dev/rotate" in world.says()[2]
    assert world.platform.posts == 1
    world.annotate(rotate="now")
    await world.settle(within=timedelta(seconds=1))
    assert world.platform.posts == 2
    assert world.status().handled.rotate == "now"
    world.one_key()


async def test_a_retained_key_that_is_replaced_is_named_in_an_event():
    """Re-created with another expiry: the key before it is nobody's, and is not revoked unasked."""
    world = await a_settled_world(deletionPolicy="Retain")
    old = world.status().key_id
    world.delete()
    await world.settle()
    world.create(deletionPolicy="Retain", expiry={"validity": "30d"})
    await world.settle()
    [note] = events(world, "Retained")[1:]
    assert old is not None
    assert old in note.message
    assert (note.type, old in world.live()) == ("Warning", True)


async def test_a_key_is_revoked_at_a_re_created_issuer_that_lists_it():
    """Pruned and applied again, or restored: the same platform, so deletion does not hang."""
    world = await a_settled_world()
    world.delete_issuer(by_force=True)
    world.create_issuer("mistral")
    await world.look_over()
    world.delete()
    await world.settle()
    assert world.live() == set()
    world.nothing_left()


async def test_a_key_of_another_platform_is_never_taken_for_revoked():
    """A re-created issuer that does not list it: deletion waits, and says how to let it go."""
    world = await a_settled_world()
    world.delete_issuer(by_force=True)
    world.create_issuer("mistral")
    kept = dict(world.platform.keys)
    world.platform.keys.clear()
    world.start()
    await world.look_over()
    world.platform.keys |= kept
    world.excused = True
    world.delete()
    await world.settle(within=timedelta(seconds=1))
    assert "keywright.dev/abandon" in world.says()[2]
    assert world.live() == set(kept)


async def test_the_renewal_time_is_the_schedules_where_that_comes_first():
    """RENEWS is when the key is replaced."""
    world = await a_settled_world(rotation={"schedule": "0 3 1 * *"})
    renewal = world.status().renewal_time
    assert renewal is not None
    assert renewal.isoformat() == "2026-12-01T03:00:00+00:00"


async def test_a_key_that_the_policy_ends_before_its_date_says_so():
    """In the condition and in status.next, not in an event alone."""
    world = World()
    world.platform.latest = date(2026, 11, 30)
    world.create(expiry={"date": "2027-05-05"})
    await world.settle()
    step = world.status().next
    assert step is not None
    assert (step.action, str(step.at)) == ("Expire", "2026-11-30 23:59:59+00:00")
    assert "before spec.expiry.date 2027-05-05" in world.says()[2]


async def test_a_date_that_is_ahead_is_not_said_to_be_over():
    """`kubectl describe` shows status.next to whoever reads when the key ends."""
    step = (await a_settled_world(expiry={"date": "2027-05-05"})).status().next
    assert step is not None
    assert (step.action, str(step.at)) == ("Expire", "2027-05-05 23:59:59+00:00")
    assert step.reason == "The key ends with spec.expiry.date, and time does not renew it."


async def test_a_date_moved_into_the_past_says_that_the_key_still_works():
    """And that a person has to decide: Stalled."""
    world = await a_settled_world()
    world.edit(expiry={"date": "2026-01-01"})
    await world.settle(within=timedelta(seconds=1))
    assert "works until" in world.says()[2]
    assert world.status().condition("Stalled")
    assert len(world.live()) == 1


async def test_another_organization_s_admin_key_ends_nothing():
    """It knows neither the key nor its workspace, so that the key counts as alive until its own organization answers."""
    world = World()
    world.create()
    await world.settle()
    keys, workspaces = world.platform.keys, world.platform.workspaces
    world.platform.keys, world.platform.workspaces = {}, [Workspace(str(uuid.uuid4()), "Default")]
    world.delete()
    await world.settle(within=timedelta(seconds=1))
    stalled = world.status().condition("Stalled")
    assert stalled
    assert "another organization" in stalled.message
    world.platform.keys, world.platform.workspaces = keys, workspaces
    await world.settle()
    world.nothing_left()
