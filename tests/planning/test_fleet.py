"""The report of many ApiKeys: one trouble is one problem, what needs a person comes first, and the numbers add up."""

from __future__ import annotations

import json
from datetime import timedelta

from tests.planning.builders import NOW
from tests.planning.fleets import DAY, HOUR, a_lease, an_issuer, an_object, read, retried, stalled, stamp

from keywright.api.report import FleetReport
from keywright.planning.fleet import report_of

REFUSED = "keyissuer/mistral: the platform refused the admin key: put a working one into Secret mistral-admin"


def renewed(name: str, days: int) -> dict[str, object]:
    """An ApiKey that is renewed in so many days."""
    at = stamp(NOW + days * DAY)
    return an_object(name, status={"renewalTime": at, "next": {"action": "Renew", "at": at, "reason": "x."}})


def test_an_issuers_trouble_is_one_problem_with_all_that_it_holds_up():
    """Those whose keys end first are named first; another trouble is another problem."""
    sick = an_issuer("AdminKeyRefused", REFUSED)
    objects = [
        an_object("a", status=stalled("AdminKeyRefused", REFUSED, works=True) | {"expiresAt": stamp(NOW + 9 * DAY)}),
        an_object("b", status=stalled("AdminKeyRefused", REFUSED, works=True) | {"expiresAt": stamp(NOW + 2 * DAY)}),
        an_object("c", status=stalled("TargetForeign", "Secret c-key is somebody's; write another name")),
    ]
    first, second = report_of(read(*objects, used=(sick,)), NOW).problems
    assert (first.reason, first.source and first.source.name) == ("AdminKeyRefused", "mistral")
    assert [one.name for one in first.api_keys] == ["b", "a"]
    assert first.first_expiry == NOW + 2 * DAY
    assert first.remedy.endswith(" It is Secret prod/mistral-admin, data key admin-key.")
    assert (second.reason, second.not_ready) == ("TargetForeign", 1)


def test_the_same_words_about_many_are_one_problem():
    """Also where no issuer says anything."""
    objects = [
        an_object(f"k{i}", status=retried("IssuerUnavailable", "keyissuer/mistral does not answer"))
        for i in range(1000)
    ]
    [problem] = report_of(read(*objects), NOW).problems
    assert (problem.severity, len(problem.api_keys)) == ("Retrying", 1000)


def test_what_is_due_next_comes_first():
    """And what is never due last."""
    never = an_object(
        "never", status={"next": {"action": "None", "reason": "x."}, "renewalTime": None, "expiresAt": None}
    )
    report = report_of(read(renewed("late", 30), never, renewed("soon", 3)), NOW)
    assert [key.name for key in report.api_keys] == ["soon", "late", "never"]
    assert report.summary.model_dump() == {"total": 3, "ready": 3, "renew_within_week": 1, "need_person": 0}
    assert report.problems == []


def test_a_lease_that_ran_out_is_the_first_problem():
    """All keys may be well: nobody will renew them."""
    report = report_of(read(an_object(), leases=(a_lease(2 * HOUR),)), NOW)
    [problem] = report.problems
    assert report.operator.state == "Silent"
    assert (
        problem.message
        == "No operator seems to work: the Lease keywright-system/keywright was renewed last 2 h ago by this machine's clock."
    )
    assert "get deployment,lease" in problem.remedy


def test_this_machines_clock_may_differ_where_no_other_was_asked():
    """Status takes a late renewal for a clock that is ahead; doctor, which asked the apiserver, does not."""
    late = a_lease(timedelta(seconds=40))
    assert report_of(read(an_object(), leases=(late,)), NOW).operator.state == "Working"
    assert not late.is_held(NOW)
    assert report_of(read(an_object(), leases=(a_lease(timedelta(seconds=90)),)), NOW).operator.state == "Silent"


def test_a_lease_that_was_given_back_is_nobodys():
    """An operator that ended in order leaves it without a holder."""
    assert report_of(read(an_object(), leases=(a_lease(holder=""),)), NOW).operator.state == "Silent"


def test_one_lease_of_two_is_enough():
    """That of an operator for this namespace alone, beside one for the whole cluster that is gone."""
    assert report_of(read(an_object(), leases=(a_lease(2 * HOUR), a_lease())), NOW).operator.state == "Working"


def test_unanswered_edits_are_one_problem_that_names_the_lease():
    """Whoever holds the Lease passes over them, as one that was stopped does."""
    edited = {"generation": 2, "creationTimestamp": stamp(NOW - HOUR)}
    [problem] = report_of(read(an_object("a", **edited), an_object("b", **edited)), NOW).problems
    assert problem.reason == "NotObserved"
    assert problem.message.startswith(
        "keywright-0 holds the Lease keywright-system/keywright and passes over these ApiKeys."
    )
    assert "for 60 min" in problem.message
    assert len(problem.api_keys) == 2


def test_strays_are_worth_knowing():
    """They hold up nobody."""
    [problem] = report_of(read(an_object(), used=(an_issuer(strays=2),)), NOW).problems
    assert (problem.severity, problem.api_keys) == ("Notice", [])
    assert "2 live keys that no ApiKey names" in problem.message
    assert "keywright sweep" in problem.remedy


def test_an_issuer_that_nobody_uses_is_not_reported_as_used():
    """But what is wrong with one that ApiKeys use, is, though none of them needs it today."""
    report = report_of(read(an_object(), used=(an_issuer("IssuerUnavailable", "no answer"),)), NOW)
    [problem] = report.problems
    assert (problem.severity, problem.message) == ("Retrying", "keyissuer/mistral: no answer.")
    other = an_issuer("AdminKeyRefused", REFUSED)
    other["metadata"]["name"] = "other"
    assert report_of(read(an_object(), used=(other,)), NOW).problems == []


def test_the_document_reads_back_as_it_was():
    """What is not known is left out; times are whole seconds."""
    report = report_of(
        read(an_object(), renewed("soon", 3), used=(an_issuer(keys=2),)), NOW + timedelta(microseconds=7)
    )
    document = json.loads(json.dumps(report.to_dict()))
    assert document["schema"] == "keywright.dev/status/v1"
    assert FleetReport.model_validate(document) == report


def test_ten_thousand_take_a_moment():
    """A report is made at each change of a fleet that is watched."""
    report = report_of(read(*(renewed(f"key-{i}", i % 90 + 1) for i in range(10_000))), NOW)
    assert report.summary.total == 10_000
