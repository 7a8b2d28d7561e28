"""Where both sides of a benchmark work: a control plane with a sandbox beside it, and an operator where one is wanted."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.conftest import Plane, apply_all
from tests.e2e.team import Team
from tests.running import Operator, Sandbox

from keywright.devcluster import Cluster, write_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["a_site", "an_operator", "settle_in"]


@contextmanager
def a_site(folder: Path) -> Iterator[Team]:
    """A control plane with kinds and rights, a sandbox, and a team in it."""
    cluster = Cluster.up(folder / "plane")
    sandbox = Sandbox(folder / "sandbox")
    try:
        sandbox.start()
        plane = Plane.of(cluster)
        apply_all(plane)
        yield settle_in(Team(plane, sandbox, "bench"))
    finally:
        sandbox.stop()
        cluster.down()


def settle_in(team: Team) -> Team:
    """Its namespace, its admin key and its issuer, whose request budget is out of the way."""
    team.plane.call("POST", "/api/v1/namespaces", {"metadata": {"name": team.namespace}})
    team.create_admin_secret()
    team.create_issuer(spec={"requests": {"perSecond": 100_000, "burst": 100_000}, "checkNewKeys": False})
    return team


@contextmanager
def an_operator(plane: Plane, folder: Path) -> Iterator[Operator]:
    """One for the whole cluster, under the ServiceAccount of manifests/; where something fails, its last words are shown."""
    kubeconfig = folder / "kubeconfig"
    token = plane.token_of("keywright-system", "keywright")
    write_kubeconfig(kubeconfig, server=plane.server, ca_file=plane.ca_file, token=token)
    operator = Operator(folder / "operator", kubeconfig)
    operator.start()
    try:
        yield operator
    except AssertionError as error:
        raise SystemExit(f"{error}\nThe operator's last words:\n{operator.said()[-3000:]}") from error
    finally:
        operator.stop()
