"""The composed planner: each row one situation, its name the sentence that must hold."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from tests.planning.builders import (
    ISSUER,
    KEY,
    NO_ANSWER,
    NOW,
    UID,
    a_closed_attempt,
    a_previous_key,
    a_record,
    a_subject,
    a_target,
    all_known,
    an_api_key,
    an_attempt,
    decide,
    facts,
    listed,
    observed,
    reread,
    said,
    settled,
)

from keywright.api.apikey import ApiKeySpec, KeyIssuerIdentity
from keywright.api.apikey_status import ApiKeyStatus, Handled, Issuance
from keywright.api.reasons import Reason
from keywright.keys import KeyId, ResourceKey
from keywright.planning.observed import Absent, Fact, Failure, Foreign, Observed, Refusal, Rewriting
from keywright.planning.steps import (
    AddFinalizer,
    CleanTarget,
    FenceTarget,
    HoldIssuer,
    IssueAndDeliver,
    Look,
    ReleaseFinalizer,
    RevokeKey,
    RewriteTarget,
    Wait,
    WriteStatus,
)


@dataclass(frozen=True)
class Row:
    """One situation and what is decided; `of` are attributes of the step, `says` a part of Ready's message, or of the decision's.

    `ready`: its status, where that matters.
    """

    step: type
    reason: Reason
    spec: ApiKeySpec = field(default_factory=an_api_key)
    status: ApiKeyStatus = field(default_factory=ApiKeyStatus)
    seen: Observed = field(default_factory=observed)
    of: dict[str, Any] = field(default_factory=dict)
    says: str = ""
    types: tuple[str, ...] = ()
    ready: str = ""

    def holds(self) -> None:
        """The step, its reason, and what Ready says."""
        decision = decide(self.spec, self.status, self.seen)
        assert type(decision.step) is self.step, decision
        assert decision.reason is self.reason, decision
        for name, value in self.of.items():
            assert getattr(decision.step, name) == value, decision
        if isinstance(decision.step, WriteStatus):
            conditions = {c.type: c for c in decision.step.status.conditions}
            assert self.says in conditions["Ready"].message if self.says else True, conditions["Ready"].message
            assert not self.types or tuple(conditions) == self.types
            assert not self.ready or conditions["Ready"].status == self.ready
            assert reread(decision.step.status) == reread(reread(decision.step.status))
        else:
            assert self.says in decision.message


def with_secret(**secret: Any) -> ApiKeySpec:
    """A spec whose Secret has these fields besides its name."""
    return an_api_key(target={"secret": {"name": "mistral-key", **secret}})


ADOPTING = with_secret(adopt=True)
ADOPTABLE = Foreign("a Secret that keywright did not make", version="3", adoptable_by="pipeline")
RECORD = a_record()
THERE = a_target(RECORD)
ELSEWHERE = an_api_key(target={"secret": {"name": "elsewhere"}})
OTHER_KEY = ResourceKey("search", "older")
OTHER_UID = "ffffffff-0000-4000-8000-000000000000"
REFUSED = Refusal(Reason.ADMIN_KEY_REFUSED, "the platform refused the admin key (401); put a valid one")
GONE = Refusal(Reason.ISSUER_CREDENTIALS_GONE, "keyissuer/mistral has no admin key; create it")
ISSUER_GOES = Refusal(
    Reason.ISSUER_DELETING, "keyissuer/mistral is being deleted; write another issuer into spec.issuerRef"
)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def triggered(**values: str) -> Observed:
    """A settled key's pass in which trigger annotations are there."""
    return all_known(THERE, subject=a_subject(**values))


def paused(at: timedelta, **changes: Any) -> ApiKeyStatus:
    """A settled status after failures, with a pause that ends after `at`."""
    return settled(failures=1, next_attempt_at=NOW + at, **changes)


def deleting(**changes: Any) -> Observed:
    """A pass over a deleted ApiKey."""
    subject = a_subject(deleting=True, abandon=changes.pop("abandon", False))
    return observed(changes.pop("target", THERE), **{"subject": subject, **changes})


FIRST = {
    "nothing is known: the issuer is looked at before anything else": Row(
        Look, Reason.NOT_ISSUED, of={"fact": Fact.ISSUER}
    ),
    "a usable issuer is known: the write to the target is rehearsed": Row(
        Look, Reason.NOT_ISSUED, seen=observed(issuer=facts()), of={"fact": Fact.REHEARSAL}
    ),
    "all is well and the finalizer is not on: it goes on before anything is written down": Row(
        AddFinalizer, Reason.NOT_ISSUED, seen=all_known(subject=a_subject(finalizer=False))
    ),
    "all is well and the issuer is not held: it is, before anything is written down": Row(
        HoldIssuer, Reason.NOT_ISSUED, seen=all_known(issuer=facts(held=False)), of={"issuer": ISSUER}
    ),
    "the ApiKey is bound before the issuer: an issuer is held by nobody who may be gone": Row(
        AddFinalizer,
        Reason.NOT_ISSUED,
        seen=all_known(issuer=facts(held=False), subject=a_subject(finalizer=False)),
    ),
    "all is well: the attempt is written down before the request": Row(
        WriteStatus, Reason.NOT_ISSUED, seen=all_known(), of={"purpose": "intent"}
    ),
    "this pass wrote the attempt down: the key is asked for and delivered": Row(
        IssueAndDeliver,
        Reason.NOT_ISSUED,
        status=ApiKeyStatus(attempt=an_attempt("nextnext")),
        seen=all_known(fresh_attempt="nextnext"),
        of={"version": None, "revision": 1},
    ),
    "a target that is ours is written over with its version": Row(
        IssueAndDeliver,
        Reason.NOT_ISSUED,
        status=ApiKeyStatus(attempt=an_attempt("nextnext")),
        seen=all_known(a_target(), fresh_attempt="nextnext"),
        of={"version": "7"},
    ),
    "suspended before the first key: nothing is issued, and said": Row(
        WriteStatus,
        Reason.SUSPENDED,
        spec=an_api_key(suspend=True),
        seen=all_known(),
        says="once spec.suspend is false",
    ),
    "suspended, never issued, and its date is over: it rests": Row(
        WriteStatus, Reason.SUSPENDED, spec=an_api_key(suspend=True, expiry={"date": "2020-01-01"}), seen=all_known()
    ),
    "a place that was fenced, never got a key and was left is cleaned": Row(
        CleanTarget,
        Reason.TARGET_CLEANED,
        spec=ELSEWHERE,
        status=ApiKeyStatus(target={"kind": "Secret", "name": "mistral-key"}),
        seen=all_known(at="elsewhere"),
        of={"name": "mistral-key"},
    ),
}

REFUSALS = {
    "an issuer that is being deleted makes no key": Row(
        WriteStatus,
        Reason.ISSUER_DELETING,
        seen=observed(issuer=ISSUER_GOES),
        says="write another issuer into spec.issuerRef",
        types=("Ready", "Stalled"),
    ),
    "nor does it replace one, which goes on working": Row(
        WriteStatus,
        Reason.ISSUER_DELETING,
        status=settled(),
        seen=all_known(THERE, issuer=ISSUER_GOES, subject=a_subject(rotate="now")),
        says="The key still works. Its renewal fails: keyissuer/mistral is being deleted",
        types=("Ready", "Stalled"),
    ),
    "it revokes what is over all the same": Row(
        RevokeKey,
        Reason.REVOKED,
        status=settled(previous=[a_previous_key(ends=-MINUTE)]),
        seen=all_known(THERE, issuer=ISSUER_GOES),
        of={"key_id": "key-0"},
    ),
    "a date in the past is refused": Row(
        WriteStatus, Reason.EXPIRY_IN_PAST, spec=an_api_key(expiry={"date": "2020-01-31"}), says="2020-01-31 is over"
    ),
    "a date of today is issued": Row(
        WriteStatus, Reason.NOT_ISSUED, spec=an_api_key(expiry={"date": "2026-11-24"}), seen=all_known()
    ),
    "a schedule that is no cron expression is refused": Row(
        WriteStatus,
        Reason.INVALID_SPEC,
        spec=an_api_key(rotation={"schedule": "61 3 1 * *"}),
        says="write for example 0 3 1 * *",
    ),
    "a time zone that is a folder of zones is refused": Row(
        WriteStatus,
        Reason.INVALID_SPEC,
        spec=an_api_key(rotation={"schedule": "0 3 1 * *", "timeZone": "Europe"}),
        says="write for example Europe/Paris",
    ),
    "a schedule denser than the storm guard is refused with the arithmetic": Row(
        WriteStatus,
        Reason.SCHEDULE_TOO_DENSE,
        spec=an_api_key(rotation={"schedule": "* * * * *"}),
        says="a key every 0:01:00, and the operator's --min-interval allows one every 0:05:00",
    ),
    "an overlap spanning more than five rotations is refused with the arithmetic": Row(
        WriteStatus,
        Reason.SCHEDULE_TOO_DENSE,
        spec=an_api_key(rotation={"schedule": "0 3 * * *", "overlap": "150h"}),
        says="(5 take 5 days, 0:00:00)",
    ),
    "a second ApiKey for a target is refused with the first one's name": Row(
        WriteStatus,
        Reason.TARGET_CONFLICT,
        seen=all_known(rival=OTHER_KEY),
        says="ApiKey search/older already has",
        types=("Ready", "Stalled"),
    ),
    "what is wrong with the issuer is passed on": Row(
        WriteStatus, REFUSED.reason, seen=all_known(issuer=REFUSED), says="put a valid one", types=("Ready", "Stalled")
    ),
    "an issuer that does not answer is awaited, not stalled": Row(
        WriteStatus,
        Reason.ISSUER_UNAVAILABLE,
        seen=all_known(issuer=Refusal(Reason.ISSUER_UNAVAILABLE, "no answer", stalled=False)),
        types=("Ready", "Reconciling"),
    ),
    "a request that no grant allows is refused": Row(
        WriteStatus,
        Reason.NOT_GRANTED,
        seen=all_known(issuer=facts(identity=KeyIssuerIdentity(kind="ClusterKeyIssuer", name="mistral", uid="c"))),
        says="namespaces.names: [search]",
    ),
    "a Secret that somebody else made is refused": Row(
        WriteStatus,
        Reason.TARGET_FOREIGN,
        seen=all_known(Foreign("a Secret that keywright did not make")),
        says="is a Secret that keywright did not make; write another",
    ),
    "what would have it taken over is said in full": Row(
        WriteStatus,
        Reason.TARGET_FOREIGN,
        seen=all_known(Foreign("somebody's")),
        says="write spec.target.secret.adopt: true and run kubectl annotate secret mistral-key -n search "
        "keywright.dev/adoptable-by=pipeline.",
    ),
    "adopt alone does not take a Secret over: it must say so itself": Row(
        WriteStatus,
        Reason.TARGET_FOREIGN,
        spec=ADOPTING,
        seen=all_known(Foreign("somebody's", adoptable_by="older")),
        says="To have it taken over, run kubectl annotate secret mistral-key -n search keywright.dev/adoptable-by=pipeline --overwrite.",
    ),
    "the annotation alone does not either": Row(
        WriteStatus,
        Reason.TARGET_FOREIGN,
        seen=all_known(ADOPTABLE),
        says="To have it taken over, write spec.target.secret.adopt: true.",
    ),
    "an immutable Secret is not adopted": Row(
        WriteStatus,
        Reason.TARGET_REFUSED,
        spec=ADOPTING,
        seen=all_known(replace(ADOPTABLE, immutable=True)),
        says="make it anew without immutable, or write another spec.target.secret.name",
    ),
    "a Secret of another type is not adopted": Row(
        WriteStatus,
        Reason.TARGET_REFUSED,
        spec=ADOPTING,
        seen=all_known(replace(ADOPTABLE, type="kubernetes.io/tls")),
        says="is of the type kubernetes.io/tls, spec.target.secret.type says Opaque",
    ),
    "a Secret of another ApiKey is refused with its name": Row(
        WriteStatus,
        Reason.TARGET_CONFLICT,
        seen=all_known(a_target(owner=OTHER_KEY, owner_uid=OTHER_UID)),
        says="belongs to ApiKey search/older",
    ),
    "a Secret that a deleted ApiKey left is refused as well": Row(
        WriteStatus,
        Reason.TARGET_FOREIGN,
        seen=all_known(a_target(owner=OTHER_KEY, owner_uid=OTHER_UID), owner_exists=False),
        says="which is gone; delete it",
    ),
    "a write that would be refused is refused before a key is asked for": Row(
        WriteStatus,
        Reason.TARGET_REFUSED,
        seen=all_known(rehearsal=Refusal(Reason.TARGET_REFUSED, "exceeded quota")),
        says="exceeded quota",
    ),
    "eight recorded live keys are the most": Row(
        WriteStatus,
        Reason.TOO_MANY_KEYS,
        status=settled(previous=[a_previous_key(f"p{i}") for i in range(7)]),
        seen=triggered(rotate="now"),
        says="8 live keys are recorded",
    ),
    "a refusal that is already said is waited on for 20 seconds": Row(
        Wait,
        REFUSED.reason,
        status=said(an_api_key(), ApiKeyStatus(), all_known(issuer=REFUSED)),
        seen=all_known(issuer=REFUSED),
        of={"until": NOW + timedelta(seconds=20)},
    ),
}

REASONS_TO_ISSUE = {
    "a settled key in its target is left alone until its renewal": Row(
        Wait, Reason.ISSUED, status=settled(), seen=observed(THERE), of={"until": settled().renewal_time}
    ),
    "a target that no watch has shown is read before it is believed gone": Row(
        Look, Reason.TARGET_DRIFTED, status=settled(), of={"fact": Fact.TARGET, "target": "mistral-key"}
    ),
    "a target that looks wrong is read before it is believed": Row(
        Look,
        Reason.TARGET_DRIFTED,
        status=settled(),
        seen=observed(a_target(a_record("other"))),
        of={"fact": Fact.TARGET},
    ),
    "a deleted Secret means a new key": Row(
        WriteStatus, Reason.TARGET_MISSING, status=settled(), seen=all_known(), of={"purpose": "intent"}
    ),
    "a Secret whose plaintext was changed means a new key": Row(
        WriteStatus, Reason.TARGET_DRIFTED, status=settled(), seen=all_known(a_target(RECORD, digest="x"))
    ),
    "an older copy of the Secret put back means a new key": Row(
        WriteStatus, Reason.TARGET_DRIFTED, status=settled(), seen=all_known(a_target(a_record("key-0")))
    ),
    "a Secret replaced by somebody else's is Stalled, and not touched": Row(
        WriteStatus,
        Reason.TARGET_FOREIGN,
        status=settled(),
        seen=all_known(Foreign("a Secret that keywright did not make")),
        says="is a Secret that keywright did not make; write another",
        types=("Ready", "Stalled"),
    ),
    "a Secret taken by another ApiKey is Stalled, and not touched": Row(
        WriteStatus,
        Reason.TARGET_CONFLICT,
        status=settled(),
        seen=all_known(a_target(owner=OTHER_KEY, owner_uid=OTHER_UID)),
        types=("Ready", "Stalled"),
    ),
    "a key that the issuer does not list any more is replaced": Row(
        WriteStatus, Reason.KEY_GONE, status=settled(), seen=all_known(THERE, key_gone=True), of={"purpose": "intent"}
    ),
    "another workspace means a new key": Row(
        WriteStatus, Reason.SPEC_CHANGED, spec=an_api_key(workspace="billing"), status=settled(), seen=all_known(THERE)
    ),
    "another label means a new key": Row(
        WriteStatus, Reason.SPEC_CHANGED, spec=an_api_key(label="new"), status=settled(), seen=all_known(THERE)
    ),
    "another expiry means a new key": Row(
        WriteStatus,
        Reason.SPEC_CHANGED,
        spec=an_api_key(expiry={"validity": "30d"}),
        status=settled(),
        seen=all_known(THERE),
    ),
    "another issuer means a new key": Row(
        WriteStatus,
        Reason.SPEC_CHANGED,
        spec=an_api_key(issuerRef={"name": "eu"}),
        status=settled(),
        seen=all_known(THERE),
    ),
    "another target means a new key there": Row(
        WriteStatus,
        Reason.SPEC_CHANGED,
        spec=ELSEWHERE,
        status=settled(),
        seen=all_known(at="elsewhere"),
        of={"purpose": "intent"},
    ),
    "a trigger with a new value means a new key": Row(
        WriteStatus, Reason.TRIGGERED, status=settled(), seen=triggered(rotate="2"), of={"purpose": "intent"}
    ),
    "a trigger whose value was answered does nothing": Row(
        Wait, Reason.ISSUED, status=settled(handled=Handled(rotate="1")), seen=triggered(rotate="1")
    ),
    "a trigger that was taken away does nothing": Row(
        Wait, Reason.ISSUED, status=settled(handled=Handled(rotate="1")), seen=triggered()
    ),
    "compromised goes ahead of a drift": Row(
        WriteStatus,
        Reason.COMPROMISED,
        status=settled(),
        seen=all_known(a_target(RECORD, digest="x"), subject=a_subject(compromised="yes")),
    ),
    "the schedule came round since the key was issued": Row(
        WriteStatus,
        Reason.SCHEDULED,
        spec=an_api_key(rotation={"schedule": "30 11 * * *", "overlap": "1h"}),
        status=settled(an_api_key(rotation={"schedule": "30 11 * * *", "overlap": "1h"})),
        seen=all_known(THERE),
    ),
    "the renewal time has come": Row(
        WriteStatus,
        Reason.RENEWAL_DUE,
        status=settled(record=a_record(issued_at=NOW - 80 * DAY, expires_on=(NOW + 10 * DAY).date())),
        seen=all_known(a_target(a_record(issued_at=NOW - 80 * DAY, expires_on=(NOW + 10 * DAY).date()))),
    ),
    "a key that the policy gave an end, though none was asked, is renewed before it": Row(
        WriteStatus,
        Reason.RENEWAL_DUE,
        spec=an_api_key(expiry=None),
        status=settled(
            an_api_key(expiry=None),
            a_record(issued_at=NOW - 80 * DAY, expires_on=(NOW + 10 * DAY).date(), expiry=None),
        ),
        seen=all_known(a_target(a_record(issued_at=NOW - 80 * DAY, expires_on=(NOW + 10 * DAY).date(), expiry=None))),
    ),
    "a key with a fixed date is not renewed by time": Row(
        Wait,
        Reason.ISSUED,
        spec=an_api_key(expiry={"date": "2026-11-25"}),
        status=settled(
            an_api_key(expiry={"date": "2026-11-25"}), a_record(expiry="2026-11-25", expires_on=(NOW + DAY).date())
        ),
        seen=all_known(a_target(a_record(expiry="2026-11-25", expires_on=(NOW + DAY).date()))),
    ),
    "a key that the policy let end before its fixed date is said to be dead": Row(
        WriteStatus,
        Reason.ISSUED,
        spec=an_api_key(expiry={"date": "2027-11-25"}),
        status=settled(
            an_api_key(expiry={"date": "2027-11-25"}),
            a_record(expiry="2027-11-25", issued_at=NOW - 10 * DAY, expires_on=(NOW - DAY).date()),
        ),
        seen=all_known(
            a_target(a_record(expiry="2027-11-25", issued_at=NOW - 10 * DAY, expires_on=(NOW - DAY).date()))
        ),
        says="annotate keywright.dev/rotate",
        types=("Ready", "Stalled"),
    ),
    "past a fixed date nothing is issued, and the Secret stays": Row(
        WriteStatus,
        Reason.EXPIRED,
        spec=an_api_key(expiry={"date": "2026-11-20"}),
        status=settled(an_api_key(expiry={"date": "2026-11-20"}), a_record(expiry="2026-11-20")),
        seen=all_known(a_target(a_record(expiry="2026-11-20"))),
        says="2026-11-20 is over",
    ),
    "past a fixed date with Clean the Secret goes": Row(
        CleanTarget,
        Reason.EXPIRED,
        spec=an_api_key(expiry={"date": "2026-11-20", "afterEnd": "Clean"}),
        status=settled(an_api_key(expiry={"date": "2026-11-20", "afterEnd": "Clean"}), a_record(expiry="2026-11-20")),
        seen=all_known(a_target(a_record(expiry="2026-11-20"))),
    ),
    "a suspended key is not renewed, and what waits is said": Row(
        WriteStatus,
        Reason.SUSPENDED,
        spec=an_api_key(suspend=True, label="new"),
        status=settled(),
        seen=all_known(THERE),
        says="spec.label changed. A key is issued once",
    ),
    "a schedule edited into nonsense leaves the key Ready and Stalled": Row(
        WriteStatus,
        Reason.ISSUED,
        spec=an_api_key(rotation={"schedule": "61 3 1 * *"}),
        status=settled(),
        seen=all_known(THERE),
        says="The key still works. Its renewal fails: spec.rotation.schedule",
        types=("Ready", "Stalled"),
    ),
    "a renewBefore that leaves no time is said": Row(
        WriteStatus,
        Reason.ISSUED,
        spec=an_api_key(rotation={"renewBefore": "99%"}),
        status=settled(),
        seen=all_known(THERE),
        says="a third of its life stands in for it",
    ),
    "another template is laid out without a new key": Row(
        RewriteTarget,
        Reason.TARGET_REWRITTEN,
        spec=with_secret(template={"a": "${api_key}"}),
        status=settled(),
        seen=all_known(THERE),
    ),
    "a layout that somebody undid is mended after a minute, not at once": Row(
        Wait,
        Reason.ISSUED,
        status=settled(),
        seen=all_known(
            a_target(RECORD, layout_digest="drifted"),
            rewritten=Rewriting(THERE.layout_digest, NOW - timedelta(seconds=10)),
        ),
        of={"until": NOW + timedelta(seconds=50)},
    ),
    "a layout that the target refuses is said, and not tried in a loop": Row(
        WriteStatus,
        Reason.TARGET_REFUSED,
        spec=with_secret(labels={"team": "search"}),
        status=settled(),
        seen=all_known(THERE, rehearsal=Refusal(Reason.TARGET_REFUSED, "immutable")),
    ),
    "a finalizer that somebody took off a recorded key is put back": Row(
        AddFinalizer, Reason.ISSUED, status=settled(), seen=all_known(THERE, subject=a_subject(finalizer=False))
    ),
    "closed attempts leave the status after a day, and a listing since": Row(
        WriteStatus,
        Reason.WAITING,
        status=settled(closed_attempts=[a_closed_attempt(ago=25 * HOUR)]),
        seen=all_known(THERE, listing=(), looked={ISSUER.uid: NOW}),
        of={"purpose": "drop"},
    ),
    "without a listing since, they stay": Row(
        Wait,
        Reason.ISSUED,
        status=settled(closed_attempts=[a_closed_attempt(ago=25 * HOUR)]),
        seen=all_known(THERE, listing=(), looked={ISSUER.uid: NOW - 2 * HOUR}),
    ),
    "one whose key is listed and cannot be revoked stays": Row(
        WriteStatus,
        Reason.REVOCATION_FAILED,
        status=settled(closed_attempts=[a_closed_attempt(ago=25 * HOUR)]),
        seen=all_known(
            THERE,
            looked={ISSUER.uid: NOW},
            failed_revocations={KeyId("key-9"): NO_ANSWER},
            **listed(("key-9", "ccccccc1")),
        ),
        of={"purpose": "report"},
    ),
    "after a week they leave it whatever the issuer says": Row(
        WriteStatus,
        Reason.WAITING,
        status=settled(closed_attempts=[a_closed_attempt(ago=8 * DAY)]),
        seen=all_known(THERE),
        of={"purpose": "drop"},
    ),
}

GUARDS = {
    "a second key within the interval waits for its end": Row(
        WriteStatus,
        Reason.TARGET_MISSING,
        status=settled(recent_issuances=[Issuance(at=NOW - MINUTE, reason="NotIssued")]),
        seen=all_known(),
        says="waits until 2026-11-24 12:04:00 UTC: one key in 300 s at most. Annotate keywright.dev/rotate",
        types=("Ready", "Reconciling"),
    ),
    "a trigger passes the storm guard": Row(
        WriteStatus,
        Reason.TRIGGERED,
        status=settled(recent_issuances=[Issuance(at=NOW - MINUTE, reason="NotIssued")]),
        seen=triggered(rotate="2"),
        of={"purpose": "intent"},
    ),
    "two spec changes within the interval pass the storm guard": Row(
        WriteStatus,
        Reason.SPEC_CHANGED,
        spec=an_api_key(label="new"),
        status=settled(recent_issuances=[Issuance(at=NOW - MINUTE, reason="SpecChanged")] * 2),
        seen=all_known(THERE),
        of={"purpose": "intent"},
    ),
    "a fourth spec change within the interval waits": Row(
        WriteStatus,
        Reason.SPEC_CHANGED,
        spec=an_api_key(label="new"),
        status=settled(recent_issuances=[Issuance(at=NOW - MINUTE, reason="SpecChanged")] * 3),
        seen=all_known(THERE),
        of={"purpose": "report"},
    ),
    "a trigger does not pass the pause after a failure": Row(
        WriteStatus,
        Reason.TRIGGERED,
        status=paused(MINUTE),
        seen=triggered(rotate="2"),
        of={"purpose": "report"},
    ),
    "a spec edited since the failure passes the pause": Row(
        WriteStatus,
        Reason.SPEC_CHANGED,
        spec=an_api_key(label="new"),
        status=paused(MINUTE),
        seen=all_known(THERE, subject=a_subject(generation=2)),
        of={"purpose": "intent"},
    ),
    "a pause that is over is over": Row(
        WriteStatus, Reason.TRIGGERED, status=paused(-MINUTE), seen=triggered(rotate="2"), of={"purpose": "intent"}
    ),
    "a pause longer than any is of a clock that went back, and ignored": Row(
        WriteStatus, Reason.TRIGGERED, status=paused(30 * DAY), seen=triggered(rotate="2"), of={"purpose": "intent"}
    ),
    "issuances in the future are of a clock that went back, and hold nothing up": Row(
        WriteStatus,
        Reason.TARGET_MISSING,
        status=settled(recent_issuances=[Issuance(at=NOW + 5 * HOUR, reason="NotIssued")]),
        seen=all_known(),
        of={"purpose": "intent"},
    ),
    "a trigger within seconds of a triggered delivery is answered by it": Row(
        WriteStatus,
        Reason.TRIGGERED,
        status=settled(recent_issuances=[Issuance(at=NOW - timedelta(seconds=2), reason="Triggered")]),
        seen=triggered(rotate="10"),
        of={"purpose": "report"},
    ),
}

OPEN = ApiKeyStatus(attempt=an_attempt(), observed_generation=1)
REOPENED = ApiKeyStatus(attempt=an_attempt(), closed_attempts=[a_closed_attempt()], observed_generation=1)
DELIVERED_BEFORE = a_target(a_record("key-c", "ccccccc1"), fence="aaaaaaa1")
ANSWERED_NO = Failure(Reason.ISSUER_REFUSED, "no", None, maybe_committed=False, settled=True)
NOT_DELIVERED = Failure(Reason.DELIVERY_FAILED, "no", "key-1", maybe_committed=True, settled=True)

RECOVERY = {
    "an open attempt found: its keys are listed first": Row(
        Look, Reason.RECOVERING, status=OPEN, seen=observed(THERE), of={"fact": Fact.LISTING, "issuer": ISSUER}
    ),
    "an older listing does not do": Row(
        Look, Reason.RECOVERING, status=OPEN, seen=observed(THERE, listing=()), of={"fact": Fact.LISTING}
    ),
    "then the target is read": Row(
        Look, Reason.RECOVERING, status=OPEN, seen=observed(THERE, **listed()), of={"fact": Fact.TARGET}
    ),
    "key with this tag, record of this attempt: settle": Row(
        WriteStatus,
        Reason.ISSUED,
        status=OPEN,
        seen=observed(THERE, fresh=True, **listed(("key-1", "aaaaaaa1"))),
        of={"purpose": "settle"},
    ),
    "live key of an attempt closed earlier in the target: the fence comes first": Row(
        FenceTarget,
        Reason.RECOVERING,
        status=REOPENED,
        seen=observed(a_target(a_record("key-c", "ccccccc1")), fresh=True, **listed(("key-c", "ccccccc1"))),
    ),
    "live key of an attempt closed earlier in the fenced target: settle with that one": Row(
        WriteStatus,
        Reason.ADOPTED,
        status=REOPENED,
        seen=observed(DELIVERED_BEFORE, fresh=True, **listed(("key-c", "ccccccc1"))),
        of={"purpose": "settle"},
    ),
    "key with this tag, something else in the target: fence it": Row(
        FenceTarget,
        Reason.RECOVERING,
        status=OPEN,
        seen=observed(a_target(), fresh=True, **listed(("key-1", "aaaaaaa1"))),
        of={"version": "7"},
    ),
    "key with this tag, nothing in the target: fence it by making it": Row(
        FenceTarget,
        Reason.RECOVERING,
        status=OPEN,
        seen=observed(Absent(), fresh=True, **listed(("key-1", "aaaaaaa1"))),
        of={"version": None},
    ),
    "key with this tag, target fenced: close, and revoke nothing yet": Row(
        WriteStatus,
        Reason.ATTEMPT_LOST,
        status=OPEN,
        seen=observed(a_target(fence="aaaaaaa1"), fresh=True, **listed(("key-1", "aaaaaaa1"))),
        of={"purpose": "close"},
    ),
    "closed and recorded: then the key is revoked": Row(
        RevokeKey,
        Reason.LATE_KEY_REVOKED,
        status=ApiKeyStatus(closed_attempts=[a_closed_attempt("aaaaaaa1")]),
        seen=observed(a_target(fence="aaaaaaa1"), fresh=True, **listed(("key-1", "aaaaaaa1"))),
        of={"key_id": "key-1"},
    ),
    "nothing listed, nothing in the target: it is fenced all the same": Row(
        FenceTarget, Reason.RECOVERING, status=OPEN, seen=observed(Absent(), fresh=True, **listed())
    ),
    "nothing listed, target fenced: close as unseen": Row(
        WriteStatus,
        Reason.ATTEMPT_LOST,
        status=OPEN,
        seen=observed(a_target(fence="aaaaaaa1"), fresh=True, **listed()),
        of={"purpose": "close"},
    ),
    "another attempt's fence does not count": Row(
        FenceTarget, Reason.RECOVERING, status=OPEN, seen=observed(a_target(fence="bbbbbbb1"), fresh=True, **listed())
    ),
    "somebody else's Secret is not fenced": Row(
        WriteStatus,
        Reason.ATTEMPT_LOST,
        status=OPEN,
        seen=observed(Foreign("theirs"), fresh=True, **listed()),
        of={"purpose": "close"},
    ),
    "an issuer that cannot be asked holds everything": Row(
        WriteStatus,
        REFUSED.reason,
        status=OPEN,
        seen=observed(listing=REFUSED),
        says="what became of it cannot be found out",
    ),
    "surely no key was made: closed without watching for one": Row(
        WriteStatus, Reason.ISSUER_REFUSED, status=OPEN, seen=observed(failure=ANSWERED_NO), of={"purpose": "close"}
    ),
    "made and surely not delivered: closed without a fence": Row(
        WriteStatus, Reason.DELIVERY_FAILED, status=OPEN, seen=observed(failure=NOT_DELIVERED), of={"purpose": "close"}
    ),
    "made, not delivered, closed: the target is read, then the key revoked": Row(
        RevokeKey,
        Reason.LATE_KEY_REVOKED,
        status=ApiKeyStatus(closed_attempts=[a_closed_attempt("aaaaaaa1")]),
        seen=observed(Absent(), fresh=True, failure=NOT_DELIVERED),
        of={"key_id": "key-1"},
    ),
    "a late key that stands in the target after all is taken as delivered": Row(
        WriteStatus,
        Reason.ADOPTED,
        status=settled(closed_attempts=[a_closed_attempt()]),
        seen=observed(a_target(a_record("key-c", "ccccccc1")), fresh=True, **listed(("key-c", "ccccccc1"))),
        of={"purpose": "settle"},
    ),
    "a late key that stands where the current key is, while the spec has moved on, is not revoked": Row(
        WriteStatus,
        Reason.SPEC_CHANGED,
        spec=ELSEWHERE,
        status=settled(closed_attempts=[a_closed_attempt()]),
        seen=replace(
            all_known(**listed(("key-c", "ccccccc1"))),
            targets={"elsewhere": Absent(), "mistral-key": a_target(a_record("key-c", "ccccccc1"))},
            fresh=frozenset({"elsewhere", "mistral-key"}),
        ),
        of={"purpose": "intent"},
    ),
    "an attempt whose spec was edited since is looked for where the key is": Row(
        Look,
        Reason.RECOVERING,
        spec=ELSEWHERE,
        status=settled(attempt=an_attempt("bbbbbbb1")),
        seen=observed(subject=a_subject(generation=2), **listed()),
        of={"fact": Fact.TARGET, "target": "mistral-key"},
    ),
    "no Secret is made at a place that the spec has left": Row(
        WriteStatus,
        Reason.ATTEMPT_LOST,
        spec=ELSEWHERE,
        status=settled(attempt=an_attempt("bbbbbbb1")),
        seen=observed(Absent(), fresh=True, subject=a_subject(generation=2), **listed()),
        of={"purpose": "close"},
    ),
}

TODAY, YESTERDAY = NOW.date(), (NOW - DAY).date()
LATE = a_closed_attempt(ago=DAY)
FENCED = a_target(fence="ccccccc1")
TOLD = a_closed_attempt(ago=DAY, in_use=["key-c"])

SOMEBODY_USES = {
    "a key used on a later day than its attempt began is told of, and not revoked": Row(
        WriteStatus,
        Reason.STRAY_KEY,
        status=ApiKeyStatus(closed_attempts=[LATE]),
        seen=observed(FENCED, fresh=True, **listed(("key-c", "ccccccc1"), last_used=TODAY)),
        of={"purpose": "report"},
    ),
    "used on the day its attempt began: that may have been our own call, and it is revoked": Row(
        RevokeKey,
        Reason.LATE_KEY_REVOKED,
        status=ApiKeyStatus(closed_attempts=[LATE]),
        seen=observed(FENCED, fresh=True, **listed(("key-c", "ccccccc1"), last_used=YESTERDAY)),
        of={"key_id": "key-c"},
    ),
    "begun just before midnight, tried just after it: our own call too": Row(
        RevokeKey,
        Reason.LATE_KEY_REVOKED,
        status=ApiKeyStatus(
            closed_attempts=[a_closed_attempt(started_at=NOW.replace(hour=23, minute=59, second=58) - DAY)]
        ),
        seen=observed(FENCED, fresh=True, **listed(("key-c", "ccccccc1"), last_used=TODAY)),
        of={"key_id": "key-c"},
    ),
    "an attempt that went on for days before it was closed is judged by its beginning": Row(
        WriteStatus,
        Reason.STRAY_KEY,
        status=ApiKeyStatus(closed_attempts=[a_closed_attempt(started_at=NOW - 3 * DAY)]),
        seen=observed(FENCED, fresh=True, **listed(("key-c", "ccccccc1"), last_used=TODAY)),
    ),
    "an older status that tells of the closing only is judged by that: a later day": Row(
        WriteStatus,
        Reason.STRAY_KEY,
        status=ApiKeyStatus(closed_attempts=[a_closed_attempt(ago=DAY, started_at=None)]),
        seen=observed(FENCED, fresh=True, **listed(("key-c", "ccccccc1"), last_used=TODAY)),
    ),
    "an older status that tells of the closing only is judged by that: the same day": Row(
        RevokeKey,
        Reason.LATE_KEY_REVOKED,
        status=ApiKeyStatus(closed_attempts=[a_closed_attempt(started_at=None)]),
        seen=observed(FENCED, fresh=True, **listed(("key-c", "ccccccc1"), last_used=TODAY)),
    ),
    "told of already, it is left in peace": Row(
        Wait,
        Reason.ISSUED,
        status=settled(closed_attempts=[TOLD]),
        seen=all_known(THERE, **listed(("key-c", "ccccccc1"), last_used=TODAY)),
    ),
    "another key of the same attempt that nobody uses is revoked all the same": Row(
        RevokeKey,
        Reason.LATE_KEY_REVOKED,
        status=settled(closed_attempts=[TOLD]),
        seen=all_known(
            THERE,
            listing=(
                *listed(("key-c", "ccccccc1"), last_used=TODAY)["listing"],
                *listed(("key-d", "ccccccc1"))["listing"],
            ),
        ),
        of={"key_id": "key-d"},
    ),
    "in use because it stands in our own target: it was delivered after all": Row(
        WriteStatus,
        Reason.ADOPTED,
        status=settled(closed_attempts=[LATE]),
        seen=observed(
            a_target(a_record("key-c", "ccccccc1")), fresh=True, **listed(("key-c", "ccccccc1"), last_used=TODAY)
        ),
        of={"purpose": "settle"},
    ),
    "made by this very pass and not delivered: nobody but ourselves can have used it": Row(
        RevokeKey,
        Reason.LATE_KEY_REVOKED,
        status=ApiKeyStatus(closed_attempts=[a_closed_attempt("aaaaaaa1", ago=DAY)]),
        seen=observed(Absent(), fresh=True, failure=NOT_DELIVERED, **listed(("key-1", "aaaaaaa1"), last_used=TODAY)),
        of={"key_id": "key-1"},
    ),
    "an open attempt whose key somebody uses is closed like any other": Row(
        WriteStatus,
        Reason.ATTEMPT_LOST,
        status=ApiKeyStatus(attempt=an_attempt(started_at=NOW - 2 * DAY), observed_generation=1),
        seen=observed(a_target(fence="aaaaaaa1"), fresh=True, **listed(("key-1", "aaaaaaa1"), last_used=TODAY)),
        of={"purpose": "close"},
    ),
    "deleted: a key that somebody uses is not revoked either": Row(
        WriteStatus,
        Reason.STRAY_KEY,
        status=settled(closed_attempts=[LATE]),
        seen=deleting(fresh=frozenset({"mistral-key"}), **listed(("key-c", "ccccccc1"), last_used=TODAY)),
        of={"purpose": "report"},
    ),
    "deleted, told of, all else revoked: it is released": Row(
        ReleaseFinalizer,
        Reason.DELETING,
        status=settled(closed_attempts=[TOLD]),
        seen=deleting(
            target=Absent(),
            cleaned=frozenset({"mistral-key"}),
            revoked=frozenset({"key-1"}),
            **listed(("key-c", "ccccccc1"), last_used=TODAY),
        ),
    ),
}

PREDECESSOR = a_record(owner_uid=OTHER_UID, issuer=ISSUER.model_copy(update={"uid": "re-created since"}))
LEFT_BEHIND = a_target(PREDECESSOR, owner_uid=OTHER_UID)
FOUND = {"searched": frozenset({(ISSUER.uid, "[kw/c1u5ter0/ffffffff/")}), "listing": listed(("key-1", "x"))["listing"]}

ADOPTION = {
    "a delivered key of a namesake is looked for under the namesake's tag": Row(
        Look,
        Reason.ADOPTED,
        seen=all_known(LEFT_BEHIND),
        of={"fact": Fact.LISTING, "search": "[kw/c1u5ter0/ffffffff/"},
    ),
    "it lives and fits: taken over without a request": Row(
        WriteStatus, Reason.ADOPTED, seen=all_known(LEFT_BEHIND, **FOUND), of={"purpose": "settle"}
    ),
    "it is not taken over before the issuer is held": Row(
        HoldIssuer,
        Reason.ADOPTED,
        seen=all_known(LEFT_BEHIND, issuer=facts(held=False), **FOUND),
        of={"issuer": ISSUER},
    ),
    "it is dead: a key is issued": Row(
        WriteStatus,
        Reason.NOT_ISSUED,
        seen=all_known(LEFT_BEHIND, **{**FOUND, "listing": ()}),
        of={"purpose": "intent"},
    ),
    "it is of another workspace: a key is issued": Row(
        WriteStatus,
        Reason.NOT_ISSUED,
        seen=all_known(a_target(a_record(owner_uid=OTHER_UID, workspace_id="w"), owner_uid=OTHER_UID), **FOUND),
        of={"purpose": "intent"},
    ),
    "it is of another expiry: a key is issued": Row(
        WriteStatus,
        Reason.NOT_ISSUED,
        spec=an_api_key(expiry=None),
        seen=all_known(LEFT_BEHIND, **FOUND),
        of={"purpose": "intent"},
    ),
    "it is of another cluster: a key is issued": Row(
        WriteStatus,
        Reason.NOT_ISSUED,
        seen=all_known(a_target(a_record(cluster="another")), **FOUND),
        of={"purpose": "intent"},
    ),
    "the issuer cannot list: nothing is issued meanwhile": Row(
        WriteStatus, REFUSED.reason, seen=all_known(LEFT_BEHIND, listing=REFUSED), of={"purpose": "report"}
    ),
}

DUE = settled(previous=[a_previous_key(ends=-MINUTE)])
MOVED_AWAY = settled(
    ELSEWHERE, previous=[a_previous_key(ends=-MINUTE, target="old-place"), a_previous_key("key-9", target="old-place")]
)

OVERLAPS = {
    "an overlap under way is left alone": Row(
        Wait,
        Reason.ISSUED,
        status=said(an_api_key(), settled(previous=[a_previous_key()]), observed(THERE)),
        seen=observed(THERE),
        of={"until": NOW + HOUR},
    ),
    "an overlap that is over: the target is read first": Row(
        Look, Reason.REVOKED, status=DUE, seen=observed(THERE), of={"fact": Fact.TARGET}
    ),
    "the target holds the current key: the older one is revoked": Row(
        RevokeKey, Reason.REVOKED, status=DUE, seen=all_known(THERE), of={"key_id": "key-0"}
    ),
    "revoked: it leaves the status": Row(
        WriteStatus,
        Reason.REVOKED,
        status=DUE,
        seen=all_known(THERE, revoked=frozenset({"key-0"})),
        of={"purpose": "drop"},
    ),
    "the target does not hold the current key: it is repaired first": Row(
        WriteStatus, Reason.TARGET_MISSING, status=DUE, seen=all_known(), of={"purpose": "intent"}
    ),
    "the target holds the older key: it is not revoked": Row(
        WriteStatus,
        Reason.TARGET_DRIFTED,
        status=DUE,
        seen=all_known(a_target(a_record("key-0"))),
        of={"purpose": "intent"},
    ),
    "suspended, and the target is gone: no key is revoked, and it rests": Row(
        WriteStatus, Reason.SUSPENDED, spec=an_api_key(suspend=True), status=DUE, seen=all_known()
    ),
    "the target moves and cannot: overlaps end all the same, by what stands where the key is": Row(
        Look,
        Reason.REVOKED,
        spec=ELSEWHERE,
        status=DUE,
        seen=all_known(Foreign("theirs"), at="elsewhere"),
        of={"fact": Fact.TARGET, "target": "mistral-key"},
    ),
    "a place that another overlapping key uses is not cleaned yet": Row(
        WriteStatus,
        Reason.REVOKED,
        spec=ELSEWHERE,
        status=MOVED_AWAY,
        seen=all_known(a_target(RECORD, ELSEWHERE), at="elsewhere", revoked=frozenset({"key-0"})),
        of={"purpose": "drop"},
    ),
    "an older key that cannot be revoked is said, and tried again": Row(
        WriteStatus,
        Reason.REVOCATION_FAILED,
        status=DUE,
        seen=all_known(THERE, failed_revocations={"key-0": NO_ANSWER}),
        of={"purpose": "report"},
    ),
    "an older key whose issuer's credentials are gone is Stalled beside a key that works": Row(
        WriteStatus,
        Reason.ISSUER_CREDENTIALS_GONE,
        status=DUE,
        seen=all_known(THERE, failed_revocations={"key-0": GONE}),
        of={"purpose": "report"},
        says="Key abcd...wxyz stands in Secret mistral-key",
        types=("Ready", "Stalled"),
    ),
    "past the end the older keys end though the target is gone": Row(
        RevokeKey,
        Reason.REVOKED,
        spec=an_api_key(expiry={"date": "2026-11-20"}),
        status=DUE,
        seen=all_known(),
        of={"key_id": "key-0"},
    ),
}

CLOSED = {"closed_attempts": [a_closed_attempt()]}
ALL_REVOKED = {"revoked": frozenset({"key-1", "key-0"})}
RETAIN = an_api_key(deletionPolicy="Retain")
RETAINING = {"fresh": frozenset({"mistral-key"}), "namespace_ending": False}

DELETION = {
    "nothing of ours holds it: it is left": Row(
        Wait, Reason.DELETING, seen=observed(subject=a_subject(deleting=True, finalizer=False))
    ),
    "no key was ever asked for: it goes at once": Row(
        ReleaseFinalizer, Reason.DELETING, seen=observed(subject=a_subject(deleting=True))
    ),
    "older keys die first": Row(
        RevokeKey,
        Reason.DELETING,
        status=settled(previous=[a_previous_key()]),
        seen=deleting(),
        of={"key_id": "key-0"},
    ),
    "then the current one, though it stands in the target": Row(
        RevokeKey, Reason.DELETING, status=settled(), seen=deleting(), of={"key_id": "key-1"}
    ),
    "then the target goes": Row(
        CleanTarget,
        Reason.TARGET_CLEANED,
        status=settled(),
        seen=deleting(**ALL_REVOKED),
        of={"name": "mistral-key"},
    ),
    "also where the spec has moved on and nothing was delivered there": Row(
        CleanTarget,
        Reason.TARGET_CLEANED,
        spec=ELSEWHERE,
        status=settled(),
        seen=deleting(**ALL_REVOKED),
        of={"name": "mistral-key"},
    ),
    "also where the spec has gone to Vault": Row(
        CleanTarget,
        Reason.TARGET_CLEANED,
        spec=an_api_key(target={"vault": {"storeRef": {"name": "v"}, "path": "p"}}),
        status=settled(),
        seen=deleting(**ALL_REVOKED),
        of={"name": "mistral-key"},
    ),
    "then it is released": Row(
        ReleaseFinalizer,
        Reason.DELETING,
        status=settled(),
        seen=deleting(target=Absent(), cleaned=frozenset({"mistral-key"}), **ALL_REVOKED),
    ),
    "an attempt closed a minute ago is waited for, until when is said": Row(
        WriteStatus,
        Reason.WAITING_FOR_LATE_KEYS,
        status=settled(**CLOSED),
        seen=deleting(**ALL_REVOKED),
        says="waits until 2026-11-24 12:09:00 UTC",
    ),
    "past the window there is one more listing": Row(
        Look,
        Reason.DELETING,
        status=settled(closed_attempts=[a_closed_attempt(ago=11 * MINUTE)]),
        seen=deleting(**ALL_REVOKED),
        of={"fact": Fact.LISTING},
    ),
    "and one at each issuer that an attempt was made at": Row(
        Look,
        Reason.DELETING,
        status=settled(
            closed_attempts=[
                a_closed_attempt(ago=12 * MINUTE),
                a_closed_attempt("ccccccc2", 11 * MINUTE, issuer=ISSUER.model_copy(update={"name": "eu", "uid": "eu"})),
            ]
        ),
        seen=deleting(**ALL_REVOKED, **listed()),
        of={"issuer": ISSUER.model_copy(update={"name": "eu", "uid": "eu"})},
    ),
    "a key that turned up late dies, though it stands in the target": Row(
        RevokeKey,
        Reason.LATE_KEY_REVOKED,
        status=settled(**CLOSED),
        seen=deleting(
            target=a_target(a_record("key-c", "ccccccc1")),
            fresh=frozenset({"mistral-key"}),
            **listed(("key-c", "ccccccc1")),
        ),
        of={"key_id": "key-c"},
    ),
    "Retain: a key that turned up late in the target is the one that stays": Row(
        WriteStatus,
        Reason.ADOPTED,
        spec=RETAIN,
        status=settled(**CLOSED),
        seen=deleting(
            target=a_target(a_record("key-c", "ccccccc1")),
            fresh=frozenset({"mistral-key"}),
            **listed(("key-c", "ccccccc1")),
        ),
        of={"purpose": "settle"},
    ),
    "Retain: first it is found out whether the Secret can stay": Row(
        Look, Reason.DELETING, spec=RETAIN, status=settled(), seen=deleting(), of={"fact": Fact.NAMESPACE}
    ),
    "Retain: also where the issuer cannot be asked": Row(
        Look,
        Reason.DELETING,
        spec=RETAIN,
        status=settled(attempt=an_attempt("bbbbbbb1")),
        seen=observed(subject=a_subject(deleting=True), listing=REFUSED),
        of={"fact": Fact.NAMESPACE},
    ),
    "Retain: and whether it holds the key": Row(
        Look,
        Reason.DELETING,
        spec=RETAIN,
        status=settled(),
        seen=deleting(namespace_ending=False),
        of={"fact": Fact.TARGET, "target": "mistral-key"},
    ),
    "Retain: the current key is not revoked, the older ones are": Row(
        RevokeKey,
        Reason.DELETING,
        spec=RETAIN,
        status=settled(previous=[a_previous_key()]),
        seen=deleting(**RETAINING),
        of={"key_id": "key-0"},
    ),
    "Retain: a Secret that would go with its ApiKey is unbound first": Row(
        RewriteTarget, Reason.RETAINED, spec=RETAIN, status=settled(), seen=deleting(**RETAINING)
    ),
    "Retain: where it cannot be unbound, that is said": Row(
        WriteStatus,
        Reason.TARGET_REFUSED,
        spec=RETAIN,
        status=settled(),
        seen=deleting(rehearsal=Refusal(Reason.TARGET_REFUSED, "immutable"), **RETAINING),
        says="cannot be unbound: immutable",
    ),
    "Retain: an unbound Secret stays and the ApiKey goes": Row(
        ReleaseFinalizer,
        Reason.RETAINED,
        spec=RETAIN,
        status=settled(),
        seen=deleting(target=a_target(RECORD, RETAIN), **RETAINING),
        says="Key key-1 stays alive in Secret mistral-key",
    ),
    "Retain: a key that somebody took out of its Secret is nobody's, and dies": Row(
        RevokeKey,
        Reason.DELETING,
        spec=RETAIN,
        status=settled(),
        seen=deleting(target=a_target(RECORD, digest="x"), **RETAINING),
        of={"key_id": "key-1"},
        says="deletionPolicy: Retain has nothing to keep, since Secret mistral-key does not hold it any more",
    ),
    "Retain: the Secret that was spoilt is left, and the ApiKey goes": Row(
        ReleaseFinalizer,
        Reason.DELETING,
        spec=RETAIN,
        status=settled(),
        seen=deleting(target=a_target(RECORD, digest="x"), **RETAINING, **ALL_REVOKED),
    ),
    "Retain: a key whose Secret goes with its namespace dies with it": Row(
        RevokeKey,
        Reason.DELETING,
        spec=RETAIN,
        status=settled(),
        seen=deleting(target=a_target(RECORD, RETAIN), **{**RETAINING, "namespace_ending": True}),
        of={"key_id": "key-1"},
        says="Secret mistral-key goes with its namespace",
    ),
    "Retain: also where the Secret has gone first": Row(
        RevokeKey,
        Reason.DELETING,
        spec=RETAIN,
        status=settled(),
        seen=deleting(target=Absent(), **{**RETAINING, "namespace_ending": True}),
        of={"key_id": "key-1"},
    ),
    "Retain: nothing is unbound in a namespace that goes": Row(
        CleanTarget,
        Reason.TARGET_CLEANED,
        spec=RETAIN,
        status=settled(),
        seen=deleting(**{**RETAINING, "namespace_ending": True}, **ALL_REVOKED),
    ),
    "a key that cannot be revoked is said": Row(
        WriteStatus,
        Reason.REVOCATION_FAILED,
        status=settled(),
        seen=deleting(failed_revocations={"key-1": NO_ANSWER}),
        says="Key key-1 cannot be revoked yet: no answer",
        types=("Ready", "Reconciling"),
    ),
    "a key that cannot be revoked before a person acts is Stalled, and says how to let it go": Row(
        WriteStatus,
        Reason.REVOCATION_FAILED,
        status=settled(),
        seen=deleting(failed_revocations={"key-1": Refusal(Reason.ADMIN_KEY_MISSING, "there is no admin key")}),
        says="keywright.dev/abandon",
        types=("Ready", "Stalled"),
    ),
    "a key whose issuer's credentials are gone is Stalled by that name, with what mends it": Row(
        WriteStatus,
        Reason.ISSUER_CREDENTIALS_GONE,
        status=settled(),
        seen=deleting(failed_revocations={"key-1": GONE}),
        says="Key key-1 cannot be revoked: keyissuer/mistral has no admin key; create it. A namespace that is being deleted takes nothing",
        types=("Ready", "Stalled"),
    ),
    "of several keys the one whose issuer's credentials are gone speaks": Row(
        WriteStatus,
        Reason.ISSUER_CREDENTIALS_GONE,
        status=settled(previous=[a_previous_key()]),
        seen=deleting(failed_revocations={"key-0": NO_ANSWER, "key-1": GONE}),
        says="Key key-1 cannot be revoked: keyissuer/mistral has no admin key",
    ),
    "an interrupted attempt whose issuer's credentials are gone is named by its tag": Row(
        WriteStatus,
        Reason.ISSUER_CREDENTIALS_GONE,
        status=settled(attempt=an_attempt("bbbbbbb1")),
        seen=deleting(listing=GONE, **ALL_REVOKED),
        says="any tagged [kw/c1u5ter0/0d3a1c2b/bbbbbbb1], cannot be looked for: keyissuer/mistral has no admin key",
        types=("Ready", "Stalled"),
    ),
    "key and attempt are named together": Row(
        WriteStatus,
        Reason.ISSUER_CREDENTIALS_GONE,
        status=settled(attempt=an_attempt("bbbbbbb1")),
        seen=deleting(listing=GONE, failed_revocations={"key-1": GONE}),
        says="Key key-1, any tagged [kw/c1u5ter0/0d3a1c2b/bbbbbbb1] cannot be revoked",
    ),
    "abandon names what is left: keys by id, attempts by tag": Row(
        ReleaseFinalizer,
        Reason.ABANDONED,
        status=settled(attempt=an_attempt("bbbbbbb1")),
        seen=deleting(abandon=True, listing=GONE, failed_revocations={"key-1": GONE}),
        says="at keyissuer/mistral: key-1, any tagged [kw/c1u5ter0/0d3a1c2b/bbbbbbb1].",
    ),
    "abandon lets it go after a failure": Row(
        ReleaseFinalizer,
        Reason.ABANDONED,
        status=settled(),
        seen=deleting(abandon=True, failed_revocations={"key-1": NO_ANSWER}),
    ),
    "abandon before any failure revokes as usual": Row(
        RevokeKey, Reason.DELETING, status=settled(), seen=deleting(abandon=True)
    ),
    "an open attempt at an issuer that is gone: what is recorded by id dies all the same": Row(
        RevokeKey, Reason.DELETING, status=settled(attempt=an_attempt("bbbbbbb1")), seen=deleting(listing=REFUSED)
    ),
    "an open attempt at an issuer that is gone waits": Row(
        WriteStatus,
        REFUSED.reason,
        status=settled(attempt=an_attempt("bbbbbbb1")),
        seen=deleting(listing=REFUSED, **ALL_REVOKED),
        says="cannot be looked for yet",
    ),
    "abandon lets an open attempt go as well": Row(
        ReleaseFinalizer,
        Reason.ABANDONED,
        status=settled(attempt=an_attempt("bbbbbbb1")),
        seen=deleting(abandon=True, listing=REFUSED, **ALL_REVOKED),
    ),
    "no Secret is made to fence a deleted ApiKey's attempt": Row(
        WriteStatus,
        Reason.ATTEMPT_LOST,
        status=OPEN,
        seen=deleting(target=Absent(), fresh=frozenset({"mistral-key"}), **listed()),
        of={"purpose": "close"},
    ),
}

TABLE = FIRST | REFUSALS | REASONS_TO_ISSUE | GUARDS | RECOVERY | SOMEBODY_USES | ADOPTION | OVERLAPS | DELETION


@pytest.mark.parametrize("sentence", TABLE)
def test_plan(sentence: str):
    """Each row: the step, its reason, and what Ready says."""
    TABLE[sentence].holds()


def test_what_stays_alive_is_named_when_the_api_key_goes():
    """The last event of a deleted ApiKey tells of the key that somebody uses, and of the one that Retain keeps."""
    status = settled(RETAIN, closed_attempts=[TOLD])
    seen = deleting(
        target=a_target(RECORD, RETAIN),
        **RETAINING,
        **listed(("key-c", "ccccccc1"), last_used=TODAY),
    )
    decision = decide(RETAIN, status, seen)
    assert isinstance(decision.step, ReleaseFinalizer)
    assert [(note.reason, note.message[:9]) for note in decision.notes] == [
        (Reason.STRAY_KEY, "Key key-c"),
        (Reason.RETAINED, "Key key-1"),
    ]


def test_the_key_and_uid_of_the_builders_are_the_ones_of_the_tag():
    """The listed keys of these tables belong to the ApiKey of these tables."""
    assert KEY.name == "pipeline"
    assert f"/{UID[:8]}/" in str(listed(("k", "aaaaaaa1"))["listing"][0].name)
