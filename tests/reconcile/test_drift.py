"""What others do to a key's Secret, layout or issuer, over the fakes: mended, and at what cost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.reconcile.world import DAY, KEY, SECRET, World, a_settled_world

from keywright.keys import KeyId, ResourceKey
from keywright.planning.layout import Owner

MISTRAL = ("KeyIssuer", "search", "mistral")


async def test_a_deleted_secret_is_replaced():
    """V4: the plaintext is gone, so the key is replaced, once, and the lost one is revoked after the overlap."""
    world = await a_settled_world()
    world.sink.remove(SECRET)
    await world.settle()
    world.one_key()
    assert world.platform.posts == 2


async def test_a_secret_that_is_overwritten_again_and_again_costs_one_key_per_interval():
    """K11: the storm guard bounds it."""
    world = await a_settled_world()
    begun = world.now
    for _ in range(40):
        world.sink.spoil(SECRET)
        await world.settle(within=timedelta(seconds=30))
        world.now += timedelta(seconds=30)
    assert world.platform.posts - 1 <= (world.now - begun) / timedelta(minutes=5) + 1


async def test_a_layout_that_is_undone_again_and_again_costs_a_write_per_minute():
    """No war of writes with another controller, and no key."""
    world = await a_settled_world()
    begun, writes = world.now, len(world.sink.writes)
    for _ in range(100):
        world.sink.undo_layout(SECRET)
        await world.settle(within=timedelta(seconds=1))
        world.now += timedelta(seconds=3)
    assert len(world.sink.writes) - writes <= (world.now - begun) / timedelta(minutes=1) + 1
    assert world.platform.posts == 1


async def test_two_edits_of_the_layout_within_a_minute_are_both_served():
    """The bound is for what somebody undid, not for what is asked anew."""
    world = await a_settled_world()
    for key in ("first", "second"):
        world.edit(target={"secret": {"name": SECRET.name, "key": key}})
        await world.settle(within=timedelta(seconds=1))
        assert list(world.sink.stored[SECRET].texts) == [key]
    assert world.platform.posts == 1


async def test_a_key_revoked_at_the_platform_is_replaced_once():
    """I9: missed twice, the second time half a minute later, then replaced; what is said of the new key is true at once."""
    world = await a_settled_world()
    world.excused = True
    world.platform.keys.clear()
    begun = world.now
    due = await world.process.inventory.refresh(MISTRAL)
    assert due is not None
    assert timedelta(seconds=29) < due <= timedelta(seconds=30)
    assert world.woken == set(), "a listing may lag: one look is none"
    await world.process.inventory.refresh(MISTRAL)
    assert world.woken == set(), "nothing is due before the second look"
    world.now = begun + timedelta(seconds=31)
    await world.look_over()
    assert world.platform.posts == 2
    assert world.says()[:2] == ("True", "Issued")
    world.one_key()
    world.now += timedelta(minutes=5)
    await world.quieten()
    assert world.platform.posts == 2


async def test_all_keys_missing_at_once_are_not_replaced():
    """I10: the admin key is of another organization now."""
    world = await a_settled_world()
    second = ResourceKey("search", "second")
    world.create(second, target={"secret": {"name": "second"}})
    await world.settle(second)
    kept, world.platform.keys = world.platform.keys, {}
    for _ in range(4):
        world.now += timedelta(minutes=5)
        await world.look_over()
    world.platform.keys = kept
    assert world.platform.posts == 2
    await world.quieten()
    world.one_key()


async def test_an_issuer_ref_that_changed_does_not_make_the_old_key_gone():
    """The new issuer's listing says nothing of the old one's keys; each key is revoked where it was made (U10)."""
    world = await a_settled_world()
    world.create_issuer("eu")
    world.edit(issuerRef={"name": "eu"}, workspace="nowhere")
    for _ in range(4):
        world.now += timedelta(minutes=5)
        await world.look_over("eu")
        await world.settle()
    assert world.says()[1] == "WorkspaceNotFound"
    world.edit(workspace="search-prod")
    await world.settle()
    [old] = world.status().previous
    assert old.issuer.name == "mistral"
    assert old.revoke_at > world.now + timedelta(hours=47)
    new = world.platform.keys.pop(KeyId(world.status().key_id or ""))  # another platform's: this one does not list it
    for _ in range(3):
        world.now += timedelta(minutes=5)
        await world.look_over("mistral")
    world.platform.commit(new)
    assert world.platform.posts == 2, "the old issuer's listing says nothing of the new one's key either"
    world.now += 3 * DAY
    await world.settle()
    world.one_key()


STRIPPINGS = {
    "all but the data": lambda world: world.sink.strip(SECRET),
    "the annotations": lambda world: world.sink.put_back(
        SECRET, replace(world.sink.stored[SECRET], record={}, layout_digest="drifted", adopted=None)
    ),
    "the label": lambda world: world.sink.undo_layout(SECRET),
    "the record of another key": lambda world: world.sink.put_back(
        SECRET, replace(world.sink.stored[SECRET], record={**world.sink.stored[SECRET].record, "key-id": "another"})
    ),
}


@pytest.mark.parametrize("adopted", [False, True])
@pytest.mark.parametrize("what", STRIPPINGS)
async def test_what_was_stripped_is_put_back_without_a_request(what: str, *, adopted: bool):
    """The record, the looks and whose it is, as they were; an adopted one's foreign data too."""
    world = World()
    if adopted:
        world.sink.put_foreign(
            SECRET, plaintext=None, texts={"api-key": "by hand", "theirs": "x"}, adoptable_by=KEY.name
        )
        world.create(target={"secret": {"name": SECRET.name, "adopt": True}})
    else:
        world.create()
    await world.settle()
    before = world.sink.stored[SECRET]
    STRIPPINGS[what](world)
    await world.settle()
    world.one_key()
    after = world.sink.stored[SECRET]
    assert world.platform.posts == 1
    given = {"version": 0, "adoptable_by": None}
    assert replace(after, **given) == replace(before, **given)
    world.delete()
    await world.settle()
    world.nothing_left()
    assert (SECRET in world.sink.stored) is adopted


async def test_a_stripped_secret_is_cleaned_with_its_api_key():
    """Stripped while nobody looked, then deleted: the plaintext tells that it is ours."""
    world = World()
    world.create()
    await world.settle()
    world.sink.strip(SECRET)
    world.delete()
    await world.settle()
    world.nothing_left()
    assert SECRET not in world.sink.stored


async def test_a_stripped_secret_that_is_retained_keeps_its_key():
    """It is not taken for lost: the key lives, and a re-created ApiKey finds it."""
    world = World()
    world.create(deletionPolicy="Retain")
    await world.settle()
    key = world.status().key_id
    world.sink.strip(SECRET)
    world.delete()
    await world.settle()
    assert world.live() == {key}
    assert world.record().key_id == key
    world.create(deletionPolicy="Retain")
    await world.settle()
    world.one_key()
    assert world.platform.posts == 1


async def test_a_secret_stripped_again_and_again_costs_a_write_per_minute():
    """No war of writes with another controller, and no key; the key works all the while."""
    world = World()
    world.create()
    await world.settle()
    begun, writes = world.now, len(world.sink.writes)
    for _ in range(100):
        world.sink.strip(SECRET)
        await world.settle(within=timedelta(seconds=1))
        assert world.says()[0] == "True"
        world.now += timedelta(seconds=3)
    assert len(world.sink.writes) - writes <= (world.now - begun) / timedelta(minutes=1) + 1
    assert world.platform.posts == 1
    await world.quieten()
    world.one_key()


async def test_suspended_nothing_is_put_back():
    """U3: until it is lifted; the key works and is called so."""
    world = World()
    world.create()
    await world.settle()
    world.edit(suspend=True)
    await world.settle()
    writes = len(world.sink.writes)
    for strip in (world.sink.undo_layout, world.sink.strip):
        strip(SECRET)
        await world.settle()
        assert world.says()[:2] == ("True", "Suspended")
    assert len(world.sink.writes) == writes
    world.edit(suspend=False)
    await world.settle()
    world.one_key()
    assert world.platform.posts == 1


async def test_suspended_a_lost_plaintext_waits():
    """U3: said, not issued; then one key."""
    world = World()
    world.create()
    await world.settle()
    world.edit(suspend=True)
    await world.settle()
    world.sink.spoil(SECRET)
    await world.settle()
    assert world.says()[:2] == ("False", "Suspended")
    assert world.platform.posts == 1
    world.edit(suspend=False)
    world.now += timedelta(minutes=6)
    await world.settle()
    world.one_key()
    assert world.platform.posts == 2


async def test_who_overwrites_the_secret_again_is_named():
    """K11: one key per interval, and Stalled with the field manager's name while the next one waits; then it heals."""
    world = World()
    world.create()
    await world.settle()
    world.now += timedelta(minutes=6)
    for _ in range(3):
        world.sink.spoil(SECRET)
        await world.settle(within=timedelta(seconds=1))
    assert world.platform.posts == 2
    stalled = world.status().condition("Stalled")
    assert stalled
    assert "the field manager somebody has changed it again" in stalled.message
    assert stalled.reason == "TargetDrifted"
    assert world.says()[:2] == ("False", "TargetDrifted")
    await world.quieten()
    world.one_key()
    assert world.platform.posts == 3
    assert world.status().condition("Stalled") is None


async def test_another_api_keys_secret_with_this_plaintext_stays():
    """I6: a copy of the key is no proof where the Secret itself names somebody else."""
    world = World()
    world.create()
    await world.settle()
    copy = replace(
        world.sink.stored[SECRET], owner=Owner(SECRET._replace(name="other"), "other-uid", "c1u5ter0", bound=True)
    )
    world.sink.put_back(SECRET, copy)
    world.now += timedelta(minutes=6)
    await world.settle()
    assert world.sink.stored[SECRET].owner == copy.owner
    assert world.says()[:2] == ("False", "TargetForeign")
    assert world.platform.posts == 1
