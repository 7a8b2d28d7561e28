"""A platform that wants to be asked slowly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.e2e.team import Team
from tests.running import Sandbox, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Plane
    from tests.running import Operator

pytestmark = [pytest.mark.plane, pytest.mark.xdist_group("ends")]


def test_a_rate_limit_is_kept_without_attempts_that_fail(
    plane: Plane, tmp_path: Path, namespaced_operator: Callable[[str], Operator]
):
    """Twelve ApiKeys at three requests a second: each gets one key, none is interrupted or spins."""
    sandbox = Sandbox(tmp_path / "sandbox", "--rate-limit", "3/s")
    sandbox.start()
    try:
        with plane.a_namespace() as namespace:
            operator = namespaced_operator(namespace)
            team = Team(plane, sandbox, namespace)
            team.create_admin_secret()
            team.create_issuer(spec={"checkNewKeys": False})
            names = [f"key-{i:02}" for i in range(12)]
            for name in names:
                team.create(name)
            statuses = [team.ready(name) for name in names]
            assert all("closedAttempts" not in status for status in statuses)
            assert "no rest" not in operator.said()
            writes = operator.said().count("asked for a pause")
            assert writes <= 4 * len(names), "each says so now and then, and does not spin"
            listing = wait_for(lambda: sandbox.call("GET", "/v1/admin/api-keys?limit=100")[1], "the platform answers")
            assert len(listing["keys"]) == len(names)
    finally:
        sandbox.stop()
