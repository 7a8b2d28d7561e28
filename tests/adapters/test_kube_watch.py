"""A watch on a wire that goes wrong: whole objects in whatever pieces they come, and an end that says how to go on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.adapters.kube_wire import a_kubeconfig, a_status
from tests.adapters.wire_server import http, reset, then

from keywright.adapters.kube import KubeApi
from keywright.adapters.kube_errors import Gone
from keywright.errors import Unauthorized, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.adapters.wire_server import WireServer

KEYS = "/apis/keywright.dev/v1alpha1/apikeys"


@pytest.fixture
async def api(wire: WireServer, tmp_path: Path) -> AsyncIterator[KubeApi]:
    """A client of the WireServer."""
    async with await KubeApi.connect(a_kubeconfig(tmp_path / "kubeconfig", wire.url, {"token": "a-token"})) as api:
        yield api


def an_event(of_type: str, name: str, **more: Any) -> bytes:
    """One line."""
    obj = {"metadata": {"name": name, "resourceVersion": "9"}, **more}
    return json.dumps({"type": of_type, "object": obj}).encode() + b"\n"


def chunked(*pieces: bytes) -> bytes:
    """An answer in these pieces, that ends."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


async def seen(api: KubeApi) -> list[tuple[str, str]]:
    """Type and name of each event until the watch ends."""
    events = api.watch(KEYS, 7, params={"fieldSelector": "metadata.name=a"})
    return [(event["type"], event["object"]["metadata"]["name"]) async for event in events]


async def test_lines_are_whole_whatever_pieces_they_come_in(wire: WireServer, api: KubeApi):
    """Several in one piece, one in several, and one that is longer than a reader's buffer."""
    long = an_event("MODIFIED", "b", data="x" * 300_000)
    two = an_event("ADDED", "a") + long[:10]
    wire.answers(chunked(two, long[10:200_000], long[200_000:], an_event("BOOKMARK", "")))
    assert await seen(api) == [("ADDED", "a"), ("MODIFIED", "b"), ("BOOKMARK", "")]
    asked = wire.seen[0].target
    assert asked.startswith(f"{KEYS}?")
    for part in ("watch=1", "resourceVersion=7", "allowWatchBookmarks=true", "fieldSelector=metadata.name%3Da"):
        assert part in asked


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(http(410, a_status("Expired")), Gone, id="too old at once"),
        pytest.param(
            chunked(json.dumps({"type": "ERROR", "object": a_status("Expired") | {"code": 410}}).encode() + b"\n"),
            Gone,
            id="too old meanwhile",
        ),
        pytest.param(http(403, a_status("Forbidden", "no")), Unauthorized, id="no right"),
        pytest.param(reset, Unavailable, id="broken off"),
        pytest.param(then(chunked(an_event("ADDED", "a"))[:-9]), Unavailable, id="cut off"),
        pytest.param(chunked(b"<html>\n"), Unavailable, id="no JSON"),
    ],
)
async def test_an_end_says_how_to_go_on(wire: WireServer, api: KubeApi, answer: Any, error: type[Exception]):
    """List again, try again, or give up."""
    wire.answers(answer)
    with pytest.raises(error):
        await seen(api)
