"""Options that all commands on a cluster take, worded once."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from keywright.cli.completion import api_keys, contexts, issuers, namespaces

__all__ = [
    "ClusterIdOption",
    "ContextOption",
    "InsecureOption",
    "IssuerOption",
    "KubeconfigOption",
    "NamesArgument",
    "NamespaceOption",
    "OutputFormat",
    "OutputOption",
    "seconds_of",
]


def seconds_of(duration: str, option: str) -> float:
    """The value of an option such as 5m. Raises typer.BadParameter."""
    from keywright.api.durations import parse_duration  # noqa: PLC0415 - --help does not wait for the models

    try:
        return parse_duration(duration).total_seconds()
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


class OutputFormat(StrEnum):
    """How a result is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


KubeconfigOption = Annotated[
    str | None, typer.Option("--kubeconfig", metavar="FILE", help="Kubeconfig to use. Default: KUBECONFIG.")
]
ContextOption = Annotated[
    str | None, typer.Option("--context", help="The kubeconfig's context.", autocompletion=contexts)
]
NamespaceOption = Annotated[
    str | None,
    typer.Option("--namespace", "-n", help="The namespace. Default: the kubeconfig's.", autocompletion=namespaces),
]
NamesArgument = Annotated[
    list[str], typer.Argument(metavar="NAME", help="ApiKeys of the namespace.", autocompletion=api_keys)
]
IssuerOption = Annotated[
    str | None,
    typer.Option(
        "--issuer",
        metavar="NAME",
        help="keyissuer/NAME or clusterkeyissuer/NAME; NAME alone: the namespace's KeyIssuer, else the ClusterKeyIssuer. "
        "Default: all that the namespace can use.",
        autocompletion=issuers,
    ),
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
