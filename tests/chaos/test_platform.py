"""The platform answers late, wrongly, or not at all, and people change things there: no key is lost, none doubled."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest
from tests.chaos.consumer import Consumer
from tests.chaos.proxy import KEYS, ONE_KEY, answers, cuts, slow, truncated
from tests.e2e.together import Scenarios
from tests.running import Sandbox, wait_for
from tests.sinks import alone

from keywright.planning.schedule import BACKOFF_FIRST

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.proxy import Fault
    from tests.chaos.stage import Stage

pytestmark = [pytest.mark.plane, pytest.mark.slow, pytest.mark.xdist_group("chaos-platform")]
scenarios = Scenarios(at_once=18)

HTML = b"<html><body>Bad gateway</body></html>"
NEVER_CLEAR: dict[str, tuple[Fault, bool]] = {
    "cut-after": (cuts(committed=True), True),
    "cut-before": (cuts(committed=False), False),
    "too-late": (slow(10), True),
    "error-500-after": (answers(500, {"detail": "oops"}, committed=True), True),
    "error-502-after": (answers(502, HTML, committed=True), True),
    "error-503-after": (answers(503, b"", committed=True, Retry_After="1"), True),
    "error-504-before": (answers(504, HTML), False),
    "truncated": (truncated(), True),
    "empty": (answers(200, b"", committed=True), True),
    "html": (answers(200, HTML, committed=True), True),
    "wrong-shape": (answers(200, {"id": 5, "secret": True}, committed=True), True),
    "no-answer-at-all": (answers(200, b"", cut_at=0), False),
}
"""What may become of the request for a key, and whether there is one afterwards."""
UNREADABLE: dict[str, Fault] = {
    "html": answers(200, HTML),
    "empty": answers(200, b""),
    "truncated": truncated(),
    "wrong-shape": answers(200, {"data": []}),
    "error-500": answers(500, HTML),
    "cut": cuts(committed=True),
}
"""What may become of a listing."""
DELETED_AND: dict[str, Fault] = {
    "404": answers(404, {"detail": "API key not found"}, committed=True),
    "409": answers(409, {"detail": "conflict"}, committed=True),
    "500": answers(500, HTML, committed=True),
    "503": answers(503, b"", committed=True),
    "cut": cuts(committed=True),
}
"""What may be answered although the key is deleted."""
SILENT = slow(9)
"""A platform that nobody waits for who is impatient."""


@scenarios
def a_request_for_a_key_that_ends_in_the_dark(stage: Stage):
    """I1, I4: no blind retry: what may have been made is looked for and revoked, then a new key is asked for, once."""
    stage.create_issuer("hasty", spec={"inventoryInterval": "2s", "requests": {"timeout": "8s"}})
    stage.an_operator()
    for name, (fault, _) in NEVER_CLEAR.items():
        stage.proxy.rule("POST", KEYS, fault, containing=f"/{name} [kw/")
        stage.create(name, issuer="hasty" if name == "too-late" else "mistral")
    for name in NEVER_CLEAR:
        wait_for(lambda name=name: "closedAttempts" in stage.status(name), f"the attempt of {name} is closed")
    # What is asked for again is waited for.
    stage.patch_issuer({"spec": {"requests": {"timeout": "60s"}}}, "hasty")
    stage.holds()
    for name, (_, made) in NEVER_CLEAR.items():
        [closed] = stage.status(name)["closedAttempts"]
        # Too late is late: the listing may have come before it.
        assert closed["outcome"] == ("lost" if made else "unseen") or name == "too-late", name
        first, second = stage.asked_for(name)
        assert second.at - first.at > BACKOFF_FIRST.total_seconds() / 2, f"{name} is not asked for again at once"


@scenarios
def a_listing_that_cannot_be_read_is_not_an_empty_one(stage: Stage):
    """I4: what became of an attempt is not known until a listing says so: it stays open, and nothing further is asked for."""
    stage.an_operator()
    rules = {}
    for name, fault in UNREADABLE.items():
        hold = stage.proxy.hold("POST", KEYS, committed=True, containing=f"/{name} [kw/")
        stage.create(name)
        hold.met()
        uid = stage.object(name)["metadata"]["uid"]
        rules[name] = stage.proxy.rule("GET", KEYS, fault, times=None, containing=f"/{uid[:8]}/")
        hold.drop()
    for name in UNREADABLE:
        wait_for(
            lambda name=name: "cannot be found out yet" in stage.condition(name).get("message", ""), f"{name} says so"
        )
        assert "attempt" in stage.status(name)
        assert len(stage.live_keys(name)) == 1
    for name, rule in rules.items():
        assert stage.posts(name) == 1
        rule.off = True
    stage.holds()
    assert {name: stage.posts(name) for name in UNREADABLE} == dict.fromkeys(UNREADABLE, 2)


def dated(seconds: int) -> dict[str, str]:
    """Retry-After as a date, against the answer's own."""
    now = datetime.now(UTC)
    later = now + timedelta(seconds=seconds)
    return {"Date": format_datetime(now, usegmt=True), "Retry_After": format_datetime(later, usegmt=True)}


@scenarios.of(
    seconds=(25, lambda: {"Retry_After": "25"}),
    date=(25, lambda: dated(25)),
    nothing=(5, dict),
)
@alone("secret", "It is about requests that are made before any target is written.")
def too_many_requests(stage: Stage, case: tuple[int, Callable[[], dict[str, str]]]):
    """I2: the platform is left alone for as long as it says, while another issuer's keys are made; it is no failure."""
    seconds, headers = case
    # Once all keys have been looked at nothing is on its way but what the ApiKey wants.
    stage.patch_issuer({"spec": {"inventoryInterval": "5m"}})
    stage.an_operator()
    stage.create_issuer("other", url=stage.sandbox.url)
    wait_for(lambda: stage.issuer_ready().get("status") == "True", "all keys have been looked at")
    stage.proxy.rule("POST", KEYS, answers(429, {"detail": "slow down"}, **headers()))
    stage.create()
    stage.create("neighbour", issuer="other")
    if headers():  # a busy machine may look too late for what stands there for five seconds
        stage.says("IssuerRateLimited")
    stage.ready("neighbour")
    served = time.monotonic()
    wait_for(lambda: "IssuerRateLimited" in dict(stage.events()), "an event tells of it")
    status = stage.ready()
    assert "closedAttempts" not in status
    assert "failures" not in status
    refused, again = stage.proxy.asked("POST", KEYS)
    # Of five seconds a busy machine needs more for the neighbour itself.
    assert served < again.at or not headers(), "the neighbour is not kept waiting"
    meanwhile = [asked for asked in stage.proxy.seen if refused.at < asked.at < refused.at + seconds - 0.1]
    assert [asked.target for asked in meanwhile] == []
    assert again.at > refused.at + seconds - 0.1
    stage.holds()


@scenarios.of(refused=None, unavailable=answers(503, HTML), silent=SILENT)
def away_for_a_while(stage: Stage, case: Fault | None):
    """I3: said, asked seldom, and all are served within half a minute of its return, within its budget."""
    operator = stage.an_operator()
    if case is SILENT:
        stage.be_impatient(6)
    stage.patch_issuer({"spec": {"requests": {"perSecond": 10, "burst": 10}, "inventoryInterval": "5m"}})
    stage.create("rotated", rotation={"overlap": "1s"})
    stage.ready("rotated")
    stage.annotate("rotated", rotate="now")
    stage.ready("rotated", revision=2)
    wait_for(lambda: "previous" not in stage.status("rotated"), "one is rotated")
    names = [f"key-{i:02}" for i in range(15)]
    with Consumer(stage, "rotated") as consumer:
        if case is None:
            stage.proxy.down()
        else:
            rules = [stage.proxy.rule(m, ".*", case, times=None) for m in ("GET", "POST", "DELETE")]
        gone, since = time.monotonic(), len(stage.proxy.seen)
        for name in names:
            stage.create(name)
        stage.annotate("rotated", compromised="yes")
        for name in names:
            stage.says("IssuerUnavailable", name)
        wait_for(lambda: stage.condition("rotated").get("reason") == "RenewalFailing", "it works, and says what fails")
        allowed = 3 * (len(names) + 1) + (time.monotonic() - gone)
        assert len(stage.proxy.seen) - since <= allowed, "each asks for its key, and what became of it, and then waits"
        back = time.monotonic()
        if case is None:
            stage.proxy.up()
        else:
            for rule in rules:
                rule.off = True
        stage.holds()
        assert stage.status("rotated")["revision"] == 3
    consumer.check()
    times = [asked.at for asked in stage.proxy.seen if asked.at > back]
    # From its return on: where the machine stands still, what was sent meanwhile is seen at once.
    early = [i for i, at in enumerate(times, 1) if i > 10 + 10 * (at - back) + 2]
    assert not early, "its budget, and what had been saved up"
    assert operator.process.poll() is None
    for name in names:
        assert stage.posts(name) <= 1 + len(stage.status(name).get("closedAttempts", ())), name


@scenarios
@alone("secret", "It is about requests that are made before any target is written.")
def a_slow_platform_is_waited_for(stage: Stage):
    """Within the deadline it is only slow: one request each, and no attempt that fails."""
    stage.an_operator()
    stage.proxy.rule("POST", KEYS, slow(1.5), times=None)
    for i in range(5):
        stage.create(f"key-{i}")
    stage.holds()
    for i in range(5):
        assert stage.posts(f"key-{i}") == 1
        assert "closedAttempts" not in stage.status(f"key-{i}")


@scenarios
def a_deletion_that_is_answered_otherwise(stage: Stage):
    """I11: the key is deleted and the answer says something else: asked again, believed in the end, and no finalizer stays."""
    stage.an_operator()
    uids = {}
    for name in DELETED_AND:
        stage.create(name)
    for name, fault in DELETED_AND.items():
        key_id = stage.ready(name)["keyId"]
        uids[name] = key_id, stage.object(name)["metadata"]["uid"]
        stage.proxy.rule("DELETE", ONE_KEY, fault, containing=key_id)
        stage.delete(name)
    for name, (key_id, uid) in uids.items():
        stage.nothing_left(name, uid)
        assert len(stage.proxy.asked("DELETE", ONE_KEY, containing=key_id)) == (1 if name == "404" else 2), name


@scenarios
def names_edited_at_the_platform(stage: Stage):
    """I8: keys that look like ours, twice the same tag, cut short, written on: none is revoked, those with our tag are counted."""
    operator = stage.an_operator()
    stage.create(rotation={"overlap": "0s"})
    stage.ready()
    uid8 = stage.object()["metadata"]["uid"][:8]
    attempt = stage.target()["metadata"]["annotations"]["keywright.dev/attempt"]
    tag = f"[kw/{stage.cluster_id}/{uid8}/{attempt}]"
    names = {
        "twin": f"search {tag}",
        "of another attempt": f"search [kw/{stage.cluster_id}/{uid8}/zzzzzzzz]",
        "cut short": f"search {tag[:-1]}",
        "cut shorter": f"search {tag[:-9]}",
        "written on": f"search {tag} (old)",
        "another cluster's": f"search [kw/another/{uid8}/{attempt}]",
        "without brackets": f"search {tag[1:-1]}",
    }
    by_hand = {what: stage.make_key(name) for what, name in names.items()}
    stage.annotate("search", rotate="now")
    stage.ready(revision=2)
    stage.fail_at(operator, "after create")
    stage.annotate("search", compromised="now")
    stage.failed(operator)
    operator.start()
    stage.ready(revision=3)
    wait_for(lambda: stage.issuer_status().get("strays") == 2, "those with a whole tag of ours are counted")
    passes_by = len(stage.proxy.asked("GET", KEYS))
    wait_for(lambda: len(stage.proxy.asked("GET", KEYS)) > passes_by + 2, "it is looked again")
    stage.holds(strays=2)
    stage.delete()
    stage.gone()
    live = {key["key_id"] for key in stage.sandbox.live_keys("search")}
    assert set(by_hand.values()) <= live
    assert stage.issuer_status()["strays"] == 2


@scenarios
def a_key_that_somebody_revoked(stage: Stage):
    """I9: missing in two listings, it is issued anew, once; the other keys stay as they are."""
    stage.an_operator()
    for name in ("search", "other", "third"):
        stage.create(name)
    first = {name: stage.ready(name)["keyId"] for name in ("search", "other", "third")}
    stage.looked_again()  # listings may lag: a key that none has shown yet is not missed
    stage.revoke_key(first["search"])
    status = stage.ready(revision=2)
    assert status["recentIssuances"][-1]["reason"] == "KeyGone"
    stage.looked_again()
    stage.holds()
    assert {name: stage.posts(name) for name in first} == {"search": 2, "other": 1, "third": 1}


@scenarios
@alone("secret", "It is about requests that are made before any target is written.")
def a_workspace_renamed_and_archived(stage: Stage):
    """I9: a rename changes nothing for the keys in it; archived, no key is asked for, and the reason is said without end."""
    operator = stage.an_operator()
    workspace = stage.make_workspace(f"team-{stage.namespace}")
    stage.create(workspace=f"team-{stage.namespace}", rotation={"overlap": "0s"})
    stage.ready()
    path = f"/v1/admin/workspaces/{workspace}"
    assert stage.sandbox.call("PATCH", path, {"name": f"renamed-{stage.namespace}"})[0] == 200
    stage.annotate("search", rotate="now")
    assert stage.ready(revision=2)["workspace"]["id"] == workspace
    stage.holds()
    assert stage.sandbox.call("DELETE", path)[0] == 204
    posts = stage.posts()
    # What workspaces there are is believed for a minute; the next operator asks anew.
    operator.stop()
    operator.start()
    stage.annotate("search", compromised="yes")
    assert f"team-{stage.namespace}" in stage.says("WorkspaceNotFound", of_type="Stalled")
    looks = len(stage.proxy.asked("GET", KEYS))
    wait_for(lambda: len(stage.proxy.asked("GET", KEYS)) > looks + 2, "it is looked again")
    assert stage.posts() == posts
    assert stage.status()["revision"] == 2


@scenarios
def an_admin_key_that_is_refused(stage: Stage):
    """I10: rotated at the platform and not here: nothing is revoked, what is asked for waits, and all heals with the right key."""
    stage.an_operator()
    for name in ("search", "doomed"):
        stage.create(name)
    first = stage.ready()
    stage.ready("doomed")
    with Consumer(stage) as consumer:
        stage.patch_secret("mistral-admin", {"stringData": {"admin-key": "w" * 32}})
        wait_for(lambda: stage.issuer_ready().get("reason") == "AdminKeyRefused", "the issuer says so")
        live = stage.tagged()
        stage.delete("doomed")
        stage.create("new")
        assert "adminKeySecretRef" in stage.says("AdminKeyRefused", "new")
        assert "adminKeySecretRef" in stage.says("RevocationFailed", "doomed", of_type="Stalled")
        assert stage.tagged() == live
        stage.patch_secret("mistral-admin", {"stringData": {"admin-key": stage.sandbox.admin_key}})
        stage.nothing_left("doomed")
        stage.holds()
    consumer.check()
    assert stage.status()["keyId"] == first["keyId"]
    assert len(stage.tagged()) == 2


@scenarios
def an_admin_key_of_another_organization(stage: Stage):
    """I10: nothing that is listed there is ours, and nothing of ours is listed: hold all, revoke nothing, forget nothing."""
    stage.an_operator()
    other = Sandbox(stage.folder / "other")
    other.start()
    try:
        names = ("search", "second", "doomed")
        for name in names:
            stage.create(name)
        first = {name: stage.ready(name)["keyId"] for name in names}
        wait_for(lambda: stage.issuer_status().get("keys") == len(names), "its keys are counted")
        with Consumer(stage) as consumer:
            home = stage.proxy.upstream
            stage.proxy.upstream = other.url
            stage.patch_secret("mistral-admin", {"stringData": {"admin-key": other.admin_key}})
            wait_for(lambda: stage.issuer_status().get("keys") == 0, "nothing of ours is listed there")
            stage.annotate("search", compromised="yes")
            stage.delete("doomed")
            assert "another organization" in stage.says("RevocationFailed", "doomed", of_type="Stalled")
            looks = len(stage.proxy.asked("GET", KEYS))
            wait_for(lambda: len(stage.proxy.asked("GET", KEYS)) > looks + 4, "it is looked again and again")
            assert stage.tagged().keys() == set(first.values())
            stage.patch_secret("mistral-admin", {"stringData": {"admin-key": stage.sandbox.admin_key}})
            stage.proxy.upstream = home
            stage.nothing_left("doomed")
            stage.ready(revision=2)
            wait_for(lambda: stage.issuer_status().get("keys") == 2, "it is home again")
            stage.holds()
        consumer.check()
        assert stage.status("second")["keyId"] == first["second"]
        assert other.live_keys() == []
    finally:
        other.stop()


@pytest.mark.parametrize("scenario", scenarios.names)
def test_platform(scenario: str, outcome: Callable[[Scenarios, str], None]):
    """What the scenario's own sentence says."""
    outcome(scenarios, scenario)
