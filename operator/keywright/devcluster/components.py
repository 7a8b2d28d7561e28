"""How each component is started: command line, working folder, environment. Pure but for the files it names.

Each flag that is not obvious says why. Everything is on 127.0.0.1 or on sockets in the cluster's folder,
and the folder is all that the components write to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from keywright.devcluster.binaries import Binaries
    from keywright.devcluster.layout import Layout, State

__all__ = [
    "APISERVER",
    "CONTROLLER_MANAGER",
    "ETCD",
    "VAULT_SERVER",
    "Command",
    "audit_policy",
    "command",
    "token_file",
]

ETCD = "etcd"
APISERVER = "kube-apiserver"
CONTROLLER_MANAGER = "kube-controller-manager"
VAULT_SERVER = "vault"

_CONTROLLERS = (
    "namespace-controller",
    "garbage-collector-controller",
    "deployment-controller",
    "replicaset-controller",
    "serviceaccount-controller",
    "clusterrole-aggregation-controller",
)

# etcd and Vault take any flag from a variable of this prefix, clients look for clusters in KUBE…, and nothing here
# speaks through a proxy.
_NOT_INHERITED = ("ETCD", "VAULT_", "KUBE")

_ROOMY = {"GOGC": "400", "GOMEMLIMIT": "1GiB"}
"""Go may use some memory: collecting a heap as small as theirs takes a third of an apiserver's time."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to run, and where."""

    argv: list[str]
    directory: Path
    environ: dict[str, str]


def command(component: str, layout: Layout, state: State, binaries: Binaries, environ: Mapping[str, str]) -> Command:
    """The command of one component."""
    program = str(binaries[component].path)
    inherited = {
        **_ROOMY,
        **{
            name: value
            for name, value in environ.items()
            if not name.startswith(_NOT_INHERITED) and not name.lower().endswith("_proxy")
        },
        "HOME": str(layout.scratch),
        "TMPDIR": str(layout.scratch),
    }
    match component:
        case "etcd":
            return Command([program, *_etcd()], layout.etcd, inherited)
        case "kube-apiserver":
            return Command([program, *_apiserver(layout, state)], layout.directory, inherited)
        case "kube-controller-manager":
            return Command([program, *_controller_manager(layout)], layout.directory, inherited)
        case "vault":
            secret = {"VAULT_DEV_ROOT_TOKEN_ID": state.vault_token}  # not on the command line, where ps shows it
            # Plugins make sockets in TMPDIR; a relative one keeps their names short, however deep the folder lies.
            return Command([program, *_vault(state)], layout.vault, {**inherited, **secret, "TMPDIR": "../tmp"})
        case _:
            raise ValueError(f"no component is called {component}")


def _etcd() -> list[str]:
    # Sockets instead of ports: no port to collide, and nobody else on the machine can read Secrets there. Their names
    # are relative, since a socket's path is limited to about 100 bytes. The advertised URLs are never used.
    return [
        "--name=dev",
        "--data-dir=data",
        "--unsafe-no-fsync",  # a development cluster may lose its last second in a power cut
        "--listen-client-urls=unix://client.sock",
        "--advertise-client-urls=http://localhost:2379",
        "--listen-peer-urls=unix://peer.sock",
        "--initial-advertise-peer-urls=http://localhost:2380",
        "--initial-cluster=dev=http://localhost:2380",
        "--log-level=warn",
    ]


def _apiserver(layout: Layout, state: State) -> list[str]:
    # kube-apiserver signs its own serving pair into certs/, before it reads the key for ServiceAccount tokens: the
    # same key serves for both, and no other program is needed to make one.
    key = f"{layout.certificates.name}/apiserver.key"
    audit = [
        f"--audit-policy-file={layout.audit_policy.name}",
        f"--audit-log-path={layout.logs.name}/{layout.audit_log.name}",
        "--audit-log-maxsize=4096",  # MB; 0 means 100, and who reads the log reads one file
    ]
    return [
        "--etcd-servers=unix://etcd/client.sock",
        "--endpoint-reconciler-type=none",
        "--advertise-address=127.0.0.1",
        "--bind-address=127.0.0.1",
        f"--secure-port={state.port}",
        f"--cert-dir={layout.certificates.name}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        f"--token-auth-file={layout.tokens.name}",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--disable-admission-plugins=ServiceAccount",  # pods would wait for a token volume that no kubelet mounts
        # Tests and the bench come in waves; the default of 600 in all would throttle them, not the two cores.
        "--max-requests-inflight=2000",
        "--max-mutating-requests-inflight=1000",
        "--profiling=false",
        *(audit if state.audit else ()),
        *state.apiserver_flags,
    ]


def _controller_manager(layout: Layout) -> list[str]:
    return [
        f"--kubeconfig={layout.kubeconfig.name}",
        "--leader-elect=false",
        "--secure-port=0",
        "--use-service-account-credentials=false",
        f"--controllers={','.join(_CONTROLLERS)}",
        "--profiling=false",
    ]


def _vault(state: State) -> list[str]:
    return [
        "server",
        "-dev",
        "-dev-no-store-token",
        f"-dev-listen-address=127.0.0.1:{state.vault_port}",
        "-dev-plugin-dir=plugins",
    ]


def audit_policy() -> str:
    """Every request once, when it is answered, without bodies: those hold Secrets."""
    return "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n"


def token_file(state: State) -> str:
    """The static tokens: one, for a user whom RBAC refuses nothing."""
    return f'{state.admin_token},admin,admin,"system:masters"\n'
