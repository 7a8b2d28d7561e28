"""The port `Sink` on Vault's KV version 2: check-and-set by version, nothing of a plaintext in any Kubernetes object.

Owns what was last read of each path. Must not decide anything, and keeps no plaintext. Neighbours: vault_manifest.py says how a
path looks, vault_client.py asks, vault_stores.py knows which Vault.

Vault guards a write by the version's number, which begins anew with a path that was removed and made again. The time of a version
is therefore compared just before each write; what is left is the moment between that read and the write, for which a process would
have to stand still while an ApiKey is deleted and made again, and go on with a lease that it still holds.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from keywright.adapters.kube_template import Texts
from keywright.adapters.vault_errors import Denied
from keywright.adapters.vault_http import DEADLINE
from keywright.adapters.vault_manifest import (
    Held,
    custom_of,
    emptied,
    fenced,
    find_plaintext,
    foreign_fields,
    has_record,
    read_answer,
    read_bare,
    record_of,
    seen_in,
    version_data,
)
from keywright.adapters.vault_paths import NEEDED, policy
from keywright.errors import Ambiguous, Conflict, KeywrightError, Rejected, Retryable, Terminal, Unavailable
from keywright.keys import KeyId, ResourceKey
from keywright.planning.layout import Owner, beside
from keywright.planning.observed import Absent, Foreign
from keywright.planning.places import named

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping

    from keywright.adapters.vault_stores import At, VaultStores
    from keywright.keys import KeyRecord, SecretValue
    from keywright.planning.observed import Present, Sought, TargetLayout, TargetState
    from keywright.ports.lease import Lease
    from keywright.ports.sink import Delivery
    from keywright.ports.stores import Store

__all__ = ["VaultSink"]

_log = logging.getLogger(__name__)

_ROOT: Final = "root"
_LOOKS: Final = 5
"""So often a path may be made and removed again during one look."""


class VaultSink:
    """Implements keywright.ports.sink.Sink."""

    def __init__(self, stores: VaultStores, cluster_id: str, lease: Lease) -> None:
        """`cluster_id`: paths of another cluster's keywright are somebody else's. `lease` is asked before each write."""
        self._stores = stores
        self._cluster_id = cluster_id
        self._lease = lease
        self._held: dict[ResourceKey, Held] = {}

    # What is known.

    def known(self, namespace: str, name: str) -> Present | None:
        """What was last read there, unless the look-over has seen since that it moved."""
        held = self._held.get(ResourceKey(namespace, name))
        return held.present if held else None

    def recorded(self) -> Mapping[KeyId, ResourceKey]:
        """The ids of all keys that a delivered record names, as last read, each with its place."""
        return {held.present.record.key_id: key for key, held in self._held.items() if held.present.record}

    async def moved(self, namespace: str, name: str) -> bool:
        """Look over one path by its metadata: whether anything is other than when it was read; then it is known no more."""
        key = ResourceKey(namespace, name)
        held = self._held.get(key)
        if held is None:
            return False
        at = await self._stores.at(namespace, name, ending=True)
        metadata = await at.client.metadata(at.identity, at.path)
        if metadata is not None and seen_in(metadata) == held.seen:
            return False
        if self._held.get(key) is held:
            del self._held[key]
        return True

    async def reach(self, store: Store, namespaces: Collection[str]) -> None:
        """Whether the store can be used: Vault answers, and lets in who uses it."""
        await self._stores.reach(store, namespaces)

    async def read(self, namespace: str, name: str, sought: Sought | None = None) -> TargetState:
        """What stands there now: Absent, Present (ours) or Foreign; and whether that holds the plaintext that is sought.

        What was sought goes to who asks and is not remembered.
        """
        at = await self._stores.at(namespace, name, ending=True)
        state, answer = await self._look(at)
        if not answer or sought is None:
            return state
        found = read_answer(answer, self._cluster_id, sought)
        return found if isinstance(found, Foreign) else found.present

    # Writes.

    async def rehearse(self, layout: TargetLayout, owner: Owner, version: str | None) -> None:
        """Ask what the login may do at the very paths, and whether the mount is what it should be; changes nothing."""
        _log.debug("rehearsing %s for ApiKey %s", named(layout.name), owner.key)
        at = await self._stores.at(layout.namespace, layout.name)
        await self._stores.admit(at)
        engine = await at.client.engine(at.identity)
        if engine not in (("kv", "2"), None):
            kind = f"KV version {engine[1]}" if engine[0] in ("kv", "generic") else f"an engine of type {engine[0]}"
            raise Rejected(
                f"{at.store.called}: spec.mount {at.store.spec.mount} is {kind}; it must be KV version 2",
                reason="StoreInvalid",
            )
        paths = {
            at.below(part): set(caps)
            for part, caps in NEEDED.items()
            if part != "destroy" or not at.store.spec.keep_versions
        }
        allowed = await at.client.capabilities(at.identity, list(paths))
        lacking = {
            path: sorted(needed)
            for path, needed in paths.items()
            if _ROOT not in allowed[path] and needed - set(allowed[path])
        }
        absent = (
            ""
            if engine
            else f" (unless nothing is mounted at {at.store.spec.mount}: spec.mount must name a KV version 2 engine)"
        )
        if lacking:
            raise Rejected(_add_lines(at, lacking, absent), reason="TargetRefused")
        if absent:
            raise Rejected(f"{at.store.called} shows nothing to write into{absent}", reason="StoreInvalid")
        await self._expect(at, layout, version)

    async def deliver(self, delivery: Delivery, version: str | None) -> Present:
        """Write plaintext and record in one go."""
        layout, owner, record = delivery.layout, delivery.owner, delivery.record
        at = await self._stores.at(layout.namespace, layout.name)
        await self._stores.admit(at)
        texts = Texts(layout.key, layout.template, record).render(delivery.plaintext)
        data, number, custom = await self._expect(at, layout, version)
        foreign = foreign_fields(data) if layout.merge else {}
        body = version_data(layout, owner, record, texts, foreign=foreign)
        return await self._write(at, body, number, owner, custom)

    async def fence(self, layout: TargetLayout, owner: Owner, mark: str, version: str | None) -> Present:
        """A new version with a mark, so that a writer that saw `version` can no longer deliver.

        An absent one is made, empty, as ours.
        """
        at = await self._stores.at(layout.namespace, layout.name, ending=True)
        data, number, custom = await self._expect(at, layout, version)
        if version is None:
            foreign = foreign_fields(data) if layout.merge else {}
            body = version_data(layout, owner, None, {}, foreign=foreign, mark=mark)
        else:
            body = fenced(data or {}, owner, mark)
        return await self._write(at, body, number, owner, custom)

    async def rewrite(self, layout: TargetLayout, owner: Owner, record: KeyRecord, version: str) -> Present:
        """Lay the same key out anew, with this record: the plaintext, known by its digest, is read from the target itself.

        Conflict where another version stands there, or not that plaintext.
        """
        at = await self._stores.at(layout.namespace, layout.name)
        await self._stores.admit(at)
        _, answer = await self._look(at)
        seen, data = seen_in(answer.get("metadata") or {}), answer.get("data") or {}
        number, custom = seen.number, dict(seen.custom)
        plaintext = find_plaintext(data, record, layout)
        if seen.version != version or plaintext is None:
            raise Conflict(f"{named(layout.name)} no longer holds the key that was delivered")
        texts = Texts(layout.key, layout.template, record).render(plaintext)
        foreign = foreign_fields(data) if layout.merge else {}
        body = version_data(layout, owner, record, texts, foreign=foreign)
        if body != data:
            return await self._write(at, body, number, owner, custom)
        with _policy(at):  # only whose it is was not said yet, or taken away
            self._lease.require(DEADLINE)
            await at.client.describe(at.identity, at.path, custom_of(owner, custom))
        state, _ = await self._look(at)
        if isinstance(state, Absent | Foreign):
            raise Conflict(f"{named(layout.name)} changed")
        return state

    async def prove(
        self, namespace: str, name: str, key_id: KeyId, check: Callable[[SecretValue], Awaitable[bool]]
    ) -> bool | None:
        """What `check` says of the plaintext that stands there for this key; None where there is none."""
        at = await self._stores.at(namespace, name, ending=True)
        _, answer = await self._look(at)
        record = record_of(answer.get("data"))
        if record is None or record.key_id != key_id:
            return None
        plaintext = find_plaintext(answer["data"], record)
        return await check(plaintext) if plaintext else None

    async def prune(self, namespace: str, name: str, key_id: KeyId) -> None:
        """Destroy the older versions that hold a dead key, or of which nobody can say what they hold; unless keepVersions."""
        at = await self._stores.at(namespace, name, ending=True)
        if at.store.spec.keep_versions:
            return
        with _policy(at):
            metadata = await at.client.metadata(at.identity, at.path)
            current = seen_in(metadata or {}).number
            dead = []
            for number in sorted(
                int(n) for n in (metadata or {}).get("versions") or {} if n.isdigit() and int(n) < current
            ):
                one = metadata["versions"][str(number)] if metadata else {}
                if one.get("destroyed") is True:
                    continue
                if one.get("deletion_time") or await self._holds(at, number, key_id):
                    dead.append(number)
            if dead:
                self._lease.require(DEADLINE)
                await at.client.destroy(at.identity, at.path, dead)

    async def clean(self, namespace: str, name: str, version: str, *, adopted: bool) -> None:  # noqa: ARG002 - the port's signature
        """Remove what is ours; what is gone already counts as done. Others' fields stay in any case.

        Vault removes a path whatever its version is: an empty version goes over the one that is meant first, so that whoever saw
        that one can no longer write.
        """
        key = ResourceKey(namespace, name)
        at = await self._stores.at(namespace, name, ending=True)
        state, answer = await self._look(at)
        if isinstance(state, Absent):
            return
        seen = seen_in(answer["metadata"])
        if isinstance(state, Foreign) or seen.version != version:
            raise Conflict(f"{named(name)} changed")
        data = answer.get("data") or {}
        shared = bool(foreign_fields(data))
        with _policy(at):
            self._lease.require(0.0)
            await at.client.write(at.identity, at.path, emptied(data, tombstone=not shared), seen.number)
            self._held.pop(key, None)
            self._lease.require(DEADLINE)
            if not shared:
                await at.client.delete(at.identity, at.path)
                return
            if not at.store.spec.keep_versions:
                await self._destroy_ours(at, seen.number)
            owner = Owner(state.owner, state.owner_uid, self._cluster_id, bound=True)
            await at.client.describe(at.identity, at.path, custom_of(owner, dict(seen.custom), ours=False))

    # Requests.

    async def _look(self, at: At) -> tuple[TargetState, Mapping[str, Any]]:
        """What stands there, and the answer that tells it."""
        with _policy(at):
            for _ in range(_LOOKS):
                answer = await at.client.read(at.identity, at.path)
                if answer is not None:
                    break
                self._held.pop(at.key, None)
                metadata = await at.client.metadata(at.identity, at.path)
                if not seen_in(metadata or {}).number:
                    return read_bare(metadata, self._cluster_id), {}
                # Written between the two: it is neither absent nor somebody's who has written no version, and may hold a key of ours.
            else:
                raise Unavailable(f"{named(at.key.name)} comes and goes while it is read")
        found = read_answer(answer, self._cluster_id)
        if isinstance(found, Foreign):
            self._held.pop(at.key, None)
            return found, answer
        self._held[at.key] = found
        return found.present, answer

    async def _expect(
        self, at: At, layout: TargetLayout, version: str | None
    ) -> tuple[Mapping[str, Any] | None, int, Mapping[str, str]]:
        """What stands there, to be written over: data, number and custom metadata. Conflict where it is not what was expected."""
        state, answer = await self._look(at)
        seen = seen_in(answer.get("metadata") or {})
        there = beside(state, layout)
        expected = isinstance(there, Absent) if version is None else not isinstance(there, Absent | Foreign)
        if not expected or (version is not None and seen.version != version):
            raise Conflict(f"{named(layout.name)} is not as it was")
        data = answer.get("data")
        wanted = set(layout.template or {layout.key: ""})
        # Where our record is lost and the path is known to be ours, so is the field that somebody wrote over.
        taken = [] if version is not None and not has_record(data) else sorted(set(foreign_fields(data)) & wanted)
        if taken and layout.merge:
            raise Rejected(
                f"{named(layout.name)} already has the field {', '.join(taken)}, which keywright did not write: write another field",
                reason="TargetForeign",
            )
        return data, seen.number, dict(seen.custom)

    async def _write(
        self, at: At, body: Mapping[str, Any], number: int, owner: Owner, custom: Mapping[str, str]
    ) -> Present:
        """A new version, then whose it is: where only the second fails, it is written anew by a later look."""
        with _policy(at):
            self._lease.require(0.0)
            metadata = dict(await at.client.write(at.identity, at.path, body, number))
        wanted = custom_of(owner, custom)
        metadata["custom_metadata"] = dict(custom)
        if wanted != custom:
            try:
                await at.client.describe(at.identity, at.path, wanted)
                metadata["custom_metadata"] = wanted
            except (Retryable, Terminal, Ambiguous) as error:
                _log.info("%s was written, and not described: %s", named(at.key.name), error)
        found = read_answer({"data": body, "metadata": metadata}, self._cluster_id)
        if isinstance(found, Foreign):
            raise Conflict(f"{named(at.key.name)} is {found.whose}")
        self._held[at.key] = found
        return found.present

    async def _holds(self, at: At, number: int, key_id: KeyId) -> bool:
        answer = await at.client.read(at.identity, at.path, number)
        record = record_of((answer or {}).get("data"))
        return record is not None and record.key_id == key_id

    async def _destroy_ours(self, at: At, last: int) -> None:
        """All versions up to the last of ours that hold a record: their keys are dead."""
        ours = []
        for number in range(max(1, last - 9), last + 1):
            answer = await at.client.read(at.identity, at.path, number)
            if record_of((answer or {}).get("data")) is not None:
                ours.append(number)
        if ours:
            await at.client.destroy(at.identity, at.path, ours)


@contextmanager
def _policy(at: At) -> Iterator[None]:
    """A 403 that a new login did not mend is the policy's."""
    refused: KeywrightError | None = None
    try:
        yield
    except Denied:
        refused = Rejected(
            _add_lines(at, {at.below(part): caps for part, caps in NEEDED.items()}), reason="TargetRefused"
        )
    if refused is not None:
        raise refused


def _add_lines(at: At, lines: Mapping[str, Any], unless: str = "") -> str:
    return (
        f"{at.store.called} does not allow what keywright needs{unless}; add to the policy of its role: {policy(lines)}"
    )
