"""At no instant may two processes act, whatever happens to them and to what they send; afterwards one works again."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import looptime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ports.fake_lease import LOST, FakeLeases, Line

from keywright.adapters.kube_lease import KubeLease, Place
from keywright.errors import NotLeading

pytestmark = pytest.mark.slow

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
PATH = "/apis/coordination.k8s.io/v1/namespaces/keywright-system/leases/keywright"
TROUBLED = 40.0
"""Seconds of trouble."""
TICK = 0.001
"""Seconds: no timer is finer, and virtual time would not move by less than a millionth."""
LOOK = 1.0
"""Seconds between looks at who may act, beside one after each answer: only with an answer does somebody begin to."""


@dataclass(frozen=True)
class Machine:
    """A process's clocks: `speed` of the one since boot, its start, and how far the wall clock is off, or stands still."""

    speed: float
    since_boot: float
    wall: timedelta | None
    duration: int


@dataclass(frozen=True)
class Trouble:
    """What happens to one of the processes at a time, for so many seconds."""

    at: float
    who: int
    what: str
    seconds: float


machines = st.builds(
    Machine,
    # Two clocks a twentieth apart: what the holder takes off its lease.
    speed=st.floats(0.976, 1.024),
    since_boot=st.floats(0, 1e6),
    wall=st.none() | st.timedeltas(timedelta(days=-400), timedelta(days=400)),
    duration=st.sampled_from([3, 3, 6]),
)
troubles = st.lists(
    st.builds(
        Trouble,
        at=st.floats(0, TROUBLED),
        who=st.integers(0, 2),
        what=st.sampled_from(["freeze", "cut", "slow", "deaf", "kill", "stop", "touch"]),
        seconds=st.floats(0.1, 12),
    ),
    max_size=12,
)


@dataclass
class Process:
    """One replica on its machine; what has ended is started again, as the kubelet does."""

    world: World
    machine: Machine
    name: str
    chance: random.Random
    line: Line = field(init=False)
    lease: KubeLease = field(init=False)
    task: asyncio.Task[None] = field(init=False)
    thawed: asyncio.Event = field(default_factory=asyncio.Event)
    weather: str = ""
    starts: int = 0
    ending: bool = False

    def start(self) -> None:
        """A new process: it knows nothing of the one before."""
        self.starts += 1
        self.ending = False
        self.thawed.set()
        self.line = Line(self.world.leases, self._there, self._back, self._ready)
        self.lease = KubeLease(
            self.line,  # type: ignore[arg-type] - as much of a KubeApi as it uses
            Place("keywright-system", "keywright"),
            identity=f"{self.name}-{self.starts}",
            duration=self.machine.duration,
            clock=lambda: self.machine.since_boot + now() * self.machine.speed,
            now=self._wall,
            sleep=self._sleep,
        )
        self.task = asyncio.create_task(self._live(self.lease))

    async def _live(self, lease: KubeLease) -> None:
        await lease.acquire()
        await lease.hold()
        await asyncio.sleep(self.chance.uniform(0, 1))
        self.start()

    async def end(self, *, killed: bool) -> None:
        """SIGKILL, or SIGTERM; somebody starts it again a little later."""
        self.ending = True
        self.task.cancel()
        await asyncio.wait((self.task,))
        if killed:
            # What it promised itself died with it: nobody can act on that any more.
            self.lease._over = "killed"
        else:
            await self.lease.release()
        await asyncio.sleep(self.chance.uniform(0, 1))
        self.start()

    def acts(self) -> bool:
        """Whether it may, now, be it frozen or not: it could be woken at any instant."""
        try:
            self.lease.require(0)
        except NotLeading:
            return False
        return True

    def _wall(self) -> datetime:
        return NOON if self.machine.wall is None else NOON + self.machine.wall + timedelta(seconds=now())

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds / self.machine.speed, TICK))
        await self._ready()

    async def _ready(self) -> None:
        # Waking takes any time; waiting on the event alone would wake all at one instant.
        while not self.thawed.is_set():
            await self.thawed.wait()
            await asyncio.sleep(self.chance.uniform(0, 0.3))
        asyncio.get_running_loop().call_soon(self.world.look)

    def _there(self) -> float:
        match self.weather:
            case "cut":
                return LOST
            case "slow":
                return self.chance.uniform(0, 8)
            case _:
                return self.chance.uniform(0.001, 0.05)

    def _back(self) -> float:
        match self.weather:
            case "deaf":
                return LOST
            case "slow":
                return self.chance.uniform(0, 2)
            case _:
                return self.chance.uniform(0.001, 0.05)


class World:
    """The apiserver and three processes."""

    def __init__(self, on: list[Machine], chance: random.Random) -> None:
        self.leases = FakeLeases()
        self.processes = [Process(self, machine, name, chance) for machine, name in zip(on, "abc", strict=True)]
        self.most = 0
        self.since: float | None = None
        """When somebody has begun to act, where one does now."""

    def look(self) -> None:
        """How many may act at this instant."""
        acting = [process for process in self.processes if process.starts and process.acts()]
        self.most = max(self.most, len(acting))
        if not acting:
            self.since = None
        elif self.since is None:
            self.since = now()

    async def suffer(self, trouble: Trouble) -> None:
        """One trouble, and its end."""
        await asyncio.sleep(trouble.at)
        process = self.processes[trouble.who]
        match trouble.what:
            case "kill" | "stop":
                if not process.ending and process.thawed.is_set():
                    await process.end(killed=trouble.what == "kill")
            case "touch":
                if PATH in self.leases.stored:
                    self.leases.apply("PATCH", PATH, {"metadata": {"labels": {"touched": str(trouble.at)}}})
            case "freeze":
                process.thawed.clear()
                await asyncio.sleep(trouble.seconds)
                process.thawed.set()
            case weather:
                process.weather = weather
                await asyncio.sleep(trouble.seconds)
                process.weather = ""

    async def live(self, happens: list[Trouble]) -> None:
        """Through all of it, and half a minute more."""
        for process in self.processes:
            process.start()
        suffering = [asyncio.create_task(self.suffer(trouble)) for trouble in happens]
        over = TROUBLED + 12 + 30
        while now() < over:
            self.look()
            await asyncio.sleep(LOOK)
        await asyncio.gather(*suffering)
        for process in self.processes:
            process.task.cancel()
        await asyncio.gather(*(process.task for process in self.processes), return_exceptions=True)


def now() -> float:
    """The world's time."""
    return asyncio.get_running_loop().time()


@settings(max_examples=40, deadline=None)
@given(st.lists(machines, min_size=3, max_size=3), troubles, st.integers(0, 2**32))
def test_never_two_and_in_the_end_one(on: list[Machine], happens: list[Trouble], seed: int):
    """Frozen, killed, cut off, slow, deaf, told to stop, with clocks that differ: one at most; after quiet returns, one."""
    loop = looptime.new_event_loop(noop_cycles=0)
    try:
        world = loop.run_until_complete(_lived(on, happens, random.Random(seed)))  # noqa: S311 - which must be the same again
    finally:
        loop.close()
    assert world.most == 1
    assert world.since is not None


async def _lived(on: list[Machine], happens: list[Trouble], chance: random.Random) -> World:
    world = World(on, chance)
    await world.live(happens)
    return world
