"""What the scenarios of one worker share: a sandbox, and a process from which operators are forked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.chaos.kept import KeptPlane
from tests.chaos.nursery import Nursery
from tests.chaos.proxy import Loop
from tests.chaos.stage import World
from tests.running import Sandbox

from keywright.devcluster import write_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Plane
    from tests.e2e.together import Scenarios


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
) -> Iterator[World]:
    """All of it, on a control plane that no other operator works on."""
    folder = tmp_path_factory.mktemp("chaos")
    kubeconfig = folder / "kubeconfig"
    token = plane.token_of("keywright-system", "keywright")
    write_kubeconfig(kubeconfig, server=plane.server, ca_file=plane.ca_file, token=token)
    kept = KeptPlane(plane.cluster, plane.tls)
    yield World(kept, sandbox, nursery, loop, kubeconfig, folder)
    kept.close()


@pytest.fixture
def outcome(request: pytest.FixtureRequest, world: World) -> Callable[[Scenarios, str], None]:
    """Waits for the end of one of a module's scenarios; raises what it raised."""

    def put_on(play: Callable[..., None], with_issuer: bool) -> None:  # noqa: FBT001 -- as Scenarios hands it over
        with world.stage(with_issuer=with_issuer) as stage:
            play(stage)

    return lambda scenarios, name: scenarios.played(name, request, put_on)
