"""Whether the current key is the one that the spec asks for, and works. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keywright.api.apikey import called
from keywright.planning import schedule
from keywright.planning.places import named

if TYPE_CHECKING:
    from keywright.planning.situation import Situation

__all__ = ["difference", "works"]


def works(s: Situation) -> bool:
    """Whether the key in the target works and is what the spec asks for."""
    status = s.status
    if status.key_id is None or not s.key_stands or s.observed.key_gone:
        return False
    if status.expires_at and s.now > status.expires_at:
        return False
    return difference(s) is None


def difference(s: Situation) -> str | None:
    """What of the spec the current key does not fit; None where it fits."""
    status, spec, issued = s.status, s.spec, s.status.issued_as
    if issued is None or status.issuer is None:
        return None
    made_by, wanted = called(status.issuer.kind, status.issuer.name), called(spec.issuer_ref.kind, spec.issuer_ref.name)
    if made_by != wanted:
        return f"spec.issuerRef changed from {made_by} to {wanted}"
    if issued.workspace != spec.workspace:
        return f"spec.workspace changed from {issued.workspace} to {spec.workspace}"
    if issued.label != s.label:
        return "spec.label changed"
    if issued.expiry != schedule.expiry_text(spec):
        return f"spec.expiry changed from {issued.expiry or 'none'} to {schedule.expiry_text(spec) or 'none'}"
    if s.moved:
        return f"spec.target changed from {named(s.home)} to {named(s.place)}"
    return None
