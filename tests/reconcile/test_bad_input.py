"""Bad input over the whole reconciler: a condition that says what to change, no key, no hot loop, and healing by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.reconcile.world import KEY, SECRET, World

from keywright.errors import Rejected, Unavailable
from keywright.keys import ResourceKey, Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

HEALS_WITHIN = timedelta(seconds=30)
"""The promise, where the cause was elsewhere and the ApiKey was not touched."""
OLDER = ResourceKey("search", "older")


def second_workspace(world: World) -> None:
    """Two workspaces of one name."""
    world.platform.workspaces.append(Workspace("99999999-0000-4000-8000-000000000000", "search-prod"))


def failing(error: Exception, call: str) -> Callable[[World], None]:
    """One of the platform's answers is an error, each time."""

    def arrange(world: World) -> None:
        def strike(_met: int, name: str) -> None:
            if name == f"before {call}":
                raise error

        world.faults.strike = strike

    return arrange


def calm(world: World) -> None:
    """The platform answers again."""
    world.faults.calm()


def set_admin(value: str | None) -> Callable[[World], None]:
    """The admin Secret's data key."""

    def arrange(world: World) -> None:
        world.cluster.values["Secret", "search", "admin"] = {} if value is None else {"key": value}

    return arrange


def remove_issuer(world: World) -> None:
    """There is no KeyIssuer."""
    world.delete_issuer(by_force=True)


def refuse_writes(world: World) -> None:
    """The namespace's quota is used up."""
    world.sink.refusal = "exceeded quota"


def accept_writes(world: World) -> None:
    """It is not any more."""
    world.sink.refusal = None


CASES: dict[str, tuple[Callable[[World], None], str, str, Callable[[World], None]]] = {
    "an unknown workspace": (
        lambda w: w.platform.workspaces.pop(1),
        "WorkspaceNotFound",
        "write one of: Default, billing",
        lambda w: w.platform.workspaces.append(Workspace("w", "search-prod")),
    ),
    "an ambiguous workspace": (
        second_workspace,
        "WorkspaceAmbiguous",
        "99999999-0000-4000-8000-000000000000",
        lambda w: w.platform.workspaces.pop(),
    ),
    "a wrong admin key": (set_admin("wrong"), "AdminKeyRefused", "put a valid one", set_admin("admin")),
    "a missing data key": (set_admin(None), "AdminKeyMissing", "search/admin with data key key", set_admin("admin")),
    "a missing issuer": (
        remove_issuer,
        "IssuerNotFound",
        "keyissuer/mistral does not exist",
        lambda w: w.create_issuer("mistral"),
    ),
    "an unknown user": (
        lambda w: w.platform.users.clear(),
        "UserNotFound",
        "correct it",
        lambda w: w.platform.users.update({"dev@example.com": "u"}),
    ),
    "an issuer that does not answer": (
        failing(Unavailable("keyissuer/mistral cannot be reached at http://x; check spec.mistral.url"), "workspaces"),
        "IssuerUnavailable",
        "check spec.mistral.url",
        calm,
    ),
    "malformed JSON": (
        failing(Rejected("not the documented JSON; check spec.mistral.url", reason="IssuerMalformed"), "workspaces"),
        "IssuerMalformed",
        "check spec.mistral.url",
        calm,
    ),
    "a Secret that somebody else made": (
        lambda w: w.sink.put_foreign(SECRET),
        "TargetForeign",
        "did not make; write another",
        lambda w: w.sink.remove(SECRET),
    ),
    "a target that would refuse the write": (refuse_writes, "TargetRefused", "exceeded quota", accept_writes),
    "a refusal in words that are none of ours": (
        failing(Rejected("forbidden", reason="Forbidden"), "read_value"),
        "IssuerUnavailable",
        "forbidden",
        calm,
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_bad_input_is_said_and_heals(case: str):
    """No key, no attempt, one status write, nothing more while it lasts; Ready within 30 s of its mending."""
    arrange, reason, says, mend = CASES[case]
    world = World()
    arrange(world)
    world.create()
    await world.settle(within=timedelta(seconds=1))
    status, said, message = world.says()
    assert (status, said) == ("False", reason)
    assert says in message
    assert world.status().attempt is None
    assert world.platform.posts == 0
    writes, reads = len(world.cluster.writes), world.platform.reads
    await world.settle(within=timedelta(minutes=5))
    assert len(world.cluster.writes) == writes == 1
    assert world.platform.reads - reads <= 5 * 4
    mend(world)
    mended = world.now
    await world.settle(within=HEALS_WITHIN)
    assert world.now - mended <= HEALS_WITHIN
    world.one_key()


@pytest.mark.parametrize(
    "case", [case for case in CASES if case not in ("a Secret that somebody else made", "an ambiguous workspace")]
)
async def test_a_key_that_works_goes_on_working(case: str):
    """The same, met at a renewal: still Ready while nothing is wrong with the key itself, and no further key stays.

    (A Secret of somebody else is another matter, and an ambiguous name is none any more once its workspace is pinned.)
    """
    arrange, _, says, mend = CASES[case]
    world = World()
    world.create()
    await world.settle()
    arrange(world)
    world.now += timedelta(days=60)
    world.start()
    await world.settle(within=timedelta(seconds=1))
    status, reason, message = world.says()
    assert (status, reason) == ("True", "RenewalFailing")
    assert says in message
    assert world.live() == {world.status().key_id}
    mend(world)
    await world.settle(within=HEALS_WITHIN)
    world.one_key()


async def test_two_api_keys_for_one_secret():
    """K10: the older has it, the second issues nothing, and is served once the first is gone."""
    world = World()
    world.create(OLDER)
    world.now += timedelta(seconds=5)
    world.create()
    for key in (KEY, OLDER, KEY):
        await world.settle(key)
    assert world.says()[:2] == ("False", "TargetConflict")
    assert "search/older" in world.says()[2]
    assert world.platform.posts == 1
    world.one_key(OLDER)
    world.delete(OLDER)
    await world.settle(OLDER)
    await world.settle(KEY)
    world.one_key()


async def test_a_recreated_owner_is_not_locked_out_by_an_older_rival():
    """The Secret's record names namespace and name: who was re-created under them has it."""
    world = World()
    world.create(OLDER)
    world.create(deletionPolicy="Retain")
    world.cluster.edit("ApiKey", OLDER, lambda obj: obj["metadata"].update(creationTimestamp="2020-01-01T00:00:00Z"))
    world.edit(OLDER, target={"secret": {"name": "theirs"}})
    await world.settle()
    world.delete()
    await world.settle()
    world.edit(OLDER, target={"secret": {"name": SECRET.name}})
    world.create()
    await world.settle()
    await world.settle(OLDER)
    world.one_key()
    assert world.platform.posts == 1
    assert world.says(OLDER)[1] == "TargetConflict"


async def test_an_issuer_that_refuses_the_request_is_tried_ever_more_seldom():
    """Three in a row open the breaker: Stalled, one try per hour, and what came back is said."""
    world = World()
    failing(Rejected("expiration is too far ahead", reason="IssuerRefused"), "create")(world)
    world.create()
    await world.settle(within=timedelta(minutes=50))
    assert world.platform.posts == 3
    stalled = world.status().condition("Stalled")
    assert stalled
    assert "expiration is too far ahead" in stalled.message
    await world.settle(within=timedelta(hours=3))
    assert world.platform.posts <= 6
    world.faults.calm()
    world.edit(label="mended")
    await world.settle(within=HEALS_WITHIN)
    world.one_key()


async def test_a_trigger_makes_no_storm_of_a_failing_issuer():
    """The pause after failures holds for triggers too: they pass the storm guard only."""
    world = World()
    world.create()
    await world.settle()
    failing(Rejected("no", reason="IssuerRefused"), "create")(world)
    world.annotate(rotate="now")
    posts = world.platform.posts
    await world.settle(within=timedelta(minutes=30))
    assert world.platform.posts - posts == 3
    world.faults.calm()
    await world.settle(within=timedelta(hours=1))
    world.one_key()
    assert world.status().revision == 2


async def test_a_new_key_that_does_not_work_is_revoked_and_the_old_one_stays():
    """I13: checked before it is delivered."""
    world = World()
    world.create()
    await world.settle()
    old = world.holds()
    world.platform.refuses_new_keys = 7
    world.now += timedelta(hours=1)
    world.annotate(rotate="now")
    await world.settle(within=timedelta(seconds=1))
    assert world.holds() == old
    assert world.live() == {world.status().key_id}
    assert "does not work and was revoked" in world.says()[2]
    await world.settle(within=timedelta(minutes=1))
    world.one_key()


async def test_an_issuer_that_needs_a_moment_is_given_it():
    """I13: refused for the first seconds."""
    world = World()
    world.create()
    world.platform.refuses_new_keys = 3
    await world.settle()
    world.one_key()
    assert world.platform.posts == 1


@pytest.mark.parametrize(
    "broken",
    [
        {"issuerRef": {"name": "mistral"}, "workspace": "w", "target": {}},
        {
            "issuerRef": {"name": "mistral"},
            "workspace": "w",
            "target": {"secret": {"name": "s"}},
            "expiry": {"validity": "x"},
        },
    ],
)
async def test_a_spec_that_cannot_be_read_is_said_once(broken: dict[str, object]):
    """Under an older CRD: InvalidSpec, one write, nothing else touched; a corrected one is served."""
    world = World()
    world.create()
    good = world.cluster.stored["ApiKey", KEY]["spec"]
    world.cluster.edit("ApiKey", KEY, lambda obj: obj.update(spec=broken))
    await world.settle(within=timedelta(minutes=5))
    assert world.says()[:2] == ("False", "InvalidSpec")
    assert len(world.cluster.writes) == 1
    world.cluster.edit("ApiKey", KEY, lambda obj: obj.update(spec=good))
    await world.settle()
    world.one_key()
