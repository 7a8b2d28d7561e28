"""What holds in every situation, however unlikely: made-up ones, thousands of them."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.planning.builders import (
    ISSUER,
    KEY,
    NO_ANSWER,
    NOW,
    SECRET,
    UID,
    a_closed_attempt,
    a_previous_key,
    a_record,
    a_subject,
    a_target,
    an_api_key,
    an_attempt,
    decide,
    facts,
    listed,
    observed,
    reread,
    settled,
)

from keywright.api.apikey import ApiKeySpec, KeyIssuerIdentity, RestartRef
from keywright.api.apikey_status import ApiKeyStatus, Handled, Issuance, PendingRollout, RolloutStatus
from keywright.api.reasons import Reason
from keywright.keys import KeyId, ResourceKey
from keywright.planning import rollouts, rules
from keywright.planning.observed import (
    Absent,
    Failure,
    Foreign,
    IssuerFacts,
    Observed,
    Refusal,
    Rewriting,
    RolledOut,
    Rolling,
    Unrolled,
)
from keywright.planning.situation import Situation
from keywright.planning.steps import AddFinalizer, IssueAndDeliver, RestartWorkload, RevokeKey, Step, Wait, WriteStatus

SOMETIMES = st.sampled_from([timedelta(seconds=s) for s in (-100_000, -4000, -61, -1, 0, 1, 61, 4000, 100_000)])
IDS = st.sampled_from(["key-0", "key-1", "key-2", "key-c"])
ATTEMPTS = st.sampled_from(["aaaaaaa1", "bbbbbbb1", "ccccccc1"])
PLACES = st.sampled_from([SECRET, "elsewhere", "VaultStore/v/p"])
WEB = RestartRef(kind="Deployment", name="web")
OTHER_ISSUER = KeyIssuerIdentity(kind="KeyIssuer", name="eu", uid="issuer-2")
ISSUERS = st.sampled_from([ISSUER, OTHER_ISSUER])
REFUSALS = st.sampled_from(
    [
        Refusal(Reason.ISSUER_UNAVAILABLE, "no answer", stalled=False, after=40.0),
        Refusal(Reason.ADMIN_KEY_REFUSED, "refused"),
        Refusal(Reason.ISSUER_CREDENTIALS_GONE, "gone"),
    ]
)

ROLLOUT_STATES = st.sampled_from(
    [
        RolledOut(),
        Rolling(),
        Rolling("is paused"),
        Unrolled("missing"),
        Unrolled("forbidden"),
        Unrolled("unanswered", "no"),
    ]
)


STORE_REFUSALS = (
    Refusal(Reason.STORE_UNAVAILABLE, "sealed", stalled=False),
    Refusal(Reason.STORE_NOT_FOUND, "there is none"),
)


@st.composite
def specs(draw: st.DrawFn) -> ApiKeySpec:
    """Specs of all sorts."""
    changes: dict[str, Any] = {
        "expiry": draw(
            st.sampled_from(
                [None, {"validity": "90d"}, {"validity": "1d"}, {"date": "2026-11-20"}, {"date": "2027-01-31"},
                 {"date": "2026-11-20", "afterEnd": "Clean"}]
            )
        ),
        "label": draw(st.sampled_from([None, "another"])),
        "suspend": draw(st.booleans()),
        "deletionPolicy": draw(st.sampled_from(["Revoke", "Retain"])),
        "issuerRef": {"name": draw(st.sampled_from(["mistral", "eu"]))},
        "rotation": draw(
            st.sampled_from(
                [None, {"schedule": "0 * * * *", "overlap": "1h"}, {"schedule": "61 * * * *"}, {"renewBefore": "99%"}, {"overlap": "0s"},
                 {"restart": [WEB.to_dict()]}]
            )
        ),
        "target": draw(
            st.sampled_from(
                [{"secret": {"name": SECRET}}, {"secret": {"name": "elsewhere", "labels": {"a": "b"}}},
                 {"vault": {"storeRef": {"name": "v"}, "path": "p"}}]
            )
        ),
    }  # fmt: skip
    return an_api_key(**changes)


@st.composite
def statuses(draw: st.DrawFn) -> ApiKeyStatus:
    """Statuses of all sorts, as the apiserver gives them back."""
    status = draw(
        st.sampled_from(
            [ApiKeyStatus(), settled(), settled(an_api_key(expiry=None), a_record(expiry=None, expires_on=None))]
        )
    )
    later = st.none() | SOMETIMES.map(lambda t: NOW + t)
    previous = st.builds(
        a_previous_key, IDS, SOMETIMES, target=st.none() | PLACES, issuer=ISSUERS, rollouts_until=later
    )
    entry = st.builds(PendingRollout, kind=st.just(WEB.kind), name=st.just(WEB.name), restarted_at=later)
    rollout = st.builds(
        RolloutStatus,
        revision=st.just(1),
        since=SOMETIMES.map(lambda t: NOW + t),
        pending=st.lists(entry, min_size=1, max_size=1),
    )
    closed = st.builds(a_closed_attempt, ATTEMPTS, SOMETIMES.map(abs), issuer=ISSUERS)
    attempt = st.builds(an_attempt, ATTEMPTS, generation=st.sampled_from([1, 2]), issuer=ISSUERS)
    issuance = st.builds(
        Issuance, at=SOMETIMES.map(lambda t: NOW + t), reason=st.sampled_from(["SpecChanged", "Triggered", "NotIssued"])
    )
    changes: dict[str, Any] = {
        "previous": draw(st.lists(previous, max_size=3, unique_by=lambda p: p.key_id)),
        "closed_attempts": draw(st.lists(closed, max_size=2, unique_by=lambda c: c.id)),
        "attempt": draw(st.none() | attempt),
        "rollout": draw(st.none() | rollout),
        "recent_issuances": draw(st.lists(issuance, max_size=3)),
        "failures": draw(st.integers(0, 4)),
        "next_attempt_at": draw(st.none() | SOMETIMES.map(lambda t: NOW + t)),
        "observed_generation": draw(st.sampled_from([None, 1, 2])),
        "handled": draw(st.sampled_from([Handled(), Handled(rotate="1")])),
    }
    if status.key_id:
        changes["previous"] = [p for p in changes["previous"] if p.key_id != status.key_id]
        changes["issued_at"] = NOW - draw(
            st.sampled_from([timedelta(hours=1), timedelta(days=80), timedelta(days=200)])
        )
    return reread(status.model_copy(update=changes))


@st.composite
def worlds(draw: st.DrawFn) -> Observed:
    """What a pass may know, of all sorts."""
    record = st.builds(a_record, IDS, ATTEMPTS, owner_uid=st.sampled_from([UID, "another-uid"]))
    ours = st.builds(
        a_target,
        st.none() | record,
        fence=st.none() | ATTEMPTS,
        owner=st.sampled_from([KEY, ResourceKey("search", "older")]),
        layout_digest=st.sampled_from([a_target().layout_digest, "drifted"]),
    )
    targets = draw(st.dictionaries(PLACES, st.just(Absent()) | st.just(Foreign("theirs")) | ours, max_size=2))
    listing = draw(
        st.just({})
        | REFUSALS.map(lambda refusal: {"listing": refusal})
        | st.builds(
            lambda ids, used: listed(*ids, last_used=used),
            st.lists(st.tuples(IDS, ATTEMPTS), max_size=3, unique_by=lambda pair: pair[0]),
            st.sampled_from([None, NOW.date(), NOW.date() + timedelta(days=2)]),
        )
    )
    if draw(st.booleans()):
        listing.pop("searched", None)
    failure = st.builds(
        Failure,
        st.just(Reason.ISSUE_FAILED),
        st.just("no"),
        st.none() | IDS,
        maybe_committed=st.booleans(),
        settled=st.booleans(),
        counts=st.booleans(),
    )
    fields: dict[str, Any] = {
        "subject": a_subject(
            generation=draw(st.sampled_from([1, 2])),
            deleting=draw(st.booleans()),
            finalizer=draw(st.booleans()),
            rotate=draw(st.sampled_from([None, "1", "2"])),
            compromised=draw(st.sampled_from([None, "yes"])),
            abandon=draw(st.booleans()),
        ),
        "rival": draw(st.sampled_from([None, None, ResourceKey("search", "older")])),
        "owner_exists": draw(st.booleans()),
        "issuer": draw(st.none() | REFUSALS | st.booleans().map(lambda held: facts(held=held))),
        "targets": targets,
        "fresh": frozenset(draw(st.sets(st.sampled_from(sorted(targets)))) if targets else ()),
        "rehearsal": draw(st.sampled_from([None, True, Refusal(Reason.TARGET_REFUSED, "quota")])),
        "key_gone": draw(st.booleans()),
        "fresh_attempt": draw(st.none() | ATTEMPTS),
        "delivered": draw(st.none() | ATTEMPTS),
        "failure": draw(st.none() | failure),
        "revoked": frozenset(map(KeyId, draw(st.sets(IDS, max_size=2)))),
        "failed_revocations": draw(st.dictionaries(IDS, st.just(NO_ANSWER) | REFUSALS, max_size=1)),
        "namespace_ending": draw(st.none() | st.booleans()),
        "cleaned": frozenset(draw(st.sets(PLACES, max_size=1))),
        "unclean": draw(st.dictionaries(PLACES, st.just("no"), max_size=1)),
        "beyond": draw(st.dictionaries(PLACES, st.just("gone"), max_size=1)),
        "pruned": frozenset(map(KeyId, draw(st.sets(IDS, max_size=2)))),
        "unpruned": draw(st.dictionaries(IDS, st.just("no"), max_size=1)),
        "unreadable": draw(st.sampled_from([None, None, None, *STORE_REFUSALS])),
        "rollouts": draw(st.dictionaries(st.tuples(IDS, st.just(WEB)), ROLLOUT_STATES, max_size=2)),
        "rewritten": draw(st.none() | SOMETIMES.map(lambda t: Rewriting(a_target().layout_digest, NOW + t))),
        **listing,
    }
    return observed(**fields)


SITUATIONS = st.tuples(specs(), statuses(), worlds())
MANY = settings(
    max_examples=int(os.environ.get("KEYWRIGHT_EXAMPLES", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
"""Few by default, so that the suite stays quick; the situations are made in another order on each run."""


@MANY
@given(SITUATIONS)
def test_a_decision_is_one_and_the_same_and_breaks_no_invariant(case: tuple[ApiKeySpec, ApiKeyStatus, Observed]):
    """Asked twice, the planner answers the same; and what it decides is allowed, whatever the situation.

    No key is asked for without its attempt written down by this very pass. Nothing is revoked that this ApiKey has no record of, nor
    what stands in the target, deletion apart; a status that is written differs from the one that stands, once both are JSON; a wait
    ends in the future; what is said is said once, and what is recorded has its finalizer.
    """
    spec, status, seen = case
    decision = decide(spec, status, seen)
    match decision.step:
        case IssueAndDeliver(attempt=attempt):
            assert status.attempt is not None
            assert attempt.id == status.attempt.id == seen.fresh_attempt
            assert not seen.subject.deleting
        case RevokeKey(key_id=key_id):
            _may_be_revoked(key_id, spec, status, seen)
        case RestartWorkload(workload=workload, value=value):
            _may_be_restarted(workload, value, Situation(spec, status, seen, NOW))
        case WriteStatus(status=after):
            assert reread(after) != status
            assert len(after.previous) <= 8
            assert reread(after) == reread(reread(after))
            assert {p.key_id for p in status.previous} - {p.key_id for p in after.previous} <= {
                *seen.revoked,
                after.key_id,
            }
        case Wait(until=until):
            assert until is None or until > NOW
        case _:
            pass
    _has_its_finalizer(decision.step, status, seen)
    _says_it_once(spec, status, seen)


def _may_be_revoked(key_id: str, spec: ApiKeySpec, status: ApiKeyStatus, seen: Observed) -> None:
    s = Situation(spec, status, seen, NOW)
    watched = {c.id for c in status.closed_attempts}
    recorded = {p.key_id for p in status.previous} | {k.key_id for k in s.listed if s.attempt_of(k) in watched}
    recorded |= {seen.failure.key_id} if seen.failure and seen.failure.key_id and watched else set()
    if seen.subject.deleting:
        standing = s.record_at(s.home)
        lost = s.home in seen.fresh and (standing is None or standing.key_id != status.key_id)
        ends = s.bound or seen.namespace_ending or (lost and seen.namespace_ending is not None) or s.home is None
        recorded |= {status.key_id} if ends and status.key_id else set()
    else:
        assert key_id != status.key_id
        assert not [p for p in status.previous if p.key_id == key_id and rollouts.holds(s, p)], "it waits for a rollout"
        # Read just before: unknown is not good enough, but for what surely was not delivered. Which place counts depends on the key.
        surely = seen.unreadable and seen.failure and seen.failure.settled and key_id == seen.failure.key_id
        assert seen.fresh or s.home is None or surely
        held = {record.key_id for name in (s.home, s.place) if name in seen.fresh and (record := s.record_at(name))}
        previous = {p.key_id for p in status.previous}
        if s.home == s.place or key_id not in previous:
            assert key_id not in held
    assert key_id in recorded
    assert key_id not in seen.revoked
    by_id = {p.key_id for p in status.previous} | {status.key_id, seen.failure.key_id if seen.failure else None}
    if key_id not in by_id:
        [key] = [key for key in s.listed if key.key_id == key_id]
        assert key.last_used in (None, NOW.date()), "somebody uses it"


def _may_be_restarted(workload: RestartRef, value: str, s: Situation) -> None:
    """Named by spec and status, not restarted yet, and the target holds the key that it is restarted for."""
    assert not s.observed.subject.deleting
    assert s.spec.rotation
    assert workload in (s.spec.rotation.restart or ())
    assert s.status.rollout
    assert [e for e in s.status.rollout.pending if e.workload == workload and e.restarted_at is None]
    record = s.record_at(s.home)
    assert record
    assert record.key_id == s.status.key_id == value


def _says_it_once(spec: ApiKeySpec, status: ApiKeyStatus, seen: Observed) -> None:
    """A report, read back from the apiserver, is followed by something else than the same report: at most two in a row.

    Beside them, one for each interrupted attempt whose key somebody uses.
    """
    for _ in range(3 + len(status.closed_attempts)):
        step = decide(spec, status, seen).step
        if not isinstance(step, WriteStatus) or step.purpose != "report":
            return
        status = reread(step.status)
    raise AssertionError(f"too many reports in a row: {step}")


@MANY
@given(SITUATIONS, st.integers(0, 400 * 86400))
def test_once_due_always_due_until_done(case: tuple[ApiKeySpec, ApiKeyStatus, Observed], later: int):
    """A cause to issue a key does not go away by waiting."""
    spec, status, seen = case
    if rules.cause(Situation(spec, status, seen, NOW)):
        assert rules.cause(Situation(spec, status, seen, NOW + timedelta(seconds=later)))


def _has_its_finalizer(step: Step, status: ApiKeyStatus, seen: Observed) -> None:
    """No attempt is written down for an ApiKey that could vanish, nor at an issuer that could.

    A recorded key gets its finalizer back; a deleted one gets none.
    """
    if isinstance(step, WriteStatus) and step.purpose == "intent":
        assert seen.subject.finalizer
        assert isinstance(seen.issuer, IssuerFacts)
        assert seen.issuer.held
    if status.key_id and not seen.subject.finalizer and not seen.subject.deleting:
        assert not isinstance(step, Wait), "it rests without a finalizer"
    assert not (isinstance(step, AddFinalizer) and seen.subject.deleting)
