"""The lease's arithmetic in virtual time: made, renewed, lost, stolen; nothing is compared across clocks."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from tests.adapters.lease_builders import DURATION, FOLDER, NOON, PATH, Replica, holding, now, somebody, spec
from tests.ports.fake_lease import FakeLeases, Line
from tests.ports.lease_contract import LeaseContract

from keywright.adapters.kube_lease import longest_call
from keywright.errors import NotLeading

pytestmark = pytest.mark.looptime


class TestFakeLeases(LeaseContract):
    """The fake keeps the law of the apiserver."""

    @pytest.fixture
    def api(self):
        """A line to an empty store."""
        return Line(FakeLeases())

    @pytest.fixture
    def folder(self):
        """Any."""
        return FOLDER


async def test_a_lease_that_never_was_is_made():
    """As Kubernetes documents it: whole seconds, UTC to the microsecond, no transition yet."""
    leases = FakeLeases()
    await Replica(leases, "a").lease.acquire()
    stamp = spec(leases)["acquireTime"]
    assert spec(leases) == {
        "holderIdentity": "a",
        "leaseDurationSeconds": 15,
        "acquireTime": stamp,
        "renewTime": stamp,
        "leaseTransitions": 0,
    }
    assert datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC) - NOON < timedelta(seconds=1)


async def test_nobody_may_act_before_it_is_held():
    """Neither who has not asked for it, nor who waits."""
    leases = FakeLeases()
    holder, other = Replica(leases, "a"), Replica(leases, "b")
    assert not holder.leads()
    async with holding(holder):
        waiting = asyncio.create_task(other.lease.acquire())
        await asyncio.sleep(60)
        assert holder.leads()
        assert not other.leads()
        with pytest.raises(NotLeading, match="does not hold the lease keywright-system/keywright"):
            other.lease.require(0)
        waiting.cancel()


async def test_it_counts_from_before_it_was_asked_for():
    """Less a twentieth, for clocks of different speed; how long the answer took does not lengthen it."""
    replica = Replica(FakeLeases(), "a")
    replica.line.back = lambda: 2.0
    begun = now()
    await replica.lease.acquire()
    assert now() - begun > 4, "a look and a write, of two seconds each"
    assert replica.left == pytest.approx(DURATION * 0.95 - 2, abs=0.1)
    left = replica.left
    assert replica.leads(left - 0.001)
    assert not replica.leads(left + 0.001)


async def test_while_it_is_renewed_it_always_outlives_the_longest_call():
    """Also right before a renewal, and when that comes late by as much again; holder, beginning and transitions stay."""
    leases = FakeLeases()
    replica = Replica(leases, "a")
    async with holding(replica):
        first = spec(leases)
        slow = iter([2.0] + [0.005] * 1000)
        replica.line.back = lambda: next(slow)
        lasts = []
        for _ in range(600):
            await asyncio.sleep(0.1)
            lasts.append(replica.left)
        assert min(lasts) > longest_call(DURATION) == 10
        assert spec(leases)["renewTime"] > first["renewTime"]
        assert spec(leases) | {"renewTime": 0} == first | {"renewTime": 0}


async def test_a_short_outage_costs_nothing():
    """Each failed renewal is tried again, within the lease."""
    replica = Replica(FakeLeases(), "a")
    async with holding(replica) as task:
        await asyncio.sleep(10)
        replica.cut()
        await asyncio.sleep(8)
        replica.mend()
        await asyncio.sleep(4)
        assert replica.left > 11
        assert not task.done()


async def test_who_cannot_renew_in_time_stops_by_its_own_clock():
    """At the very end of the lease, whether or not anybody else took it; for good, and it sends nothing any more."""
    replica = Replica(FakeLeases(), "a")
    async with holding(replica) as task:
        replica.cut()
        ends = now() + replica.left
        await asyncio.sleep(replica.left - 0.01)
        assert replica.leads()
        assert await task == "it could not be renewed in time"
        assert now() == pytest.approx(ends, abs=0.02)
        assert not replica.leads()
        sent = len(replica.line.sent)
        replica.mend()
        await asyncio.sleep(60)
        assert not replica.leads()
        assert len(replica.line.sent) == sent
        with pytest.raises(NotLeading, match="could not be renewed in time"):
            replica.lease.require(0)


async def test_frozen_and_woken_it_does_nothing():
    """SIGSTOP for longer than the lease, at any moment of a renewal: no request leaves afterwards."""
    for moment in range(20):
        leases = FakeLeases()
        replica = Replica(leases, "a")
        replica.line.there = replica.line.back = lambda: 0.2
        thawed = asyncio.Event()
        thawed.set()
        replica.line.ready = thawed.wait

        async def sleep(seconds: float, thawed: asyncio.Event = thawed) -> None:
            await asyncio.sleep(seconds)
            await thawed.wait()

        replica.lease._sleep = sleep
        async with holding(replica) as task:
            await asyncio.sleep(4 + moment * 0.15)
            thawed.clear()
            before = len(replica.line.sent)
            await asyncio.sleep(DURATION + 1)
            assert not replica.leads(), "it cannot know yet that it was frozen, and is refused nevertheless"
            thawed.set()
            assert await task == "it could not be renewed in time"
            assert len(replica.line.sent) == before


async def test_a_stolen_lease_is_lost_at_the_next_renewal():
    """Whoever edited it: the one who finds another holder stops, and says whom."""
    leases = FakeLeases()
    replica = Replica(leases, "a")
    async with holding(replica) as task:
        await asyncio.sleep(5)
        somebody(leases, spec={"holderIdentity": "b"})
        assert await task == "b holds it"
        assert not replica.leads()
        assert spec(leases)["holderIdentity"] == "b"


@pytest.mark.parametrize("how", ["deleted", "emptied"])
async def test_a_lease_that_was_taken_away_is_lost(how: str):
    """Somebody may hold another one by now."""
    leases = FakeLeases()
    async with holding(Replica(leases, "a")) as task:
        await asyncio.sleep(5)
        if how == "deleted":
            leases.apply("DELETE", PATH, None)
        else:
            somebody(leases, spec={"holderIdentity": ""})
        assert await task == f"somebody {how} it"


async def test_a_label_on_the_lease_takes_nothing_away():
    """A write of somebody to something else: the version is read again, and the lease is kept."""
    leases = FakeLeases()
    replica = Replica(leases, "a")
    async with holding(replica) as task:
        for i in range(10):
            await asyncio.sleep(3)
            somebody(leases, metadata={"labels": {"touched": str(i)}})
        await asyncio.sleep(4)
        assert not task.done()
        assert replica.left > 11


async def test_a_wall_clock_that_stands_still_is_no_renewal_unseen():
    """Each renewal changes the Lease: else the others would count from the one before, and the holder from this one."""
    leases = FakeLeases()
    replica = Replica(leases, "a")
    replica.lease._now = lambda: NOON
    async with holding(replica):
        versions = set()
        for _ in range(10):
            await asyncio.sleep(2.1)
            versions.add(leases.version)
        assert len(versions) == 10
