"""kill -9 in the middle of it: what was acknowledged is there afterwards."""

from __future__ import annotations

import http.client
import json
import threading

import pytest
from tests.running import wait_for

pytestmark = pytest.mark.slow

WRITERS = 8
ROUNDS = 3
ACKNOWLEDGED = 150
"""Keys in each round before the kill."""


class Writer(threading.Thread):
    """Creates keys over one connection until it breaks, and keeps those that were acknowledged."""

    def __init__(self, sandbox, body, acknowledged):
        super().__init__(daemon=True)
        self.host, self.key, self.body = sandbox.url.removeprefix("http://"), sandbox.admin_key, json.dumps(body)
        self.acknowledged = acknowledged

    def run(self):
        """Until the connection breaks."""
        connection = http.client.HTTPConnection(self.host, timeout=60)
        headers = {"x-api-key": self.key, "Content-Type": "application/json"}
        try:
            while True:
                connection.request("POST", "/v1/admin/api-keys", self.body, headers)
                answer = connection.getresponse()
                self.acknowledged.append(json.loads(answer.read())["key"])
        except (http.client.HTTPException, OSError, ValueError):
            return  # killed
        finally:
            connection.close()


def test_no_acknowledged_key_is_lost(a_process):
    """Killed three times while eight clients create keys: every key that a client has seen works afterwards."""
    sandbox = a_process()
    acknowledged = []
    for round_ in range(1, ROUNDS + 1):
        sandbox.start()
        _, workspaces = sandbox.call("GET", "/v1/admin/workspaces")
        _, users = sandbox.call("GET", "/v1/admin/users")
        body = {"workspace_uuid": workspaces["items"][0]["uuid"], "user_id": users["members"][0]["uuid"]}
        writers = [Writer(sandbox, body, acknowledged) for _ in range(WRITERS)]
        for writer in writers:
            writer.start()
        wait_for(lambda wanted=round_ * ACKNOWLEDGED: len(acknowledged) >= wanted, "keys are acknowledged", pause=0.001)
        sandbox.kill()
        for writer in writers:
            writer.join()
    sandbox.start()
    assert all(sandbox.accepts(key) for key in acknowledged)
    _, listed = sandbox.call("GET", f"/v1/admin/api-keys?limit={10 * len(acknowledged)}")
    assert len(listed["keys"]) >= len(acknowledged) == len(set(acknowledged))
    assert sandbox.stop() == 0
