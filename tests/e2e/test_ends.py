"""How an operator ends: told to, it finishes what is in flight; killed, the next one finishes it. One namespace, Role rights only."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.chaos.proxy import KEYS as WHERE_KEYS_ARE_MADE
from tests.e2e.team import GROUP
from tests.e2e.vault_team import TEAMS
from tests.running import wait_for
from tests.sinks import SINKS, alone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.chaos.proxy import FaultProxy, Gate
    from tests.conftest import Plane
    from tests.e2e.team import Team
    from tests.running import Operator, Sandbox
    from tests.sinks import Sink

pytestmark = [pytest.mark.plane, pytest.mark.xdist_group("ends")]

KEYS = 120
"""Twice as many as there are workers for one namespace."""
AT_ONCE = 20
"""Keys that are issued before the midst is."""


NAMES = [f"key-{i:03}" for i in range(KEYS)]


def a_team(plane: Plane, sandbox: Sandbox, namespace: str, sink: Sink, url: str | None = None) -> Team:
    """With an issuer, served by an operator of its namespace; `url`: of a proxy before the platform."""
    team = TEAMS[sink](plane, sandbox, namespace)
    team.operator_in = namespace
    team.prepare(with_issuer=False)
    team.create_admin_secret()
    requests = {"perSecond": 1000, "burst": 1000, "timeout": "60s"}
    team.create_issuer(url=url or sandbox.url, spec={"requests": requests})
    return team


@contextmanager
def applying(team: Team) -> Iterator[None]:
    """ApiKeys are applied one after the other; all are when this ends."""
    with ThreadPoolExecutor(4) as pool:
        applied = pool.map(team.create, NAMES)
        yield
        list(applied)


def midst(proxy: FaultProxy, team: Team) -> Gate:
    """Of the work, however fast a machine is: after some keys all others are made, and on their way until it is opened."""
    return proxy.gate("POST", WHERE_KEYS_ARE_MADE, through=AT_ONCE, committed=True, containing=f'"{team.namespace}/')


def statuses(team: Team) -> list[dict[str, object]]:
    """Of all ApiKeys of the team."""
    items = team.plane.call("GET", f"{GROUP}/namespaces/{team.namespace}/apikeys")["items"]
    return [item.get("status") or {} for item in items]


def count(team: Team, field: str) -> int:
    """How many statuses have a field."""
    return sum(1 for status in statuses(team) if field in status)


def all_have_exactly_one_working_key(team: Team) -> None:
    """Each ApiKey's status names a live key, each target holds it, and no other key of the namespace lives."""
    named = {team.ready(name)["keyId"] for name in NAMES}
    assert len(named) == KEYS
    label = f"{team.namespace}/"
    wait_for(lambda: {k["key_id"] for k in team.sandbox.live_keys(label)} == named, "no key lives that nobody names")
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda name: team.sandbox.accepts(team.text(f"{name}-key")), NAMES))


@pytest.mark.parametrize("sink", SINKS)
def test_sigterm_finishes_what_is_in_flight(
    plane: Plane, sandbox: Sandbox, proxy: FaultProxy, namespaced_operator: Callable[[str], Operator], sink: Sink
):
    """Told to end while it issues: exit status 0, no attempt left open; the next one issues the rest."""
    with plane.a_namespace() as namespace:
        operator = namespaced_operator(namespace)
        team = a_team(plane, sandbox, namespace, sink, proxy.url)
        gate = midst(proxy, team)
        with applying(team):
            wait_for(
                lambda: count(team, "keyId") > AT_ONCE // 2 and gate.waiting, "some are issued, others are on their way"
            )
            since = len(operator.said())
            operator.signal(signal.SIGTERM)
            operator.says("stopping: finishing what is in flight", since)
            gate.open()
            assert operator.ended() == 0
        assert 0 < count(team, "keyId") < KEYS, "it was told in the midst of its work"
        assert count(team, "attempt") == 0
        assert len(sandbox.live_keys(f"{namespace}/")) == count(team, "keyId")
        operator.start()
        all_have_exactly_one_working_key(team)
        assert operator.stop() == 0


@pytest.mark.parametrize("sink", SINKS)
def test_a_killed_operator_leaves_no_key_behind(
    plane: Plane, sandbox: Sandbox, proxy: FaultProxy, namespaced_operator: Callable[[str], Operator], sink: Sink
):
    """Kill -9 in the middle of issuing: the next one adopts what was delivered and revokes what nobody holds."""
    with plane.a_namespace() as namespace:
        operator = namespaced_operator(namespace)
        team = a_team(plane, sandbox, namespace, sink, proxy.url)
        gate = midst(proxy, team)
        with applying(team):
            wait_for(lambda: gate.waiting, "some are made, and on their way")
            operator.kill()
            gate.open()
        assert count(team, "keyId") < KEYS, "it was killed in the midst of its work"
        operator.start()
        all_have_exactly_one_working_key(team)
        assert operator.stop() == 0


@pytest.mark.parametrize("sink", SINKS)
def test_what_was_deleted_meanwhile_is_revoked(
    plane: Plane, sandbox: Sandbox, namespaced_operator: Callable[[str], Operator], sink: Sink
):
    """ApiKeys deleted while the operator is down are revoked when it is back."""
    with plane.a_namespace() as namespace:
        operator = namespaced_operator(namespace)
        team = a_team(plane, sandbox, namespace, sink)
        team.create()
        team.ready()
        plaintext = team.text()
        assert operator.stop() == 0
        team.delete()
        assert team.exists()
        operator.start()
        team.gone()
        assert not sandbox.accepts(plaintext)
        assert team.target() is None


@alone("secret", "It is refused before any target is looked at.")
def test_a_cluster_issuer_is_not_served_by_an_operator_of_one_namespace(
    plane: Plane, sandbox: Sandbox, namespaced_operator: Callable[[str], Operator]
):
    """The message says what to write instead."""
    with plane.a_namespace() as namespace:
        namespaced_operator(namespace)
        team = TEAMS["secret"](plane, sandbox, namespace)
        team.create(issuerRef={"kind": "ClusterKeyIssuer", "name": "mistral"})
        assert "issuerRef.kind: KeyIssuer" in team.says("ClusterScopeOff")
