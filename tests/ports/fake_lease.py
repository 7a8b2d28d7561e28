"""An apiserver as far as Leases go, and the lines that processes have to it, in the event loop's time.

What is on its way is committed when it arrives, whether the one who sent it still waits or not.
"""

from __future__ import annotations

import asyncio
import copy
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from keywright.adapters.kube_errors import Answer, error_of
from keywright.errors import Ambiguous, KeywrightError, NotLeading, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LOST", "FakeLeases", "LentLease", "Line"]

LEAST = 0.001
"""Seconds: the shortest deadline."""
LOST = float("inf")
"""Seconds on its way: it never arrives."""


@dataclass
class FakeLeases:
    """What is stored, by path."""

    stored: dict[str, dict[str, Any]] = field(default_factory=dict)
    version: int = 0

    def apply(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        """One request, as the apiserver does it. Raises what the adapter makes of its refusals."""
        name = path.rpartition("/")[2]
        at = f"{path}/{body['metadata']['name']}" if method == "POST" and body else path
        held = self.stored.get(at)
        match method:
            case "GET" if held:
                return copy.deepcopy(held)
            case "POST" if body and not held:
                return self._store(at, body)
            case "POST":
                raise _refusal(409, "AlreadyExists")
            case "PATCH" if held and body:
                if (
                    body["metadata"].get("resourceVersion", held["metadata"]["resourceVersion"])
                    != (held["metadata"]["resourceVersion"])
                ):
                    raise _refusal(409, "Conflict")
                return self._store(at, _merged(held, body))
            case "DELETE" if held:
                del self.stored[at]
                self.version += 1
                return {"kind": "Status"}
            case _:
                raise _refusal(404, "NotFound", name)

    def _store(self, at: str, wanted: dict[str, Any]) -> dict[str, Any]:
        """A write that changes nothing leaves the version as it is."""
        if wanted != self.stored.get(at):
            self.version += 1
            self.stored[at] = _merged(wanted, {"metadata": {"resourceVersion": str(self.version)}})
        return copy.deepcopy(self.stored[at])


@dataclass
class Line:
    """One process's connection: stands for its KubeApi.

    `there` and `back` give the seconds that a request and its answer take; `ready` is awaited before the process goes on,
    so that one that is frozen neither sends nor hears.
    """

    leases: FakeLeases
    there: Callable[[], float] = lambda: 0.005
    back: Callable[[], float] = lambda: 0.005
    ready: Callable[[], Any] = lambda: asyncio.sleep(0)
    sent: list[str] = field(default_factory=list)

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: dict[str, Any] | None = None,
        content_type: str = "application/json",
        deadline: float = 30.0,
    ) -> dict[str, Any]:
        """As KubeApi.request."""
        loop = asyncio.get_running_loop()
        there, back = self.there(), self.back()
        answer: asyncio.Future[dict[str, Any] | KeywrightError] = loop.create_future()

        def arrive() -> None:
            try:
                outcome: dict[str, Any] | KeywrightError = self.leases.apply(method, path, body)
            except KeywrightError as error:
                outcome = error
            if back < LOST:
                loop.call_later(back, lambda: answer.done() or answer.set_result(outcome))

        await self.ready()
        self.sent.append(method)
        if there < LOST:
            loop.call_later(there, arrive)
        try:
            async with asyncio.timeout(max(deadline, LEAST)):
                outcome = await answer
        except TimeoutError:
            kind = Unavailable if method == "GET" else Ambiguous
            outcome = kind(f"the apiserver's answer to {method} {path} did not arrive (TimeoutError)")
        await self.ready()
        if isinstance(outcome, KeywrightError):
            raise outcome
        return outcome

    async def close(self) -> None:
        """Nothing to give back."""


@dataclass
class LentLease:
    """A lease in the hands of a test: it lasts for `seconds`, and remembers for how long it was asked to."""

    seconds: float
    asked: list[float] = field(default_factory=list)

    def require(self, seconds: float) -> None:
        """As the port says."""
        self.asked.append(seconds)
        if not seconds < self.seconds:
            raise NotLeading("the lease is another process's")


def _refusal(status: int, reason: str, name: str = "") -> KeywrightError:
    body = {"kind": "Status", "reason": reason, "message": reason, "details": {"name": name}}
    return error_of(Answer("a request", status, json.dumps(body).encode(), None, write=True, confidential=False))


def _merged(obj: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """RFC 7386."""
    merged = {**obj}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key) or {}, value) if isinstance(value, dict) else value
    return merged
