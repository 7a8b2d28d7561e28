"""How owners share the queue's places, in virtual time: names are `owner/number`."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from keywright.reconcile.workqueue import WorkQueue

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.looptime

PLACES = 64
ALONE = 52
"""Four times the places that stay free."""


def owner_of(name: str) -> str:
    """What stands before the slash."""
    return name.partition("/")[0]


def shared(places: float = PLACES, rank: Callable[[str], float] | None = None) -> WorkQueue[str]:
    """A queue for so many workers."""
    return WorkQueue(rank, owner=owner_of, places=places)


def add(queue: WorkQueue[str], owner: str, count: int) -> None:
    """So many names of an owner, due now."""
    for i in range(count):
        queue.add(f"{owner}/{i}")


async def given(queue: WorkQueue[str], most: int = PLACES) -> list[str]:
    """What is given out now, to so many workers that keep it."""
    names: list[str] = []
    try:
        while len(names) < most:
            names.append(await asyncio.wait_for(queue.get(), 0.5))
    except TimeoutError:
        pass
    return names


async def test_owners_take_turns():
    """Equally urgent names: who came with a thousand gets every other one."""
    queue = shared(places=float("inf"))
    add(queue, "many", 1000)
    await given(queue, 10)
    add(queue, "few", 4)
    assert [owner_of(name) for name in await given(queue, 9)].count("few") == 4


async def test_one_who_is_alone_has_nearly_all_places_and_leaves_some_free():
    """Who comes then is served at once, and who comes after that, too."""
    queue = shared()
    add(queue, "many", 1000)
    assert len(await given(queue)) == ALONE
    for later in ("second", "third", "fourth"):
        add(queue, later, 1)
        assert await given(queue) == [f"{later}/0"]


async def test_owners_that_want_as_much_get_as_much():
    """However many each has; and some places stay free."""
    queue = shared()
    for owner in ("a", "b", "c"):
        add(queue, owner, 100 if owner == "a" else 1000)
    shares = Counter(owner_of(name) for name in await given(queue))
    assert max(shares.values()) - min(shares.values()) <= 1, shares
    assert PLACES - 8 < shares.total() < PLACES, shares


async def test_a_name_that_is_held_back_is_given_out_once_a_place_is_free():
    """Nobody has to add it again."""
    queue = shared()
    add(queue, "many", ALONE + 1)
    names = await given(queue)
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(100)
    assert not waiting.done()
    queue.done(names[0], None)
    assert await waiting == f"many/{ALONE}"


async def test_however_urgent_an_owners_names_are_others_have_places():
    """Said to be compromised, or being deleted, by the thousand: those go first, and yet somebody's first key is issued at once."""
    queue = shared(rank=lambda name: 0.0 if owner_of(name) == "urgent" else 9.0)
    add(queue, "patient", 3)
    add(queue, "urgent", 1000)
    first = await given(queue, ALONE)
    assert {owner_of(name) for name in first} == {"urgent"}
    assert sorted(await given(queue, 3)) == ["patient/0", "patient/1", "patient/2"]


async def test_what_has_waited_for_long_does_not_pass_by_the_shares():
    """One in eight is the oldest, but not of an owner that has what it may."""
    queue = shared()
    add(queue, "many", 1000)
    await given(queue)
    await asyncio.sleep(60)
    for i in range(9):
        queue.add(f"few/{i}")
    names = await given(queue, 9)
    assert {owner_of(name) for name in names} == {"few"}
    for name in names:
        queue.done(name, None)


async def test_few_places_are_all_used():
    """With so few none can be kept free."""
    for places in (1, 2, 3):
        queue = shared(places)
        add(queue, "only", 5)
        assert len(await given(queue, places)) == places


async def test_cluster_wide_names_may_have_owners_of_any_kind():
    """What owners are is nobody's business: they are never compared."""
    queue: WorkQueue[tuple[str, str | None, int]] = WorkQueue(owner=lambda name: name[1] or name, places=PLACES)
    for i in range(50):
        queue.add(("ClusterKeyIssuer", None, i))
        queue.add(("KeyIssuer", "search", i))
    names = [await queue.get() for _ in range(60)]
    assert sum(name[1] is None for name in names) == 50


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_an_owner_does_somebody_elses_name_begins_at_once(seed: int):
    """One whose names hang for ten seconds each, come again and again and are more urgent; no name is lost, doubled or idled over."""
    chance = random.Random(seed)  # noqa: S311 -- repeatable, and no secret
    loop, queue = asyncio.get_running_loop(), shared(rank=lambda name: float(owner_of(name) != "hostile"))
    added: dict[str, float] = {}
    late: dict[str, float] = {}
    working: Counter[str] = Counter()

    async def work() -> None:
        while True:
            name = await queue.get()
            owner = owner_of(name)
            working[name] += 1
            assert working[name] == 1
            if owner != "hostile":
                late[name] = loop.time() - added.pop(name)
            await asyncio.sleep(10.0 if owner == "hostile" else chance.choice([0.0, 0.01, 0.2]))
            working[name] -= 1
            queue.done(name, 0.0 if owner == "hostile" else None)

    add(queue, "hostile", 300)
    workers = [asyncio.create_task(work()) for _ in range(PLACES)]
    wanted = set()
    for i in range(300):
        await asyncio.sleep(chance.choice([0.0, 0.05, 0.3]))
        name = f"{chance.choice('abcdef')}/{i}"
        wanted.add(name)
        added[name] = loop.time()
        queue.add(name)
    await asyncio.sleep(5)
    hostile = sum(count for name, count in working.items() if owner_of(name) == "hostile")
    for worker in workers:
        assert not worker.done() or worker.exception() is None
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    assert late.keys() == wanted
    assert max(late.values()) < 0.1, max(late.values())
    assert hostile == ALONE, "what nobody else wants is used"
