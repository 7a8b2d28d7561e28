"""The real control plane: up, used, disturbed, down."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.running import audited

from keywright.devcluster import Cluster, Note, Progress, write_kubeconfig
from keywright.devcluster.loopback import Answer, Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.plane, pytest.mark.xdist_group("devcluster")]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One plane for the tests of this file, with an audit log, deep enough for socket paths to be too long."""
    folder = tmp_path_factory.mktemp("plane") / ("deep" * 20) / ("deeper" * 10)
    cluster = Cluster.up(folder, audit=True, apiserver_flags=["--event-ttl=10m"])
    yield cluster
    cluster.down()
    assert not folder.exists()


def ask(cluster: Cluster, method: str, path: str, body: dict[str, Any] | None = None, token: str = "") -> Answer:
    """One request to the apiserver, which answers."""
    bearer = {"Authorization": f"Bearer {token or cluster.admin_token}"}
    answer = Endpoint(cluster.server, bearer, cluster.ca_file, timeout=60).ask(method, path, body)
    assert answer is not None
    return answer


def make_namespace(cluster: Cluster, name: str) -> None:
    """Create a namespace."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    assert ask(cluster, "POST", "/api/v1/namespaces", body).status == 201


def test_it_is_ready_and_its_files_are_private(cluster: Cluster):
    """/readyz is ok when `up` returns, and nobody else can read the tokens."""
    assert ask(cluster, "GET", "/readyz").body == "ok"
    assert set(cluster.pids) == {"etcd", "kube-apiserver", "kube-controller-manager"}
    assert cluster.directory.stat().st_mode & 0o077 == 0
    assert cluster.kubeconfig.stat().st_mode & 0o077 == 0


def test_a_service_account_gets_a_real_token_and_only_its_own_rights(cluster: Cluster, tmp_path: Path):
    """TokenRequest works, and kubectl runs with a kubeconfig of that token, under RBAC."""
    made = ask(cluster, "POST", "/api/v1/namespaces/default/serviceaccounts/default/token", {"spec": {}})
    token = json.loads(made.body)["status"]["token"]
    path = tmp_path / "kubeconfig"
    write_kubeconfig(path, server=cluster.server, ca_file=cluster.ca_file, token=token, namespace="default")
    kubectl = shutil.which("kubectl")
    assert kubectl is not None, "kubectl has to be on PATH"
    who = [kubectl, "--kubeconfig", path, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    said = subprocess.run(who, env=environ, capture_output=True, text=True, check=True)
    assert said.stdout == "system:serviceaccount:default:default"
    assert ask(cluster, "GET", "/api/v1/namespaces/default/secrets", token=token).status == 403


def test_namespaces_go_away(cluster: Cluster, eventually):
    """The controller manager works: a deleted namespace takes its objects along."""
    make_namespace(cluster, "short-lived")
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "inside"}}
    assert ask(cluster, "POST", "/api/v1/namespaces/short-lived/configmaps", config).status == 201
    assert ask(cluster, "DELETE", "/api/v1/namespaces/short-lived").status == 200
    eventually(lambda: ask(cluster, "GET", "/api/v1/namespaces/short-lived").status == 404)


def test_requests_are_in_the_audit_log(cluster: Cluster, eventually):
    """One line per request answered, without bodies."""
    make_namespace(cluster, "audited")

    def created() -> list[dict[str, Any]]:
        return [
            e for e in audited(cluster.audit_log) if e["verb"] == "create" and e["objectRef"].get("name") == "audited"
        ]

    eventually(lambda: len(created()) == 1)
    assert created()[0]["stage"] == "ResponseComplete"
    assert "requestObject" not in created()[0]


def test_data_and_tokens_survive_restarts_of_the_apiserver(cluster: Cluster):
    """After kill -9 and a start, clients find the same server with the same objects and the same rights."""
    make_namespace(cluster, "kept")
    token = json.loads(
        ask(cluster, "POST", "/api/v1/namespaces/default/serviceaccounts/default/token", {"spec": {}}).body
    )["status"]["token"]
    before = cluster.server, cluster.pids["kube-apiserver"]
    cluster.restart_apiserver(grace=0)
    assert cluster.server == before[0]
    assert cluster.pids["kube-apiserver"] != before[1]
    assert ask(cluster, "GET", "/api/v1/namespaces/kept").status == 200
    assert ask(cluster, "GET", "/api/v1/namespaces/kept", token=token).status == 403, "known, and not allowed"


def test_a_paused_etcd_stops_reads_until_it_goes_on(cluster: Cluster):
    """A frozen etcd makes requests hang, as a full disk or a lost quorum would."""
    bearer = {"Authorization": f"Bearer {cluster.admin_token}"}
    impatient = Endpoint(cluster.server, bearer, cluster.ca_file, timeout=0.5)
    cluster.pause_etcd()
    try:
        assert impatient.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "paused"}}) is None
    finally:
        cluster.resume_etcd()
    assert ask(cluster, "GET", "/api/v1/namespaces/default").status == 200


def test_up_again_changes_nothing(cluster: Cluster):
    """A second `up` finds the cluster healthy and starts no process."""
    before = cluster.pids
    told: list[Progress] = []
    again = Cluster.up(cluster.directory, progress=told.append)
    assert again.pids == before
    assert told == [Note(f"The cluster in {cluster.directory} is already up.")]


def test_after_a_crash_up_starts_again_with_the_old_data(cluster: Cluster):
    """All processes killed at once, as by a reboot: the same objects, address and settings come back."""
    make_namespace(cluster, "from-before")
    before = cluster.server
    for pid in cluster.pids.values():
        os.killpg(pid, signal.SIGKILL)
    again = Cluster.up(cluster.directory)
    assert again.server == before
    assert ask(again, "GET", "/api/v1/namespaces/from-before").status == 200


def test_the_commands_touch_nothing_outside_the_folder(tmp_path: Path):
    """Up, env and down as a user types them: their kubeconfig and home stay as they were, and nothing is left."""
    home = tmp_path / "home"
    (home / ".kube").mkdir(parents=True)
    own = home / ".kube" / "config"
    own.write_text("current-context: precious\n")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    environ = {**os.environ, "HOME": str(home), "KUBECONFIG": str(own), "XDG_CACHE_HOME": str(cache)}
    folder = tmp_path / "dev"

    def keywright(command: str) -> str:
        run = [sys.executable, "-c", "from keywright.cli.devcluster import app; app()", command, "--dir", str(folder)]
        path = os.pathsep.join(sys.path)
        done = subprocess.run(run, env={**environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "is ready after" in keywright("up")
    pids = Cluster.load(folder).pids
    assert len(pids) == 3
    assert keywright("env") == f"export KUBECONFIG={folder}/kubeconfig\n"
    assert "is down" in keywright("down")
    assert not folder.exists()
    for pid in pids.values():
        said = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
        assert said.stdout.strip()[:1] in {"", "Z"}, "a zombie is its parent's business"
    assert own.read_text() == "current-context: precious\n"
    assert sorted(path.relative_to(home) for path in home.rglob("*")) == [Path(".kube"), Path(".kube/config")]
