"""What others do to a key's Secret, layout or issuer, over the fakes: mended, and at what cost."""

from __future__ import annotations

from datetime import timedelta

from tests.reconcile.world import DAY, SECRET, a_settled_world

from keywright.keys import KeyId, ResourceKey

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
