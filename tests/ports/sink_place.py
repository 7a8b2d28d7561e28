"""Where a Sink is tried: on real Secrets, in Vault or in memory, with the hands of somebody else in it."""

from __future__ import annotations

import secrets
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from tests.planning.builders import a_record

from keywright.keys import ResourceKey, SecretValue
from keywright.planning.layout import Owner
from keywright.planning.observed import Present, TargetLayout
from keywright.ports.sink import Delivery, Sink

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AtAPlace", "SinkPlace"]


class SinkPlace(Protocol):
    """A Sink, a namespace, and the hands of somebody else in it; of what these do, the port need not have seen anything.

    `owner_uid` is the uid of an ApiKey `owner` that exists there, so that no garbage collector interferes.
    """

    port: Sink
    namespace: str
    owner: str
    owner_uid: str
    hand: str
    """Their field manager."""

    async def make_foreign(
        self,
        name: str,
        texts: Mapping[str, str] = MappingProxyType({"api-key": "theirs"}),
        adoptable_by: str | None = None,
    ) -> None:
        """Somebody creates a Secret that is none of keywright's; `adoptable_by`: with the annotation that gives it away."""
        ...

    async def strip(self, name: str) -> None:
        """Somebody replaces the Secret by one that has its data alone."""
        ...

    async def strip_annotations(self, name: str) -> None:
        """Somebody takes all annotations off."""
        ...

    async def spoil(self, name: str, key: str) -> None:
        """Somebody changes the text under a data key."""
        ...

    async def remove(self, name: str) -> None:
        """Somebody deletes the Secret."""
        ...

    async def texts(self, name: str) -> Mapping[str, str]:
        """The data that stand there."""
        ...


def a_plaintext() -> SecretValue:
    """32 characters."""
    return SecretValue(secrets.token_hex(16))


class AtAPlace:
    """Owners, layouts and deliveries in `place`, which subclasses give as a fixture."""

    def a_layout(self, place: SinkPlace, **changes: Any) -> TargetLayout:
        """Of a Secret that does not exist yet."""
        plain = TargetLayout(place.namespace, f"sink-{secrets.token_hex(4)}", "api-key", None, {}, {}, "Opaque")
        return replace(plain, **changes)

    def an_owner(self, place: SinkPlace, **changes: Any) -> Owner:
        """An ApiKey that exists."""
        owner = Owner(ResourceKey(place.namespace, place.owner), place.owner_uid, "c1u5ter0", bound=True)
        return replace(owner, **changes)

    def a_delivery(self, place: SinkPlace, layout: TargetLayout, **changes: Any) -> Delivery:
        """Of a new plaintext."""
        plaintext, owner = a_plaintext(), self.an_owner(place)
        record = a_record(f"key-{secrets.token_hex(4)}", secrets.token_hex(4), owner=owner.key, owner_uid=owner.uid)
        return Delivery(layout, owner, replace(record, digest=plaintext.digest(), **changes), plaintext)

    async def delivered(self, place: SinkPlace, **changes: Any) -> tuple[Delivery, Present]:
        """One that stands there."""
        delivery = self.a_delivery(place, self.a_layout(place, **changes))
        return delivery, await place.port.deliver(delivery, None)

    async def read(self, place: SinkPlace, layout: TargetLayout) -> Present:
        """What stands there, which is ours."""
        state = await place.port.read(layout.namespace, layout.name)
        assert isinstance(state, Present)
        return state
