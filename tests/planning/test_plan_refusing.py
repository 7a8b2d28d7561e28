"""What is refused before anything is asked for, and what holds an issuance back: rows of the composed planner."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.planning.builders import (
    NOW,
    a_previous_key,
    a_subject,
    a_target,
    all_known,
    an_api_key,
    facts,
    observed,
    said,
    settled,
)
from tests.planning.rows import (
    ADOPTABLE,
    ADOPTING,
    DAY,
    HOUR,
    ISSUER_GOES,
    MINUTE,
    OTHER_KEY,
    OTHER_UID,
    REFUSED,
    THERE,
    Row,
    paused,
    triggered,
)

from keywright.api.apikey import KeyIssuerIdentity
from keywright.api.apikey_status import ApiKeyStatus, Issuance
from keywright.api.reasons import Reason
from keywright.planning.observed import Foreign, Refusal
from keywright.planning.steps import RevokeKey, Wait, WriteStatus

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


TABLE = REFUSALS | GUARDS


@pytest.mark.parametrize("sentence", TABLE)
def test_plan(sentence: str):
    """Each row: the step, its reason, and what Ready says."""
    TABLE[sentence].holds()
