"""Listing all keys while the list moves: the decisions alone, against a simulated platform."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keywright.adapters import mistral_wire
from keywright.adapters.mistral_wire import NextPage, PagesShiftError, every_key
from keywright.keys import KeyId, ListedKey

MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("create"), st.floats(0, 1), st.integers(1, 120)),
        st.tuples(st.just("delete"), st.floats(0, 1), st.integers(1, 120)),
        st.tuples(st.just("rest"), st.just(0.0), st.just(0)),
    ),
    max_size=24,
)


def a_key(number: int) -> ListedKey:
    """The key of that number."""
    return ListedKey(KeyId(f"key-{number:08}"), None, "****", None, None, None)


def read_all(keys: list[ListedKey], moves, cap: int) -> tuple[list[ListedKey], int]:
    """Drive every_key over `keys`, which change after each page; returns what it found and the pages read."""
    numbers, moves, pages = itertools.count(len(keys)), iter(moves), 0
    reading = every_key()
    wanted = next(reading)
    while True:
        page = keys[wanted.offset : wanted.offset + cap]
        pages += 1
        kind, where, many = next(moves, ("rest", 0.0, 0))
        at = int(where * len(keys))
        if kind == "create":
            keys[at:at] = [a_key(next(numbers)) for _ in range(many)]
        elif kind == "delete":
            del keys[at : at + many]
        try:
            wanted = reading.send(page)
        except StopIteration as done:
            return done.value, pages


@given(count=st.integers(0, 450), moves=MOVES, cap=st.sampled_from([100, 50, 25]))
@settings(deadline=None, max_examples=100)
def test_no_key_is_lost_while_others_come_and_go(count, moves, cap):
    """Keys created and deleted anywhere between pages: whatever lived all along is found, each key once, or it is an error."""
    before = [a_key(number) for number in range(count)]
    keys = list(before)
    try:
        found, _ = read_all(keys, moves, cap)
    except PagesShiftError:
        assert any(kind != "rest" for kind, _, _ in moves)
        return
    ids = [key.key_id for key in found]
    assert len(ids) == len(set(ids))
    assert {key.key_id for key in set(before) & set(keys)} <= set(ids)


@pytest.mark.parametrize(
    ("count", "cap", "pages"),
    [(0, 100, 1), (10, 100, 1), (11, 100, 2), (100, 100, 2), (250, 100, 4), (60, 25, 5)],
)
def test_a_list_at_rest_costs_few_pages(count, cap, pages):
    """A short list is one request; a platform that cuts pages short is noticed instead of believed."""
    found, read = read_all([a_key(number) for number in range(count)], [], cap)
    assert (len(found), read) == (count, pages)


def test_a_deletion_under_the_offset_is_read_again():
    """Forty keys vanish from the first page: the second page would begin thirty keys too far, and is not believed."""
    keys = [a_key(number) for number in range(180)]
    found, _ = read_all(keys, [("delete", 0.0, 40)], 100)
    assert {key.key_id for key in keys} <= {key.key_id for key in found}


def drive(page_at) -> list[ListedKey]:
    """Answer every_key with page_at(wanted) for as long as it asks."""
    reading = every_key()
    wanted = next(reading)
    while True:
        try:
            wanted = reading.send(page_at(wanted))
        except StopIteration as done:
            return done.value


def test_a_platform_that_ignores_the_offset_is_an_error():
    """The same full page for ever ends, and not as a complete list."""
    page = [a_key(number) for number in range(100)]
    with pytest.raises(PagesShiftError):
        drive(lambda _wanted: page)


def test_a_list_without_an_end_is_an_error(monkeypatch):
    """A platform that always has more is cut off."""
    monkeypatch.setattr(mistral_wire, "_LISTABLE", 5000)
    with pytest.raises(PagesShiftError):
        drive(lambda wanted: [a_key(number) for number in range(wanted.offset, wanted.offset + 100)])


@dataclass
class Busy:
    """A list of keys, newest first as the sandbox has it, at which others work all the time: more so while nobody reads."""

    keys: list[ListedKey]
    at_a_pause: int
    seed: int = 1
    pages: int = 0
    pauses: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 -- a test's moves, to be had again
        self._numbers = itertools.count(len(self.keys))
        self._first = set(self.keys)

    def churn(self, many: int) -> None:
        """So many created, at the front, and as many deleted, anywhere."""
        for _ in range(many):
            self.keys.insert(0, a_key(next(self._numbers)))
            del self.keys[self._random.randrange(len(self.keys))]

    def read(self) -> list[ListedKey]:
        """All of it, slowly: with a pause wherever one may be."""
        reading = every_key()
        wanted = next(reading)
        while True:
            if not wanted.at_once:
                self.pauses += 1
                self.churn(self.at_a_pause)
            page = self.keys[wanted.offset : wanted.offset + 100]
            self.pages += 1
            self.churn(self.at_a_pause // 20)
            try:
                wanted = reading.send(page)
            except StopIteration as done:
                return done.value

    def lost(self, found: list[ListedKey]) -> set[ListedKey]:
        """Those that lived all along and were not found."""
        return (self._first & set(self.keys)) - set(found)


@pytest.mark.parametrize(("at_a_pause", "most"), [(0, 112), (10, 115), (60, 120), (300, 125)])
def test_ten_thousand_keys_are_read_slowly_while_others_come_and_go_all_the_time(at_a_pause: int, most: int):
    """The reading ends, nothing that lived all along is lost, and it costs few pages more than at rest: no starving."""
    busy = Busy([a_key(number) for number in reversed(range(10_000))], at_a_pause)
    found = busy.read()
    assert busy.lost(found) == set()
    assert len({key.key_id for key in found}) == len(found)
    assert busy.pages <= most
    assert busy.pauses <= 112


@pytest.mark.parametrize(("deleted", "most"), [(5, 115), (40, 180), (60, 180)])
def test_deletions_alone_during_a_slow_reading_are_caught_up_with(deleted: int, most: int):
    """A fleet's old keys are revoked, so many at each pause, all just before the place that is read: few pages are read twice."""
    keys = [a_key(number) for number in range(10_000)]

    def page_at(wanted: NextPage) -> list[ListedKey]:
        nonlocal pages
        pages += 1
        if not wanted.at_once:
            at = min(wanted.offset, len(keys))
            del keys[max(0, at - deleted) : at]
        return keys[wanted.offset : wanted.offset + 100]

    pages = 0
    assert set(keys) <= set(drive(page_at))
    assert pages <= most


def test_a_list_that_outruns_its_reader_is_an_error():
    """A page's worth of deletions between any two pages, without a rest: an error after a bounded number of them."""
    numbers, pages = itertools.count(), 0

    def never_the_same(_wanted: NextPage) -> list[ListedKey]:
        nonlocal pages
        pages += 1
        return [a_key(next(numbers)) for _ in range(100)]

    with pytest.raises(PagesShiftError):
        drive(never_the_same)
    assert pages < 50
