"""Each guard of the protocol, switched off: what the simulation must notice.

A guard is taken out of the real code (or, where it is the other side's, out of the fake apiserver or the fake sink) for the
time of one search. One that can go unnoticed is either useless or untested.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast
from unittest.mock import patch

from keywright.keys import KeyId
from keywright.planning import outcome, recovery, removal, rollouts, rules, ungranted
from keywright.planning import plan as planning
from keywright.planning.observed import Present
from keywright.planning.steps import Decision, HoldIssuer, RevokeKey, WriteStatus
from keywright.ports.lease import Unshared
from keywright.reconcile.execute import Executor, Taken
from keywright.reconcile.reconciler import Reconciler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from keywright.planning.observed import IssuerFacts, Refusal
    from keywright.planning.situation import Situation

__all__ = ["GUARDS", "Guard"]


@dataclass(frozen=True, slots=True)
class Guard:
    """`rule`: what the protocol says. `changes`: what is put in place of what, to be without it."""

    rule: str
    changes: Callable[[], list[tuple[Any, str, Any]]]

    @contextmanager
    def off(self) -> Iterator[None]:
        """Without it."""
        with ExitStack() as stack:
            for where, name, instead in self.changes():
                stack.enter_context(patch.object(where, name, instead))
            yield


def _no(*_: Any) -> None:
    """In place of a rule that gives a decision: it never does."""
    return


def _no_intent() -> list[tuple[Any, str, Any]]:
    take = Executor.take

    async def without(self: Executor, step: Any, s: Situation, seen: Any) -> Taken:
        if isinstance(step, WriteStatus) and step.purpose == "intent" and step.status.attempt:
            # The request goes out; that it did is known to this process only.
            decision = recovery._carry_on(s.with_status(step.status), step.status.attempt)
            return await take(self, decision.step, s, seen)
        return await take(self, step, s, seen)

    return [(Executor, "take", without)]


def _no_adoption() -> list[tuple[Any, str, Any]]:
    recover, adopt, late = recovery._recover, planning._adopt, recovery.late_keys

    def without(s: Situation, attempt: Any) -> Decision:
        return recover(_without_record(s), attempt)

    def nor(s: Situation, why: Any) -> Decision | None:
        return adopt(_without_record(s), why)

    def neither(s: Situation) -> Decision | None:
        decision = late(s)
        return None if decision and isinstance(decision.step, WriteStatus) else decision

    return [(recovery, "_recover", without), (planning, "_adopt", nor), (planning, "late_keys", neither)]


def _without_record(s: Situation) -> Situation:
    """As if the target held no record."""
    targets = {
        name: replace(there, record=None) if isinstance(there, Present) else there
        for name, there in s.observed.targets.items()
    }
    return replace(s, observed=s.observed._replace(targets=targets))


def _revoke_before_record() -> list[tuple[Any, str, Any]]:
    close = recovery._close

    def first(s: Situation, attempt: Any, result: str | None, failure: Any) -> Decision:
        for key in s.listed:
            if s.attempt_of(key) == attempt.id and key.key_id not in s.observed.revoked:
                return Decision(RevokeKey(key.key_id, attempt.issuer), recovery.Reason.ATTEMPT_LOST, "Revoked.")
        return close(s, attempt, result, failure)

    return [(recovery, "_close", first)]


def _revoke_unrecorded() -> list[tuple[Any, str, Any]]:
    late = recovery.late_keys

    def any_of_ours(s: Situation) -> Decision | None:
        named = {s.status.key_id, *(p.key_id for p in s.status.previous)} | set(s.observed.revoked)
        for key in s.listed:
            if s.status.issuer and s.status.attempt is None and s.attempt_of(key) and key.key_id not in named:
                return Decision(RevokeKey(key.key_id, s.status.issuer), recovery.Reason.LATE_KEY_REVOKED, "Revoked.")
        return late(s)

    return [(planning, "late_keys", any_of_ours)]


def _revoke_what_stands_in_the_target() -> list[tuple[Any, str, Any]]:
    """Overlaps and late keys end without a look at what the target holds."""
    overlaps, late = removal.overlaps_over, recovery.late_keys

    def blindly(s: Situation) -> Decision | None:
        for p in s.status.previous:
            if p.revoke_at <= s.now and p.key_id not in s.observed.revoked | set(s.observed.failed_revocations):
                return Decision(RevokeKey(KeyId(p.key_id), p.issuer), recovery.Reason.REVOKED, "Revoked.")
        return overlaps(s)

    def late_blindly(s: Situation) -> Decision | None:
        watched = {c.id: c.issuer for c in s.status.closed_attempts}
        for key in s.listed:
            attempt = s.attempt_of(key)
            if attempt in watched and key.key_id not in s.observed.revoked | {s.status.key_id}:
                return Decision(RevokeKey(key.key_id, watched[attempt]), recovery.Reason.LATE_KEY_REVOKED, "Revoked.")
        return late(s)

    return [(planning, "overlaps_over", blindly), (planning, "late_keys", late_blindly)]


def _revoke_before_delivery() -> list[tuple[Any, str, Any]]:
    """The older key ends with the overlap, whether or not the new one stands in the target."""
    overlaps = removal.overlaps_over

    def anyway(s: Situation) -> Decision | None:
        record = s.record_at(s.home)
        if record is None or record.key_id != s.status.key_id:
            for p in s.status.previous:
                done = s.observed.revoked | set(s.observed.failed_revocations)
                if p.revoke_at <= s.now and p.key_id not in done and (record is None or record.key_id != p.key_id):
                    return Decision(RevokeKey(KeyId(p.key_id), p.issuer), recovery.Reason.REVOKED, "Revoked.")
        return overlaps(s)

    return [(planning, "overlaps_over", anyway)]


def _no_preflight() -> list[tuple[Any, str, Any]]:
    from keywright.planning import preflight  # noqa: PLC0415 - one use

    kept = tuple(check for check in preflight._CHAIN if check is preflight.issuer_ready)
    return [(preflight, "_CHAIN", kept)]


def _unguarded(where: str) -> list[tuple[Any, str, Any]]:
    from tests.ports.fake_cluster import ApiServer  # noqa: PLC0415 - as above
    from tests.ports.fake_sink import SecretStore  # noqa: PLC0415 - as above

    return [({"status": ApiServer, "target": SecretStore}[where], "guarded", False)]


def _no_hold() -> list[tuple[Any, str, Any]]:
    from keywright.reconcile import holding  # noqa: PLC0415 - as above

    bind = planning._bind

    def without(s: Situation, *why: Any) -> Decision | None:
        decision = bind(s, *why)
        return None if decision and isinstance(decision.step, HoldIssuer) else decision

    return [(planning, "_bind", without), (holding, "hold_due", lambda **_: None)]


def _no_lease() -> list[tuple[Any, str, Any]]:
    from tests.simulation.leadership import Leadership  # noqa: PLC0415 - as above

    return [(Leadership, "of", lambda _self, _process: Unshared())]


def _unreadable_is_lost() -> list[tuple[Any, str, Any]]:
    def guess(s: Situation, refusal: Refusal) -> Decision | None:
        since, identity = s.status.grant_lost_at or s.now.replace(microsecond=0), s.status.issuer
        if s.now >= since + ungranted.GRACE:
            return ungranted._end(s, cast("IssuerFacts", SimpleNamespace(identity=identity)), refusal)
        marked = s.with_status(s.status.model_copy(update={"grant_lost_at": since}))
        status = outcome.refused(marked, refusal.reason, refusal.message, stalled=True)
        return ungranted._say(s, status, refusal.message, since + ungranted.GRACE)

    return [(ungranted, "_unsure", guess)]


def _no_fresh_look() -> list[tuple[Any, str, Any]]:
    async def blind(*_: Any) -> None:
        pass

    return [(Reconciler, "_up_to_date", blind)]


def _clean_unseen() -> list[tuple[Any, str, Any]]:
    from keywright.reconcile import cleaning  # noqa: PLC0415 - as above

    return [(cleaning, "_may_live", lambda *_: False)]


GUARDS: Final[dict[str, Guard]] = {
    "intent": Guard("the attempt is written down before the POST", _no_intent),
    "resourceVersion": Guard("status writes are guarded by resourceVersion", lambda: _unguarded("status")),
    "compare-and-set": Guard("target writes are guarded by a version", lambda: _unguarded("target")),
    "adoption": Guard("what was delivered is settled, by the record beside it", _no_adoption),
    "fence": Guard("the target is touched before an attempt is closed", lambda: [(recovery, "_fence", _no)]),
    "record first": Guard("an attempt is closed before its key is revoked", _revoke_before_record),
    "fresh look": Guard("an ApiKey is read once more before a key is revoked", _no_fresh_look),
    "left place": Guard("no place is cleaned of a key that another writer may have delivered", _clean_unseen),
    "late keys": Guard(
        "keys of closed attempts are looked for", lambda: [(planning, "late_keys", _no), (removal, "late_keys", _no)]
    ),
    "wait": Guard("a deleted ApiKey waits for late keys", lambda: [(removal, "_wait_for_late_keys", _no)]),
    "recorded only": Guard("only what is recorded is revoked", _revoke_unrecorded),
    "key in the target": Guard("never the key that stands in the target", _revoke_what_stands_in_the_target),
    "deliver first": Guard("an older key ends only once the target holds the new one", _revoke_before_delivery),
    "rollouts": Guard("an older key waits for the rollouts", lambda: [(rollouts, "holds", lambda _s, _key: False)]),
    "preflight": Guard("no key is asked for that cannot be delivered", _no_preflight),
    "storm guard": Guard(
        "one key per interval", lambda: [(rules, "held_until", lambda s, _why: rules.paused_until(s))]
    ),
    "hold": Guard("an issuer stays while anything may have to be revoked at it", _no_hold),
    "ten minutes": Guard(
        "a key outlives its grant by ten minutes", lambda: [(ungranted, "GRACE", timedelta(seconds=1))]
    ),
    "given back": Guard(
        "a grant that is given back ends what was said of its loss", lambda: [(ungranted, "_given_back", _no)]
    ),
    "no guess": Guard("what cannot be read is no lost grant", _unreadable_is_lost),
    "lease": Guard("no POST and no revocation without a lease that lasts", _no_lease),
}
"""By a short name."""
