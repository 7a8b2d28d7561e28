"""Merge patches between two statuses."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keywright.adapters.kube_patch import dropped_field, merge_diff

SCALARS = st.sampled_from([True, False, 0, 1, -1, "", "a", "b"])
LISTS = st.lists(SCALARS, max_size=2)


def mappings(values: st.SearchStrategy) -> st.SearchStrategy:
    """Small ones over few names, so that two of them often share some."""
    return st.dictionaries(st.sampled_from("abc"), values, max_size=3)


DEEP = mappings(SCALARS | LISTS | mappings(SCALARS))
STATUSES = mappings(SCALARS | LISTS | st.lists(mappings(SCALARS), max_size=2) | DEEP)


def applied(target, patch):
    """RFC 7386, word for word."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = applied(result.get(name), value)
    return result


@given(STATUSES, STATUSES)
@settings(max_examples=50, deadline=None)
def test_a_patch_makes_the_new_of_the_old(old, new):
    """Whatever the two are, the patch applied to the one gives the other."""
    assert applied(old, merge_diff(old, new)) == new


@given(STATUSES)
@settings(max_examples=10, deadline=None)
def test_equal_states_need_no_patch(status):
    """No difference is no write."""
    assert merge_diff(status, status) == {}


def test_only_what_differs_is_sent():
    """A patch names the changed, the new and the removed fields, and lists as a whole."""
    old = {"keyId": "1", "attempt": {"id": "a"}, "next": {"action": "Renew", "reason": "x"}, "previous": [1, 2]}
    new = {"keyId": "1", "next": {"action": "Renew", "reason": "y"}, "previous": [2], "revision": 1}
    assert merge_diff(old, new) == {"attempt": None, "next": {"reason": "y"}, "previous": [2], "revision": 1}


@pytest.mark.parametrize(
    ("wanted", "got", "field"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, None),
        ({"a": 1, "b": 2}, {"a": 1}, "status.b"),
        ({"a": {"b": [{"c": 1}, {"c": 2}]}}, {"a": {"b": [{"c": 1}, {}]}}, "status.a.b[1].c"),
        ({"a": [1, 2]}, {"a": [1]}, "status.a"),
        ({"a": {}}, {"a": {}}, None),
        ({"a": {"b": 1}}, {"a": "x"}, "status.a"),
    ],
)
def test_a_dropped_field_is_named(wanted, got, field):
    """What did not come back as sent is named by its path; what came back beside it does not matter."""
    assert dropped_field(wanted, got) == field
