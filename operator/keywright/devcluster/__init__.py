"""A real control plane on this machine: etcd, kube-apiserver, kube-controller-manager, and Vault where asked for.

For development, tests and the demo. It finds or builds the binaries (`recipes`, `binaries`, `build`), starts them in
one folder (`launch`, `components`) and removes every trace again (`cluster`). It imports nothing of keywright but
errors, and never touches the user's own kubeconfig or current context.
"""

from __future__ import annotations

from keywright.devcluster.binaries import Binaries, Binary, Source
from keywright.devcluster.build import provide
from keywright.devcluster.cluster import Cluster
from keywright.devcluster.console import shown
from keywright.devcluster.kubeconfig import write_kubeconfig
from keywright.devcluster.progress import Building, Note, Progress, Report
from keywright.devcluster.recipes import CONTROL_PLANE, VAULT, Recipe

__all__ = [
    "CONTROL_PLANE",
    "VAULT",
    "Binaries",
    "Binary",
    "Building",
    "Cluster",
    "Note",
    "Progress",
    "Recipe",
    "Report",
    "Source",
    "provide",
    "shown",
    "write_kubeconfig",
]
