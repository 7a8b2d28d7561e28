"""rotation.restart: which workloads are restarted, what waits for them, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.planning.builders import (
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
    said,
    settled,
)

from keywright.api.apikey import RestartRef
from keywright.api.apikey_status import ApiKeyStatus, PendingRollout, RolloutStatus
from keywright.api.reasons import Reason
from keywright.keys import KeyId
from keywright.planning import transitions
from keywright.planning.observed import Absent, Fact, Observed, RolledOut, Rolling, RolloutState, Unrolled
from keywright.planning.situation import Situation
from keywright.planning.steps import Look, RestartWorkload, RevokeKey, RewriteTarget, Wait, WriteStatus

if TYPE_CHECKING:
    from keywright.api.apikey import ApiKeySpec
    from keywright.planning.steps import Decision

WEB = RestartRef(kind="Deployment", name="web")
DB = RestartRef(kind="StatefulSet", name="db")
DAY = timedelta(days=1)
NEW = a_record("key-2", "aaaaaaa2", revision=2, issued_at=NOW)


def a_spec(*workloads: RestartRef, **changes: Any) -> ApiKeySpec:
    """One with an overlap of two hours that restarts these; without any, web."""
    restart = [w.to_dict() for w in workloads or (WEB,)]
    return an_api_key(**{"rotation": {"restart": restart, "overlap": "2h"}, **changes})


def settling(spec: ApiKeySpec | None = None, reason: str = "RenewalDue", **changes: Any) -> ApiKeyStatus:
    """What a rotation to key-2 writes down; `changes` to the status before it."""
    spec = spec or a_spec()
    before = settled(spec, attempt=an_attempt("aaaaaaa2", reason=reason, handled=NEW.handled), **changes)
    step = decide(spec, before, observed(a_target(NEW, spec), delivered=NEW.attempt)).step
    assert isinstance(step, WriteStatus)
    assert step.purpose == "settle"
    return reread(step.status)


def an_entry(
    workload: RestartRef = WEB, *, ago: timedelta | None = timedelta(minutes=1), **changes: Any
) -> PendingRollout:
    """A workload that was restarted a minute ago; `ago` None: not yet."""
    at = None if ago is None else NOW - ago
    return PendingRollout(kind=workload.kind, name=workload.name, restarted_at=at, **changes)


def rotated(
    *entries: PendingRollout,
    ends: timedelta = timedelta(hours=1),
    since: timedelta = timedelta(minutes=2),
    **changes: Any,
) -> ApiKeyStatus:
    """key-2 was delivered, key-1's overlap ends after `ends`, and these workloads are pending."""
    rollout = RolloutStatus(revision=2, since=NOW - since, pending=list(entries))
    previous = [a_previous_key("key-1", ends, rollouts_until=NOW + ends + DAY)]
    return settled(a_spec(), NEW, **{"rollout": rollout, "previous": previous, "revision": 2, **changes})


def seen(spec: ApiKeySpec | None = None, **states: RolloutState) -> Observed:
    """A pass that knows everything, and what became of workloads by their name."""
    known = {("key-2", w): states[w.name] for w in (WEB, DB) if w.name in states}
    return all_known(a_target(NEW, spec or a_spec()), rollouts=known)


def written(decision: Decision) -> ApiKeyStatus:
    """The status that is decided, as it reads back."""
    assert isinstance(decision.step, WriteStatus)
    return reread(decision.step.status)


# What a delivery begins.


def test_a_delivery_begins_a_rollout_and_the_older_key_may_wait_for_it():
    """All workloads are to be restarted; revokeAt is the overlap's end, rolloutsUntil a day later."""
    status = settling(a_spec(WEB, DB))
    assert status.rollout
    assert status.rollout.revision == 2
    assert [(e.kind, e.name, e.restarted_at) for e in status.rollout.pending] == [
        ("Deployment", "web", None),
        ("StatefulSet", "db", None),
    ]
    [previous] = status.previous
    assert (previous.revoke_at, previous.rollouts_until) == (NOW + timedelta(hours=2), NOW + timedelta(hours=26))


def test_without_restart_there_is_nothing_to_wait_for():
    """The older key ends with its overlap."""
    status = settling(an_api_key())
    assert status.rollout is None
    assert status.previous[0].rollouts_until is None


def test_the_first_delivery_restarts_too():
    """A re-created ApiKey's consumers hold the key that died with the one before; a wrong name or a missing right shows at once."""
    spec, record = a_spec(), a_record()
    before = ApiKeyStatus(attempt=an_attempt(record.attempt))
    step = decide(spec, before, observed(a_target(record, spec), delivered=record.attempt)).step
    assert isinstance(step, WriteStatus)
    assert step.status.rollout


def test_an_adopted_key_restarts_nothing():
    """A retained one stood in the Secret all the time."""
    spec = a_spec()
    retained = a_record(owner_uid="an-older-uid")
    s = Situation(spec, ApiKeyStatus(), observed(a_target(retained, spec)), NOW)
    assert transitions.settled(s, retained, adopted=True).rollout is None


@pytest.mark.parametrize("where", ["open", "closed"])
def test_a_key_that_was_delivered_before_a_crash_restarts_too(where: str):
    """Settled by the next operator: whoever uses the Secret has not seen this key, in whatever state its attempt is."""
    spec = a_spec()
    open_attempt = an_attempt("aaaaaaa2" if where == "open" else "aaaaaaa3")
    closed = [] if where == "open" else [a_closed_attempt("aaaaaaa2")]
    before = settled(spec, attempt=open_attempt, closed_attempts=closed)
    s = Situation(spec, before, observed(a_target(NEW, spec)), NOW)
    assert transitions.settled(s, NEW, adopted=where == "closed").rollout


def test_a_rotation_during_a_rollout_begins_anew_and_each_older_key_keeps_its_time():
    """The newest revision wins."""
    older = a_previous_key("key-0", timedelta(minutes=5), rollouts_until=NOW + timedelta(minutes=5) + DAY)
    under_way = RolloutStatus(revision=1, since=NOW - timedelta(hours=1), pending=[an_entry()])
    status = settling(previous=[older], rollout=under_way)
    assert status.rollout
    assert status.rollout.revision == 2
    assert status.rollout.pending[0].restarted_at is None
    assert [(p.key_id, p.rollouts_until) for p in status.previous] == [
        ("key-0", NOW + timedelta(minutes=5) + DAY),
        ("key-1", NOW + timedelta(hours=26)),
    ]


def test_a_key_that_is_gone_waits_for_nothing():
    """KeyGone: it is dead already; its consumers are restarted even so."""
    status = settling(reason="KeyGone")
    assert status.rollout
    assert (status.previous[0].revoke_at, status.previous[0].rollouts_until) == (NOW, None)


def test_compromised_keys_wait_for_nothing():
    """All older ones end at once, also those that were to wait; the consumers are restarted even so."""
    spec = a_spec()
    leaked = replace(NEW, handled=NEW.handled.model_copy(update={"compromised": "yes"}))
    older = a_previous_key("key-0", timedelta(minutes=5), rollouts_until=NOW + DAY)
    before = settled(
        spec, attempt=an_attempt("aaaaaaa2", reason="Compromised", handled=leaked.handled), previous=[older]
    )
    subject = a_subject(compromised="yes")
    world = observed(a_target(leaked, spec), delivered=leaked.attempt, subject=subject)
    status = written(decide(spec, before, world))
    assert [(p.revoke_at, p.rollouts_until) for p in status.previous] == [(NOW, None)] * 2
    assert status.rollout
    decision = decide(spec, status, all_known(a_target(leaked, spec), subject=subject))
    assert isinstance(decision.step, RevokeKey), "revoked before anything is restarted"


def test_the_oldest_of_too_many_waits_for_nothing():
    """Past five older keys it goes at once."""
    previous = [a_previous_key(f"key-{i}{i}", rollouts_until=NOW + 2 * DAY) for i in range(5)]
    status = settling(previous=previous)
    assert [p.rollouts_until is None for p in status.previous] == [True] + [False] * 5


# Restarting.


def test_each_workload_is_restarted_once_for_the_key_in_the_target():
    """One step each; the annotation is the ApiKey's own, its value the key's id."""
    spec = a_spec(WEB, DB)
    status = rotated(an_entry(WEB, ago=None), an_entry(DB, ago=None))
    decision = decide(spec, status, seen(spec))
    assert decision.step == RestartWorkload(WEB, "restart.keywright.dev/pipeline", "key-2")
    assert decision.reason is Reason.RESTARTED
    assert decide(spec, status, seen(spec, web=Rolling())).step == RestartWorkload(
        DB, "restart.keywright.dev/pipeline", "key-2"
    )
    decision = decide(spec, status, seen(spec, web=Rolling(), db=Rolling()))
    after = written(decision)
    assert after.rollout
    assert [e.restarted_at for e in after.rollout.pending] == [NOW, NOW]
    [note] = decision.notes
    assert (note.type, note.reason) == ("Normal", Reason.RESTARTED)
    assert note.message == "Restarted deployment/web and statefulset/db for the key abcd...wxyz, revision 2."


def test_what_was_restarted_is_not_restarted_again():
    """Also where somebody took the annotation off since: looked at, and no more."""
    step = decide(a_spec(), rotated(an_entry()), seen()).step
    assert step == Look(Fact.ROLLOUT, workload=WEB)


def test_nothing_is_restarted_into_a_target_that_does_not_hold_the_key():
    """That is repaired first, by another key, with a rollout of its own."""
    spec = a_spec(suspend=True)
    world = seen(spec)._replace(targets={"mistral-key": Absent()})
    status = rotated(an_entry(ago=None), previous=[])
    step = decide(spec, status, world).step
    assert not isinstance(step, RestartWorkload | Look)


def test_suspended_a_rollout_of_what_was_delivered_goes_on():
    """As an overlap under way still ends."""
    spec = a_spec(suspend=True)
    step = decide(spec, rotated(an_entry(ago=None)), seen(spec)).step
    assert isinstance(step, RestartWorkload)


def test_deletion_restarts_nothing_and_waits_for_no_rollout():
    """The keys are revoked at once, those that were to wait included."""
    world = seen()._replace(subject=a_subject(deleting=True))
    step = decide(a_spec(), rotated(an_entry(ago=None), ends=timedelta(hours=-1)), world).step
    assert isinstance(step, RevokeKey)


def test_without_an_older_key_a_restart_is_not_watched():
    """The first key, or a compromised one: restarted, told, over."""
    decision = decide(a_spec(), rotated(an_entry(ago=None), previous=[]), seen(web=Rolling()))
    assert written(decision).rollout is None
    assert [note.reason for note in decision.notes] == [Reason.RESTARTED]


def test_a_workload_that_left_the_spec_is_not_waited_for():
    """An edit while its rollout is under way; one that is added counts from the next key on."""
    status = written(decide(a_spec(DB), rotated(an_entry(WEB)), seen(a_spec(DB))))
    assert status.rollout is None


UNROLLED = [
    (Unrolled("missing"), "correct the name"),
    (Unrolled("forbidden", "403"), "manifests/restart"),
    (Unrolled("not installed"), "Argo Rollouts"),
    (Unrolled("elsewhere", "its pod template is that of deployment/x"), "Write that one into spec.rotation.restart"),
    (Unrolled("refused", "denied by a webhook"), "kubectl rollout restart -n search deployment/web"),
]


@pytest.mark.parametrize(("state", "remedy"), UNROLLED, ids=[state.why for state, _ in UNROLLED])
def test_what_cannot_be_restarted_is_a_warning_with_the_remedy_and_holds_nothing_up(state: Unrolled, remedy: str):
    """Said once, since the status forgets it for this key; the ApiKey stays Ready, the older key ends on time."""
    decision = decide(a_spec(), rotated(an_entry(ago=None)), seen(web=state))
    status = written(decision)
    [note] = decision.notes
    assert (note.type, note.reason) == ("Warning", Reason.RESTART_FAILED)
    assert remedy in note.message
    assert note.message.endswith((".", "deployment/web."))
    assert status.rollout is None
    ready = status.condition("Ready")
    assert ready
    assert ready.status == "True"
    assert status.condition("Reconciling") is status.condition("Stalled") is None
    step = decide(a_spec(), status, seen()).step
    assert step == Wait(NOW + timedelta(hours=1)), "the overlap's end, and no look before"


def test_one_that_does_not_answer_is_asked_again_and_given_up_after_a_day():
    """A webhook that is broken for an hour must not cost the restart, nor be asked in a hot loop."""
    silent = seen(web=Unrolled("unanswered", "no answer"))
    decision = decide(a_spec(), rotated(an_entry(ago=None)), silent)
    status = written(decision)
    assert decision.notes == ()
    assert status.rollout
    assert status.rollout.pending[0].trouble == "does not answer yet: no answer"
    assert decide(a_spec(), status, silent).step == Wait(NOW + timedelta(seconds=30))
    assert isinstance(decide(a_spec(), status, seen()).step, RestartWorkload)
    decision = decide(a_spec(), rotated(an_entry(ago=None), since=DAY), silent)
    assert written(decision).rollout is None
    assert "for 24 hours it did not answer" in decision.notes[0].message


# Waiting.


def test_an_older_key_waits_for_the_rollouts_and_says_so():
    """In a sentence with what it waits for and until when, neither Reconciling nor unready; looked at again."""
    status = rotated(an_entry(), ends=timedelta(minutes=-1))
    after = written(decide(a_spec(), status, seen(web=Rolling())))
    assert after.next
    assert after.next.action == "Revoke"
    assert after.next.at == NOW - timedelta(minutes=1) + DAY
    assert after.next.reason == (
        "The overlap of the older key key-1 is over. It is revoked once the rollout of deployment/web is complete, and at "
        "2026-11-25 11:59:00 UTC at the latest."
    )
    assert after.condition("Reconciling") is None
    ready = after.condition("Ready")
    assert ready
    assert (ready.status, ready.reason) == ("True", Reason.ISSUED)
    assert decide(a_spec(), after, seen(web=Rolling())).step == Wait(NOW + timedelta(seconds=30))


def test_once_complete_the_older_key_ends_and_nothing_is_looked_at_any_more():
    """One write, one revocation."""
    status = rotated(an_entry(), ends=timedelta(minutes=-1))
    after = written(decide(a_spec(), status, seen(web=RolledOut())))
    assert after.rollout is None
    assert decide(a_spec(), after, seen()).step == RevokeKey(KeyId("key-1"), status.previous[0].issuer)


def test_a_stripped_secret_does_not_end_the_wait():
    """The key stands in it all the same: what was taken off is put back, and the older key lives on until the rollout is complete."""
    status = rotated(an_entry(), ends=-timedelta(minutes=1))
    stripped = all_known(replace(a_target(NEW, a_spec()), record=None), rollouts={("key-2", WEB): Rolling()})
    decision = decide(a_spec(), status, stripped)
    assert isinstance(decision.step, RewriteTarget), decision


def test_complete_before_the_overlap_is_over_the_older_key_ends_with_the_overlap():
    """Nothing is read in between."""
    after = written(decide(a_spec(), rotated(an_entry()), seen(web=RolledOut())))
    assert after.rollout is None
    assert decide(a_spec(), after, seen()).step == Wait(NOW + timedelta(hours=1))


def test_after_a_day_more_it_is_revoked_all_the_same_and_a_warning_says_so():
    """The bound of the wait."""
    status = rotated(an_entry(), ends=-DAY)
    decision = decide(a_spec(), status, seen())
    assert decision.step == RevokeKey(KeyId("key-1"), status.previous[0].issuer)
    [note] = decision.notes
    assert note.type == "Warning"
    assert "waited 24 hours for the rollout of deployment/web, which is not complete" in note.message


@pytest.mark.parametrize(
    ("since", "ends", "pause"),
    [
        (timedelta(seconds=1), timedelta(hours=2), timedelta(seconds=15)),
        (timedelta(minutes=2), timedelta(hours=2), timedelta(seconds=30)),
        (timedelta(minutes=2), timedelta(minutes=-1), timedelta(seconds=30)),
        (timedelta(hours=1), timedelta(minutes=-1), timedelta(minutes=1)),
        (timedelta(hours=1), timedelta(hours=2), timedelta(minutes=5)),
    ],
)
def test_the_longer_a_rollout_takes_the_less_often_it_is_looked_at(since: timedelta, ends: timedelta, pause: timedelta):
    """After a quarter of the time that it has taken: each 15 s at most, each minute at least once an older key waits for it."""
    rolling = seen(web=Rolling())
    status = said(a_spec(), rotated(an_entry(), since=since, ends=ends), rolling)
    assert decide(a_spec(), status, rolling).step == Wait(NOW + pause)


def test_what_keeps_a_rollout_is_written_down_once():
    """Paused, say: it holds up like any other, and the sentence says what lets it go on."""
    paused = seen(web=Rolling("is paused: kubectl rollout resume lets it go on"))
    after = written(decide(a_spec(), rotated(an_entry(), ends=timedelta(minutes=-1)), paused))
    assert after.next
    assert after.next.reason.endswith("deployment/web is paused: kubectl rollout resume lets it go on.")
    assert isinstance(decide(a_spec(), after, paused).step, Wait)


def test_a_restarted_workload_that_is_gone_holds_up_nothing():
    """Nor is it anybody's trouble."""
    decision = decide(a_spec(), rotated(an_entry()), seen(web=Unrolled("missing")))
    assert written(decision).rollout is None
    assert decision.notes == ()


def test_a_rollout_that_may_not_be_seen_is_not_waited_for():
    """A right that was taken away since: said."""
    decision = decide(a_spec(), rotated(an_entry()), seen(web=Unrolled("forbidden", "403")))
    assert written(decision).rollout is None
    assert "does not wait for it" in decision.notes[0].message


def test_what_else_is_said_of_the_key_stands():
    """A renewal that fails goes on being said while workloads are restarted."""
    spec = a_spec()
    status = rotated(an_entry(ago=None))
    failing = [
        c.model_copy(update={"reason": Reason.RENEWAL_FAILING}) if c.type == "Ready" else c for c in status.conditions
    ]
    after = written(decide(spec, status.model_copy(update={"conditions": failing}), seen(web=Rolling())))
    ready = after.condition("Ready")
    assert ready
    assert ready.reason == Reason.RENEWAL_FAILING
