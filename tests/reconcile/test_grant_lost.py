"""onGrantLost: what becomes of a key whose grant is taken away, and what is no loss."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.ports.faults import Crash
from tests.reconcile.world import KEY, SECRET, World

from keywright.errors import Unauthorized, Unavailable
from keywright.keys import ResourceKey

ISSUER = ("ClusterKeyIssuer", ResourceKey("", "shared"))
GRANT = {"namespaces": {"names": ["search"]}, "workspaces": ["search-*"]}


async def a_served_world(policy: str = "Revoke", *grants: dict[str, Any], **spec: Any) -> World:
    """An ApiKey with a key of a ClusterKeyIssuer that grants it."""
    world = World()
    admin = {"namespace": "search", "name": "admin", "key": "key"}
    world.cluster.create(
        *ISSUER,
        {
            "mistral": {"user": "dev@example.com", "adminKeySecretRef": admin},
            "grants": list(grants or (GRANT,)),
            "onGrantLost": policy,
        },
    )
    world.create(**{"issuerRef": {"kind": "ClusterKeyIssuer", "name": "shared"}, **spec})
    await world.settle()
    world.one_key()
    return world


def grant(world: World, *grants: dict[str, Any]) -> None:
    """The issuer's owner writes these grants."""
    world.cluster.edit(*ISSUER, lambda obj: obj["spec"].update(grants=list(grants)))


async def passes(world: World, **time: float) -> None:
    """Time goes by, with a look at the ApiKey every minute."""
    end = world.now + timedelta(**time)
    while world.now < end:
        await world.settle(within=timedelta(seconds=30))
        world.now += timedelta(minutes=1)


def reasons(world: World) -> list[str]:
    """Of all events."""
    return [event.reason for event in world.cluster.events]


async def test_the_key_ends_ten_minutes_after_an_event_said_so():
    """Ready until then, with the time in its message; then key and Secret are gone, and the ApiKey says what is missing."""
    world = await a_served_world()
    grant(world)
    await passes(world, minutes=1)
    began = world.now
    status, _, message = world.says()
    assert status == "True"
    assert "grants nothing to namespace search" in message
    assert "is revoked at" in message
    assert "GrantLost" in reasons(world)
    stalled = world.status().condition("Stalled")
    assert stalled
    assert stalled.reason == "GrantLost"
    await passes(world, minutes=7)
    assert world.platform.accepts(world.holds())
    world.excused = True
    await passes(world, minutes=5)
    assert world.now - began < timedelta(minutes=15)
    assert world.live() == set()
    assert world.holds() is None
    assert world.says()[:2] == ("False", "NotGranted")
    assert world.status().key_id is None
    assert world.status().grant_lost_at is None


async def test_a_grant_that_is_given_back_in_time_changes_nothing():
    """The same key, and no trace of it in the status; the next loss has its own ten minutes."""
    world = await a_served_world()
    before = world.status()
    grant(world)
    await passes(world, minutes=8)
    grant(world, GRANT)
    await passes(world, minutes=30)
    world.one_key()
    after = world.status()
    assert (after.key_id, after.revision, after.grant_lost_at) == (before.key_id, before.revision, None)
    assert after.condition("Stalled") is None
    grant(world)
    await passes(world, minutes=8)
    world.one_key()


async def test_a_grant_that_is_given_back_later_issues_anew():
    """At once, a new key, into the same Secret."""
    world = await a_served_world()
    grant(world)
    world.excused = True
    await passes(world, minutes=15)
    assert world.live() == set()
    grant(world, GRANT)
    await passes(world, minutes=1)
    world.one_key()
    assert world.status().revision == 2


async def test_keep_ends_nothing_and_renews_nothing():
    """The default: the key works to its last day, and is not replaced."""
    world = await a_served_world("Keep")
    grant(world)
    await passes(world, minutes=30)
    world.one_key()
    world.annotate(rotate="1")
    await passes(world, minutes=1)
    assert world.says()[:2] == ("True", "RenewalFailing")
    assert world.platform.posts == 1


async def test_an_edited_spec_hides_no_lost_grant():
    """Whatever the tenant writes: the key that was made is judged by the issuer and the workspace that it was made for."""
    for edit in (
        {"issuerRef": {"kind": "KeyIssuer", "name": "nobody"}},
        {"workspace": "billing"},
        {"suspend": True},
        {"expiry": {"date": "2030-01-01"}},
        {"deletionPolicy": "Retain"},
    ):
        world = await a_served_world()
        grant(world)
        world.edit(**edit)
        world.excused = True
        await passes(world, minutes=15)
        assert world.live() == set(), edit


async def test_retain_does_not_keep_what_no_grant_allows():
    """Deleted within the ten minutes, the ApiKey leaves neither key nor Secret; the event says why."""
    world = await a_served_world(deletionPolicy="Retain")
    grant(world)
    await passes(world, minutes=2)
    world.delete()
    await passes(world, minutes=2)
    world.nothing_left()
    assert any("no grant allows any more" in event.message for event in world.cluster.events)


async def test_an_older_key_ends_with_the_current_one():
    """Its overlap does not outlive the grant."""
    world = await a_served_world()
    world.annotate(rotate="1")
    await passes(world, minutes=1)
    assert len(world.live()) == 2
    grant(world)
    world.excused = True
    await passes(world, minutes=15)
    assert world.live() == set()
    assert world.status().previous == []


@pytest.mark.parametrize(
    "tighter", [{"maxKeys": 1}, {"maxValidity": "1d"}, {"requireExpiry": True}, {"workspaces": ["search-prod"]}]
)
async def test_a_limit_that_is_tightened_ends_nothing(tighter: dict[str, Any]):
    """The grant is still there: only what is asked for next has to keep to it."""
    world = await a_served_world(expiry=None)
    grant(world, GRANT | tighter)
    await passes(world, minutes=30)
    assert world.platform.accepts(world.holds())
    assert world.status().grant_lost_at is None


@pytest.mark.parametrize("error", [Unavailable("no answer"), Unauthorized("refused", reason="AdminKeyRefused")])
@pytest.mark.parametrize("call", ["before namespace_labels", "before workspaces"])
async def test_what_cannot_be_read_is_no_lost_grant(error: Exception, call: str):
    """U7: the namespace or the platform, before the loss or during the ten minutes; and once it can be read again, what was said holds."""
    by_label = GRANT | {"namespaces": {"selector": {"matchLabels": {"team": "search"}}}}
    world = World()
    world.cluster.server.labels["search"] = {"team": "search"}
    served = await a_served_world_in(world, by_label)
    served.now += timedelta(minutes=10)

    def strike(_boundary: int, met: str) -> None:
        if met == call:
            raise error

    served.faults.strike = strike
    await passes(served, minutes=30)
    assert served.status().grant_lost_at is None
    served.faults.calm()
    served.cluster.server.labels["search"] = {}
    await passes(served, minutes=2)
    assert served.status().grant_lost_at is not None
    served.faults.strike = strike
    await passes(served, minutes=30)
    assert served.platform.accepts(served.holds())
    served.faults.calm()
    served.excused = True
    await passes(served, minutes=2)
    assert served.live() == set()


async def a_served_world_in(world: World, one_grant: dict[str, Any]) -> World:
    """As `a_served_world`, in a world that is there already."""
    admin = {"namespace": "search", "name": "admin", "key": "key"}
    mistral = {"user": "dev@example.com", "adminKeySecretRef": admin}
    world.cluster.create(*ISSUER, {"mistral": mistral, "grants": [one_grant], "onGrantLost": "Revoke"})
    world.create(issuerRef={"kind": "ClusterKeyIssuer", "name": "shared"})
    await world.settle()
    world.one_key()
    return world


@pytest.mark.parametrize("gone", ["issuer", "admin key", "workspace"])
async def test_what_is_missing_is_no_lost_grant(gone: str):
    """U7: a deleted issuer, a deleted admin Secret, an archived workspace say nothing of grants."""
    world = await a_served_world()
    match gone:
        case "issuer":
            world.cluster.stored.pop(ISSUER)
        case "admin key":
            del world.cluster.values["Secret", "search", "admin"]
        case _:
            world.platform.workspaces = [w for w in world.platform.workspaces if w.name != "search-prod"]
    await passes(world, minutes=30)
    assert world.platform.accepts(world.holds())
    assert world.status().grant_lost_at is None


async def test_an_issuer_that_is_being_deleted_still_says_what_it_grants():
    """It makes no keys, and waits for those that it made: one that it grants no more ends as ever."""
    world = await a_served_world()
    world.cluster.delete(*ISSUER)
    await passes(world, minutes=1)
    world.one_key()
    grant(world)
    await passes(world, minutes=8)
    assert world.platform.accepts(world.holds())
    world.excused = True
    await passes(world, minutes=5)
    assert world.live() == set()
    assert world.holds() is None
    assert world.says()[:2] == ("False", "IssuerDeleting")


async def test_ready_tells_of_the_target_while_nobody_can_say_what_is_granted():
    """A grant was lost, its issuer cannot be read, and the Secret goes: the key stays alive, and the ApiKey does not call itself Ready."""
    world = await a_served_world()
    grant(world)
    await passes(world, minutes=1)
    del world.cluster.values["Secret", "search", "admin"]
    world.start()
    await passes(world, minutes=15)
    assert world.says()[0] == "True"
    assert "cannot be seen" in world.says()[2]
    world.excused = True
    world.sink.remove(SECRET)
    await passes(world, minutes=1)
    assert world.says()[:2] == ("False", "GrantLost")
    assert len(world.live()) == 1


async def test_a_stripped_secret_goes_with_its_key():
    """Stripped when the key is to end, it gets back what says that it is ours: else it would be read, and the key revoked, for ever."""
    world = await a_served_world()
    grant(world)
    await passes(world, minutes=1)
    world.sink.strip(SECRET)
    world.edit(suspend=True)
    world.excused = True
    await passes(world, minutes=15)
    assert world.live() == set()
    assert world.holds() is None
    assert world.status().key_id is None


async def test_a_crash_at_any_boundary_of_the_end_leaves_nothing():
    """The revocation, the cleaning and the status may each be the last that happens: the next operator ends it."""
    boundary, met = 0, True
    while met:
        world = await a_served_world()
        grant(world)
        await passes(world, minutes=1)
        world.excused = True
        world.now += timedelta(minutes=11)
        world.faults.at(boundary, Crash())
        try:
            await world.settle()
            met = False
        except Crash:
            world.start()
        world.faults.calm()
        await passes(world, minutes=15)
        assert world.live() == set(), boundary
        assert world.holds(SECRET) is None
        assert world.status(KEY).key_id is None
        boundary += 1
    assert boundary > 5
