"""The sweeper over the fakes: what it finds, in which order it looks, and which issuers are meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.ports.faults import Crash
from tests.reconcile.world import CLUSTER_ID, KEY, World, drive

from keywright.errors import Rejected, Unavailable
from keywright.keys import ResourceKey
from keywright.ports.issuer import KeyRequest
from keywright.reconcile.sweep import Sweeper, chosen

if TYPE_CHECKING:
    from keywright.keys import KeyId

MISTRAL = ("KeyIssuer", "search", "mistral")
SECOND = ResourceKey("search", "second")


def a_sweeper(world: World, cluster_id: str = CLUSTER_ID, told: list[str] | None = None) -> Sweeper:
    """Of this world, as a command would have it; what a watch has not shown it reads."""

    async def reread() -> None:
        world.cluster.catch_up()
        world.sink.catch_up()

    return Sweeper(
        cluster=world.cluster,
        sink=world.sink,
        directory=world.process.directory,
        cluster_id=cluster_id,
        reread=reread,
        told=(told if told is not None else []).append,
    )


def a_stray(world: World, name: str = f"x [kw/{CLUSTER_ID}/01234567/aaaaaaaa]") -> KeyId:
    """A live key that nobody knows; its id."""
    live = world.platform.make(KeyRequest(name, "w", "u", None))
    world.platform.commit(live)
    return live.listed.key_id


async def test_it_finds_strays_and_keeps_retained_keys_apart():
    """U9: a key in use, one that Retain left, one without a tag, one of another cluster, and one that is nobody's."""
    world = World()
    world.create(deletionPolicy="Retain")
    await world.settle()
    retained = world.status().key_id
    world.delete()
    await world.settle()
    world.create(SECOND, target={"secret": {"name": "second"}})
    await world.settle(SECOND)
    nobodys = a_stray(world)
    a_stray(world, "by hand")
    theirs = a_stray(world, "x [kw/lost0000/01234567/aaaaaaaa]")
    found = await a_sweeper(world).look([MISTRAL])
    assert [(ref, stray.key.key_id) for ref, stray in found.strays] == [(MISTRAL, nobodys)]
    assert [(kept.key.key_id, str(kept.place)) for _, kept in found.retained] == [(retained, "search/mistral-key")]
    lost = await a_sweeper(world, "lost0000").look([MISTRAL])
    assert [stray.key.key_id for _, stray in lost.strays] == [theirs]


async def test_stores_that_are_not_read_are_named():
    """What Retain left in Vault is among the strays: whoever sweeps is told where to look."""
    world = World()
    assert (await a_sweeper(world).look([MISTRAL])).stores == ()
    spec = {"address": "https://vault:8200", "auth": {"kubernetes": {"role": "keywright"}}}
    world.cluster.create("VaultStore", ResourceKey("search", "vault"), spec)
    assert (await a_sweeper(world).look([MISTRAL])).stores == (("VaultStore", "search", "vault"),)


async def test_a_key_that_is_being_issued_meanwhile_is_no_stray():
    """It is listed first and looked for in statuses afterwards, at whatever moment of an issuance the listing falls."""
    met = World()
    met.create()
    await met.settle()
    for at in range(len(met.faults.met)):
        world = World()
        world.create()
        world.faults.at(at, Crash())
        with pytest.raises(Crash):
            await world.settle()
        world.faults.calm()
        found = await a_sweeper(world).look([MISTRAL])
        assert found.strays == ()


async def test_an_issuance_that_overtakes_the_sweep_is_no_stray():
    """The listing shows its key; by the time that statuses are read, one names it."""
    world = World()
    world.create()
    world.cluster.lagging = world.sink.lagging = True
    other = World.start(world)

    def strike(_met: int, call: str) -> None:
        if call == "before list_keys":
            world.faults.calm()
            drive(other.reconciler.reconcile(KEY))

    world.faults.strike = strike
    found = await a_sweeper(world).look([MISTRAL])
    assert len(world.platform.keys) == 1
    assert (found.strays, found.retained) == ((), ())


async def test_a_key_that_two_issuers_list_counts_once():
    """Two KeyIssuers of one organization."""
    world = World()
    world.create_issuer("eu")
    a_stray(world)
    found = await a_sweeper(world).look([MISTRAL, ("KeyIssuer", "search", "eu")])
    assert len(found.strays) == 1


async def test_an_issuer_that_cannot_be_asked_hides_nothing_of_the_others():
    """It is told beside what was found."""
    world = World()
    world.create_issuer("eu")
    a_stray(world)

    def strike(_met: int, call: str) -> None:
        if call == "before list_keys":
            world.faults.calm()
            raise Unavailable("no answer")

    world.faults.strike = strike
    told: list[str] = []
    found = await a_sweeper(world, told=told).look([MISTRAL, ("KeyIssuer", "search", "eu")])
    assert [ref for ref, _ in found.failures] == [MISTRAL]
    assert len(found.strays) == 1
    assert told == [
        "listing the keys of keyissuer/mistral",
        "listing the keys of keyissuer/eu",
        "reading ApiKeys and Secrets",
    ]


async def test_it_revokes_where_the_key_was_listed():
    """And says so."""
    world = World()
    key_id = a_stray(world)
    told: list[str] = []
    await a_sweeper(world, told=told).revoke(MISTRAL, key_id)
    assert world.platform.keys == {}
    assert told == [f"revoking key {key_id}"]


ISSUERS = [
    {"kind": "KeyIssuer", "metadata": {"namespace": "search", "name": "mistral"}},
    {"kind": "KeyIssuer", "metadata": {"namespace": "other", "name": "theirs"}},
    {"kind": "ClusterKeyIssuer", "metadata": {"name": "mistral"}},
    {"kind": "ClusterKeyIssuer", "metadata": {"name": "shared"}},
]
SHARED, CLUSTER_MISTRAL = ("ClusterKeyIssuer", None, "shared"), ("ClusterKeyIssuer", None, "mistral")


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        (None, [CLUSTER_MISTRAL, SHARED, MISTRAL]),
        ("mistral", [MISTRAL]),
        ("shared", [SHARED]),
        ("keyissuer/mistral", [MISTRAL]),
        ("clusterkeyissuer/mistral", [CLUSTER_MISTRAL]),
        ("ClusterKeyIssuer/mistral", [CLUSTER_MISTRAL]),
    ],
)
def test_issuers_are_meant_as_messages_name_them(wanted: str | None, meant: list[tuple[str, str | None, str]]):
    """A bare name is the namespace's own before the cluster's."""
    assert chosen(ISSUERS, "search", wanted) == meant


@pytest.mark.parametrize(
    ("wanted", "reason", "words"),
    [
        ("theirs", "IssuerNotFound", "there are: clusterkeyissuer/mistral, clusterkeyissuer/shared, keyissuer/mistral"),
        ("keyissuer/shared", "IssuerNotFound", "no keyissuer/shared to be seen from namespace search"),
        ("issuer/mistral", "Usage", "write keyissuer/NAME"),
        ("keyissuer/", "Usage", "write keyissuer/NAME"),
    ],
)
def test_an_issuer_that_is_not_there_is_told_with_those_that_are(wanted: str, reason: str, words: str):
    """Wrong usage is told apart from a wrong name."""
    with pytest.raises(Rejected, match=words) as refused:
        chosen(ISSUERS, "search", wanted)
    assert refused.value.reason == reason


def test_a_namespace_without_issuers_is_told():
    """And what to write instead."""
    with pytest.raises(Rejected, match="name another namespace with -n"):
        chosen(ISSUERS[:2], "third", None)
