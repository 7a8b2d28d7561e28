"""Somebody else writes the status over and over: it is said again, and less and less often."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.reconcile.world import KEY, World

if TYPE_CHECKING:
    from keywright.ports.cluster import Object

HOUR = timedelta(hours=1)


def reports(world: World) -> int:
    """How often the status was written."""
    return world.cluster.writes.count("patch_status of ApiKey")


@pytest.fixture
async def world() -> World:
    """One key that is Ready."""
    world = World()
    world.create()
    await world.settle()
    return world


async def fought_over(world: World, span: timedelta, conditions: list[dict[str, Any]]) -> int:
    """Somebody puts these conditions back each second, or whatever they are then; returns how often the operator wrote."""
    before, end = reports(world), world.now + span

    def put_back(obj: Object) -> None:
        obj["status"]["conditions"] = conditions

    while world.now < end:
        world.now += timedelta(seconds=1)
        world.cluster.edit("ApiKey", KEY, put_back)
        await world.pass_over()
    return reports(world) - before


async def test_a_status_that_somebody_keeps_putting_back_is_not_fought_over(world: World):
    """An hour of it costs about a write a minute; no key is made, and ten minutes after the last of it all is as ever."""
    keys, stale = world.live(), world.status().to_dict()["conditions"]
    stale[0]["message"] = "As it was when somebody saved it."
    assert 50 < await fought_over(world, HOUR, stale) < 75
    assert world.live() == keys
    world.now += timedelta(minutes=11)
    await world.pass_over()
    assert "stands in" in world.status().conditions[0].message
    assert await fought_over(world, timedelta(seconds=3), stale) == 3


async def test_who_repeats_himself_a_little_is_answered_at_once(world: World):
    """Three times in a row; and what the operator itself has changed in between counts for nothing."""
    stale = world.status().to_dict()["conditions"]
    stale[0]["message"] = "As it was when somebody saved it."
    for _ in range(3):
        assert await fought_over(world, timedelta(seconds=3), stale) == 3
        world.annotate(rotate=str(world.now))
        await world.settle()
        assert "stands in" in world.status().conditions[0].message
