"""Replicas that share a Lease: one works, the other follows at once, in time, and never beside it. Role rights only."""

from __future__ import annotations

import base64
import json
import shutil
import signal
import time
from typing import TYPE_CHECKING

import pytest
from tests.conftest import ROOT
from tests.e2e.relay import a_relay
from tests.e2e.team import MERGE, Team
from tests.running import Operator, audited, wait_for

from keywright.devcluster import write_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Plane
    from tests.running import Sandbox

pytestmark = [pytest.mark.plane, pytest.mark.xdist_group("leader")]

LEASE = 15
"""Seconds: as by default. A machine that stands still for some must not cost anybody the lease, nor a request its answer."""
LONG_LEASE = 60
"""Seconds, where nobody waits for it to run out."""
LONGEST_CALL = 10
"""Seconds that a request may take under LEASE."""
KEYS = 10
WRITES = ("create", "update", "patch", "delete")


class Replica(Operator):
    """One that says which of the apiserver's log lines are its own."""

    def __init__(self, folder: Path, plane: Plane, namespace: str, lease: int, **environ: str) -> None:
        """With a token of its own, of the ServiceAccount that all replicas have."""
        folder.mkdir()
        token = plane.token_of(namespace, "keywright")
        write_kubeconfig(folder / "kubeconfig", server=plane.server, ca_file=plane.ca_file, token=token)
        flags = ("--leader-elect", "--lease-duration", f"{lease}s", "--log-level", "debug")
        super().__init__(
            folder, folder / "kubeconfig", "--namespace", namespace, "--cluster-id", namespace[-8:], *flags
        )
        self.environ = environ
        payload = token.split(".")[1]
        self._credential = f"JTI={json.loads(base64.urlsafe_b64decode(payload + '=' * (-len(payload) % 4)))['jti']}"
        self._plane = plane

    def leads(self) -> bool:
        """What its metric says."""
        [(_, value)] = self.series("keywright_leader")
        return value == 1

    def issued(self) -> int:
        """How many keys it has issued."""
        return int(sum(value for _, value in self.series("keywright_keys_issued_total")))

    def asked_issuers(self) -> bool:
        """Whether it has sent an issuer anything."""
        return bool(self.series("keywright_issuer_request_duration_seconds_count"))

    def written(self) -> list[str]:
        """What it has changed at the apiserver, or tried to, as the audit log has it."""
        found = []
        for entry in audited(self._plane.audit_log):
            credentials = (entry["user"].get("extra") or {}).get("authentication.kubernetes.io/credential-id", [])
            rehearsal = "dryRun=All" in entry["requestURI"]
            if self._credential in credentials and entry["verb"] in WRITES and not rehearsal:
                found.append(f"{entry['verb']} {entry['objectRef']['resource']} {entry['requestReceivedTimestamp']}")
        return found


@pytest.fixture
def start(plane: Plane, namespace: str, tmp_path: Path) -> Iterator[Callable[..., Replica]]:
    """Starts a replica for the namespace, under the rights of manifests/namespaced alone."""
    shutil.copytree(ROOT / "manifests" / "namespaced", tmp_path / "rights")
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    (overlay / "kustomization.yaml").write_text(f"namespace: {namespace}\nresources: [../rights]\n")
    plane.kubectl("apply", "--server-side", "-k", str(overlay))
    started: list[Replica] = []

    def one(name: str, lease: int = LEASE, **environ: str) -> Replica:
        replica = Replica(tmp_path / name, plane, namespace, lease, **environ)
        replica.start()
        started.append(replica)
        return replica

    yield one
    for replica in started:
        if replica.process is not None and replica.process.poll() is None:
            replica.signal(signal.SIGCONT)
            replica.stop()
        assert "Traceback" not in replica.said()


@pytest.fixture
def team(plane: Plane, sandbox: Sandbox, namespace: str) -> Team:
    """With an issuer whose requests fit into the lease."""
    team = Team(plane, sandbox, namespace)
    team.create_admin_secret()
    team.create_issuer(spec={"requests": {"perSecond": 1000, "burst": 1000, "timeout": f"{LONGEST_CALL}s"}})
    return team


def two(start: Callable[..., Replica], lease: int = LEASE, **environ: str) -> tuple[Replica, Replica]:
    """The leader, and one that stands by."""
    first = start("first", lease, **environ)
    wait_for(first.leads, "the first one leads")
    second = start("second", lease)
    second.says("standing by")
    return first, second


def seconds_to_ready(team: Team, name: str) -> float:
    """From now until an ApiKey that is made now is Ready."""
    begun = time.monotonic()
    team.create(name)
    team.ready(name)
    return time.monotonic() - begun


def has_issued(replica: Replica, keys: int) -> None:
    """It counts a key right after its ApiKey says so."""
    wait_for(lambda: replica.issued() >= keys, f"{keys} issued are counted")
    assert replica.issued() == keys


def test_of_two_replicas_one_works(start: Callable[..., Replica], team: Team):
    """Both are ready; one leads, and issues all. The other has asked the issuer for nothing and has written nothing."""
    leader, standby = two(start, LONG_LEASE)
    for i in range(5):
        team.create(f"key-{i}")
    for i in range(5):
        team.ready(f"key-{i}")
    has_issued(leader, 5)
    assert leader.leads()
    assert standby.is_ready()
    assert not standby.leads()
    assert not standby.asked_issuers()
    assert standby.written() == []


def test_told_to_end_it_hands_over_at_once(
    start: Callable[..., Replica], team: Team, record_property: Callable[[str, object], None]
):
    """SIGTERM: the other one issues well before the lease would have run out, and the one that ended has ended well."""
    leader, standby = two(start, LONG_LEASE)
    seconds_to_ready(team, "before")
    leader.signal(signal.SIGTERM)
    took = seconds_to_ready(team, "after")
    report(record_property, "SIGTERM", took, LONG_LEASE)
    assert took < LONG_LEASE / 2
    assert leader.ended() == 0
    has_issued(standby, 1)


def test_killed_it_is_followed_within_1_2_durations(
    start: Callable[..., Replica], team: Team, record_property: Callable[[str, object], None]
):
    """Kill -9: nobody gives the lease back. The assertion leaves room for a machine that is busy with other tests."""
    leader, standby = two(start)
    seconds_to_ready(team, "before")
    leader.kill()
    took = seconds_to_ready(team, "after")
    report(record_property, "kill -9", took)
    assert took < 1.2 * LEASE + 15
    has_issued(standby, 1)


def test_frozen_and_woken_it_does_nothing(
    start: Callable[..., Replica], team: Team, record_property: Callable[[str, object], None]
):
    """C10: frozen with plaintexts on their way to it, overtaken, woken: no request to the issuer, no write, and it ends."""
    settled, caught = ([f"{what}-{i}" for i in range(KEYS)] for what in ("settled", "caught"))
    names, label = [*settled, *caught], f"{team.namespace}/"
    with a_relay() as relay:
        frozen, other = two(start, http_proxy=relay.url)
        for name in settled:
            team.create(name)
        kept = {team.ready(name)["keyId"] for name in settled}
        relay.open.clear()
        for name in caught:
            team.create(name)
        wait_for(lambda: len(team.sandbox.live_keys(label)) == 2 * KEYS, "all are made", pause=0.01)
        frozen.signal(signal.SIGSTOP)
        begun = time.monotonic()
        relay.open.set()
        wait_for(other.leads, "the other one leads", pause=0.01)
        report(record_property, "SIGSTOP", time.monotonic() - begun)
        named = {team.ready(name)["keyId"] for name in names}
        assert kept < named
        wait_for(lambda: {k["key_id"] for k in team.sandbox.live_keys(label)} == named, "what nobody holds is revoked")
        has_issued(other, KEYS)

        asked, written = len(relay.passed), frozen.written()
        assert asked > 2 * KEYS, "what it asks for passes through the relay"
        frozen.signal(signal.SIGCONT)
        assert frozen.ended() == 1
        assert "is lost (it could not be renewed in time): ending at once" in frozen.said()
        assert relay.passed[asked:] == []
        assert frozen.written() == written
    assert {k["key_id"] for k in team.sandbox.live_keys(label)} == named
    assert {team.status(name)["keyId"] for name in names} == named
    assert all(team.sandbox.accepts(team.text(f"{name}-key")) for name in names)


def test_a_lease_taken_away_ends_the_process(start: Callable[..., Replica], team: Team):
    """Somebody writes another holder into it: the leader ends with status 1, and says who holds it now."""
    leader, standby = two(start)
    path = f"/apis/coordination.k8s.io/v1/namespaces/{team.namespace}/leases/keywright-namespaced"
    team.plane.call("PATCH", path, {"spec": {"holderIdentity": "somebody"}}, content_type=MERGE)
    assert leader.ended() == 1
    assert "is lost (somebody holds it): ending at once" in leader.said()
    assert not standby.leads(), "somebody is believed for as long as the lease says"
    seconds_to_ready(team, "after")
    has_issued(standby, 1)


def test_a_timeout_that_outlasts_the_lease_is_refused(start: Callable[..., Replica], team: Team):
    """With the sentence that says what to write; mended, the key is issued."""
    start("first")
    team.create_issuer("slow", spec={"requests": {"timeout": f"{LONGEST_CALL + 1}s"}})
    team.create(issuer="slow")
    refused, most = f"{LONGEST_CALL + 1}s does not fit into the operator's lease", f"write at most {LONGEST_CALL}s"
    assert f"spec.requests.timeout of {refused}; {most}" in team.says("IssuerInvalid")
    team.patch_issuer({"spec": {"requests": {"timeout": f"{LONGEST_CALL}s"}}}, "slow")
    team.ready()


def report(record_property: Callable[[str, object], None], what: str, seconds: float, lease: int = LEASE) -> None:
    """The figure, into the test's output and its report."""
    record_property(f"{what}: seconds until the other one works", round(seconds, 2))
    print(f"{what}: the other one works after {seconds:.2f} s, {seconds / lease:.2f} lease durations")  # noqa: T201 - measured
