"""The right to act as it stands in the cluster, for whoever asks whether an operator works. Pure.

Nothing of the election is decided here (`adapters/kube_lease.py`): readers compare a time with a clock, which the election never does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from keywright.planning.spans import moment

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EVERYWHERE", "NAMESPACED", "SYSTEM", "Lease"]

SYSTEM: Final = "keywright-system"
"""The namespace of manifests/, where a process outside of the cluster meets the replicas inside."""
EVERYWHERE: Final = "keywright"
"""The Lease of operators that serve the whole cluster."""
NAMESPACED: Final = "keywright-namespaced"
"""That of operators that serve their own namespace alone."""

_LATE: Final = 1.2
"""Durations after which somebody else would have taken over."""
_DURATION: Final = 15
"""Seconds, where it does not say."""


@dataclass(frozen=True, slots=True)
class Lease:
    """`renewed_at` is by the holder's clock; `written_at` is the same by the apiserver's, in whole seconds, where it noted that."""

    namespace: str
    name: str
    holder: str
    renewed_at: datetime | None
    written_at: datetime | None
    seconds: float

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> Self:
        """From its JSON."""
        metadata, spec = obj["metadata"], obj.get("spec") or {}
        notes = [e for e in metadata.get("managedFields") or () if "f:renewTime" in str(e.get("fieldsV1"))]
        renewed = spec.get("renewTime")
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            holder=spec.get("holderIdentity") or "",
            renewed_at=moment(renewed) if renewed else None,
            written_at=max((moment(e["time"]) for e in notes if "time" in e), default=None),
            seconds=spec.get("leaseDurationSeconds") or _DURATION,
        )

    @property
    def place(self) -> str:
        """As people call it."""
        return f"{self.namespace}/{self.name}"

    @property
    def at(self) -> datetime | None:
        """When it was renewed last, by the apiserver's clock where that is known."""
        return self.written_at or self.renewed_at

    def is_held(self, now: datetime, doubt: timedelta = timedelta(0)) -> bool:
        """Whether somebody may act by it. `doubt`: how far the clock of `now` may be from the apiserver's."""
        return (
            bool(self.holder)
            and self.at is not None
            and now - self.at <= timedelta(seconds=_LATE * self.seconds) + doubt
        )
