"""What all tests share: real control planes for the whole run, whatever the number of workers, and namespaces in them.

The process that started pytest names the folder before workers exist and takes the planes down after they ended, also
when one of them died; the first test that needs a plane brings it up, and the others wait for that.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import tempfile
import urllib.request
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.exchange import Exchange
from tests.running import wait_for
from tests.simulation.search import BATCH

from keywright.devcluster import Cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

# looptime asks for the current loop before each test; where none was ever set, asyncio makes one that nobody closes.
asyncio.set_event_loop(None)

ROOT = Path(__file__).parent.parent
FOLDER = "KEYWRIGHT_TEST_PLANE"
"""The environment variable that tells workers the folder."""
SERVED = "served"
"""The name of the plane that the operator of tests/e2e serves."""


DIRECTLY = urllib.request.ProxyHandler({})
"""To look for proxies is to go through an environment in which pytest notes the running test, in another thread."""


@dataclass(frozen=True, slots=True)
class Plane:
    """The control plane with keywright's kinds and rights in it; `call` speaks to it as the admin."""

    cluster: Cluster
    apiserver: Exchange
    """How it is asked."""
    served: bool = False
    """Whether an operator for the whole cluster works on it, to the end of the run."""

    @classmethod
    def of(cls, cluster: Cluster, *, served: bool = False) -> Plane:
        """Over connections that trust the cluster's own authority."""
        tls = ssl.create_default_context(cafile=str(cluster.ca_file))
        return cls(cluster, Exchange(tls, patient=True), served)

    @property
    def tls(self) -> ssl.SSLContext:
        """That trust."""
        assert self.apiserver.tls is not None
        return self.apiserver.tls

    @property
    def kubeconfig(self) -> Path:
        """The admin's."""
        return self.cluster.kubeconfig

    @property
    def server(self) -> str:
        """The apiserver's URL."""
        return self.cluster.server

    @property
    def admin_token(self) -> str:
        """Of a user in system:masters."""
        return self.cluster.admin_token

    @property
    def ca_file(self) -> Path:
        """The authority that signed the apiserver's certificate."""
        return self.cluster.ca_file

    @property
    def audit_log(self) -> Path:
        """JSON lines of every request."""
        return self.cluster.audit_log

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        token: str | None = None,
    ) -> dict[str, Any]:
        """One request and its answer; an answer that is no success raises RuntimeError with the server's message."""
        headers = {"Authorization": f"Bearer {token or self.admin_token}", "Content-Type": content_type}
        status, said = self.apiserver.send(method, self.server + path, body, headers)
        if status >= HTTPStatus.BAD_REQUEST:
            raise RuntimeError(f"{method} {path}: {status} {said.decode()[:500]}")
        return json.loads(said)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """What kubectl prints; a failure raises with what it says."""
        done = subprocess.run(
            ("kubectl", "--kubeconfig", str(self.kubeconfig), *arguments),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if done.returncode:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    @contextmanager
    def a_namespace(self) -> Iterator[str]:
        """A fresh namespace; its deletion is asked for afterwards, and not waited for."""
        name = f"test-{secrets.token_hex(4)}"
        self.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        yield name
        if not self.served:
            self._let_go(name)
        try:
            self.call("DELETE", f"/api/v1/namespaces/{name}")
        except RuntimeError as error:
            if ": 404 " not in str(error):  # the test has deleted it, and it is gone
                raise

    def _let_go(self, namespace: str) -> None:
        """What no operator will finish any more: a namespace that cannot end keeps its controller busy for the rest of the run."""
        for kind in ("apikeys", "keyissuers"):
            path = f"/apis/keywright.dev/v1alpha1/namespaces/{namespace}/{kind}"
            for item in self.call("GET", path)["items"]:
                if item["metadata"].get("finalizers"):
                    patch = {"metadata": {"finalizers": None}}
                    with suppress(RuntimeError):  # gone meanwhile
                        self.call(
                            "PATCH",
                            f"{path}/{item['metadata']['name']}",
                            patch,
                            content_type="application/merge-patch+json",
                        )

    def may(
        self,
        verb: str,
        group: str,
        resource: str,
        namespace: str,
        *,
        name: str = "",
        operator_in: str = "keywright-system",
    ) -> bool:
        """Whether the ServiceAccount of the operator that lies there has a right: the apiserver takes a moment to know of a Role."""
        user = f"system:serviceaccount:{operator_in}:keywright"
        return self.allows(user, verb, group, resource, namespace, name=name)

    def allows(self, user: str, verb: str, group: str, resource: str, namespace: str, *, name: str = "") -> bool:
        """Whether somebody has a right, as the authorizer says: nothing is tried, so that no call is denied."""
        resource, _, sub = resource.partition("/")
        asked = {
            "namespace": namespace,
            "verb": verb,
            "group": group,
            "resource": resource,
            "subresource": sub,
            "name": name,
        }
        review = {"spec": {"user": user, "resourceAttributes": asked}}
        answer = self.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        return answer["status"]["allowed"]

    def token_of(self, namespace: str, service_account: str) -> str:
        """A real ServiceAccount's token, by TokenRequest."""
        answer = self.call(
            "POST",
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token",
            {"spec": {"expirationSeconds": 7200}},
        )
        return answer["status"]["token"]


def pytest_configure(config: pytest.Config) -> None:
    """The starting process names the folder; its pid tells whether the run that owns it still lives."""
    # Started in the background of a script, a process ignores Ctrl-C, and so would all that tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    urllib.request.install_opener(urllib.request.build_opener(DIRECTLY))
    if not hasattr(config, "workerinput"):
        os.environ[FOLDER] = str(Path(tempfile.gettempdir()) / f"keywright-tests-{os.getuid()}" / str(os.getpid()))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What runs when: the histories first, with the cores to themselves; then groups, which take minutes; last what is over at once.

    Of the groups the one that mostly waits begins, beside the one with the most tests: so the workers end together.
    """
    groups = [group.args[0] if (group := item.get_closest_marker("xdist_group")) else "" for item in items]
    sizes = Counter(groups)

    def rank(item: pytest.Item, group: str) -> tuple[bool, bool, bool, int]:
        histories = getattr(item, "originalname", "") == "test_no_history_breaks_an_invariant"
        return not histories, not group, group != "fleet", -sizes[group]

    items[:] = [item for item, _ in sorted(zip(items, groups, strict=True), key=lambda pair: rank(*pair))]


def pytest_unconfigure(config: pytest.Config) -> None:
    """The starting process takes the plane down: by now no worker runs any more."""
    if not hasattr(config, "workerinput"):
        _remove(Path(os.environ.pop(FOLDER)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the simulation has seen: how many histories, from which seeds, and what each guard is for."""
    passed = [report for report in terminalreporter.getreports("passed") if report.when == "call"]
    told = [(name, value, report) for report in passed for name, value in report.user_properties]
    batches = {seed: report for name, seed, report in told if name == "simulated batch of seed"}
    if seeds := sorted(batches):
        terminalreporter.section("simulation")
        histories = len(seeds) * BATCH
        took = max(r.stop for r in batches.values()) - min(r.start for r in batches.values())
        terminalreporter.write_line(
            f"{histories} histories of seeds {seeds[0]} to {seeds[-1]} without a violation, in {took:.0f} s"
        )
    if guards := sorted(row for name, row, _ in told if name == "guard"):
        terminalreporter.section("guards of the protocol, each left out")
        for row in guards:
            terminalreporter.write_line(row)


def bring_up(name: str) -> Plane:
    """The run's control plane of this name, with crds/ and manifests/ applied; brought up by whoever asks first."""
    folder = Path(os.environ[FOLDER])
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(folder):
        _remove_orphans(folder)
        cluster = Cluster.up(folder / name, audit=True)
        plane = Plane.of(cluster, served=name == SERVED)
        ready = folder / f"{name}-ready"
        if not ready.exists():
            apply_all(plane)
            ready.touch()
    return plane


def beside_vault(plane: Plane) -> Cluster:
    """The plane's cluster with a Vault in it, which whoever asks first starts."""
    folder = Path(os.environ[FOLDER])
    with _alone(folder):
        return Cluster.up(plane.cluster.directory, with_vault=True)


@pytest.fixture(scope="session")
def plane() -> Plane:
    """A control plane that no operator for the whole cluster works on: its objects are the test's alone."""
    return bring_up("plane")


@pytest.fixture
def namespace(plane: Plane) -> Iterator[str]:
    """A fresh namespace; its deletion is asked for afterwards, and not waited for."""
    with plane.a_namespace() as name:
        yield name


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signed itself, made now."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-nodes",
                "-days",
                "2",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ),
            *("-subj", "/CN=platform", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )
    return folder


def apply_all(plane: Plane) -> None:
    """The kinds and the manifests, as a user installs them."""
    plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
    plane.kubectl("wait", "--for=condition=Established", "--timeout=100s", "-f", str(ROOT / "crds"))
    # A kind just established is listed a moment later; kubectl waits as it is told to.
    plane.kubectl("get", "apikeys,keyissuers,clusterkeyissuers", "--all-namespaces")
    plane.kubectl("apply", "--server-side", "-k", str(ROOT / "manifests"))
    # What is asked for before the apiserver knows of the rights is denied, and stays so in the audit log.
    for right in (
        ("list", "keywright.dev", "apikeys", "default"),
        ("create", "coordination.k8s.io", "leases", "keywright-system"),
    ):
        wait_for(lambda right=right: plane.may(*right), "the operator's rights are known")


def grant(plane: Plane, rights: str, namespace: str, folder: Path) -> None:
    """Apply one of manifests/'s folders of rights in a namespace, as its kustomization.yaml says to."""
    shutil.copytree(ROOT / "manifests" / rights, folder / rights)
    overlay = folder / f"{rights}-there"
    overlay.mkdir()
    (overlay / "kustomization.yaml").write_text(f"namespace: {namespace}\nresources: [../{rights}]\n")
    plane.kubectl("apply", "--server-side", "-k", str(overlay))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove(folder: Path) -> None:
    if folder.exists():
        for one in folder.iterdir():
            if one.is_dir():
                Cluster.take_down(one)
        shutil.rmtree(folder)
    with suppress(OSError):
        folder.parent.rmdir()  # The last run out; another one's folder keeps it.


def _remove_orphans(folder: Path) -> None:
    """Planes of runs that were killed before they could clean up."""
    for other in folder.parent.iterdir():
        if other.name.isdecimal() and not _alive(int(other.name)):
            _remove(other)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
