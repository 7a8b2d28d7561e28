"""One sandbox and one operator under the manifests' own ServiceAccount, on a control plane of their own."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import pytest
from tests.chaos.proxy import FaultProxy, Loop
from tests.conftest import SERVED, Plane, bring_up, grant
from tests.e2e.guarded import Guarded
from tests.e2e.vault_team import TEAMS
from tests.running import Operator, Sandbox, wait_for

from keywright.devcluster import write_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.together import Scenario, Scenarios

MIN_INTERVAL = 3
"""Seconds: the storm guard's interval, short so that a repair can be seen."""


@pytest.fixture(scope="session")
def served_plane() -> Plane:
    """The control plane that the operator serves."""
    return bring_up(SERVED)


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox issuer that is up."""
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"))
    sandbox.start()
    yield sandbox
    sandbox.stop()


@pytest.fixture(scope="session")
def operator_kubeconfig(served_plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Logs in as the ServiceAccount of manifests/, with exactly its rights."""
    path = tmp_path_factory.mktemp("login") / "kubeconfig"
    token = served_plane.token_of("keywright-system", "keywright")
    write_kubeconfig(path, server=served_plane.server, ca_file=served_plane.ca_file, token=token)
    return path


@pytest.fixture(scope="session")
def operator(
    operator_kubeconfig: Path, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    """An operator for the whole cluster, which says all that it can and gives no plaintext away."""
    flags = ("--min-interval", f"{MIN_INTERVAL}s", "--log-level", "debug")
    operator = Operator(tmp_path_factory.mktemp("operator"), operator_kubeconfig, *flags)
    operator.start()
    yield operator
    assert operator.stop() == 0
    assert "Traceback" not in operator.said()
    assert sandbox.admin_key not in operator.said()
    assert operator.gave_away(sandbox.shown) == set()


@pytest.fixture
def outcome(
    request: pytest.FixtureRequest, served_plane: Plane, sandbox: Sandbox, operator: Operator
) -> Callable[[Scenarios, str], None]:
    """Waits for the end of one of a module's scenarios; raises what it raised."""

    def put_on(scenario: Scenario) -> None:
        with served_plane.a_namespace() as namespace:
            team = TEAMS[scenario.sink](served_plane, sandbox, namespace, operator)
            team.prepare(with_issuer=scenario.with_issuer)
            scenario.play(team)

    return lambda scenarios, name: scenarios.played(name, request, put_on)


def operator_of(plane: Plane, namespace: str, folder: Path, *flags: str) -> Operator:
    """For one namespace, under the rights of manifests/namespaced alone; not started."""
    grant(plane, "namespaced", namespace, folder)
    known = partial(plane.may, "list", "keywright.dev", "apikeys", namespace, operator_in=namespace)
    wait_for(known, "its rights are known")
    kubeconfig = folder / "kubeconfig"
    token = plane.token_of(namespace, "keywright")
    write_kubeconfig(kubeconfig, server=plane.server, ca_file=plane.ca_file, token=token)
    flags = ("--namespace", namespace, "--cluster-id", namespace[-8:], *flags)
    return Operator(folder / "operator", kubeconfig, *flags)


@pytest.fixture
def namespaced_operator(plane: Plane, tmp_path: Path) -> Iterator[Callable[..., Operator]]:
    """Starts an operator for one namespace, under the rights of manifests/namespaced alone."""
    started: list[Operator] = []

    def start(namespace: str, *more: str) -> Operator:
        operator = operator_of(plane, namespace, tmp_path, *more)
        operator.start()
        started.append(operator)
        return operator

    yield start
    for operator in started:
        operator.stop()
        assert "Traceback" not in operator.said()


@pytest.fixture(scope="session")
def proxy(sandbox: Sandbox) -> Iterator[FaultProxy]:
    """Between operators and the platform, where a test wants one."""
    loop = Loop()
    proxy = FaultProxy(loop, sandbox.url)
    yield proxy
    proxy.close()
    loop.close()


@pytest.fixture(scope="session")
def guarded(sandbox: Sandbox, proxy: FaultProxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A control plane whose audit log knows one operator only, installed as users do; between it and the platform, a proxy."""
    plane, folder = bring_up("guarded"), tmp_path_factory.mktemp("guarded")
    write_kubeconfig(
        folder / "kubeconfig",
        server=plane.server,
        ca_file=plane.ca_file,
        token=plane.token_of("keywright-system", "keywright"),
    )
    flags = ("--min-interval", "1s", "--log-level", "debug", "--log-format", "json")
    # A machine that stands still for some seconds does not cost it the lease.
    flags = (*flags, "--leader-elect", "--lease-duration", "30s")
    operator = Operator(folder / "operator", folder / "kubeconfig", *flags)
    scratch = folder / "scratch"
    scratch.mkdir()
    operator.environ = {"TMPDIR": str(scratch)}
    operator.start()
    yield Guarded(plane, sandbox, proxy, operator, scratch)
    assert operator.stop() == 0
    assert [line for line in operator.said().splitlines() if "traceback" in json.loads(line)] == []
