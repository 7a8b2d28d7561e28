"""What kubectl alone tells: the columns, a description that is a whole story, conditions to wait for; and keywright as its plugin."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.reading import run
from tests.e2e.together import Scenarios
from tests.running import environment, wait_for
from tests.sinks import Alone

from keywright import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.team import Team

pytestmark = [pytest.mark.plane, pytest.mark.xdist_group("served")]
scenarios = Scenarios(alone=Alone("secret", "What a person is told has the same words wherever the key stands."))

TELLS_WHAT_TO_DO = re.compile(
    r"\b(?:write|correct|create|remove|annotate|put|add|mend|name|use|ask|set|choose|revoke|there are|delete|raise|grant)\b",
    re.IGNORECASE,
)
BROKEN: dict[str, dict[str, Any]] = {
    "WorkspaceNotFound": {"workspace": "serach-prod"},
    "IssuerNotFound": {"issuer": "mistrall"},
    "ExpiryInPast": {"expiry": {"date": "2020-01-01"}},
    "TargetForeign": {"target": {"secret": {"name": "mistral-admin"}}},
    "ScheduleTooDense": {"rotation": {"schedule": "* * * * *"}},
    "StoreNotFound": {"target": {"vault": {"storeRef": {"name": "none"}, "path": "a/b"}}},
}
"""ApiKeys of which each is refused for another reason."""


@scenarios
def the_columns_are_those_of_the_interface(team: Team):
    """In their order; times in the future are readable, the key is masked."""
    team.create()
    status = team.ready()
    get = ("-n", team.namespace, "get", "ak")
    header, row = team.plane.kubectl(*get).splitlines()
    assert header.split() == ["NAME", "READY", "WORKSPACE", "KEY", "EXPIRES", "RENEWS", "AGE"]
    assert row.split()[:6] == [
        "search",
        "True",
        "search-prod",
        status["maskedKey"],
        status["expiresAt"],
        status["renewalTime"],
    ]
    header, row = team.plane.kubectl(*get, "-o", "wide").splitlines()
    assert re.split(r" {2,}", header.strip())[6:] == ["AGE", "REASON", "LAST USED", "REVISION", "ISSUER", "TARGET"]
    assert row.split()[-3:] == ["1", "mistral", "search-key"]


@scenarios
def a_description_is_a_whole_story(team: Team):
    """Where the key is, until when, what comes next, and what has happened."""
    team.create()
    status = team.ready()
    wait_for(lambda: any(reason == "Issued" for reason, _ in team.events()), "the event is written")
    said = team.plane.kubectl("-n", team.namespace, "describe", "ak", "search")
    for words in (
        f"Message:               Key {status['maskedKey']} stands in Secret search-key and works until ",
        "Reason:                Issued",
        f"Masked Key:     {status['maskedKey']}",
        "Action:          Renew",
        "Events:",
        "Issued  ",
    ):
        assert re.sub(r" +", " ", words) in re.sub(r" +", " ", said), said
    assert team.text() not in said


@scenarios
def it_can_be_waited_for(team: Team):
    """By the condition, as pipelines do."""
    team.create()
    team.plane.kubectl("-n", team.namespace, "wait", "--for=condition=Ready", "--timeout=100s", "ak/search")
    assert team.sandbox.accepts(team.text())


@scenarios
def whatever_is_refused_says_what_to_do(team: Team):
    """The Stalled condition's message is a sentence with a remedy, which kubectl describe shows."""
    for reason, spec in BROKEN.items():
        team.create(reason.lower(), **spec)
    for reason in BROKEN:
        name = reason.lower()
        team.says(reason, name, of_type="Stalled")  # until its watch tells of the issuer, there is none
        stalled = team.condition(name, "Stalled")
        assert stalled["status"] == "True"
        assert TELLS_WHAT_TO_DO.search(stalled["message"]), stalled
        assert team.condition(name)["message"] == stalled["message"]
        said = " ".join(team.plane.kubectl("-n", team.namespace, "describe", "ak", name).split())
        assert " ".join(stalled["message"].split()) in said


@scenarios
def keywright_is_a_plugin_of_kubectl(team: Team):
    """It is found on the PATH, and says what may follow the words of a line."""
    team.create()
    team.ready()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environ = {"PATH": path, "KUBECONFIG": str(team.plane.kubeconfig)}
    assert run("kubectl", "keywright", "version", **environ).stdout == f"keywright {__version__}\n"
    said = run("kubectl", "keywright", "status", "-n", team.namespace, **environ)
    assert said.returncode == 0, said.stderr
    assert "1 ApiKey: all ready" in said.stdout
    assert run("kubectl", "keywright", "why", "none", "-n", team.namespace, **environ).returncode == 1
    completing = (sys.executable, "-c", "from keywright.cli import complete_for_kubectl as c; c()")
    for words, offered in (
        (("why", "-n", team.namespace, "se"), "search"),
        (("status", "-n", team.namespace, ""), "search"),
        (("rotate", "-n", team.namespace, "search", ""), None),
        (("sweep", "-n", team.namespace, "--issuer", "key"), "keyissuer/mistral"),
        (("status", "-n", team.namespace[:8]), team.namespace),
    ):

        def complete(words: tuple[str, ...] = words) -> list[str]:
            command = (*completing, *words)
            said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment() | environ)
            *lines, last = said.stdout.splitlines()
            assert last == ":4"
            return lines

        if offered:
            # It waits for the cluster as long as whoever presses Tab: a busy machine takes longer now and then.
            wait_for(lambda complete=complete, offered=offered: offered in complete(), f"{words} are completed")
        else:
            assert complete() == []


@pytest.mark.parametrize("scenario", scenarios.names)
def test_kubectl(scenario: str, outcome: Callable[[Scenarios, str], None]):
    """What the scenario's own sentence says."""
    outcome(scenarios, scenario)
