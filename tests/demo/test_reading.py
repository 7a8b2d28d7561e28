"""Objects as the apiserver gives them, read as observations."""

from __future__ import annotations

from datetime import date

from tests.demo.lives import NOW, SEARCH, a_secret, an_api_key

from keywright.demo.reading import plaintext_in, read_api_key, read_secret

PLAINTEXT = "".join(chr(ord("A") + number % 26) for number in range(32))


def test_an_api_key_without_a_status_is_requested_and_no_more():
    """The first look comes before the operator's."""
    standing = read_api_key(an_api_key(), NOW)
    assert standing.wanted == "in workspace search-prod, for 90 days"
    assert not standing.ready
    assert standing.key_id is None


def test_an_api_key_tells_what_is_wrong_and_until_when_old_keys_live():
    """Stalled outranks Ready, and times are seconds from now."""
    status = {
        "keyId": "k2",
        "previous": [{"keyId": "k1", "revokeAt": "2026-11-24T12:00:10Z"}],
        "conditions": [
            {"type": "Ready", "status": "True", "reason": "RenewalFailing", "message": "It works."},
            {"type": "Stalled", "status": "True", "reason": "NotGranted", "message": "Ask for a grant."},
        ],
    }
    metadata = {
        "namespace": "shop",
        "name": "search",
        "annotations": {"keywright.dev/rotate": "1"},
        "deletionTimestamp": "…",
    }
    standing = read_api_key(an_api_key(status=status, metadata=metadata), NOW)
    assert (standing.ready, standing.stalled, standing.reason) == (True, True, "NotGranted")
    assert standing.previous == {"k1": 10.0}
    assert standing.triggers == ("1", None)
    assert standing.deleting


def test_a_secret_tells_whose_key_it_holds():
    """By its record alone."""
    key, delivered = read_secret(a_secret(PLAINTEXT, {"api-key": PLAINTEXT})) or (None, None)
    assert key == SEARCH
    assert delivered is not None
    assert (delivered.masked, delivered.expires_on) == ("ABCD...CDEF", date(2027, 2, 22))


def test_a_secret_without_a_record_holds_nothing():
    """Such as one that was only fenced."""
    assert read_secret({"metadata": {"namespace": "shop", "name": "search-key"}}) is None


def test_the_plaintext_is_found_in_any_template():
    """Recognized by its digest; what looks like a key and is none is left out."""
    decoy = PLAINTEXT[::-1]
    secret = a_secret(PLAINTEXT, {"other": decoy, "config.ini": f"[mistral]\nkey=v1{PLAINTEXT}x\n"})
    found = plaintext_in(secret)
    assert found is not None
    assert found.reveal() == PLAINTEXT
    assert plaintext_in(a_secret(PLAINTEXT, {"api-key": decoy})) is None
