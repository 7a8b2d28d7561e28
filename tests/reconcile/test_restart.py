"""rotation.restart over the fakes: who is restarted, how often, what it costs, and what waits for it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.ports.faults import Crash
from tests.reconcile.world import DAY, KEY, World, drive

from keywright.api.apikey import RestartRef
from keywright.errors import Ambiguous, NotLeading, Unavailable
from keywright.keys import ResourceKey

if TYPE_CHECKING:
    from tests.ports.fake_workloads import Workload

WEB = {"kind": "Deployment", "name": "web"}
HOUR = timedelta(hours=1)


async def a_world(
    *, overlap: str = "2h", restart: list[dict[str, str]] | None = None, **spec: Any
) -> tuple[World, Workload]:
    """One ApiKey, issued ten minutes ago, that restarts a Deployment `web`, which has completed that."""
    world = World()
    web = world.create_workload()
    world.create(rotation={"overlap": overlap, "restart": restart or [WEB]}, **spec)
    await world.settle()
    world.one_key()
    complete(world, web)
    world.now += timedelta(minutes=10)
    return world, web


async def rotate(world: World, value: str = "now") -> str:
    """By the annotation; returns the id of the key before."""
    before = world.status().key_id
    assert before
    world.annotate(rotate=value)
    await world.settle()
    assert world.status().key_id != before
    return before


def complete(world: World, workload: Workload) -> None:
    """Its pods are all new and ready."""
    workload.complete_at = world.now


def told(world: World) -> list[tuple[str, str]]:
    """Type and reason of the events about restarts."""
    return [(e.type, e.reason) for e in world.cluster.events if e.reason.startswith("Restart")]


async def test_each_delivery_restarts_each_workload_once():
    """The first one too: the annotation is the ApiKey's own and names the key; an event tells so."""
    world, web = await a_world()
    first = world.status().key_id
    assert web.rolls == [first]
    assert list(web.annotations) == ["restart.keywright.dev/pipeline"]
    await rotate(world)
    assert web.rolls == [first, world.status().key_id]
    assert told(world) == [("Normal", "Restarted")] * 2
    assert world.process.metrics.restarted._value.get() == 2


async def test_a_settled_key_costs_nothing_once_its_workloads_are_restarted():
    """No read and no write, of workloads or anything else, by new operators too."""
    world, _ = await a_world()
    before = (world.workloads.reads, list(world.workloads.writes), list(world.cluster.writes), world.sink.reads)
    for _ in range(5):
        world.now += HOUR
        world.start()
        await world.settle()
    assert (world.workloads.reads, world.workloads.writes, world.cluster.writes, world.sink.reads) == before


async def test_a_restart_costs_one_patch_and_two_writes():
    """One status write once it is patched, one once it is complete; in between one read a look."""
    world, web = await a_world()
    patches, writes = len(world.workloads.writes), len(world.cluster.writes)
    await rotate(world)
    complete(world, web)
    await world.settle(within=timedelta(minutes=1))
    assert len(world.workloads.writes) - patches == 1
    assert len(world.cluster.writes) - writes == 2 + 2, "intent and settle beside them"
    reads = world.workloads.reads
    world.now += HOUR
    await world.settle()
    assert world.workloads.reads == reads, "nothing is looked at once it is complete"


async def test_the_older_key_waits_for_the_rollout_and_ends_with_it():
    """Past its overlap it works on, the ApiKey is Ready and says what it waits for; complete, it is revoked within a minute."""
    world, web = await a_world()
    old = await rotate(world)
    world.now += 3 * HOUR
    await world.settle(within=timedelta(minutes=1))
    assert old in world.live()
    assert world.says()[:2] == ("True", "Issued")
    status = world.status()
    assert status.condition("Reconciling") is None
    assert status.next
    assert "once the rollout of deployment/web is complete" in status.next.reason
    assert status.next.at == status.previous[0].revoke_at + DAY
    complete(world, web)
    await world.settle(within=timedelta(minutes=1))
    world.one_key()
    assert old not in world.live()
    assert world.status().rollout is None


async def test_no_status_is_written_while_it_waits():
    """Looked at each minute, and nothing else."""
    world, _ = await a_world()
    await rotate(world)
    world.now += 3 * HOUR
    await world.settle(within=timedelta(seconds=30))
    writes, reads = len(world.cluster.writes), world.workloads.reads
    await world.settle(within=timedelta(minutes=10))
    assert len(world.cluster.writes) == writes
    assert 8 <= world.workloads.reads - reads <= 11


async def test_a_rollout_that_never_ends_holds_for_a_day_and_no_longer():
    """Then the older key is revoked, with a warning."""
    world, _ = await a_world()
    old = await rotate(world)
    world.now += 25 * HOUR
    await world.settle(within=timedelta(minutes=1))
    assert old in world.live()
    world.now += 2 * HOUR
    await world.settle(within=timedelta(minutes=1))
    world.one_key()
    [event] = [e for e in world.cluster.events if e.reason == "Revoked"]
    assert event.type == "Warning"
    assert "deployment/web" in event.message
    assert world.status().rollout is None


async def test_a_rotation_during_a_rollout_restarts_again_and_each_key_has_its_own_time():
    """Both older keys wait for the newest rollout, each for a day past its own overlap at most."""
    world, web = await a_world()
    first = await rotate(world)
    world.now += HOUR
    second = await rotate(world, "again")
    assert len(web.rolls) == 3
    world.now += 24 * HOUR + timedelta(minutes=30)
    await world.settle(within=timedelta(minutes=1))
    assert {first, second} <= world.live(), "25.5 hours after the first rotation"
    world.now += HOUR
    await world.settle(within=timedelta(minutes=1))
    assert first not in world.live()
    assert second in world.live()
    complete(world, web)
    await world.settle(within=timedelta(minutes=1))
    world.one_key()


async def test_a_compromised_key_ends_at_once_and_its_consumers_are_restarted():
    """Also an older one that was waiting; nothing is looked at afterwards."""
    world, web = await a_world()
    await rotate(world)
    world.annotate(compromised="yes")
    await world.settle(within=timedelta(seconds=30))
    world.one_key()
    assert len(world.live()) == 1
    assert web.rolls[-1] == world.status().key_id
    assert world.status().rollout is None
    assert len(web.rolls) == 3


async def test_a_key_that_is_gone_is_replaced_and_consumers_restarted():
    """Revoked by hand at the platform: nothing waits, all restart."""
    world, web = await a_world()
    world.platform.end(world.status().key_id)
    world.excused = True
    await world.look_over()
    await world.settle()
    world.one_key()
    assert len(web.rolls) == 2
    assert world.status().rollout is None


@pytest.mark.parametrize("trouble", ["missing", "forbidden", "not installed", "elsewhere"])
async def test_what_cannot_be_restarted_is_warned_of_once_and_the_rotation_goes_on(trouble: str):
    """Ready all the time; the older key ends with its overlap; nothing is asked again before the next key."""
    kind = "Rollout" if trouble == "not installed" else "Deployment"
    name = "nothing" if trouble == "missing" else "web"
    world, web = await a_world(restart=[{"kind": kind, "name": name}])
    store = world.workloads.store
    store.forbidden = trouble == "forbidden"
    store.elsewhere = {RestartRef(kind="Deployment", name="web")} if trouble == "elsewhere" else set()
    world.cluster.events.clear()
    old = await rotate(world)
    rolls = list(web.rolls)
    assert told(world) == [("Warning", "RestartFailed")]
    world.one_key()
    met = len([call for call in world.faults.met if "restart" in call or "rollout" in call])
    for _ in range(3):
        world.now += HOUR
        world.start()
        await world.settle(within=timedelta(minutes=5))
        world.one_key()
    assert old not in world.live()
    assert len([call for call in world.faults.met if "restart" in call or "rollout" in call]) == met
    assert told(world) == [("Warning", "RestartFailed")]
    assert web.rolls == rolls


async def test_a_workload_that_does_not_answer_holds_up_neither_key_nor_others():
    """Asked again each 15 seconds; the other one is restarted meanwhile, and this one once it answers."""
    world, web = await a_world(restart=[WEB, {"kind": "StatefulSet", "name": "db"}])
    db = world.create_workload("db", "StatefulSet")
    silent = True

    def strike(_boundary: int, call: str) -> None:
        if call == "before restart" and silent and not web.rolls[1:]:
            raise Unavailable("no answer")

    world.faults.strike = strike
    world.annotate(rotate="now")
    for _ in range(3):
        await world.pass_over()
    assert (len(web.rolls), len(db.rolls)) == (1, 0)
    world.one_key()
    due = await world.pass_over()
    assert due is not None
    assert timedelta(seconds=10) < due <= timedelta(seconds=20)
    silent = False
    world.now += due
    await world.settle(within=timedelta(minutes=1))
    assert (len(web.rolls), len(db.rolls)) == (2, 1)


async def test_an_adopted_key_restarts_nothing():
    """Retained and created again: the same plaintext all the time."""
    world, web = await a_world(deletionPolicy="Retain")
    key_id, rolls = world.status().key_id, list(web.rolls)
    world.delete()
    await world.settle()
    world.create(rotation={"restart": [WEB]}, deletionPolicy="Retain")
    await world.settle()
    assert world.status().key_id == key_id
    assert web.rolls == rolls


async def test_a_new_layout_restarts_nothing():
    """The same key, looking otherwise."""
    world, web = await a_world()
    rolls = list(web.rolls)
    world.edit(target={"secret": {"name": "mistral-key", "labels": {"team": "search"}}})
    await world.settle()
    world.one_key()
    assert web.rolls == rolls


async def test_a_re_created_api_key_restarts_its_consumers():
    """Their key died with the ApiKey before; the annotation is the same one, since it goes by the name."""
    world, web = await a_world()
    world.delete()
    await world.settle()
    world.create(rotation={"restart": [WEB]})
    await world.settle()
    assert len(web.rolls) == 2
    assert len(web.annotations) == 1


async def test_two_api_keys_restart_one_workload_each_for_itself():
    """Each has an annotation of its own: neither undoes the other's."""
    world, web = await a_world()
    other = ResourceKey("search", "other")
    world.create(other, target={"secret": {"name": "other-key"}}, rotation={"restart": [WEB]})
    await world.settle(other)
    await rotate(world)
    await world.settle(other)
    assert len(web.rolls) == 3
    assert set(web.annotations.values()) == {world.status().key_id, world.status(other).key_id}


async def test_deletion_restarts_nothing_and_waits_for_nothing():
    """In the midst of a rollout."""
    world, web = await a_world()
    await rotate(world)
    rolls = list(web.rolls)
    world.delete()
    await world.settle()
    world.nothing_left()
    assert web.rolls == rolls


async def test_suspended_in_the_midst_of_a_rollout_it_still_comes_to_its_end():
    """Killed right after the settling and suspended meanwhile: restarted all the same, and the older key ends."""
    world, web = await a_world(overlap="0s")
    world.annotate(rotate="now")
    world.faults.once("before restart", Crash())
    with pytest.raises(Crash):
        await world.settle()
    world.faults.calm()
    world.edit(suspend=True)
    world.start()
    await world.settle(within=timedelta(minutes=1))
    assert len(web.rolls) == 2
    complete(world, web)
    await world.settle(within=timedelta(minutes=1))
    assert len(world.live()) == 1


@pytest.mark.parametrize("fault", ["crash", "no answer"])
async def test_whatever_happens_at_any_boundary_a_workload_is_restarted_once(fault: str):
    """C5, C6: from the intent to the last status write, each workload is rolled exactly once for the key that is delivered."""

    async def begin() -> tuple[World, list[Workload]]:
        world, web = await a_world(overlap="0s", restart=[WEB, {"kind": "StatefulSet", "name": "db"}])
        db = world.create_workload("db", "StatefulSet")
        world.annotate(rotate="now")
        world.faults.calm()
        return world, [web, db]

    async def live(world: World, workloads: list[Workload]) -> None:
        await world.settle(within=timedelta(seconds=20))
        for workload in workloads:
            complete(world, workload)
        await world.settle(within=timedelta(minutes=1))

    world, workloads = await begin()
    await live(world, workloads)
    met = list(world.faults.met)
    assert met.count("after restart") == 2
    for at, name in enumerate(met):
        world, workloads = await begin()
        world.faults.at(
            at, Crash() if fault == "crash" else Ambiguous("no answer") if "after" in name else Unavailable("no")
        )
        try:
            await live(world, workloads)
        except Crash:
            world.start()
        await world.quieten()
        for workload in workloads:
            complete(world, workload)
        await world.quieten()
        world.one_key()
        assert len(world.live()) == 1, name
        last = world.status().key_id
        for workload in workloads:
            assert workload.rolls.count(last) == 1, name
            assert len(set(workload.rolls)) == len(workload.rolls), name


async def test_two_operators_restart_a_workload_once():
    """One overtakes the other right before its patch, and goes on to the next status write."""
    world, web = await a_world()
    slow = world.process
    fast = world.start()
    world.process = slow
    world.faults.once("before restart", lambda: drive(fast.reconciler.reconcile(KEY)))
    world.annotate(rotate="now")
    await world.settle()
    assert len(web.rolls) == 2
    assert world.status().rollout
    assert world.status().rollout.pending[0].restarted_at


async def test_a_pass_that_stood_still_does_not_restart_for_an_older_key():
    """Right after its settling another operator restarts, rotates and restarts again: the first one reads before it goes on."""
    world, web = await a_world()
    slow = world.process
    fast = world.start()
    world.process = slow

    def overtake() -> None:
        world.annotate(compromised="yes")
        drive(fast.reconciler.reconcile(KEY))

    world.faults.once("after patch_status of ApiKey", overtake)
    world.annotate(rotate="now")
    await world.settle()
    assert world.status().revision == 3
    assert len(web.rolls) == 3
    assert len(set(web.rolls)) == 3


async def test_without_the_lease_nothing_is_restarted_and_nothing_written_down():
    """NotLeading ends the pass where it stands; the next leader restarts."""
    world, web = await a_world()
    world.faults.once("before restart", NotLeading("another leads"))
    world.annotate(rotate="now")
    with pytest.raises(NotLeading):
        await world.process.reconciler.reconcile(KEY)
    assert len(web.rolls) == 1
    world.start()
    await world.settle()
    assert len(web.rolls) == 2
