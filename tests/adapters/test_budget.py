"""The request budget: how fast, and whose turn, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from keywright.adapters.budget import Budget
from keywright.ports.issuer import AHEAD

pytestmark = pytest.mark.looptime


class Queueing:
    """Requests that stand in line for a budget of one a second; `went` holds their names and the second in which they went."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.went: list[tuple[str, float]] = []
        self.begun = asyncio.get_running_loop().time()

    async def ask(self, name: str, rank: float | None = None) -> None:
        """One request."""
        await self.budget.acquire(rank)
        self.went.append((name, round(asyncio.get_running_loop().time() - self.begun, 3)))

    async def all(self, *asked: tuple[str, float | None]) -> list[str]:
        """These, at once; their names in the order in which they went."""
        await asyncio.gather(*(self.ask(*one) for one in asked))
        return [name for name, _ in self.went]


async def test_the_burst_goes_at_once_and_the_rest_at_the_rate():
    """No more in any second than the budget says."""
    line = Queueing(Budget(10, 5))
    await line.all(*((str(i), None) for i in range(25)))
    times = [at for _, at in line.went]
    assert times[:5] == [0.0] * 5
    assert times[5:] == pytest.approx([0.1 * i for i in range(1, 21)], abs=0.002)


async def test_requests_without_a_rank_are_served_first_come():
    """And none is overtaken by one with a rank."""
    line = Queueing(Budget(1, 1))
    assert await line.all(("a", None), ("b", None), ("k9", 9.0), ("c", None), ("k1", 1.0)) == [
        "a",
        "b",
        "k1",
        "c",
        "k9",
    ]


async def test_among_those_with_a_rank_the_most_urgent_goes_first():
    """Equals as they came."""
    line = Queueing(Budget(1, 1))
    asked = (("first", None), ("k3", 3.0), ("k1", 1.0), ("k2", 2.0), ("k1 again", 1.0))
    assert await line.all(*asked) == ["first", "k1", "k1 again", "k2", "k3"]


async def test_who_is_ahead_of_all_waits_for_the_rate_alone():
    """A compromised key behind fifty waiting requests: its POST leaves next."""
    line = Queueing(Budget(10, 1))
    waiting = [asyncio.create_task(line.ask(str(i), 5.0 if i % 2 else None)) for i in range(50)]
    await asyncio.sleep(0.05)
    await line.ask("compromised", AHEAD)
    assert [name for name, _ in line.went] == ["0", "compromised"]
    assert line.went[-1][1] == pytest.approx(0.1, abs=0.002)
    await asyncio.gather(*waiting)
    assert len(line.went) == 51


async def test_who_gives_up_waiting_takes_no_turn_from_anybody():
    """Neither of those behind it, nor of the other line."""
    line = Queueing(Budget(1, 1))
    await line.ask("first")
    tasks = [
        asyncio.create_task(line.ask(name, rank)) for name, rank in (("a", None), ("b", 1.0), ("c", None), ("d", 2.0))
    ]
    await asyncio.sleep(0.5)
    for task in tasks[:3]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert line.went == [("first", 0.0), ("d", 1.0)]
    await line.ask("e")
    assert line.went[-1] == ("e", 2.0)
