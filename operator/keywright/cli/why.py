"""`keywright why`: one ApiKey in sentences. Parses, calls, prints; the sentences are planning/why.py's."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer

from keywright.cli.completion import api_keys
from keywright.cli.options import (  # noqa: TC001 - Typer reads the annotations
    ContextOption,
    KubeconfigOption,
    NamespaceOption,
)

__all__ = ["why"]


def why(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An ApiKey of the namespace.", autocompletion=api_keys)],
    namespace: NamespaceOption = None,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Say what an ApiKey is doing or waiting for, until when, and what would change that.

    It needs the right to get ApiKeys (ClusterRole keywright-view).

    For example:

      keywright why search

      keywright why search -n prod
    """
    asyncio.run(_why(name, namespace, context, kubeconfig))


async def _why(name: str, namespace: str | None, context: str | None, kubeconfig: str | None) -> None:
    from keywright.adapters.kube import KubeApi  # noqa: PLC0415 - --help does not wait for the imports
    from keywright.adapters.kube_fleet import FleetReader  # noqa: PLC0415
    from keywright.cli.output import printable, progress, say  # noqa: PLC0415
    from keywright.planning.fleet import operator_of  # noqa: PLC0415
    from keywright.planning.why import why as sentences  # noqa: PLC0415

    async with await KubeApi.connect(kubeconfig, context) as api:
        with progress() as told:
            read = await FleetReader(api, namespace or api.login.namespace, name, told).read()
    [seen] = read.api_keys
    now = datetime.now(UTC)
    for sentence in sentences(seen, read.used.values(), operator_of(read, now), now):
        say(printable(sentence))
