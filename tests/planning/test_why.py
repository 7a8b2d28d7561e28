"""`keywright why`: for every reason there is, what it means or what to do is said, until when, and what would change it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.planning.builders import NOW
from tests.planning.fleets import (
    DAY,
    HOUR,
    IDENTITY,
    a_lease,
    an_issuer,
    an_object,
    condition,
    read,
    retried,
    stalled,
    stamp,
)
from tests.planning.test_standing import ATTEMPT, deleted, due, edited

from keywright.api.reasons import EXPLANATIONS, REMEDIES, Reason
from keywright.planning.fleet import operator_of
from keywright.planning.standing import Seen
from keywright.planning.why import why

UNOBSERVED = Reason.NOT_OBSERVED


def said(obj: dict[str, Any], *used: dict[str, Any], lease: Any = None) -> str:
    """All sentences in one text."""
    everything = read(obj, used=used, leases=(lease or a_lease(),))
    sentences = why(Seen.of(obj), everything.used.values(), operator_of(everything, NOW), NOW)
    assert all(sentence.endswith((".", ")")) for sentence in sentences), sentences
    assert len(sentences) == len(set(sentences)), "nothing is said twice"
    return " ".join(sentences)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_its_remedy(reason: Reason):
    """Both tables hold every reason, in whole sentences; whoever must act is told what to do, whatever stopped it."""
    assert EXPLANATIONS[reason].endswith(".")
    assert REMEDIES[reason].endswith(".")
    for text in (
        said(an_object(status=stalled(reason, "It is so."))),
        said(an_object(status=retried(reason, "It is so."))),
    ):
        assert "It is so." in text
        assert reason is Reason.NOT_OBSERVED or f"({reason}, for 60 min)" in text
        assert REMEDIES[reason] in text


@pytest.mark.parametrize("reason", Reason)
def test_an_attempt_says_what_it_is_for(reason: Reason):
    """By any reason's explanation."""
    attempt = ATTEMPT | {"reason": reason, "startedAt": stamp(NOW)}
    text = said(an_object(status={"attempt": attempt, "next": {"action": "Issue", "reason": "x."}}))
    assert (
        f"A key is being issued at keyissuer/mistral into Secret search-key, begun now: {EXPLANATIONS[reason]}" in text
    )


PREVIOUS = {"keyId": "old-1", "issuer": IDENTITY, "replacedAt": stamp(NOW - HOUR), "revokeAt": stamp(NOW + 5 * HOUR)}
HELD = [
    condition("Ready", "False", "TargetDrifted", "x"),
    condition(
        "Reconciling",
        "True",
        "TargetDrifted",
        "Somebody changed it. It waits until 2026-11-24 12:03:00 UTC: one key in 300 s at most.",
    ),
]
ROLLOUT = {
    "revision": 2,
    "since": stamp(NOW - 2 * HOUR),
    "pending": [
        {
            "kind": "Deployment",
            "name": "api",
            "restartedAt": stamp(NOW - HOUR),
            "trouble": "has one pod that does not start",
        }
    ],
}


@pytest.mark.parametrize(
    ("obj", "words"),
    [
        pytest.param(
            an_object(),
            (
                "Key abcd...wxyz was delivered into Secret search-key and works until 2027-02-17 12:00:00 UTC (in 85 d).",
                "Next: it is renewed 2027-01-18 12:00:00 UTC (in 55 d); ",
                "To replace the key now: keywright rotate search -n prod.",
            ),
            id="all is well",
        ),
        pytest.param(
            an_object(status={"expiresAt": None, "next": {"action": "None", "reason": "Neither expiry nor schedule is set."}}),
            ("never expires", "Nothing is due: Neither expiry nor schedule is set.", "keywright rotate"),
            id="nothing is ever due",
        ),
        pytest.param(
            an_object(status=due("Rotate", NOW + DAY)),
            ("Next: spec.rotation.schedule comes round 2026-11-25 12:00:00 UTC (in 24 h).",),
            id="a schedule",
        ),
        pytest.param(
            an_object(status=due("Expire", NOW + DAY, "The key ends with spec.expiry.date, and time does not renew it.")),
            ("Next: it ends 2026-11-25", "Write a later spec.expiry.date", "time does not renew it"),
            id="a last day",
        ),
        pytest.param(
            an_object(status={"conditions": HELD} | due("Issue", NOW + HOUR / 20)),
            ("one key in 300 s at most", "Next: a key is issued 2026-11-24 12:03:00 UTC (in 3 min)."),
            id="the storm guard",
        ),
        pytest.param(
            an_object(status=retried("IssueFailed", "The platform refused.", NOW + HOUR)),
            ("It is tried again 2026-11-24 13:00:00 UTC (in 60 min); an edit of the spec ends the pause.",),
            id="a pause",
        ),
        pytest.param(
            an_object(status=retried("IssuerUnavailable", "No answer.")),
            ("It is looked at again every 20 s",),
            id="a refusal",
        ),
        pytest.param(
            an_object(status={"previous": [PREVIOUS]} | due("Revoke", NOW + 5 * HOUR, "The overlap of the older key old-1 ends.")),
            (
                "Older key old-1 works until 2026-11-24 17:00:00 UTC (in 5 h) and is revoked then",
                "--compromised",
                "It is renewed 2027-01-18",
            ),
            id="an overlap",
        ),
        pytest.param(
            an_object(
                status={
                    "previous": [PREVIOUS | {"revokeAt": stamp(NOW - HOUR), "rolloutsUntil": stamp(NOW + 23 * HOUR)}],
                    "rollout": ROLLOUT,
                }
                | due("Revoke", NOW + 23 * HOUR, "The overlap of the older key old-1 is over. It is revoked once …")
            ),
            (
                "Older key old-1 waits for the rollout of deployment/api, until 2026-11-25 11:00:00 UTC at the latest.",
                "deployment/api is not rolled: it has one pod that does not start.",
            ),
            id="a rollout",
        ),
        pytest.param(
            an_object(status={"previous": [PREVIOUS | {"usedOn": "2026-11-24"}]}),
            ("was used on 2026-11-24, after it was replaced",),
            id="an older key in use",
        ),
        pytest.param(
            an_object(annotations={"keywright.dev/rotate": "2"}, status={"handled": {"rotate": "1"}}),
            ("keywright.dev/rotate asks for a rotation that is not answered yet: it is, as soon as nothing is in the way.",),
            id="a trigger",
        ),
        pytest.param(
            an_object(
                annotations={"keywright.dev/compromised": "2"},
                spec={"suspend": True},
                status={
                    "conditions": [condition("Ready", "True", "Suspended", "Suspended: x.")],
                    "next": {"action": "None", "reason": "x."},
                },
            ),
            ("keywright.dev/compromised asks", "once spec.suspend is false", "(Suspended) Set spec.suspend to false"),
            id="a trigger while suspended",
        ),
        pytest.param(
            an_object(
                status={
                    "closedAttempts": [
                        {"id": "a", "closedAt": stamp(NOW - HOUR), "outcome": "lost", "issuer": IDENTITY, "inUse": ["key-7"]}
                    ]
                }
            ),
            ("An interrupted attempt left key key-7, and somebody uses it.", "keywright sweep"),
            id="a key that an attempt left",
        ),
        pytest.param(
            an_object(status={"expiresAt": stamp(NOW - DAY)} | stalled("Expired", "It is over.", works=True)),
            ("ended 2026-11-23 12:00:00 UTC (24 h ago)",),
            id="a key that is over",
        ),
        pytest.param(an_object(**edited(HOUR)), ("No operator seems to work on it.", REMEDIES[UNOBSERVED]), id="nobody answers"),
        pytest.param(an_object(**deleted(HOUR)), ("Nobody has answered its deletion for 60 min.",), id="nobody lets it go"),
        pytest.param(
            an_object(spec={"target": {}}),
            ("spec.target: write exactly one of secret and vault.", REMEDIES[Reason.INVALID_SPEC]),
            id="a spec that cannot be read",
        ),
    ],
)  # fmt: skip
def test_what_it_waits_for_and_until_when(obj: dict[str, Any], words: tuple[str, ...]):
    """In the words of the interface."""
    text = said(obj)
    for word in words:
        assert word in text, text


def test_what_is_wrong_with_the_issuer_is_said_once():
    """Also while nothing of this ApiKey waits for it; not again where its own condition says the same."""
    message = "The platform refused the admin key."
    sick = an_issuer("AdminKeyRefused", message)
    assert f"keyissuer/mistral: {message}" in said(an_object(), sick)
    assert said(an_object(status=stalled("AdminKeyRefused", message)), sick).count(message) == 1
