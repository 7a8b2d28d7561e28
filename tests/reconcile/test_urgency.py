"""Which of several ApiKeys is brought to rest first."""

from __future__ import annotations

from typing import Any

from tests.planning.builders import NOW, a_record, an_api_key, settled

from keywright.reconcile.urgency import urgency


def an_object(
    *, renews: str = "2026-12-24T00:00:00Z", ends: str | None = "2027-02-22T00:00:00Z", **meta: Any
) -> dict[str, Any]:
    """An ApiKey as it was seen, that has its key."""
    status = {"keyId": "key-1", "renewalTime": renews, "expiresAt": ends}
    return {"metadata": meta, "status": {name: value for name, value in status.items() if value is not None}}


COMPROMISED = an_object(annotations={"keywright.dev/compromised": "1"})
DELETING = an_object(deletionTimestamp="2026-11-24T11:00:00Z")
EXPIRED = an_object(renews="2026-11-01T00:00:00Z", ends="2026-11-20T23:59:59Z")
SOON = an_object(renews="2026-11-01T00:00:00Z", ends="2026-11-26T23:59:59Z")
LATER = an_object(renews="2026-10-01T00:00:00Z", ends="2026-12-26T23:59:59Z")
ENDLESS = an_object(renews="2026-11-01T00:00:00Z", ends=None)
AT_REST = an_object()


def test_who_comes_first():
    """Compromised, deleted, nearest to their end, endless ones, and then whoever is not overdue."""
    order = [COMPROMISED, DELETING, EXPIRED, SOON, LATER, ENDLESS, AT_REST]
    ranks = [urgency(seen, NOW) for seen in order]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == len(ranks)


def test_what_is_not_overdue_is_all_the_same():
    """Also what has no status, no key, or one that cannot be read; and one that is gone."""
    nothing: dict[str, Any] = {"metadata": {"annotations": {"keywright.dev/compromised": "1"}}}
    spoilt = an_object(renews="soon", ends="never")
    ranks = {urgency(seen, NOW) for seen in (None, nothing, {"metadata": {}, "status": {}}, spoilt, AT_REST)}
    assert ranks == {float("inf")}


def test_a_compromise_that_was_answered_is_none():
    """The annotation stays."""
    answered = an_object(annotations={"keywright.dev/compromised": "1"})
    answered["status"]["handled"] = {"compromised": "1"}
    assert urgency(answered, NOW) == urgency(AT_REST, NOW)


def test_a_status_as_it_is_written_is_read():
    """Its own times, also an expiry that comes before the renewal time was followed."""
    status = settled(an_api_key(), a_record())
    assert status.expires_at
    seen = {"metadata": {}, "status": status.to_dict()}
    assert urgency(seen, NOW) == float("inf")
    assert urgency(seen, status.expires_at) == status.expires_at.timestamp()
