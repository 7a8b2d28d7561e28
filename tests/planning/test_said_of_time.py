"""Where time cannot be kept as asked, a condition says what is done instead; and a fixed date stays what it is."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from tests.planning.builders import NOW, a_record, a_target, an_api_key, an_attempt, decide, observed, settled
from tests.planning.lives import DAY, Life

from keywright.api.reasons import Reason

IGNORED = "rotation.renewBefore leaves no time before the key's last day: a third of its life stands in for it."


@pytest.mark.parametrize(
    ("expiry", "rotation", "ends_in", "sentence"),
    [
        pytest.param({"validity": "10d"}, {"renewBefore": "30d"}, 10, IGNORED, id="renewBefore is longer than the validity"),
        pytest.param({"validity": "90d"}, {"renewBefore": "15d"}, 5, IGNORED, id="the policy leaves less than renewBefore"),
        pytest.param({"validity": "90d"}, {"renewBefore": "15d"}, 0, IGNORED, id="the policy lets it end today"),
        pytest.param({"validity": "1d"}, {"renewBefore": "12h"}, 1, IGNORED, id="the last day is tomorrow"),
        pytest.param(None, {"renewBefore": "15d"}, 5, IGNORED, id="no end was asked, and the policy sets one"),
        pytest.param(
            {"validity": "30d"},
            {"schedule": "0 3 1 6 *"},
            30,
            "rotation.schedule comes round on 2027-06-01, after the key's last day: it is renewed before that as well.",
            id="the schedule is rarer than the validity",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_said(
    expiry: dict[str, str] | None, rotation: dict[str, str], ends_in: int, sentence: str
):
    """In Ready's message, which is True all the same; and the key is not due at once."""
    spec = an_api_key(expiry=expiry, rotation=rotation)
    record = a_record(issued_at=NOW, expires_on=NOW.date() + ends_in * DAY, expiry=expiry and expiry["validity"])
    status = settled(spec, record)
    ready = status.condition("Ready")
    assert ready
    assert (ready.status, ready.reason) == ("True", Reason.ISSUED)
    assert sentence in ready.message
    assert status.renewal_time
    assert NOW + timedelta(hours=1) < status.renewal_time


@pytest.mark.parametrize("rotation", [None, {"renewBefore": "10d"}, {"schedule": "0 3 1 * *"}])
def test_what_is_kept_is_not_spoken_of(rotation: dict[str, str] | None):
    """Nothing stands in for anything."""
    ready = settled(an_api_key(rotation=rotation)).condition("Ready")
    assert ready
    assert "leaves no time" not in ready.message
    assert "comes round" not in ready.message


@pytest.mark.parametrize("given", [date(2026, 11, 30), None])
def test_a_policy_that_gave_another_last_day_is_an_event(given: date | None):
    """With both dates."""
    spec = an_api_key()
    record = a_record("key-2", "aaaaaaa2", revision=2, issued_at=NOW, expires_on=given)
    before = settled(spec, attempt=an_attempt("aaaaaaa2", reason="RenewalDue"))
    decision = decide(spec, before, observed(a_target(record, spec), delivered=record.attempt))
    [note] = [n for n in decision.notes if n.reason is Reason.EXPIRY_CLAMPED]
    assert f"gave the key {given or 'no end'} where 2027-02-22 was asked" in note.message


def a_life(**changes: Any) -> Life:
    """With a fixed last day, the 31st of January."""
    return Life(an_api_key(expiry={"date": "2027-01-31"}, **changes), NOW)


def test_keys_that_are_rotated_keep_the_date():
    """Whatever they are rotated for; time renews none of them."""
    life = a_life(rotation={"schedule": "0 3 1 * *"})
    life.live(NOW, NOW + 45 * DAY)
    assert [(at.date().isoformat(), reason) for at, reason in life.issued[1:]] == [
        ("2026-12-01", Reason.SCHEDULED),
        ("2027-01-01", Reason.SCHEDULED),
    ]
    assert life.status.expires_at
    assert life.status.expires_at.date() == date(2027, 1, 31)


def test_after_the_date_nothing_is_issued():
    """Neither by the schedule nor for the expiry: Ready=False and Stalled as Expired, and what to write."""
    life = a_life(rotation={"schedule": "0 3 1 * *"})
    life.live(NOW, NOW + 400 * DAY)
    assert len(life.issued) == 3
    for of_type, value in (("Ready", "False"), ("Stalled", "True")):
        condition = life.status.condition(of_type)
        assert condition
        assert (condition.status, condition.reason) == (value, Reason.EXPIRED)
        assert "write a later date, or delete this ApiKey" in condition.message
