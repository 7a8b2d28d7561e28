"""What `keywright rotate` does, over the fakes: asks for all or for none, and tells the truth about how far it is."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.reconcile.world import KEY, World

from keywright.errors import Ambiguous, KeywrightError, Rejected, Unauthorized, Unavailable
from keywright.keys import ResourceKey
from keywright.planning.trigger import Answer, State, Trigger
from keywright.reconcile.rotate import Rotator

if TYPE_CHECKING:
    from collections.abc import Callable

SECOND = ResourceKey("search", "second")
PATIENCE = timedelta(minutes=2)


async def a_settled_world(**spec: object) -> World:
    """One ApiKey, issued ten minutes ago."""
    world = World()
    world.create(**spec)
    await world.settle()
    world.now += timedelta(minutes=10)
    return world


def a_rotator(world: World, *, operated: bool = True, meanwhile: Callable[[], None] = lambda: None) -> Rotator:
    """Between two looks half a second passes, in which the operator works and somebody does something, once."""
    acts = [meanwhile]

    async def sleep(seconds: float) -> None:
        world.now += timedelta(seconds=seconds)
        if acts:
            acts.pop()()
        if operated and ("ApiKey", KEY) in world.cluster.stored:
            await world.settle(within=timedelta(0))

    return Rotator(
        cluster=world.cluster,
        clock=world.clock,
        monotonic=lambda: world.now.timestamp(),  # noqa: PLW0108 -- the method of one moment would stand still
        sleep=sleep,
    )


async def rotate(world: World, trigger: Trigger = Trigger.ROTATE, **how: object) -> tuple[Answer, list[str]]:
    """Ask for one, and wait; the last answer, and the sentences before it without repeats."""
    rotator = a_rotator(world, **how)
    [standing] = await rotator.look(trigger, [KEY])
    heard: list[str] = []

    def told(answer: Answer) -> None:
        if answer.message not in heard:
            heard.append(answer.message)

    last = await rotator.follow(await rotator.ask(trigger, standing), told, PATIENCE)
    return last, heard[:-1]


async def test_a_rotation_is_done_when_the_new_key_stands():
    """And says until when the old one works."""
    world = await a_settled_world()
    before = world.status()
    last, heard = await rotate(world)
    after = world.status()
    assert after.revision == 2
    assert after.key_id != before.key_id
    assert last.state is State.DONE
    until = f"{after.previous[0].revoke_at:%Y-%m-%d %H:%M:%S} UTC"
    assert last.message == (
        f"Key {after.masked_key} stands in Secret mistral-key; the one before, {before.masked_key}, works until {until}."
    )
    assert heard == ["Asked for."]


async def test_without_an_overlap_the_old_key_is_gone():
    """overlap: 0s."""
    world = await a_settled_world(rotation={"overlap": "0s"})
    last, _ = await rotate(world)
    assert last.state is State.DONE
    assert last.message.endswith("is revoked.")


async def test_a_compromise_is_done_when_all_older_keys_are_revoked():
    """Those of an overlap under way, too; not before the platform has agreed."""
    world = await a_settled_world()
    await rotate(world)
    world.now += timedelta(minutes=10)
    old = world.status()
    refused = [True]

    def strike(_boundary: int, call: str) -> None:
        if call == "before revoke" and refused:
            raise Unavailable("no answer from the platform")

    def meanwhile() -> None:
        world.faults.strike = strike

    rotator = a_rotator(world, meanwhile=meanwhile)
    [standing] = await rotator.look(Trigger.COMPROMISED, [KEY])
    heard: list[Answer] = []

    def told(answer: Answer) -> None:
        heard.append(answer)
        if "cannot be revoked yet" in answer.message:
            refused.clear()

    last = await rotator.follow(await rotator.ask(Trigger.COMPROMISED, standing), told, PATIENCE)
    assert last.state is State.DONE
    assert f"the one before, {old.masked_key}, and one older key are revoked." in last.message
    assert any("cannot be revoked yet: no answer from the platform" in one.message for one in heard)
    assert len(world.live()) == 1
    world.one_key()


async def test_of_several_names_none_is_asked_for_where_one_is_wrong():
    """The sentence names the wrong ones, and only them."""
    world = await a_settled_world()
    rotator = a_rotator(world)
    with pytest.raises(
        Rejected, match=r"there are no ApiKeys second, third in namespace search: .* nothing was asked for"
    ):
        await rotator.look(Trigger.ROTATE, [KEY, SECOND, ResourceKey("search", "third")])
    with pytest.raises(Rejected, match="there is no ApiKey second in"):
        await rotator.look(Trigger.ROTATE, [KEY, SECOND])
    assert "annotate" not in world.cluster.writes


async def test_of_several_names_none_is_asked_for_where_one_is_forbidden():
    """The right to patch is rehearsed for each, since a Role may name some."""
    world = await a_settled_world()
    world.create(SECOND, target={"secret": {"name": "second"}})
    asked = []

    def strike(_boundary: int, call: str) -> None:
        asked.append(call)
        if asked.count("before rehearse annotate") == 2:
            raise Unauthorized("cannot patch", reason="Forbidden")

    world.faults.strike = strike
    with pytest.raises(Unauthorized):
        await a_rotator(world).look(Trigger.ROTATE, [KEY, SECOND])
    assert "annotate" not in world.cluster.writes


async def test_a_deleted_one_gets_no_new_key():
    """Deletion under way is said before anything is asked for."""
    world = await a_settled_world()
    world.delete()
    with pytest.raises(Rejected, match="pipeline in namespace search is being deleted"):
        await a_rotator(world).look(Trigger.ROTATE, [KEY])


async def test_suspended_it_ends_at_once_and_the_request_stands():
    """The remedy is in the sentence; resumed, one rotation follows."""
    world = await a_settled_world(suspend=False)
    world.edit(suspend=True)
    last, _ = await rotate(world)
    assert last.state is State.FAILED
    assert "once spec.suspend is false" in last.message
    assert world.platform.posts == 1
    world.edit(suspend=False)
    await world.settle()
    assert world.status().revision == 2
    assert world.platform.posts == 2


async def test_what_a_person_must_mend_ends_it():
    """Stalled: with the operator's own sentence."""
    world = await a_settled_world()
    del world.cluster.values["Secret", "search", "admin"]
    world.start()
    last, _ = await rotate(world)
    assert last.state is State.FAILED
    assert "admin" in last.message
    assert last.message.endswith("The request stands, and is answered once that is mended.")


async def test_what_stood_in_the_way_before_is_given_a_moment():
    """Stalled before and after in the same words: the operator is given the time to look."""
    world = await a_settled_world()
    del world.cluster.values["Secret", "search", "admin"]
    world.start()
    await rotate(world)
    last, heard = await rotate(world)
    assert last.state is State.FAILED
    assert heard


async def test_a_platform_that_does_not_answer_is_waited_for():
    """Its sentence is shown, and it ends well once it answers."""
    world = await a_settled_world()
    tries = []

    def strike(_boundary: int, call: str) -> None:
        if call == "before create" and len(tries) < 2:
            tries.append(call)
            raise Unavailable("the platform does not answer")

    world.faults.strike = strike
    last, heard = await rotate(world)
    assert last.state is State.DONE
    assert any("the platform does not answer" in one and "Tried again at" in one for one in heard)
    assert world.status().revision == 2


async def test_without_an_operator_it_says_so_and_ends():
    """After the time it was given, with what to look at."""
    world = await a_settled_world()
    last, heard = await rotate(world, operated=False)
    assert last.state is State.FAILED
    assert last.message.startswith(
        "Not done after 120 s; the request stands. Last seen: No operator has answered for 120 s"
    )
    assert heard[0] == "Asked for."
    assert world.status().revision == 1


async def test_one_that_is_deleted_meanwhile_ends_it():
    """Gone, or on its way."""
    world = await a_settled_world()
    last, _ = await rotate(world, meanwhile=world.delete)
    assert last.state is State.FAILED
    assert "It is gone" in last.message or "It is being deleted" in last.message


async def test_an_annotation_that_is_taken_off_ends_it():
    """Removing it does nothing, so nobody will answer."""
    world = await a_settled_world()

    def strip() -> None:
        world.cluster.edit("ApiKey", KEY, lambda obj: obj["metadata"].update(annotations={}))

    last, _ = await rotate(world, meanwhile=strip)
    assert last.state is State.FAILED
    assert "Somebody took keywright.dev/rotate off" in last.message
    assert world.platform.posts == 1


async def test_a_request_made_since_by_somebody_else_is_answered_with_it():
    """One rotation serves both."""
    world = await a_settled_world()
    last, _ = await rotate(world, meanwhile=lambda: world.annotate(rotate="theirs"))
    assert last.state is State.DONE
    assert world.status().revision == 2


async def test_a_request_within_seconds_of_another_is_answered_by_that_key():
    """No second key, and it says so."""
    world = await a_settled_world()
    await rotate(world)
    last, _ = await rotate(world)
    assert last.state is State.DONE
    assert "seconds before this was asked" in last.message
    assert world.platform.posts == 2


async def test_an_apiserver_that_is_away_for_a_moment_is_waited_for():
    """Looking is repeated; the request was made once."""
    world = await a_settled_world()
    looks = []

    def strike(_boundary: int, call: str) -> None:
        looks.append(call)
        if call == "before refresh" and looks.count(call) in (2, 3):
            raise Unavailable("the apiserver cannot be reached")

    world.faults.strike = strike
    last, heard = await rotate(world)
    assert last.state is State.DONE
    assert "the apiserver cannot be reached." in heard
    assert world.cluster.writes.count("annotate") == 1


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_request_whose_answer_is_lost_is_made_again_and_asks_once(when: str):
    """The same value: whether it arrived or not, one rotation comes of it."""
    world = await a_settled_world()
    lost = []

    def strike(_boundary: int, call: str) -> None:
        if call == f"{when} annotate" and not lost:
            lost.append(call)
            raise Ambiguous("the apiserver's answer did not arrive")

    world.faults.strike = strike
    last, _ = await rotate(world)
    assert last.state is State.DONE
    assert lost
    assert world.platform.posts == 2


async def test_a_key_that_was_never_delivered_is_answered_by_the_first():
    """No second one."""
    world = World()
    world.create()
    last, _ = await rotate(world)
    assert last.state is State.DONE
    assert last.message.endswith("the first one.")
    assert world.platform.posts == 1


async def test_nothing_is_hidden_that_the_port_raises():
    """Asking may fail, and says how."""
    world = await a_settled_world()
    rotator = a_rotator(world)
    [standing] = await rotator.look(Trigger.ROTATE, [KEY])
    world.cluster.delete("ApiKey", KEY)
    await world.settle()
    with pytest.raises(KeywrightError, match="ApiKey pipeline is gone"):
        await rotator.ask(Trigger.ROTATE, standing)
