"""A key's whole life over the fakes: what happens, what it costs, and what never does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.ports.faults import Crash
from tests.reconcile.world import DAY, KEY, SECRET, World

from keywright.errors import Ambiguous, Conflict, Rejected, Unavailable
from keywright.keys import KeyId, ResourceKey
from keywright.planning.layout import Owner
from keywright.ports.issuer import KeyRequest

OTHER = ResourceKey("search", "other-key")
MISTRAL = ("KeyIssuer", "search", "mistral")
HOUR = timedelta(hours=1)


async def a_settled_world(**spec: object) -> World:
    """One ApiKey, issued ten minutes ago."""
    world = World()
    world.create(**spec)
    await world.settle()
    world.one_key()
    world.now += timedelta(minutes=10)
    return world


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


async def test_a_clamped_day_makes_no_storm():
    """I12: a policy of one day is met with one key a day or so, and its word is in the status."""
    world = World()
    world.platform.latest = (world.now + DAY).date()
    world.create()
    await world.settle()
    assert "ExpiryClamped" in {event.reason for event in world.cluster.events}
    for _ in range(48):
        world.platform.latest = (world.now + DAY).date()
        await world.settle(within=HOUR)
        world.now += HOUR
        world.one_key()
    assert world.platform.posts <= 12


async def test_a_key_that_ends_today_costs_a_handful_of_keys_and_no_hot_loop():
    """I12 at its worst: what the policy gives ends at midnight."""
    world = World()
    world.platform.latest = world.now.date()
    world.create()
    for _ in range(14 * 12):
        await world.settle(within=timedelta(minutes=5))
        world.now += timedelta(minutes=5)
        world.platform.latest = world.now.date()
    assert world.platform.posts <= 12
    await world.settle()
    world.one_key()


async def test_midnight_between_decision_and_issuance_is_no_clamping():
    """The day asked is of one side, the issuance of the other."""
    world = World()
    world.now = world.now.replace(hour=23, minute=59, second=59, microsecond=990_000)
    world.create()
    await world.settle()
    assert {event.reason for event in world.cluster.events} == {"Issued"}


async def test_a_schedule_rotates_once_though_the_issuers_clock_is_behind():
    """T1: an issuance dated before the hour would come due at once again."""
    world = await a_settled_world(rotation={"schedule": "0 3 * * *", "overlap": "1h"})
    world.now = world.now.replace(hour=3, minute=0, second=0) + DAY
    ours = world.platform.clock
    world.platform.clock = lambda: ours() - timedelta(minutes=2)
    await world.quieten()
    assert world.platform.posts == 2
    world.one_key()


async def test_a_clock_that_went_back_holds_nothing_up():
    """T1: what is dated in the future is not believed."""
    world = await a_settled_world()
    world.now -= timedelta(hours=5)
    world.sink.remove(SECRET)
    await world.settle()
    world.one_key()


async def test_suspended_while_the_target_is_gone_and_an_overlap_is_over_rests():
    """U3: nothing is issued, nothing is revoked, nothing spins."""
    world = await a_settled_world()
    world.annotate(rotate="now")
    await world.settle()
    world.edit(suspend=True)
    world.sink.remove(SECRET)
    world.now += 3 * DAY
    due = await world.settle(within=timedelta(seconds=2))
    assert due
    assert due >= timedelta(seconds=10)
    assert len(world.live()) == 2
    world.edit(suspend=False)
    await world.settle()
    world.now += 3 * DAY
    await world.settle()
    world.one_key()


@pytest.mark.parametrize("after_end", ["Keep", "Clean"])
async def test_past_the_end_it_rests(after_end: str):
    """T4: nothing is issued any more, older keys end, the Secret stays or goes."""
    world = await a_settled_world(expiry={"date": "2026-11-30", "afterEnd": after_end})
    world.annotate(rotate="now")
    await world.settle()
    world.now += 10 * DAY
    await world.settle()
    assert world.says()[:2] == ("False", "Expired")
    assert world.live() == {world.status().key_id}
    assert (SECRET in world.sink.stored) is (after_end == "Keep")
    assert await world.settle() is None
    assert world.platform.posts == 2


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
    world.faults.strike = lambda _met, call: (_ for _ in ()).throw(Crash()) if call == "after create" else None
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

    def overtake(_met: int, call: str) -> None:
        if call == "before deliver":
            world.faults.strike = lambda _met, _call: None
            theirs = world.sink.stored.get(SECRET)
            assert theirs is None
            world.sink.put_foreign(SECRET)
            stranger = next(iter(world.sink.stored.values()))
            world.sink.put_back(SECRET, replace(stranger, owner=Owner(older, "their-uid", "c1u5ter0", bound=True)))

    world.faults.strike = overtake
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

    def strike(_met: int, call: str) -> None:
        if call == "before deliver":
            raise Unavailable("etcd is away")

    world.faults.strike = strike
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
    world.faults.strike = lambda _met, call: (
        (_ for _ in ()).throw(Ambiguous("late")) if call == "before create" else None
    )
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
    world.faults.strike = lambda _met, call: (_ for _ in ()).throw(Ambiguous("cut")) if call == "after create" else None
    await world.settle(within=timedelta(seconds=1))
    assert [closed.outcome for closed in world.status().closed_attempts] == ["lost"]
    assert world.live() == set()
    world.faults.calm()
    await world.settle()
    world.one_key()
