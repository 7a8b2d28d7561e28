"""`keywright doctor`: what is wrong, and what to do about it. Parses, calls, prints."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from keywright.cli.completion import namespaces
from keywright.cli.options import (
    ContextOption,
    InsecureOption,
    KubeconfigOption,
    OutputFormat,
    OutputOption,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keywright.bootstrap import Reach
    from keywright.planning.diagnosis.finding import Finding
    from keywright.reconcile.doctor import Examined

__all__ = ["doctor"]

_FOLDERS: Final = ("manifests", "manifests/namespaced")


def doctor(
    output: OutputOption = OutputFormat.TABLE,
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace",
            "-n",
            autocompletion=namespaces,
            help="Look at this namespace alone. Default: all; where you may not list them, the kubeconfig's.",
        ),
    ] = None,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
    allow_insecure_issuers: InsecureOption = False,
) -> None:
    """Find out what is wrong, and what to do about it.

    It looks at the CRDs, your rights and the operator's, at the operator, at the clocks, at issuers and Vaults, and at ApiKeys
    that cannot be served or cannot go. What is wrong comes first, each with its remedy. It works with your own rights: where you
    may read an admin key, the platform is asked; else what the status says counts. It changes nothing, and ends with status 1
    where something is wrong.

    For example:

      keywright doctor

      keywright doctor -n search

      keywright doctor -o json
    """
    from keywright.bootstrap import Reach  # noqa: PLC0415 - --help does not wait for the imports

    reach = Reach(kubeconfig, context, namespace, allow_insecure_issuers=allow_insecure_issuers)
    examined = asyncio.run(_examine(reach))
    _show(examined, output)
    if any(finding.state == "wrong" for finding in examined.findings):
        raise typer.Exit(1)


async def _examine(reach: Reach) -> Examined:
    import yaml  # noqa: PLC0415 - as above

    from keywright.cli.output import progress  # noqa: PLC0415
    from keywright.demo.shipped import shipped  # noqa: PLC0415
    from keywright.errands import consulting  # noqa: PLC0415

    there = shipped("manifests").parent
    manifests = {f: [*yaml.safe_load_all((there / f / "rbac.yaml").read_text("utf-8"))] for f in _FOLDERS}
    with progress() as told:
        told("connecting")
        async with consulting(reach, manifests, told) as (consulted, own):
            return await consulted.examine(reach.namespace, own)


def _show(examined: Examined, output: OutputFormat) -> None:
    from keywright import __version__  # noqa: PLC0415 - as above
    from keywright.cli.output import say_document  # noqa: PLC0415
    from keywright.cli.verdict import say_findings  # noqa: PLC0415

    if output is OutputFormat.TABLE:
        say_findings(examined.findings, examined.namespace)
        return
    say_document(
        output,
        {
            "version": __version__,
            "namespace": examined.namespace,
            "ok": not any(finding.state == "wrong" for finding in examined.findings),
            "findings": _documents(examined.findings),
        },
    )


def _documents(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    return [
        {
            "check": str(finding.check),
            "state": str(finding.state),
            "text": finding.text,
            "remedy": finding.remedy or None,
            "reason": str(finding.reason) or None,
            "objects": list(finding.objects),
        }
        for finding in findings
    ]
