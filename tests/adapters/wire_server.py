"""A server that answers byte by byte as a test says: the ways in which a platform goes wrong on the wire."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import string
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

__all__ = [
    "ADMIN",
    "USER",
    "Script",
    "Seen",
    "WireServer",
    "a_plaintext",
    "cut",
    "drip",
    "hang",
    "http",
    "patience",
    "reset",
    "then",
]

ADMIN = "/v1/admin"
USER = "5c1f0c4e-6d0c-4b8e-9f0e-1d2c3b4a5968"

Script = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]
"""What one request gets: bytes on a connection that stays, or a program after which it is closed."""


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class WireServer:
    """A TCP server on loopback that speaks as much HTTP as its scripts; the last script is repeated."""

    scripts: list[Script] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    url: str = ""

    def answers(self, *scripts: Script) -> None:
        """Set what the next requests get."""
        self.scripts = list(scripts)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        request, *lines = head.strip().split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        method, target, _ = request.split(" ")
        self.seen.append(Seen(method, target, headers, body))
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        if isinstance(script, bytes):
            writer.write(script)
            await writer.drain()
            return True
        await script(writer)
        return False


def http(status: int, body: object = b"", **headers: str) -> bytes:
    """A whole answer; anything but bytes is sent as JSON."""
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(payload)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + payload


def a_plaintext() -> str:
    """A key as the platform makes them, made up for one test."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(32))


async def cut(_writer):
    """Close without a word."""


def patience(script: Script) -> float | None:
    """Seconds of deadline for a script: short where nothing but the deadline ends it, else the spec's own."""
    return 1.0 if getattr(script, "endless", False) else None


async def reset(writer):
    """Close with a TCP reset."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def hang(writer):
    """Say nothing until the client leaves."""
    await writer.wait_closed()


hang.endless = True


def then(data: bytes, after=cut):
    """Send some bytes, then go on as `after` does."""

    async def script(writer):
        writer.write(data)
        await writer.drain()
        await after(writer)

    script.endless = getattr(after, "endless", False)
    return script


async def drip(writer):
    """An endless body, byte by byte."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


drip.endless = True
