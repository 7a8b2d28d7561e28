"""Workers over the queue, in virtual time: what comes back when, and how they stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import pairwise

import pytest

from keywright.errors import Ambiguous, NotLeading, NotYet, RateLimited, Rejected, Unavailable
from keywright.metrics import Metrics
from keywright.reconcile.worker import Workers
from keywright.reconcile.workqueue import WorkQueue

pytestmark = pytest.mark.looptime
Work = Callable[[str], Awaitable[timedelta | None]]


def now() -> float:
    """The loop's time."""
    return asyncio.get_running_loop().time()


def some_workers(work: Work, count: int = 2, metrics: Metrics | None = None) -> tuple[WorkQueue[str], Workers[str]]:
    """Running ones."""
    queue: WorkQueue[str] = WorkQueue()
    workers = Workers(queue, work, name="apikeys", count=count, metrics=metrics or Metrics.create())
    workers.start()
    return queue, workers


async def times_of(
    outcomes: list[timedelta | Exception | None], within: float, metrics: Metrics | None = None
) -> list[float]:
    """When a name is worked on, if its work ends so, one after the other, and then well."""
    times: list[float] = []

    async def work(_: str) -> timedelta | None:
        times.append(now())
        outcome = outcomes.pop(0) if outcomes else None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    queue, workers = some_workers(work, metrics=metrics)
    begun = now()
    queue.add("name")
    await asyncio.sleep(within)
    assert await workers.stop(1)
    return [at - begun for at in times]


async def test_a_name_comes_back_when_it_says():
    """And at least each quarter of an hour, so that a clock that jumped is noticed."""
    assert await times_of([timedelta(seconds=7), timedelta(days=60), None], 4000) == [0, 7, 907]


@pytest.mark.parametrize(
    "error", [Unavailable("x"), Ambiguous("x"), Rejected("x", reason="TargetRefused"), KeyError("x")]
)
async def test_a_failing_name_comes_back_with_growing_pauses(error: Exception):
    """Half a second, doubled, up to a minute."""
    times = await times_of([error] * 9, 180)
    pauses = [round(b - a, 3) for a, b in pairwise(times)]
    assert pauses == [0.5, 1, 2, 4, 8, 16, 32, 60]


async def test_errors_in_a_row_are_said_ever_more_seldom(caplog: pytest.LogCaptureFixture):
    """The 1st, 2nd, 4th, 8th: an apiserver that is away for long fills no log. All are counted."""
    caplog.set_level(logging.INFO)
    metrics = Metrics.create()
    await times_of([Unavailable("x")] * 9, 180, metrics)
    assert len(caplog.records) == 4
    assert metrics.registry.get_sample_value("keywright_reconcile_errors_total", {"error": "Unavailable"}) == 9


async def test_a_name_that_works_again_is_forgiven():
    """The pause begins anew."""
    times = await times_of([Unavailable("x"), Unavailable("x"), timedelta(seconds=5), Unavailable("x"), None], 60)
    assert times == [0, 0.5, 1.5, 6.5, 7.0]


async def test_who_asked_for_a_pause_gets_it():
    """Retry-After beats a shorter one of our own."""
    assert await times_of([RateLimited("x", after=40.0), None], 100) == [0, 40]


async def test_a_lease_too_short_is_no_error(caplog: pytest.LogCaptureFixture):
    """Nor is an answer that somebody waits for already. The name comes back after a second; nothing is said or counted, no pause grows."""
    caplog.set_level(logging.INFO)
    metrics = Metrics.create()
    quiet = [NotLeading("x"), NotYet("x"), NotLeading("x"), NotYet("x"), NotLeading("x")]
    assert await times_of([*quiet, Unavailable("x")], 20, metrics) == [0, 1, 2, 3, 4, 5, 5.5]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    errors = [sample for family in metrics.reconcile_errors.collect() for sample in family.samples]
    assert {sample.labels["error"] for sample in errors if sample.value} == {"Unavailable"}


async def test_an_unexpected_error_is_logged_without_its_words(caplog: pytest.LogCaptureFixture):
    """They might quote an input; the place is told."""
    caplog.set_level(logging.DEBUG)
    await times_of([ValueError("HQSxPlaintext"), None], 10)
    assert "unexpected ValueError" in caplog.text
    assert "in work" in caplog.text
    assert "HQSxPlaintext" not in caplog.text


async def test_one_name_does_not_hold_up_another():
    """Two workers, one busy."""
    seen: list[str] = []

    async def work(name: str) -> None:
        seen.append(name)
        if name == "slow":
            await asyncio.sleep(100)

    queue, workers = some_workers(work)
    queue.add("slow")
    for i in range(5):
        queue.add(f"quick-{i}")
    await asyncio.sleep(1)
    assert len(seen) == 6
    assert await workers.stop(200)


async def test_a_name_is_never_worked_on_twice_at_once():
    """However often it is added meanwhile."""
    running = most = passes = 0

    async def work(_: str) -> None:
        nonlocal running, most, passes
        running += 1
        passes += 1
        most = max(most, running)
        await asyncio.sleep(1)
        running -= 1

    queue, workers = some_workers(work, count=5)
    for _ in range(20):
        queue.add("name")
        await asyncio.sleep(0.1)
    await asyncio.sleep(10)
    assert most == 1
    assert passes <= 4
    assert await workers.stop(1)


async def test_stopping_finishes_what_is_in_flight_and_takes_nothing_new():
    """C9: the step in flight ends by itself within the grace."""
    ended: list[str] = []

    async def work(name: str) -> None:
        await asyncio.sleep(5)
        ended.append(name)

    queue, workers = some_workers(work, count=1)
    queue.add("first")
    queue.add("second")
    await asyncio.sleep(1)
    assert await workers.stop(25)
    assert ended == ["first"]


async def test_stopping_cuts_off_what_outlasts_the_grace():
    """And says so."""

    async def work(_: str) -> None:
        await asyncio.sleep(1000)

    queue, workers = some_workers(work)
    queue.add("name")
    await asyncio.sleep(1)
    begun = now()
    assert not await workers.stop(25)
    assert now() - begun == 25
    assert queue.in_flight == 0
