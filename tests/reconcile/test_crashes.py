"""The protocol at every boundary between an operator and the world: it dies there, is lied to there, is overtaken there."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.ports.faults import Crash
from tests.reconcile.world import DAY, KEY, World, drive

from keywright.errors import Ambiguous, Unavailable
from keywright.keys import ResourceKey

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

READS = ("refresh", "read_value", "user_id", "workspaces", "rehearse", "list_keys", "read target", "check")
OTHER = ResourceKey("search", "other-key")


async def nothing(_: World) -> None:
    """A fresh ApiKey."""


async def rotated(world: World) -> None:
    """A settled one, asked to rotate."""
    await world.settle()
    world.now += timedelta(minutes=10)
    world.annotate(rotate="now")


async def leaked(world: World) -> None:
    """A settled one with an overlap under way, said to be compromised."""
    await rotated(world)
    await world.settle()
    world.annotate(compromised="yes")


async def due(world: World) -> None:
    """A settled one whose renewal time has come."""
    await world.settle()
    world.now += 60 * DAY


async def overlapping(world: World) -> None:
    """A rotated one whose overlap is over."""
    await rotated(world)
    await world.settle()
    world.now += 3 * DAY


async def edited(world: World) -> None:
    """A settled one with another label wanted."""
    await world.settle()
    world.edit(label="another")


async def laid_out_anew(world: World) -> None:
    """A settled one with other labels wanted on its Secret."""
    await world.settle()
    world.edit(target={"secret": {"name": "mistral-key", "labels": {"team": "search"}}})


LIVES: dict[str, Callable[[World], Awaitable[None]]] = {
    prelude.__name__: prelude for prelude in (nothing, rotated, leaked, due, overlapping, edited, laid_out_anew)
}


async def begin(life: str) -> World:
    """A world in which the interesting part is about to happen."""
    world = World()
    world.create()
    await LIVES[life](world)
    world.faults.calm()
    world.faults.witness = world.i2
    return world


async def boundaries(life: str) -> list[str]:
    """The names of all boundaries that this part of a life has when nothing goes wrong."""
    world = await begin(life)
    await world.settle()
    return list(world.faults.met)


@pytest.mark.parametrize("life", LIVES)
async def test_a_crash_at_any_boundary_leaves_one_key_that_works(life: str):
    """C1 to C7: whatever the operator died of, its successor ends with the key that the status names, in the Secret, and no other."""
    for at, name in enumerate(await boundaries(life)):
        world = await begin(life)
        world.faults.at(at, Crash())
        with pytest.raises(Crash):
            await world.settle()
        posts, closed = world.platform.posts, world.status().attempt
        world.start()
        await world.quieten()
        world.one_key()
        assert world.platform.posts - posts <= 1 + (closed is not None), name


@pytest.mark.parametrize("life", LIVES)
async def test_a_delivered_key_is_not_issued_again(life: str):
    """C5: killed between the Secret and the settling, the successor settles with what stands there: no second POST."""
    met = await boundaries(life)
    if "after deliver" not in met:
        return
    world = await begin(life)
    world.faults.at(met.index("after deliver"), Crash())
    with pytest.raises(Crash):
        await world.settle()
    posts = world.platform.posts
    world.start()
    await world.quieten()
    assert world.platform.posts == posts
    world.one_key()


@pytest.mark.parametrize("life", LIVES)
async def test_an_answer_lost_at_any_boundary_is_looked_for(life: str):
    """I1 of the faults, K3, V6: a write that may or may not have happened, a read that failed; one fault costs one POST at most."""
    for at, name in enumerate(await boundaries(life)):
        read = name.removeprefix("before ") in READS
        world = await begin(life)
        posts = world.platform.posts
        world.faults.at(at, Unavailable("no answer") if read else Ambiguous("no answer"))
        await world.settle()
        await world.quieten()
        world.one_key()
        assert world.platform.posts - posts <= 2, name


@pytest.mark.parametrize("life", ["nothing", "rotated", "leaked"])
async def test_a_key_that_is_committed_late_is_found_and_revoked(life: str):
    """C3: the POST timed out, nothing is listed, and the key appears minutes later: one inventory pass ends it."""
    met = await boundaries(life)
    world = await begin(life)
    world.faults.at(met.index("before create"), Ambiguous("late"))
    await world.settle(within=timedelta(seconds=1))
    assert len(world.platform.late) == 1
    world.platform.commit_late()
    await world.quieten()
    world.one_key()
    assert "LateKeyRevoked" in {event.reason for event in world.cluster.events}


async def test_an_issuer_that_is_away_for_days_does_not_make_a_lost_key_forgotten():
    """I1: a closed attempt is watched for a day, and until the issuer was listed again."""
    met = await boundaries("rotated")
    world = await begin("rotated")
    world.faults.at(met.index("before deliver"), Crash())
    with pytest.raises(Crash):
        await world.settle()
    world.start()

    away = ["before revoke"]

    def strike(_met: int, call: str) -> None:
        if call in away:
            raise Unavailable("no answer")

    world.faults.strike = strike
    await world.settle(within=timedelta(seconds=1))
    assert len(world.status().closed_attempts) == 1
    away.append("before list_keys")
    world.start()
    for _ in range(3):
        world.now += DAY
        await world.look_over()
        await world.settle()
    await world.quieten()
    assert world.live() == world.named()
    await world.quieten(hours=25)
    assert world.status().closed_attempts == []


@pytest.mark.parametrize("life", LIVES)
async def test_somebody_else_writes_before_any_guarded_write(life: str):
    """K1: each 409 is read again and planned again; it costs no key."""
    for at, name in enumerate(await boundaries(life)):
        if "patch_status" not in name and "finalizer" not in name and "deliver" not in name:
            continue
        world = await begin(life)
        posts = world.platform.posts

        def interfere(met: int, _call: str, world: World = world, at: int = at) -> None:
            if met == at:
                world.cluster.edit("ApiKey", KEY, lambda obj: obj["metadata"].update(labels={"by": "somebody"}))

        world.faults.strike = interfere
        await world.settle()
        await world.quieten()
        world.one_key()
        assert world.platform.posts - posts <= 2, name


@pytest.mark.parametrize("life", LIVES)
async def test_two_operators_at_once_end_with_one_key(life: str):
    """C10, C11: frozen at any boundary, overtaken by another operator, then going on without a lease: no dead key is delivered."""
    for at, name in enumerate(await boundaries(life)):
        world = await begin(life)
        posts = world.platform.posts

        def overtake(met: int, _call: str, world: World = world, at: int = at) -> None:
            if met == at:
                world.faults.strike = lambda _met, _name: None
                frozen = world.process
                world.start()
                drive(world.settle(within=timedelta(minutes=1)))
                world.process = frozen

        world.faults.strike = overtake
        await world.settle()
        await world.quieten()
        world.one_key()
        assert world.platform.posts - posts <= 3, name


@pytest.mark.parametrize("life", LIVES)
async def test_a_stale_cache_costs_a_conflict_and_no_key(life: str):
    """K2: the watch lags behind others' writes; what was decided on old news is refused and decided again."""
    world = await begin(life)
    posts = world.platform.posts
    world.cluster.lagging = world.sink.lagging = True
    world.cluster.edit("ApiKey", KEY, lambda obj: obj["metadata"].update(labels={"by": "somebody"}))
    await world.settle()
    await world.quieten()
    world.one_key()
    assert world.platform.posts - posts <= 1


@pytest.mark.parametrize("life", LIVES)
async def test_a_crash_at_any_boundary_of_a_deletion_leaves_nothing(life: str):
    """C8: the key is dead, the Secret gone, the finalizer off, whatever happened in between."""
    world = await begin(life)
    world.delete()
    await world.settle()
    for at in range(len(world.faults.met)):
        world = await begin(life)
        world.delete()
        world.faults.at(at, Crash())
        with pytest.raises(Crash):
            await world.settle()
        world.start()
        await world.quieten()
        world.nothing_left()


@pytest.mark.parametrize("life", ["nothing", "rotated", "edited"])
async def test_a_deletion_in_the_middle_of_an_issuance_leaves_nothing(life: str):
    """The operator dies at any boundary, the ApiKey is deleted before the next one comes, and a request may still arrive late."""
    for at, name in enumerate(await boundaries(life)):
        world = await begin(life)
        world.faults.at(at, Ambiguous("late") if name == "before create" else Crash())
        with suppress(Crash):
            await world.settle(within=timedelta(seconds=1))
        world.delete()
        world.start()
        await world.quieten()
        world.nothing_left()


@pytest.mark.parametrize("life", ["nothing", "rotated", "edited"])
async def test_a_target_moved_in_the_middle_of_an_issuance_is_followed(life: str):
    """U4: dead at any boundary and moved meanwhile: the key ends in the new place, and the old one is cleaned after the overlap."""
    for at, _ in enumerate(await boundaries(life)):
        world = await begin(life)
        world.faults.at(at, Crash())
        with pytest.raises(Crash):
            await world.settle()
        world.edit(target={"secret": {"name": OTHER.name}})
        world.start()
        world.excused = True
        await world.quieten()
        world.one_key(secret=OTHER)
        world.now += 3 * DAY
        await world.quieten()
        assert set(world.sink.stored) == {OTHER}
        world.one_key(secret=OTHER)


@pytest.mark.parametrize("edit", [{"label": "another"}, {"workspace": "billing"}, {"suspend": False}, {"expiry": None}])
async def test_a_spec_edited_at_any_boundary_is_followed(edit: dict[str, object]):
    """U1: what was asked is recorded with the key; an edit meanwhile shows as a difference and is served."""
    for at, _ in enumerate(await boundaries("nothing")):
        world = await begin("nothing")

        def change(met: int, _call: str, world: World = world, at: int = at) -> None:
            if met == at:
                world.edit(**edit)

        world.faults.strike = change
        await world.settle()
        await world.quieten()
        world.one_key()
        status = world.status()
        assert status.issued_as
        assert status.issued_as.label == edit.get("label", "search/pipeline")
        assert status.issued_as.workspace == edit.get("workspace", "search-prod")
