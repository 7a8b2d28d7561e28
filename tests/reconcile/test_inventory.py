"""The inventory over the fakes: how soon a lost key is noticed, what a listing that lags does not do, what is told of strays."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.reconcile.world import KEY, SECRET, World

from keywright.errors import Conflict, Unavailable
from keywright.keys import KeyId, ResourceKey, Tag
from keywright.ports.issuer import KeyRequest

if TYPE_CHECKING:
    from tests.ports.fake_issuer import Live

    from keywright.ports.cluster import Object

MISTRAL = ("KeyIssuer", "search", "mistral")
MINUTE = timedelta(minutes=1)


def named(i: int) -> ResourceKey:
    """The i-th ApiKey."""
    return ResourceKey("search", f"key-{i:02}")


async def a_fleet(count: int = 3, *, shown: bool = True) -> World:
    """So many settled ApiKeys, a minute old, shown by a pass or not."""
    world = World()
    for i in range(count):
        world.create(named(i), target={"secret": {"name": f"secret-{i:02}"}})
        await world.settle(named(i))
    world.now += MINUTE
    if shown:
        await world.look_over()
        world.now += MINUTE
    world.faults.calm()
    return world


def revoke_by_hand(world: World, *indices: int) -> None:
    """Somebody deletes these ApiKeys' keys in the console."""
    for i in indices:
        world.platform.end(KeyId(world.status(named(i)).key_id or ""))


async def run(world: World, until: timedelta) -> None:
    """The inventory alone, each look when it is due; whoever it wakes is settled."""
    end = world.now + until
    while True:
        due = await world.process.inventory.refresh(MISTRAL)
        while world.woken:
            await world.settle(world.woken.pop(), within=timedelta(seconds=1))
        assert due is not None
        if world.now + due > end:
            world.now = end
            return
        world.now += due


def listings(world: World) -> int:
    """Pages asked for since the faults were calmed."""
    return world.faults.met.count("before list_keys")


def issuer(world: World) -> Object:
    """As last seen."""
    found = world.cluster.issuer(*MISTRAL)
    assert found
    return found


def ready(world: World) -> tuple[str, str, str]:
    """The issuer's Ready."""
    [condition] = issuer(world)["status"]["conditions"]
    return condition["status"], condition["reason"], condition["message"]


def told(world: World, kind: str, reason: str = "StrayKey") -> list[str]:
    """Messages of events about objects of this kind."""
    return [e.message for e in world.cluster.events if e.about["kind"] == kind and e.reason == reason]


def a_stray(world: World, tag: str = "[kw/c1u5ter0/01234567/aaaaaaaa]") -> Live:
    """A live key of ours that nobody knows."""
    live = world.platform.make(KeyRequest(f"x {tag}", "w", "u", None))
    world.platform.commit(live)
    return live


async def test_a_key_revoked_by_hand_is_replaced_within_a_period_and_half_a_minute():
    """The pass misses it, and half a minute later it is asked for by itself: two small requests."""
    world = await a_fleet()
    revoke_by_hand(world, 1)
    revoked_at, passes = world.now, 0
    while world.platform.posts == 3:
        await run(world, timedelta(seconds=5))
        passes += 1
        assert world.now - revoked_at < timedelta(minutes=5, seconds=40)
    assert listings(world) == 1 + 2, "a pass, and one key by its tag and by its last characters"
    await run(world, timedelta(minutes=20))
    assert world.platform.posts == 4
    assert world.platform.accepts(world.holds(ResourceKey("search", "secret-01")))


async def test_a_key_revoked_before_any_listing_has_shown_it_is_tried_before_it_is_replaced():
    """The listing might lag; the platform refuses the key in the Secret, so it does not."""
    world = await a_fleet(shown=False)
    revoke_by_hand(world, 1)
    await run(world, MINUTE)
    assert world.faults.met.count("before prove") == 1
    assert world.says(named(1))[1] == "KeyGone"
    await world.settle(named(1), within=timedelta(minutes=4))
    assert world.platform.posts == 4, "once the storm guard lets it"


async def test_a_listing_that_lags_for_minutes_replaces_nothing():
    """I6: new keys that it does not show work, and wait until it does."""
    world = await a_fleet(shown=False)
    world.platform.lag = timedelta(minutes=8)
    await run(world, timedelta(minutes=25))
    assert world.platform.posts == 3
    assert world.faults.met.count("before prove") >= 3
    assert ready(world)[:2] == ("True", "AdminKeyWorks")
    assert issuer(world)["status"]["keys"] == 3


async def test_a_new_key_is_not_tried_where_new_keys_are_not():
    """checkNewKeys: false, since checkUrl cannot be reached from here: then ten minutes are waited for."""
    world = await a_fleet(shown=False)
    world.cluster.edit(
        "KeyIssuer", ResourceKey("search", "mistral"), lambda obj: obj["spec"].update(checkNewKeys=False)
    )
    revoke_by_hand(world, 1)
    await run(world, timedelta(minutes=8))
    assert (world.platform.posts, world.faults.met.count("before prove")) == (3, 0)
    await run(world, timedelta(minutes=6))
    assert world.platform.posts == 4


async def test_a_key_whose_name_was_edited_at_the_console_is_found_by_its_last_characters():
    """I8: it carries no tag any more, and works."""
    world = await a_fleet()
    live = world.platform.keys[KeyId(world.status(named(1)).key_id or "")]
    live.listed = replace(live.listed, name="renamed by a person")
    await run(world, timedelta(minutes=30))
    assert world.platform.posts == 3


async def test_a_key_that_was_adopted_is_found_though_its_tag_is_its_predecessors():
    """One listing that fails to show it does not get it replaced."""
    world = World()
    world.create(deletionPolicy="Retain")
    await world.settle()
    world.delete()
    await world.settle()
    world.create()
    await world.settle()
    world.now += timedelta(minutes=20)
    world.create(named(1), target={"secret": {"name": "other"}})
    await world.settle(named(1))
    hidden = KeyId(world.status().key_id or "")
    kept = world.platform.keys.pop(hidden)
    await world.process.inventory.refresh(MISTRAL)
    world.platform.commit(kept)
    world.now += timedelta(seconds=31)
    await world.look_over()
    assert world.platform.posts == 2


async def test_a_dozen_revoked_at_once_cost_a_pass_and_not_a_request_each():
    """More than a handful: all keys are listed again, soon."""
    world = await a_fleet(14)
    revoke_by_hand(world, *range(12))
    await run(world, timedelta(minutes=6))
    assert world.platform.posts == 14 + 12
    assert listings(world) <= 4


async def test_all_keys_missing_at_once_is_said_of_the_issuer_and_nothing_is_replaced():
    """I10: another organization's admin key. With the right one back all is well, and said to be."""
    world = await a_fleet()
    kept, world.platform.keys = world.platform.keys, {}
    await run(world, timedelta(minutes=20))
    assert world.platform.posts == 3
    assert ready(world)[:2] == ("False", "KeysVanished")
    assert "none of the 3 keys" in ready(world)[2]
    world.platform.keys = kept
    await run(world, timedelta(minutes=6))
    assert ready(world)[:2] == ("True", "AdminKeyWorks")
    assert world.platform.posts == 3


async def test_all_keys_revoked_on_purpose_follow_the_first_that_is_rotated():
    """As the message says."""
    world = await a_fleet()
    revoke_by_hand(world, 0, 1, 2)
    await run(world, timedelta(minutes=6))
    assert "annotate one of the ApiKeys with keywright.dev/rotate" in ready(world)[2]
    world.annotate(named(0), rotate="now")
    await world.settle(named(0))
    await run(world, timedelta(minutes=12))
    assert world.platform.posts == 6
    assert ready(world)[0] == "True"


async def test_an_idle_fleet_costs_one_listing_a_period():
    """Whatever wakes the inventory in between: troubles of ApiKeys, looks that come early."""
    world = await a_fleet()
    await run(world, timedelta(minutes=50))
    assert listings(world) == 10
    for _ in range(20):
        await world.process.inventory.refresh(MISTRAL)
    assert listings(world) == 10


async def test_an_api_keys_trouble_costs_a_small_request_and_is_said():
    """Not a pass over all keys."""
    world = await a_fleet()
    world.platform.admin_key = "another"
    world.process.inventory.doubt(MISTRAL)
    await world.process.inventory.refresh(MISTRAL)
    assert ready(world)[:2] == ("False", "AdminKeyRefused")
    world.platform.admin_key = "admin"
    world.process.inventory.doubt(MISTRAL)
    world.now += timedelta(seconds=20)
    await world.process.inventory.refresh(MISTRAL)
    assert ready(world)[:2] == ("True", "AdminKeyWorks")
    assert listings(world) == 1, "the one that was refused did not get so far"


async def test_what_a_pass_found_is_said_though_the_issuer_is_written_to_meanwhile():
    """As by its first ApiKey, which has it held: a moment later, and without another pass."""
    world = await a_fleet(1, shown=False)
    writes = 0

    def strike(_boundary: int, call: str) -> None:
        nonlocal writes
        writes += call == "before patch_status of KeyIssuer"
        if writes == 1:
            raise Conflict("somebody wrote")

    world.faults.strike = strike
    await world.process.inventory.refresh(MISTRAL)
    assert ready(world)[:2] == ("True", "AdminKeyWorks")
    assert issuer(world)["status"]["keys"] == 1
    assert (writes, listings(world)) == (2, 1)


async def test_a_key_that_keywright_revoked_is_no_stray_though_a_listing_shows_it():
    """It lags, or was read before: revoked and dropped from the status, the key is named by nothing."""
    world = await a_fleet(1)
    world.now += timedelta(minutes=10)
    world.edit(named(0), rotation={"overlap": "0s"})
    world.annotate(named(0), rotate="now")
    await world.settle(named(0), within=timedelta(seconds=2))
    world.platform.lag = timedelta(seconds=30)
    world.now += timedelta(seconds=1)
    await world.process.inventory.refresh(MISTRAL)
    assert issuer(world)["status"]["strays"] == 0
    assert told(world, "KeyIssuer") == []
    assert world.woken == set()


async def test_strays_are_counted_measured_and_told_once():
    """Status, metric, and an event that names them; another event only where there is a new one."""
    world = await a_fleet(1)
    first = a_stray(world)
    await run(world, timedelta(minutes=11))
    assert issuer(world)["status"]["strays"] == 1
    [message] = told(world, "KeyIssuer")
    assert first.listed.key_id in message
    assert "keywright sweep -n search --issuer keyissuer/mistral" in message
    registry = world.process.metrics.registry
    labels = {"kind": "KeyIssuer", "namespace": "search", "name": "mistral"}
    assert registry.get_sample_value("keywright_stray_keys", labels) == 1
    assert registry.get_sample_value("keywright_inventory_last_pass_timestamp_seconds", labels)
    more = [a_stray(world) for _ in range(14)]
    await run(world, timedelta(minutes=11))
    assert len(told(world, "KeyIssuer")) == 2
    assert "and 5 more" in told(world, "KeyIssuer")[1]
    for live in more:
        world.platform.end(live.listed.key_id)
    await run(world, timedelta(minutes=11))
    assert len(told(world, "KeyIssuer")) == 2, "fewer is no news"
    assert issuer(world)["status"]["strays"] == 1
    name = ResourceKey("search", "mistral")
    world.cluster.edit("KeyIssuer", name, lambda obj: obj["metadata"].update(finalizers=[]))
    world.cluster.delete("KeyIssuer", name)
    assert await world.process.inventory.refresh(MISTRAL) is None
    assert registry.get_sample_value("keywright_stray_keys", labels) is None


async def test_retained_and_untagged_keys_are_no_strays():
    """U9."""
    world = World()
    world.create(deletionPolicy="Retain")
    await world.settle()
    world.delete()
    await world.settle()
    a_stray(world, "by hand")
    await world.look_over()
    assert (issuer(world)["status"]["keys"], issuer(world)["status"]["strays"]) == (1, 0)


async def test_a_late_key_that_somebody_uses_is_left_and_told_of_once():
    """An interrupted attempt's key, used on a later day: an event, a stray in the numbers, and alive; through the deletion too."""
    world = World()
    world.create()
    await world.settle()
    uid = (world.cluster.api_key(KEY) or {})["metadata"]["uid"]
    live = a_stray(world, str(Tag.of("c1u5ter0", uid, "lostlost")))
    closed = {
        "id": "lostlost",
        "closedAt": "2026-11-24T11:00:00Z",
        "startedAt": "2026-11-24T10:59:00Z",
        "outcome": "unseen",
        "issuer": world.status().issuer.model_dump() if world.status().issuer else {},
    }
    world.cluster.edit("ApiKey", KEY, lambda obj: obj["status"].update(closedAttempts=[closed]))
    live.listed = replace(live.listed, last_used=(world.now + timedelta(days=1)).date())
    world.now += timedelta(days=1)
    await run(world, timedelta(minutes=21))
    assert world.platform.accepts(live.plaintext)
    [message] = told(world, "ApiKey")
    assert live.listed.key_id in message
    assert issuer(world)["status"]["strays"] == 1
    assert world.says()[:2] == ("True", "Issued")
    world.delete()
    await world.settle()
    assert set(world.platform.keys) == {live.listed.key_id}
    assert SECRET not in world.sink.stored
    assert live.listed.key_id in told(world, "ApiKey")[-1]


@pytest.mark.parametrize("failures", [2, 5])
async def test_a_page_that_gets_no_answer_is_asked_for_again_in_the_midst_of_a_pass(failures: int):
    """A few times: a pass of many pages does not start over for each; past that it ends, and says so."""
    world = await a_fleet(1)
    for _ in range(450):
        a_stray(world)
    refused = 0

    def strike(_met: int, call: str) -> None:
        nonlocal refused
        if call == "before list_keys" and listings(world) > 3 and refused < failures:
            refused += 1
            raise Unavailable("no answer")

    world.faults.strike = strike
    world.now += timedelta(minutes=5)
    await world.process.inventory.refresh(MISTRAL)
    assert (refused, ready(world)[0]) == ((2, "True") if failures == 2 else (4, "False"))


async def test_an_issuer_edited_while_its_keys_are_read_is_read_anew():
    """What the old spec listed may be another organization's: it is neither counted nor missed."""
    world = await a_fleet(1)
    for _ in range(450):
        a_stray(world)

    async def edited(_seconds: float) -> None:
        world.cluster.edit(
            "KeyIssuer", ResourceKey("search", "mistral"), lambda obj: obj["spec"].update(checkNewKeys=False)
        )

    world.process.inventory._sleep = edited
    world.now += timedelta(minutes=5)
    before = issuer(world)["status"]["keys"]
    due = await world.process.inventory.refresh(MISTRAL)
    assert issuer(world)["status"]["keys"] == before
    assert due is not None
    assert due <= timedelta(seconds=1)
    world.process.inventory._sleep = world.sleep
    await world.process.inventory.refresh(MISTRAL)
    assert issuer(world)["status"]["keys"] == 451


async def test_all_keys_missing_at_once_holds_their_api_keys_and_they_say_so():
    """I10: Ready while the key may work, Stalled with the reason; nothing is renewed or revoked, and a new ApiKey gets nothing."""
    world = await a_fleet()
    kept, world.platform.keys = world.platform.keys, {}
    await run(world, timedelta(minutes=20))
    held = world.status(named(0))
    stalled = held.condition("Stalled")
    assert stalled
    assert stalled.reason == "KeysVanished"
    assert "keyissuer/mistral" in stalled.message
    assert world.says(named(0))[0] == "True"
    world.create(ResourceKey("search", "newcomer"), target={"secret": {"name": "newcomer"}})
    await world.settle(ResourceKey("search", "newcomer"))
    assert world.says(ResourceKey("search", "newcomer"))[:2] == ("False", "KeysVanished")
    world.edit(named(1), label="another")
    await world.settle(named(1))
    assert world.platform.posts == 3
    world.platform.keys = kept
    await run(world, timedelta(minutes=6))
    assert world.status(named(0)).condition("Stalled") is None
