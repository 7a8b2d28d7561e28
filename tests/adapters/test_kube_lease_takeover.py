"""Who waits for a lease takes it when its holder has died, or given it back; where it lies, and what is said meanwhile."""

from __future__ import annotations

import asyncio
import logging

import pytest
from tests.adapters.lease_builders import DURATION, PATH, Replica, holding, now, spec
from tests.ports.fake_lease import LOST, FakeLeases

from keywright.adapters.kube_lease import place_of
from keywright.errors import NotLeading

pytestmark = pytest.mark.looptime


@pytest.mark.parametrize("ahead", [0.0, 24.0, -24.0])
async def test_a_dead_holder_is_waited_for_by_the_own_clock(ahead: float):
    """A whole duration after its last renewal was seen, whatever its wall clock wrote into the Lease."""
    leases = FakeLeases()
    async with holding(Replica(leases, "a", ahead=ahead)):
        other = Replica(leases, "bb")
        waiting = asyncio.create_task(other.lease.acquire())
        await asyncio.sleep(20)
    died = now()
    await waiting
    assert DURATION - 2.1 < now() - died < DURATION * 1.1
    assert spec(leases)["holderIdentity"] == "bb"
    assert spec(leases)["leaseTransitions"] == 1
    assert other.leads()


async def test_a_dead_holder_is_followed_within_1_2_durations_whenever_it_dies():
    """At each moment between two renewals; and never while its lease still runs."""
    for moment in range(21):
        leases = FakeLeases()
        holder, other = Replica(leases, "a"), Replica(leases, "bb")
        async with holding(holder):
            waiting = asyncio.create_task(other.lease.acquire())
            await asyncio.sleep(10 + moment * 0.1)
        died, ends = now(), now() + holder.left
        await waiting
        assert ends < now() < died + 1.2 * DURATION


async def test_a_new_process_waits_for_a_whole_duration_too():
    """It has not seen when the last renewal was: the time in the Lease is another machine's."""
    leases = FakeLeases()
    async with holding(Replica(leases, "a", ahead=-24)):
        await asyncio.sleep(3)
    await asyncio.sleep(10)
    begun = now()
    await Replica(leases, "b").lease.acquire()
    assert now() - begun == pytest.approx(DURATION, abs=0.1)


async def test_the_holder_s_own_duration_is_waited_for():
    """Another version of the operator may have promised itself more."""
    leases = FakeLeases()
    async with holding(Replica(leases, "a", duration=60)):
        await asyncio.sleep(3)
    begun = now()
    await Replica(leases, "b", duration=5).lease.acquire()
    assert now() - begun == pytest.approx(60, abs=0.1)
    assert spec(leases)["leaseDurationSeconds"] == 5


async def test_a_lease_that_vanished_is_left_alone_for_a_while():
    """Its holder may not know yet."""
    leases = FakeLeases()
    async with holding(Replica(leases, "a")):
        other = Replica(leases, "b")
        waiting = asyncio.create_task(other.lease.acquire())
        await asyncio.sleep(5)
    leases.apply("DELETE", PATH, None)
    begun = now()
    await waiting
    assert DURATION <= now() - begun < DURATION * 1.1


async def test_who_gives_it_back_is_followed_at_once():
    """By the next look; the one who gave it back may not act from before the request leaves."""
    leases = FakeLeases()
    holder, other = Replica(leases, "a"), Replica(leases, "b")
    async with holding(holder) as task:
        waiting = asyncio.create_task(other.lease.acquire())
        await asyncio.sleep(5)
        task.cancel()
        giving = asyncio.create_task(holder.lease.release())
        await asyncio.sleep(0)
        assert not holder.leads()
        await giving
        assert spec(leases)["holderIdentity"] == ""
        assert spec(leases)["leaseDurationSeconds"] == 1
        given = now()
        await waiting
        assert now() - given < 1.1
        assert other.leads()
        with pytest.raises(NotLeading, match="given back"):
            holder.lease.require(0)


async def test_it_is_given_back_also_in_the_midst_of_a_renewal():
    """Whose answer never came: what stands is read first."""
    leases = FakeLeases()
    replica = Replica(leases, "a")
    replica.line.back = lambda: 0.5
    async with holding(replica) as task:
        await asyncio.sleep(2.3)
        assert replica.line.sent[-1] == "PATCH"
        task.cancel()
        await asyncio.wait((task,))
        await replica.lease.release()
        assert spec(leases)["holderIdentity"] == ""


async def test_only_the_holder_gives_it_back():
    """One who stands by, or has lost it, writes nothing."""
    leases = FakeLeases()
    async with holding(Replica(leases, "a")):
        other = Replica(leases, "b")
        await other.lease.release()
        assert other.line.sent == []
        assert spec(leases)["holderIdentity"] == "a"


async def test_giving_it_back_takes_two_seconds_at_most():
    """A pod has to end; then the others wait for as long as if it had died."""
    replica = Replica(FakeLeases(), "a")
    async with holding(replica) as task:
        task.cancel()
        replica.cut()
        begun = now()
        await replica.lease.release()
        assert now() - begun == pytest.approx(2, abs=0.01)


async def test_an_acquisition_whose_answer_was_lost_is_found():
    """The next look shows ourselves as the holder: no need to wait for ourselves."""
    leases = FakeLeases()
    replica = Replica(leases, "a")
    backs = iter([0.005, LOST, 0.005, 0.005])
    replica.line.back = lambda: next(backs)
    await replica.lease.acquire()
    assert now() < DURATION / 2
    assert replica.leads(10)
    assert spec(leases)["leaseTransitions"] == 0


async def test_of_two_who_find_it_free_one_holds_it():
    """Both saw the same version; the other stands by."""
    leases = FakeLeases()
    replicas = [Replica(leases, "a"), Replica(leases, "b")]
    tasks = [asyncio.create_task(replica.lease.acquire()) for replica in replicas]
    await asyncio.sleep(5)
    assert sorted(replica.leads() for replica in replicas) == [False, True]
    for task in tasks:
        task.cancel()


async def test_waiting_is_said_once(caplog: pytest.LogCaptureFixture):
    """Who holds it, and what is wrong where nothing arrives."""
    caplog.set_level(logging.INFO)
    leases = FakeLeases()
    async with holding(Replica(leases, "a")):
        other = Replica(leases, "b")
        waiting = asyncio.create_task(other.lease.acquire())
        await asyncio.sleep(10)
        other.cut()
        await asyncio.sleep(30)
        waiting.cancel()
    said = [record.getMessage() for record in caplog.records if "keywright-system/keywright" in record.getMessage()]
    assert said[1] == "standing by: the lease keywright-system/keywright is held by a"
    assert said[2].startswith("waiting for the lease keywright-system/keywright: the apiserver's answer")
    assert len(said) == 3


@pytest.mark.parametrize(
    ("namespaces", "own", "place"),
    [
        ((), "keywright-system", "keywright-system/keywright"),
        ((), "tools", "tools/keywright"),
        ((), None, "keywright-system/keywright"),
        (("search",), "search", "search/keywright-namespaced"),
        (("search",), None, "search/keywright-namespaced"),
        (("search", "billing"), None, "billing/keywright-2b80a882"),
        (("billing", "search", "billing"), None, "billing/keywright-2b80a882"),
    ],
)
def test_where_the_lease_lies(namespaces: tuple[str, ...], own: str | None, place: str):
    """All replicas find the same one, in whatever order they were told their namespaces."""
    assert str(place_of(namespaces, own)) == place


def test_who_serves_other_namespaces_has_another_lease():
    """Also in the same namespace: nobody stands by for work that is not his."""
    sets = [(), ("tools",), ("a",), ("b",), ("a", "b"), ("a", "tools")]
    assert len({place_of(namespaces, "tools") for namespaces in sets}) == len(sets)
