"""`suspend: true`: issuing, renewing and repairing stop; ending does not. Over the fakes, POSTs counted."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.reconcile.world import DAY, KEY, SECRET, World

if TYPE_CHECKING:
    from collections.abc import Callable

EXPIRES = {"expiry": {"validity": "90d"}}


async def a_suspended_world(**spec: Any) -> World:
    """One ApiKey, issued, and suspended ten minutes later."""
    world = World()
    world.create(**spec)
    await world.settle()
    world.now += timedelta(minutes=10)
    world.edit(suspend=True)
    await world.settle()
    assert world.says()[:2] == ("True", "Suspended")
    return world


def lose(world: World) -> None:
    """Somebody deletes the Secret."""
    world.sink.remove(SECRET)


def spoil(world: World) -> None:
    """Somebody writes another text into it."""
    world.sink.spoil(SECRET)


def wait_long(world: World) -> None:
    """Past the renewal time, and past the schedule's next."""
    world.now += 70 * DAY


CAUSES: dict[str, tuple[dict[str, Any], Callable[[World], None]]] = {
    "trigger": ({}, lambda world: world.annotate(rotate="now")),
    "compromise": ({}, lambda world: world.annotate(compromised="now")),
    "label": ({}, lambda world: world.edit(label="another")),
    "workspace": ({}, lambda world: world.edit(workspace="billing")),
    "renewal": (EXPIRES, wait_long),
    "schedule": ({"expiry": None, "rotation": {"schedule": "0 3 1 * *"}}, wait_long),
    "Secret deleted": ({}, lose),
    "Secret spoilt": ({}, spoil),
}


@pytest.mark.parametrize("cause", CAUSES)
async def test_nothing_is_issued_while_it_is_suspended_and_one_key_once_it_is_resumed(cause: str):
    """Whatever asks for a key: it waits, says so, and is answered once."""
    spec, act = CAUSES[cause]
    world = await a_suspended_world(**spec)
    act(world)
    for _ in range(5):
        world.now += timedelta(hours=1)
        await world.look_over()
        await world.settle()
    assert world.platform.posts == 1
    assert world.says()[1] == "Suspended"
    world.edit(suspend=False)
    await world.settle()
    assert world.platform.posts == 2
    assert world.status().revision == 2
    world.now += 3 * DAY
    await world.settle()
    assert world.platform.posts == 2
    world.one_key()


async def test_edits_of_the_label_while_suspended_cost_one_key_when_resumed():
    """Five names on the way to the sixth: one rotation, and the key carries the last."""
    world = await a_suspended_world()
    for label in ("one", "two", "three", "four", "five", "six"):
        world.edit(label=label)
        await world.settle()
        world.now += timedelta(minutes=10)
    assert world.platform.posts == 1
    world.edit(suspend=False)
    await world.settle()
    assert world.platform.posts == 2
    [name] = [name for name in world.platform.names().values() if name.startswith("six ")]
    assert name


async def test_edits_of_the_label_that_come_back_while_suspended_cost_none():
    """What counts is where they end."""
    world = await a_suspended_world(label="first")
    for label in ("second", "first"):
        world.edit(label=label)
        await world.settle()
    world.edit(suspend=False)
    await world.settle()
    assert world.platform.posts == 1
    world.one_key()


async def test_a_layout_is_not_mended_while_it_is_suspended():
    """Drift that needs no key waits as well: it is written anew once resumed, with the same key."""
    world = await a_suspended_world()
    writes = list(world.sink.writes)
    world.edit(target={"secret": {"name": SECRET.name, "labels": {"app": "search"}}})
    await world.settle()
    assert world.sink.writes == writes
    world.edit(suspend=False)
    await world.settle()
    assert len(world.sink.writes) == len(writes) + 1
    assert world.platform.posts == 1
    world.one_key()


async def test_an_overlap_under_way_ends_while_it_is_suspended():
    """The older key dies on time; the current one stays."""
    world = World()
    world.create(rotation={"overlap": "2h"})
    await world.settle()
    world.now += timedelta(minutes=10)
    world.annotate(rotate="now")
    await world.settle()
    [older] = world.status().previous
    world.edit(suspend=True)
    due = await world.settle()
    assert len(world.live()) == 2
    assert due
    world.now += due
    assert world.now >= older.revoke_at
    await world.settle()
    assert world.live() == {world.status().key_id}
    world.one_key()
    assert world.says()[1] == "Suspended"


async def test_deletion_revokes_while_it_is_suspended():
    """The current key and the one of an overlap."""
    world = World()
    world.create()
    await world.settle()
    world.now += timedelta(minutes=10)
    world.annotate(rotate="now")
    await world.settle()
    world.edit(suspend=True)
    await world.settle()
    world.delete(KEY)
    await world.settle()
    world.nothing_left()
