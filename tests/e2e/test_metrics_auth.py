"""/metrics behind the real apiserver's authentication: for whom, and by which rights."""

from __future__ import annotations

import shutil
import ssl
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest
from tests.conftest import ROOT
from tests.e2e.test_rights import RBAC, all_used, rights_of
from tests.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Plane
    from tests.running import Operator

pytestmark = [pytest.mark.plane, pytest.mark.xdist_group("rights")]


def asked(url: str, certificate: Path, token: str | None = None) -> tuple[int, str]:
    """Status and text of a scrape."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 -- the operator's own address, on loopback
    trusted = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
    try:
        with urllib.request.urlopen(request, context=trusted, timeout=30) as answer:  # noqa: S310 -- as above
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def bound(plane: Plane, role: str, namespace: str, account: str) -> None:
    """A ServiceAccount gets one of the component's ClusterRoles; the binding goes with its namespace's test."""
    plane.call(
        "POST",
        f"{RBAC}/clusterrolebindings",
        {
            "metadata": {"name": f"{role}-{namespace}-{account}"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
        },
    )


@pytest.fixture
def tls(certificate: Path, tmp_path: Path) -> Path:
    """A folder as a Secret of type kubernetes.io/tls is mounted."""
    folder = tmp_path / "tls"
    folder.mkdir()
    (folder / "tls.crt").write_bytes((certificate / "cert.pem").read_bytes())
    (folder / "tls.key").write_bytes((certificate / "key.pem").read_bytes())
    return folder


def test_metrics_are_for_whom_the_apiserver_lets_get_them(
    plane: Plane,
    namespace: str,
    namespaced_operator: Callable[..., Operator],
    certificate: Path,
    tls: Path,
):
    """A token of one who may, of one who may not, one that is none, and none at all; each right is used."""
    plane.kubectl("apply", "--server-side", "-f", str(ROOT / "manifests" / "metrics-auth" / "rbac.yaml"))
    operator = namespaced_operator(namespace, "--metrics-auth", "--metrics-tls", str(tls))
    for account in ("scraper", "stranger"):
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        plane.call("POST", path, {"metadata": {"name": account}})
    token = plane.token_of(namespace, "scraper")
    assert operator.metrics.startswith("https://")
    status, said = asked(operator.metrics, certificate, token)
    assert (status, "log says why" in said) == (503, True), "the operator itself has no right to ask yet"
    bound(plane, "keywright-metrics-auth", namespace, "keywright")
    bound(plane, "keywright-metrics-reader", namespace, "scraper")
    status, said = wait_for(
        lambda: (got := asked(operator.metrics, certificate, token))[0] == 200 and got, "the rights are known", pause=1
    )
    assert "keywright_" in said
    status, said = asked(operator.metrics, certificate, plane.token_of(namespace, "stranger"))
    assert (status, "keywright-metrics-reader" in said) == (403, True)
    for none in (None, "", "made-up", "a.b.c", token[:-4]):
        status, said = asked(operator.metrics, certificate, none)
        assert (status, "Bearer" in said) == (401, True), none
    assert operator.is_ready(), "probes are the kubelet's, without a token"
    user = f"system:serviceaccount:{namespace}:keywright"
    all_used(plane, user, rights_of(plane.call("GET", f"{RBAC}/clusterroles/keywright-metrics-auth")))
    assert token not in operator.said()
    assert "keywright_" not in asked(operator.metrics.replace("/metrics", "/"), certificate, token)[1]


def test_the_component_fits_onto_the_manifests(plane: Plane, tmp_path: Path):
    """As its comment says to use it; the apiserver takes what comes of it."""
    shutil.copytree(ROOT / "manifests", tmp_path / "manifests")
    (tmp_path / "kustomization.yaml").write_text("resources: [manifests]\ncomponents: [manifests/metrics-auth]\n")
    made = plane.kubectl("kustomize", str(tmp_path))
    assert made.count("--metrics-auth") == 1
    assert made.count("--metrics-tls=/etc/keywright/metrics") == 1
    assert "keywright-metrics-reader" in made
    plane.kubectl("apply", "--server-side", "--dry-run=server", "--force-conflicts", "-f", "-", stdin=made)
