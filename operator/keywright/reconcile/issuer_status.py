"""The status of a KeyIssuer or ClusterKeyIssuer, computed here and nowhere else. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from keywright.api.base import Condition
from keywright.api.keyissuer import KeyIssuerStatus
from keywright.api.reasons import Reason

if TYPE_CHECKING:
    from datetime import datetime

    from keywright.planning.observed import Refusal
    from keywright.planning.strays import Survey
    from keywright.ports.cluster import Object

__all__ = ["next_status", "status_of"]


def status_of(found: Object) -> KeyIssuerStatus:
    """What was said of an issuer; what cannot be read is said anew."""
    try:
        return KeyIssuerStatus.model_validate(found.get("status") or {})
    except ValidationError:
        return KeyIssuerStatus()


def next_status(
    found: Object,
    before: KeyIssuerStatus,
    now: datetime,
    *,
    refusal: Refusal | None = None,
    counted: Survey | None = None,
    vanished: int = 0,
) -> KeyIssuerStatus:
    """`before`: what stands. `refusal`: why the issuer cannot be used. `counted`: what a pass found; without one the numbers stay.

    `vanished`: how many keys should have been listed where none was.
    """
    generation = found["metadata"].get("generation")
    if refusal is not None:
        works, reason, message = False, refusal.reason, refusal.message
    elif vanished:
        works, reason = False, Reason.KEYS_VANISHED
        message = (
            f"The platform lists none of the {vanished} keys that ApiKeys hold: is the admin key of another organization? Put the right "
            "one back. Until then nothing is re-issued. If they were all revoked on purpose, annotate one of the ApiKeys with "
            "keywright.dev/rotate: once its new key is listed, the others follow."
        )
    else:
        works, reason, message = True, Reason.ADMIN_KEY_WORKS, "The platform accepts the admin key."
    condition = Condition(
        type="Ready",
        status="True" if works else "False",
        reason=reason,
        message=message,
        last_transition_time=now,
        observed_generation=generation,
    ).since(next((c for c in before.conditions if c.type == "Ready"), None))
    return KeyIssuerStatus(
        observed_generation=generation,
        keys=counted.tagged if counted else before.keys,
        strays=len(counted.strays) if counted else before.strays,
        conditions=[condition],
    )
