"""A life from observations alone: what is reached, what is said, which keys are worth a call."""

from __future__ import annotations

from tests.demo.lives import a_delivery, a_proved_life, a_standing

from keywright.demo.life import Life, Saying, Stage, span


def words(said: list[Saying]) -> list[str]:
    """The words alone."""
    return [saying.word for saying in said]


def tried(life: Life) -> list[str]:
    """Ids of the keys that are worth a call now."""
    return [held.key_id for held in life.to_try()]


def a_rotated_life(**standing: object) -> Life:
    """A rotation asked for at 5.0; k2 is delivered and tried, k1 is old."""
    life = a_proved_life()
    life.asked(5.0)
    life.stands(a_standing(key_id="k2", triggers=("1", None), **standing), 5.2)
    life.holds(a_delivery("k2", "Bbbb...bbbb"), 5.2)
    said = life.answered("k2", 5.3, works=True)
    assert said == [Saying("rotated", "after 300 ms the Secret holds Bbbb...bbbb: 200 OK")]
    return life


def test_a_new_key_goes_from_requested_to_proved_once():
    """Each stage is said once, timed from the moment it was asked for."""
    life = Life(goal=Stage.PROVED)
    life.asked(1.0)
    assert life.under_way is Stage.REQUESTED
    assert words(life.stands(a_standing(ready=False, key_id=None), 1.25)) == ["requested"]
    assert life.stands(a_standing(ready=False, key_id=None), 1.5) == []
    assert life.under_way is Stage.ISSUED
    assert life.holds(a_delivery(), 2.0) == [
        Saying("issued", "Aaaa...aaaa, works until 2027-02-22"),
        Saying("delivered", "Secret search-key: api-key"),
    ]
    assert life.holds(a_delivery(), 2.1) == []
    assert tried(life) == ["k1"]
    assert words(life.answered("k1", 2.5, works=True)) == ["proved"]
    assert tried(life) == []
    assert life.under_way is None
    assert life.reached[Stage.REQUESTED] == 0.25
    assert life.reached[Stage.PROVED] == 1.5


def test_a_key_is_settled_once_the_apikey_names_it():
    """It works before: what is asked of the ApiKey until then, its first key answers."""
    life = Life()
    life.stands(a_standing(ready=False, key_id=None), 1.0)
    assert not life.settled
    life.holds(a_delivery(), 1.0)
    life.answered("k1", 1.1, works=True)
    assert Stage.PROVED in life.reached
    assert not life.settled
    life.stands(a_standing(), 1.2)
    assert life.settled


def test_a_key_that_does_not_work_yet_is_tried_again():
    """A refusal of a new key proves nothing and ends nothing."""
    life = Life()
    life.stands(a_standing(), 1.0)
    life.holds(a_delivery(), 1.0)
    assert life.answered("k1", 1.1, works=False) == []
    assert tried(life) == ["k1"]


def test_a_rotation_with_overlap_shows_both_keys_at_work_and_then_the_old_one_refused():
    """The old key is tried when the new one works, and again when the ApiKey lists it no more."""
    life = a_rotated_life(previous={"k1": 9.0})
    assert life.reached[Stage.ROTATED] == 5.3 - 5.0
    assert tried(life) == ["k1"]
    assert life.answered("k1", 5.4, works=True) == [Saying("overlap", "the old Aaaa...aaaa works too, for 9 s more")]
    assert tried(life) == []
    life.stands(a_standing(key_id="k2", triggers=("1", None)), 14.0)
    assert tried(life) == ["k1"]
    assert life.answered("k1", 14.0, works=True) == []
    assert tried(life) == ["k1"], "revoked by its own account, and at work: asked until it is refused"
    assert life.answered("k1", 14.1, works=False) == [Saying("refused", "the old Aaaa...aaaa: 401 Unauthorized")]
    assert tried(life) == []


def test_a_key_that_is_about_to_be_revoked_is_not_said_to_work():
    """A compromised key has no overlap: it is tried once it is off the list."""
    life = a_rotated_life(previous={"k1": -0.1})
    assert tried(life) == []
    life.stands(a_standing(key_id="k2", triggers=("1", None)), 5.4)
    assert words([s for key in tried(life) for s in life.answered(key, 5.5, works=False)]) == ["refused"]


def test_the_old_key_waits_until_the_status_is_settled():
    """Before that nothing says what is to become of it."""
    life = a_proved_life()
    life.holds(a_delivery("k2", "Bbbb...bbbb"), 5.2)
    life.answered("k2", 5.3, works=True)
    assert tried(life) == []


def test_deleted_is_what_is_gone_and_refused_with_all_that_came_before():
    """Neither the ApiKey's end nor the Secret's is enough, nor that the newest key is refused."""
    life = a_rotated_life(previous={"k1": 3000.0})
    life.answered("k1", 5.4, works=True)
    life.asked(8.0)
    assert life.stands(a_standing(key_id="k2", deleting=True), 8.1) == []
    assert tried(life) == ["k2", "k1"]
    assert life.holds(None, 8.2) == []
    assert life.stands(None, 8.3) == []
    assert life.answered("k2", 8.4, works=False) == []
    assert life.over
    assert words(life.answered("k1", 8.5, works=False)) == ["refused", "deleted"]
    assert life.reached[Stage.DELETED] == 0.5
    assert tried(life) == []


def test_a_retained_key_is_not_waited_for():
    """Retain leaves it at work on purpose."""
    life = a_proved_life()
    life.stands(a_standing(retains=True), 3.0)
    life.stands(None, 4.0)
    assert life.retained
    assert not life.over
    assert tried(life) == []


def test_a_secret_that_somebody_deletes_is_said_and_so_is_what_follows():
    """The user may play with it: when it was asked for is not known, so no time is claimed."""
    life = a_proved_life()
    assert life.holds(None, 30.0) == [Saying("missing", "Secret search-key is gone", trouble=True)]
    life.stands(a_standing(key_id="k2", previous={"k1": 60.0}), 30.1)
    life.holds(a_delivery("k2", "Bbbb...bbbb"), 30.1)
    assert life.answered("k2", 30.2, works=True) == [Saying("rotated", "the Secret holds Bbbb...bbbb: 200 OK")]


def test_a_rotation_that_nobody_announced_is_timed_from_when_it_was_seen():
    """As by a user's own kubectl annotate; the stage of the one before gives way."""
    life = a_rotated_life()
    life.answered("k1", 5.4, works=False)
    life.stands(a_standing(key_id="k2", triggers=("2", None)), 50.0)
    life.holds(a_delivery("k3", "Cccc...cccc"), 50.2)
    assert words(life.answered("k3", 50.5, works=True)) == ["rotated"]
    assert life.reached[Stage.ROTATED] == 0.5
    assert Stage.REFUSED not in life.reached


def test_stalled_is_told_once_for_each_message():
    """A person must act, and reads it once."""
    life = Life()
    stalled = a_standing(ready=False, key_id=None, stalled=True, reason="WorkspaceNotFound", message="no such one")
    assert words(life.stands(stalled, 1.0)) == ["requested", "stalled"]
    assert life.stands(stalled, 1.1) == []


def test_spans_are_said_as_people_say_them():
    """No more digits than are of use."""
    assert [span(s) for s in (0.042, 9.4, 119, 3599, 172_000)] == ["42 ms", "9 s", "119 s", "60 min", "48 h"]
    assert span(-3) == "0 s"
