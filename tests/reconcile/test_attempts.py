"""Attempts that do not come to their end as they began, over the fakes: refused, cut off, overtaken, late or abandoned."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.ports.faults import Crash
from tests.reconcile.world import KEY, SECRET, World, a_settled_world, drive

from keywright.errors import Ambiguous, Conflict, Rejected, Unavailable
from keywright.keys import ResourceKey
from keywright.planning.layout import Owner
from keywright.ports.issuer import KeyRequest


async def test_a_deletion_whose_issuer_is_gone_waits_until_it_is_abandoned():
    """K8: said, and releasable; the event names the key left behind."""
    world = await a_settled_world()
    key_id = world.status().key_id
    world.delete_issuer(by_force=True)
    world.start()
    world.delete()
    await world.settle()
    stalled = world.status().condition("Stalled")
    assert stalled
    assert key_id
    assert key_id in stalled.message
    world.annotate(abandon="true")
    await world.settle()
    assert not any(kind == "ApiKey" for kind, _ in world.cluster.stored)
    assert key_id in world.cluster.events[-1].message


async def test_an_open_attempt_whose_issuer_is_gone_can_be_abandoned():
    """K8: the event names its tag."""
    world = World()
    world.create()
    world.faults.each("after create", Crash())
    with pytest.raises(Crash):
        await world.settle()
    world.faults.calm()
    world.start()
    world.delete_issuer(by_force=True)
    world.delete()
    await world.settle()
    assert world.status().condition("Stalled")
    world.annotate(abandon="true")
    await world.settle()
    assert not any(kind == "ApiKey" for kind, _ in world.cluster.stored)
    assert "[kw/c1u5ter0/" in world.cluster.events[-1].message


async def test_a_delivery_never_goes_over_another_api_keys_secret():
    """I6, K10: between rehearsal and delivery somebody else got the place: the new key is revoked, theirs stays."""
    world = World()
    world.create()
    older = ResourceKey("search", "older")

    def overtake() -> None:
        theirs = world.sink.stored.get(SECRET)
        assert theirs is None
        world.sink.put_foreign(SECRET)
        stranger = next(iter(world.sink.stored.values()))
        world.sink.put_back(SECRET, replace(stranger, owner=Owner(older, "their-uid", "c1u5ter0", bound=True)))

    world.faults.once("before deliver", overtake)
    await world.settle()
    assert world.holds() == "theirs"
    assert world.live() == set()
    await world.settle()
    assert world.says()[:2] == ("False", "TargetForeign")


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (Conflict("somebody wrote"), 2),
        (Unavailable("no answer"), 2),
        (Ambiguous("no answer"), 2),
        (Rejected("exceeded quota", reason="TargetRefused"), 1),
    ],
)
async def test_a_failed_delivery_is_tried_again_while_the_plaintext_is_in_hand(error: Exception, tries: int):
    """Bounded; a definite refusal ends it, revokes the key, and the attempt is closed as failed."""
    world = World()
    world.create()
    met: list[str] = []

    def strike(_met: int, call: str) -> None:
        met.append(call)
        if call == "before deliver" and met.count(call) == 1:
            raise error

    world.faults.strike = strike
    await world.settle(within=timedelta(seconds=1))
    assert met.count("before deliver") == tries
    if tries == 1:
        assert world.live() == set()
        assert world.status().closed_attempts[-1].outcome == "failed"
    await world.settle()
    world.one_key()


async def test_a_delivery_that_keeps_failing_ends_and_its_key_is_revoked():
    """Within the grace of a SIGTERM; the pause grows."""
    world = World()
    world.create()
    world.faults.each("before deliver", Unavailable("etcd is away"))
    begun = world.now
    await world.settle(within=timedelta(seconds=1))
    assert world.now - begun < timedelta(seconds=25)
    assert world.live() == set()
    assert "etcd is away" in world.says()[2]
    await world.settle(within=timedelta(minutes=30))
    assert world.platform.posts == 3
    world.faults.calm()
    await world.settle(within=timedelta(hours=1))
    world.one_key()


async def test_late_keys_are_revoked_once():
    """An older listing does not make the same key be revoked again and again."""
    world = World()
    world.create()
    world.faults.each("before create", Ambiguous("late"))
    await world.settle(within=timedelta(seconds=1))
    world.faults.calm()
    await world.settle()
    world.platform.commit_late()
    await world.look_over()
    assert world.faults.met.count("before revoke") == 1
    for _ in range(5):
        world.now += timedelta(seconds=5)
        await world.settle(within=timedelta(seconds=1))
    assert world.faults.met.count("before revoke") == 1
    world.one_key()


async def test_a_key_nobody_records_is_counted_and_left():
    """I6, U9: a stray with our tag, a key without one, and a retained one: none is revoked, the first is counted."""
    world = await a_settled_world(deletionPolicy="Retain")
    world.delete()
    await world.settle()
    for name in ("by hand", "x [kw/c1u5ter0/01234567/aaaaaaaa]", "x [kw/another0/01234567/aaaaaaaa]"):
        world.platform.commit(world.platform.make(KeyRequest(name, "w", "u", None)))
    await world.look_over()
    found = world.cluster.issuer("KeyIssuer", "search", "mistral")
    assert found
    assert (found["status"]["keys"], found["status"]["strays"]) == (2, 1)
    assert len(world.platform.keys) == 4


async def test_each_attempt_of_a_pass_has_an_id_of_its_own():
    """Two of one id would share a tag: the key of the first would be taken for the second's."""
    world = await a_settled_world()
    observer = world.process.reconciler._observer
    seen = world.cluster.api_key(KEY)
    assert seen
    spec, _, first = observer.begin(seen)
    _, _, second = observer.again(seen, first, spec)
    assert first.next_attempt != second.next_attempt


async def test_a_listing_from_before_the_request_says_nothing_of_its_key():
    """The same pass had listed these keys for an adoption; then an answer was lost: it is listed anew, and the key found."""
    world = await a_settled_world()
    world.cluster.edit("ApiKey", KEY, lambda obj: obj.pop("status"))
    world.platform.keys.clear()
    world.faults.each("after create", Ambiguous("cut"))
    await world.settle(within=timedelta(seconds=1))
    assert [closed.outcome for closed in world.status().closed_attempts] == ["lost"]
    assert world.live() == set()
    world.faults.calm()
    await world.settle()
    world.one_key()


async def test_no_key_is_cleaned_away_that_another_operator_delivered_meanwhile():
    """A place that the spec had left, seen so by one operator: overtaken at any boundary by another, in whose eyes it is back there."""
    boundary, cleaned, met = 0, False, True
    while met:
        world = World()
        world.create()
        world.faults.once("before create", Ambiguous("no answer"))
        await world.settle(within=timedelta(seconds=1))
        assert world.status().key_id is None
        world.faults.calm()
        world.edit(target={"secret": {"name": "other-key"}})
        met = False

        def overtake(at: int, call: str, world: World = world, boundary: int = boundary) -> None:
            nonlocal met, cleaned
            cleaned |= call == "before clean"
            if at == boundary:
                met = True
                world.faults.strike = lambda _at, _call: None
                late = world.process
                world.start()
                world.edit(target={"secret": {"name": SECRET.name}})
                drive(world.settle(within=timedelta(minutes=1)))
                world.process = late

        world.faults.strike = overtake
        await world.settle()
        if met:
            assert world.platform.accepts(world.holds()), boundary
            await world.quieten()
            world.one_key()
        boundary += 1
    assert cleaned
