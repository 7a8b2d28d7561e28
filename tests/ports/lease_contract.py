"""What the election relies on: how an apiserver keeps Leases, real or in memory. Methods over an `api`, in `folder`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest

from keywright.adapters.kube import MERGE_PATCH
from keywright.adapters.kube_errors import NotFound
from keywright.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Awaitable

__all__ = ["LeaseContract"]

RENEWED = "2026-11-24T12:00:00.654321Z"
LEASE = {
    "apiVersion": "coordination.k8s.io/v1",
    "kind": "Lease",
    "metadata": {"name": "keywright", "labels": {"app": "keywright"}},
    "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": RENEWED, "leaseTransitions": 0},
}


class Api(Protocol):
    """As much of a KubeApi as the election uses."""

    def request(self, method: Any, path: str, *, body: Any = None, content_type: str = ...) -> Awaitable[Any]:
        """One request."""
        ...


def version_of(lease: dict[str, Any]) -> str:
    """Its resourceVersion."""
    return lease["metadata"]["resourceVersion"]


async def patched(api: Api, folder: str, version: str, **spec: Any) -> dict[str, Any]:
    """A guarded merge patch of the spec."""
    body = {"metadata": {"resourceVersion": version}, "spec": spec}
    return await api.request("PATCH", f"{folder}/keywright", body=body, content_type=MERGE_PATCH)


class LeaseContract:
    """Subclasses give `api` and `folder`: the path of a namespace's Leases, in which there is none yet."""

    async def test_it_stands_as_it_was_written(self, api: Api, folder: str):
        """The spec, to the microsecond, with a resourceVersion."""
        made = await api.request("POST", folder, body=LEASE)
        read = await api.request("GET", f"{folder}/keywright")
        assert made["spec"] == read["spec"] == LEASE["spec"]
        assert version_of(made) == version_of(read)

    async def test_of_two_who_create_it_one_is_refused(self, api: Api, folder: str):
        """With a Conflict."""
        await api.request("POST", folder, body=LEASE)
        with pytest.raises(Conflict):
            await api.request("POST", folder, body=LEASE)

    async def test_a_patch_changes_what_it_names_and_the_version(self, api: Api, folder: str):
        """The rest of the spec and the labels stay."""
        made = await api.request("POST", folder, body=LEASE)
        renewed = await patched(api, folder, version_of(made), renewTime="2026-11-24T12:00:02.000001Z")
        assert renewed["spec"] == made["spec"] | {"renewTime": "2026-11-24T12:00:02.000001Z"}
        assert renewed["metadata"]["labels"] == {"app": "keywright"}
        assert version_of(renewed) != version_of(made)

    async def test_of_two_who_patch_one_version_one_is_refused(self, api: Api, folder: str):
        """The later one, and what it wanted is not there."""
        made = await api.request("POST", folder, body=LEASE)
        await patched(api, folder, version_of(made), holderIdentity="b")
        with pytest.raises(Conflict):
            await patched(api, folder, version_of(made), holderIdentity="c")
        assert (await api.request("GET", f"{folder}/keywright"))["spec"]["holderIdentity"] == "b"

    async def test_a_patch_that_changes_nothing_leaves_the_version(self, api: Api, folder: str):
        """So that nobody else could see it."""
        made = await api.request("POST", folder, body=LEASE)
        assert version_of(await patched(api, folder, version_of(made), renewTime=RENEWED)) == version_of(made)

    async def test_it_can_be_emptied(self, api: Api, folder: str):
        """As the one who gives it back does."""
        made = await api.request("POST", folder, body=LEASE)
        emptied = await patched(api, folder, version_of(made), holderIdentity="", leaseDurationSeconds=1)
        assert emptied["spec"].get("holderIdentity") in ("", None)

    async def test_absence_is_told_by_name(self, api: Api, folder: str):
        """To those who read and to those who patch."""
        for request in (
            api.request("GET", f"{folder}/keywright"),
            api.request("PATCH", f"{folder}/keywright", body={"metadata": {}, "spec": {}}, content_type=MERGE_PATCH),
        ):
            with pytest.raises(NotFound) as caught:
                await request
            assert caught.value.named
