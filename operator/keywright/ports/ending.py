"""The end of an ApiKey, as a person asks for it by a command; the operator itself deletes none.

Each call is guarded by what was seen and raises Conflict where it has changed since; Rejected, Unauthorized, Unavailable and
Ambiguous as ports/cluster.py has them. `rehearse`: nothing is changed, and what would be refused is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from keywright.keys import ResourceKey
    from keywright.ports.cluster import Object

__all__ = ["Ending"]


class Ending(Protocol):
    """The apiserver."""

    async def seen(self, key: ResourceKey) -> Object | None:
        """The ApiKey as it stands; None: not there."""
        ...

    async def bind(self, seen: Object, *, rehearse: bool) -> Object:
        """Set deletionPolicy to Revoke, also where the deletion has begun. Returns what stands now."""
        ...

    async def delete(self, seen: Object, *, rehearse: bool) -> None:
        """Begin the deletion of exactly this version; one that is gone counts as done."""
        ...
