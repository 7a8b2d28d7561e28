"""`keywright rotate` as a person runs it: on a real control plane, beside an operator, at the sandbox."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.e2e.team import GROUP
from tests.e2e.together import Scenarios
from tests.running import wait_for
from tests.sinks import alone

from keywright.devcluster import write_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.team import Team

pytestmark = [pytest.mark.plane, pytest.mark.xdist_group("served")]
scenarios = Scenarios()


def rotate(team: Team, *arguments: str, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run it in a pipe; without the word of a terminal, whatever the environment says."""
    command = (sys.executable, "-m", "keywright", "rotate", "--kubeconfig", str(kubeconfig or team.plane.kubeconfig))
    command += ("-n", team.namespace, *arguments)
    said = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120)
    assert "\x1b" not in said.stdout + said.stderr, "a pipe gets no colours"
    assert "Traceback" not in said.stderr
    return said


def annotations(team: Team, name: str = "search") -> dict[str, str]:
    """What stands at the ApiKey."""
    obj = team.plane.call("GET", f"{GROUP}/namespaces/{team.namespace}/apikeys/{name}")
    return obj["metadata"].get("annotations") or {}


@scenarios
def it_waits_until_the_new_keys_stand(team: Team):
    """Two at once: status 0, a line for each on stdout, and at that moment the targets hold keys that work."""
    for name in ("search", "billing"):
        team.create(name)
    before = {name: team.ready(name)["keyId"] for name in ("search", "billing")}
    old = team.text()
    said = rotate(team, "search", "billing", "--wait")
    assert said.returncode == 0, said.stderr
    lines = sorted(said.stdout.splitlines())
    for name, line in zip(("billing", "search"), lines, strict=True):
        status = team.status(name)
        assert status["revision"] == 2
        assert status["handled"]["rotate"] == annotations(team, name)["keywright.dev/rotate"]
        assert status["keyId"] != before[name]
        assert line.startswith(
            f"{name}: Key {status['maskedKey']} stands in {team.called(f'{name}-key')}; the one before, "
        )
        assert team.sandbox.accepts(team.text(f"{name}-key"))
    assert team.sandbox.accepts(old), "the overlap"
    assert old not in said.stdout + said.stderr
    assert team.sandbox.posts(f"{team.namespace}/") == 4


@scenarios
def a_compromised_key_is_dead_when_it_returns(team: Team):
    """Those of an overlap, too."""
    team.create()
    team.ready()
    first = team.text()
    asked = rotate(team, "search")
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.startswith(f"search: Asked. A new key goes into {team.called('search-key')}; the current one, ")
    team.ready(revision=2)
    second = team.text()
    said = rotate(team, "search", "--compromised", "--wait")
    assert said.returncode == 0, said.stderr
    assert not team.sandbox.accepts(first)
    assert not team.sandbox.accepts(second)
    assert team.sandbox.accepts(team.text())
    assert "and one older key are revoked." in said.stdout


@scenarios
@alone("secret", "It ends before any target is looked at.")
def a_wrong_name_leaves_nothing_half_done(team: Team):
    """One sentence, status 1, and the right names are not asked for either."""
    team.create()
    team.ready()
    said = rotate(team, "search", "serach", "--wait")
    assert said.returncode == 1
    assert said.stdout == ""
    [line] = said.stderr.splitlines()
    assert line.startswith(f"keywright: there is no ApiKey serach in namespace {team.namespace}: ")
    assert annotations(team) == {}


@scenarios
def a_dry_run_changes_nothing(team: Team):
    """It says which key ends when, and what is in the way."""
    team.create(rotation={"overlap": "1h"})
    team.ready()
    team.patch("search", {"spec": {"suspend": True}})
    team.says("Suspended")
    said = rotate(team, "search", "--dry-run")
    assert said.returncode == 0, said.stderr
    [line, last] = said.stdout.splitlines()
    assert "works on until" in line
    assert "(rotation.overlap 1h). In the way: It is suspended: " in line
    assert last == "Nothing was changed (--dry-run)."
    leaked = rotate(team, "search", "--compromised", "--dry-run")
    assert "is revoked at once." in leaked.stdout
    assert annotations(team) == {}
    assert team.status()["revision"] == 1


@scenarios
@alone("secret", "It ends before any target is looked at.")
def a_suspended_one_is_not_waited_for(team: Team):
    """Status 1 with the remedy; the request stands, and costs one key once it is resumed."""
    team.create()
    team.ready()
    team.patch("search", {"spec": {"suspend": True}})
    team.says("Suspended")
    said = rotate(team, "search", "--wait")
    assert said.returncode == 1
    assert said.stdout == ""
    assert "keywright: search: It is suspended" in said.stderr
    assert "once spec.suspend is false" in said.stderr
    assert len(team.live_keys()) == 1
    team.patch("search", {"spec": {"suspend": False}})
    team.ready(revision=2)
    assert team.sandbox.posts(f"{team.namespace}/") == 2


@scenarios
@alone("secret", "It ends before any target is looked at.")
def who_may_not_patch_is_told_so(team: Team):
    """One line that names the right, status 1; nothing was asked for."""
    team.create()
    team.ready()
    base = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{team.namespace}"
    team.plane.call("POST", f"/api/v1/namespaces/{team.namespace}/serviceaccounts", {"metadata": {"name": "reader"}})
    rule = {"apiGroups": ["keywright.dev"], "resources": ["apikeys"], "verbs": ["get"]}
    team.plane.call("POST", f"{base}/roles", {"metadata": {"name": "reader"}, "rules": [rule]})
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": team.namespace}
    body = {"metadata": {"name": "reader"}, "roleRef": ref, "subjects": [subject]}
    team.plane.call("POST", f"{base}/rolebindings", body)
    token = team.plane.token_of(team.namespace, "reader")
    with tempfile.TemporaryDirectory() as folder:
        kubeconfig = Path(folder) / "kubeconfig"
        write_kubeconfig(kubeconfig, server=team.plane.server, ca_file=team.plane.ca_file, token=token)

        def forbidden() -> subprocess.CompletedProcess[str] | None:
            """The apiserver learns of the Role a moment later, and until then there is no right to look either."""
            said = rotate(team, "search", kubeconfig=kubeconfig)
            return said if "cannot patch" in said.stderr else None

        said = wait_for(forbidden, "the right to look is there, and the right to patch is not")
    assert said.returncode == 1
    [line] = said.stderr.splitlines()
    assert 'cannot patch resource "apikeys"' in line
    assert annotations(team) == {}


@pytest.mark.parametrize("scenario", scenarios.names)
def test_rotate(scenario: str, outcome: Callable[[Scenarios, str], None]):
    """What the scenario's own sentence says."""
    outcome(scenarios, scenario)
