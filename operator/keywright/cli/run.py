"""`keywright run`: the operator."""

from __future__ import annotations

import asyncio
import logging
import sys
from enum import StrEnum
from pathlib import Path  # noqa: TC003 - typer reads it when the command is made
from typing import Annotated, Any

import typer

from keywright.cli.options import seconds_of

__all__ = ["run"]

_SHORTEST_LEASE = 3.0
"""Seconds: a slow answer to one renewal must not cost the lease."""
_LONGEST_LEASE = 3600.0
"""Seconds: nobody works for so long after a leader has died."""


class LogFormat(StrEnum):
    """How log lines look."""

    JSON = "json"
    TEXT = "text"


class LogLevel(StrEnum):
    """From chatty to quiet."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def run(  # noqa: PLR0917 - options of a command are no positional arguments
    namespace: Annotated[
        list[str] | None,
        typer.Option("--namespace", "-n", help="Serve this namespace only (repeatable); needs --cluster-id."),
    ] = None,
    kubeconfig: Annotated[
        str | None, typer.Option(help="Kubeconfig to use outside a cluster. Default: KUBECONFIG.")
    ] = None,
    context: Annotated[str | None, typer.Option(help="The kubeconfig's context.")] = None,
    metrics_address: Annotated[str | None, typer.Option(help="HOST:PORT for /metrics; port 0 takes any.")] = None,
    metrics_auth: Annotated[
        bool,
        typer.Option(
            "--metrics-auth",
            help="Show /metrics to those alone whose token the apiserver lets get it; needs --metrics-tls, "
            "and the rights of manifests/metrics-auth.",
        ),
    ] = False,
    metrics_tls: Annotated[
        Path | None,
        typer.Option(help="Serve /metrics by TLS: a folder with tls.crt and tls.key, as a Secret is mounted."),
    ] = None,
    health_address: Annotated[
        str | None, typer.Option(help="HOST:PORT for /healthz and /readyz; port 0 takes any.")
    ] = None,
    metrics_apikeys: Annotated[
        int,
        typer.Option(
            min=0, max=100_000, help="Of so many ApiKeys, those that end first, /metrics shows each one's expiry."
        ),
    ] = 1000,
    usage_interval: Annotated[
        str | None,
        typer.Option(
            help="Read each issuer's usage report this often, such as 1h, and show in /metrics what the workspaces with ApiKeys have "
            "used this month. Default: not at all.",
            show_default=False,
        ),
    ] = None,
    cluster_id: Annotated[
        str | None,
        typer.Option(help="Tells this cluster's keys from others' at the issuer. Default: from kube-system's UID."),
    ] = None,
    log_format: Annotated[LogFormat, typer.Option(help="One JSON object a line, or text.")] = LogFormat.JSON,
    log_level: Annotated[LogLevel, typer.Option(help="The least that is logged.")] = LogLevel.INFO,
    min_interval: Annotated[
        str, typer.Option(help="At most one new key per ApiKey in this time, triggers apart.")
    ] = "5m",
    leader_elect: Annotated[
        bool | None,
        typer.Option(
            "--leader-elect/--no-leader-elect",
            help="Work only while holding a Lease that replicas share. Default: yes inside a cluster, no with a kubeconfig.",
            show_default=False,
        ),
    ] = None,
    lease_duration: Annotated[
        str,
        typer.Option(
            help="How long the Lease lasts without renewal: so long does a dead leader hold up the others. "
            "Issuers' requests.timeout must fit into two thirds of it."
        ),
    ] = "15s",
    allow_insecure_issuers: Annotated[
        bool,
        typer.Option(
            "--allow-insecure-issuers",
            help="Allow plain http and loopback issuers: for the demo, tests and benchmarks.",
        ),
    ] = False,
) -> None:
    """Run the operator.

    Inside a cluster it needs no options; outside it takes KUBECONFIG.

    For example:

      keywright run --metrics-address 0.0.0.0:8080 --health-address 0.0.0.0:8081

      keywright run --namespace search --cluster-id staging --log-format text
    """
    from keywright.bootstrap import Options  # noqa: PLC0415 - --help does not wait for the operator's imports
    from keywright.wiring.running import Addresses  # noqa: PLC0415
    from keywright.wiring.running import run as run_operator  # noqa: PLC0415

    interval = seconds_of(min_interval, "--min-interval")
    lease = seconds_of(lease_duration, "--lease-duration")
    if not _SHORTEST_LEASE <= lease <= _LONGEST_LEASE:
        raise typer.BadParameter("write 3s to 1h, such as 15s", param_hint="--lease-duration")
    if metrics_auth and metrics_tls is None:
        raise typer.BadParameter("needs --metrics-tls: tokens travel over it", param_hint="--metrics-auth")
    _set_up_logging(log_format, log_level)
    options = Options(
        kubeconfig=kubeconfig,
        context=context,
        namespaces=tuple(dict.fromkeys(namespace or ())),
        cluster_id=cluster_id,
        min_interval=interval,
        allow_insecure_issuers=allow_insecure_issuers,
        leader_elect=leader_elect,
        lease_duration=lease,
        metrics_apikeys=metrics_apikeys,
        usage_interval=None if usage_interval is None else seconds_of(usage_interval, "--usage-interval"),
    )
    asyncio.run(run_operator(options, Addresses(metrics_address, health_address, metrics_auth, metrics_tls)))


def _set_up_logging(log_format: LogFormat, level: LogLevel) -> None:
    from keywright.cli.logs import JsonLines, TextLines, log_what_nobody_caught  # noqa: PLC0415 - as above

    handler = logging.StreamHandler(sys.stderr)
    formatter: logging.Formatter = JsonLines() if log_format is LogFormat.JSON else TextLines()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.value.upper())
    log_what_nobody_caught()
    # One process, one thread: no line says which, so none is asked.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # Watches log each reconnect and each event: their own level, so that ours can be read.
    quiet: dict[str, Any] = {"kopf": logging.WARNING, "asyncio": logging.WARNING, "aiohttp": logging.WARNING}
    for name, least in quiet.items():
        logging.getLogger(name).setLevel(max(least, root.level))
