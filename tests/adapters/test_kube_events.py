"""Events in the background: said once, never in the way, never without bound."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from datetime import timedelta

import pytest
from tests.adapters.kube_builders import NOW, an_api_key, stored
from tests.adapters.kube_wire import a_kubeconfig, a_status
from tests.adapters.wire_server import cut, hang, http

from keywright.adapters import kube_events
from keywright.adapters.kube import KubeApi
from keywright.adapters.kube_events import ALLOWED, ALLOWED_EACH, Allowance, EventWriter, SaidBefore
from keywright.ports.cluster import EventNote


@pytest.fixture
async def writer(wire, tmp_path):
    """An EventWriter at the WireServer."""
    async with await KubeApi.connect(a_kubeconfig(tmp_path / "kubeconfig", wire.url, {"token": "t"})) as api:
        wire.answers(http(201, {}))
        yield EventWriter(api, lambda: NOW, busy=lambda: False, capacity=50)


def a_note(message="a key was issued", **metadata):
    """One about an ApiKey."""
    return EventNote(stored(an_api_key(), **metadata), "Normal", "Issued", message)


def events(wire):
    """What arrived."""
    return [json.loads(one.body) for one in wire.seen]


async def test_an_event_is_written_as_kubectl_reads_it(wire, writer):
    """About the very object, with reason, message and time, in its namespace."""
    writer.note(a_note())
    await writer.drain(10)
    [event] = events(wire)
    assert wire.seen[0].target == "/api/v1/namespaces/team/events"
    assert event["involvedObject"] == {
        "apiVersion": "keywright.dev/v1alpha1",
        "kind": "ApiKey",
        "namespace": "team",
        "name": "search",
        "uid": stored(an_api_key())["metadata"]["uid"],
        "resourceVersion": "1",
    }
    assert (event["type"], event["reason"], event["message"]) == ("Normal", "Issued", "a key was issued")
    assert event["lastTimestamp"] == "2026-11-24T12:00:00Z"


async def test_the_same_words_are_written_once(wire, writer):
    """Within the hour; other words, another reason or another object are news."""
    for _ in range(3):
        writer.note(a_note())
        writer.note(a_note("something else"))
        writer.note(a_note(uid="99999999-1111-4222-8333-944444444444"))
    await writer.drain(10)
    assert len(wire.seen) == 3


def test_after_an_hour_it_is_said_again():
    """As long as the apiserver keeps events."""
    said = SaidBefore()
    assert [said("uid", "R", "m", now) for now in (0.0, 1.0, 3599.0, 3600.0, 3601.0)] == [
        False,
        True,
        True,
        False,
        True,
    ]


def test_memory_of_words_is_bounded(monkeypatch):
    """The oldest are forgotten."""
    monkeypatch.setattr(kube_events, "_REMEMBERED", 10)
    said = SaidBefore()
    assert not any(said("uid", "R", str(number), 0.0) for number in range(100))
    assert len(said._said) == 10
    assert said("uid", "R", "99", 0.0)


def test_an_object_may_say_so_much_and_then_a_little():
    """25 in a row and one each five minutes, by object; what was not used comes back, and never more."""
    allowed = Allowance()
    assert [allowed("uid", 0.0) for _ in range(ALLOWED + 2)] == [True] * ALLOWED + [False] * 2
    assert allowed("another", 0.0)
    assert not allowed("uid", ALLOWED_EACH - 1)
    assert [allowed("uid", 2 * ALLOWED_EACH) for _ in range(3)] == [True, True, False]
    assert [allowed("uid", 1e6) for _ in range(ALLOWED + 1)] == [True] * ALLOWED + [False]


async def test_an_object_with_too_much_to_say_is_told_of_once(wire, writer, caplog):
    """Its other events are in the log; those of other objects are written."""
    for number in range(ALLOWED + 5):
        writer.note(a_note(f"attempt {number} failed"))
    writer.note(a_note(uid="99999999-1111-4222-8333-944444444444"))
    await writer.drain(10)
    assert len(wire.seen) == ALLOWED + 1
    assert len([record for record in caplog.records if "more events" in record.message]) == 1


async def test_two_replicas_give_the_same_words_one_name(wire, writer, tmp_path):
    """The name is made of the words and the hour: the second one is refused as existing, and that is silently right."""
    writer.note(a_note())
    await writer.drain(10)
    later = EventWriter(writer._api, lambda: NOW + timedelta(minutes=30), busy=lambda: False)
    wire.answers(http(409, a_status("AlreadyExists")))
    later.note(a_note())
    await later.drain(10)
    first, second = events(wire)
    assert first["metadata"]["name"] == second["metadata"]["name"]


@pytest.mark.parametrize("name", ["a" * 253, "a" * 199 + "." + "b" * 50, "a" * 198 + "-." + "b" * 50])
async def test_every_name_of_an_object_makes_a_name_of_an_event(wire, writer, name):
    """Long names are cut, and not in the middle of what a name may not end with."""
    writer.note(EventNote(stored(an_api_key(name=name)), "Normal", "Issued", "x" * 5000))
    await writer.drain(10)
    [event] = events(wire)
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", event["metadata"]["name"])
    assert len(event["metadata"]["name"]) <= 253
    assert len(event["message"]) == 1000


async def test_events_about_cluster_kinds_go_to_default(wire, writer):
    """The apiserver takes them nowhere else."""
    about = {"apiVersion": "keywright.dev/v1alpha1", "kind": "ClusterKeyIssuer", "metadata": {"name": "m", "uid": "u"}}
    writer.note(EventNote(about, "Warning", "IssuerUnavailable", "away"))
    await writer.drain(10)
    [event] = events(wire)
    assert event["metadata"]["namespace"] == "default"
    assert "namespace" not in event["involvedObject"]


@pytest.mark.parametrize("script", [cut, http(403, a_status("Forbidden")), http(500)])
async def test_a_failure_is_logged_once_and_nothing_else_happens(wire, writer, caplog, script):
    """A namespace that is being deleted refuses every event: one line for all of them."""
    wire.answers(script)
    for number in range(5):
        writer.note(a_note(str(number)))
    await writer.drain(10)
    assert len(wire.seen) == 5
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


async def test_a_full_queue_drops_the_oldest_and_never_waits(wire, writer, caplog):
    """An apiserver that hangs: notes return at once, memory is bounded, and shutting down takes no longer than told."""
    wire.answers(hang)
    for number in range(200):
        writer.note(a_note(str(number)))
    await asyncio.sleep(0)
    assert len(writer._queue) <= 50
    started = asyncio.get_running_loop().time()
    await writer.drain(0.1)
    assert asyncio.get_running_loop().time() - started < 30
    assert "events were not written before the shutdown" in caplog.text
    assert not writer._writers


async def test_events_give_way_to_keys_and_are_told_afterwards(wire, writer):
    """While many keys are being worked on nothing is written; when the burst is over, all of it is."""
    burst = [True]
    writer._busy = lambda: burst[0]
    writer.note(a_note())
    writer.note(a_note("another"))
    await asyncio.sleep(0)
    assert wire.seen == []
    burst.clear()
    burst.append(False)
    await asyncio.wait(set(writer._writers), timeout=10)
    assert len(wire.seen) == 2


async def test_no_event_waits_for_ever(wire, writer, monkeypatch):
    """An operator that is always busy tells its story all the same."""
    monkeypatch.setattr(kube_events, "_LONGEST_WAIT", 0.0)
    writer._busy = lambda: True
    writer.note(a_note())
    await asyncio.wait(set(writer._writers), timeout=10)
    assert len(wire.seen) == 1
