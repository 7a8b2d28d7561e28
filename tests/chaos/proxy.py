"""A proxy of the tests' own between operator and platform, which does to chosen requests what networks and platforms do.

Tests command it from their threads; it works in the loop of a thread that all proxies share. It passes bytes on as they
are: what it does not disturb is the platform's own answer.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["KEYS", "ONE_KEY", "Exchange", "FaultProxy", "Gate", "Hold", "Loop", "Rule", "answers", "cuts", "slow"]

KEYS = r"/v1/admin/api-keys(\?.*)?"
"""Where keys are made and listed."""
ONE_KEY = r"/v1/admin/api-keys/[0-9a-f-]+"
"""Where one is deleted."""

_PATIENCE = 120.0
"""Seconds for what takes none on an idle machine."""


class Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies")
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Have it done there; returns its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE)

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass
class Exchange:
    """One request, and the connection that waits for its answer."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    writer: asyncio.StreamWriter = field(repr=False)
    raw: bytes = field(repr=False)
    upstream: tuple[str, int]
    at: float = field(default_factory=time.monotonic)
    status: int | None = None
    """What the platform answered; None: it was not asked."""
    answer: bytes = field(default=b"", repr=False)
    """Head and body of it, whoever got to see it."""

    async def forward(self) -> bytes:
        """Ask the platform, once; its whole answer."""
        reader, writer = await asyncio.wait_for(asyncio.open_connection(*self.upstream), _PATIENCE)
        try:
            writer.write(self.raw)
            answer = await reader.read()
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()  # else the loop may end before the socket does
        self.status, self.answer = int(answer.split(b" ", 2)[1]), answer
        # The platform was asked to close the connection; the operator was not.
        return re.sub(rb"\r\nconnection: close(?=\r\n)", b"", answer, count=1, flags=re.IGNORECASE)

    async def send(self, data: bytes) -> None:
        """Answer with these bytes."""
        self.writer.write(data)
        with suppress(ConnectionError):  # whoever asked may be gone
            await self.writer.drain()

    def reset(self) -> None:
        """Cut the connection, as a middlebox does."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Fault = Callable[[Exchange], Awaitable[bool]]
"""What becomes of an exchange; True: the connection stays."""


async def passes(exchange: Exchange) -> bool:
    """No fault."""
    await exchange.send(await exchange.forward())
    return True


def answers(
    status: int, body: Any = b"", *, committed: bool = False, cut_at: int | None = None, **headers: str
) -> Fault:
    """Answer so, after the platform has done as asked (`committed`) or without asking it; `cut_at`: so many bytes of it."""
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def fault(exchange: Exchange) -> bool:
        if committed:
            await exchange.forward()
        lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(payload)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await exchange.send("\r\n".join([*lines, "", ""]).encode() + payload[:cut_at])
        return cut_at is None

    return fault


def truncated() -> Fault:
    """The platform's own answer, without its last half."""

    async def fault(exchange: Exchange) -> bool:
        head, _, body = (await exchange.forward()).partition(b"\r\n\r\n")
        await exchange.send(head + b"\r\n\r\n" + body[: len(body) // 2])
        return False

    return fault


def cuts(*, committed: bool) -> Fault:
    """A reset instead of an answer, after the platform has done as asked or before it was asked."""

    async def fault(exchange: Exchange) -> bool:
        if committed:
            await exchange.forward()
        exchange.reset()
        return False

    return fault


def slow(seconds: float) -> Fault:
    """The answer comes later."""

    async def fault(exchange: Exchange) -> bool:
        await asyncio.sleep(seconds)
        return await passes(exchange)

    return fault


class Hold:
    """Keeps a request where it is until told: before the platform is asked, or once it has answered."""

    def __init__(self, *, committed: bool) -> None:
        self._committed = committed
        self._met: Future[Exchange] = Future()
        self._go: Future[bool] = Future()

    async def __call__(self, exchange: Exchange) -> bool:
        """The fault."""
        answer = await exchange.forward() if self._committed else None
        self._met.set_result(exchange)
        if not await asyncio.shield(asyncio.wrap_future(self._go)):
            exchange.reset()
            return False
        await exchange.send(answer or await exchange.forward())
        return True

    def met(self, seconds: float = _PATIENCE) -> Exchange:
        """The request, once it is held."""
        return self._met.result(seconds)

    def release(self) -> None:
        """Let it go on."""
        self._go.set_result(True)

    def drop(self) -> None:
        """Cut it off."""
        self._go.set_result(False)


@dataclass
class Rule:
    """Which requests meet a fault, and how many of them; `times` None: all. `met` counts."""

    method: str
    path: re.Pattern[str]
    fault: Fault
    times: int | None
    containing: str
    met: int = 0
    off: bool = False

    def takes(self, exchange: Exchange) -> bool:
        """Whether this request is one of them; if so it is counted."""
        over = self.off or (self.times is not None and self.met >= self.times)
        if over or exchange.method != self.method or not self.path.fullmatch(exchange.target):
            return False
        if self.containing not in unquote(exchange.target) + exchange.body.decode():
            return False
        self.met += 1
        return True


class Gate:
    """Keeps requests where they are until it is opened: before the platform is asked, or once it has answered."""

    def __init__(self, *, committed: bool) -> None:
        self._committed = committed
        self._go: Future[None] = Future()
        self.rule: Rule | None = None
        """Which requests come to it."""

    async def __call__(self, exchange: Exchange) -> bool:
        """The fault."""
        answer = await exchange.forward() if self._committed else None
        await asyncio.shield(asyncio.wrap_future(self._go))
        await exchange.send(answer or await exchange.forward())
        return True

    @property
    def waiting(self) -> int:
        """How many have come to it."""
        return self.rule.met if self.rule else 0

    def open(self) -> None:
        """Let them go on; those that come later do not come here."""
        if self.rule:
            self.rule.off = True
        self._go.set_result(None)


class FaultProxy:
    """One listener on loopback before one platform."""

    def __init__(self, loop: Loop, upstream: str) -> None:
        """`upstream`: the platform's URL."""
        self._loop = loop
        self.upstream = upstream
        """May be changed: requests go there from then on."""
        # Bound and never listening: the port stays ours while nobody listens on it, and connections are refused.
        self._keeper = _bound(0)
        self.port = self._keeper.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.seen: list[Exchange] = []
        """All that were asked, in order."""
        self._rules: list[Rule] = []
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}
        self.up()

    def rule(self, method: str, path: str, fault: Fault, *, times: int | None = 1, containing: str = "") -> Rule:
        """From now on such requests meet this fault; `containing`: with this in target or body. An earlier rule goes first."""
        rule = Rule(method, re.compile(path), fault, times, containing)
        self._rules.append(rule)
        return rule

    def hold(self, method: str, path: str, *, committed: bool, containing: str = "") -> Hold:
        """Hold the next such request."""
        hold = Hold(committed=committed)
        self.rule(method, path, hold, containing=containing)
        return hold

    def gate(self, method: str, path: str, *, through: int, committed: bool, containing: str = "") -> Gate:
        """Let so many such requests through; the others wait until it is opened."""
        self.rule(method, path, passes, times=through, containing=containing)
        gate = Gate(committed=committed)
        gate.rule = self.rule(method, path, gate, times=None, containing=containing)
        return gate

    def asked(self, method: str, path: str, *, containing: str = "") -> list[Exchange]:
        """All such requests so far."""
        rule = Rule(method, re.compile(path), passes, None, containing)
        return [exchange for exchange in list(self.seen) if rule.takes(exchange)]

    def up(self) -> None:
        """Listen."""
        self._loop.run(self._listen())

    def down(self) -> None:
        """Refuse connections, and reset those that are open."""
        self._loop.run(self._refuse())

    def close(self) -> None:
        """For good, whatever is still held."""
        self.down()
        self._loop.run(self._let_go())
        self._keeper.close()

    async def _listen(self) -> None:
        listening = _bound(self.port)
        self._server = await asyncio.start_server(self._serve, sock=listening)

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._open.values()):
            writer.transport.abort()

    async def _let_go(self) -> None:
        serving = [task for task in self._open if task is not None]
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open[asyncio.current_task()] = writer
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            pass  # either side is gone: so is the other, for whom it is
        finally:
            self._open.pop(asyncio.current_task(), None)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        request, *lines = head.decode("latin-1").strip().split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        method, target, _ = request.split(" ")
        host, _, port = self.upstream.removeprefix("http://").partition(":")
        raw = head[:-2] + b"Connection: close\r\n\r\n" + body
        exchange = Exchange(method, target, headers, body, writer, raw, (host, int(port)))
        self.seen.append(exchange)
        rule = next((rule for rule in self._rules if rule.takes(exchange)), None)
        return await (rule.fault if rule else passes)(exchange)


def _bound(port: int) -> socket.socket:
    """A socket on a port that several of ours may be bound to."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound
