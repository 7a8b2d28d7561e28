"""Whether an ApiKey is still the one that a step was decided by: for steps that no version of their own guards against another writer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keywright.errors import Conflict
from keywright.keys import ResourceKey

if TYPE_CHECKING:
    from keywright.ports.cluster import Cluster, Object

__all__ = ["require_unchanged"]


async def require_unchanged(cluster: Cluster, seen: Object, while_: str) -> None:
    """Reads it once more, and raises Conflict where it is another by now, or gone.

    A pass may have stood still since it decided, or the watch have gone deaf; a status that was restored meanwhile may name as
    the current key what is about to end.
    """
    meta = seen["metadata"]
    newest = await cluster.refresh(ResourceKey(meta["namespace"], meta["name"]))
    if newest is None or newest["metadata"]["resourceVersion"] != meta["resourceVersion"]:
        raise Conflict(f"it was changed while {while_}")
