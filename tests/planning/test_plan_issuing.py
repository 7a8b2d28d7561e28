"""When a key is issued: the first one, and each reason for another. Each row one situation of the composed planner."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.planning.builders import (
    ISSUER,
    NO_ANSWER,
    NOW,
    a_closed_attempt,
    a_record,
    a_subject,
    a_target,
    all_known,
    an_api_key,
    an_attempt,
    facts,
    listed,
    observed,
    settled,
)
from tests.planning.rows import DAY, ELSEWHERE, HOUR, OTHER_KEY, OTHER_UID, RECORD, THERE, Row, triggered, with_secret

from keywright.api.apikey_status import ApiKeyStatus, Handled
from keywright.api.reasons import Reason
from keywright.keys import KeyId
from keywright.planning.observed import Fact, Foreign, Refusal, Rewriting
from keywright.planning.steps import (
    AddFinalizer,
    CleanTarget,
    HoldIssuer,
    IssueAndDeliver,
    Look,
    RewriteTarget,
    Wait,
    WriteStatus,
)

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


TABLE = FIRST | REASONS_TO_ISSUE


@pytest.mark.parametrize("sentence", TABLE)
def test_plan(sentence: str):
    """Each row: the step, its reason, and what Ready says."""
    TABLE[sentence].holds()
