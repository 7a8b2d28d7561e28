"""What `keywright doctor` asks of an apiserver besides keywright's own objects. Reads only; reviews of rights write nothing.

Raises Unauthorized (reason Forbidden) where the caller may not look, Unavailable where nothing answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from keywright.keys import SecretValue
    from keywright.planning.diagnosis.rights import Right
    from keywright.ports.cluster import Object

__all__ = ["Inspection"]


class Inspection(Protocol):
    """An apiserver as a caller with any rights sees it."""

    async def hello(self) -> str:
        """The server's version, asked with the caller's credentials."""
        ...

    async def date(self) -> datetime | None:
        """The server's clock, in whole seconds; None: it does not say. Wants no credentials."""
        ...

    async def date_at(self, url: str, ca_bundle: SecretValue | None) -> datetime | None:
        """The clock of another server, in whole seconds; None: it does not answer, or does not say. No credentials are sent."""
        ...

    async def may(self, right: Right, user: str | None = None) -> bool:
        """Whether the caller, or `user`, has a right. For another user the caller needs create on subjectaccessreviews."""
        ...

    async def crd(self, name: str) -> Object | None:
        """A CustomResourceDefinition; None: not there."""
        ...

    async def served(self) -> frozenset[str]:
        """The resources of keywright's group and version that the apiserver serves; whoever has credentials may ask."""
        ...

    async def objects(self, kind: str, namespace: str | None) -> Sequence[Object]:
        """All objects of one of keywright's kinds, whole; `namespace` None: of all namespaces. Empty where the kind is not installed."""
        ...

    async def operators(self, namespace: str | None, kind: str) -> Sequence[Object]:
        """The Deployments or Leases that carry keywright's label."""
        ...

    async def is_ending(self, namespace: str) -> bool:
        """Whether a namespace is being deleted, or gone; False where there is no right to know."""
        ...
