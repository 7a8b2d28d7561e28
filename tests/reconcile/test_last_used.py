"""When a key was used last, as the issuer tells it: a day in the status, written once a day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from tests.reconcile.world import World


async def test_a_used_key_says_so_once_a_day():
    """One write for the first use of a day, none for the next listings of that day, one for the day after."""
    world = World()
    world.create()
    await world.settle()
    await world.look_over()
    writes = len(world.cluster.writes)
    for day, expected in ((24, 1), (24, 1), (25, 2)):
        use(world, date(2026, 11, day))
        world.now += timedelta(minutes=5)
        await world.look_over()
        assert world.status().last_used == date(2026, 11, day)
        assert len(world.cluster.writes) - writes == expected
    assert world.says()[:2] == ("True", "Issued")


async def test_a_new_key_has_not_been_used():
    """What the status said of the key before it is no word on this one."""
    world = World()
    world.create()
    await world.settle()
    use(world, date(2026, 11, 24))
    await world.look_over()
    world.now += timedelta(minutes=10)
    world.annotate(rotate="now")
    await world.settle()
    assert world.status().last_used is None


async def test_an_older_key_that_is_still_used_is_warned_of_once_a_day_before_it_dies():
    """Use on the day of the rotation is none of anybody's concern; on each later day it is one event and one write, until it ends."""
    world = World()
    world.create(rotation={"overlap": "72h"})
    await world.settle()
    world.now += timedelta(minutes=10)
    world.annotate(rotate="now")
    await world.settle()
    [older] = world.status().previous
    for day, warned in ((24, 0), (24, 0), (25, 1), (25, 1), (26, 2)):
        world.now += timedelta(minutes=5)
        use(world, date(2026, 11, day))
        await world.look_over()
        writes = len(world.cluster.writes)
        await world.look_over()
        assert len(world.cluster.writes) == writes, "the same day is told of once"
        texts = [e.message for e in world.cluster.events if e.reason == "OldKeyInUse"]
        assert len(texts) == warned
        assert all(older.key_id in text and "2026-11-27" in text for text in texts)
    assert world.says()[:2] == ("True", "Issued")
    world.now += timedelta(hours=72)
    await world.settle()
    assert not world.status().previous
    assert older.key_id not in world.platform.keys


async def test_a_key_that_was_replaced_and_left_alone_is_warned_of_by_nobody():
    """The day before its replacement is no word on the days after."""
    world = World()
    world.create(rotation={"overlap": "72h"})
    await world.settle()
    use(world, date(2026, 11, 24))
    await world.look_over()
    world.now += timedelta(minutes=10)
    world.annotate(rotate="now")
    await world.settle()
    world.now += timedelta(days=2)
    await world.look_over()
    assert not [e for e in world.cluster.events if e.reason == "OldKeyInUse"]


def use(world: World, day: date) -> None:
    """Somebody calls the platform with every key that lives."""
    for live in world.platform.keys.values():
        live.listed = replace(live.listed, last_used=day)
