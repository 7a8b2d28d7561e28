"""Fifty keys that rotate each minute, and fifty consumers that do not notice: on a real control plane, in real time.

Five minutes by the clock of the wall: the schedule is cron's, whose shortest step is a minute, and a clock that somebody moves
would prove nothing of watches, timers and connections. It costs waiting and little else, and so has a worker for itself.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.conftest import MIN_INTERVAL, operator_of
from tests.e2e.consumers import PERIOD, consuming
from tests.e2e.team import GROUP
from tests.e2e.vault_team import TEAMS
from tests.running import wait_for
from tests.sinks import SINKS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Plane
    from tests.e2e.team import Team
    from tests.running import Operator, Sandbox

pytestmark = [pytest.mark.plane, pytest.mark.xdist_group("fleet")]

KEYS = 50
ROTATIONS = 5
OVERLAP = 80
"""Seconds: longer than the schedule's minute, so that each rotation falls into the overlap of the one before."""
LAST = 45
"""The second of a minute after which the next one is near."""
NAMES = [f"key-{i:02}" for i in range(KEYS)]


def statuses(team: Team) -> dict[str, dict[str, Any]]:
    """By name, as one list shows them."""
    items = team.plane.call("GET", f"{GROUP}/namespaces/{team.namespace}/apikeys")["items"]
    return {item["metadata"]["name"]: item.get("status") or {} for item in items}


def all_of_this_minute(team: Team, revisions: dict[str, int] | None = None) -> dict[str, dict[str, Any]] | None:
    """The statuses, where each key was issued in the running minute: no rotation is due before the next one begins.

    Nor is that about to begin, before consumers have met these keys. `revisions`: and these are the numbers of their keys.
    """
    now = datetime.now(UTC)
    if now.second > LAST:
        return None
    minute = f"{now:%Y-%m-%dT%H:%M}"
    seen = statuses(team)
    settled = len(seen) == KEYS and all(
        status.get("issuedAt", "").startswith(minute) and "attempt" not in status for status in seen.values()
    )
    right = revisions is None or {name: status.get("revision") for name, status in seen.items()} == revisions
    return seen if settled and right else None


def named(seen: dict[str, dict[str, Any]]) -> tuple[set[str], set[str]]:
    """The current keys, and those in their overlap."""
    current = {status["keyId"] for status in seen.values()}
    return current, {older["keyId"] for status in seen.values() for older in status.get("previous", ())}


def test_a_fleet_rotates_five_times_and_no_consumer_notices(
    plane: Plane, sandbox: Sandbox, tmp_path: Path, record_property: Callable[[str, object], None]
):
    """Half of them in Vault: no refused call, 50 keys made per rotation and not one more, nothing lives but what a status names."""
    with plane.a_namespace() as namespace:
        team, vaulted = (TEAMS[sink](plane, sandbox, namespace) for sink in SINKS)
        vaulted.operator_in = namespace
        vaulted.prepare()
        teams = {name: vaulted if i % 2 else team for i, name in enumerate(NAMES)}
        operator = operator_of(plane, namespace, tmp_path, "--min-interval", f"{MIN_INTERVAL}s")
        operator.start()
        try:
            rotation = {"schedule": "* * * * *", "overlap": f"{OVERLAP}s"}
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda name: teams[name].create(name, rotation=rotation), NAMES))
            first = wait_for(lambda: all_of_this_minute(team), "all have a key of this minute", seconds=240, pause=0.5)
            made = sandbox.posts(f"{namespace}/")
            wanted = {name: status["revision"] + ROTATIONS for name, status in first.items()}
            begun = time.monotonic()
            side_by_side: set[int] = set()

            def rotated() -> bool:
                side_by_side.update(len(status.get("previous", ())) for status in statuses(team).values())
                return all_of_this_minute(team, wanted) is not None

            with consuming(teams) as calls:
                wait_for(rotated, f"all have rotated {ROTATIONS} times", seconds=60 * (ROTATIONS + 2), pause=PERIOD)
                posts = sandbox.posts(f"{namespace}/") - made
                asked = requests_for_keys(operator)
                current, overlapping = wait_for(lambda: alive(team), "what lives is what the statuses name", pause=0.2)
            took = time.monotonic() - begun
            line = (
                f"{ROTATIONS} rotations of {KEYS} keys in {took:.0f} s: {calls.made} calls, {len(calls.refused)} refused, {posts} POSTs, "
                f"{len(current) + len(overlapping)} live keys ({KEYS} + {len(overlapping)} in their overlap)"
            )
            record_property("fleet", line)
            print(line)  # noqa: T201 - measured
            assert calls.refused == []
            assert calls.failed == []
            assert posts == KEYS * ROTATIONS
            assert asked == made + posts, "each request made a key"
            assert len(current) == KEYS
            assert overlapping, "a rotation falls into the overlap of the one before"
            assert min(calls.by.values()) > took / 5, (
                "each consumer called again and again, also where the machine is busy"
            )
            assert all(len(keys) == ROTATIONS + 1 for keys in calls.keys.values()), "each consumer met each key"
            assert max(side_by_side) == 2, "two older keys live side by side, and no more"
        finally:
            operator.stop()
        assert "Traceback" not in operator.said()
        assert operator.gave_away(sandbox.shown) == set()


def alive(team: Team) -> tuple[set[str], set[str]] | None:
    """The current keys and those in their overlap, where exactly these live at the platform."""
    current, overlapping = named(statuses(team))
    live = {key["key_id"] for key in team.sandbox.live_keys(f"{team.namespace}/")}
    return (current, overlapping) if live == current | overlapping else None


def requests_for_keys(operator: Operator) -> int:
    """How many keys it has asked its issuers for, whatever came of it."""
    series = operator.series("keywright_issuer_request_duration_seconds_count")
    return int(sum(value for labels, value in series if labels["operation"] == "create"))
