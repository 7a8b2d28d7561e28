"""The only reader: what the planner is told. Costs nothing but memory until a decision needs a fact that costs a call."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from keywright.api.reading import read_spec, read_status
from keywright.api.reasons import Reason
from keywright.errors import Conflict, Rejected
from keywright.keys import ResourceKey, Tag
from keywright.planning.observed import Absent, Fact, Observed, Present, Refusal, Subject
from keywright.ports.cluster import FINALIZER

if TYPE_CHECKING:
    from collections.abc import Callable

    from keywright.api.apikey import ApiKeySpec, ApiKeyStatus
    from keywright.keys import AttemptId
    from keywright.planning.situation import Situation
    from keywright.planning.steps import Look
    from keywright.ports.cluster import Cluster, Object
    from keywright.ports.sink import Sink
    from keywright.reconcile.directory import IssuerDirectory
    from keywright.reconcile.inventory import Inventory

__all__ = ["Observer", "subject_of"]

_ROTATE = "keywright.dev/rotate"
_COMPROMISED = "keywright.dev/compromised"
_ABANDON = "keywright.dev/abandon"


def subject_of(seen: Object) -> Subject:
    """The ApiKey itself, from its JSON."""
    meta = seen["metadata"]
    annotations = meta.get("annotations") or {}
    return Subject(
        key=ResourceKey(meta["namespace"], meta["name"]),
        uid=meta["uid"],
        generation=meta.get("generation", 0),
        resource_version=meta["resourceVersion"],
        created_at=datetime.fromisoformat(meta["creationTimestamp"]).astimezone(UTC),
        deleting="deletionTimestamp" in meta,
        finalizer=FINALIZER in (meta.get("finalizers") or ()),
        rotate=annotations.get(_ROTATE),
        compromised=annotations.get(_COMPROMISED),
        abandon=annotations.get(_ABANDON) == "true",
    )


class Observer:
    """Reads the world for one ApiKey at a time."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        sink: Sink,
        directory: IssuerDirectory,
        inventory: Inventory,
        cluster_id: str,
        min_interval: float,
        late_window: float,
        new_attempt_id: Callable[[], AttemptId],
    ) -> None:
        """`min_interval`, `late_window` in seconds; `new_attempt_id` gives a random id at each call."""
        self._cluster = cluster
        self._sink = sink
        self._directory = directory
        self._inventory = inventory
        self._cluster_id = cluster_id
        self._min_interval = min_interval
        self._late_window = late_window
        self._new_attempt_id = new_attempt_id

    def begin(self, seen: Object) -> tuple[ApiKeySpec, ApiKeyStatus, Observed]:
        """What is known without asking. Raises Rejected(InvalidSpec) where spec or status cannot be read."""
        spec, status, subject = read_spec(seen), read_status(seen), subject_of(seen)
        observed = Observed(
            subject=subject,
            cluster_id=self._cluster_id,
            min_interval=self._min_interval,
            late_window=self._late_window,
            next_attempt=self._new_attempt_id(),
        )
        if spec.target.secret:
            observed = self._with_target(observed, spec.target.secret.name)
        if status.closed_attempts:
            observed = replace(observed, listing=self._inventory.listed(subject.uid))
        if status.key_id:
            observed = replace(observed, key_gone=self._inventory.is_gone(status.key_id))
        return spec, status, observed

    def again(self, seen: Object, observed: Observed) -> tuple[ApiKeySpec, ApiKeyStatus, Observed]:
        """After a write of our own: the object anew, all other facts as they were."""
        return read_spec(seen), read_status(seen), replace(observed, subject=subject_of(seen))

    async def look(self, step: Look, s: Situation) -> Observed:
        """Find out one fact. Raises Retryable where the apiserver does not answer."""
        observed, key = s.observed, s.observed.subject.key
        match step.fact:
            case Fact.ISSUER:
                return replace(observed, issuer=await self._directory.facts(key, s.spec, s.status))
            case Fact.LISTING:
                if step.issuer is None:
                    raise Rejected("a listing needs an issuer", reason="InvalidSpec")
                name = Tag.search(observed.cluster_id, observed.subject.uid)
                if (record := s.record) is not None and record.owner_uid != observed.subject.uid:
                    name = Tag.search(
                        record.cluster, record.owner_uid
                    )  # a re-created ApiKey looks for its predecessor's key
                listing = await self._directory.listing(step.issuer, key.namespace, name)
                return replace(observed, listing=listing, listing_fresh=not isinstance(listing, Refusal))
            case Fact.TARGET:
                return await self._read_target(s)
            case Fact.REHEARSAL:
                return await self._rehearse(s)

    async def _rehearse(self, s: Situation) -> Observed:
        """The dry run of the very write also tells whether something stands there: no read before it."""
        layout = s.layout
        if layout is None:
            return replace(s.observed, rehearsal=True)
        try:
            await self._sink.rehearse(layout, s.owner, s.target_version)
        except Conflict:
            return await self._read_target(s)
        except Rejected as error:
            return replace(s.observed, rehearsal=Refusal(Reason.of(error.reason, Reason.TARGET_REFUSED), str(error)))
        if s.observed.target is None:
            return replace(s.observed, rehearsal=True, target=Absent(), target_fresh=True)
        return replace(s.observed, rehearsal=True)

    async def _read_target(self, s: Situation) -> Observed:
        layout = s.layout
        if layout is None:
            return replace(s.observed, target_fresh=True)
        target = await self._sink.read(layout.namespace, layout.name)
        observed = replace(s.observed, target=target, target_fresh=True, rehearsal=None)
        return self._with_claims(observed, layout.name)

    def _with_target(self, observed: Observed, name: str) -> Observed:
        target = self._sink.known(observed.subject.key.namespace, name)
        return self._with_claims(replace(observed, target=target), name)

    def _with_claims(self, observed: Observed, name: str) -> Observed:
        """Who else claims this target: the one in the record has it, else the oldest."""
        me = observed.subject
        claims = [subject_of(c) for c in self._cluster.claimants(me.key.namespace, name)]
        claims = [c for c in claims if c.uid != me.uid and not c.deleting]
        target = observed.target
        owner_exists = not isinstance(target, Present) or self._cluster.api_key(target.owner) is not None
        rival = None
        if claims:
            recorded = target.owner_uid if isinstance(target, Present) else None
            first = min([*claims, me], key=lambda c: (c.uid != recorded, c.created_at, c.key))
            rival = first.key if first.uid != me.uid else None
        return replace(observed, rival=rival, owner_exists=owner_exists)
