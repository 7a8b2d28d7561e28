"""What a person is told of one ApiKey: its state in a word, what is wrong, and whether anybody seems to work on it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.planning.builders import NOW
from tests.planning.fleets import DAY, HOUR, IDENTITY, NOTHING, an_object, condition, retried, stalled, stamp

from keywright.api.reasons import Reason
from keywright.planning.standing import Seen, notices, silence, state_of, trouble_of

MINUTE = timedelta(minutes=1)
ATTEMPT = {
    "id": "aaaaaaa1",
    "startedAt": stamp(NOW - 20 * MINUTE),
    "reason": "RenewalDue",
    "generation": 1,
    "issuer": IDENTITY,
    "target": "search-key",
}


def edited(ago: timedelta) -> dict[str, Any]:
    """Metadata of an ApiKey whose spec was edited so long ago; its status was written since."""
    fields = [
        {"manager": "kubectl", "operation": "Update", "time": stamp(NOW - ago)},
        {"manager": "keywright", "operation": "Update", "subresource": "status", "time": stamp(NOW)},
    ]
    return {"generation": 2, "managedFields": fields}


def due(action: str, at: Any, reason: str = "because") -> dict[str, Any]:
    """A status in which this is due."""
    return {"next": {"action": action, "at": stamp(at), "reason": reason}}


def deleted(ago: timedelta, **more: Any) -> dict[str, Any]:
    """Metadata of an ApiKey that is being deleted for so long."""
    return {"deletionTimestamp": stamp(NOW - ago), "generation": 2, **more}


DELETING = [
    condition("Ready", "False", "Deleting", "Revoking.", NOW),
    condition("Reconciling", "True", "Deleting", "Revoking.", NOW),
]
TOLD = {"observedGeneration": 2}
CANNOT = "Key key-1 cannot be revoked yet: keyissuer/mistral does not answer"
ROLLS = "The overlap of the older key old-1 is over. It is revoked once the rollout of deployment/a is complete."


@pytest.mark.parametrize(
    ("obj", "state", "reason"),
    [
        pytest.param(an_object(), "Ready", None, id="all is well"),
        pytest.param(an_object(status=stalled("WorkspaceNotFound", "none")), "Stalled", Reason.WORKSPACE_NOT_FOUND, id="a person must act"),
        pytest.param(an_object(status=stalled("NotGranted", "no", works=True)), "Stalled", Reason.NOT_GRANTED, id="the key works"),
        pytest.param(an_object(status=retried("IssuerUnavailable", "away")), "Retrying", Reason.ISSUER_UNAVAILABLE, id="tried again"),
        pytest.param(an_object(spec={"suspend": True}), "Suspended", None, id="suspended"),
        pytest.param(an_object(spec={"target": {}}), "Stalled", Reason.INVALID_SPEC, id="a spec that cannot be read"),
        pytest.param(an_object(status={"conditions": 3}), "Stalled", Reason.INVALID_SPEC, id="a status that cannot be read"),
        pytest.param(
            an_object(status=NOTHING | {"observedGeneration": None}, creationTimestamp=stamp(NOW - timedelta(seconds=5))),
            "Issuing",
            None,
            id="made just now",
        ),
        pytest.param(an_object(status=NOTHING | {"observedGeneration": None}), "Unobserved", Reason.NOT_OBSERVED, id="never looked at"),
        pytest.param(an_object(**edited(10 * MINUTE)), "Unobserved", Reason.NOT_OBSERVED, id="an edit that nobody answers"),
        pytest.param(an_object(**edited(timedelta(seconds=20))), "Ready", None, id="an edit just now"),
        pytest.param(an_object(status=due("Renew", NOW - 10 * MINUTE)), "Unobserved", Reason.NOT_OBSERVED, id="a renewal long over"),
        pytest.param(an_object(status=due("Renew", NOW - MINUTE)), "Ready", None, id="a renewal that is due"),
        pytest.param(an_object(status=due("Revoke", NOW - HOUR, CANNOT)), "Retrying", Reason.REVOCATION_FAILED, id="it cannot be revoked"),
        pytest.param(
            an_object(status=due("Revoke", NOW - HOUR, "The overlap of the older key old-1 ends.")),
            "Unobserved",
            Reason.NOT_OBSERVED,
            id="a revocation that nobody makes",
        ),
        pytest.param(an_object(status=due("Revoke", NOW + HOUR, ROLLS)), "Ready", None, id="a rollout that is waited for"),
        pytest.param(
            an_object(status={"attempt": ATTEMPT, "next": {"action": "Issue", "reason": "x"}}),
            "Unobserved",
            Reason.NOT_OBSERVED,
            id="an attempt that nobody ends",
        ),
        pytest.param(
            an_object(status={"attempt": ATTEMPT} | retried("IssuerUnavailable", "away")),
            "Retrying",
            Reason.ISSUER_UNAVAILABLE,
            id="an attempt that cannot be looked into",
        ),
        pytest.param(an_object(**deleted(HOUR)), "Unobserved", Reason.NOT_OBSERVED, id="a deletion that nobody answers"),
        pytest.param(an_object(status=stalled("NotGranted", ""), **deleted(HOUR)), "Unobserved", Reason.NOT_OBSERVED, id="and was Stalled"),
        pytest.param(an_object(**deleted(timedelta(seconds=5))), "Deleting", None, id="a deletion just now"),
        pytest.param(
            an_object(status=TOLD | {"conditions": DELETING, "next": {"action": "Release", "reason": "x"}}, **deleted(HOUR)),
            "Deleting",
            None,
            id="a deletion under way",
        ),
        pytest.param(
            an_object(status=TOLD | stalled("IssuerCredentialsGone", "gone"), **deleted(HOUR)),
            "Stalled",
            Reason.ISSUER_CREDENTIALS_GONE,
            id="a deletion that a person must help",
        ),
        pytest.param(
            an_object(**deleted(HOUR, finalizers=["example.com/audit"])),
            "Deleting",
            Reason.DELETING,
            id="a finalizer of somebody else",
        ),
    ],
)  # fmt: skip
def test_the_state_and_what_is_wrong(obj: dict[str, Any], state: str, reason: Reason | None):
    """What an operator has said counts; what nobody has answered for too long says that there is none."""
    seen = Seen.of(obj)
    trouble = trouble_of(seen, NOW)
    assert (state_of(seen, NOW), trouble and trouble.reason) == (state, reason)
    if trouble is not None:
        assert trouble.message.endswith(".")
        assert trouble.severity == ("Retrying" if state == "Retrying" else "NeedsPerson")


def test_a_foreign_finalizer_is_named():
    """Keywright has done its part, and says whose turn it is."""
    seen = Seen.of(an_object(**deleted(HOUR, finalizers=["example.com/audit"])))
    trouble = trouble_of(seen, NOW)
    assert trouble is not None
    assert "keywright is done with it" in trouble.message
    assert "example.com/audit" in trouble.message
    assert silence(seen, NOW) is None


def test_an_end_that_nothing_renews_is_told_a_week_before():
    """A fixed date is somebody's wish, and still a surprise."""
    soon, later = (an_object(status=due("Expire", NOW + days * DAY)) for days in (3, 30))
    [notice] = notices(Seen.of(soon), NOW)
    assert "ends 2026-11-27 12:00:00 UTC, and time does not renew it" in notice.message
    assert notices(Seen.of(later), NOW) == []
