"""What the scenarios of one worker share: a sandbox, and a process from which operators are forked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.chaos.nursery import Nursery
from tests.chaos.proxy import Loop
from tests.chaos.stage import World
from tests.conftest import FOLDER, Plane, apply_all
from tests.running import Sandbox

from keywright.devcluster import Cluster, write_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.together import Scenario, Scenarios

FORGETFUL = ("--etcd-compaction-interval=2s",)
"""An apiserver's flags: old versions are gone at once, and a watch that resumes from one is told 410."""


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox issuer that is up."""
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"))
    sandbox.start()
    yield sandbox
    sandbox.stop()


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Where operators are forked."""
    nursery = Nursery(tmp_path_factory.mktemp("nursery") / "log")
    yield nursery
    nursery.close()


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    """Where proxies work."""
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture(scope="session")
def world(
    plane: Plane, sandbox: Sandbox, nursery: Nursery, loop: Loop, tmp_path_factory: pytest.TempPathFactory
) -> World:
    """All of it, on a control plane that no other operator works on."""
    folder = tmp_path_factory.mktemp("chaos")
    kubeconfig = folder / "kubeconfig"
    token = plane.token_of("keywright-system", "keywright")
    write_kubeconfig(kubeconfig, server=plane.server, ca_file=plane.ca_file, token=token)
    return World(plane, sandbox, nursery, loop, kubeconfig, folder)


@pytest.fixture(scope="module")
def fragile(
    request: pytest.FixtureRequest,
    sandbox: Sandbox,
    nursery: Nursery,
    loop: Loop,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    """As `world`, on a control plane that may be broken; it lies where the run's other planes are taken down."""
    lies = Path(os.environ[FOLDER])
    lies.mkdir(mode=0o700, parents=True, exist_ok=True)
    cluster = Cluster.up(lies / request.module.__name__.rpartition(".")[2], apiserver_flags=FORGETFUL)
    plane = Plane.of(cluster)
    apply_all(plane)
    folder = tmp_path_factory.mktemp("fragile")
    token = plane.token_of("keywright-system", "keywright")
    write_kubeconfig(folder / "kubeconfig", server=plane.server, ca_file=plane.ca_file, token=token)
    yield World(plane, sandbox, nursery, loop, folder / "kubeconfig", folder)
    cluster.down()


@pytest.fixture
def outcome(request: pytest.FixtureRequest, world: World) -> Callable[[Scenarios, str], None]:
    """Waits for the end of one of a module's scenarios; raises what it raised."""

    def put_on(scenario: Scenario) -> None:
        with world.stage(scenario.sink, with_issuer=scenario.with_issuer) as stage:
            scenario.play(stage)

    return lambda scenarios, name: scenarios.played(name, request, put_on)
