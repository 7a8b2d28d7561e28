"""Missing once, missing twice: what counts as gone, told by the listings alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from keywright.reconcile.sightings import HANDFUL, LAG, Sightings

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
OLD, NEW = NOW - timedelta(hours=1), NOW - timedelta(minutes=1)
ALL = frozenset("abc")


def passed(
    before: Sightings, live: str, *, issued: datetime = OLD, second: bool = False, named: str = "abc"
) -> Sightings:
    """A pass over the keys a, b and c, of which these are there."""
    return before.after_pass(set(live), dict.fromkeys(named, issued), NOW, second=second)


def test_a_key_is_gone_when_two_looks_in_a_row_lack_it():
    """The second one by asking for it, or by another pass; what is there in between starts over."""
    once = passed(Sightings(), "bc")
    assert (once.missing, once.gone) == ({"a"}, set())
    assert once.after_look(once.suspects, frozenset(), frozenset()).gone == {"a"}
    assert passed(once, "bc", second=True).gone == {"a"}
    seen = once.after_look(once.suspects, frozenset("a"), frozenset())
    assert (seen.missing, seen.gone) == (set(), set())
    assert passed(passed(once, "abc", second=True), "bc", second=True).gone == set()


def test_two_looks_at_once_are_one():
    """An edited issuer is listed again at once: that says nothing new of a listing that lags."""
    assert passed(passed(Sightings(), "bc"), "bc").gone == set()


def test_a_new_key_that_no_listing_has_shown_is_not_expected():
    """A listing may be minutes behind; once the key is older than that, or was shown, it is missed."""
    young = passed(Sightings(), "bc", issued=NEW)
    assert (young.missing, young.doubtful) == (set(), {"a"})
    assert passed(young, "bc", issued=NEW, second=True).gone == set()
    assert passed(young, "bc", issued=NOW - LAG).missing == {"a"}
    shown = passed(passed(Sightings(), "abc", issued=NEW), "bc", issued=NEW)
    assert shown.missing == {"a"}


def test_a_doubtful_key_is_gone_only_if_the_platform_refuses_it():
    """Not listed by the second look either is not enough."""
    young = passed(Sightings(), "bc", issued=NEW)
    assert young.suspects == {"a"}
    lagging = young.after_look(young.suspects, frozenset(), frozenset())
    assert (lagging.gone, lagging.doubtful) == (set(), {"a"})
    dead = young.after_look(young.suspects, frozenset(), frozenset("a"))
    assert (dead.gone, dead.doubtful) == ({"a"}, set())
    assert passed(dead, "bc", issued=NEW).gone == {"a"}, "and stays gone until something else is named"


def test_all_at_once_is_nobodys_revocation():
    """Nothing is missing then, and how many vanished is told; one key alone may well be gone."""
    vanished = passed(Sightings(), "", second=True)
    assert (vanished.missing, vanished.gone, vanished.vanished) == (set(), set(), 3)
    assert passed(vanished, "abc").vanished == 0
    assert passed(Sightings(), "", named="a").missing == {"a"}


def test_a_fleet_of_new_keys_that_no_listing_shows_yet_has_not_vanished():
    """It lags; with an old key among them that is missing too, it looks like another organization."""
    assert passed(Sightings(), "", issued=NEW).vanished == 0
    current = {"a": OLD, "b": NEW}
    assert Sightings().after_pass(set(), current, NEW + timedelta(minutes=1), second=False).vanished == 2


def test_what_was_gone_before_all_vanished_stays_gone():
    """A key that waits for its successor does not come back to life with the wrong admin key."""
    gone = passed(passed(Sightings(), "bc"), "bc", second=True)
    vanished = passed(gone, "")
    assert (vanished.gone, vanished.vanished) == ({"a"}, 2)


def test_what_nobody_names_any_more_is_forgotten():
    """A rotated key is no longer missed, and a key that was revoked on purpose neither."""
    once = passed(Sightings(), "bc")
    assert passed(once, "bc", named="bc", second=True) == Sightings(shown=frozenset("bc"))
    assert once.struck("a").missing == set()
    assert once.struck("b") == once


def test_more_than_a_handful_is_not_asked_for_one_by_one():
    """A second pass is cheaper then; doubtful keys take what room is left."""
    many = {f"k{i:02}": OLD for i in range(HANDFUL + 1)}
    assert Sightings().after_pass({"x"}, {**many, "x": OLD}, NOW, second=False).suspects == set()
    few = {f"k{i:02}": OLD for i in range(HANDFUL - 1)}
    new = {f"n{i:02}": NEW for i in range(5)}
    some = Sightings().after_pass({"x"}, {**few, **new, "x": OLD}, NOW, second=False)
    assert some.suspects == {*few, "n00"}
