"""What a pass leaves behind for people: one line a decision, at its level, with the ApiKey and the key; and what is counted."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.reconcile.world import DAY, KEY, World

from keywright.errors import Rejected, Unavailable
from keywright.reconcile.account import log_fields

if TYPE_CHECKING:
    import pytest


def lines(caplog: pytest.LogCaptureFixture, least: int = logging.INFO) -> list[logging.LogRecord]:
    """What was said since the last look."""
    said = [record for record in caplog.records if record.levelno >= least]
    caplog.clear()
    return said


def once(world: World, call: str, error: Exception) -> None:
    """The next such call fails."""

    def strike(_boundary: int, met: str) -> None:
        if met == call:
            world.faults.calm()
            raise error

    world.faults.strike = strike


async def test_an_issuance_is_one_line_and_so_is_each_thing_that_changes(caplog: pytest.LogCaptureFixture):
    """Issued, rotated, revoked: each once, with ApiKey, key id, reason and step; a pass that finds nothing says nothing."""
    caplog.set_level(logging.INFO)
    world = World()
    world.create()
    await world.settle()
    first = world.status().key_id
    [issued] = lines(caplog)
    assert (issued.apikey, issued.key_id, issued.reason, issued.step) == (str(KEY), first, "Issued", "WriteStatus")
    for _ in range(3):
        await world.settle()
        world.now += timedelta(minutes=20)
    assert lines(caplog) == []
    world.annotate(rotate="now")
    await world.settle()
    second = world.status().key_id
    [rotated] = lines(caplog)
    assert (rotated.reason, rotated.key_id) == ("Issued", second)
    world.now += 3 * DAY
    await world.settle()
    assert [(r.step, r.key_id) for r in lines(caplog)] == [("RevokeKey", first), ("WriteStatus", second)]


async def test_the_day_of_its_last_use_is_no_line(caplog: pytest.LogCaptureFixture):
    """Written once a day for each key that is used: no condition says anything new."""
    caplog.set_level(logging.INFO)
    world = World()
    world.create()
    await world.settle()
    await world.look_over()
    lines(caplog)
    for live in world.platform.keys.values():
        live.listed = replace(live.listed, last_used=world.now.date())
    world.now += timedelta(minutes=6)
    await world.look_over()
    assert world.status().last_used is not None
    assert lines(caplog) == []


async def test_each_pass_is_read_at_debug(caplog: pytest.LogCaptureFixture):
    """What it waits for, too."""
    world = World()
    world.create()
    await world.settle()
    caplog.set_level(logging.DEBUG)
    await world.pass_over()
    [waiting] = lines(caplog, logging.DEBUG)
    assert (waiting.levelname, waiting.step, waiting.key_id) == ("DEBUG", "Wait", world.status().key_id)


async def test_what_fails_is_counted_by_step_and_reason():
    """A refused create, a revocation without an answer: each under its own reason; what was done is counted as before."""
    world = World()
    world.create()
    value = world.process.metrics.registry.get_sample_value
    once(world, "before create", Rejected("no", reason="IssuerRefused"))
    await world.settle()
    world.now += timedelta(minutes=10)
    await world.settle()
    labels = {"step": "IssueAndDeliver", "reason": "IssuerRefused"}
    assert value("keywright_step_failures_total", labels) == 1
    assert value("keywright_attempts_closed_total", {"reason": "IssuerRefused"}) == 1
    assert value("keywright_keys_issued_total", {"reason": "NotIssued"}) == 1
    assert value("keywright_deliveries_total", {"target": "Secret"}) == 1
    world.delete()
    once(world, "before revoke", Unavailable("gone"))
    await world.settle()
    assert value("keywright_step_failures_total", {"step": "RevokeKey", "reason": "IssuerUnavailable"}) == 1
    assert value("keywright_keys_revoked_total", {"reason": "Deleting"}) == 1


def test_lines_name_what_they_are_about():
    """An ApiKey as its namespace and name; issuers and stores as messages call them, with their namespace beside."""
    assert log_fields(KEY) == {"apikey": str(KEY)}
    assert log_fields(("KeyIssuer", "shop", "a")) == {"issuer": "keyissuer/a", "namespace": "shop"}
    assert log_fields(("ClusterVaultStore", None, "b")) == {"store": "clustervaultstore/b", "namespace": None}


async def test_an_issuer_that_says_something_new_is_a_line(caplog: pytest.LogCaptureFixture):
    """A warning where it cannot be used, and information once it can; counting its keys anew is none."""
    caplog.set_level(logging.INFO)
    world = World()
    world.create()
    await world.look_over()
    [works] = lines(caplog)
    assert (works.levelname, works.issuer, works.namespace, works.reason) == (
        "INFO",
        "keyissuer/mistral",
        "search",
        "AdminKeyWorks",
    )
    await world.settle()
    lines(caplog)
    world.now += timedelta(minutes=6)
    await world.look_over()
    assert lines(caplog) == []
    world.platform.admin_key = "another"
    world.now += timedelta(minutes=6)
    await world.look_over()
    [refused] = lines(caplog)
    assert (refused.levelname, refused.reason) == ("WARNING", "AdminKeyRefused")
