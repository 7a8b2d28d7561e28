"""A key's whole life over the fakes: what happens, what it costs, and what never does."""

from __future__ import annotations

from datetime import timedelta

from tests.reconcile.world import KEY, SECRET, World, a_settled_world

from keywright.keys import ResourceKey

OTHER = ResourceKey("search", "other-key")


HOUR = timedelta(hours=1)


async def test_an_issuance_costs_four_writes_and_one_event():
    """Finalizer, intent, Secret, settle; one POST. The issuer is held by one more, once for all its keys."""
    world = await a_settled_world()
    writes = [*world.cluster.writes, *world.sink.writes]
    assert "hold" in writes
    assert len(writes) == 4 + 1
    assert [event.reason for event in world.cluster.events] == ["Issued"]
    assert world.platform.posts == 1


async def test_an_idle_key_costs_nothing():
    """I5: passes over a settled key, by new operators too, write nothing and read nothing."""
    world = await a_settled_world()
    reads = (world.platform.reads, world.sink.reads)
    writes = (list(world.cluster.writes), list(world.sink.writes))
    for _ in range(5):
        world.now += HOUR
        world.start()
        await world.settle()
    assert (world.platform.reads, world.sink.reads) == reads
    assert (world.cluster.writes, world.sink.writes) == writes


async def test_an_inventory_pass_over_an_idle_fleet_is_one_listing():
    """And one write to the issuer, the first time."""
    world = await a_settled_world()
    await world.look_over()
    writes = len(world.cluster.writes)
    reads = world.platform.reads
    for _ in range(5):
        world.now += HOUR
        await world.look_over()
    assert len(world.cluster.writes) == writes
    assert world.platform.reads - reads == 5


async def test_a_rotation_overlaps_and_ends():
    """Both keys work for 48 h, the Secret has the new one; then the old one is revoked."""
    world = await a_settled_world()
    old = world.holds()
    world.annotate(rotate="now")
    await world.settle()
    assert world.platform.accepts(old)
    assert world.holds() != old
    assert len(world.live()) == 2
    due = await world.settle()
    assert due
    assert timedelta(hours=47) < due <= timedelta(hours=48, seconds=1)
    world.now += due
    await world.settle()
    assert not world.platform.accepts(old)
    world.one_key()


async def test_no_overlap_revokes_in_the_same_pass():
    """overlap: 0s."""
    world = await a_settled_world(rotation={"overlap": "0s"})
    world.annotate(rotate="now")
    await world.settle(within=timedelta(seconds=2))
    assert len(world.live()) == 1
    world.one_key()


async def test_a_compromise_ends_all_older_keys_at_once():
    """The new key is delivered first, and an event names those that end."""
    world = await a_settled_world()
    world.annotate(rotate="1")
    await world.settle()
    older = {*world.live()}
    world.annotate(compromised="yes")
    await world.settle(within=timedelta(seconds=2))
    assert len(world.live()) == 1
    world.one_key()
    [text] = [event.message for event in world.cluster.events if event.reason == "Compromised"]
    assert all(key_id in text for key_id in older)


async def test_an_overlap_ends_in_time_while_another_rotation_waits_for_the_storm_guard():
    """What waits for an hour holds up nothing that ends before."""
    world = World()
    world.min_interval = 3600.0
    world.start()
    world.create(rotation={"overlap": "20m"})
    await world.settle()
    for label in ("one", "two", "three", "four"):
        world.edit(label=label)
        await world.settle()
    assert world.platform.posts == 4, "three edits pass the guard, the fourth waits"
    older = {p.key_id for p in world.status().previous}
    assert len(older) == 3
    due = await world.settle()
    assert due is not None
    assert due <= timedelta(minutes=20, seconds=1)
    world.now += timedelta(minutes=20, seconds=1)
    await world.settle()
    assert not older & world.live()
    assert world.platform.posts == 4


async def test_ten_triggers_in_a_second_are_one_rotation():
    """U2, K15."""
    world = await a_settled_world()
    for i in range(10):
        world.annotate(rotate=str(i))
        await world.settle(within=timedelta(seconds=0))
    await world.settle()
    assert world.status().revision == 2
    assert world.status().handled
    world.one_key()


async def test_a_target_moved_and_moved_back():
    """U4: the Secret in use is never cleaned, the other one goes with its last key."""
    world = await a_settled_world()
    for secret in (OTHER, SECRET, OTHER):
        world.edit(target={"secret": {"name": secret.name}})
        await world.settle()
        world.one_key(secret=secret)
        world.now += HOUR
    assert set(world.sink.stored) == {SECRET, OTHER}
    for _ in range(60):
        world.now += HOUR
        await world.settle()
        world.one_key(secret=OTHER)
        held = world.record(SECRET)
        assert held is None or held.key_id in world.live(), "a Secret is cleaned before its key ends, or with it"
    assert set(world.sink.stored) == {OTHER}


async def test_a_retained_key_is_adopted_by_its_namesake():
    """Deleted with Retain, created again: no POST, the Secret has its new owner; then deletion revokes it."""
    world = await a_settled_world(deletionPolicy="Retain")
    plaintext = world.holds()
    world.delete()
    await world.settle()
    assert world.platform.accepts(plaintext)
    assert world.holds() == plaintext
    world.create(annotations={"keywright.dev/rotate": "kept in git", "keywright.dev/compromised": "kept in git"})
    await world.settle()
    world.one_key()
    assert world.holds() == plaintext
    assert world.platform.posts == 1
    world.delete()
    await world.settle()
    world.nothing_left()


async def test_a_retained_key_of_a_recreated_issuer_can_be_revoked():
    """Adopted at the issuer that lists it now, whatever its uid was when the key was made."""
    world = await a_settled_world(deletionPolicy="Retain")
    world.delete()
    await world.settle()
    world.delete_issuer(by_force=True)
    world.create_issuer("mistral")
    world.create()
    await world.settle()
    world.one_key()
    world.delete()
    await world.settle()
    world.nothing_left()


async def test_a_policy_edited_to_retain_unbinds_the_secret():
    """Also where the ApiKey is deleted in the same moment: the garbage collector must not take it."""
    world = await a_settled_world()
    plaintext = world.holds()
    world.edit(deletionPolicy="Retain")
    world.delete()
    await world.settle()
    assert world.holds() == plaintext
    assert world.platform.accepts(plaintext)
    assert not any(kind == "ApiKey" for kind, _ in world.cluster.stored)


async def test_a_wiped_status_is_found_again():
    """K6: the key in the Secret is adopted, no second one is made."""
    world = await a_settled_world()
    key_id = world.status().key_id
    world.cluster.edit("ApiKey", KEY, lambda obj: obj.pop("status"))
    await world.settle()
    assert world.status().key_id == key_id
    assert world.platform.posts == 1
    world.one_key()


async def test_deleted_and_created_again_at_once():
    """K7: the old key dies, the new ApiKey has a new one."""
    world = await a_settled_world()
    old = world.holds()
    world.delete()
    await world.settle()
    world.create()
    await world.settle()
    world.one_key()
    assert not world.platform.accepts(old)


async def test_a_newcomer_does_not_stop_the_renewals_of_older_ones():
    """MaxKeys counts by age."""
    world = World()
    world.cluster.edit(
        "KeyIssuer",
        ResourceKey("search", "mistral"),
        lambda obj: obj["spec"].update(grants=[{"workspaces": ["*"], "maxKeys": 1}]),
    )
    world.create()
    world.now += HOUR
    newcomer = ResourceKey("search", "a-newcomer")
    world.create(newcomer, target={"secret": {"name": "theirs"}})
    await world.settle()
    await world.settle(newcomer)
    world.one_key()
    assert world.says(newcomer)[1] == "NotGranted"
