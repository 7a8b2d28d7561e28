"""What would exhaust the operator: endless and exploding answers, no more files, a full disk for its log."""

from __future__ import annotations

import asyncio
import zlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.chaos.proxy import KEYS, FaultProxy
from tests.e2e.together import Scenarios
from tests.sinks import alone

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.proxy import Exchange, Fault
    from tests.chaos.stage import Stage

pytestmark = [pytest.mark.plane, pytest.mark.slow, pytest.mark.xdist_group("chaos-limits")]
scenarios = Scenarios(at_once=18)

MIB = 1024 * 1024
GIB = 1024 * MIB
ROOM = 48 * MIB
"""What an operator at work on a few keys may need more than at rest."""


def pours(piece: bytes, pieces: int, **headers: str) -> Fault:
    """A body of many pieces, for as long as anybody reads it."""

    async def fault(exchange: Exchange) -> bool:
        await exchange.forward()
        lines = ["HTTP/1.1 200 OK", "Content-Type: application/json"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await exchange.send("\r\n".join([*lines, "", ""]).encode())
        with suppress(ConnectionError):
            for _ in range(pieces):
                exchange.writer.write(piece)
                await exchange.writer.drain()
        return False

    return fault


def drips() -> Fault:
    """A body that comes byte by byte and does not end."""

    async def fault(exchange: Exchange) -> bool:
        await exchange.forward()
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
        while not exchange.writer.is_closing():
            await exchange.send(b" ")
            await asyncio.sleep(0.05)
        return False

    return fault


def explodes() -> Fault:
    """A gigabyte of blanks in a megabyte of gzip."""
    head = zlib.compressobj(9, zlib.DEFLATED, 31).flush(zlib.Z_SYNC_FLUSH)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = packer.compress(b" " * MIB) + packer.flush(zlib.Z_FULL_FLUSH)
    packed = head + piece * (GIB // MIB)
    return pours(packed, 1, Content_Encoding="gzip", Content_Length=str(len(packed)))


def redirects(to: str) -> Fault:
    """Somewhere else, with the method and the body kept."""

    async def fault(exchange: Exchange) -> bool:
        await exchange.send(f"HTTP/1.1 307 Moved\r\nLocation: {to}/v1/admin\r\nContent-Length: 0\r\n\r\n".encode())
        return True

    return fault


@scenarios
@alone("secret", "It is about the platform's answers; Vault's own: tests/adapters/test_vault_network.py.")
def answers_without_end(stage: Stage):
    """I14: cut off at a megabyte or at the deadline, an error like any other, and memory stays flat."""
    stage.be_impatient(20)
    operator = stage.an_operator()
    stage.create("warm")
    stage.ready("warm")
    faults = {
        "gigabyte": pours(b" " * MIB, 1024, Content_Length=str(GIB)),
        "endless": pours(b"100000\r\n" + b" " * MIB + b"\r\n", 1024, Transfer_Encoding="chunked"),
        "drip": drips(),
        "bomb": explodes(),
    }
    at_rest = operator.process.peak()
    operator.process.forget_peak()
    for name, fault in faults.items():
        stage.proxy.rule("POST", KEYS, fault, containing=f"/{name} [kw/")
        stage.proxy.rule("GET", rf".*name=%5Bkw/{stage.cluster_id}/", fault)  # the inventory's listing
        stage.create(name)
    stage.holds()
    assert operator.process.peak() - at_rest < ROOM
    for name in faults:
        [closed] = stage.status(name)["closedAttempts"]
        assert closed["outcome"] == "lost"


@scenarios
@alone("secret", "It is about the platform's answers; Vault's own: tests/adapters/test_vault_network.py.")
def a_redirect_to_another_host(stage: Stage):
    """I14: not followed: the admin key is shown to nobody else, and what the field must say is said."""
    elsewhere = FaultProxy(stage.world.loop, stage.sandbox.url)
    try:
        stage.an_operator()
        to_elsewhere = [stage.proxy.rule(m, ".*", redirects(elsewhere.url), times=None) for m in ("GET", "POST")]
        stage.create()
        message = stage.says("IssuerInvalid", of_type="Stalled")
        assert elsewhere.url in message
        assert "spec.mistral.url" in message
        for rule in to_elsewhere:
            rule.off = True
        stage.holds()
        assert elsewhere.seen == []
    finally:
        elsewhere.close()


@scenarios
def no_more_files(stage: Stage):
    """C12: without a descriptor for one more connection nothing is lost; a restart goes on from there, and so it does by itself."""
    operator = stage.an_operator()
    names = [f"key-{i:02}" for i in range(20)]

    def starves(cause: Callable[[str], object]) -> None:
        since = len(operator.said())
        operator.process.limit_files(operator.process.files())
        for name in names:
            cause(name)
        operator.says("(?i)too many open files", since)

    starves(lambda name: stage.create(name, rotation={"overlap": "0s"}))
    operator.kill()
    operator.start()
    stage.holds()
    assert operator.stop() == 0
    operator.start()  # without the connections that it had kept
    starves(lambda name: stage.annotate(name, rotate="now"))
    operator.process.limit_files(None)
    for name in names:
        stage.ready(name, revision=2)
    stage.holds()


@scenarios
def no_room_for_the_log(stage: Stage):
    """C12: a log that cannot be written stops nothing, and a restart with room goes on from there."""
    operator = stage.an_operator(started=False)
    operator.says_to = Path("/dev/full")
    operator.begin()
    for i in range(5):
        stage.create(f"key-{i}", rotation={"overlap": "0s"})
    stage.holds()
    for i in range(5):
        stage.annotate(f"key-{i}", rotate="now")
        stage.ready(f"key-{i}", revision=2)
    assert operator.process.poll() is None
    operator.kill()
    operator.says_to = None
    operator.start()
    stage.delete("key-0")
    stage.nothing_left("key-0")
    stage.holds()


@pytest.mark.parametrize("scenario", scenarios.names)
def test_limits(scenario: str, outcome: Callable[[Scenarios, str], None]):
    """What the scenario's own sentence says."""
    outcome(scenarios, scenario)
