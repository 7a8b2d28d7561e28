"""The right to act: held by one process at a time, for a while."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Lease", "Unshared"]


class Lease(Protocol):
    """What an adapter asks just before a request that changes something leaves."""

    def require(self, seconds: float) -> None:
        """Raises NotLeading unless this process may act for so many seconds more.

        0 for a write that is guarded anyway: another leader's write makes it a Conflict. A call to an issuer, which nothing
        guards, asks for its whole deadline: else it may be committed after somebody else has begun to act.
        """
        ...


class Unshared:
    """The lease of an operator that shares its work with nobody: it always may."""

    def require(self, seconds: float) -> None:
        """Never raises."""
