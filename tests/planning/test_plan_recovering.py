"""What becomes of an attempt that was interrupted, and of keys that nobody recorded: rows of the composed planner."""

from __future__ import annotations

import pytest
from tests.planning.builders import (
    ISSUER,
    KEY,
    NOW,
    UID,
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
from tests.planning.rows import DAY, ELSEWHERE, OPEN, OTHER_UID, REFUSED, THERE, TODAY, TOLD, YESTERDAY, Row, deleting

from keywright.api.apikey_status import ApiKeyStatus
from keywright.api.reasons import Reason
from keywright.planning.observed import Absent, Fact, Failure, Foreign
from keywright.planning.steps import FenceTarget, HoldIssuer, Look, ReleaseFinalizer, RevokeKey, Wait, WriteStatus

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
        seen=all_known(**listed(("key-c", "ccccccc1")))._replace(
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


LATE = a_closed_attempt(ago=DAY)


FENCED = a_target(fence="ccccccc1")


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


TABLE = RECOVERY | SOMEBODY_USES | ADOPTION


@pytest.mark.parametrize("sentence", TABLE)
def test_plan(sentence: str):
    """Each row: the step, its reason, and what Ready says."""
    TABLE[sentence].holds()


def test_the_key_and_uid_of_the_builders_are_the_ones_of_the_tag():
    """The listed keys of these tables belong to the ApiKey of these tables."""
    assert KEY.name == "pipeline"
    assert f"/{UID[:8]}/" in str(listed(("k", "aaaaaaa1"))["listing"][0].name)
