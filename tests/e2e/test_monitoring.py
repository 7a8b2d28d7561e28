"""A real Prometheus over a real operator with a busy fleet.

The series are well made, each panel of the dashboard has data, and the alert rules meet the labels that there are.
"""

from __future__ import annotations

import json
import math
import re
import secrets
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.e2e.conftest import operator_of
from tests.e2e.team import GROUP, Team
from tests.e2e.vault_team import LOOK
from tests.monitoring.test_alerts import RULES
from tests.monitoring.test_dashboard import PANELS
from tests.monitoring.tools import program
from tests.running import Program, wait_for
from tests.vaults import vault_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Plane
    from tests.running import Sandbox

    Samples = list[tuple[dict[str, str], float]]

pytestmark = [pytest.mark.plane, pytest.mark.xdist_group("monitoring")]


EVERY = "2s"
"""Between two scrapes, and as long as one may take."""


class Prometheus(Program):
    """Scrapes one operator again and again, as the PodMonitor has it done, with the alert rules."""

    def __init__(self, folder: Path, target: str) -> None:
        """`target`: HOST:PORT."""
        folder.mkdir()
        self.address = ""
        scrape = {"job_name": "keywright", "honor_labels": True, "static_configs": [{"targets": [target]}]}
        every = {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": EVERY}
        config = {"global": every, "scrape_configs": [scrape], "rule_files": ["rules.yaml"]}
        (folder / "rules.yaml").write_text(yaml.safe_dump(RULES))
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        super().__init__(("prometheus",), folder / "log")
        self._folder = folder

    def start(self) -> None:
        """Begin; returns when it listens."""
        super().start()
        self.address = self.says(r'msg="Listening on" address=(\S+)')[1]

    def spawn(self) -> subprocess.Popen[bytes]:
        """Debian's."""
        command = (
            program(*self.command),
            f"--config.file={self._folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            "--web.listen-address=127.0.0.1:0",
        )
        with self.log.open("ab") as said:
            return subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)

    def ask(self, query: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each sample that a query finds now."""
        url = f"http://{self.address}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                found = json.load(answer)["data"]["result"]
        except ConnectionError as error:
            raise AssertionError(self.said()[-2000:]) from error
        return [(sample["metric"], float(sample["value"][1])) for sample in found]

    def is_up(self) -> bool:
        """Whether it has scraped the operator."""
        try:
            return values(self.ask("up")) == [1]
        except urllib.error.HTTPError:  # it listens, and is not ready
            return False


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For all that runs here."""
    return tmp_path_factory.mktemp("monitoring")


@pytest.fixture(scope="module")
def team(plane: Plane, sandbox: Sandbox, folder: Path) -> Iterator[Team]:
    """A namespace with an operator of its own, that Prometheus looks at, and a fleet to which everything happens once."""
    for name in ("promtool", "prometheus"):
        program(name)
    with plane.a_namespace() as namespace:
        flags = ("--min-interval", "1s", "--usage-interval", "1s", "--metrics-apikeys", "3")
        operator = operator_of(plane, namespace, folder, *flags)
        operator.start()
        team = Team(plane, sandbox, namespace, operator)
        live_a_little(team)
        yield team
        assert operator.stop() == 0
        assert "Traceback" not in operator.said()


@pytest.fixture(scope="module")
def prometheus(team: Team, folder: Path) -> Iterator[Prometheus]:
    """One that has scraped the fleet."""
    assert team.operator
    prometheus = Prometheus(folder / "prometheus", urllib.parse.urlsplit(team.operator.metrics).netloc)
    try:
        prometheus.start()
        wait_for(prometheus.is_up, "Prometheus has scraped the operator")
        yield prometheus
    finally:
        prometheus.stop()


def live_a_little(team: Team) -> None:
    """Keys in Secrets and in Vault, one that is rotated, one that is revoked, one that waits for a person, and a stray."""
    team.create_admin_secret()
    team.create_issuer(spec={"inventoryInterval": "10s"})
    vault = vault_of(team.plane)
    vault.allow(team.namespace, f"{team.namespace}/")
    team.create_admin_secret("vault-token", vault.a_token(team.namespace), "token")
    store = {
        "metadata": {"name": "vault"},
        "spec": {
            "address": vault.address,
            "prefix": "{namespace}/",
            "checkInterval": LOOK,
            "auth": {"tokenSecretRef": {"name": "vault-token", "key": "token"}},
        },
    }
    team.plane.call(
        "POST",
        f"{GROUP}/namespaces/{team.namespace}/vaultstores",
        {"apiVersion": "keywright.dev/v1alpha1", "kind": "VaultStore", **store},
    )
    for name in ("one", "two", "three", "leaving"):
        team.create(name)
    team.create("stored", target={"vault": {"storeRef": {"name": "vault"}, "path": "mistral"}})
    team.create("restarting", rotation={"restart": [{"kind": "Deployment", "name": "nowhere"}]})
    team.create("stalled", workspace="nowhere")
    for name in ("one", "two", "three", "leaving", "stored", "restarting"):
        team.ready(name)
    team.says("WorkspaceNotFound", "stalled", of_type="Stalled")
    stray(team)


def stray(team: Team) -> None:
    """A key with this cluster's tag that nothing names."""
    _, found = team.sandbox.call("GET", "/v1/admin/workspaces?page=1&page_size=100")
    _, people = team.sandbox.call("GET", "/v1/admin/users?page=1&page_size=100")
    status, _ = team.sandbox.call(
        "POST",
        "/v1/admin/api-keys",
        {
            "name": f"gone [kw/{team.namespace[-8:]}/{secrets.token_hex(4)}/{secrets.token_hex(4)}]",
            "workspace_uuid": found["items"][0]["uuid"],
            "user_id": people["members"][0]["uuid"],
            "expiration": None,
        },
    )
    assert status in (200, 201), status


def values(samples: Samples) -> list[float]:
    """Of a query."""
    return [value for _, value in samples]


def label(name: str) -> Callable[[Samples], set[str]]:
    """All values of a label."""
    return lambda samples: {labels[name] for labels, _ in samples}


SAID: dict[str, tuple[Callable[[Samples], Any], Any]] = {
    "keywright_leader": (values, [1]),
    'keywright_keys{state="stray"}': (values, [1]),
    'keywright_keys{state="current"}': (values, [5]),
    'keywright_apikeys{ready="True"}': (values, [5]),
    "keywright_apikeys_stalled": (label("reason"), {"WorkspaceNotFound"}),
    "keywright_apikey_expiry_timestamp_seconds": (len, 3),
    'keywright_keys_issued_total{reason="Compromised"}': (values, [1]),
    'keywright_keys_revoked_total{reason="Deleting"}': (values, [1]),
    'keywright_deliveries_total{target="Vault"} >= bool 1': (values, [1]),
    "keywright_workspace_usage": (label("workspace"), {"search-prod"}),
}
"""What is so once all has happened: queries, what is looked at in their samples, and what that is."""


def comes_to(wanted: Any, ask: Callable[[], Any]) -> None:
    """Wait for this answer: a scrape tells later than a status, and one that a busy machine misses tells nothing."""
    answers: list[Any] = []

    def is_so() -> bool:
        answers[:] = [ask()]
        return answers == [wanted]

    with suppress(AssertionError):
        wait_for(is_so, "that answer", pause=2)
    assert answers == [wanted]


def test_every_panel_has_data(team: Team, prometheus: Prometheus):
    """Each query of each panel finds at least one number; and the first row says what is so."""
    team.annotate("one", compromised="now")
    team.annotate("restarting", rotate="now")
    team.delete("leaving")
    team.gone("leaving")
    for name in ("one", "restarting"):
        team.ready(name, revision=2)

    def empty() -> list[str]:
        queries = {
            (title, target["expr"]): target["expr"].replace("$job", ".*").replace("$__rate_interval", "10m")
            for title, panel in PANELS.items()
            for target in panel["targets"]
        }
        return [
            f"{title}: {expr}"
            for (title, expr), query in queries.items()
            if not any(math.isfinite(value) for _, value in prometheus.ask(query))
        ]

    comes_to([], empty)
    said = {query: right for query, (_, right) in SAID.items()}
    comes_to(said, lambda: {query: of(prometheus.ask(query)) for query, (of, _) in SAID.items()})


def test_the_rules_meet_the_labels_that_there_are(team: Team, prometheus: Prometheus):
    """What waits for a person is an alert to be, with its reason; of what is well there is none."""

    def pending() -> set[str]:
        return {labels["alertname"] for labels, _ in prometheus.ask("ALERTS")}

    # One scrape that a busy machine misses has the absent operator's alert pending for a moment.
    comes_to({"KeywrightApiKeysStalled"}, lambda: pending() - {"KeywrightStrayKeys"})
    stalled = wait_for(lambda: prometheus.ask('ALERTS{alertname="KeywrightApiKeysStalled"}'), "it is still")
    assert [(labels["reason"], labels["alertstate"]) for labels, _ in stalled] == [("WorkspaceNotFound", "pending")]


def test_the_series_are_well_made(team: Team):
    """Promtool finds nothing to say about a scrape of a busy operator: names, types, units and help."""
    assert team.operator
    with urllib.request.urlopen(team.operator.metrics, timeout=60) as answer:  # noqa: S310 -- loopback
        scrape = answer.read().decode()
    done = subprocess.run(
        (program("promtool"), "check", "metrics"), input=scrape, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    assert len(re.findall(r"^# TYPE keywright_", scrape, re.MULTILINE)) > 30
    assert team.sandbox.admin_key not in scrape
