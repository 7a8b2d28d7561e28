"""`keywright sweep` as a person runs it: on a real control plane, beside an operator, at the sandbox."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.team import GROUP, Team
from tests.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Plane
    from tests.running import Operator, Sandbox

pytestmark = [pytest.mark.plane, pytest.mark.xdist_group("ends")]


class Person:
    """Somebody at a shell with the cluster's admin kubeconfig, or another."""

    def __init__(self, team: Team, kubeconfig: Path | None = None) -> None:
        self._team = team
        self._kubeconfig = kubeconfig or team.plane.kubeconfig

    def sweep(self, *arguments: str, answer: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run it for this team's cluster id; with an `answer` stdin is a terminal on which that is typed."""
        namespace = self._team.namespace
        command = (sys.executable, "-m", "keywright", "sweep", "--kubeconfig", str(self._kubeconfig), "-n", namespace)
        command += ("--cluster-id", namespace[-8:], "--allow-insecure-issuers", *arguments)
        with typed(answer) as stdin:
            return subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False, timeout=120)

    def strays(self) -> dict[str, dict[str, Any]]:
        """By key id, as a program reads them."""
        return {stray["keyId"]: stray for stray in json.loads(self.sweep("-o", "json").stdout)["strays"]}


@contextmanager
def typed(answer: str | None) -> Iterator[int]:
    """A file descriptor to be read: a terminal's, or nothing at all."""
    if answer is None:
        yield subprocess.DEVNULL
        return
    ours, theirs = pty.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        yield theirs
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.fixture
def team(plane: Plane, sandbox: Sandbox, namespaced_operator: Callable[[str], Operator]) -> Iterator[Team]:
    """With an operator of its own, and so a cluster id of its own."""
    with plane.a_namespace() as namespace:
        team = Team(plane, sandbox, namespace, namespaced_operator(namespace))
        team.create_admin_secret()
        team.create_issuer(spec={"inventoryInterval": "5s"})
        yield team


def a_stray(team: Team) -> tuple[str, str]:
    """Id and plaintext of a key that a status named until somebody wiped it; its successor stands in the Secret."""
    team.create()
    old = team.ready()["keyId"]
    plaintext = team.text()
    team.annotate("search", rotate="now")
    team.ready(revision=2)
    team.plane.kubectl(
        "-n",
        team.namespace,
        "patch",
        "apikey",
        "search",
        "--subresource=status",
        "--type=merge",
        "-p",
        '{"status":null}',
    )
    wait_for(lambda: team.status().get("keyId") not in (None, old), "the key in the Secret is adopted")
    return old, plaintext


def issuer_status(team: Team) -> dict[str, Any]:
    """The KeyIssuer's."""
    return team.plane.call("GET", f"{GROUP}/namespaces/{team.namespace}/keyissuers/mistral").get("status") or {}


def test_a_stray_is_reported_found_and_revoked_by_a_person_alone(team: Team):
    """A wiped status leaves one: the KeyIssuer counts it, an event names it, sweep shows why, and ends it once told to."""
    person = Person(team)
    assert person.sweep("--exit-code").returncode == 0
    old, plaintext = a_stray(team)
    wait_for(lambda: issuer_status(team).get("strays") == 1, "the KeyIssuer counts it")
    [message] = wait_for(
        lambda: [words for reason, words in team.events("mistral") if reason == "StrayKey"], "an event names it"
    )
    assert old in message
    assert f"keywright sweep -n {team.namespace} --issuer keyissuer/mistral" in message
    assert team.operator is not None
    [(labels, count)] = team.operator.series("keywright_stray_keys")
    assert (labels, count) == ({"kind": "KeyIssuer", "namespace": team.namespace, "name": "mistral"}, 1)

    shown = person.sweep("--exit-code", "--issuer", "mistral")
    assert shown.returncode == 1
    [header, line] = shown.stdout.splitlines()
    assert " ".join(header.split()) == "KEY ID KEY NAME WORKSPACE CREATED EXPIRES LAST USED ISSUER WHY"
    assert line.startswith(old)
    assert f"ApiKey {team.namespace}/search names another key" in line
    assert "search-prod" in line
    assert plaintext not in shown.stdout + shown.stderr
    assert "--revoke ends them" in shown.stderr
    assert person.strays()[old]["workspace"]["name"] == "search-prod"

    assert person.sweep("--revoke").returncode == 2, "nobody can answer"
    refused = person.sweep("--revoke", answer="n")
    assert refused.returncode == 1
    assert refused.stderr.endswith("Nothing was revoked.\n")
    assert "Used at some time: 1 of 1." in refused.stderr
    assert team.sandbox.accepts(plaintext)
    done = person.sweep("--revoke", answer="y")
    assert done.returncode == 0, done.stderr
    assert f"Revoked key {old}." in done.stdout
    assert not team.sandbox.accepts(plaintext)
    assert team.sandbox.accepts(team.text()), "the key in the Secret works on"
    nothing = person.sweep("--exit-code")
    assert (nothing.returncode, nothing.stdout) == (0, f"No strays of cluster {team.namespace[-8:]}.\n")
    wait_for(lambda: issuer_status(team).get("strays") == 0, "the KeyIssuer counts none")


def test_a_retained_key_is_listed_apart_and_survives(team: Team):
    """U9, with a stray beside it that is revoked without a question."""
    team.create("kept", deletionPolicy="Retain")
    kept = team.ready("kept")["keyId"]
    plaintext = team.text("kept-key")
    team.delete("kept")
    team.gone("kept")
    old, _ = a_stray(team)
    shown = Person(team).sweep()
    strays, _, retained = shown.stdout.partition("Left on purpose (deletionPolicy: Retain), never swept:")
    assert old in strays
    assert kept not in strays
    assert kept in retained
    assert f"{team.namespace}/kept-key" in retained
    done = json.loads(Person(team).sweep("--revoke", "--yes", "-o", "json").stdout)
    assert [(stray["keyId"], stray["outcome"]) for stray in done["strays"]] == [(old, "revoked")]
    assert [one["keyId"] for one in done["retained"]] == [kept]
    assert team.sandbox.accepts(plaintext)


def test_where_there_are_stores_it_says_that_vault_is_not_read(team: Team):
    """A key that Retain left there is among the strays: said before anybody is asked, and only where there are strays."""
    store = {"address": "https://vault.invalid:8200", "auth": {"kubernetes": {"role": "none"}}}
    body = {"apiVersion": "keywright.dev/v1alpha1", "kind": "VaultStore", "metadata": {"name": "vault"}, "spec": store}
    team.plane.call("POST", f"{GROUP}/namespaces/{team.namespace}/vaultstores", body)
    assert "Vault" not in Person(team).sweep().stderr
    a_stray(team)
    said = Person(team).sweep("--revoke", answer="n").stderr
    assert said.index("paths in Vault are not read") < said.index("Revoke this key?")
    assert "vaultstore/" in said


def test_a_caller_who_sees_one_namespace_only_revokes_nothing(team: Team, tmp_path: Path):
    """Under the rights of manifests/namespaced: shown, with a warning; another namespace might hold the key."""
    old, plaintext = a_stray(team)
    limited = Person(team, tmp_path / "kubeconfig")
    shown = limited.sweep()
    assert shown.returncode == 0, shown.stderr
    assert old in shown.stdout
    assert f"in namespace {team.namespace} only" in shown.stderr
    refused = limited.sweep("--revoke", "--yes")
    assert refused.returncode == 1
    assert "needs the right to list ApiKeys and Secrets in all namespaces" in refused.stderr
    assert team.sandbox.accepts(plaintext)


def test_what_cannot_be_looked_at_is_said_in_a_line(team: Team):
    """An admin key that is refused, an issuer that is not there: status 1, no traceback, the strays of the others shown."""
    old, _ = a_stray(team)
    team.create_admin_secret("wrong", key="x" * 32)
    team.create_issuer("broken", adminKeySecretRef={"name": "wrong", "key": "admin-key"})
    said = Person(team).sweep()
    assert said.returncode == 1
    assert old in said.stdout
    assert "keyissuer/broken in" in said.stderr
    assert "Traceback" not in said.stderr
    absent = Person(team).sweep("--issuer", "absent")
    assert absent.returncode == 1
    [line] = absent.stderr.splitlines()
    assert "there are: keyissuer/broken, keyissuer/mistral" in line
