"""The port Sink in memory: compare-and-set on a version, records as flat strings, and what each process has seen of it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tests.ports.faults import Faults

from keywright.errors import Conflict, Rejected
from keywright.keys import KeyId, KeyRecord, ResourceKey, SecretValue
from keywright.planning.layout import Owner, is_bound, layout_digest_of
from keywright.planning.observed import Absent, Foreign, HandMade, Present, Sought, TargetLayout, TargetState
from keywright.planning.places import in_vault
from keywright.ports.sink import Delivery

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from keywright.ports.stores import Store

__all__ = ["FakeSink", "SecretStore", "Stored"]


@dataclass(frozen=True)
class Stored:
    """A Secret. `owner` None: somebody else's. `others`: what they put beside our `texts`. `writer`: who changed ours."""

    version: int
    owner: Owner | None
    uid: str
    layout_digest: str = ""
    record: dict[str, str] = field(default_factory=dict)
    plaintext: str | None = field(default=None, repr=False)
    texts: dict[str, str] = field(default_factory=dict, repr=False)
    fence: str | None = None
    adoptable_by: str | None = None
    adopted: bool | None = False
    others: dict[str, str] = field(default_factory=dict, repr=False)
    type: str = "Opaque"
    immutable: bool = False
    writer: str | None = None


class SecretStore:
    """What stands, and what people do to it."""

    guarded = True
    """Whether a write that names an older version is a Conflict."""

    def __init__(self, new_uid: Callable[[], str] = lambda: str(uuid.uuid4())) -> None:
        """`new_uid` gives another at each call."""
        self.new_uid = new_uid
        self.stored: dict[ResourceKey, Stored] = {}
        self.version = 0
        self.refusal: str | None = None
        self.watchers: list[Callable[[ResourceKey, Stored | None, int], None]] = []
        """Each hears of every change: the name, what stands there now, and the version of the change."""

    def put(self, key: ResourceKey, there: Stored) -> Stored:
        """A new version."""
        self.version += 1
        there = replace(there, version=self.version)
        self.stored[key] = there
        self._tell(key)
        return there

    def remove(self, key: ResourceKey) -> None:
        """Gone."""
        self.version += 1
        self.stored.pop(key, None)
        self._tell(key)

    def collect(self, uid: str) -> None:
        """The garbage collector: what is bound to a deleted ApiKey goes."""
        for key, there in list(self.stored.items()):
            if there.owner and there.owner.bound and there.owner.uid == uid and not in_vault(key.name):
                self.remove(key)

    def _tell(self, key: ResourceKey) -> None:
        for watcher in self.watchers:
            watcher(key, self.stored.get(key), self.version)


class FakeSink:
    """Implements keywright.ports.sink.Sink: one process's eyes and hands.

    Methods without a port's docstring are the outside world.
    """

    def __init__(self, faults: Faults | None = None, store: SecretStore | None = None) -> None:
        """Over Secrets of its own, unless some are given."""
        self.store = store or SecretStore()
        self.faults = faults or Faults()
        self.lagging = False
        """Whether the watch is silent."""
        self._seen: dict[ResourceKey, tuple[int, Present | None]] = {}
        self.writes: list[str] = []
        self.reads = 0
        self.store.watchers.append(self._watch)

    def known(self, namespace: str, name: str) -> Present | None:
        """What the watch said."""
        return self._seen.get(ResourceKey(namespace, name), (0, None))[1]

    def recorded(self) -> Mapping[KeyId, ResourceKey]:
        """All key ids in records."""
        return {present.record.key_id: key for key, (_, present) in self._seen.items() if present and present.record}

    async def moved(self, namespace: str, name: str) -> bool:
        """The watch tells of Secrets; a path in Vault is looked over."""
        await self.faults.before("look over")
        key = ResourceKey(namespace, name)
        if not in_vault(name) or self.known(namespace, name) is None:
            return False
        there, (version, _) = self.stored.get(key), self._seen[key]
        if there is not None and there.version == version:
            return False
        self._seen[key] = (version, None)
        return True

    async def reach(self, store: Store, namespaces: Collection[str]) -> None:
        """It answers."""
        await self.faults.before("reach store")

    async def read(self, namespace: str, name: str, sought: Sought | None = None) -> TargetState:
        """What stands there."""
        await self.faults.before("read target")
        self.reads += 1
        key = ResourceKey(namespace, name)
        self._look(key)
        return state_of(self.stored.get(key), sought)

    async def rehearse(self, layout: TargetLayout, owner: Owner, version: str | None) -> None:
        """A dry run."""
        await self.faults.before("rehearse")
        self._admit(layout, version, owner)

    async def deliver(self, delivery: Delivery, version: str | None) -> Present:
        """Plaintext and record at once."""
        await self.faults.before("deliver")
        key = self._admit(delivery.layout, version, delivery.owner)
        return await self._lay_out(key, "deliver", delivery)

    async def fence(self, layout: TargetLayout, owner: Owner, mark: str, version: str | None) -> Present:
        """A new version with a mark."""
        await self.faults.before("fence")
        key = self._admit(layout, version, owner)
        there = self.stored.get(key)
        if there is None:
            digest = layout_digest_of(layout, owner)
            return await self._write(key, "fence", owner=_bound(layout, owner), layout_digest=digest, fence=mark)
        if there.owner is None:
            fields = {"others": there.texts | there.others, "texts": {}, "plaintext": None, "layout_digest": "drifted"}
            return await self._write(key, "fence", owner=_bound(layout, owner), adopted=True, fence=mark, **fields)
        return await self._write(key, "fence", fence=mark)

    async def rewrite(self, layout: TargetLayout, owner: Owner, record: KeyRecord, version: str) -> Present:
        """The same key, laid out anew."""
        await self.faults.before("rewrite")
        key = self._admit(layout, version)
        there = self.stored[key]
        if there.plaintext is None or SecretValue(there.plaintext).digest() != record.digest:
            raise Conflict(f"Secret {key} no longer holds the key that was delivered")
        return await self._lay_out(key, "rewrite", Delivery(layout, owner, record, SecretValue(there.plaintext)))

    async def prove(
        self, namespace: str, name: str, key_id: KeyId, check: Callable[[SecretValue], Awaitable[bool]]
    ) -> bool | None:
        """The plaintext beside this key's record, if it is the one."""
        await self.faults.before("prove")
        there = self.stored.get(ResourceKey(namespace, name))
        record = KeyRecord.from_strings(there.record) if there else None
        if there is None or there.plaintext is None or record is None or record.key_id != key_id:
            return None
        plaintext = SecretValue(there.plaintext)
        return await check(plaintext) if plaintext.digest() == record.digest else None

    async def prune(self, namespace: str, name: str, key_id: KeyId) -> None:
        """Nothing older is kept, here."""
        if in_vault(name):
            await self.faults.before("prune")
            await self.faults.after("prune")

    async def clean(self, namespace: str, name: str, version: str, *, adopted: bool) -> None:
        """Remove; gone counts as done."""
        await self.faults.before("clean")
        key = ResourceKey(namespace, name)
        there = self.stored.get(key)
        if there is not None and self.store.guarded and str(there.version) != version:
            raise Conflict(f"Secret {key} changed")
        if adopted and there is not None:
            left = Stored(0, None, there.uid, texts=there.others, adoptable_by=there.adoptable_by, type=there.type)
            self.store.put(key, left)
        else:
            self.store.remove(key)
        self._look(key)
        self.writes.append("clean")
        await self.faults.after("clean")

    # The outside world.

    @property
    def stored(self) -> dict[ResourceKey, Stored]:
        """What stands."""
        return self.store.stored

    @property
    def refusal(self) -> str | None:
        """Why every write is refused."""
        return self.store.refusal

    @refusal.setter
    def refusal(self, why: str | None) -> None:
        self.store.refusal = why

    def put_foreign(self, key: ResourceKey, **fields: Any) -> None:
        """Somebody makes a Secret of this name, in place of what is there."""
        uid = self.store.new_uid()
        self.store.put(key, Stored(0, None, uid, **{"plaintext": "theirs", "texts": {"api-key": "theirs"}, **fields}))

    def strip(self, key: ResourceKey) -> None:
        """Somebody replaces it by one that has its data alone."""
        bare = replace(self.stored[key], owner=None, record={}, fence=None, adopted=None, adoptable_by=None)
        self.put_back(key, bare)

    def put_back(self, key: ResourceKey, old: Stored) -> None:
        """Somebody restores an older copy."""
        self.store.put(key, old)

    def spoil(self, key: ResourceKey) -> None:
        """Somebody changes the plaintext."""
        self.put_back(
            key,
            replace(
                self.stored[key],
                plaintext="spoilt",
                texts={"api-key": "spoilt"},
                layout_digest="drifted",
                writer="somebody",
            ),
        )

    def undo_layout(self, key: ResourceKey) -> None:
        """Somebody changes labels or annotations."""
        self.put_back(key, replace(self.stored[key], layout_digest="drifted"))

    def remove(self, key: ResourceKey) -> None:
        """Somebody deletes it."""
        self.store.remove(key)

    def collect(self, uid: str) -> None:
        """The garbage collector."""
        self.store.collect(uid)

    def catch_up(self) -> None:
        """The watch tells everything that happened."""
        for key in {key for key in (*self._seen, *self.stored) if not in_vault(key.name)}:
            self._look(key)

    def seen(self, key: ResourceKey, there: Stored | None, version: int) -> bool:
        """A watch spoke; False where that is no news."""
        if version <= self._seen.get(key, (0, None))[0]:
            return False
        state = state_of(there)
        self._seen[key] = (version, state if isinstance(state, Present) else None)
        return True

    def _watch(self, key: ResourceKey, there: Stored | None, version: int) -> None:
        if not self.lagging and not in_vault(key.name):
            self.seen(key, there, version)

    def _admit(self, layout: TargetLayout, version: str | None, owner: Owner | None = None) -> ResourceKey:
        """`owner`: who writes, where somebody else's is theirs alone."""
        key = ResourceKey(layout.namespace, layout.name)
        if self.refusal:
            raise Rejected(f"Secret {key} would not be written: {self.refusal}", reason="TargetRefused")
        there = self.stored.get(key)
        if self.store.guarded and (str(there.version) if there else None) != version:
            raise Conflict(f"Secret {key} changed")
        if there and there.owner is None and owner and not (layout.adopted and there.adoptable_by == owner.key.name):
            raise Rejected(f"Secret {key} is somebody else's", reason="TargetRefused")
        return key

    async def _lay_out(self, key: ResourceKey, what: str, delivery: Delivery) -> Present:
        layout, owner, record, plaintext = delivery.layout, delivery.owner, delivery.record, delivery.plaintext.reveal()
        there, texts = self.stored.get(key), _rendered(layout, record, plaintext)
        others = (there.others | (there.texts if there.owner is None else {})) if there else {}
        return await self._write(
            key,
            what,
            owner=_bound(layout, owner),
            layout_digest=layout_digest_of(layout, owner),
            record=record.to_strings(),
            plaintext=plaintext,
            texts=texts,
            others={name: text for name, text in others.items() if name not in texts},
            fence=None,
            adopted=layout.adopted,
            writer=None,
        )

    async def _write(self, key: ResourceKey, what: str, **fields: object) -> Present:
        there = self.stored.get(key) or Stored(0, None, self.store.new_uid())
        state = state_of(self.store.put(key, replace(there, **fields)))  # type: ignore[arg-type]
        self._look(key)
        assert isinstance(state, Present)
        self.writes.append(what)
        await self.faults.after(what)
        return state

    def _look(self, key: ResourceKey) -> None:
        there = self.stored.get(key)
        self.seen(key, there, there.version if there else self.store.version)


def state_of(there: Stored | None, sought: Sought | None = None) -> TargetState:
    """As the port tells it."""
    if there is None:
        return Absent()
    wanted = sought.record.digest if sought and sought.record else None
    digest = SecretValue(there.plaintext).digest() if there.plaintext else None
    if there.owner is None:
        holds = digest is not None and digest == wanted
        return Foreign(
            "a Secret that keywright did not make",
            version=str(there.version),
            adoptable_by=there.adoptable_by,
            type=there.type,
            immutable=there.immutable,
            digest=digest if holds else None,
            hand_made=() if holds else _hand_made(there, sought),
        )
    changed = sought is not None and (digest is None or digest not in (wanted, there.record.get("digest")))
    return Present(
        owner=there.owner.key,
        owner_uid=there.owner.uid,
        version=str(there.version),
        record=KeyRecord.from_strings(there.record),
        digest=digest,
        layout_digest=there.layout_digest,
        fence=there.fence,
        data_keys=tuple(there.texts),
        adopted=there.adopted,
        changed_by=there.writer if changed else None,
        hand_made=_hand_made(there, sought) if there.adopted and not there.record else (),
    )


def _hand_made(there: Stored, sought: Sought | None) -> tuple[HandMade, ...]:
    """What a delivery would write over."""
    data = there.texts | there.others
    keys = (sought.layout.template or {sought.layout.key: ""}) if sought else {}
    return tuple(HandMade(key, data[key][-4:] if len(data[key]) > 15 else None) for key in keys if key in data)


def _bound(layout: TargetLayout, owner: Owner) -> Owner:
    """Whom the garbage collector asks."""
    return replace(owner, bound=is_bound(layout, owner))


def _rendered(layout: TargetLayout, record: KeyRecord, plaintext: str) -> dict[str, str]:
    template = layout.template or {layout.key: "${api_key}"}
    return {k: v.replace("${api_key}", plaintext).replace("${key_id}", record.key_id) for k, v in template.items()}
