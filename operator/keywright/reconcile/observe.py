"""The only reader: what the planner is told. Costs nothing but memory until a decision needs a fact that costs a call."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from keywright.api.apikey import FINALIZER
from keywright.api.reading import read_spec, read_status
from keywright.api.reasons import Reason
from keywright.errors import Ambiguous, Conflict, RateLimited, Rejected, Retryable, Terminal, Unavailable
from keywright.keys import KeyId, ResourceKey
from keywright.planning.layout import beside
from keywright.planning.observed import Absent, Fact, Observed, Present, Refusal, Rewriting, Sought, Subject
from keywright.planning.places import in_vault, place_of
from keywright.reconcile.directory import ref_of
from keywright.reconcile.lastread import LastRead

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

    from keywright.api.apikey import ApiKeySpec, KeyIssuerIdentity
    from keywright.api.apikey_status import ApiKeyStatus
    from keywright.errors import KeywrightError
    from keywright.keys import AttemptId
    from keywright.planning.observed import TargetState
    from keywright.planning.situation import Situation
    from keywright.planning.steps import Look
    from keywright.ports.cluster import Cluster, Object
    from keywright.ports.sink import Sink
    from keywright.reconcile.directory import IssuerDirectory
    from keywright.reconcile.inventory import Inventory
    from keywright.reconcile.restarting import Restarter

__all__ = ["Observer", "beyond_reach", "store_refusal", "subject_of", "with_target", "without_target"]

_ROTATE = "keywright.dev/rotate"
_COMPROMISED = "keywright.dev/compromised"
_ABANDON = "keywright.dev/abandon"
_REWRITINGS_KEPT = 4096
"""More than are rewritten in the minute for which they count."""


def subject_of(seen: Object) -> Subject:
    """The ApiKey itself, from its JSON."""
    meta = seen["metadata"]
    annotations = meta.get("annotations") or {}
    return Subject(
        key=ResourceKey(meta["namespace"], meta["name"]),
        uid=meta["uid"],
        generation=meta.get("generation", 0),
        created_at=datetime.fromisoformat(meta["creationTimestamp"]).astimezone(UTC),
        deleting="deletionTimestamp" in meta,
        finalizer=FINALIZER in (meta.get("finalizers") or ()),
        rotate=annotations.get(_ROTATE),
        compromised=annotations.get(_COMPROMISED),
        abandon=annotations.get(_ABANDON) == "true",
    )


def with_target(observed: Observed, name: str, target: TargetState) -> Observed:
    """What was read or written just now."""
    return observed._replace(targets={**observed.targets, name: target}, fresh=observed.fresh | {name})


def without_target(observed: Observed, name: str) -> Observed:
    """What stands there now was not looked at."""
    targets = {at: target for at, target in observed.targets.items() if at != name}
    return observed._replace(targets=targets, fresh=observed.fresh - {name})


def store_refusal(error: KeywrightError) -> Refusal:
    """What a store's error means to an ApiKey that delivers into it."""
    if isinstance(error, Terminal):
        return Refusal(Reason.of(error.reason, Reason.TARGET_REFUSED), str(error))
    after = error.after if isinstance(error, Retryable) else None
    return Refusal(Reason.STORE_UNAVAILABLE, str(error), stalled=False, after=after)


async def beyond_reach(error: KeywrightError, s: Situation, cluster: Cluster) -> bool:
    """Whether nothing of keywright will ever reach a store again: it is gone, or what lets in goes with the namespace."""
    if not isinstance(error, Terminal):
        return False
    if error.reason == Reason.STORE_NOT_FOUND:
        return True
    return s.observed.subject.deleting and await cluster.is_ending(s.observed.subject.key.namespace)


def _as_issued(s: Situation) -> ApiKeySpec:
    """The spec with issuer and workspace as they were when the current key was made: an edit since then hides no lost grant."""
    issuer, issued = s.status.issuer, s.status.issued_as
    if issuer is None or issued is None:
        return s.spec
    if (issuer.kind, issuer.name, issued.workspace) == (
        s.spec.issuer_ref.kind,
        s.spec.issuer_ref.name,
        s.spec.workspace,
    ):
        return s.spec
    ref = s.spec.issuer_ref.model_copy(update={"kind": issuer.kind, "name": issuer.name})
    return s.spec.model_copy(update={"issuer_ref": ref, "workspace": issued.workspace})


class Observer:
    """Reads the world for one ApiKey at a time."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        sink: Sink,
        directory: IssuerDirectory,
        inventory: Inventory,
        restarter: Restarter,
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
        self._restarter = restarter
        self._cluster_id = cluster_id
        self._min_interval = min_interval
        self._late_window = late_window
        self._new_attempt_id = new_attempt_id
        self._rewritten: dict[str, Rewriting] = {}
        self._specs = LastRead("spec", read_spec)
        self._statuses = LastRead("status", read_status)

    def begin(self, seen: Object) -> tuple[ApiKeySpec, ApiKeyStatus, Observed]:
        """What is known without asking. Raises Rejected(InvalidSpec) where spec or status cannot be read."""
        spec, status, subject = self._specs.of(seen), self._statuses.of(seen), subject_of(seen)
        namespace = subject.key.namespace
        places = dict.fromkeys((place_of(spec.target), *([status.target.name] if status.target else ())))
        known = {place: there for place in places if (there := self._sink.known(namespace, place))}
        closed = {c.issuer.uid for c in status.closed_attempts}
        rival, owner_exists = self._claims(subject, place_of(spec.target), known)
        gone, used, previous_used = self._of_keys(status)
        # One construction, at each pass of each ApiKey: a chain of replacements costs a third of a pass.
        observed = Observed(
            subject=subject,
            cluster_id=self._cluster_id,
            min_interval=self._min_interval,
            late_window=self._late_window,
            next_attempt=self._new_attempt_id(),
            rival=rival,
            owner_exists=owner_exists,
            targets=known,
            listing=self._inventory.listed(subject.uid) if closed else None,
            looked={uid: at for uid in closed if (at := self._inventory.looked(uid)) is not None},
            rewritten=self._rewritten.get(subject.uid),
            revokes_ungranted=self._revokes_ungranted(status, namespace),
            vanished=self._inventory.vanished(ref_of(spec.issuer_ref, namespace)),
            key_gone=gone,
            last_used=used,
            previous_used=previous_used,
        )
        return spec, status, observed

    def again(self, seen: Object, observed: Observed, spec: ApiKeySpec) -> tuple[ApiKeySpec, ApiKeyStatus, Observed]:
        """After a write of our own: the object anew, other facts as they were; each attempt gets an id of its own.

        `spec`: as it was read last, which stands while the generation does.
        """
        if seen["metadata"].get("generation", 0) != observed.subject.generation:
            spec = self._specs.of(seen)
        status = self._statuses.of(seen)
        gone, used, previous_used = self._of_keys(status)
        observed = observed._replace(
            subject=subject_of(seen),
            next_attempt=self._new_attempt_id(),
            key_gone=gone,
            last_used=used,
            previous_used=previous_used,
        )
        return spec, status, observed

    def rewrote(self, s: Situation, layout_digest: str) -> Observed:
        """A target was laid out anew just now: remembered for a while, also beyond this pass."""
        self._rewritten[s.observed.subject.uid] = rewriting = Rewriting(layout_digest, s.now)
        while len(self._rewritten) > _REWRITINGS_KEPT:
            del self._rewritten[next(iter(self._rewritten))]
        return s.observed._replace(rewritten=rewriting)

    def lists(self, identity: KeyIssuerIdentity, namespace: str, key_id: KeyId) -> bool:
        """Whether the issuer of that name, re-created or not, listed this key when it was looked over."""
        return self._inventory.lists(identity, namespace, key_id)

    def revoked(self, key_id: KeyId) -> None:
        """A key is dead: an older listing that still shows it is corrected."""
        self._inventory.strike(key_id)

    def _of_keys(self, status: ApiKeyStatus) -> tuple[bool, date | None, dict[KeyId, date]]:
        """What the inventory knows: whether the current key is gone, when it was used last, and the older ones each for itself."""
        days = {KeyId(p.key_id): self._inventory.last_used(p.key_id) for p in status.previous}
        older = {key_id: day for key_id, day in days.items() if day}
        if status.key_id is None:
            return False, None, older
        return self._inventory.is_gone(status.key_id), self._inventory.last_used(status.key_id), older

    async def look(self, step: Look, s: Situation) -> Observed:  # noqa: C901 - one branch a fact
        """Find out one fact. Raises Retryable where the apiserver does not answer."""
        observed, key = s.observed, s.observed.subject.key
        match step.fact:
            case Fact.ISSUER:
                return observed._replace(issuer=await self._directory.facts(key, s.spec, s.status))
            case Fact.GRANT:
                maker = await self._directory.facts(key, _as_issued(s), s.status, making=False)
                return observed._replace(maker=maker)
            case Fact.LISTING:
                if step.issuer is None:
                    raise Rejected("a listing needs an issuer", reason="InvalidSpec")
                listing = await self._directory.listing(step.issuer, key.namespace, step.search, ending=True)
                if isinstance(listing, Refusal):
                    return observed._replace(listing=listing)
                listed = s.listed if observed.searched else ()
                searched = observed.searched | {(step.issuer.uid, step.search)}
                return observed._replace(listing=(*listed, *listing), searched=searched)
            case Fact.TARGET:
                return await self._read_target(s, step.target)
            case Fact.REHEARSAL:
                return await self._rehearse(s)
            case Fact.ROLLOUT:
                if step.workload is None:
                    raise Rejected("a look at a rollout needs a workload", reason="InvalidSpec")
                return await self._restarter.look(step.workload, s)
            case Fact.NAMESPACE:
                return observed._replace(namespace_ending=await self._cluster.is_ending(key.namespace))

    def _revokes_ungranted(self, status: ApiKeyStatus, namespace: str) -> bool:
        """What the issuer that made the key says, from memory; one that is gone says nothing."""
        found = self._cluster.issuer(*ref_of(status.issuer, namespace)) if status.issuer else None
        return found is not None and (found.get("spec") or {}).get("onGrantLost") == "Revoke"

    async def _rehearse(self, s: Situation) -> Observed:
        """The dry run of the very write also tells whether something stands there: no read before it."""
        layout = s.layout
        if layout is None:
            raise Rejected("a rehearsal needs a target", reason="InvalidSpec")
        try:
            await self._sink.rehearse(layout, s.owner, s.target_version)
        except Conflict:
            return await self._read_target(s, layout.name)
        except Rejected as error:
            return s.observed._replace(rehearsal=Refusal(Reason.of(error.reason, Reason.TARGET_REFUSED), str(error)))
        except (Unavailable, RateLimited, Ambiguous) as error:
            if not in_vault(layout.name):
                raise
            return s.observed._replace(rehearsal=store_refusal(error))
        if s.target is None:
            return with_target(s.observed, layout.name, Absent())._replace(rehearsal=True)
        return s.observed._replace(rehearsal=True)

    async def _read_target(self, s: Situation, name: str | None) -> Observed:
        if name is None:
            raise Rejected("a read needs a target", reason="InvalidSpec")
        layout = s.layout_at(name)
        try:
            target = await self._sink.read(s.observed.subject.key.namespace, name, Sought(layout, s.delivered))
            target = beside(target, layout)
        except (Retryable, Terminal, Ambiguous) as error:
            if not in_vault(name):
                raise
            if not s.observed.subject.deleting or not s.bound or not await beyond_reach(error, s, self._cluster):
                return s.observed._replace(unreadable=store_refusal(error))
            target = Absent()  # what is to end needs nothing that stands there
        observed = s.observed
        targets = {**observed.targets, name: target}
        rival, owner_exists = self._claims(observed.subject, place_of(s.spec.target), targets)
        fresh = observed.fresh | {name}
        return observed._replace(targets=targets, fresh=fresh, rehearsal=None, rival=rival, owner_exists=owner_exists)

    def _claims(self, me: Subject, name: str, targets: Mapping[str, TargetState]) -> tuple[ResourceKey | None, bool]:
        """Who else claims the spec's target: the one in the record has it, else the oldest. And whether that owner is there."""
        target = targets.get(name)
        owner = target.owner if isinstance(target, Present) else None
        owner_exists = owner is None or self._cluster.api_key(owner) is not None
        others = [c for c in self._cluster.claimants(me.key.namespace, name) if c["metadata"]["name"] != me.key.name]
        claims = [c for c in map(subject_of, others) if c.uid != me.uid and not c.deleting]
        if not claims:
            return None, owner_exists
        first = min([*claims, me], key=lambda c: (c.key != owner, c.created_at, c.key))
        return first.key if first.uid != me.uid else None, owner_exists
