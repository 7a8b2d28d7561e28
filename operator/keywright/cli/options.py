"""Options that all commands on a cluster take, worded once."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

__all__ = [
    "ClusterIdOption",
    "ContextOption",
    "InsecureOption",
    "KubeconfigOption",
    "NamespaceOption",
    "OutputFormat",
    "OutputOption",
]


class OutputFormat(StrEnum):
    """How a result is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


KubeconfigOption = Annotated[
    str | None, typer.Option("--kubeconfig", metavar="FILE", help="Kubeconfig to use. Default: KUBECONFIG.")
]
ContextOption = Annotated[str | None, typer.Option("--context", help="The kubeconfig's context.")]
NamespaceOption = Annotated[
    str | None, typer.Option("--namespace", "-n", help="The namespace. Default: the kubeconfig's.")
]
ClusterIdOption = Annotated[
    str | None,
    typer.Option(
        "--cluster-id",
        metavar="ID",
        help="Keys of the cluster with this id, such as one that is lost. Default: from kube-system's UID.",
    ),
]
OutputOption = Annotated[OutputFormat, typer.Option("--output", "-o", help="How the result is printed.")]
InsecureOption = Annotated[
    bool,
    typer.Option(
        "--allow-insecure-issuers", help="Allow plain http and loopback issuers: for the demo, tests and benchmarks."
    ),
]
