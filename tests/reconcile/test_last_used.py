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


def use(world: World, day: date) -> None:
    """Somebody calls the platform with every key that lives."""
    for live in world.platform.keys.values():
        live.listed = replace(live.listed, last_used=day)
