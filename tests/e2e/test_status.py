"""`keywright status` and `why` as people run them: on a real control plane, beside an operator that works, or none."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from contextlib import contextmanager
from threading import Timer
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema_rs import Draft202012Validator
from tests.conftest import ROOT
from tests.e2e.reading import COMMAND, a_reader, keywright
from tests.e2e.team import GROUP, Team
from tests.e2e.together import Scenarios
from tests.running import PATIENCE, environment, wait_for
from tests.sinks import Alone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Plane

pytestmark = [pytest.mark.plane, pytest.mark.xdist_group("served")]
scenarios = Scenarios(alone=Alone("secret", "What a person is told has the same words wherever the key stands."))
SCHEMA = Draft202012Validator(json.loads((ROOT / "docs" / "status.schema.json").read_text(encoding="utf-8")))


def document(team: Team, *arguments: str) -> dict[str, Any]:
    """What is printed as JSON, which keeps to the published schema, and is the same as YAML but for the hour."""
    said = keywright(team, "status", *arguments, "-o", "json")
    assert said.returncode == 0, said.stderr
    found = json.loads(said.stdout)
    SCHEMA.validate(found)
    return found


def issuer_works(team: Team) -> None:
    """Wait until the issuer says so of itself: a key may be Ready before that, and taking hold of the issuer may come in between."""
    wait_for(lambda: team.issuer_ready().get("status") == "True", "the issuer says that it works")


@scenarios
def what_is_wrong_comes_first(team: Team):
    """One line of keys each, the trouble above them with its remedy, the numbers below; and no plaintext."""
    issuer_works(team)
    team.create("search")
    team.create("typo", workspace="serach-prod")
    team.ready("search")
    team.says("WorkspaceNotFound", "typo")
    said = keywright(team, "status")
    assert said.returncode == 0, said.stderr
    assert said.stderr == ""
    lines = said.stdout.splitlines()
    assert lines[0].startswith(f"✗ WorkspaceNotFound  {team.namespace}/typo")
    assert "search-prod" in lines[1], "the candidates"
    assert lines[2].startswith("  → Write one of the workspaces")
    table = lines.index(next(line for line in lines if line.startswith("NAME ")))
    first, second = (line.split() for line in lines[table + 1 : table + 3])
    assert first[:2] == ["search", "Ready"]
    assert first[2:6] == ["renews", "in", first[4], "d"]
    assert second[:3] == ["typo", "Stalled", "WorkspaceNotFound"]
    assert "2 ApiKeys: 1 ready, 0 renew within a week, 1 needs a person." in lines
    assert team.text() not in said.stdout
    found = document(team)
    assert found["summary"] == {"total": 2, "ready": 1, "renewWithinWeek": 0, "needPerson": 1}
    assert found["issuers"][0]["ready"] is True
    as_yaml = yaml.safe_load(keywright(team, "status", "-o", "yaml").stdout)
    assert as_yaml["apiKeys"] == found["apiKeys"]


@scenarios
def one_apikey_in_full(team: Team):
    """Key, workspace, times, older keys, conditions and events; and the same as a document."""
    issuer_works(team)
    team.create()
    team.ready()
    keywright(team, "rotate", "search", "--wait")
    status = team.ready(revision=2)
    wait_for(lambda: len([e for e in team.events() if e[0] == "Issued"]) == 2, "both events are written")
    said = keywright(team, "status", "search")
    assert said.returncode == 0, said.stderr
    for words in (
        f"{team.namespace}/search  Ready",
        f"Key         {status['maskedKey']}  {status['keyId']}",
        "Workspace   search-prod  ",
        "Issuer      keyissuer/mistral, which works",
        "Target      Secret search-key, data key api-key",
        f"Older key   {status['previous'][0]['keyId']}, until ",
        "Ready       True, Issued, for ",
        "Issued: Issued key ",
    ):
        assert words in said.stdout, said.stdout
    detail = document(team, "search")["apiKeys"][0]["detail"]
    assert detail["keyId"] == status["keyId"]
    assert len(detail["previous"]) == 1
    assert [e["reason"] for e in detail["events"]].count("Issued") == 2
    why = keywright(team, "why", "search")
    assert why.stdout.splitlines() == detail["why"]
    assert any(line.startswith("Older key") for line in detail["why"])


@scenarios
def an_issuer_in_trouble_is_one_problem(team: Team):
    """However many it holds up; its own condition and theirs are told together, the remedy once."""
    team.create_admin_secret("wrong", key="not-an-admin-key")
    team.create_issuer("wrong", adminKeySecretRef={"name": "wrong", "key": "admin-key"})
    for name in ("a", "b", "c", "d"):
        team.create(name, issuer="wrong")
    for name in ("a", "b", "c", "d"):
        team.says("AdminKeyRefused", name)

    def told() -> list[dict[str, Any]]:
        """The issuer's own status follows a moment later."""
        problems = document(team)["problems"]
        return problems if "source" in problems[0] else []

    [problem] = wait_for(told, "the issuer says what is wrong with it")
    assert problem["source"] == {"kind": "KeyIssuer", "namespace": team.namespace, "name": "wrong"}
    assert problem["notReady"] == 4
    text = keywright(team, "status").stdout
    assert text.count("→") == 1
    assert "and 1 more; 4 without a key that works" in text
    why = keywright(team, "why", "a").stdout
    assert "A person must act (AdminKeyRefused" in why
    assert "adminKeySecretRef" in why


@scenarios
def what_changes_is_followed(team: Team):
    """In a pipe, a line for each change, by watches; Ctrl-C ends it without a word, and the end of the one ApiKey by itself."""
    team.create()
    team.ready()
    with following(team) as fleet:
        told(fleet, "Operator:")
        team.create("later")
        masked = team.ready("later")["maskedKey"]
        told(fleet, f"{team.namespace}/later Ready: Key {masked} stands in")
        with following(team, "later") as one:
            told(one, "Operator:")
            team.delete("later")
            told(fleet, f"{team.namespace}/later is gone.")
            told(one, f"{team.namespace}/later is gone.")
            assert one.wait(PATIENCE) == 0
        fleet.send_signal(signal.SIGINT)
        assert fleet.wait(PATIENCE) == 130
        assert fleet.stderr is not None
        assert fleet.stderr.read() == ""


@contextmanager
def following(team: Team, *name: str) -> Iterator[subprocess.Popen[str]]:
    """`keywright status --watch` in a pipe, ended with the block."""
    command = (*COMMAND, "status", *name, "--watch", "--kubeconfig", str(team.plane.kubeconfig), "-n", team.namespace)
    environ = environment() | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ) as process:
        # Who waits for a line that never comes is told so by the end of all lines.
        too_long = Timer(3 * PATIENCE, process.kill)
        too_long.start()
        try:
            yield process
        finally:
            too_long.cancel()
            process.kill()


def told(process: subprocess.Popen[str], words: str) -> None:
    """Wait for a line with these words; an end before it is an error that shows why."""
    assert process.stdout is not None
    assert process.stderr is not None
    while words not in (line := process.stdout.readline()):
        assert line, process.stderr.read()


@scenarios
def a_terminal_is_painted_anew(team: Team):
    """In colours, in place, no line longer than it is wide; the new key is there without a Tab or a Return."""
    team.create()
    before = team.ready()["maskedKey"]
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = (*COMMAND, "status", "--watch", "--kubeconfig", str(team.plane.kubeconfig), "-n", team.namespace)
    environ = environment() | {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=subprocess.PIPE, env=environ) as process:
        os.close(slave)
        try:
            assert before in painted(master, before)
            team.annotate("search", rotate="1")
            after = team.ready(revision=2)["maskedKey"]
            picture = painted(master, after)
            assert "\x1b[2K" in picture, "in place"
            assert max(len(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line)) for line in picture.split("\r\n")) <= 80
        finally:
            process.kill()
            os.close(master)


def painted(terminal: int, words: str) -> str:
    """All that appears until these words do."""
    seen = b""
    deadline = time.monotonic() + PATIENCE
    while words.encode() not in seen:
        left = deadline - time.monotonic()
        assert left > 0, seen.decode(errors="replace")
        assert select.select([terminal], [], [], left)[0], seen.decode(errors="replace")
        seen += os.read(terminal, 4096)
    return seen.decode(errors="replace")


@scenarios
def who_may_not_list_is_told_which_right_is_missing(team: Team):
    """The verb, the resource, the namespace and the role; with that role, all is there, and nobody is told of rights not needed."""
    team.create()
    team.ready()
    with a_reader(team, None) as nobody, a_reader(team, "keywright-view", "viewer") as viewer:
        for command, verb in ((("status",), "list"), (("status", "search"), "get"), (("why", "search"), "get")):
            said = keywright(team, *command, kubeconfig=nobody)
            assert (said.returncode, said.stdout) == (1, "")
            assert said.stderr == (
                f"keywright: you may not {verb} apikeys.keywright.dev in namespace {team.namespace}: "
                "ask for the ClusterRole keywright-view\n"
            )
        everywhere = keywright(team, "status", "-A", kubeconfig=viewer)
        assert everywhere.returncode == 1
        assert (
            "in all namespaces: ask for the ClusterRole keywright-view, or name a namespace with -n"
            in everywhere.stderr
        )
        said = wait_for(
            lambda: (seen := keywright(team, "status", kubeconfig=viewer)).returncode == 0 and seen, "the role counts"
        )
        assert "all ready" in said.stdout
        assert "you may not list cluster" not in said.stdout
        assert "Events: you may not list them" in keywright(team, "status", "search", kubeconfig=viewer).stdout
        team.create("wide", issuerRef={"kind": "ClusterKeyIssuer", "name": "mistral"})
        said = keywright(team, "status", kubeconfig=viewer)
        assert said.stdout.splitlines()[-1] == (
            "you may not list clusterkeyissuers.keywright.dev: ask for the ClusterRole keywright-cluster-issuers."
        )


@scenarios
def a_name_that_is_none_is_one_line(team: Team):
    """Status 1; a namespace without any is no failure."""
    for command in ("status", "why"):
        said = keywright(team, command, "serach")
        assert (said.returncode, said.stdout) == (1, "")
        assert said.stderr == (
            f"keywright: there is no ApiKey serach in namespace {team.namespace}: correct the name, or give the namespace with -n\n"
        )
    empty = keywright(team, "status")
    assert empty.returncode == 0
    assert empty.stdout.startswith(f"There are no ApiKeys in namespace {team.namespace}; -A looks in all.")


@pytest.mark.parametrize("scenario", scenarios.names)
def test_status(scenario: str, outcome: Callable[[Scenarios, str], None]):
    """What the scenario's own sentence says."""
    outcome(scenarios, scenario)


def test_where_no_operator_works_that_is_said_first(plane: Plane, namespace: str):
    """A status in which something was due an hour ago, and an ApiKey that waits to be let go: nobody is there to do it."""
    team = Team(plane, None, namespace)  # type: ignore[arg-type]  # no platform is asked
    for name in ("late", "left"):
        team.create(name, expiry=None)
    status = {
        "observedGeneration": 1,
        "keyId": "key-1",
        "maskedKey": "abcd...wxyz",
        "expiresAt": "2126-01-01T00:00:00Z",
        "next": {"action": "Renew", "at": "2026-01-01T00:00:00Z", "reason": "The renewal time comes."},
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "Issued",
                "message": "Key abcd...wxyz stands in Secret late-key.",
                "lastTransitionTime": "2025-01-01T00:00:00Z",
            }
        ],
    }
    path = f"{GROUP}/namespaces/{namespace}/apikeys/late/status"
    plane.call("PATCH", path, {"status": status}, content_type="application/merge-patch+json")
    with a_reader(team, "keywright-view") as viewer:  # who may not read the Lease of another test on this plane
        said = wait_for(
            lambda: (seen := keywright(team, "status", kubeconfig=viewer)).returncode == 0 and seen, "the role counts"
        )
        lines = said.stdout.splitlines()
        assert lines[0].startswith("✗ NotObserved  ")
        assert lines[1].startswith("  No operator seems to work. Nobody has answered what was due (Renew)")
        assert lines[2].startswith(
            "  → Look whether the operator runs: kubectl -n keywright-system get deployment,lease"
        )
        assert "No operator seems to work on it." in keywright(team, "why", "late", kubeconfig=viewer).stdout
        assert "No operator has looked at it yet" in keywright(team, "why", "left", kubeconfig=viewer).stdout
