"""Thousands of broken ApiKeys of one team, and how long another team's first key takes."""

from __future__ import annotations

import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tests.e2e.team import Team

__all__ = ["first_key", "flood"]


def flood(team: Team, many: int, workspace: str) -> list[str]:
    """So many ApiKeys at once, over a few connections that stay; returns the names of those that each made last."""
    plane, each = team.plane, many // 4
    path = f"/apis/keywright.dev/v1alpha1/namespaces/{team.namespace}/apikeys"
    headers = {"Authorization": f"Bearer {plane.admin_token}", "Content-Type": "application/json"}

    def some(first: int) -> str:
        connection = http.client.HTTPSConnection(plane.server.removeprefix("https://"), context=plane.tls, timeout=60)
        for i in range(first, first + each):
            body = {
                "apiVersion": "keywright.dev/v1alpha1",
                "kind": "ApiKey",
                "metadata": {"name": (name := f"broken-{i:04}")},
                "spec": {
                    "issuerRef": {"name": "mistral"},
                    "workspace": workspace,
                    "target": {"secret": {"name": name}},
                },
            }
            connection.request("POST", path, json.dumps(body), headers)
            answer = connection.getresponse()
            said = answer.read()
            assert answer.status == 201, said
        connection.close()
        return name

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(some, range(0, many, each)))


def first_key(
    a_team: Callable[[], AbstractContextManager[Team]], just_before: Callable[[], None] = lambda: None
) -> float:
    """Seconds from the creation of a fresh team's first ApiKey to its Ready."""
    with a_team() as team:
        just_before()
        begun = time.monotonic()
        team.create()
        wait_for(lambda: team.condition().get("status") == "True", "the first key is Ready", pause=0.02)
        return time.monotonic() - begun
