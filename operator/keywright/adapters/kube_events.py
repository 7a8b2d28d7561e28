"""Kubernetes Events, written in the background: whoever notes one never waits and never fails.

Owns the queue, which words were said already, and how much an object may say. Must not grow without bound. Neighbour:
kube_objects.py, which notes.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any, Final

from keywright.adapters.kube import path_of
from keywright.errors import Conflict, KeywrightError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from keywright.adapters.kube import KubeApi
    from keywright.ports.cluster import EventNote

__all__ = ["Allowance", "EventWriter", "SaidBefore"]

SAY_AGAIN_AFTER: Final = 3600.0
"""Seconds after which the same words about the same object are written once more: as long as the apiserver keeps
events."""

ALLOWED: Final = 25
"""Events about one object in a row, as client-go has it: a life that goes wrong in new words each time fills no etcd."""

ALLOWED_EACH: Final = 300.0
"""Seconds after which an object that has used them up has one more."""

_QUEUE: Final = 10_000
"""Events that wait: ten for each key of a burst of a thousand, about 10 MB."""

_WRITERS: Final = 4
"""Requests at once: events follow the issuing closely without crowding it out."""

_LONGEST_WAIT: Final = 30.0
"""Seconds that an event gives way to keys, which cost the apiserver the same kind of work."""

_NAP: Final = 0.2
"""Seconds between looks whether the burst is over."""

_REMEMBERED: Final = 20_000
"""Words remembered as said, about 3 MB; as many objects that have said something."""

_MESSAGE_LIMIT: Final = 1000
"""Characters of a message: events.k8s.io takes 1,024."""

_log = logging.getLogger(__name__)


class SaidBefore:
    """Whether the same words were said within the hour. Times are the event loop's, in seconds."""

    def __init__(self) -> None:
        self._said: OrderedDict[bytes, float] = OrderedDict()

    def __call__(self, uid: str, reason: str, message: str, now: float) -> bool:
        """False the first time, and again once an hour is over; asking is saying."""
        words = hashlib.blake2b(f"{uid}\0{reason}\0{message}".encode(), digest_size=16).digest()
        at = self._said.get(words)
        if at is not None and now - at < SAY_AGAIN_AFTER:
            return True
        self._said[words] = now
        self._said.move_to_end(words)
        if len(self._said) > _REMEMBERED:
            self._said.popitem(last=False)
        return False


class Allowance:
    """How much an object may still say. Times are the event loop's, in seconds."""

    def __init__(self) -> None:
        self._used: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """By uid: how many events were used up when one was last asked for."""

    def __call__(self, uid: str, now: float) -> bool:
        """Whether there is one left; asking is using it."""
        used, at = self._used.get(uid, (0.0, now))
        used = max(0.0, used - (now - at) / ALLOWED_EACH)
        allowed = used <= ALLOWED - 1
        self._used[uid] = (used + allowed, now)
        self._used.move_to_end(uid)
        if len(self._used) > _REMEMBERED:
            self._used.popitem(last=False)
        return allowed


class EventWriter:
    """A bounded queue and a few writers that exist only while there is something to write."""

    def __init__(
        self, api: KubeApi, now: Callable[[], datetime], *, busy: Callable[[], bool], capacity: int = _QUEUE
    ) -> None:
        """`busy`: whether many keys are being worked on, so that events had better wait."""
        self._api = api
        self._now = now
        self._busy = busy
        self._queue: deque[tuple[float, dict[str, Any]]] = deque()
        self._capacity = capacity
        self._said = SaidBefore()
        self._allowed = Allowance()
        self._writers: set[asyncio.Task[None]] = set()
        self._complained: set[str] = set()

    def note(self, note: EventNote) -> None:
        """Queue one event; called inside the event loop."""
        metadata, at = note.about["metadata"], asyncio.get_running_loop().time()
        uid = metadata.get("uid", "")
        if self._said(uid, note.reason, note.message, at):
            return
        if not self._allowed(uid, at):
            self._complain(
                "TooMany", f"{metadata['name']} has more events than are written about one object: see the log"
            )
            return
        if len(self._queue) >= self._capacity:
            self._queue.popleft()
            self._complain("QueueFull", "events are noted faster than they can be written: the oldest are dropped")
        self._queue.append((at, self._event(note)))
        if len(self._writers) < _WRITERS:
            writer = asyncio.create_task(self._write(), name="event-writer")
            self._writers.add(writer)
            writer.add_done_callback(self._writers.discard)

    async def drain(self, seconds: float) -> None:
        """Write what is queued, within this time; the rest is dropped and counted in the log."""
        self._busy = lambda: False
        if self._writers:
            await asyncio.wait(set(self._writers), timeout=seconds)
        if left := len(self._queue):
            self._queue.clear()
            _log.warning("%d events were not written before the shutdown", left)
        for writer in set(self._writers):
            writer.cancel()
        await asyncio.gather(*self._writers, return_exceptions=True)

    async def _write(self) -> None:
        while self._queue:
            await self._give_way()
            if not self._queue:
                return  # another writer took the last one meanwhile
            _, event = self._queue.popleft()
            try:
                await self._api.request(
                    "POST", path_of("/api/v1", "events", event["metadata"]["namespace"]), body=event, deadline=10.0
                )
            except Conflict:
                continue  # Said within the hour by another replica, or before a restart: the name is made of the words.
            except KeywrightError as error:
                self._complain(type(error).__name__, f"an event could not be written: {error}")

    async def _give_way(self) -> None:
        """Keys first: in a burst its story is told afterwards, but no event waits for more than half a minute."""
        now = asyncio.get_running_loop().time
        while self._busy() and self._queue and now() - self._queue[0][0] < _LONGEST_WAIT:  # noqa: ASYNC110 - a look each nap is cheap
            await asyncio.sleep(_NAP)

    def _complain(self, kind: str, message: str) -> None:
        """Once per kind of trouble: a namespace that is being deleted refuses every event."""
        if kind not in self._complained:
            self._complained.add(kind)
            _log.warning("%s (said once)", message)

    def _event(self, note: EventNote) -> dict[str, Any]:
        metadata = note.about["metadata"]
        now = self._now()
        stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        hour = int(now.timestamp() // SAY_AGAIN_AFTER)
        words = "\0".join((metadata.get("uid", ""), note.reason, note.message, str(hour)))
        involved = {
            "apiVersion": note.about.get("apiVersion"),
            "kind": note.about.get("kind"),
            "namespace": metadata.get("namespace"),
            "name": metadata["name"],
            "uid": metadata.get("uid"),
            "resourceVersion": metadata.get("resourceVersion"),
        }
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{metadata['name'][:200].rstrip('.-')}.{hashlib.sha256(words.encode()).hexdigest()[:16]}",
                # The apiserver takes events about cluster-scoped objects in `default` only.
                "namespace": metadata.get("namespace") or "default",
            },
            "involvedObject": {name: value for name, value in involved.items() if value},
            "type": note.type,
            "reason": note.reason,
            "message": note.message[:_MESSAGE_LIMIT],
            "action": note.reason,
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
            "source": {"component": "keywright"},
            "reportingComponent": "keywright",
        }
