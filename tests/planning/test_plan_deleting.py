"""What becomes of the keys and places of an ApiKey that is deleted: rows of the composed planner."""

from __future__ import annotations

import pytest
from tests.planning.builders import (
    ISSUER,
    NO_ANSWER,
    a_closed_attempt,
    a_previous_key,
    a_record,
    a_subject,
    a_target,
    an_api_key,
    an_attempt,
    decide,
    listed,
    observed,
    settled,
)
from tests.planning.rows import (
    ALL_REVOKED,
    ELSEWHERE,
    GONE,
    MINUTE,
    OPEN,
    RECORD,
    REFUSED,
    RETAIN,
    RETAINING,
    TODAY,
    TOLD,
    Row,
    deleting,
)

from keywright.api.reasons import Reason
from keywright.planning.observed import Absent, Fact, Refusal
from keywright.planning.steps import CleanTarget, Look, ReleaseFinalizer, RevokeKey, RewriteTarget, Wait, WriteStatus

CLOSED = {"closed_attempts": [a_closed_attempt()]}


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


@pytest.mark.parametrize("sentence", DELETION)
def test_plan(sentence: str):
    """Each row: the step, its reason, and what Ready says."""
    DELETION[sentence].holds()


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
