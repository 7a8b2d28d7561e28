"""What was seen last, whatever the order it arrived in."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from keywright.adapters.kube_cache import NewestSeen
from keywright.keys import ResourceKey

KEY = ResourceKey("team", "search")

# The true history of one name: made, changed, deleted, made again; each state once, with its version.
HISTORY = [
    ("put", "uid-a", 1),
    ("put", "uid-a", 2),
    ("put", "uid-a", 3),
    ("remove", "uid-a", 4),
    ("put", "uid-b", 5),
    ("put", "uid-b", 6),
]


def told(events):
    """A store that was told these."""
    store: NewestSeen[int] = NewestSeen()
    for what, uid, version in events:
        if what == "put":
            store.put(KEY, uid, version, version)
        else:
            store.remove(KEY, uid, version)
    return store


@given(st.permutations(HISTORY), st.lists(st.sampled_from(HISTORY), max_size=6))
@settings(max_examples=50, deadline=None)
def test_any_order_with_repeats_ends_with_the_newest(events, repeats):
    """Reordered and repeated events end where the ordered ones do."""
    assert told([*events, *repeats]).get(KEY) == 6


@given(st.permutations(HISTORY[:4]))
@settings(max_examples=50, deadline=None)
def test_what_is_gone_stays_gone(events):
    """A late event of an older state brings nothing back."""
    assert told(events).get(KEY) is None


def test_an_older_state_does_not_replace_a_newer_write_of_our_own():
    """The answer to a write is known before the watch speaks of the state before it."""
    store: NewestSeen[str] = NewestSeen()
    assert store.put(KEY, "uid", 10, "own write")
    assert not store.put(KEY, "uid", 9, "stale event")
    assert not store.put(KEY, "uid", 10, "its echo")
    assert store.get(KEY) == "own write"


def test_a_removal_for_good_is_final():
    """After a finalizer was removed, no version of that uid counts."""
    store: NewestSeen[str] = NewestSeen()
    store.put(KEY, "uid", 10, "there")
    assert store.remove(KEY, "uid") == "there"
    assert not store.put(KEY, "uid", 99, "late")
    assert store.put(KEY, "another uid", 12, "made again")


def test_a_secret_that_left_the_selection_may_come_back():
    """A watch by label says DELETED where only the label went; a later version of the same object counts again."""
    store: NewestSeen[str] = NewestSeen()
    store.put(KEY, "uid", 10, "there")
    store.remove(KEY, "uid", 11)
    assert store.get(KEY) is None
    assert store.put(KEY, "uid", 12, "label back")


def test_a_read_that_finds_nothing_drops_only_what_was_known_before_it():
    """An object made while a read was under way is not taken for gone."""
    store: NewestSeen[str] = NewestSeen()
    store.put(KEY, "uid", 10, "old")
    before = store.version(KEY)
    store.put(KEY, "uid", 11, "new, while the read was on its way")
    assert store.discard(KEY, before) is None
    assert store.discard(KEY, 11) == "new, while the read was on its way"


def test_a_list_tells_of_absence_within_its_namespace():
    """Only keys of the listed namespace that are no newer than the list count as absent."""
    store: NewestSeen[str] = NewestSeen()
    for name, version in (("listed", 1), ("gone", 2), ("newer", 9)):
        store.put(ResourceKey("team", name), name, version, name)
    store.put(ResourceKey("other", "elsewhere"), "elsewhere", 1, "elsewhere")
    assert store.absent_from([ResourceKey("team", "listed")], 5, "team") == [ResourceKey("team", "gone")]
    assert len(store.absent_from([ResourceKey("team", "listed")], 5, None)) == 2


def test_memory_of_removals_is_bounded():
    """The oldest removals are forgotten in favour of the newest."""
    store: NewestSeen[str] = NewestSeen()
    for number in range(20_000):
        store.remove(KEY, f"uid-{number}", 5)
    assert len(store._removed) == 16_384
    assert not store.put(KEY, "uid-19999", 5, "late")
