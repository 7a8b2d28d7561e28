"""The sandbox held to the reference's OpenAPI document by schemathesis: every operation, phase and check."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from tests.sandbox.contract import contract, operations, reference

pytestmark = pytest.mark.slow

EXAMPLES = 120
"""Requests of each kind for each operation: about 15 s on an idle machine."""

PATIENCE = 600
"""Seconds; the machine may be busy."""

NEEDED = [
    "--checks=all",
    # Not a check of the list: an answer that takes this many seconds has hung.
    "--max-response-time=30",
    "--request-timeout=60",
    # How long a machine takes to think of a request says nothing of the sandbox.
    "--suppress-health-check=too_slow",
    "--mode=all",
    "--phases=examples,coverage,fuzzing,stateful",
    "--warnings=missing_auth,missing_test_data,validation_mismatch,unused_openapi_auth,method_not_allowed",
]
"""`all` leaves nothing out, but two checks have nothing to look at. object_level_authorization compares what two users
see, and an Admin API key stands for one organization, which is all there is. use_after_free reads by its id what was
deleted, and the reference can read neither a key nor a Workspace by its id: test_api_keys.py and test_workspaces.py hold
that the deleted is gone."""


@pytest.fixture
def sandbox(a_process):
    """The real command, serving."""
    running = a_process()
    running.start()
    yield running
    assert running.stop() == 0


def test_every_operation_keeps_the_reference_under_every_check(sandbox, tmp_path):
    """schemathesis, with valid keys and ids that exist among what it makes up, finds nothing in any phase."""
    document = tmp_path / "contract.json"
    document.write_text(json.dumps(contract()))
    settings = tmp_path / "schemathesis.toml"
    settings.write_text(toml(settings_for(sandbox)))
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "schemathesis.cli",
            f"--config-file={settings}",
            "run",
            str(document),
            f"--url={sandbox.url}",
            "--no-color",
            *NEEDED,
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-10_000:] + ran.stderr[-2_000:]
    assert f"Tested: {len(operations(reference()))}\n" in ran.stdout, ran.stdout[-3_000:]
    assert "Traceback" not in sandbox.said()


def settings_for(sandbox):
    """Schemathesis' configuration: the keys, and ids that exist, given often but not always."""
    _, workspaces = sandbox.call("GET", "/v1/admin/workspaces")
    _, users = sandbox.call("GET", "/v1/admin/users")
    default = next(one["uuid"] for one in workspaces["items"] if one["is_default"])
    user = users["members"][0]["uuid"]

    def a_key(number):
        return sandbox.call("POST", "/v1/admin/api-keys", {"name": f"no {number}", **owner})[1]

    def a_workspace(number):
        return sandbox.call("POST", "/v1/admin/workspaces", {"name": f"no {number}", "admin_user_id": user})[1]

    owner = {"workspace_uuid": default, "user_id": user}
    ordinary = a_key(0)["key"]
    given = {
        "default": [default],
        "users": [one["uuid"] for one in users["members"]],
        "workspaces": [a_workspace(number)["uuid"] for number in range(50)],
        "keys": [a_key(number)["key_id"] for number in range(50)],
    }
    taken = {
        "body.user_id": "users",
        "body.admin_user_id": "users",
        "body.workspace_uuid": "default",
        "path.user_id": "users",
        "path.workspace_uuid": "workspaces",
        "path.key_id": "keys",
        "query.workspace_id": "default",
    }
    return {
        "auth.openapi.AdminApiKey": {"bearer": sandbox.admin_key},
        "auth.openapi.ApiKey": {"bearer": ordinary},
        "auth.openapi.DashboardUserContextAuth": {"api_key": ordinary},
        "warnings": {"fail-on": True},
        "generation": {"max-examples": EXAMPLES, "deterministic": True},
        **{f"dictionaries.{name}": {"values": values} for name, values in given.items()},
        **{f'parameters."{name}"': {"dictionary": values, "probability": 0.7} for name, values in taken.items()},
    }


def toml(sections):
    """Enough of TOML for it: its strings, lists, numbers and booleans are JSON's."""
    return "\n".join(
        f"[{section}]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
        for section, values in sections.items()
    )
