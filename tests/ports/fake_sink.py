"""The port Sink in memory: compare-and-set on a version, records as flat strings, a watch that may lag behind."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tests.ports.faults import Faults

from keywright.errors import Conflict, Rejected
from keywright.keys import KeyId, KeyRecord, ResourceKey, SecretValue
from keywright.planning.layout import Owner, layout_digest_of
from keywright.planning.observed import Absent, Foreign, Present, TargetLayout, TargetState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from keywright.ports.sink import Delivery

__all__ = ["FakeSink", "Stored"]


@dataclass(frozen=True)
class Stored:
    """A Secret. `owner` None: somebody else's."""

    version: int
    owner: Owner | None
    layout_digest: str = ""
    record: dict[str, str] = field(default_factory=dict)
    plaintext: str | None = field(default=None, repr=False)
    texts: dict[str, str] = field(default_factory=dict, repr=False)
    fence: str | None = None
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))


class FakeSink:
    """Implements keywright.ports.sink.Sink; methods without a port's docstring are the outside world."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.stored: dict[ResourceKey, Stored] = {}
        self._seen: dict[ResourceKey, Present] = {}
        self.lagging = False
        self.version = 0
        self.writes: list[str] = []
        self.reads = 0
        self.refusal: str | None = None

    def known(self, namespace: str, name: str) -> Present | None:
        """What the watch said."""
        return self._seen.get(ResourceKey(namespace, name))

    def recorded(self) -> Mapping[KeyId, ResourceKey]:
        """All key ids in records."""
        return {present.record.key_id: key for key, present in self._seen.items() if present.record}

    async def read(self, namespace: str, name: str) -> TargetState:
        """What stands there."""
        self.faults.before("read target")
        self.reads += 1
        return self._look(ResourceKey(namespace, name))

    async def rehearse(self, layout: TargetLayout, owner: Owner, version: str | None) -> None:
        """A dry run."""
        self.faults.before("rehearse")
        self._admit(layout, version)

    async def deliver(self, delivery: Delivery, version: str | None) -> Present:
        """Plaintext and record at once."""
        self.faults.before("deliver")
        key = self._admit(delivery.layout, version)
        plaintext = delivery.plaintext.reveal()
        return self._write(
            key,
            "deliver",
            owner=delivery.owner,
            layout_digest=layout_digest_of(delivery.layout, delivery.owner),
            record=delivery.record.to_strings(),
            plaintext=plaintext,
            texts=_rendered(delivery.layout, delivery.record, plaintext),
            fence=None,
        )

    async def fence(self, layout: TargetLayout, owner: Owner, mark: str, version: str | None) -> Present:
        """A new version with a mark."""
        self.faults.before("fence")
        key = self._admit(layout, version)
        if version is None:
            return self._write(key, "fence", owner=owner, layout_digest=layout_digest_of(layout, owner), fence=mark)
        return self._write(key, "fence", fence=mark)

    async def rewrite(self, layout: TargetLayout, owner: Owner, present: Present) -> Present:
        """The same key, laid out anew."""
        self.faults.before("rewrite")
        key = self._admit(layout, present.version)
        there = self.stored[key]
        record = KeyRecord.from_strings(there.record)
        if record is None or there.plaintext is None or SecretValue(there.plaintext).digest() != record.digest:
            raise Conflict(f"Secret {key} no longer holds the key that was delivered")
        record = replace(record, owner=owner.key, owner_uid=owner.uid)
        return self._write(
            key,
            "rewrite",
            owner=owner,
            layout_digest=layout_digest_of(layout, owner),
            record=record.to_strings(),
            texts=_rendered(layout, record, there.plaintext),
            fence=None,
        )

    async def prove(
        self, namespace: str, name: str, key_id: KeyId, check: Callable[[SecretValue], Awaitable[bool]]
    ) -> bool | None:
        """The plaintext beside this key's record, if it is the one."""
        self.faults.before("prove")
        there = self.stored.get(ResourceKey(namespace, name))
        record = KeyRecord.from_strings(there.record) if there else None
        if there is None or there.plaintext is None or record is None or record.key_id != key_id:
            return None
        plaintext = SecretValue(there.plaintext)
        return await check(plaintext) if plaintext.digest() == record.digest else None

    async def clean(self, namespace: str, name: str, version: str) -> None:
        """Remove; gone counts as done."""
        self.faults.before("clean")
        key = ResourceKey(namespace, name)
        there = self.stored.get(key)
        if there is not None and str(there.version) != version:
            raise Conflict(f"Secret {key} changed")
        self.stored.pop(key, None)
        self._look(key)
        self.writes.append("clean")
        self.faults.after("clean")

    # The outside world.

    def put_foreign(self, key: ResourceKey) -> None:
        """Somebody makes a Secret of this name, in place of what is there."""
        self.version += 1
        self.stored[key] = Stored(self.version, None, plaintext="theirs", texts={"api-key": "theirs"})
        self.catch_up(unless_lagging=True)

    def put_back(self, key: ResourceKey, old: Stored) -> None:
        """Somebody restores an older copy."""
        self.version += 1
        self.stored[key] = replace(old, version=self.version)
        self.catch_up(unless_lagging=True)

    def spoil(self, key: ResourceKey) -> None:
        """Somebody changes the plaintext."""
        self.put_back(
            key, replace(self.stored[key], plaintext="spoilt", texts={"api-key": "spoilt"}, layout_digest="drifted")
        )

    def undo_layout(self, key: ResourceKey) -> None:
        """Somebody changes labels or annotations."""
        self.put_back(key, replace(self.stored[key], layout_digest="drifted"))

    def remove(self, key: ResourceKey) -> None:
        """Somebody deletes it."""
        self.version += 1
        self.stored.pop(key, None)
        self.catch_up(unless_lagging=True)

    def collect(self, uid: str) -> None:
        """The garbage collector: what is bound to a deleted ApiKey goes."""
        for key, there in list(self.stored.items()):
            if there.owner and there.owner.bound and there.owner.uid == uid:
                self.remove(key)

    def catch_up(self, *, unless_lagging: bool = False) -> None:
        """The watch tells everything that happened."""
        if not (unless_lagging and self.lagging):
            for key in {*self._seen, *self.stored}:
                self._look(key)

    def _admit(self, layout: TargetLayout, version: str | None) -> ResourceKey:
        key = ResourceKey(layout.namespace, layout.name)
        if self.refusal:
            raise Rejected(f"Secret {key} would not be written: {self.refusal}", reason="TargetRefused")
        there = self.stored.get(key)
        if (str(there.version) if there else None) != version:
            raise Conflict(f"Secret {key} changed")
        return key

    def _write(self, key: ResourceKey, what: str, **fields: object) -> Present:
        self.version += 1
        there = self.stored.get(key)
        self.stored[key] = (
            replace(there, version=self.version, **fields)  # type: ignore[arg-type]
            if there
            else Stored(version=self.version, **fields)  # type: ignore[arg-type]
        )
        present = self._look(key)
        assert isinstance(present, Present)
        self.writes.append(what)
        self.faults.after(what)
        return present

    def _look(self, key: ResourceKey) -> TargetState:
        state = self._state(key)
        if isinstance(state, Present):
            self._seen[key] = state
        else:
            self._seen.pop(key, None)
        return state

    def _state(self, key: ResourceKey) -> TargetState:
        there = self.stored.get(key)
        if there is None:
            return Absent()
        if there.owner is None:
            return Foreign("a Secret that keywright did not make")
        return Present(
            owner=there.owner.key,
            owner_uid=there.owner.uid,
            version=str(there.version),
            record=KeyRecord.from_strings(there.record),
            digest=SecretValue(there.plaintext).digest() if there.plaintext else None,
            layout_digest=there.layout_digest,
            fence=there.fence,
            data_keys=tuple(there.texts),
        )


def _rendered(layout: TargetLayout, record: KeyRecord, plaintext: str) -> dict[str, str]:
    template = layout.template or {layout.key: "${api_key}"}
    return {k: v.replace("${api_key}", plaintext).replace("${key_id}", record.key_id) for k, v in template.items()}
