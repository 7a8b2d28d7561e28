"""The Lease of one site: who leads, who thinks so, and for how long.

Renewals are not played one by one: a leader that runs has renewed lately, one that stands still has not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keywright.errors import NotLeading

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

__all__ = ["Leadership"]

_DURATION: Final = 15.0
"""Seconds that a lease lasts."""
_RENEWED: Final = 5.0
"""Seconds between two renewals: after so many at most a leader notices that somebody took its lease away."""


class Leadership:
    """Of one site."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.holder: Process | None = None
        self._standing: list[Process] = []

    def of(self, process: Process) -> _Held:
        """The lease as this process knows it."""
        return _Held(process, self._world)

    def stand(self, process: Process) -> None:
        """A process that would lead."""
        self._standing.append(process)
        self._elect()

    def dies(self, process: Process) -> None:
        """Kill -9: what it held lapses."""
        if process in self._standing:
            self._standing.remove(process)
        if process is self.holder:
            self._world.later(_DURATION, lambda: self._lapses(process))

    def freezes(self, process: Process, until: float) -> None:
        """It renews no more; where that lasts too long, another leads, and it stops when it finds out."""
        since = process.frozen_since
        self._world.later(until - self._world.time() + _RENEWED, self._elect)
        if until - since > _DURATION and process is self.holder:
            self._world.later(since + _DURATION - self._world.time(), lambda: self._lapses(process))
            self._world.later(
                until - self._world.time() + _RENEWED * self._world.chance(), lambda: self._finds_out(process)
            )

    def depose(self) -> None:
        """Somebody deletes the Lease: another takes it at once, and the holder finds out at its next renewal."""
        before = self.holder
        if before is not None:
            self._lapses(before)
            self._world.later(_RENEWED * self._world.chance(), lambda: self._finds_out(before))

    def _finds_out(self, process: Process) -> None:
        asleep = process.frozen_until - self._world.time()
        if asleep > 0:  # again, since then
            self._world.later(asleep + _RENEWED * self._world.chance(), lambda: self._finds_out(process))
        else:
            self._world.costs += 1
            self._world.kill(process, "lost its lease")

    def _lapses(self, process: Process) -> None:
        if self.holder is process:
            self.holder = None
            self._elect()

    def _elect(self) -> None:
        if self.holder is not None:
            return
        now = self._world.time()
        candidates = [p for p in self._standing if p.frozen_until <= now]
        if candidates:
            self.holder = candidates[0]
            self._standing.remove(candidates[0])
            candidates[0].work()


class _Held:
    """As its own clock tells: valid until a while after the last renewal, be it another's by now."""

    def __init__(self, process: Process, world: World) -> None:
        self._process = process
        self._world = world

    def require(self, seconds: float) -> None:
        """As the port says. The last renewal is a few seconds ago, or was before it stood still."""
        now, frozen = self._world.time(), self._process
        just_woken = frozen.frozen_until <= now < frozen.frozen_until + _RENEWED and frozen.frozen_until > 0
        renewed = frozen.frozen_since if just_woken else now
        if now - renewed + _RENEWED + seconds > _DURATION:
            raise NotLeading("the lease does not last")
