"""The queue of names, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from keywright.reconcile.workqueue import QueueClosed, WorkQueue

pytestmark = pytest.mark.looptime


def now() -> float:
    """The loop's time."""
    return asyncio.get_running_loop().time()


async def test_a_name_is_given_out_when_it_is_due():
    """Not before, and not a moment later."""
    queue: WorkQueue[str] = WorkQueue()
    queue.add("later", 10)
    queue.add("sooner", 5)
    begun = now()
    assert (await queue.get(), now() - begun) == ("sooner", 5)
    assert (await queue.get(), now() - begun) == ("later", 10)


async def test_an_earlier_time_wins():
    """Whatever the order of adding; the name stands in the queue once."""
    queue: WorkQueue[str] = WorkQueue()
    for delay in (10, 3, 7):
        queue.add("name", delay)
    assert len(queue) == 1
    begun = now()
    assert (await queue.get(), now() - begun) == ("name", 3)
    queue.done("name", None)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.get(), 60)


async def test_a_waiter_is_woken_by_a_name_that_is_due_sooner():
    """It slept until the first one's time."""
    queue: WorkQueue[str] = WorkQueue()
    queue.add("late", 100)
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(1)
    queue.add("now")
    assert await waiting == "now"
    assert now() < 100


async def test_a_name_in_flight_is_locked_and_comes_back():
    """Added meanwhile: given out once more, after it is done, at its earliest time."""
    queue: WorkQueue[str] = WorkQueue()
    queue.add("name")
    await queue.get()
    queue.add("name", 4)
    queue.add("name", 2)
    assert queue.in_flight == 1
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.get(), 60)
    begun = now()
    queue.done("name", 30)
    assert (await queue.get(), now()) == ("name", begun)


async def test_done_with_a_delay_comes_back_then():
    """And never where nothing is due."""
    queue: WorkQueue[str] = WorkQueue()
    queue.add("name")
    queue.done(await queue.get(), 30)
    begun = now()
    queue.done(await queue.get(), None)
    assert now() - begun == 30
    assert len(queue) == 0


async def test_several_waiters_get_one_name_each():
    """No wake-up is lost, no name given out twice."""
    queue: WorkQueue[int] = WorkQueue()
    waiting = [asyncio.create_task(queue.get()) for _ in range(5)]
    await asyncio.sleep(1)
    for name in range(5):
        queue.add(name)
    assert sorted(await asyncio.wait_for(asyncio.gather(*waiting), 10)) == [0, 1, 2, 3, 4]


async def test_what_is_overdue_is_told():
    """How many names, and for how long the oldest has waited."""
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a", 1)
    queue.add("b", 3)
    queue.add("c", 100)
    await asyncio.sleep(5)
    assert queue.overdue() == (2, 4)


async def test_a_closed_queue_gives_out_nothing():
    """Neither to those who wait nor to those who come."""
    queue: WorkQueue[str] = WorkQueue()
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(1)
    queue.add("name", 50)
    queue.close()
    for getting in (waiting, queue.get()):
        with pytest.raises(QueueClosed):
            await getting
