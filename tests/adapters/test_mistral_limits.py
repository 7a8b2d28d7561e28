"""What bounds the traffic with Mistral: once only, size, pauses, budget, deadline."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc

import pytest
from tests.adapters.mistral_answers import EMPTY_LIST, KEY_ID, PLAINTEXT, REQUEST
from tests.adapters.wire_server import cut, hang, http

from keywright.adapters import httpclient
from keywright.errors import Ambiguous, KeywrightError, RateLimited, Retryable, Unavailable
from keywright.keys import KeyId, SecretValue


async def test_nothing_is_sent_twice_on_a_connection_that_dies(wire, an_issuer):
    """A kept connection that breaks on its second request: aiohttp would send GET and DELETE again, we do not."""
    for call in (
        lambda issuer: issuer.create(REQUEST),
        lambda issuer: issuer.revoke(KeyId(KEY_ID)),
        lambda issuer: issuer.list_keys(),
    ):
        issuer = an_issuer()
        wire.answers(EMPTY_LIST, cut)
        await issuer.list_keys()
        before, connections = len(wire.seen), wire.connections
        with pytest.raises(KeywrightError):
            await call(issuer)
        assert (len(wire.seen) - before, wire.connections) == (1, connections)


@pytest.mark.parametrize(
    "script",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: ",
    ],
    ids=["announced", "until closed", "in a header"],
)
async def test_an_answer_of_a_gigabyte_is_cut_off(wire, an_issuer, script):
    """Reading stops at the limit: the server gets rid of a few megabytes at most, and memory stays flat."""
    given = 0

    async def flood(writer):
        nonlocal given
        writer.write(script)
        block = b"a" * 65536
        while given < 2**30 and not writer.is_closing():
            writer.write(block)
            await writer.drain()
            given += len(block)

    wire.answers(flood)
    tracemalloc.start()
    try:
        with pytest.raises(Unavailable):
            await an_issuer().list_keys()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert given < 32 * 2**20
    assert peak < 16 * 2**20


async def test_a_compressed_bomb_is_cut_off(wire, an_issuer):
    """64 MiB in 64 KiB: no more than the limit is ever unpacked; for a create it is ambiguous."""
    bomb = http(200, gzip.compress(b" " * 2**26, compresslevel=6), Content_Encoding="gzip")
    wire.answers(bomb)
    tracemalloc.start()
    try:
        with pytest.raises(Unavailable, match="larger than 1024 KiB"):
            await an_issuer().workspaces()
        with pytest.raises(Ambiguous):
            await an_issuer().create(REQUEST)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * 2**20


async def test_compressed_answers_are_read(wire, an_issuer):
    """Compression by gzip is asked for and understood."""
    wire.answers(http(200, gzip.compress(b'{"keys": []}'), Content_Encoding="gzip"))
    assert await an_issuer().list_keys() == []
    assert "gzip" in wire.seen[0].headers["accept-encoding"]


@pytest.mark.parametrize(
    ("headers", "after"),
    [
        ({}, 5),
        ({"Retry_After": "30"}, 30),
        ({"Retry_After": "0"}, 1),
        ({"Retry_After": "1000000"}, 3600),
        ({"Retry_After": "-5"}, 5),
        ({"Retry_After": "9" * 40}, 5),
        ({"Retry_After": "soon"}, 5),
        ({"Retry_After": "Tue, 01 Jan 2030 00:01:30 GMT", "Date": "Tue, 01 Jan 2030 00:00:00 GMT"}, 90),
        ({"Retry_After": "Tue, 01 Jan 2030 00:00:00 GMT", "Date": "Tue, 01 Jan 2030 00:01:00 GMT"}, 1),
        ({"Retry_After": "Tue, 01 Jan 2030 00:01:30 GMT"}, 5),
    ],
    ids=lambda value: ",".join(value.values())[:40] if isinstance(value, dict) else str(value),
)
async def test_a_429_quiets_the_whole_issuer(wire, an_issuer, headers, after):
    """Further calls of any kind raise at once, without a request and in the same words, for as long as was asked."""
    issuer = an_issuer()
    wire.answers(http(429, **headers))
    with pytest.raises(RateLimited) as first:
        await issuer.create(REQUEST)
    assert first.value.after == pytest.approx(after)
    for call in (issuer.create(REQUEST), issuer.list_keys(), issuer.check(SecretValue(PLAINTEXT))):
        with pytest.raises(RateLimited) as further:
            await call
        assert after - 1 < further.value.after <= after
        assert str(further.value) == str(first.value)
    assert len(wire.seen) == 1


async def test_after_the_pause_calls_go_through_again(wire, an_issuer, monkeypatch):
    """The pause ends by itself."""
    monkeypatch.setattr(httpclient, "_SHORTEST_PAUSE", 0.05)
    issuer = an_issuer()
    wire.answers(http(429, Retry_After="0"), EMPTY_LIST)
    with pytest.raises(RateLimited):
        await issuer.list_keys()
    async with asyncio.timeout(10):
        while True:
            try:
                assert await issuer.list_keys() == []
            except RateLimited as paused:
                await asyncio.sleep(paused.after)
            else:
                break
    assert len(wire.seen) == 2


async def test_a_503_passes_on_how_long_to_wait(wire, an_issuer):
    """Retry-After of a 503 reaches the caller, but quiets nobody else."""
    issuer = an_issuer()
    wire.answers(http(503, Retry_After="17"), EMPTY_LIST)
    with pytest.raises(Retryable) as caught:
        await issuer.list_keys()
    assert caught.value.after == 17
    assert await issuer.list_keys() == []


async def test_requests_keep_to_the_budget_and_waiting_for_it_is_no_time_out(wire, an_issuer):
    """Five calls at 2 per second, one at once: the last waits longer than its deadline, and still gets through."""
    wire.answers(EMPTY_LIST)
    issuer = an_issuer(per_second=2, burst=1, deadline=1.9)
    loop = asyncio.get_running_loop()
    started = loop.time()
    await asyncio.gather(*(issuer.list_keys() for _ in range(5)))
    assert loop.time() - started >= 1.99


async def test_each_request_is_counted(wire, an_issuer):
    """Operation, status or what happened instead, and seconds; what was not sent is not counted."""
    counted = []
    issuer = an_issuer(on_request=lambda *one: counted.append(one))
    wire.answers(EMPTY_LIST, hang, cut, http(429))
    await issuer.list_keys()
    patient = issuer._client._deadline
    for deadline in (0.5, patient, patient, patient):  # short for the one that nothing else ends
        issuer._client._deadline = deadline
        with pytest.raises(KeywrightError):
            await issuer.create(REQUEST)
    assert [one[:2] for one in counted] == [
        ("list", "200"),
        ("create", "timeout"),
        ("create", "cut"),
        ("create", "429"),
    ]
    assert all(0 <= seconds < 5 for *_, seconds in counted)


async def test_a_closed_issuer_sends_nothing(wire, an_issuer):
    """After close calls fail as not sent, a create included."""
    issuer = an_issuer()
    wire.answers(EMPTY_LIST)
    await issuer.list_keys()
    await issuer.close()
    with pytest.raises(Unavailable):
        await issuer.create(REQUEST)
    assert len(wire.seen) == 1
