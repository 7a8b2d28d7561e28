"""`keywright workspaces`: what may be named in spec.workspace. Parses, calls, prints."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import typer

from keywright.cli.options import (
    ContextOption,
    InsecureOption,
    IssuerOption,
    KubeconfigOption,
    NamespaceOption,
    OutputFormat,
    OutputOption,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keywright.bootstrap import Reach
    from keywright.reconcile.offering import Answered

__all__ = ["workspaces"]


def workspaces(  # noqa: PLR0917 - options of a command are no positional arguments
    issuer: IssuerOption = None,
    output: OutputOption = OutputFormat.TABLE,
    namespace: NamespaceOption = None,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
    allow_insecure_issuers: InsecureOption = False,
) -> None:
    """Show what may be named in spec.workspace.

    It asks the platform, so it needs your right to get the Secret with the admin key, besides list on the issuers. Of a
    ClusterKeyIssuer, what its grants give to the namespace is told apart from the rest.

    For example:

      keywright workspaces -n search

      keywright workspaces --issuer clusterkeyissuer/mistral -n search -o json
    """
    from keywright.bootstrap import Reach  # noqa: PLC0415 - --help does not wait for the imports
    from keywright.planning.used import called_in  # noqa: PLC0415

    reach = Reach(kubeconfig, context, namespace, allow_insecure_issuers=allow_insecure_issuers)
    answers, where = asyncio.run(_look(reach, issuer))
    _show(answers, where, output)
    for answered in answers:
        if answered.error is not None:
            kind, _, name = answered.issuer
            said = str(answered.error).removeprefix(f"{kind.lower()}/{name}").lstrip(": ")
            typer.echo(f"keywright: {called_in(answered.issuer)}: {said}", err=True)
    if any(answered.error for answered in answers):
        raise typer.Exit(1)


async def _look(reach: Reach, issuer: str | None) -> tuple[list[Answered], str]:
    from keywright.cli.output import progress  # noqa: PLC0415 - as above
    from keywright.errands import offering  # noqa: PLC0415

    with progress() as told:
        told("connecting")
        async with offering(reach, told) as (offered, namespace):
            return await offered.look(namespace, issuer), namespace


def _show(answers: Sequence[Answered], namespace: str, output: OutputFormat) -> None:
    from keywright.cli.output import say, say_document, say_table  # noqa: PLC0415 - as above
    from keywright.planning.used import called_in  # noqa: PLC0415

    if output is not OutputFormat.TABLE:
        say_document(output, {"namespace": namespace, "workspaces": [d for a in answers for d in _documents(a)]})
        return
    first = True
    for answered in answers:
        if answered.error is not None:
            continue
        if not first:
            say("")
        first = False
        say(f"{called_in(answered.issuer)}, for ApiKeys in namespace {namespace}:")
        has_limits = any(offer.limits not in ("", "any") for offer in answered.offers)
        rows = [(o.workspace.name, o.workspace.id, o.use, *([o.limits] if has_limits else [])) for o in answered.offers]
        say_table(("NAME", "ID", "MAY BE NAMED", *(["LIMITS"] if has_limits else [])), rows, whole=("ID",))


def _documents(answered: Answered) -> list[dict[str, Any]]:
    kind, namespace, name = answered.issuer
    return [
        {
            "name": offer.workspace.name,
            "id": offer.workspace.id,
            "archived": offer.archived,
            "granted": offer.granted,
            "ambiguous": offer.ambiguous,
            "limits": offer.limits or None,
            "issuer": {"kind": kind, "namespace": namespace, "name": name},
        }
        for offer in answered.offers
    ]
