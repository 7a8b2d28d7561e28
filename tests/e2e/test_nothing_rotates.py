"""Nothing else rotates: what happens to operators and ApiKeys every day costs no key. Counted at the platform, for each.

One namespace has ApiKeys of all sorts with Secrets and the same with paths in Vault, so that each disturbance meets both at once.

Here: restart, crash, upgrade, another leader, edits of metadata. Elsewhere, and counted there:
a backup restored, with and without status and Secret: tests/chaos/test_hands.py::restored_from_a_saved_copy;
a wiped status: tests/chaos/test_hands.py::a_status_that_is_wiped;
a status of a newer version: tests/chaos/test_versions.py::test_a_status_that_a_newer_version_wrote;
etcd restored to yesterday: tests/chaos/test_versions.py::test_etcd_restored_to_yesterday;
pruned and applied again under Retain: tests/e2e/test_life.py::retain_leaves_the_key_and_its_target_and_a_re_created_api_key_adopts_them.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import ROOT
from tests.e2e.conftest import operator_of
from tests.e2e.team import GROUP, MERGE
from tests.e2e.vault_team import TEAMS
from tests.running import wait_for
from tests.sinks import SINKS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Plane
    from tests.e2e.team import Team
    from tests.running import Operator, Sandbox

pytestmark = [pytest.mark.plane, pytest.mark.xdist_group("quiet")]

FLAGS = ("--leader-elect", "--lease-duration", "20s", "--min-interval", "1s")
"""The storm guard is out of the way: it would hide a key that is asked for. The lease outlasts a machine that stands still for a while."""
SORTS = ("plain", "scheduled", "dated", "triggered", "retained")
NAMES = tuple(f"{sort}-{sink}" for sort in SORTS for sink in SINKS)
TRIGGERED = tuple(name for name in NAMES if name.startswith("triggered"))


@dataclass
class Quiet:
    """A namespace whose ApiKeys are at rest, of all sorts in both sinks, and the operator that works. `team`: any of the `teams`."""

    teams: tuple[Team, ...]
    operator: Operator

    @property
    def team(self) -> Team:
        """For what has nothing to do with a target."""
        return self.teams[0]

    def accepted(self, name: str) -> bool:
        """Whether what stands in an ApiKey's target works."""
        [team] = (team for team in self.teams if name.endswith(team.sink))
        return team.sandbox.accepts(team.text(f"{name}-key"))

    def objects(self) -> dict[str, dict[str, Any]]:
        """By name."""
        items = self.team.plane.call("GET", f"{GROUP}/namespaces/{self.team.namespace}/apikeys")["items"]
        return {item["metadata"]["name"]: item for item in items}

    def keys(self) -> dict[str, tuple[str, int, list[str]]]:
        """What each ApiKey names: its key, the number of it, and the older ones."""
        return {
            name: (
                obj["status"]["keyId"],
                obj["status"]["revision"],
                [older["keyId"] for older in obj["status"].get("previous", ())],
            )
            for name, obj in self.objects().items()
        }

    def at_rest(self) -> bool:
        """Each is Ready for the spec as it is, and nothing is under way."""
        for obj in self.objects().values():
            status = obj["status"]
            conditions = {c["type"]: c["status"] for c in status.get("conditions", ())}
            current = status.get("observedGeneration") == obj["metadata"]["generation"]
            if not current or "attempt" in status or conditions != {"Ready": "True"}:
                return False
        return True

    def passes_since(self, moment: float) -> bool:
        """Whether the inventory has been taken since: the operator works, and has looked at every key."""
        series = self.operator.series("keywright_inventory_last_pass_timestamp_seconds")
        return any(value > moment for _, value in series)

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Whatever the block does: no key is asked for, each ApiKey names the same keys, and these live."""
        where = f"{self.team.namespace}/"
        keys, posts = self.keys(), self.team.sandbox.posts(where)
        live = {key["key_id"] for key in self.team.sandbox.live_keys(where)}
        yield
        for _ in range(2):
            moment = time.time()
            wait_for(lambda moment=moment: self.passes_since(moment), "the inventory is taken again")
        wait_for(self.at_rest, "all is at rest")
        assert self.team.sandbox.posts(where) == posts
        assert self.keys() == keys
        assert {key["key_id"] for key in self.team.sandbox.live_keys(where)} == live
        assert all(self.accepted(name) for name in NAMES)


@pytest.fixture(scope="module")
def quiet(plane: Plane, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quiet]:
    """One of each sort in each sink, one in an overlap; an operator under a lease, with the rights of manifests/namespaced alone."""
    with plane.a_namespace() as namespace:
        teams = tuple(TEAMS[sink](plane, sandbox, namespace) for sink in SINKS)
        teams[0].create_admin_secret()
        teams[0].create_issuer(spec={"inventoryInterval": "2s"})
        operator = operator_of(plane, namespace, tmp_path_factory.mktemp("quiet"), *FLAGS)
        operator.start()
        for team in teams:
            apply(team)
        for team in teams:
            for sort in SORTS:
                team.ready(f"{sort}-{team.sink}")
            team.annotate(f"triggered-{team.sink}", rotate="again")
            team.ready(f"triggered-{team.sink}", revision=2)
        yield Quiet(teams, operator)
        assert operator.stop() == 0
        assert "Traceback" not in operator.said()


def apply(team: Team) -> None:
    """One of each sort, called after where its key stands."""
    team.operator_in = team.namespace
    team.prepare(with_issuer=False)
    day = (datetime.now(UTC) + timedelta(days=30)).date()
    of_sorts: dict[str, dict[str, Any]] = {
        "plain": {},
        "scheduled": {"rotation": {"schedule": "0 3 1 1 *", "timeZone": "Europe/Paris", "renewBefore": "10d"}},
        "dated": {"expiry": {"date": str(day)}},
        "triggered": {"annotations": {"keywright.dev/rotate": "at first"}},
        "retained": {"deletionPolicy": "Retain"},
    }
    for sort in SORTS:
        team.create(f"{sort}-{team.sink}", **of_sorts[sort])


def test_a_restart_costs_no_key(quiet: Quiet):
    """Told to end, and begun again."""
    with quiet.unchanged():
        assert quiet.operator.stop() == 0
        quiet.operator.start()


def test_a_crash_at_rest_costs_no_key(quiet: Quiet):
    """Kill -9, and begun again."""
    with quiet.unchanged():
        quiet.operator.kill()
        quiet.operator.start()


def test_an_upgrade_costs_no_key(quiet: Quiet):
    """The kinds are applied again, at rest and at work; statuses stand there as another version would have written them."""
    team = quiet.team
    with quiet.unchanged():
        team.plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        assert quiet.operator.stop() == 0
        for name, obj in quiet.objects().items():
            ready = {**obj["status"]["conditions"][0], "reason": "WordOfAnotherVersion", "message": "Its sentence."}
            another = {"type": "Verified", "status": "True", "reason": "Tried", "message": "It was tried."}
            status = {
                "conditions": [ready, {**another, "lastTransitionTime": ready["lastTransitionTime"]}],
                "next": {"action": "Verify", "reason": "It is tried again."},
                **dict.fromkeys(("recentIssuances", "renewalTime", "lastUsed", "issuedAs", "handled")),
            }
            if name in TRIGGERED:
                del status["handled"]  # what was answered every version knows
            path = f"{GROUP}/namespaces/{team.namespace}/apikeys/{name}/status"
            team.plane.call("PATCH", path, {"status": status}, content_type=MERGE)
        team.plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        quiet.operator.start()


def test_another_leader_costs_no_key(quiet: Quiet, tmp_path: Path):
    """The one that stood by takes over, and hands back."""
    first = quiet.operator
    second = operator_of(quiet.team.plane, quiet.team.namespace, tmp_path, *FLAGS)
    try:
        with quiet.unchanged():
            second.start()
            second.says("standing by")
            assert first.stop() == 0
            wait_for(lambda: second.series("keywright_leader")[0][1] == 1, "the second one leads")
            quiet.operator = second
        with quiet.unchanged():
            first.start()
            assert second.stop() == 0
            wait_for(lambda: first.series("keywright_leader")[0][1] == 1, "the first one leads again")
            quiet.operator = first
    finally:
        second.stop()


def test_edits_of_metadata_cost_no_key(quiet: Quiet):
    """Labels and annotations of any owner, put on, changed and taken off; a trigger's value again, or none."""
    team = quiet.team
    with quiet.unchanged():
        for value in ("one", "two", None):
            for name in NAMES:
                labels = {"team": value, "app.kubernetes.io/instance": value, "velero.io/restore-name": value}
                annotations = {
                    "argocd.argoproj.io/tracking-id": value,
                    "kubectl.kubernetes.io/last-applied-configuration": value and '{"spec":{}}',
                    "keywright.dev/note": value,
                }
                team.patch(name, {"metadata": {"labels": labels, "annotations": annotations}})
        for name in TRIGGERED:
            team.patch(name, {"metadata": {"annotations": {"keywright.dev/rotate": None}}})
        wait_for(quiet.at_rest, "all is at rest without the trigger")
        for name in TRIGGERED:
            team.annotate(name, rotate="again")
