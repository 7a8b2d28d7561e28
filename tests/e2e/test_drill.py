"""What is wrong? Broken set-ups, in each of which the first screen of `keywright doctor` names the cause and the remedy.

On a plane of their own. First what breaks the installation itself, before any operator is there; then, under one that leads, the
others at the same time, each in a namespace of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.chaos.proxy import FaultProxy, Loop
from tests.conftest import ROOT, bring_up, grant
from tests.e2e.patients import Ward, consult, consult_json
from tests.e2e.shifted import AHEAD
from tests.e2e.team import GROUP, Team
from tests.e2e.together import Scenarios
from tests.e2e.vault_team import VaultTeam
from tests.running import Operator, Sandbox, wait_for
from tests.sinks import Alone
from tests.vaults import vault_of

from keywright.devcluster import write_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Plane
    from tests.e2e.together import Scenario

pytestmark = [pytest.mark.plane, pytest.mark.xdist_group("drill")]
scenarios = Scenarios(
    6,  # each runs doctors, which work and have deadlines: to wait is the least of it
    alone=Alone("secret", "What is wrong is said of either target in the same words; Vault's own troubles are a case."),
)


@pytest.fixture(scope="session")
def installed() -> Plane:
    """As users install it. The plane has no nodes, so that its Deployment is scaled to nothing."""
    plane = bring_up("drill")
    plane.kubectl("-n", "keywright-system", "scale", "deployment", "keywright", "--replicas=0")
    return plane


@pytest.fixture(scope="session")
def ward(installed: Plane, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """With an operator beside it that leads."""
    plane, folder, loop = installed, tmp_path_factory.mktemp("drill"), Loop()
    token = plane.token_of("keywright-system", "keywright")
    write_kubeconfig(folder / "kubeconfig", server=plane.server, ca_file=plane.ca_file, token=token)
    # A machine that stands still for some seconds does not cost it the lease.
    flags = ("--leader-elect", "--lease-duration", "30s", "--min-interval", "3s")
    operator = Operator(folder / "operator", folder / "kubeconfig", *flags)
    operator.start()
    wait_for(lambda: "leading:" in operator.said(), "the operator leads")
    yield Ward(plane, sandbox, operator, loop, folder)
    assert operator.stop() == 0
    assert "Traceback" not in operator.said()
    loop.close()


def test_a_crd_is_missing_or_older(installed: Plane):
    """Which one, and what an older one lacks; the command that is given mends both."""
    [crd] = yaml.safe_load_all((ROOT / "crds/clustervaultstores.yaml").read_text("utf-8"))
    name = crd["metadata"]["name"]
    del crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["keepVersions"]
    installed.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(crd))
    remedy = "kubectl apply --server-side -f crds"
    consult(installed).names(f"{name} is older than this keywright: it lacks spec.keepVersions", remedy)
    installed.kubectl("delete", "crd", name)
    consult(installed).names(f"CRDs are not installed: {name}", remedy)
    installed.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
    installed.kubectl("wait", "--for=condition=Established", "--timeout=100s", "-f", str(ROOT / "crds"))
    _, said = consult_json(installed)
    assert [finding["state"] for finding in said["findings"] if finding["check"] == "kinds"] == ["ok"]


def test_the_operator_lacks_a_right(installed: Plane):
    """The verb, and the manifest that grants it."""
    rbac = ROOT / "manifests/rbac.yaml"
    documents = list(yaml.safe_load_all(rbac.read_text("utf-8")))
    role = next(one for one in documents if one["kind"] == "ClusterRole")
    role["rules"] = [rule for rule in role["rules"] if "events" not in rule["resources"]]
    installed.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(documents))
    wait_for(lambda: not installed.may("create", "", "events", "default"), "the apiserver knows")
    consult(installed).names(
        "keywright-system/keywright may not create events",
        r"kubectl apply --server-side -k manifests \(manifests/rbac.yaml grants it",
    )
    installed.kubectl("apply", "--server-side", "-f", str(rbac))
    wait_for(lambda: installed.may("create", "", "events", "default"), "the apiserver knows")


def test_an_apiserver_that_is_away_is_one_line(tmp_path: Path):
    """Nothing else can be said."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n"
        "users: [{name: c, user: {}}]\ncontexts: [{name: c, context: {cluster: c, user: c}}]\n"
    )
    command = ("-m", "keywright", "doctor", "--kubeconfig", str(kubeconfig))
    said = subprocess.run((sys.executable, *command), capture_output=True, text=True, check=False, timeout=60)
    assert said.returncode == 1
    assert "cannot be reached: connection refused → see that the cluster runs" in said.stdout
    assert said.stderr == ""


class Patient(Team):
    """A namespace in which something is wrong."""

    def __init__(self, ward: Ward, namespace: str) -> None:
        super().__init__(ward.plane, ward.sandbox, namespace, ward.operator)
        self.ward = ward

    def is_told(self, cause: str, remedy: str, **how: Any) -> None:
        """The first screen names both."""
        consult(self.plane, "-n", self.namespace, **how).names(cause, remedy)

    @contextmanager
    def behind_a_proxy(self) -> Iterator[FaultProxy]:
        """An admin key, and an issuer that can be taken away."""
        proxy = FaultProxy(self.ward.loop, self.sandbox.url)
        try:
            self.create_admin_secret()
            self.create_issuer(url=proxy.url)
            yield proxy
        finally:
            proxy.close()


@scenarios
def nothing_is_wrong(patient: Patient):
    """Status 0, and each thing that was looked at is there; so in JSON."""
    patient.create()
    patient.ready()
    status, said = consult_json(patient.plane, "-n", patient.namespace)
    assert status == 0, said
    assert said["ok"] is True
    assert said["namespace"] == patient.namespace
    checks = {finding["check"] for finding in said["findings"] if finding["state"] == "ok"}
    assert checks == {"apiserver", "kinds", "rights", "operator", "clock", "issuers", "apikeys"}
    seen = consult(patient.plane, "-n", patient.namespace)
    assert seen.screen.startswith("Nothing is wrong")
    platform = patient.sandbox.url.removeprefix("http://")
    assert f"this machine, the apiserver, {platform} and the operator" in seen.screen


@scenarios.without_issuer
def no_admin_key(patient: Patient):
    """Which Secret, and that it is to be created; the ApiKeys that wait are named with it, and not once more."""
    patient.create_issuer()
    patient.create()
    patient.says("AdminKeyMissing")
    who = f"ApiKey {patient.namespace}/search waits for it"
    patient.is_told(
        f"Secret {patient.namespace}/mistral-admin with data key admin-key does not exist.*{who}", "create it"
    )


@scenarios.without_issuer
def an_admin_key_that_is_refused(patient: Patient):
    """Where a valid one goes."""
    patient.create_admin_secret(key="x" * 32)
    patient.create_issuer()
    patient.is_told(
        r"keyissuer/mistral in .*refused the admin key \(401\)", "put a valid Admin API key into the Secret"
    )


@scenarios.without_issuer
def a_wrong_grant(patient: Patient):
    """What to ask the issuer's owner for."""
    patient.create_admin_secret()
    name = f"only-{patient.namespace}"
    grants = [{"namespaces": {"names": [patient.namespace]}, "workspaces": ["billing"]}]
    patient.create_issuer(name, kind="ClusterKeyIssuer", spec={"grants": grants})
    patient.create(issuerRef={"kind": "ClusterKeyIssuer", "name": name})
    patient.says("NotGranted")
    patient.is_told(
        f"ApiKey {patient.namespace}/search: no grant of clusterkeyissuer/{name} allows",
        "ask its owner to add search-prod",
    )
    patient.delete()
    patient.gone()
    patient.plane.call("DELETE", f"{GROUP}/clusterkeyissuers/{name}")


@scenarios
def a_sealed_vault(patient: Patient):
    """Sealed, and to be unsealed; its ApiKeys wait."""
    vault = vault_of(patient.plane)
    there = VaultTeam(patient.plane, patient.sandbox, patient.namespace, patient.operator)
    there.create_store()
    there.create()
    there.ready()
    vault.call("PUT", "sys/seal")
    patient.is_told("vaultstore/vault in .* is sealed: unseal it", "go on by themselves")


@scenarios.without_issuer
def the_clock_of_an_operator(patient: Patient):
    """Two hours ahead: told by what the apiserver noted beside its own stamps, with whose clocks it was compared."""
    folder = Path(tempfile.mkdtemp(dir=patient.ward.folder))
    grant(patient.plane, "namespaced", patient.namespace, folder)
    token = patient.plane.token_of(patient.namespace, "keywright")
    write_kubeconfig(folder / "kubeconfig", server=patient.plane.server, ca_file=patient.plane.ca_file, token=token)
    (folder / "ahead").write_text("7200", encoding="ascii")
    operator = Shifted(
        folder / "operator", folder / "kubeconfig", "--namespace", patient.namespace, "--cluster-id", "shifted"
    )
    operator.command += ("--leader-elect",)
    operator.environ = {
        "PYTHONPATH": os.pathsep.join((str(ROOT / "operator"), str(ROOT))),
        AHEAD: str(folder / "ahead"),
    }
    operator.start()
    try:
        wait_for(lambda: "leading:" in operator.said(), "it leads")
        where = f"the operator \\({patient.namespace}/keywright-namespaced\\)"
        patient.is_told(f"{where}'s clock is 2 h ahead", "set the clock of the node that its pod runs on by NTP")
    finally:
        assert operator.stop() == 0


@scenarios
def the_clock_of_this_machine(patient: Patient):
    """The cluster's and the platform's agree, so that it is one's own."""
    ahead = Path(tempfile.mkdtemp(dir=patient.ward.folder)) / "ahead"
    ahead.write_text("-600", encoding="ascii")
    patient.is_told("this machine's clock is 10 min behind", "set this machine's clock by NTP", ahead=ahead)


@scenarios
def a_person_without_rights(patient: Patient):
    """Which verbs are missing, and who grants them."""
    base = f"/api/v1/namespaces/{patient.namespace}/serviceaccounts"
    patient.plane.call("POST", base, {"metadata": {"name": "nobody"}})
    kubeconfig = Path(tempfile.mkdtemp(dir=patient.ward.folder)) / "kubeconfig"
    token = patient.plane.token_of(patient.namespace, "nobody")
    write_kubeconfig(kubeconfig, server=patient.plane.server, ca_file=patient.plane.ca_file, token=token)
    patient.is_told(
        r"you may not get, list apikeys\.keywright\.dev, .* in namespace " + patient.namespace,
        r"ask for the ClusterRole view there, or for keywright-view \(manifests/users\.yaml\)",
        kubeconfig=kubeconfig,
    )


@scenarios.without_issuer
def an_issuer_that_is_down(patient: Patient):
    """Nobody answers at the address; who waits for it."""
    with patient.behind_a_proxy() as proxy:
        proxy.down()
        patient.create()
        patient.says("IssuerUnavailable")
        patient.is_told(
            f"cannot be reached at {proxy.url}: connection refused.*ApiKey {patient.namespace}/search waits for it",
            "check spec.mistral.url",
        )


@scenarios
def a_foreign_secret(patient: Patient):
    """Whose it is not, and what the two ways out are."""
    path = f"/api/v1/namespaces/{patient.namespace}/secrets"
    patient.plane.call("POST", path, {"metadata": {"name": "search-key"}, "stringData": {"else": "ours"}})
    patient.create()
    patient.says("TargetForeign")
    patient.is_told(
        "Secret search-key is a Secret that keywright did not make",
        "write another spec.target.secret.name.*adopt: true",
    )


@scenarios
def a_schedule_that_never_fires(patient: Patient):
    """The thirtieth of February."""
    patient.create(rotation={"schedule": "0 3 30 2 *"})
    patient.is_told("spec.rotation.schedule '0 3 30 2 .' never comes round", "write a date that exists")


@scenarios.without_issuer
def a_finalizer_that_is_stuck(patient: Patient):
    """What it waits for, what mends it, and what letting go of it means; the namespace that stays is named, too."""
    with patient.behind_a_proxy() as proxy:
        patient.create()
        key = patient.ready()["keyId"]
        proxy.down()
        patient.plane.call("DELETE", f"/api/v1/namespaces/{patient.namespace}")
        patient.says("RevocationFailed", of_type="Reconciling")
        patient.is_told(
            f"ApiKey {patient.namespace}/search hangs in deletion .*Key {key} cannot be revoked yet",
            f"revoke its keys at the platform .{key}., then kubectl .* keywright.dev/abandon=true lets go of it: "
            "a key not revoked by then lives on",
        )
        patient.is_told(f"namespace {patient.namespace} stays Terminating", "mend what is said above")
        proxy.up()
        patient.gone()


class Shifted(Operator):
    """On the set clock."""

    module = "tests.e2e.shifted"


@pytest.mark.parametrize("scenario", scenarios.names)
def test_drill(scenario: str, ward: Ward, request: pytest.FixtureRequest):
    """What the scenario's own sentence says."""

    def put_on(one: Scenario) -> None:
        with ward.plane.a_namespace() as namespace:
            patient = Patient(ward, namespace)
            if one.with_issuer:
                patient.create_admin_secret()
                patient.create_issuer()
            one.play(patient)

    scenarios.played(scenario, request, put_on)
