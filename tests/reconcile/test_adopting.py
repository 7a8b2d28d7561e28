"""A Secret that somebody gave away: the engine over fakes, with crashes at every boundary."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.reconcile.world import KEY, SECRET, World

BY_HAND = "hand-made-0123456789abcdef"


GIVEN = {"plaintext": None, "texts": {"api-key": BY_HAND, "theirs": "x"}, "adoptable_by": "pipeline"}


ADOPT = {"secret": {"name": SECRET.name, "adopt": True}}


class Crash(BaseException):
    """The process is gone."""


def a_world(**spec) -> World:
    """With a Secret that is given away, and an ApiKey that takes it."""
    world = World()
    world.sink.put_foreign(SECRET, **GIVEN)
    world.create(**{"target": ADOPT, **spec})
    return world


def told(world: World, reason: str) -> list[str]:
    """The messages of events."""
    return [event.message for event in world.cluster.events if event.reason == reason]


async def test_a_secret_that_is_given_away_takes_the_key():
    """One request; what others put there stays through rotation, a new layout and the deletion; the hand-made key is named by its end."""
    world = a_world()
    await world.settle()
    world.one_key()
    assert world.platform.posts == 1
    assert world.sink.stored[SECRET].others == {"theirs": "x"}
    [message] = told(world, "HandMadeReplaced")
    assert "the key ending in …cdef" in message
    assert BY_HAND not in message
    assert world.status().target.adopted
    world.annotate(rotate="now")
    await world.settle()
    world.edit(target={"secret": {"name": SECRET.name, "key": "another", "adopt": False}})
    await world.settle()
    world.one_key()
    assert (world.platform.posts, world.sink.stored[SECRET].others) == (2, {"theirs": "x"})
    assert len(told(world, "HandMadeReplaced")) == 1
    world.delete()
    await world.settle()
    world.nothing_left()
    there = world.sink.stored[SECRET]
    assert (there.owner, there.texts, there.record) == (None, {"theirs": "x"}, {})


async def test_retain_leaves_key_and_secret_and_a_re_created_api_key_takes_both():
    """Without a request; and the Secret is still somebody else's at the end."""
    world = a_world(deletionPolicy="Retain")
    await world.settle()
    key = world.record().key_id
    world.delete()
    await world.settle()
    assert world.record().key_id == key
    assert world.live() == {key}
    world.create(target=ADOPT)
    await world.settle()
    world.one_key()
    assert (world.platform.posts, world.status().key_id) == (1, key)
    world.delete()
    await world.settle()
    assert world.live() == set()
    assert world.sink.stored[SECRET].texts == {"theirs": "x"}


async def test_it_is_given_away_later():
    """Refused until both have said so, with no request; then it heals by itself."""
    world = World()
    world.sink.put_foreign(SECRET, **{**GIVEN, "adoptable_by": None})
    world.create()
    await world.settle(within=timedelta(seconds=1))
    assert world.says()[1] == "TargetForeign"
    world.edit(target=ADOPT)
    await world.settle(within=timedelta(seconds=1))
    assert world.says()[1] == "TargetForeign"
    world.sink.put_back(SECRET, replace(world.sink.stored[SECRET], adoptable_by="pipeline"))
    await world.settle(within=timedelta(seconds=30))
    world.one_key()
    assert world.platform.posts == 1


async def test_a_moved_target_leaves_the_adopted_secret_to_its_owner():
    """Only ours goes from the place that was left; and the next place may be adopted, too."""
    world = a_world(rotation={"overlap": "0s"})
    await world.settle()
    elsewhere = SECRET._replace(name="elsewhere")
    world.sink.put_foreign(elsewhere, **GIVEN)
    world.edit(target={"secret": {"name": "elsewhere", "adopt": True}})
    await world.settle()
    world.one_key(secret=elsewhere)
    there = world.sink.stored[SECRET]
    assert (there.owner, there.texts) == (None, {"theirs": "x"})
    assert world.sink.stored[elsewhere].others == {"theirs": "x"}


async def test_the_end_of_expiry_date_takes_only_ours():
    """afterEnd: Clean."""
    world = a_world(expiry={"date": "2026-11-26", "afterEnd": "Clean"})
    await world.settle()
    world.now += timedelta(days=3)
    await world.settle()
    there = world.sink.stored[SECRET]
    assert (there.owner, there.texts) == (None, {"theirs": "x"})
    assert any("which was adopted" in message for message in told(world, "TargetCleaned"))
    assert world.platform.posts == 1


async def test_an_adopted_secret_that_was_deleted_is_ours_afterwards():
    """What is made in its place goes with the ApiKey."""
    world = a_world()
    await world.settle()
    world.sink.remove(SECRET)
    world.now += timedelta(minutes=6)
    await world.settle()
    world.one_key()
    assert not world.status().target.adopted
    world.delete()
    await world.settle()
    assert SECRET not in world.sink.stored


BOUNDARIES = [
    f"{when} {call}"
    for when in ("before", "after")
    for call in ("patch_status attempt of ApiKey", "create", "deliver", "patch_status of ApiKey", "fence", "clean")
]


RECOVERY = ("fence", "clean")


@pytest.mark.parametrize("first", BOUNDARIES)
@pytest.mark.parametrize("ending", [False, True])
async def test_a_crash_while_adopting_loses_nothing(first: str, *, ending: bool):
    """Wherever the operator dies, in the midst of a recovery as well: one key, or none once deleted, and the foreign data whole."""
    world = a_world()

    async def die(at: str) -> None:
        struck = []

        def strike(_met: int, call: str) -> None:
            if call == at and not struck:
                struck.append(call)
                raise Crash

        world.faults.strike = strike
        with suppress(Crash):
            await world.settle(within=timedelta(minutes=20))
        assert struck
        world.faults.calm()
        world.start()

    if first.partition(" ")[2] in RECOVERY:
        await die("after create")
        if ending:
            world.delete()
    if ending or not first.endswith("clean"):
        await die(first)
    if ending and ("ApiKey", KEY) in world.cluster.stored:
        world.delete()
    await world.quieten()
    there = world.sink.stored[SECRET]
    if ending:
        world.nothing_left()
        assert there.texts["theirs"] == "x"
        assert there.adoptable_by == "pipeline"
    else:
        world.one_key()
        assert there.others == {"theirs": "x"}
        assert there.adopted
        assert BY_HAND not in there.texts.values()


async def test_a_frozen_operator_cannot_deliver_into_what_was_given_back():
    """Between its request and its delivery another recovered the attempt, and the ApiKey went: the foreign data stays as it was."""
    world = a_world()

    def overtake() -> None:
        there = world.sink.stored[SECRET]
        world.sink.put_back(SECRET, replace(there, texts={"api-key": "another's"}, adoptable_by=None))

    world.faults.once("before deliver", overtake)
    await world.settle()
    assert world.sink.stored[SECRET].texts == {"api-key": "another's"}
    assert world.live() == set()
    assert world.says()[1] == "TargetForeign"


async def test_a_conflict_on_the_way_delivers_all_the_same():
    """Its owner touched it in between, and still gives it away: what they wrote stays."""
    world = a_world()

    def touch() -> None:
        there = world.sink.stored[SECRET]
        world.sink.put_back(SECRET, replace(there, texts={**there.texts, "late": "y"}))

    world.faults.once("before deliver", touch)
    await world.settle()
    world.one_key()
    assert world.platform.posts == 1
    assert world.sink.stored[SECRET].others == {"theirs": "x", "late": "y"}


async def test_what_was_to_be_adopted_is_deleted_on_the_way():
    """Between the request and the delivery: what is made in its place is ours alone, and goes with the ApiKey."""
    world = a_world()

    def delete() -> None:
        world.sink.remove(SECRET)

    world.faults.once("before deliver", delete)
    await world.settle()
    world.one_key()
    assert world.platform.posts == 1
    there = world.sink.stored[SECRET]
    assert there.owner
    assert (there.owner.bound, there.adopted) == (True, False)
    world.delete()
    await world.settle()
    world.nothing_left()
    assert SECRET not in world.sink.stored


async def test_two_api_keys_for_one_secret_that_is_given_away():
    """K10: the annotation names one; the other is refused, before and after."""
    world = a_world()
    other = SECRET._replace(name="other")
    await world.settle()
    world.create(other, target=ADOPT)
    await world.settle(other)
    assert world.says(other)[1] == "TargetConflict"
    world.one_key()
    assert world.platform.posts == 1
