"""What an overlap is to who holds a key: none at all, and one that another rotation falls into."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from tests.e2e.consumers import consuming
from tests.e2e.together import Scenarios
from tests.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.team import Team

pytestmark = [pytest.mark.plane, pytest.mark.xdist_group("served")]
scenarios = Scenarios()


@scenarios
def without_an_overlap_who_holds_the_old_key_is_refused_at_once(team: Team):
    """overlap: 0s, as documented: no older key outlives the delivery; who reads the target again goes on."""
    team.create(rotation={"overlap": "0s"})
    team.ready()
    held = team.text()
    assert team.sandbox.accepts(held)
    team.annotate("search", rotate="now")
    team.ready(revision=2)
    wait_for(lambda: "previous" not in team.status(), "no older key is named any more")
    assert not team.sandbox.accepts(held)
    assert team.sandbox.accepts(team.text())
    assert len(team.live_keys()) == 1


@scenarios
def a_rotation_during_an_overlap_keeps_both_old_keys_each_for_its_own_time(team: Team):
    """The first ends when it was to end, the second later, and whoever reads the target notices neither."""
    team.create(rotation={"overlap": "30s"})
    team.ready()
    with consuming({"search": team}) as calls:
        first = team.text()
        team.annotate("search", rotate="now")
        [first_entry] = team.ready(revision=2)["previous"]
        second = team.text()
        team.patch("search", {"spec": {"label": "another", "rotation": {"overlap": "40s"}}})
        status = team.ready(revision=3)
        assert status["previous"][0] == first_entry, "the first keeps its time"
        ends = [datetime.fromisoformat(entry["revokeAt"]) for entry in status["previous"]]
        assert (ends[1] - ends[0]).total_seconds() >= 9
        wait_for(lambda: not team.sandbox.accepts(first), "the first is refused")
        wait_for(lambda: not team.sandbox.accepts(second), "the second is refused")
        assert [key["key_id"] for key in team.live_keys()] == [status["keyId"]]
    # Of what was so at each moment the platform's log tells, however late anybody looks.
    for entry, end in zip(status["previous"], ends, strict=True):
        assert team.sandbox.revoked_at(entry["keyId"]) >= end
    assert calls.made > 10
    assert calls.refused == []
    assert calls.failed == []


@scenarios
def a_consumer_notices_a_key_that_dies_under_it(team: Team):
    """What the others rely on: a key that is revoked by hand while it stands in the target is a refused call."""
    team.create()
    status = team.ready()
    with consuming({"search": team}) as calls:
        wait_for(lambda: calls.made, "a call is answered")
        assert calls.refused == []
        team.sandbox.call("DELETE", f"/v1/admin/api-keys/{status['keyId']}")
        wait_for(lambda: calls.refused, "a call is refused")


@pytest.mark.parametrize("scenario", scenarios.names)
def test_overlap(scenario: str, outcome: Callable[[Scenarios, str], None]):
    """What the scenario's own sentence says."""
    outcome(scenarios, scenario)
