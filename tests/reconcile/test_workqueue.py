"""The queue of names, in virtual time."""

from __future__ import annotations

import asyncio
import random

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


def ranked(ranks: dict[str, float]) -> WorkQueue[str]:
    """A queue of these, that looks their ranks up when it asks."""
    return WorkQueue(ranks.__getitem__)


async def taken(queue: WorkQueue[str], count: int) -> list[str]:
    """The next names, each done with at once."""
    names = []
    for _ in range(count):
        names.append(await queue.get())
        queue.done(names[-1], None)
    return names


async def test_of_those_that_are_due_the_most_urgent_comes_first():
    """Equals in the order in which they were due; what is not due yet waits, however urgent."""
    queue = ranked({"a": 5, "b": 1, "c": 5, "d": 3, "later": 0})
    queue.add("later", 60)
    for name in "abcd":
        queue.add(name)
    assert await taken(queue, 5) == ["b", "d", "a", "c", "later"]
    assert len(queue) == 0


async def test_a_name_that_has_become_more_urgent_overtakes():
    """Whoever tells of it adds it again; it is given out once."""
    ranks = {"a": 1.0, "b": 2.0, "c": 3.0}
    queue = ranked(ranks)
    for name in ranks:
        queue.add(name)
    assert await taken(queue, 1) == ["a"]
    ranks["c"] = -1.0
    queue.add("c")
    queue.add("b")
    assert await taken(queue, 2) == ["c", "b"]
    assert len(queue) == 0


async def test_the_less_urgent_are_not_starved():
    """Behind a stream of more urgent names that never ends: after half a minute it gets one turn in eight."""
    ranks = {"patient": 9.0} | {f"urgent {i}": 1.0 for i in range(3)}
    queue = ranked(ranks)
    for name in ranks:
        queue.add(name)
    begun, given = now(), 0
    while (name := await queue.get()) != "patient":
        queue.done(name, 0)
        given += 1
        await asyncio.sleep(0.5)
    assert 30 <= now() - begun <= 34
    queue.done(name, None)


async def test_ranks_are_asked_for_while_names_compete_alone():
    """An idle operator's names come one at a time, and cost nothing more."""
    asked: list[str] = []
    queue: WorkQueue[str] = WorkQueue(lambda name: asked.append(name) or 0.0)  # type: ignore[func-returns-value]
    queue.add("a", 1)
    queue.add("b", 2)
    assert await taken(queue, 2) == ["a", "b"]
    assert asked == []
    queue.add("a")
    queue.add("b")
    assert await taken(queue, 2) == ["a", "b"]
    assert asked == ["a", "b"]


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_happens_a_name_is_given_out_once_for_each_time_that_it_is_due(seed: int):
    """Names that come, come again sooner, and change their rank: none is lost, none doubled, none too early."""
    chance = random.Random(seed)  # noqa: S311 -- repeatable, and no secret
    ranks = {f"n{i}": 0.0 for i in range(12)}
    queue = ranked(ranks)
    wanted: dict[str, float] = {}
    for _ in range(400):
        name = chance.choice(list(ranks))
        ranks[name] = chance.choice([0.0, 1.0, 2.0])
        if chance.random() < 0.6:
            delay = chance.choice([0, 0, 1, 5])
            queue.add(name, delay)
            wanted[name] = min(wanted.get(name, now() + delay), now() + delay)
        elif wanted:
            given = await queue.get()
            assert wanted.pop(given) <= now() + 0.002
            queue.done(given, None)
    assert len(queue) == len(wanted)
    assert sorted(await taken(queue, len(wanted))) == sorted(wanted)
