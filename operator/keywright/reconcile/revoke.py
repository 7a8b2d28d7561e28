"""What `keywright revoke` does: end ApiKeys with all their keys, with the caller's own rights, and look until they are gone.

Decides nothing (planning/revocation.py says how far it is; the operator revokes). All names are looked at, and the rights are
rehearsed for each, before anything is asked for. The policy is changed first and the deletion names that very version, so that no
deletion is begun under Retain, whoever writes in between.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from keywright.api.reading import read_status
from keywright.errors import Ambiguous, Conflict, KeywrightError, Rejected, Retryable, Terminal
from keywright.planning.places import place_seen
from keywright.planning.revocation import Doomed, answer
from keywright.planning.trigger import Answer, State
from keywright.reconcile.observe import subject_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from keywright.keys import ResourceKey
    from keywright.ports.cluster import Object
    from keywright.ports.ending import Ending

__all__ = ["Revoker"]

_PAUSE: Final = 0.5
"""Seconds between two looks, and before what failed is tried again."""
_TRIES: Final = 10
"""An operator at work writes to a status a few times within a second; past that the apiserver is away, and is said to be."""


class Revoker:
    """Asks, and waits."""

    def __init__(
        self, *, ending: Ending, monotonic: Callable[[], float], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        """`monotonic` and `sleep` are in seconds."""
        self._ending = ending
        self._monotonic = monotonic
        self._sleep = sleep

    async def look(self, keys: Sequence[ResourceKey]) -> list[Doomed]:
        """Each ApiKey as it stands, once the caller may end all of them. Raises Rejected(NotFound) and what the port raises."""
        found = [(key, await self._ending.seen(key)) for key in keys]
        if absent := [key.name for key, seen in found if seen is None]:
            are = "is no ApiKey" if len(absent) == 1 else "are no ApiKeys"
            raise Rejected(
                f"there {are} {', '.join(absent)} in namespace {keys[0].namespace}: correct the name, or give the namespace with -n; "
                "nothing was revoked",
                reason="NotFound",
            )
        there = [seen for _, seen in found if seen is not None]
        for seen in there:
            try:
                if _read(seen).retained:
                    await self._ending.bind(seen, rehearse=True)
                await self._ending.delete(seen, rehearse=True)
            except Conflict:
                pass  # the operator writes to it just now; the right is there
        return [_read(seen) for seen in there]

    async def end(self, doomed: Doomed) -> None:
        """Begin the deletion under Revoke. Raises Rejected(NotFound) where another one stands there by now, and what the port raises."""
        last: KeywrightError | None = None
        for _ in range(_TRIES):
            try:
                await self._end(doomed)
            except Conflict as error:
                last = error
            except (Retryable, Ambiguous) as error:
                last = error
                await self._sleep(_PAUSE)
            else:
                return
        assert last is not None  # else it would have returned
        raise last

    async def _end(self, doomed: Doomed) -> None:
        key = doomed.subject.key
        seen = await self._ending.seen(key)
        if seen is None:
            return
        if seen["metadata"]["uid"] != doomed.subject.uid:
            raise Rejected(
                f"{key.name} was deleted and created again meanwhile: the one that was asked about is gone",
                reason="NotFound",
            )
        if _read(seen).retained:
            seen = await self._ending.bind(seen, rehearse=False)
        if "deletionTimestamp" not in seen["metadata"]:
            await self._ending.delete(seen, rehearse=False)

    async def follow(self, doomed: Doomed, told: Callable[[Answer], None], patience: timedelta) -> Answer:
        """Look until it is gone, or `patience` is over; `told` hears each look. Returns what was told last."""
        begun, last = self._monotonic(), doomed
        while True:
            waited = timedelta(seconds=self._monotonic() - begun)
            now, last = await self._answer(doomed, last, waited)
            if now.state is State.WAITING and waited >= patience:
                text = f"Not gone after {patience.total_seconds():.0f} s; the deletion stands. Last seen: {now.message}"
                now = Answer(State.FAILED, text)
            told(now)
            if now.state is not State.WAITING:
                return now
            await self._sleep(_PAUSE)

    async def _answer(self, doomed: Doomed, last: Doomed, waited: timedelta) -> tuple[Answer, Doomed]:
        try:
            found = await self._ending.seen(doomed.subject.key)
            seen = None if found is None else _read(found)
            if found is not None and seen is not None and seen.subject.uid == doomed.subject.uid:
                last = seen
                if seen.retained:  # somebody wrote it back; until the operator has let go, what counts is what stands
                    await self._ending.bind(found, rehearse=False)
            return answer(doomed, seen, last, waited), last
        except (Retryable, Ambiguous) as error:
            return Answer(State.WAITING, f"{error}."), last
        except Terminal as error:
            return Answer(State.FAILED, f"{error}."), last


def _read(seen: Object) -> Doomed:
    return Doomed(
        subject=subject_of(seen),
        metadata=seen["metadata"],
        retained=(seen.get("spec") or {}).get("deletionPolicy") == "Retain",
        place=place_seen(seen),
        status=read_status(seen),
    )
