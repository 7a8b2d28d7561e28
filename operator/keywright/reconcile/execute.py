"""The only doer: takes one step. Issuing and delivering is the one place that plaintext passes through.

Returns what has become known by the step. Raises what the ports raise; the reconciler reads again and plans again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, assert_never

from keywright.api.apikey import called
from keywright.api.apikey_status import Handled
from keywright.api.reasons import Reason
from keywright.errors import Ambiguous, Conflict, RateLimited, Rejected, Retryable, Terminal, Unavailable
from keywright.keys import AttemptId, KeyRecord, Tag
from keywright.planning.layout import beside, layout_digest_of
from keywright.planning.observed import Absent, Failure, Foreign, IssuerFacts, Present, Refusal, Unrolled
from keywright.planning.removal import was_compromised
from keywright.planning.steps import (
    AddFinalizer,
    CleanTarget,
    FenceTarget,
    HoldIssuer,
    IssueAndDeliver,
    Look,
    PruneTarget,
    ReleaseFinalizer,
    RestartWorkload,
    RevokeKey,
    RewriteTarget,
    Wait,
    WriteStatus,
)
from keywright.ports.issuer import AHEAD, IssuedKey, KeyRequest
from keywright.ports.sink import Delivery
from keywright.reconcile.cleaning import Cleaner
from keywright.reconcile.directory import ref_of, refusal_of
from keywright.reconcile.observe import with_target
from keywright.reconcile.urgency import urgency

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from keywright.api.apikey import KeyIssuerIdentity
    from keywright.planning.observed import Observed, TargetState
    from keywright.planning.situation import Situation
    from keywright.planning.steps import Step
    from keywright.ports.cluster import Cluster, Object
    from keywright.ports.issuer import Issuer
    from keywright.ports.sink import Sink
    from keywright.reconcile.directory import IssuerDirectory
    from keywright.reconcile.observe import Observer
    from keywright.reconcile.restarting import Restarter

__all__ = ["Executor", "Taken"]

_CHECK_PAUSES: Final = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between tries of a new key: an issuer may need a little while to know its own key."""
_SOON: Final = 5.0
"""Seconds of quiet after a 429 that does not say for how long."""
_LATER: Final = 20.0
"""Seconds until an issuer that made no key is asked again: the planner's own RECHECK, written as a pause."""
_DELIVERY_PAUSES: Final = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between tries of a delivery: within the grace period of a SIGTERM."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A step was taken: the ApiKey as it stands now, and what is known.

    `done` False: it was refused or got no answer, and `observed` tells of it. `gone`: nothing holds the ApiKey any more.
    """

    seen: Object
    observed: Observed
    done: bool = True
    gone: bool = False


class Executor:
    """Takes steps, one at a time, for any ApiKey."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        sink: Sink,
        directory: IssuerDirectory,
        observer: Observer,
        restarter: Restarter,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        """`clock` gives aware UTC; `sleep` takes seconds."""
        self._cluster = cluster
        self._sink = sink
        self._cleaner = Cleaner(cluster, sink)
        self._directory = directory
        self._observer = observer
        self._restarter = restarter
        self._clock = clock
        self._sleep = sleep

    async def take(self, step: Step, s: Situation, seen: Object) -> Taken:  # noqa: C901, PLR0912 - one branch a step
        """One step, one outside effect."""
        observed = s.observed
        match step:
            case Look():
                return Taken(seen, await self._observer.look(step, s))
            case AddFinalizer():
                return Taken(await self._cluster.add_finalizer(seen), observed)
            case HoldIssuer():
                observed = await self._hold(step, s)
                return Taken(seen, observed, done=not isinstance(observed.issuer, Refusal))
            case WriteStatus():
                stands = await self._cluster.patch_status(seen, step.status.to_dict())
                fresh = step.status.attempt.id if step.purpose == "intent" and step.status.attempt else None
                return Taken(stands, observed._replace(fresh_attempt=AttemptId(fresh) if fresh else None))
            case IssueAndDeliver():
                observed = await self._issue_and_deliver(step, s, urgency(seen, self._clock()))
                return Taken(seen, observed, done=observed.failure is None)
            case FenceTarget():
                observed = await self._fence(step, s)
                return Taken(seen, observed, done=not isinstance(observed.listing, Refusal))
            case RevokeKey():
                ahead = was_compromised(s, step.key_id) or urgency(seen, self._clock()) == AHEAD
                observed = await self._revoke(step, s, ahead=ahead)
                return Taken(seen, observed, done=step.key_id in observed.revoked)
            case RewriteTarget():
                observed = await self._rewrite(step, s)
                return Taken(seen, observed, done=not isinstance(observed.rehearsal, Refusal))
            case CleanTarget():
                observed = await self._cleaner.clean(step, s, seen)
                return Taken(seen, observed, done=step.name in observed.cleaned and step.name not in observed.beyond)
            case PruneTarget():
                observed = await self._cleaner.prune(step, s)
                return Taken(seen, observed, done=step.key_id in observed.pruned)
            case RestartWorkload():
                observed = await self._restarter.restart(step, s)
                state = observed.rollouts.get((step.value, step.workload))
                return Taken(seen, observed, done=not isinstance(state, Unrolled))
            case ReleaseFinalizer():
                await self._cluster.remove_finalizer(seen)
                return Taken(seen, observed, gone=True)
            case Wait():
                return Taken(seen, observed)
            case _:
                assert_never(step)

    async def _hold(self, step: HoldIssuer, s: Situation) -> Observed:
        try:
            await self._directory.holding.hold(ref_of(step.issuer, s.observed.subject.key.namespace), step.issuer)
        except Terminal as error:
            why = f"{called(step.issuer.kind, step.issuer.name)} cannot be kept from being deleted before its keys: {error}"
            return s.observed._replace(issuer=Refusal(Reason.ISSUER_UNAVAILABLE, why))
        facts = s.observed.issuer
        return s.observed._replace(issuer=replace(facts, held=True) if isinstance(facts, IssuerFacts) else facts)

    async def _issue_and_deliver(self, step: IssueAndDeliver, s: Situation, rank: float) -> Observed:
        # What was read before the request says nothing of what stands after it.
        observed = s.observed._replace(
            fresh_attempt=None,
            failure=None,
            listing=None,
            searched=frozenset(),
            fresh=s.observed.fresh - {step.layout.name},
        )
        key = observed.subject.key
        request = KeyRequest(
            name=Tag.of(observed.cluster_id, observed.subject.uid, step.attempt.id).name_for(step.label),
            workspace_id=step.workspace_id,
            user_id=step.user_id,
            expiration=step.expiration,
            urgency=rank,
        )
        try:
            client = await self._directory.client(step.attempt.issuer, key.namespace)
            issued = await client.create(request)
        except (Terminal, Retryable, Ambiguous) as error:
            self._directory.failed(step.attempt.issuer, key.namespace, error)
            return observed._replace(failure=_failure_of(error))
        if step.check and (problem := await self._check(client, issued)) is not None:
            return observed._replace(
                failure=Failure(Reason.KEY_CHECK_FAILED, problem, issued.key_id, maybe_committed=True, settled=True),
            )
        record = self._record(step, s, issued)
        delivered = await self._deliver(Delivery(step.layout, s.owner, record, issued.plaintext), step.version)
        if isinstance(delivered, Failure):
            return observed._replace(failure=delivered)
        return with_target(observed, step.layout.name, delivered)._replace(delivered=record.attempt)

    def _record(self, step: IssueAndDeliver, s: Situation, issued: IssuedKey) -> KeyRecord:
        subject = s.observed.subject
        return KeyRecord(
            key_id=issued.key_id,
            attempt=AttemptId(step.attempt.id),
            revision=step.revision,
            cluster=s.observed.cluster_id,
            owner=subject.key,
            owner_uid=subject.uid,
            issuer=step.attempt.issuer,
            masked=issued.masked,
            digest=issued.plaintext.digest(),
            issued_at=self._issued_at(step, issued),
            expires_on=issued.expires_on,
            workspace_id=step.workspace_id,
            workspace_name=step.workspace_name,
            workspace=step.workspace,
            label=step.label,
            expiry=step.expiry,
            handled=step.attempt.handled or Handled(),
        )

    def _issued_at(self, step: IssueAndDeliver, issued: IssuedKey) -> datetime:
        """The issuer's word, where our own clock allows it: schedules and renewals are reckoned by ours."""
        started, now = step.attempt.started_at.replace(microsecond=0), self._clock().replace(microsecond=0)
        created = issued.created_at.replace(microsecond=0) if issued.created_at else now
        return max(started, min(created, now))

    async def _check(self, client: Issuer, issued: IssuedKey) -> str | None:
        """None once the platform accepts the new key; else a sentence, after a bounded time."""
        problem = ""
        for pause in (*_CHECK_PAUSES, None):
            try:
                if await client.check(issued.plaintext):
                    return None
                problem = "The new key does not work and was revoked: the platform refuses it"
            except (Retryable, Terminal, Ambiguous) as error:
                problem = f"The new key could not be tried and was revoked: {error}"
            if pause is not None:
                await self._sleep(pause)
        return f"{problem}. With checkNewKeys: false no new key of this keyissuer is tried."

    async def _deliver(self, delivery: Delivery, version: str | None) -> Present | Failure:
        """Write with compare-and-set, again and again for a bounded time while the plaintext is in hand.

        Not the target's version alone says whether it may be written again, but the attempt: once that is closed, somebody else has
        fenced the target and may have delivered another key since.
        """
        layout, record = delivery.layout, delivery.record
        unsure = False
        trouble = "the target could not be written"
        for pause in (*_DELIVERY_PAUSES, None):
            try:
                return await self._sink.deliver(delivery, version)
            except Rejected as error:
                return Failure(
                    Reason.DELIVERY_FAILED,
                    f"{error} The new key was revoked.",
                    record.key_id,
                    maybe_committed=True,
                    settled=not unsure,
                )
            except Ambiguous as error:
                unsure, trouble = True, str(error)
            except (Conflict, Unavailable, RateLimited) as error:
                trouble = str(error)
            if pause is not None:
                await self._sleep(pause)
            try:
                target = beside(await self._sink.read(layout.namespace, layout.name), layout)
                held = await self._holds(record)
            except (Retryable, Terminal, Ambiguous) as error:
                trouble = str(error)
                continue
            if isinstance(target, Present) and target.record and target.record.attempt == record.attempt:
                return target
            if not _may_take(target, delivery):
                trouble = "somebody else took the target"
                break
            if not held or (isinstance(target, Present) and target.fence == record.attempt):
                trouble = "another process took over the attempt"
                break
            delivery, version = _over(target, delivery)
        return Failure(
            Reason.DELIVERY_FAILED,
            f"The new key could not be delivered and is revoked: {trouble}.",
            record.key_id,
            maybe_committed=True,
            settled=not unsure,
        )

    async def _holds(self, record: KeyRecord) -> bool:
        """Whether the attempt is still open, read after the target: a fence that was put since makes the next write fail."""
        seen = await self._cluster.refresh(record.owner)
        if seen is None or seen["metadata"]["uid"] != record.owner_uid:
            return False
        attempt = (seen.get("status") or {}).get("attempt") or {}
        return attempt.get("id") == record.attempt

    async def _fence(self, step: FenceTarget, s: Situation) -> Observed:
        try:
            target = await self._sink.fence(step.layout, s.owner, step.attempt.id, step.version)
        except Rejected as error:
            refusal = Refusal(Reason.of(error.reason, Reason.TARGET_REFUSED), f"the target cannot be fenced: {error}")
            return s.observed._replace(listing=refusal)
        return with_target(s.observed, step.layout.name, target)

    async def _revoke(self, step: RevokeKey, s: Situation, *, ahead: bool) -> Observed:
        observed = s.observed
        try:
            known = self._observer.lists(step.issuer, observed.subject.key.namespace, step.key_id)
            client = await self._directory.client(step.issuer, observed.subject.key.namespace, ending=True, known=known)
            await client.revoke(step.key_id, _workspace_at(step.issuer, s), ahead=ahead)
        except (Terminal, Retryable, Ambiguous) as error:
            self._directory.failed(step.issuer, observed.subject.key.namespace, error)
            return observed._replace(failed_revocations={**observed.failed_revocations, step.key_id: refusal_of(error)})
        self._observer.revoked(step.key_id)
        return observed._replace(revoked=observed.revoked | {step.key_id})

    async def _rewrite(self, step: RewriteTarget, s: Situation) -> Observed:
        name = step.layout.name
        target = s.observed.targets.get(name)
        if not isinstance(target, Present | Foreign):
            raise Conflict("the target is gone")
        # An ApiKey that was re-created, and adopted the key, is the owner from now on.
        record = replace(step.record, owner=s.owner.key, owner_uid=s.owner.uid)
        try:
            rewritten = await self._sink.rewrite(step.layout, s.owner, record, target.version)
        except Rejected as error:
            return s.observed._replace(rehearsal=Refusal(Reason.of(error.reason, Reason.TARGET_REFUSED), str(error)))
        observed = self._observer.rewrote(s, layout_digest_of(step.layout, s.owner))
        return with_target(observed, name, rewritten)


def _may_take(target: TargetState, delivery: Delivery) -> bool:
    """Whether the delivery may go over what stands there now: nothing, what is ours, or what it is to adopt."""
    if isinstance(target, Foreign):
        return delivery.layout.adopted and target.adoptable_by == delivery.owner.key.name
    return isinstance(target, Absent) or target.owner == delivery.owner.key


def _over(target: TargetState, delivery: Delivery) -> tuple[Delivery, str | None]:
    """The delivery for what stands there now; where something that was to be adopted is gone, what is made is ours alone."""
    if isinstance(target, Absent):
        return replace(delivery, layout=replace(delivery.layout, adopted=False)), None
    return delivery, target.version


def _workspace_at(issuer: KeyIssuerIdentity, s: Situation) -> str | None:
    """A workspace of the organization that the keys of this issuer belong to."""
    status = s.status
    return status.workspace.id if status.workspace and status.issuer and status.issuer.uid == issuer.uid else None


def _failure_of(error: Terminal | Retryable | Ambiguous) -> Failure:
    """What the end of a create means for its attempt."""
    if isinstance(error, Ambiguous):
        return Failure(Reason.ISSUE_FAILED, str(error), None, maybe_committed=True, settled=False)
    if isinstance(error, RateLimited):
        return Failure(
            Reason.ISSUER_RATE_LIMITED,
            str(error),
            None,
            maybe_committed=False,
            settled=True,
            counts=False,
            after=error.after or _SOON,
        )
    if isinstance(error, Retryable):
        return Failure(
            Reason.ISSUER_UNAVAILABLE, str(error), None, maybe_committed=False, settled=True, counts=False, after=_LATER
        )
    counts = error.reason == Reason.ISSUER_REFUSED
    return Failure(
        Reason.of(error.reason, Reason.ISSUER_UNAVAILABLE),
        str(error),
        None,
        maybe_committed=False,
        settled=True,
        counts=counts,
        after=None if counts else _LATER,
    )
