"""Who waits for an issuer that does not answer, and for how long; in virtual time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.planning.builders import an_api_key
from tests.reconcile.world import World

from keywright.api.apikey import KeyIssuerIdentity
from keywright.api.apikey_status import ApiKeyStatus
from keywright.errors import NotYet, Unavailable
from keywright.keys import ResourceKey
from keywright.planning.observed import IssuerFacts, Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keywright.keys import Workspace

pytestmark = pytest.mark.looptime

ANYONE = [ResourceKey("search", f"ak-{i}") for i in range(20)]


class Slow:
    """A platform whose workspaces take their time, and then may not come at all."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.seconds = 10.0
        self.answers = True
        world.process = world.start()
        make = world.platform.factory

        def factory(*args: object) -> object:
            issuer = make(*args)  # type: ignore[arg-type]
            read = issuer.workspaces

            async def workspaces() -> Sequence[Workspace]:
                found = await read()
                await asyncio.sleep(self.seconds)
                if not self.answers:
                    raise Unavailable("keyissuer/mistral gave no answer within 10s")
                return found

            issuer.workspaces = workspaces  # type: ignore[method-assign]
            return issuer

        world.process.directory._factory = factory  # type: ignore[assignment]

    async def facts(self, key: ResourceKey = ANYONE[0]) -> tuple[IssuerFacts | Refusal, float]:
        """With the seconds that it took."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        found = await self.world.process.directory.facts(key, an_api_key(), ApiKeyStatus())
        return found, round(loop.time() - begun, 3)


async def test_one_waits_for_a_first_answer_and_the_others_do_not():
    """They come again, and have nothing to say: it may be well, and slow."""
    slow = Slow(World())
    looking = asyncio.create_task(slow.facts())
    await asyncio.sleep(0)
    begun = asyncio.get_running_loop().time()
    others = await asyncio.gather(*(slow.facts(key) for key in ANYONE), return_exceptions=True)
    assert {type(one) for one in others} == {NotYet}
    assert asyncio.get_running_loop().time() - begun == pytest.approx(1.0)
    found, took = await looking
    assert isinstance(found, IssuerFacts)
    assert took == 10


async def test_where_it_has_failed_before_hardly_anybody_waits_for_the_next_look():
    """They are told what it failed with, until it works again."""
    slow = Slow(World())
    slow.answers = False
    await slow.facts()
    slow.world.now += timedelta(seconds=6)
    slow.answers = True
    (first, _), *others = await asyncio.gather(*(slow.facts(key) for key in ANYONE))
    assert isinstance(first, IssuerFacts)
    assert {waited for _, waited in others} == {0.1}
    assert {one.message for one, _ in others if isinstance(one, Refusal)} == {
        "keyissuer/mistral gave no answer within 10s"
    }
    assert isinstance((await slow.facts(ANYONE[1]))[0], IssuerFacts)


async def test_a_platform_that_answers_soon_is_waited_for():
    """By all, for one reading."""
    slow = Slow(World())
    slow.seconds = 0.9
    found = await asyncio.gather(*(slow.facts(key) for key in ANYONE))
    assert all(isinstance(one, IssuerFacts) for one, _ in found)


async def test_who_ends_a_key_does_not_wait_for_somebody_elses_look():
    """The client is there."""
    slow = Slow(World())
    looking = asyncio.create_task(slow.facts())
    await asyncio.sleep(1)
    issuer = slow.world.cluster.issuer("KeyIssuer", "search", "mistral")
    assert issuer
    identity = KeyIssuerIdentity(kind="KeyIssuer", name="mistral", uid=issuer["metadata"]["uid"])
    async with asyncio.timeout(0.01):
        await slow.world.process.directory.client(identity, "search", ending=True)
    await looking


async def test_what_another_admin_key_saw_is_not_believed():
    """It was replaced while the platform was asked: workspaces and users may be another organization's."""
    slow = Slow(World())
    looking = asyncio.create_task(slow.facts())
    await asyncio.sleep(1)
    slow.world.cluster.values["Secret", "search", "admin"] = {"key": "another"}
    slow.world.platform.admin_key = "another"
    issuer = slow.world.cluster.issuer("KeyIssuer", "search", "mistral")
    assert issuer
    identity = KeyIssuerIdentity(kind="KeyIssuer", name="mistral", uid=issuer["metadata"]["uid"])
    slow.world.now += timedelta(seconds=16)
    await slow.world.process.directory.client(identity, "search", ending=True)
    refusal, _ = await looking
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "IssuerUnavailable"
    assert isinstance((await slow.facts())[0], IssuerFacts)
