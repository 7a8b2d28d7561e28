"""A Secret that is taken over from somebody, and one that somebody changed: as tables of sentences, like those of rows.py."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.planning.builders import (
    NOW,
    a_layout,
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
from tests.planning.rows import (
    ADOPTABLE,
    ADOPTING,
    ALL_REVOKED,
    DUE,
    MINUTE,
    OTHER_KEY,
    RECORD,
    RETAIN,
    RETAINING,
    THERE,
    Row,
    deleting,
)

from keywright.api.apikey_status import ApiKeyStatus, Issuance, IssuedAs
from keywright.api.reasons import Reason
from keywright.planning.observed import Fact, Foreign, Refusal, Rewriting
from keywright.planning.steps import FenceTarget, IssueAndDeliver, Look, RevokeKey, RewriteTarget, Wait, WriteStatus

TAKEN = replace(a_target(None), version="4", layout_digest="drifted", adopted=True)
STRIPPED = replace(THERE, record=None)
BARE = Foreign("a Secret that keywright did not make", version="9", digest=RECORD.digest)

TAKING_OVER = {
    "a Secret that is to be adopted is rehearsed as it stands": Row(
        Look, Reason.NOT_ISSUED, spec=ADOPTING, seen=all_known(ADOPTABLE, rehearsal=None), of={"fact": Fact.REHEARSAL}
    ),
    "it takes the key: the attempt is written down": Row(
        WriteStatus, Reason.NOT_ISSUED, spec=ADOPTING, seen=all_known(ADOPTABLE), of={"purpose": "intent"}
    ),
    "the key is delivered over the version that said so": Row(
        IssueAndDeliver,
        Reason.NOT_ISSUED,
        spec=ADOPTING,
        status=ApiKeyStatus(attempt=an_attempt("bbbbbbb1")),
        seen=all_known(ADOPTABLE, fresh_attempt="bbbbbbb1"),
        of={"version": "3", "layout": replace(a_layout(ADOPTING), adopted=True)},
    ),
    "what it says was taken back since: nothing is asked for": Row(
        WriteStatus,
        Reason.ISSUING,
        spec=ADOPTING,
        status=ApiKeyStatus(attempt=an_attempt("bbbbbbb1")),
        seen=all_known(Foreign("theirs"), fresh_attempt="bbbbbbb1"),
        of={"purpose": "close"},
    ),
    "an interrupted attempt to adopt: it is fenced as ours to be": Row(
        FenceTarget,
        Reason.RECOVERING,
        spec=ADOPTING,
        status=ApiKeyStatus(attempt=an_attempt("bbbbbbb1")),
        seen=all_known(ADOPTABLE, **listed()),
        of={"version": "3"},
    ),
    "a deleted ApiKey's as well: nothing else would undo a late delivery": Row(
        FenceTarget,
        Reason.RECOVERING,
        spec=ADOPTING,
        status=ApiKeyStatus(attempt=an_attempt("bbbbbbb1")),
        seen=deleting(target=ADOPTABLE, fresh=frozenset({"mistral-key"}), **listed()),
        of={"version": "3"},
    ),
    "what an interrupted attempt took over is read before a key goes over what stands in it": Row(
        Look,
        Reason.NOT_ISSUED,
        spec=ADOPTING,
        seen=observed(TAKEN, issuer=facts()),
        of={"fact": Fact.TARGET, "target": "mistral-key"},
    ),
    "a Secret that stands in the place of a lost one may be adopted": Row(
        WriteStatus,
        Reason.TARGET_MISSING,
        spec=ADOPTING,
        status=settled(ADOPTING),
        seen=all_known(ADOPTABLE),
        of={"purpose": "intent"},
    ),
}

DRIFT = {
    "all annotations stripped and the plaintext there: they are put back": Row(
        RewriteTarget, Reason.TARGET_REWRITTEN, status=settled(), seen=all_known(STRIPPED), of={"record": RECORD}
    ),
    "the data alone is left: it is made ours again": Row(
        RewriteTarget, Reason.TARGET_REWRITTEN, status=settled(), seen=all_known(BARE), of={"record": RECORD}
    ),
    "a record that names another key beside this plaintext: written anew": Row(
        RewriteTarget,
        Reason.TARGET_REWRITTEN,
        status=settled(),
        seen=all_known(replace(THERE, record=replace(RECORD, key_id="key-9"))),
        of={"record": RECORD},
    ),
    "a record that was forged to fit another plaintext: a new key": Row(
        WriteStatus,
        Reason.TARGET_DRIFTED,
        status=settled(),
        seen=all_known(replace(THERE, record=replace(RECORD, digest="e" * 64), digest="e" * 64)),
        of={"purpose": "intent"},
    ),
    "a Secret of another ApiKey with this very plaintext is not taken": Row(
        WriteStatus,
        Reason.TARGET_CONFLICT,
        status=settled(),
        seen=all_known(replace(STRIPPED, owner=OTHER_KEY)),
    ),
    "a Secret without our annotations and without the plaintext is somebody else's": Row(
        WriteStatus, Reason.TARGET_FOREIGN, status=settled(), seen=all_known(replace(BARE, digest="e" * 64))
    ),
    "who the plaintext was delivered by an older version is not known: a new key": Row(
        WriteStatus,
        Reason.TARGET_DRIFTED,
        status=settled(issued_as=IssuedAs(workspace="search-prod", label="search/pipeline", expiry="90d")),
        seen=all_known(STRIPPED),
        of={"purpose": "intent"},
    ),
    "stripped while suspended: left alone, and the key works": Row(
        WriteStatus,
        Reason.ISSUED,
        spec=an_api_key(suspend=True),
        status=settled(),
        seen=all_known(STRIPPED),
        says="Suspended: it is not renewed or repaired",
        types=("Ready",),
    ),
    "stripped while suspended, and a trigger waits: the key is still called a working one": Row(
        WriteStatus,
        Reason.SUSPENDED,
        spec=an_api_key(suspend=True),
        status=settled(),
        seen=all_known(STRIPPED, subject=a_subject(rotate="now")),
        says="Suspended: keywright.dev/rotate got a new value.",
        ready="True",
    ),
    "stripped again within a minute: not put back at once": Row(
        Wait,
        Reason.ISSUED,
        status=settled(),
        seen=all_known(BARE, rewritten=Rewriting(THERE.layout_digest, NOW - timedelta(seconds=10))),
        of={"until": NOW + timedelta(seconds=50)},
    ),
    "but at once where a key is to be delivered there": Row(
        RewriteTarget,
        Reason.TARGET_REWRITTEN,
        status=settled(),
        seen=all_known(
            BARE, subject=a_subject(rotate="now"), rewritten=Rewriting(THERE.layout_digest, NOW - timedelta(seconds=10))
        ),
    ),
    "it refuses to be put back: said": Row(
        WriteStatus,
        Reason.TARGET_REFUSED,
        status=settled(),
        seen=all_known(BARE, rehearsal=Refusal(Reason.TARGET_REFUSED, "it is immutable")),
        says="it is immutable",
    ),
    "stripped, and an overlap is over: the older key ends all the same": Row(
        RevokeKey,
        Reason.REVOKED,
        spec=an_api_key(suspend=True),
        status=DUE,
        seen=all_known(STRIPPED),
        of={"key_id": "key-0"},
    ),
    "a plaintext that somebody changed: the field manager is named": Row(
        WriteStatus,
        Reason.TARGET_DRIFTED,
        status=settled(),
        seen=all_known(replace(THERE, digest="e" * 64, changed_by="argocd")),
        of={"purpose": "intent"},
    ),
    "changed again by the same within the interval: stalled, and who it is": Row(
        WriteStatus,
        Reason.TARGET_DRIFTED,
        status=settled(recent_issuances=[Issuance(at=NOW - MINUTE, reason="TargetDrifted")]),
        seen=all_known(replace(THERE, digest="e" * 64, changed_by="argocd")),
        says="the field manager argocd has changed it again: take it out of what argocd writes",
        types=("Ready", "Stalled"),
    ),
    "retained and stripped: the key is not lost, and what names it is put back": Row(
        RewriteTarget,
        Reason.RETAINED,
        spec=RETAIN,
        status=settled(RETAIN),
        seen=deleting(target=BARE, **RETAINING, **listed()),
        of={"record": RECORD},
    ),
    "deleted and stripped: it is made ours, to be cleaned": Row(
        RewriteTarget,
        Reason.TARGET_REWRITTEN,
        status=settled(),
        seen=deleting(target=BARE, fresh=frozenset({"mistral-key"}), **ALL_REVOKED),
        of={"record": RECORD},
    ),
}

TABLE = TAKING_OVER | DRIFT


@pytest.mark.parametrize("sentence", TABLE)
def test_repair(sentence: str):
    """Each row: the step, its reason, and what Ready says."""
    TABLE[sentence].holds()
