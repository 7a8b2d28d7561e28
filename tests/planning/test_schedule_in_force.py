"""From when a schedule counts: what was missed under another one, or before there was one, is not made up."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.planning.builders import (
    NOW,
    a_record,
    a_subject,
    a_target,
    all_known,
    an_api_key,
    an_attempt,
    decide,
    observed,
    said,
    settled,
)

from keywright.api.apikey_status import ApiKeyStatus
from keywright.api.reasons import Reason
from keywright.planning import transitions
from keywright.planning.situation import Situation
from keywright.planning.steps import Wait, WriteStatus

if TYPE_CHECKING:
    from keywright.planning.observed import Observed

DAILY = {"schedule": "0 3 * * *"}
HOURLY = {"schedule": "0 * * * *", "overlap": "1h"}
OLD = a_record(issued_at=NOW - timedelta(days=20))
"""Delivered twenty days ago: each schedule has come round since."""
THREE = NOW.replace(hour=3) + timedelta(days=1)


def seen(rotation: dict[str, Any] | None, *, generation: int = 2) -> Observed:
    """The key of OLD in its Secret; the spec is in its second generation."""
    target = a_target(OLD, an_api_key(rotation=rotation))
    return all_known(target, subject=a_subject(generation=generation))


def test_a_schedule_that_is_added_to_an_old_key_waits_for_its_next_time():
    """And says when; at that time, and not before, the key is rotated."""
    spec, world = an_api_key(rotation=DAILY), seen(DAILY)
    status = said(spec, settled(record=OLD), world)
    assert status.schedule
    assert status.schedule.since == NOW
    assert status.next
    assert (status.next.action, status.next.at) == ("Rotate", THREE)
    assert isinstance(decide(spec, status, world).step, Wait)
    assert isinstance(decide(spec, status, world, THREE - timedelta(seconds=1)).step, Wait)
    assert decide(spec, status, world, THREE).reason is Reason.SCHEDULED


@pytest.mark.parametrize("edited", [HOURLY, {**DAILY, "timeZone": "Asia/Kathmandu"}])
def test_a_schedule_that_is_edited_counts_from_the_edit(edited: dict[str, str]):
    """The new times that have passed meanwhile are none that anybody missed."""
    status = settled(an_api_key(rotation=DAILY), OLD)
    assert status.schedule
    after = said(an_api_key(rotation=edited), status, seen(edited))
    assert after.schedule
    assert (after.schedule.expression, after.schedule.since) == (edited["schedule"], NOW)


def test_a_time_missed_under_the_schedule_in_force_is_made_up_once():
    """Also where the rest of the spec was edited meanwhile; the next key counts from its own issuance."""
    spec, world = an_api_key(rotation=DAILY), seen(DAILY)
    status = settled(spec, OLD)
    decision = decide(spec, status, world)
    assert decision.reason is Reason.SCHEDULED
    new = a_record("key-2", "aaaaaaa2", revision=2, issued_at=NOW)
    under_way = status.model_copy(update={"attempt": an_attempt("aaaaaaa2", reason="Scheduled")})
    now_seen = observed(a_target(new, spec), delivered=new.attempt)
    after = transitions.settled(Situation(spec, under_way, now_seen, NOW), new, adopted=False)
    assert after.schedule
    assert after.schedule.since == NOW
    assert isinstance(decide(spec, after, all_known(a_target(new, spec))).step, Wait)


def test_what_is_due_stays_due_until_it_is_done():
    """However much later it is looked at."""
    spec, world = an_api_key(rotation=DAILY), seen(DAILY)
    status = settled(spec, OLD)
    for later in (0, 1, 30, 400):
        assert decide(spec, status, world, NOW + timedelta(days=later)).reason is Reason.SCHEDULED


def test_a_schedule_taken_away_leaves_the_status():
    """And one that is put back counts anew."""
    without = said(an_api_key(), settled(an_api_key(rotation=DAILY), OLD), seen(None))
    assert without.schedule is None
    again = said(an_api_key(rotation=DAILY), without, seen(DAILY, generation=3))
    assert again.schedule
    assert again.schedule.since == NOW


def test_an_older_version_s_status_counts_from_the_issuance():
    """It left no word of the schedule; a spec that it had seen as it is was in force."""
    spec = an_api_key(rotation=DAILY)
    status = settled(spec, OLD, schedule=None)
    assert decide(spec, status, seen(DAILY, generation=1)).reason is Reason.SCHEDULED


def test_a_schedule_that_is_edited_while_an_attempt_fails_counts_from_the_edit():
    """The end of an attempt writes the new generation down as seen."""
    spec = an_api_key(rotation=DAILY)
    status = settled(record=OLD, attempt=an_attempt("aaaaaaa2"))
    s = Situation(spec, status, seen(DAILY), NOW)
    after = transitions.closed(s, an_attempt("aaaaaaa2"), "unseen", None)
    assert after.schedule
    assert after.schedule.since == NOW


def test_a_retained_key_that_is_adopted_is_not_rotated_for_its_past():
    """Times before the ApiKey was created again are none of its own."""
    spec = an_api_key(rotation=DAILY)
    s = Situation(spec, ApiKeyStatus(), observed(a_target(OLD, spec)), NOW)
    after = transitions.settled(s, OLD, adopted=True)
    assert after.schedule
    assert after.schedule.since == NOW


def test_a_schedule_seen_before_the_first_key_counts_from_that_key():
    """And one that was down between the request and its settlement makes up what it missed."""
    spec = an_api_key(rotation=DAILY)
    begun = NOW - timedelta(days=2)
    intended = transitions.intended(
        Situation(spec, ApiKeyStatus(), all_known(), begun), an_attempt(), Reason.NOT_ISSUED, "No key yet."
    )
    record = a_record(issued_at=begun + timedelta(seconds=5))
    target = all_known(a_target(record, spec), delivered=record.attempt)
    after = transitions.settled(Situation(spec, intended, target, NOW), record, adopted=False)
    assert after.schedule
    assert after.schedule.since == record.issued_at
    assert decide(spec, after, target).reason is Reason.SCHEDULED


def test_a_clock_that_went_back_a_little_runs_no_time_twice():
    """A key that was issued at three is not issued again where the clock then stands before three."""
    spec = an_api_key(rotation=DAILY)
    record = a_record(issued_at=THREE)
    status, world = settled(spec, record), all_known(a_target(record, spec))
    for earlier in (timedelta(seconds=1), timedelta(hours=1)):
        step = decide(spec, status, world, THREE - earlier).step
        assert isinstance(step, Wait), step
    assert isinstance(decide(spec, status, world, THREE + timedelta(hours=1)).step, Wait)
    assert decide(spec, status, world, THREE + timedelta(days=1)).reason is Reason.SCHEDULED


def test_a_clock_that_went_back_for_long_does_not_stop_a_schedule():
    """A key issued a year ahead: the schedule counts from now, and nothing is due at once."""
    spec = an_api_key(rotation=DAILY)
    record = a_record(issued_at=NOW + timedelta(days=365), expires_on=(NOW + timedelta(days=455)).date())
    world = all_known(a_target(record, spec))
    step = decide(spec, settled(spec, record), world).step
    assert isinstance(step, WriteStatus)
    assert step.status.schedule
    assert step.status.schedule.since == NOW
    assert isinstance(decide(spec, step.status, world).step, Wait)
    assert decide(spec, step.status, world, THREE).reason is Reason.SCHEDULED
