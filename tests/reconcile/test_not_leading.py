"""A lease that is lost in the midst of a pass ends the pass there: nothing swallows it, nothing more is written."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.reconcile.world import KEY, World

from keywright.errors import NotLeading


async def rotating() -> World:
    """A key that is about to be rotated."""
    world = World()
    world.create(rotation={"overlap": "0s"})
    await world.settle()
    world.now += timedelta(minutes=10)
    world.annotate(rotate="now")
    world.faults.calm()
    return world


async def pass_after_pass(world: World) -> None:
    """As a worker would go on, but for its patience with errors."""
    while (due := await world.process.reconciler.reconcile(KEY)) is not None:
        world.now += due


async def until_lost(world: World, at: int) -> list[str]:
    """From this boundary on nothing may be done; returns the boundaries met from there to the end of the pass."""

    def refuse(met: int, call: str) -> None:
        if met >= at and call.startswith("before"):
            raise NotLeading("the lease is another process's")

    world.faults.strike = refuse
    with pytest.raises(NotLeading):
        await pass_after_pass(world)
    return world.faults.met[at:]


async def test_a_pass_ends_where_the_lease_does_and_the_next_leader_goes_on():
    """At every call of a rotation: the first that is refused is the last that is made; another process ends with one key."""
    world = await rotating()
    await world.settle()
    calls = [at for at, name in enumerate(world.faults.met) if name.startswith("before")]
    assert len(calls) > 8
    for at in calls:
        world = await rotating()
        [refused] = await until_lost(world, at)
        assert refused.startswith("before")
        world.faults.calm()
        world.start()
        await world.quieten()
        world.one_key()


async def test_an_inventory_pass_ends_so_too():
    """At the listing, and at the issuer's status."""
    for call in ("before list_keys", "before patch_status"):
        world = World()
        world.create()
        await world.settle()

        def refuse(_met: int, met: str, call: str = call) -> None:
            if met.startswith(call):
                raise NotLeading("the lease is another process's")

        world.faults.strike = refuse
        with pytest.raises(NotLeading):
            await world.process.inventory.refresh(("KeyIssuer", "search", "mistral"))
