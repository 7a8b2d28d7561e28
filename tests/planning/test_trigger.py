"""What a person is told of a rotation before it is asked for: which key ends when, and what is in the way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.planning.builders import ISSUER, NOW, a_subject, an_api_key

from keywright.api.apikey_status import ApiKeyStatus, NextStep, PreviousKey, TargetStatus
from keywright.api.base import Condition
from keywright.planning.trigger import Standing, Trigger, hindrance, prospect

NEW = "A new key goes into Secret mistral-key; "
CURRENT = "the current one, abcd...wxyz, "
TWO_DAYS = "works on until 2026-11-26 12:00:00 UTC (rotation.overlap 48h)."


def a_standing(older: int = 0, *, spec: dict[str, Any] | None = None, **status: Any) -> Standing:
    """An ApiKey with a key, and so many older ones."""
    previous = [
        PreviousKey(key_id=f"old-{i}", issuer=ISSUER, revoke_at=NOW + timedelta(hours=i + 1)) for i in range(older)
    ]
    fields = {
        "key_id": "key-1",
        "masked_key": "abcd...wxyz",
        "target": TargetStatus(kind="Secret", name="mistral-key", key="api-key"),
        "previous": previous,
        **status,
    }
    return Standing(a_subject(), an_api_key(**(spec or {})), ApiKeyStatus(**fields))


@pytest.mark.parametrize(
    ("trigger", "standing", "says"),
    [
        (
            Trigger.ROTATE,
            a_standing(),
            f"{NEW}{CURRENT}{TWO_DAYS}",
        ),
        (
            Trigger.ROTATE,
            a_standing(expires_at=NOW + timedelta(hours=1)),
            f"{NEW}{CURRENT}works on until 2026-11-24 13:00:00 UTC (rotation.overlap 48h).",
        ),
        (
            Trigger.ROTATE,
            a_standing(spec={"rotation": {"overlap": "0s"}}),
            f"{NEW}{CURRENT}is revoked at once (rotation.overlap 0s): whoever still holds it then fails.",
        ),
        (
            Trigger.ROTATE,
            a_standing(spec={"rotation": {"overlap": "1h", "restart": [{"kind": "Deployment", "name": "search"}]}}),
            f"{NEW}{CURRENT}works on until 2026-11-24 13:00:00 UTC and until the workloads are rolled (rotation.overlap 1h).",
        ),
        (
            Trigger.ROTATE,
            a_standing(1),
            f"{NEW}{CURRENT}{TWO_DAYS} One older key keeps the time given before.",
        ),
        (
            Trigger.ROTATE,
            a_standing(5),
            f"{NEW}{CURRENT}{TWO_DAYS} Key old-0, the oldest of 5 older keys, is revoked at once: more do not live side by side.",
        ),
        (Trigger.COMPROMISED, a_standing(), f"{NEW}then {CURRENT}is revoked at once."),
        (Trigger.COMPROMISED, a_standing(2), f"{NEW}then {CURRENT}and 2 older keys are revoked at once."),
        (
            Trigger.ROTATE,
            a_standing(key_id=None, target=None),
            "No key has been delivered yet: the first one, into Secret mistral-key, answers this.",
        ),
    ],
    ids=["overlap", "expiry first", "no overlap", "restart", "one older", "five older", "leaked", "leaked all", "none"],
)
def test_what_comes_of_it(trigger: Trigger, standing: Standing, says: str):
    """Which key ends when."""
    assert prospect(trigger, standing, NOW) == says


def a_condition(of_type: str, message: str) -> Condition:
    """That stands."""
    return Condition(type=of_type, status="True", reason="NotGranted", message=message, last_transition_time=NOW)


@pytest.mark.parametrize(
    ("standing", "says"),
    [
        (a_standing(), None),
        (a_standing(spec={"suspend": True}), "It is suspended: nothing is issued until spec.suspend is false."),
        (a_standing(conditions=[a_condition("Stalled", "nobody granted it")]), "nobody granted it."),
        (
            a_standing(
                next_attempt_at=NOW + timedelta(minutes=1),
                next=NextStep(action="Retry", reason="The platform is away."),
            ),
            "The pause after a failed attempt lasts until 2026-11-24 12:01:00 UTC: The platform is away.",
        ),
        (a_standing(next_attempt_at=NOW - timedelta(minutes=1)), None),
    ],
    ids=["nothing", "suspended", "stalled", "paused", "pause over"],
)
def test_what_is_in_the_way(standing: Standing, says: str | None):
    """As far as the ApiKey itself tells."""
    assert hindrance(standing, NOW) == says
