"""The port `Ending` on a real apiserver: what `keywright revoke` changes there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keywright.adapters.kube import MERGE_PATCH, path_of
from keywright.adapters.kube_errors import NotFound
from keywright.adapters.kube_objects import not_installed
from keywright.api.base import GROUP, VERSION

if TYPE_CHECKING:
    from keywright.adapters.kube import KubeApi
    from keywright.keys import ResourceKey
    from keywright.ports.cluster import Object

__all__ = ["KubeEnding"]

_PREFIX: Final = f"/apis/{GROUP}/{VERSION}"
_DRY: Final = {"dryRun": "All"}


class KubeEnding:
    """Implements keywright.ports.ending.Ending."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api

    async def seen(self, key: ResourceKey) -> Object | None:
        """As the port says."""
        try:
            found = await self._api.request("GET", path_of(_PREFIX, "apikeys", key.namespace, key.name))
        except NotFound as error:
            if not error.named:
                raise not_installed() from error
            return None
        return {**found, "kind": "ApiKey"}

    async def bind(self, seen: Object, *, rehearse: bool) -> Object:
        """As the port says."""
        version = {"resourceVersion": seen["metadata"]["resourceVersion"]}
        return await self._api.request(
            "PATCH",
            _path(seen),
            body={"metadata": version, "spec": {"deletionPolicy": "Revoke"}},
            params=_DRY if rehearse else None,
            content_type=MERGE_PATCH,
        )

    async def delete(self, seen: Object, *, rehearse: bool) -> None:
        """As the port says."""
        meta = seen["metadata"]
        options = {"preconditions": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}}
        body = {"apiVersion": "v1", "kind": "DeleteOptions", **options, **({"dryRun": ["All"]} if rehearse else {})}
        try:
            await self._api.request("DELETE", _path(seen), body=body, params=_DRY if rehearse else None)
        except NotFound as error:
            if not error.named:
                raise


def _path(seen: Object) -> str:
    return path_of(_PREFIX, "apikeys", seen["metadata"]["namespace"], seen["metadata"]["name"])
