"""Ends, schedules and clocks over the fakes: no storm, no hot loop, and nothing that ends too early."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.reconcile.world import DAY, SECRET, World, a_settled_world

HOUR = timedelta(hours=1)


async def test_a_clamped_day_makes_no_storm():
    """I12: a policy of one day is met with one key a day or so, and its word is in the status."""
    world = World()
    world.platform.latest = (world.now + DAY).date()
    world.create()
    await world.settle()
    assert "ExpiryClamped" in {event.reason for event in world.cluster.events}
    for _ in range(48):
        world.platform.latest = (world.now + DAY).date()
        await world.settle(within=HOUR)
        world.now += HOUR
        world.one_key()
    assert world.platform.posts <= 12


async def test_a_key_that_ends_today_costs_a_handful_of_keys_and_no_hot_loop():
    """I12 at its worst: what the policy gives ends at midnight."""
    world = World()
    world.platform.latest = world.now.date()
    world.create()
    for _ in range(14 * 12):
        await world.settle(within=timedelta(minutes=5))
        world.now += timedelta(minutes=5)
        world.platform.latest = world.now.date()
    assert world.platform.posts <= 12
    await world.settle()
    world.one_key()


async def test_midnight_between_decision_and_issuance_is_no_clamping():
    """The day asked is of one side, the issuance of the other."""
    world = World()
    world.now = world.now.replace(hour=23, minute=59, second=59, microsecond=990_000)
    world.create()
    await world.settle()
    assert {event.reason for event in world.cluster.events} == {"Issued"}


async def test_a_schedule_rotates_once_though_the_issuers_clock_is_behind():
    """T1: an issuance dated before the hour would come due at once again."""
    world = await a_settled_world(rotation={"schedule": "0 3 * * *", "overlap": "1h"})
    world.now = world.now.replace(hour=3, minute=0, second=0) + DAY
    ours = world.platform.clock
    world.platform.clock = lambda: ours() - timedelta(minutes=2)
    await world.quieten()
    assert world.platform.posts == 2
    world.one_key()


async def test_a_clock_that_went_back_holds_nothing_up():
    """T1: what is dated in the future is not believed."""
    world = await a_settled_world()
    world.now -= timedelta(hours=5)
    world.sink.remove(SECRET)
    await world.settle()
    world.one_key()


async def test_suspended_while_the_target_is_gone_and_an_overlap_is_over_rests():
    """U3: nothing is issued, nothing is revoked, nothing spins."""
    world = await a_settled_world()
    world.annotate(rotate="now")
    await world.settle()
    world.edit(suspend=True)
    world.sink.remove(SECRET)
    world.now += 3 * DAY
    due = await world.settle(within=timedelta(seconds=2))
    assert due
    assert due >= timedelta(seconds=10)
    assert len(world.live()) == 2
    world.edit(suspend=False)
    await world.settle()
    world.now += 3 * DAY
    await world.settle()
    world.one_key()


@pytest.mark.parametrize("after_end", ["Keep", "Clean"])
async def test_past_the_end_it_rests(after_end: str):
    """T4: nothing is issued any more, older keys end, the Secret stays or goes."""
    world = await a_settled_world(expiry={"date": "2026-11-30", "afterEnd": after_end})
    world.annotate(rotate="now")
    await world.settle()
    world.now += 10 * DAY
    await world.settle()
    assert world.says()[:2] == ("False", "Expired")
    assert world.live() == {world.status().key_id}
    assert (SECRET in world.sink.stored) is (after_end == "Keep")
    assert await world.settle() is None
    assert world.platform.posts == 2
