"""Keys that somebody revokes at the platform come back, on a real control plane."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from tests.e2e.conftest import MIN_INTERVAL
from tests.e2e.together import Scenarios
from tests.running import wait_for
from tests.sinks import Alone

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.team import Team

pytestmark = [pytest.mark.plane, pytest.mark.xdist_group("served")]
scenarios = Scenarios(
    alone=Alone(
        "secret", "It is about listings; keys missing from them are replaced in both: tests/chaos/test_platform.py."
    )
)

INTERVAL = 8
"""Seconds between two passes: as short as leaves room for a second look in between."""
A_BIT = 60
"""Seconds for issuing, on a machine that is busy: well below the five minutes of a period, and the ten in which a key may be too new."""


def revoke_by_hand(team: Team, key_id: str) -> float:
    """Delete the key as the console does; returns when."""
    status, _ = team.sandbox.call("DELETE", f"/v1/admin/api-keys/{key_id}")
    assert status == 200
    return time.monotonic()


@scenarios
def a_key_revoked_by_hand_is_issued_again_within_a_period_and_a_bit(team: Team):
    """Two sightings: a pass, and a look for this one key half an interval later; then the Secret works again."""
    team.patch_issuer({"spec": {"inventoryInterval": f"{INTERVAL}s"}})
    team.create()
    first = team.ready()
    wait_for(lambda: "lastUsed" in team.status(), "a listing has shown the key")
    at = revoke_by_hand(team, first["keyId"])
    second = team.ready(revision=2)
    assert time.monotonic() - at < 1.5 * INTERVAL + A_BIT
    assert second["keyId"] != first["keyId"]
    assert team.sandbox.accepts(team.text())
    assert [key["key_id"] for key in team.live_keys()] == [second["keyId"]]
    wait_for(lambda: any(second["keyId"] in words for reason, words in team.events() if reason == "Issued"), "an event")


@scenarios
def a_key_revoked_before_any_listing_has_shown_it_is_issued_again_as_well(team: Team):
    """It might be too new for the listing: the key in the Secret is tried, and the platform refuses it."""
    team.patch_issuer({"spec": {"inventoryInterval": f"{INTERVAL}s"}})
    team.create()
    at = revoke_by_hand(team, team.ready()["keyId"])
    team.ready(revision=2)
    assert time.monotonic() - at < 1.5 * INTERVAL + MIN_INTERVAL + A_BIT
    assert team.sandbox.accepts(team.text())


@pytest.mark.parametrize("scenario", scenarios.names)
def test_inventory(scenario: str, outcome: Callable[[Scenarios, str], None]):
    """What the scenario's own sentence says."""
    outcome(scenarios, scenario)
