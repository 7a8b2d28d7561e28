"""The place that plaintext goes to.

Every write is compare-and-set on a version: `None` means that nothing must be there yet. An implementation never repeats
a write by itself. Raises Conflict where somebody else wrote first, Rejected(TargetRefused) where the write is refused for
good, Unavailable where nothing happened, Ambiguous where nobody knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from keywright.planning.layout import Owner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from keywright.keys import KeyId, KeyRecord, ResourceKey, SecretValue
    from keywright.planning.observed import Present, Sought, TargetLayout, TargetState
    from keywright.ports.stores import Store

__all__ = ["Delivery", "Owner", "Sink"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is written: the plaintext and its record, laid out as the spec says."""

    layout: TargetLayout
    owner: Owner
    record: KeyRecord
    plaintext: SecretValue


class Sink(Protocol):
    """One kind of target."""

    def known(self, namespace: str, name: str) -> Present | None:
        """What a watch last said stands there, without asking; None says nothing: only `read` knows of absence."""
        ...

    def recorded(self) -> Mapping[KeyId, ResourceKey]:
        """The ids of all keys that a delivered record names, as last seen, each with a place where it stands."""
        ...

    async def moved(self, namespace: str, name: str) -> bool:
        """Look over a place of which no watch tells: whether it is other than known, by no more than a look at its version.

        What has moved is known no more. False where a watch tells, and where nothing is known.
        """
        ...

    async def reach(self, store: Store, namespaces: Collection[str]) -> None:
        """Whether a store can be used, by ApiKeys of these namespaces; raises what a write to it would."""
        ...

    async def read(self, namespace: str, name: str, sought: Sought | None = None) -> TargetState:
        """What stands there now: Absent, Present (ours) or Foreign; and whether that holds the plaintext that is sought."""
        ...

    async def rehearse(self, layout: TargetLayout, owner: Owner, version: str | None) -> None:
        """Ask whether a delivery would be accepted, changing nothing. Conflict: something stands there that was not expected."""
        ...

    async def deliver(self, delivery: Delivery, version: str | None) -> Present:
        """Write plaintext and record in one go.

        With an adopted layout also over a target of somebody else's, as long as that says that this owner may have it: what they
        put there stays beside ours.
        """
        ...

    async def fence(self, layout: TargetLayout, owner: Owner, mark: str, version: str | None) -> Present:
        """Touch the target, so that a writer that saw `version` can no longer deliver. An absent one is made, empty, as ours.

        With an adopted layout one of somebody else's becomes ours, as in `deliver`, with all that stands in it.
        """
        ...

    async def rewrite(self, layout: TargetLayout, owner: Owner, record: KeyRecord, version: str) -> Present:
        """Lay the same key out anew, with this record: the plaintext, known by its digest, is read from the target itself.

        Conflict where another version stands there, or not that plaintext.
        """
        ...

    async def prove(
        self, namespace: str, name: str, key_id: KeyId, check: Callable[[SecretValue], Awaitable[bool]]
    ) -> bool | None:
        """What `check` says of the plaintext that stands there for this key; None where there is none. Gives it to nobody else."""
        ...

    async def prune(self, namespace: str, name: str, key_id: KeyId) -> None:
        """Destroy what older versions still hold of a dead key; what stands there now is left as it is. May be repeated."""
        ...

    async def clean(self, namespace: str, name: str, version: str, *, adopted: bool) -> None:
        """Remove what is ours; what is gone already counts as done. Adopted: only what was put there since; the target stays."""
        ...
