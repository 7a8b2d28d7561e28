"""The next status: what a settlement, a failure and a wait write down."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.planning.builders import (
    ISSUER,
    NOW,
    a_closed_attempt,
    a_previous_key,
    a_record,
    a_subject,
    a_target,
    all_known,
    an_api_key,
    an_attempt,
    decide,
    observed,
    reread,
    settled,
)

from keywright.api.apikey_status import ApiKeyStatus, Handled
from keywright.api.reasons import Reason
from keywright.planning import transitions
from keywright.planning.observed import Failure
from keywright.planning.situation import Situation
from keywright.planning.steps import Wait, WriteStatus

if TYPE_CHECKING:
    from keywright.api.apikey import ApiKeySpec
    from keywright.keys import KeyRecord

NEW = a_record("key-2", "aaaaaaa2", revision=2, issued_at=NOW)
UNKNOWN = Failure(Reason.ISSUE_FAILED, "no answer", None, maybe_committed=True, settled=False)


def settling(
    reason: str = "RenewalDue",
    *,
    spec: ApiKeySpec | None = None,
    record: KeyRecord = NEW,
    annotations: dict[str, str] | None = None,
    first: bool = False,
    **status: object,
) -> ApiKeyStatus:
    """A rotation that is settled now; `first`: there was no key before."""
    spec = spec or an_api_key()
    attempt = an_attempt("aaaaaaa2", reason=reason, handled=record.handled)
    before = ApiKeyStatus(attempt=attempt, **status) if first else settled(spec, attempt=attempt, **status)  # type: ignore[arg-type]
    seen = observed(a_target(record, spec), subject=a_subject(**(annotations or {})), delivered=record.attempt)
    step = decide(spec, before, seen).step
    assert isinstance(step, WriteStatus)
    assert step.purpose == "settle"
    return reread(step.status)


def test_the_key_before_lives_on_for_the_overlap():
    """With its issuer and its end; the new one is current and one revision further."""
    status = settling()
    [before] = status.previous
    assert (before.key_id, before.issuer, before.revoke_at) == ("key-1", ISSUER, NOW + timedelta(hours=48))
    assert (status.key_id, status.revision, status.attempt, status.failures) == ("key-2", 2, None, 0)


def test_an_overlap_never_outlasts_the_key():
    """The old key's own end comes first."""
    status = settling(expires_at=NOW + timedelta(hours=3))
    assert status.previous[0].revoke_at == NOW + timedelta(hours=3)


@pytest.mark.parametrize("reason", ["Compromised", "KeyGone"])
def test_no_overlap_where_the_old_key_is_leaked_or_gone(reason: str):
    """It is revoked at once; a compromise ends all older ones too."""
    record = replace(NEW, handled=Handled(compromised="yes" if reason == "Compromised" else None))
    status = settling(reason, record=record, previous=[a_previous_key()])
    assert status.previous[-1].revoke_at == NOW
    assert (status.previous[0].revoke_at == NOW) is (reason == "Compromised")


def test_the_issuers_word_is_written_down():
    """The clamped day of the response, not the one of the spec."""
    status = settling(record=replace(NEW, expires_on=(NOW + timedelta(days=7)).date()))
    assert str(status.expires_at) == "2026-12-01 23:59:59+00:00"


def test_no_more_than_five_older_keys_live_on():
    """The oldest ends at once."""
    status = settling(previous=[a_previous_key(f"old-{i}") for i in range(5)])
    assert [p.revoke_at == NOW for p in status.previous] == [True, False, False, False, False, False]


def test_triggers_present_at_the_first_settle_count_as_answered():
    """U8: an annotation kept in Git does not rotate a key that was just made."""
    status = settling(first=True, annotations={"rotate": "git", "compromised": "git"})
    assert status.handled == Handled(rotate="git", compromised="git")
    assert status.previous == []


def test_a_trigger_set_during_a_rotation_is_not_answered_by_it():
    """Only what the attempt was written down for."""
    status = settling("Triggered", record=replace(NEW, handled=Handled(rotate="1")), annotations={"rotate": "2"})
    assert status.handled == Handled(rotate="1")


def test_a_rotation_without_triggers_keeps_what_was_answered():
    """An annotation that was taken away and comes back with its old value is no new value."""
    assert settling(handled=Handled(rotate="1")).handled == Handled(rotate="1")


def test_a_late_delivery_does_not_answer_a_compromise():
    """A key of a closed attempt is taken over: the compromise said meanwhile is still to be answered."""
    record = a_record("key-c", "ccccccc1")
    before = settled(closed_attempts=[a_closed_attempt()])
    seen = observed(a_target(record), subject=a_subject(compromised="yes"))
    status = transitions.settled(Situation(an_api_key(), before, seen, NOW), record, adopted=True)
    assert status.handled == Handled()
    assert status.previous[-1].revoke_at == NOW + timedelta(hours=48)


def test_a_word_of_a_newer_version_is_understood_as_well_as_can_be():
    """C13: a reason that this version does not know neither stops it nor is repeated."""
    assert settling("ReasonOfTomorrow").recent_issuances[-1].reason == "NotIssued"


@pytest.mark.parametrize(
    ("edit", "changed"),
    [
        ({"label": "another"}, "spec.label changed"),
        ({"workspace": "billing"}, "spec.workspace changed"),
        ({"target": {"secret": {"name": "elsewhere"}}}, "spec.target changed"),
    ],
)
def test_a_spec_edited_during_the_issuance_is_not_said_to_be_fulfilled(edit: dict[str, object], changed: str):
    """The key works, and another follows: who waits for the new generation goes on waiting, unless keys are suspended."""
    status = settling(spec=an_api_key(**edit))
    assert [c.type for c in status.conditions if c.status == "True"] == ["Ready", "Reconciling"]
    assert status.conditions[1].message.startswith(changed)
    assert status.next.action == "Issue"
    status = settling(spec=an_api_key(**edit, suspend=True))
    assert [c.type for c in status.conditions] == ["Ready"]


def test_a_moved_key_says_where_the_older_one_stands():
    """So that the old Secret goes with it."""
    spec = an_api_key(target={"secret": {"name": "elsewhere"}})
    before = settled(attempt=an_attempt("aaaaaaa2", reason="SpecChanged", target="elsewhere"))
    seen = observed(a_target(NEW, spec), at="elsewhere", delivered=NEW.attempt)
    step = decide(spec, before, seen).step
    assert isinstance(step, WriteStatus)
    assert step.status.previous[-1].target == "mistral-key"
    assert step.status.target
    assert step.status.target.name == "elsewhere"


def failing_times(times: int, failure: Failure = UNKNOWN) -> ApiKeyStatus:
    """After so many attempts in a row that delivered nothing."""
    status, spec = ApiKeyStatus(observed_generation=1), an_api_key()
    for i in range(times):
        open_one = status.model_copy(update={"attempt": an_attempt(f"aaaaaaa{i}")})
        s = Situation(spec, open_one, all_known(), NOW)
        status = reread(transitions.closed(s, an_attempt(f"aaaaaaa{i}"), "unseen", failure))
    return status


@pytest.mark.parametrize(("times", "seconds"), [(1, 10), (2, 20), (3, 3600), (4, 3600)])
def test_the_pause_doubles_and_the_third_failure_opens_the_breaker(times: int, seconds: int):
    """10 s, 20 s, then one try per hour, Stalled, with what came back."""
    status = failing_times(times)
    assert status.next_attempt_at
    assert status.next_attempt_at - NOW == timedelta(seconds=seconds)
    stalled = status.condition("Stalled")
    assert (stalled is not None) is (times >= 3)
    if stalled:
        assert (
            stalled.message
            == f"{times} attempts in a row delivered nothing; trying once per hour. The last one: no answer"
        )


def test_an_issuer_that_asked_for_a_pause_opens_no_breaker():
    """It said for how long."""
    status = failing_times(4, replace(UNKNOWN, counts=False, after=30.0))
    assert (status.failures, status.condition("Stalled")) == (0, None)
    assert status.next_attempt_at == NOW + timedelta(seconds=30)


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("failure", [UNKNOWN, replace(UNKNOWN, counts=False, after=30.0)])
def test_what_a_failure_said_stands_until_the_next_try(times: int, failure: Failure):
    """The pause writes nothing more, and does not take the reason's place."""
    status = failing_times(times, failure)
    decision = decide(an_api_key(), status, all_known())
    assert decision.step == Wait(status.next_attempt_at)
    ready = status.condition("Ready")
    assert ready
    assert ready.reason == "IssueFailed"


def test_a_key_that_works_stays_ready_while_its_renewal_fails_and_not_longer():
    """Ready=True, RenewalFailing; once the target is gone it is False, in the same pause."""
    spec, record = an_api_key(label="new"), a_record()
    open_one = settled(attempt=an_attempt("aaaaaaa2"), renewal_time=None)
    same = an_api_key()
    s = Situation(same, open_one, all_known(a_target(record)), NOW)
    status = reread(transitions.closed(s, an_attempt("aaaaaaa2"), "unseen", UNKNOWN))
    ready = status.condition("Ready")
    assert ready
    assert (ready.status, ready.reason) == ("True", "RenewalFailing")
    step = decide(spec.model_copy(update={"label": None}), status, all_known()).step
    assert isinstance(step, WriteStatus)
    gone = step.status.condition("Ready")
    assert gone
    assert (gone.status, gone.message) == ("False", "no answer")
    assert status.failures == step.status.failures
    assert decide(same, reread(step.status), all_known()).step == Wait(status.next_attempt_at)


def test_a_refusal_for_an_edited_spec_ends_the_pause_of_the_old_one():
    """Else the edit that is refused for a passing reason would wait for an hour."""
    status = failing_times(3)
    seen = all_known(subject=a_subject(generation=2), rival=observed().subject.key)
    step = decide(an_api_key(), status, seen).step
    assert isinstance(step, WriteStatus)
    assert step.status.next_attempt_at is None


def test_a_condition_keeps_its_time_while_its_status_stays():
    """LastTransitionTime moves with the status alone."""
    spec, seen = an_api_key(rotation={"renewBefore": "99%"}), all_known(a_target(a_record()))
    step = decide(spec, settled(), seen).step
    assert isinstance(step, WriteStatus)
    was, now = settled().condition("Ready"), step.status.condition("Ready")
    assert was
    assert now
    assert was.message != now.message
    assert was.last_transition_time == now.last_transition_time
