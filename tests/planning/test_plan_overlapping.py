"""How older keys end, and places that a key has left: rows of the composed planner."""

from __future__ import annotations

import pytest
from tests.planning.builders import (
    NO_ANSWER,
    NOW,
    a_previous_key,
    a_record,
    a_target,
    all_known,
    an_api_key,
    observed,
    said,
    settled,
)
from tests.planning.rows import DUE, ELSEWHERE, GONE, HOUR, MINUTE, RECORD, THERE, Row

from keywright.api.reasons import Reason
from keywright.planning.observed import Fact, Foreign
from keywright.planning.steps import Look, RevokeKey, Wait, WriteStatus

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


@pytest.mark.parametrize("sentence", OVERLAPS)
def test_plan(sentence: str):
    """Each row: the step, its reason, and what Ready says."""
    OVERLAPS[sentence].holds()
