"""A year of a thousand keys, through two changes of clocks and a leap day: nobody's key ends too early, and nobody comes in crowds."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from tests.conftest import ROOT
from tests.planning.lives import ran
from tests.planning.year import BEGINS, ENDS, PICTURE, POLICIES, a_year, drawn, per_day

from keywright.api.reasons import Reason
from keywright.keys import end_of_day
from keywright.planning import schedule

if TYPE_CHECKING:
    from tests.planning.lives import Life
    from tests.planning.year import Policy

pytestmark = pytest.mark.slow

CROWD = 3
"""On the worst day no more than so many times the mean, though all keys were made in one hour."""


@pytest.fixture(scope="module")
def year() -> list[tuple[Policy, Life]]:
    """Lived once."""
    return a_year()


def test_no_key_ends_before_it_is_replaced(year: list[tuple[Policy, Life]]):
    """Each successor is delivered on or before the last day of the key before, and every key that ends within the year has one."""
    for policy, life in year:
        if policy.validity is None:
            continue
        for (issued, _), (replaced, _) in pairwise(life.issued):
            last = schedule.expiration(life.spec, issued)
            assert last
            assert replaced < end_of_day(last)
        assert life.status.expires_at
        assert life.status.expires_at > ENDS


def test_every_schedule_ran_as_often_as_a_calendar_says(year: list[tuple[Policy, Life]]):
    """To the minute, by a walk over the local clock; the delivery takes two seconds."""
    for policy in POLICIES:
        if policy.fields is None:
            continue
        lives = [life for of, life in year if of is policy]
        for first in {life.issued[0][0].replace(second=0) for life in lives}:
            assert first < BEGINS.replace(hour=9)
        runs = [at.timestamp() + 2 for at in ran(policy.fields, policy.rotation["timeZone"], BEGINS, ENDS)]
        for life in lives:
            assert [at.timestamp() for at, reason in life.issued if reason == Reason.SCHEDULED] == runs
            assert len(life.issued) == len(runs) + 1, "and nothing else replaced it"


def test_keys_that_were_made_together_are_not_replaced_together(year: list[tuple[Policy, Life]]):
    """All that jitter may move: the worst day of the year has no more than a few times the mean."""
    spread = per_day((life for _, life in year), by_schedule=False)
    mean = spread.total() / 366
    assert max(spread.values()) <= CROWD * mean
    assert spread.total() > 5000


def test_without_an_end_or_a_schedule_nothing_is_replaced(year: list[tuple[Policy, Life]]):
    """Not in a year."""
    assert {len(life.issued) for policy, life in year if policy.validity is None and not policy.rotation} == {1}


def test_the_picture_is_of_this_year(year: list[tuple[Policy, Life]]):
    """`make year` has been run since the arithmetic changed."""
    assert (ROOT / PICTURE).read_text(encoding="utf-8") == drawn(year)
