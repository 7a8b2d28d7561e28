"""The lease's arithmetic in virtual time: taken, renewed, lost, stolen, given back; nothing is compared across clocks."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.ports.fake_lease import LOST, FakeLeases, Line
from tests.ports.lease_contract import LeaseContract

from keywright.adapters.kube_lease import KubeLease, Place, longest_call, place_of
from keywright.errors import NotLeading

pytestmark = pytest.mark.looptime

NOON = datetime(2026, 11, 24, 12, 0, 0, 654321, tzinfo=UTC)
FOLDER = "/apis/coordination.k8s.io/v1/namespaces/keywright-system/leases"
PATH = f"{FOLDER}/keywright"
DURATION = 15.0


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


def now() -> float:
    """The loop's time: the world's."""
    return asyncio.get_running_loop().time()


class Replica:
    """One process with its own line and clocks; `ahead` hours on the wall, and any number on the clock since boot."""

    def __init__(self, leases: FakeLeases, name: str, *, ahead: float = 0.0, duration: float = DURATION) -> None:
        self.line = Line(leases)
        since_boot = 1e5 * len(name)
        self.lease = KubeLease(
            self.line,  # type: ignore[arg-type] - as much of a KubeApi as it uses
            Place("keywright-system", "keywright"),
            identity=name,
            duration=duration,
            clock=lambda: since_boot + now(),
            now=lambda: NOON + timedelta(seconds=now(), hours=ahead),
            sleep=asyncio.sleep,
        )

    def leads(self, seconds: float = 0.0) -> bool:
        """Whether it may act for so long."""
        try:
            self.lease.require(seconds)
        except NotLeading:
            return False
        return True

    @property
    def left(self) -> float:
        """Seconds for which it may act."""
        return self.lease._valid_until - self.lease._clock()

    def cut(self) -> None:
        """Nothing arrives any more."""
        self.line.there = lambda: LOST

    def mend(self) -> None:
        """All arrives again."""
        self.line.there = lambda: 0.005


@asynccontextmanager
async def holding(replica: Replica):
    """It has taken the lease, and renews it; gives the task, which ends with why it was lost."""
    await replica.lease.acquire()
    task = asyncio.create_task(replica.lease.hold())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait((task,))


def spec(leases: FakeLeases) -> dict[str, Any]:
    """What stands in the Lease."""
    return leases.stored[PATH]["spec"]


def somebody(leases: FakeLeases, **body: Any) -> None:
    """A write of somebody who does not ask for versions."""
    leases.apply("PATCH", PATH, {"metadata": {}} | body)


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
