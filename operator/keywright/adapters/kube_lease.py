"""The right to act, as a Lease object (coordination.k8s.io/v1): acquired, renewed, given back.

Owns the arithmetic of who may act until when, by the local clock alone. What the holder promises itself counts from
before its renewal was sent; what the others wait for counts from when they have seen that renewal, which is later. So
two clocks are never compared, and only their speed may differ. Must not end the process (wiring does), nor share its
connections with the work: a renewal never queues behind it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from keywright.adapters.kube import MERGE_PATCH, path_of
from keywright.adapters.kube_errors import NotFound
from keywright.errors import Ambiguous, Conflict, NotLeading, Retryable, Terminal
from keywright.planning.leases import EVERYWHERE, NAMESPACED, SYSTEM

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection
    from datetime import datetime

    from keywright.adapters.kube import KubeApi

__all__ = ["KubeLease", "Place", "longest_call", "place_of"]

_log = logging.getLogger(__name__)

_PREFIX: Final = "/apis/coordination.k8s.io/v1"

# All times are shares of the lease's duration, so that one option sets them all; beside each, what it is of 15 s.

_RENEW: Final = 2 / 15
"""Between renewals (2 s, as client-go): so often that right before one the lease still outlives the longest call."""

_LOOK: Final = 1 / 15
"""Between looks of those who wait, and between tries of a renewal that fails (1 s). A dead holder's lease runs out a
duration after its last renewal was seen, which is at most one look late: with the take-over, within 1.2 durations."""

_REQUEST: Final = 1 / 5
"""The deadline of one request (3 s): three tries fit between the last renewal and the end."""

_CALL: Final = 2 / 3
"""The longest call that the lease has to outlive (10 s). The rest is for the time since the last renewal (2 s), one
that comes late by as much, and the slack."""

_SLACK: Final = 1 / 20
"""What the holder takes off its lease (0.75 s): its clock may be slower than the others' by so much. Clocks that are
being set run up to 8 % fast or slow with chrony, for minutes after a start; 0.05 % with all others."""

_RELEASE: Final = 2.0
"""Seconds for giving the lease back: the last part of a pod's 30."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the Lease lies."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def place_of(namespaces: Collection[str], own: str | None) -> Place:
    """The Lease of all operators that serve these namespaces (none: the whole cluster), and of no others.

    `own`: the pod's namespace; None outside of a cluster. Whoever serves other namespaces has a Lease of another name,
    also where it lies beside: else one of the two would stand by for good, and its namespaces would be served by nobody.
    """
    served = sorted(set(namespaces))
    if not served:
        return Place(own or SYSTEM, EVERYWHERE)
    where = own or served[0]
    if served == [where]:
        return Place(where, NAMESPACED)
    return Place(where, f"keywright-{hashlib.sha256(','.join(served).encode()).hexdigest()[:8]}")


def longest_call(duration: float) -> float:
    """Seconds that a call to an issuer may take under leases of so many seconds."""
    return duration * _CALL


@dataclass(frozen=True, slots=True)
class _Record:
    """What stands in the Lease: the holder ("": nobody), its promise in seconds (None: not said), and the resourceVersion."""

    holder: str
    seconds: float | None
    transitions: int
    version: str

    @classmethod
    def of(cls, lease: dict[str, Any]) -> Self:
        """Anybody may have written it: what is missing is so little that nothing depends on it."""
        spec = lease.get("spec") or {}
        return cls(
            holder=spec.get("holderIdentity") or "",
            seconds=spec.get("leaseDurationSeconds"),
            transitions=spec.get("leaseTransitions") or 0,
            version=lease["metadata"]["resourceVersion"],
        )


@dataclass(frozen=True, slots=True)
class _Seen:
    """The Lease stands at this version ("": it is absent) since `at` at the latest, and is to be left alone for `seconds`."""

    version: str
    at: float
    seconds: float


class _LostError(Exception):
    """The lease is somebody else's."""


class KubeLease:
    """One process's part in the election; implements keywright.ports.lease.Lease. Once lost, it is lost for good."""

    def __init__(
        self,
        api: KubeApi,
        place: Place,
        *,
        identity: str,
        duration: float,
        clock: Callable[[], float],
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        """`api`: a connection of its own, closed with this. `identity`: of this process alone. `duration`: whole seconds.

        `clock`: seconds that go on while the process or the machine is stopped. `now` gives aware UTC, for people to
        read: nothing is reckoned by it.
        """
        self.place = place
        self._api = api
        self._identity = identity
        self._duration = duration
        self._clock = clock
        self._now = now
        self._sleep = sleep
        self._valid_until = float("-inf")
        self._over: str | None = None
        self._version: str | None = None
        self._seen = _Seen("", float("-inf"), 0.0)
        self._stamp: datetime | None = None
        self._said = ""

    def require(self, seconds: float) -> None:
        """As the port says."""
        if self._over is not None:
            raise NotLeading(f"the lease {self.place} is not this process's any more: {self._over}")
        if not self._lasts(seconds):
            raise NotLeading(f"this process does not hold the lease {self.place}, or not for {seconds:g} s more")

    async def acquire(self) -> None:
        """Wait until this process holds the lease, however long that takes."""
        while not self._lasts(0.0):
            pause = self._duration * _LOOK
            try:
                pause = min(pause, await self._try_to_take())
            except Conflict:
                _log.debug("somebody else took the lease %s first", self.place)
            except (Retryable, Ambiguous, Terminal) as error:
                self._say(logging.WARNING, f"waiting for the lease {self.place}: {error}")
                pause = max(pause, (isinstance(error, Retryable) and error.after) or 0.0)
            await self._sleep(pause)

    async def hold(self) -> str:
        """Renew the lease again and again; returns once it is lost, with the reason. `require` refuses from that instant on."""
        pause = self._duration * _RENEW
        while True:
            await self._sleep(max(0.0, min(pause, self._valid_until - self._clock())))
            try:
                await self._renew()
            except _LostError as lost:
                self._over = str(lost)
                return self._over
            except (Retryable, Ambiguous, Terminal) as error:
                left = self._valid_until - self._clock()
                _log.warning("the lease %s could not be renewed and ends in %.1f s: %s", self.place, left, error)
                pause = self._duration * _LOOK
            else:
                pause = self._duration * _RENEW

    async def release(self) -> None:
        """Give the lease back, if it is held, so that nobody has to wait until it runs out; `require` refuses from now on."""
        held = self._over is None and self._lasts(0.0)
        self._over = self._over or "it was given back"
        if not held:
            return
        try:
            async with asyncio.timeout(_RELEASE):
                version = self._version or await self._version_if_ours(_RELEASE)
                spec = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": self._next_stamp()}
                await self._patch(version, spec, _RELEASE)
        except (Retryable, Ambiguous, Terminal, TimeoutError, _LostError) as error:
            _log.info("the lease %s could not be given back and will run out by itself: %s", self.place, error)
        else:
            _log.info("the lease %s is given back", self.place)

    async def close(self) -> None:
        """Give the connection back."""
        await self._api.close()

    def _lasts(self, seconds: float) -> bool:
        return self._clock() + seconds < self._valid_until

    # Taking it.

    async def _try_to_take(self) -> float:
        """Take the lease where it is free; else the seconds until it may be. Raises what the apiserver's adapter raises."""
        record = await self._read(self._duration * _REQUEST)
        left = self._left(record, self._clock())
        if left > 0:
            if record is not None:
                self._say(logging.INFO, f"standing by: the lease {self.place} is held by {record.holder}")
            return left
        sent_at = self._clock()
        stamp = self._next_stamp()
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(self._duration),
            "acquireTime": stamp,
            "renewTime": stamp,
            "leaseTransitions": 0 if record is None else record.transitions + (record.holder != self._identity),
        }
        if record is None:
            lease = await self._create(spec)
        else:
            lease = await self._patch(record.version, spec, self._duration * _REQUEST)
        self._confirm(lease, sent_at)
        self._say(logging.INFO, f"leading: this process, {self._identity}, holds the lease {self.place}")
        return 0.0

    def _left(self, record: _Record | None, at: float) -> float:
        """Seconds until the lease may be taken, as seen at this time: whatever is other than at the last look counts from now.

        One that has vanished may still be held by somebody who does not know it yet; one that was never seen is new.
        """
        version = "" if record is None else record.version
        if version != self._seen.version:
            said = None if record is None else record.seconds
            self._seen = _Seen(version, at, self._duration if said is None else said)
        if record is not None and record.holder in ("", self._identity):
            return 0.0
        return self._seen.at + self._seen.seconds - at

    # Keeping it.

    async def _renew(self) -> None:
        """One renewal. Raises _LostError, and what the apiserver's adapter raises where it may be tried again."""
        version = self._version or await self._version_if_ours(self._in_time())
        # Until the answer is there nobody knows what stands.
        self._version = None
        deadline, sent_at = self._in_time(), self._clock()
        try:
            lease = await self._patch(version, {"renewTime": self._next_stamp()}, deadline)
        except Conflict:
            # Somebody wrote to it: an earlier renewal of ours whose answer was lost, a label, or another holder.
            self._version = await self._version_if_ours(self._in_time())
            raise
        except NotFound as error:
            if error.named:
                raise _LostError("somebody deleted it") from None
            raise
        self._confirm(lease, sent_at)

    def _in_time(self) -> float:
        """The deadline of a request that is to keep the lease. Raises _LostError where it would leave too late."""
        left = self._valid_until - self._clock()
        if left <= 0:
            raise _LostError("it could not be renewed in time")
        return min(self._duration * _REQUEST, left)

    async def _version_if_ours(self, deadline: float) -> str:
        record = await self._read(deadline)
        if record is None:
            raise _LostError("somebody deleted it")
        if record.holder != self._identity:
            raise _LostError(f"{record.holder} holds it" if record.holder else "somebody emptied it")
        return record.version

    def _confirm(self, lease: dict[str, Any], sent_at: float) -> None:
        self._version = _Record.of(lease).version
        self._valid_until = sent_at + self._duration * (1 - _SLACK)

    # Requests.

    async def _read(self, deadline: float) -> _Record | None:
        path = path_of(_PREFIX, "leases", self.place.namespace, self.place.name)
        try:
            return _Record.of(await self._api.request("GET", path, deadline=deadline))
        except NotFound as error:
            if not error.named:
                raise
            return None

    async def _create(self, spec: dict[str, Any]) -> dict[str, Any]:
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.place.name, "labels": {"app.kubernetes.io/name": "keywright"}},
            "spec": spec,
        }
        path = path_of(_PREFIX, "leases", self.place.namespace)
        return await self._api.request("POST", path, body=body, deadline=self._duration * _REQUEST)

    async def _patch(self, version: str, spec: dict[str, Any], deadline: float) -> dict[str, Any]:
        """A merge patch that names the resourceVersion it was made for: of two who try, one gets a Conflict."""
        path = path_of(_PREFIX, "leases", self.place.namespace, self.place.name)
        body = {"metadata": {"resourceVersion": version}, "spec": spec}
        return await self._api.request("PATCH", path, body=body, content_type=MERGE_PATCH, deadline=deadline)

    def _next_stamp(self) -> str:
        """A MicroTime, always later than the one before, whatever becomes of the wall clock.

        A patch that changes nothing leaves the resourceVersion: the holder would count from it, the others from the one before.
        """
        now = self._now()
        self._stamp = max(now, self._stamp + timedelta(microseconds=1)) if self._stamp else now
        return self._stamp.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _say(self, level: int, words: str) -> None:
        """Once in a row."""
        if words != self._said:
            self._said = words
            _log.log(level, "%s", words)
