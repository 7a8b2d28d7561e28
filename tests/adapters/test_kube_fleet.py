"""Reading for people: what is missing in the cluster is one sentence with what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.adapters.kube_wire import a_kubeconfig, a_status
from tests.adapters.wire_server import http

from keywright.adapters.kube import KubeApi
from keywright.adapters.kube_fleet import FleetReader
from keywright.errors import Rejected, Unauthorized, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

    from tests.adapters.wire_server import WireServer

NO_PATH = http(404, b"404 page not found\n")


async def read(wire: WireServer, folder: Path, namespace: str | None, name: str | None = None) -> None:
    """Of the WireServer."""
    async with await KubeApi.connect(a_kubeconfig(folder / "kubeconfig", wire.url, {"token": "a-token"})) as api:
        await FleetReader(api, namespace, name).read()


@pytest.mark.parametrize("name", [None, "search"])
async def test_kinds_that_are_not_installed(wire: WireServer, tmp_path: Path, name: str | None):
    """The command to install them."""
    wire.answers(NO_PATH)
    with pytest.raises(Unavailable, match=r"not installed: run kubectl apply --server-side -f crds"):
        await read(wire, tmp_path, "prod", name)


async def test_a_name_that_is_none_is_not_taken_for_a_missing_kind(wire: WireServer, tmp_path: Path):
    """The apiserver tells the two apart."""
    wire.answers(http(404, a_status("NotFound", "not found", name="search")))
    with pytest.raises(Rejected, match="there is no ApiKey search in namespace prod"):
        await read(wire, tmp_path, "prod", "search")


@pytest.mark.parametrize(
    ("namespace", "words"),
    [("prod", "you may not list apikeys.keywright.dev in namespace prod"), (None, "in all namespaces")],
)
async def test_a_missing_right(wire: WireServer, tmp_path: Path, namespace: str | None, words: str):
    """The verb, the resource, where, and the role that has it."""
    wire.answers(http(403, a_status("Forbidden", "no")))
    with pytest.raises(Unauthorized, match=words) as caught:
        await read(wire, tmp_path, namespace)
    assert "ask for the ClusterRole keywright-view" in str(caught.value)


async def test_refused_credentials_are_no_missing_right(wire: WireServer, tmp_path: Path):
    """A role would not help."""
    wire.answers(http(401, a_status("Unauthorized", "no")))
    with pytest.raises(Unauthorized, match="401 Unauthorized"):
        await read(wire, tmp_path, "prod")
