"""People who look at a namespace with the commands: as the admin, or as a ServiceAccount with rights of their own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.running import environment, wait_for

from keywright.devcluster import write_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.team import Team

__all__ = ["COMMAND", "a_reader", "keywright", "run"]

COMMAND = (sys.executable, "-m", "keywright")


def run(*command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """In a pipe, without the word of a terminal; no colours and no traceback whatever happens."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=environment() | environ,
    )
    assert "\x1b" not in done.stdout + done.stderr, "a pipe gets no colours"
    assert "Traceback" not in done.stderr, done.stderr
    return done


def keywright(team: Team, *arguments: str, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A command in the team's namespace."""
    name, *rest = arguments
    where = (
        "--kubeconfig",
        str(kubeconfig or team.plane.kubeconfig),
        *(() if "-A" in rest else ("-n", team.namespace)),
    )
    return run(*COMMAND, name, *where, *rest)


@contextmanager
def a_reader(team: Team, role: str | None, name: str = "reader") -> Iterator[Path]:
    """The kubeconfig of a ServiceAccount with a ClusterRole in the namespace; None: with no rights."""
    namespace, call = team.namespace, team.plane.call
    call("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})
    if role is not None:
        ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
        body = {
            "metadata": {"name": name},
            "roleRef": ref,
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        }
        call("POST", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings", body)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kubeconfig"
        token = team.plane.token_of(namespace, name)
        if role is not None:
            wait_for(lambda: _has_rights(team, token), "the binding is seen")
        write_kubeconfig(path, server=team.plane.server, ca_file=team.plane.ca_file, token=token)
        yield path


def _has_rights(team: Team, token: str) -> bool:
    """Any in the namespace, beside those that everybody has: to ask for one's own."""
    asked = {"spec": {"namespace": team.namespace}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    rules = team.plane.call("POST", path, asked, token=token)["status"]["resourceRules"]
    return any(set(rule["apiGroups"]) - {"authentication.k8s.io", "authorization.k8s.io"} for rule in rules)
