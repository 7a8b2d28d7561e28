"""What `keywright rotate` does: ask for rotations with the caller's own rights, and look until they are answered.

Decides nothing (planning/trigger.py reads the answer, the operator gives it). All names are looked at, and the right to ask is
rehearsed for each, before anything is asked for: a wrong name in a list leaves nothing half done.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from keywright.api.reading import read_spec, read_status
from keywright.errors import Ambiguous, Rejected, Retryable, Terminal
from keywright.planning import trigger as triggers
from keywright.planning.trigger import Answer, Request, Standing, State
from keywright.reconcile.observe import subject_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from keywright.keys import ResourceKey
    from keywright.planning.trigger import Trigger
    from keywright.ports.cluster import Cluster, Object

__all__ = ["Rotator"]

_PAUSE: Final = 0.5
"""Seconds between two looks at an ApiKey that is waited for."""
_REPEATS: Final = 3
"""How often a request is made again, half a second apart: past that the apiserver is away, and is said to be."""


class Rotator:
    """Asks, and waits."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        """`clock` gives aware UTC; `monotonic` and `sleep` are in seconds."""
        self._cluster = cluster
        self._clock = clock
        self._monotonic = monotonic
        self._sleep = sleep

    async def look(self, trigger: Trigger, keys: Sequence[ResourceKey]) -> list[Standing]:
        """Each ApiKey as it stands, once the caller may ask for all of it.

        Raises Rejected(NotFound, Deleting, InvalidSpec) and what the port raises; nothing was asked for then.
        """
        found = [(key, await self._cluster.refresh(key)) for key in keys]
        if absent := [key.name for key, seen in found if seen is None]:
            are = "is no ApiKey" if len(absent) == 1 else "are no ApiKeys"
            raise Rejected(
                f"there {are} {', '.join(absent)} in namespace {keys[0].namespace}: correct the name, or give the namespace with -n; "
                "nothing was asked for",
                reason="NotFound",
            )
        standing = [_read(seen) for _, seen in found if seen is not None]
        if leaving := [s.subject.key.name for s in standing if s.subject.deleting]:
            raise Rejected(
                f"{', '.join(leaving)} in namespace {keys[0].namespace} is being deleted, and gets no new key; nothing was asked for",
                reason="Deleting",
            )
        for key in keys:
            await self._cluster.annotate(key, trigger.annotation, self._value(), rehearse=True)
        return standing

    def prospects(self, trigger: Trigger, standing: Standing) -> list[str]:
        """What comes of it, and what is in the way."""
        now = self._clock()
        hindrance = triggers.hindrance(standing, now)
        return [triggers.prospect(trigger, standing, now), *([f"In the way: {hindrance}"] if hindrance else [])]

    async def ask(self, trigger: Trigger, standing: Standing) -> Request:
        """Set the annotation to a new value; the same value again, where nobody knows whether it arrived, asks for nothing more.

        Raises Rejected(NotFound): it is gone since; and what the port raises.
        """
        key, value = standing.subject.key, self._value()
        for _ in range(_REPEATS):
            with suppress(Retryable, Ambiguous):
                return await self._ask(key, trigger, value, standing)
            await self._sleep(_PAUSE)
        return await self._ask(key, trigger, value, standing)

    async def _ask(self, key: ResourceKey, trigger: Trigger, value: str, standing: Standing) -> Request:
        if await self._cluster.annotate(key, trigger.annotation, value, rehearse=False) is None:
            raise Rejected(f"ApiKey {key.name} is gone", reason="NotFound")
        return Request(trigger, value, standing)

    async def follow(self, request: Request, told: Callable[[Answer], None], patience: timedelta) -> Answer:
        """Look until it is answered, or `patience` is over; `told` hears each look. Returns what was told last."""
        begun = self._monotonic()
        while True:
            waited = timedelta(seconds=self._monotonic() - begun)
            now = await self._answer(request, waited)
            if now.state is State.WAITING and waited >= patience:
                now = Answer(
                    State.FAILED,
                    f"Not done after {patience.total_seconds():.0f} s; the request stands. Last seen: {now.message}",
                )
            told(now)
            if now.state is not State.WAITING:
                return now
            await self._sleep(_PAUSE)

    async def _answer(self, request: Request, waited: timedelta) -> Answer:
        try:
            seen = await self._cluster.refresh(request.before.subject.key)
            if seen is None:
                return Answer(State.FAILED, "It is gone: somebody deleted it, and its keys are revoked.")
            return triggers.answer(request, _read(seen), waited, self._clock())
        except (Retryable, Ambiguous) as error:
            return Answer(State.WAITING, f"{error}.")
        except Terminal as error:
            return Answer(State.FAILED, f"{error}.")

    def _value(self) -> str:
        """Another one at each call, that tells a reader of the annotation when it was asked."""
        return f"{self._clock():%Y-%m-%dT%H:%M:%S.%fZ}"


def _read(seen: Object) -> Standing:
    return Standing(subject_of(seen), read_spec(seen), read_status(seen))
