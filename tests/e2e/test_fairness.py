"""U5: one tenant's 5,000 broken ApiKeys do not delay another's first by more than 2 s.

That is asked of the median, since other work on the machine delays single ones; of the slowest only that it does not wait for its turn
behind the others. In virtual time each is held to it: tests/reconcile/test_fairness.py.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING

import pytest
from tests.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.guarded import Guarded
    from tests.e2e.team import Team

pytestmark = [pytest.mark.plane, pytest.mark.slow, pytest.mark.xdist_group("guarded")]

MANY = 5_000
MOST = 2.0
"""Seconds, in the median."""
SLOWEST = 20.0
"""Seconds: in turn behind all of the others it takes minutes."""
WAITING = 1_000
"""ApiKeys of one silent issuer: that the workers are shared shows with fewer, too."""
OTHERS = 100
"""Silent issuers: more than there are workers."""


@contextmanager
def never_answering() -> Iterator[str]:
    """The URL of a platform that takes connections, and says nothing ever."""
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def flood(team: Team, count: int, workspace: str) -> None:
    """So many ApiKeys at once, over a few connections that stay."""
    plane, each = team.plane, count // 4
    path = f"/apis/keywright.dev/v1alpha1/namespaces/{team.namespace}/apikeys"
    headers = {"Authorization": f"Bearer {plane.admin_token}", "Content-Type": "application/json"}

    def some(first: int) -> None:
        connection = http.client.HTTPSConnection(plane.server.removeprefix("https://"), context=plane.tls, timeout=60)
        for i in range(first, first + each):
            body = {
                "apiVersion": "keywright.dev/v1alpha1",
                "kind": "ApiKey",
                "metadata": {"name": f"broken-{i:04}"},
                "spec": {
                    "issuerRef": {"name": "mistral"},
                    "workspace": workspace,
                    "target": {"secret": {"name": f"broken-{i:04}"}},
                },
            }
            connection.request("POST", path, json.dumps(body), headers)
            answer = connection.getresponse()
            said = answer.read()
            assert answer.status == 201, said
        connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(some, range(0, count, each)))


def first_key(guarded: Guarded) -> float:
    """Seconds from the creation of a namespace's first ApiKey to its Ready."""
    with guarded.a_team() as team:
        begun = time.monotonic()
        team.create()
        wait_for(lambda: team.condition().get("status") == "True", "the first key is Ready", pause=0.02)
        return time.monotonic() - begun


def is_not_delayed(alone: float, beside: list[float]) -> None:
    """The figure holds."""
    assert median(beside) - alone < MOST, (alone, beside)
    assert max(beside) < SLOWEST, (alone, beside)


@contextmanager
def a_noisy_team(guarded: Guarded) -> Iterator[Team]:
    """Whose thousands of ApiKeys are gone before anybody else is measured."""
    with guarded.a_team() as team:
        yield team

    def gone() -> bool:
        found = guarded.plane.call("GET", "/api/v1/namespaces")["items"]
        return team.namespace not in {one["metadata"]["name"] for one in found}

    wait_for(gone, f"{team.namespace} is gone", seconds=600, pause=1)


def test_thousands_of_broken_api_keys_delay_nobody_else(
    guarded: Guarded, record_property: Callable[[str, object], None]
):
    """Of an unknown workspace, while they are looked at for the first time and while they wait; measured beside the same without them."""
    alone = min(first_key(guarded) for _ in range(3))
    with a_noisy_team(guarded) as noisy:
        flood(noisy, MANY, "no-such-workspace")
        beside = [first_key(guarded) for _ in range(10)]
    record_property("first key alone, seconds", round(alone, 2))
    record_property("first keys beside 5,000 broken ones, seconds", [round(one, 2) for one in beside])
    is_not_delayed(alone, beside)


def test_an_issuer_that_never_answers_delays_nobody_else(
    guarded: Guarded, record_property: Callable[[str, object], None]
):
    """A thousand ApiKeys wait for it: on several issuers, so that no shared look spares any worker the wait."""
    alone = min(first_key(guarded) for _ in range(3))
    with never_answering() as url, a_noisy_team(guarded) as noisy:
        noisy.patch_issuer({"spec": {"mistral": {"url": url}}})
        for i in range(OTHERS):
            noisy.create_issuer(f"silent-{i}", url=url)
            noisy.create(f"silent-{i}", issuer=f"silent-{i}")
        flood(noisy, WAITING, "search-prod")
        beside = [first_key(guarded) for _ in range(10)]
    record_property("first key alone, seconds", round(alone, 2))
    record_property("first keys beside 1,100 that wait for issuers, seconds", [round(one, 2) for one in beside])
    is_not_delayed(alone, beside)
