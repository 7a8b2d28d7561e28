"""The doctor over fakes: everything at once, each look in its time, and what can be told is told."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.conftest import ROOT
from tests.reconcile.world import World

from keywright.api.crd import KINDS, crd_of
from keywright.errors import Unauthorized, Unavailable
from keywright.planning.diagnosis.finding import Check, Finding, State
from keywright.reconcile.doctor import Doctor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keywright.planning.diagnosis.rights import Right

pytestmark = pytest.mark.looptime

MANIFESTS = {
    f: [*yaml.safe_load_all((ROOT / f / "rbac.yaml").read_text("utf-8"))] for f in ("manifests", "manifests/namespaced")
}
FORBIDDEN = Unauthorized("you may not", reason="Forbidden")


class Apiserver:
    """Answers after a second each; `refused` says what fails, and how; `hangs` what never answers."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.refused: dict[str, Exception] = {}
        self.hangs: set[str] = set()
        self.denied: set[tuple[str | None, str | None]] = set()
        self.asked_of: set[str | None] = set()

    async def _answer(self, what: str) -> None:
        await asyncio.sleep(1e6 if what in self.hangs else 1)
        if what in self.refused:
            raise self.refused[what]

    async def hello(self) -> str:
        """Well."""
        await self._answer("hello")
        return "v1"

    async def date(self) -> datetime | None:
        """As the world's."""
        await self._answer("date")
        return self.world.now

    async def date_at(self, _url: str, _bundle: Any) -> datetime | None:
        """An hour ahead."""
        await self._answer("date_at")
        return self.world.now + timedelta(hours=1)

    async def may(self, right: Right, user: str | None = None) -> bool:
        """But what is denied."""
        await self._answer("may of others" if user else "may")
        return (right.namespace, user) not in self.denied

    async def crd(self, name: str) -> dict[str, Any] | None:
        """As in crds/."""
        await self._answer("crd")
        return next(crd_of(kind) for kind in KINDS if name.startswith(f"{kind.plural}."))

    async def served(self) -> frozenset[str]:
        """All."""
        await self._answer("served")
        return frozenset(kind.plural for kind in KINDS)

    async def objects(self, kind: str, namespace: str | None) -> Sequence[dict[str, Any]]:
        """Of the world."""
        self.asked_of.add(namespace)
        await self._answer(kind)
        cluster = self.world.cluster
        of_kind = {"ApiKey": cluster.api_keys, "KeyIssuer": lambda: [cluster.issuer("KeyIssuer", "search", "mistral")]}
        return list(of_kind.get(kind, list)())

    async def operators(self, namespace: str | None, kind: str) -> Sequence[dict[str, Any]]:
        """None."""
        await self._answer(f"{kind} of {namespace}")
        return []

    async def is_ending(self, _namespace: str) -> bool:
        """It stays."""
        await self._answer("is_ending")
        return False


async def examined(
    change: dict[str, Any] | None = None, *, namespace: str | None = None, told: list[str] | None = None
) -> tuple[list[Finding], Apiserver, float]:
    """What is found, of an apiserver changed so, and how many seconds that took."""
    world = World()
    world.create()
    await world.settle()
    apiserver = Apiserver(world)
    for name, value in (change or {}).items():
        setattr(apiserver, name, value)

    async def health(_store: Any) -> None:
        return

    doctor = Doctor(
        inspection=apiserver,
        cluster=world.cluster,
        factory=world.platform.factory,
        vault_health=health,
        manifests=MANIFESTS,
        clock=lambda: world.now,
        told=(told if told is not None else []).append,
    )
    loop = asyncio.get_running_loop()
    begun = loop.time()
    seen = await doctor.examine(namespace, "own")
    return seen.findings, apiserver, loop.time() - begun


def texts(findings: list[Finding], state: State, check: Check | None = None) -> str:
    """Of one state, and one check."""
    return "\n".join(f.text for f in findings if f.state is state and check in (None, f.check))


async def test_everything_is_looked_at_at_once():
    """A hundred questions of a second each take a few seconds; what is waited for is told."""
    told: list[str] = []
    findings, apiserver, seconds = await examined(told=told)
    assert seconds <= 8
    assert apiserver.asked_of == {None}
    assert any("CRDs" in line for line in told)
    assert {f.check for f in findings if f.state is State.OK} >= {
        Check.APISERVER,
        Check.KINDS,
        Check.RIGHTS,
        Check.ISSUERS,
    }
    assert [f.check for f in findings if f.state is State.WRONG] == [Check.CLOCK]
    assert "api.mistral.ai's clock is 60 min ahead (against this machine and the apiserver)" in texts(
        findings, State.WRONG
    )


async def test_what_does_not_answer_costs_its_own_deadline():
    """All else is told."""
    findings, _, seconds = await examined({"hangs": {"crd"}})
    assert seconds <= 25
    assert texts(findings, State.WRONG, Check.KINDS) == "CRDs did not answer within 20 s"
    assert texts(findings, State.OK, Check.ISSUERS)


async def test_an_apiserver_that_is_away_is_all_that_is_told():
    """So are credentials that it does not take."""
    findings, _, _ = await examined({"refused": {"hello": Unavailable("the apiserver cannot be reached")}})
    assert [(f.check, f.state) for f in findings] == [(Check.APISERVER, State.WRONG)]
    findings, _, _ = await examined({"refused": {"hello": Unauthorized("no", reason="Unauthorized")}})
    assert "does not take your credentials" in texts(findings, State.WRONG)


async def test_who_may_not_list_everywhere_sees_their_own_namespace():
    """Whatever is asked for by name is kept to."""
    _, apiserver, _ = await examined({"denied": {(None, None)}})
    assert apiserver.asked_of == {"own"}
    _, apiserver, _ = await examined(namespace="shop")
    assert apiserver.asked_of == {"shop"}


async def test_what_may_not_be_looked_at_is_told_by_what_else_there_is():
    """CRDs by discovery; others' rights, cluster kinds and Leases are named as not looked at."""
    names = ("crd", "may of others", "ClusterKeyIssuer", "Lease of None", "Lease of keywright-system", "Lease of own")
    findings, _, _ = await examined({"refused": dict.fromkeys(names, FORBIDDEN), "denied": {(None, None)}})
    assert "CRDs are served" in texts(findings, State.OK, Check.KINDS)
    notes = texts(findings, State.NOTE)
    assert "you may not ask what others may do" in notes
    assert "you may not list ClusterKeyIssuers" in notes
    assert "you may not see whether an operator leads" in notes
    assert texts(findings, State.WRONG, Check.OPERATOR) == ""
