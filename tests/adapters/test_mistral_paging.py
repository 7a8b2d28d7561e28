"""Listing all keys while the list moves: the decisions alone, against a simulated platform."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keywright.adapters import mistral_wire
from keywright.adapters.mistral_wire import PagesShiftError, every_key
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
    offset = next(reading)
    while True:
        page = keys[offset : offset + cap]
        pages += 1
        kind, where, many = next(moves, ("rest", 0.0, 0))
        at = int(where * len(keys))
        if kind == "create":
            keys[at:at] = [a_key(next(numbers)) for _ in range(many)]
        elif kind == "delete":
            del keys[at : at + many]
        try:
            offset = reading.send(page)
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


def drive(page_at) -> None:
    """Answer every_key with page_at(offset) for as long as it asks."""
    reading = every_key()
    offset = next(reading)
    while True:
        offset = reading.send(page_at(offset))


def test_a_platform_that_ignores_the_offset_is_an_error():
    """The same full page for ever ends, and not as a complete list."""
    page = [a_key(number) for number in range(100)]
    with pytest.raises(PagesShiftError):
        drive(lambda _offset: page)


def test_a_list_without_an_end_is_an_error(monkeypatch):
    """A platform that always has more is cut off."""
    monkeypatch.setattr(mistral_wire, "_LISTABLE", 5000)
    with pytest.raises(PagesShiftError):
        drive(lambda offset: [a_key(number) for number in range(offset, offset + 100)])
