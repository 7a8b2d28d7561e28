"""The world of one history: a platform or two, a cluster or its clone, the people, and a clock that jumps.

One event loop of virtual time, one source of randomness: the same history always plays the same.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import random
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from tests.ports.fake_cluster import ApiServer
from tests.ports.fake_issuer import FakePlatform
from tests.ports.fake_sink import SecretStore
from tests.ports.fake_workloads import WorkloadStore
from tests.simulation.invariants import Invariants
from tests.simulation.leadership import Leadership
from tests.simulation.leaping import LeapingLoop
from tests.simulation.people import People
from tests.simulation.process import Process

from keywright.errors import Ambiguous, Unavailable
from keywright.keys import AttemptId

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.simulation.history import Fault, History

    from keywright.api.keyissuer import KeyIssuerSpec

__all__ = ["Site", "Violation", "World", "play"]

START: Final = datetime(2026, 11, 24, 12, 0, 0, 654321, tzinfo=UTC)
_LOOK: Final = 120.0
"""Seconds between two looks whether all has come to rest."""
_QUIET: Final = 120.0
"""Seconds after everything was mended before anybody looks: watches have told, leaders are elected."""
_COLLECTED: Final = 20.0
"""Seconds until the garbage collector has looked at a new Secret."""
_PATIENCE: Final = 3 * 3600.0
"""Seconds after the last fault within which all must be at rest: the longest pause is an hour."""
_ROLLOUTS: Final = (0.0, 5.0, 60.0, 1500.0, None)
"""Seconds that a rollout takes: beside overlaps of none to half an hour."""
_RESTART: Final = 3.0
"""Seconds until a dead process's successor runs."""
_AFTERWARDS: Final = (
    *("after deliver", "before patch_status of ApiKey", "after patch_status of ApiKey"),
    *("before revoke", "after revoke", "before remove_finalizer", "after remove_finalizer"),
    *("before restart", "after restart", "before look at rollout"),
)
"""What goes wrong here costs no POST: what was delivered is adopted."""
_PLATFORM: Final = ("create", "revoke", "list_keys", "workspaces", "user_id", "check")
_VAULT: Final = (
    *("read target", "rehearse", "deliver", "fence", "rewrite", "clean", "prune"),
    *("look over", "reach store"),
)


class Violation(AssertionError):
    """An invariant does not hold; `trace` tells how it came about."""

    def __init__(self, message: str, trace: list[str]) -> None:
        """`trace`: one line for each thing that happened."""
        super().__init__(message)
        self.trace = trace


class Site:
    """One cluster: its apiserver, its Secrets, its operators, its clock."""

    def __init__(self, world: World, name: str, clone_of: Site | None = None) -> None:
        """`clone_of`: restored from a snapshot of that one, taken now."""
        self.world = world
        self.name = name
        self.skew = timedelta(0)
        self.server = ApiServer(self.clock, world.new_id)
        self.secrets = SecretStore(world.new_id)
        self.server.collect = self.secrets.collect
        self.workloads = WorkloadStore(self.clock, world.rollout_lasts)
        self.leadership = Leadership(world)
        self.processes: dict[str, Process] = {}
        self.away_until = self.vault_away_until = 0.0
        if clone_of is not None:
            self.skew = clone_of.skew
            self.server.stored = dict(clone_of.server.stored)
            self.server.values = {at: dict(data) for at, data in clone_of.server.values.items()}
            self.server.version = clone_of.server.version
            self.secrets.stored = dict(clone_of.secrets.stored)
            self.secrets.version = clone_of.secrets.version
            self.workloads.stored = copy.deepcopy(clone_of.workloads.stored)

    def clock(self) -> datetime:
        """What its machines say."""
        return START + timedelta(seconds=self.world.time()) + self.skew

    def collect(self) -> None:
        """The garbage collector: what is bound to an ApiKey that is gone goes, too."""
        there = {obj["metadata"]["uid"] for obj in self.server.stored.values()}
        for uid in {s.owner.uid for s in self.secrets.stored.values() if s.owner} - there:
            self.secrets.collect(uid)

    def boot(self, slot: str) -> None:
        """A process for this replica."""
        process = self.processes[slot] = Process(self.world, self, slot)
        process.boot()


class World:
    """Everything of one history."""

    def __init__(self, history: History, loop: LeapingLoop, *, keep_trace: bool = False) -> None:
        """`keep_trace`: say what happens."""
        self.history = history
        self._loop = loop
        self._random = random.Random(history.seed)  # noqa: S311 - delays, no secrets
        self._rollouts = random.Random(history.seed + 1)  # noqa: S311 - as above
        self._ids = itertools.count(1)
        self._faults = {(fault.at, fault.nth): fault for fault in history.faults}
        self._met: dict[str, int] = {}
        self.costs = 0
        """Faults that came to pass and may each have cost a POST."""
        self.trace: list[str] | None = [] if keep_trace else None
        self.calm = False
        self.stalled_until = 0.0
        """When the last process that stood still, or the last slow call, went on."""
        self.platforms = {
            url: FakePlatform(self._now, source=self._random) for url in ("https://one.example", "https://two.example")
        }
        self.platform = self.platforms["https://one.example"]
        self.platform_away_until = 0.0
        for platform in self.platforms.values():
            platform.workspaces[:] = [replace(w, id=self.new_id()) for w in platform.workspaces]
        self.violated: asyncio.Future[str] = loop.create_future()
        self.sites = [Site(self, "a")]
        self.invariants = Invariants(self)
        self.people = People(self)

    def site(self, name: str) -> Site:
        """By its name."""
        return next(site for site in self.sites if site.name == name)

    # Time and chance.

    def time(self) -> float:
        """Seconds since the beginning."""
        return self._loop.time()

    def _now(self) -> datetime:
        return START + timedelta(seconds=self.time())

    def later(self, delay: float, what: Callable[[], Any]) -> None:
        """Do it after so many seconds."""
        self._loop.call_later(delay, what)

    def chance(self) -> float:
        """From 0 to 1."""
        return self._random.random()

    def delay(self) -> Awaitable[None]:
        """What one call takes: up to 50 ms."""
        return self._loop.nap(self._random.random() * 0.05)

    def rollout_lasts(self) -> timedelta | None:
        """Of one rollout; None: until it is mended."""
        seconds = self._rollouts.choice(_ROLLOUTS)
        return None if seconds is None else timedelta(seconds=seconds)

    def watch_delays(self, process: Process) -> list[float]:
        """When a process hears of a change: a little later, now and then twice, and not at all while it is deaf."""
        if process.deaf_until > self.time():
            return []
        delays = [self._random.random() * 0.2]
        return delays * 2 if self._random.random() < 0.05 else delays

    def new_id(self) -> str:
        """A uuid."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def new_attempt_id(self) -> AttemptId:
        """The next one."""
        return AttemptId(f"a{next(self._ids):07}")

    def platform_of(self, spec: KeyIssuerSpec) -> FakePlatform:
        """Where an issuer's url leads."""
        assert spec.mistral
        return self.platforms[spec.mistral.url]

    # Faults.

    def next_fault(self, point: str) -> Fault | None:
        """What goes wrong here and now."""
        nth = self._met[point] = self._met.get(point, -1) + 1
        fault = self._faults.pop((point, nth), None)
        if fault is None or self.calm:
            return None
        self.costs += fault.at not in _AFTERWARDS or fault.how in ("freeze", "slow", "deposed")
        if fault.how == "slow":
            self.stalled_until = max(self.stalled_until, self.time() + fault.seconds)
        return fault

    def reachable(self, process: Process, point: str) -> None:
        """Raises where the other side of a call is away."""
        phase, _, call = point.partition(" ")
        if phase != "before":
            return
        now = self.time()
        if call in _PLATFORM:
            if now < self.platform_away_until:
                self.costs += 1
                raise Ambiguous("no answer") if call == "create" and process.slot == "b" else Unavailable("away")
        elif self.history.vault and call in _VAULT and now < process.site.vault_away_until:
            self.costs += 1
            raise Unavailable("Vault is away")
        elif now < process.site.away_until:
            self.costs += 1
            raise Unavailable("the apiserver is away")

    def kill(self, process: Process, why: str) -> None:
        """It is dead, and its successor comes."""
        if process.dead:
            return
        self.say(f"{process.site.name}{process.slot}: dies: {why}")
        process.die()
        process.site.leadership.dies(process)
        self.later(_RESTART, lambda: process.site.boot(process.slot))

    def commit_late(self) -> None:
        """What was on its way to a platform arrives."""
        for platform in self.platforms.values():
            platform.commit_late()

    # What is told and checked.

    def say(self, what: str) -> None:
        """One line of the trace."""
        if self.trace is not None:
            self.trace.append(f"{self.time():10.2f}  {what}")

    def happened(self, process: Process, call: str) -> None:
        """A call of a process had its effect."""
        self.say(f"{process.site.name}{process.slot}: {call}")
        if call in ("deliver", "fence"):
            self.later(_COLLECTED, process.site.collect)
        self.invariants.happened(process, call)

    def check(self) -> None:
        """The invariants that hold at every step."""
        if problem := self.invariants.broken():
            self.violate(problem)

    def violate(self, problem: str) -> None:
        """The history ends here."""
        if not self.violated.done():
            self.violated.set_result(problem)
        raise asyncio.CancelledError

    async def run(self) -> None:
        """The whole history, and the quiet after it."""
        self.people.set_the_stage()
        for slot in ("1",) if self.history.operators == "one" else ("1", "2"):
            self.sites[0].boot(slot)
        for act in self.history.acts:
            await asyncio.sleep(act.wait)
            self.say(f"people: {act.what} ({act.arg})")
            self.people.do(act)
            self.check()
        await asyncio.sleep(60)
        self.say("people: no more of it; everything is mended")
        self.calm = True
        self.people.mend()
        await asyncio.sleep(max(_QUIET, self.stalled_until + _QUIET - self.time()))
        end = self.time() + _PATIENCE
        while (problem := self.invariants.unfinished()) is not None:
            if self.time() > end:
                self.violate(f"I4: not at rest: {problem}")
            await asyncio.sleep(_LOOK)
            self.check()
        if problem := self.invariants.broken_at_rest():
            self.violate(problem)


def play(history: History, *, keep_trace: bool = False) -> World:
    """Play it. Raises Violation."""
    loop = LeapingLoop()
    try:
        world = World(history, loop, keep_trace=keep_trace)
        loop.run_until_complete(_race(world))
        if world.violated.done():
            raise Violation(world.violated.result(), world.trace or [])
        return world
    finally:
        loop.close()


async def _race(world: World) -> None:
    playing = asyncio.create_task(world.run())
    await asyncio.wait((playing, world.violated), return_when=asyncio.FIRST_COMPLETED)
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    if playing.done() and not playing.cancelled() and (error := playing.exception()):
        raise error
    for error in ended:
        if isinstance(error, BaseException) and not isinstance(error, asyncio.CancelledError):
            raise error
