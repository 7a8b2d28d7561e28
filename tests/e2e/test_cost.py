"""What a key costs the apiserver, counted in its audit log."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.team import Team
from tests.running import audited, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Plane
    from tests.running import Operator, Sandbox

pytestmark = pytest.mark.plane

WRITES = ("create", "update", "patch", "delete")


def requests(plane: Plane, account: str, namespace: str) -> list[dict[str, Any]]:
    """What one ServiceAccount has asked for in one namespace, as the audit log has it; rehearsals are marked."""
    found = []
    for entry in audited(plane.audit_log):
        where = entry.get("objectRef") or {}
        if entry["user"]["username"] == f"system:serviceaccount:{account}" and where.get("namespace") == namespace:
            found.append(entry)
    return found


def written(entries: list[dict[str, Any]]) -> list[str]:
    """Verb and resource of each request that changed something."""
    return [
        " ".join(filter(None, (e["verb"], e["objectRef"]["resource"], e["objectRef"].get("subresource"))))
        for e in entries
        if e["verb"] in WRITES and "dryRun=All" not in e["requestURI"]
    ]


@pytest.mark.xdist_group("served")
def test_one_issuance_is_four_writes_and_an_event(served_plane: Plane, sandbox: Sandbox, operator: Operator):
    """Finalizer, intent, Secret, settle, one event: nothing else is written, and nothing read but one rehearsal."""
    with served_plane.a_namespace() as namespace:
        team = Team(served_plane, sandbox, namespace, operator)
        team.create_admin_secret()
        team.create_issuer()
        # Its finalizer and its first status, written at once, would be a conflict, after which all is read again; and a first count
        # that comes later than the key sees that it was tried.
        wait_for(lambda: "keys" in team.issuer_status(), "the issuer's keys have been counted")
        team.create()
        team.ready()

        def of_the_key() -> list[dict[str, Any]]:
            entries = requests(served_plane, "keywright-system:keywright", namespace)
            return [e for e in entries if e["objectRef"]["resource"] != "keyissuers"]

        # The last of them, and there to be seen before the audit log has its line.
        wait_for(lambda: "create events" in written(of_the_key()), "the event")
        assert sorted(written(of_the_key())) == [
            "create events",
            "create secrets",
            "patch apikeys",
            "patch apikeys status",
            "patch apikeys status",
        ]
        reads = [e["requestURI"] for e in of_the_key() if e["verb"] == "get"]
        assert {uri for uri in reads if "mistral-admin" not in uri} == set(), "no GET before a guarded write"


@pytest.mark.xdist_group("idle")
def test_an_idle_minute_with_100_keys_writes_nothing(
    plane: Plane, sandbox: Sandbox, namespaced_operator: Callable[[str], Operator]
):
    """100 settled keys, listed at the issuer every 10 s: no write, no request about any single key, no line in the log."""
    with plane.a_namespace() as namespace:
        team = Team(plane, sandbox, namespace)
        team.create_admin_secret()
        team.create_issuer(spec={"inventoryInterval": "10s"})
        operator = namespaced_operator(namespace)
        names = [f"key-{i:03}" for i in range(100)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(team.create, names))
        for name in names:
            team.ready(name)
        wait_for(lambda: len(all_events(team)) == len(names), "all events are written")
        wait_for(lambda: team.issuer_status().get("keys") == len(names), "the inventory has counted them")
        wait_for(lambda: all("lastUsed" in team.status(name) for name in names), "the check of each is in its status")
        # What is seen at the apiserver is a moment later in its audit log, and in the operator's: a pass later it is for sure.
        listed = issuer_calls(operator)["list"]
        wait_for(lambda: issuer_calls(operator)["list"] >= listed + 3, "a whole pass more was made")
        before = len(requests(plane, f"{namespace}:keywright", namespace))
        calls = issuer_calls(operator)
        said = operator.said()
        lines = [line for line in said.splitlines() if f"{namespace}/key-" in line]
        assert len(lines) == len(names), "an issuance is one line"
        over = time.monotonic() + 60
        wait_for(lambda: time.monotonic() > over, "a minute is over", seconds=70, pause=1)
        entries = requests(plane, f"{namespace}:keywright", namespace)[before:]
        assert written(entries) == []
        single = [e["requestURI"] for e in entries if e["verb"] == "get" and "mistral-admin" not in e["requestURI"]]
        assert single == [], "no key is polled"
        grown = {name: count - calls.get(name, 0) for name, count in issuer_calls(operator).items()}
        assert {name for name, count in grown.items() if count} <= {"list"}, grown
        assert operator.said() == said, "an idle minute is none"
        assert 3 <= grown["list"] <= 20, "one listing for all keys per pass, of two pages"


def all_events(team: Team) -> list[dict[str, Any]]:
    """Of the namespace's ApiKeys."""
    items = team.plane.call("GET", f"/api/v1/namespaces/{team.namespace}/events")["items"]
    return [e for e in items if e["involvedObject"]["kind"] == "ApiKey"]


def issuer_calls(operator: Operator) -> dict[str, int]:
    """Requests to issuers so far, by operation."""
    counts: dict[str, int] = {}
    for labels, value in operator.series("keywright_issuer_request_duration_seconds_count"):
        counts[labels["operation"]] = counts.get(labels["operation"], 0) + int(value)
    return counts
