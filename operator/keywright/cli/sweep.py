"""`keywright sweep`: live keys that nobody names any more. Parses, calls, prints, asks."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keywright.cli.options import (
    ClusterIdOption,
    ContextOption,
    InsecureOption,
    IssuerOption,
    KubeconfigOption,
    NamespaceOption,
    OutputFormat,
    OutputOption,
)
from keywright.errors import KeywrightError, Rejected

if TYPE_CHECKING:
    from keywright.bootstrap import Reach
    from keywright.keys import KeyId, ListedKey
    from keywright.reconcile.directory import Ref
    from keywright.reconcile.sweep import Findings

__all__ = ["sweep"]

_STORES_NAMED = 3
_COLUMNS = ("KEY ID", "KEY", "NAME", "WORKSPACE", "CREATED", "EXPIRES", "LAST USED", "ISSUER")


def sweep(  # noqa: PLR0917 - options of a command are no positional arguments
    issuer: IssuerOption = None,
    cluster_id: ClusterIdOption = None,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Revoke the strays that are shown, after asking. It cannot be undone.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --revoke: do not ask.")] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="End with status 1 where strays are left.")] = False,
    output: OutputOption = OutputFormat.TABLE,
    namespace: NamespaceOption = None,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
    allow_insecure_issuers: InsecureOption = False,
) -> None:
    """Find live keys at the issuer that no ApiKey names, and revoke them if you say so.

    A stray carries the tag of this cluster's operator in its name; no ApiKey names it, nor a delivered record in a
    Secret. The operator reports strays and never revokes one: another cluster restored from the same backup may hold it,
    so look at LAST USED first. Keys that deletionPolicy: Retain left in a Secret are listed apart and never revoked; Vault
    is not read, so those that it left there are among the strays, and it says so. A key without the tag is never touched.
    It works with your own rights: list ApiKeys, issuers and Secrets in all namespaces, and read the Secret with the admin
    key.

    For example:

      keywright sweep -n search

      keywright sweep --issuer clusterkeyissuer/mistral --revoke

      keywright sweep --cluster-id 0d3a1c2b --exit-code -o json
    """
    from keywright.bootstrap import Reach  # noqa: PLC0415 - --help does not wait for the imports

    if yes and not revoke:
        raise typer.BadParameter("it answers --revoke, which is not there", param_hint="--yes")
    if revoke and not yes and (output is not OutputFormat.TABLE or not sys.stdin.isatty()):
        raise Rejected(
            "--revoke asks before it revokes, and here nobody can answer: look at the strays first, then add --yes",
            reason="Usage",
        )
    reach = Reach(kubeconfig, context, namespace, cluster_id, allow_insecure_issuers)
    seen = asyncio.run(_look(reach, issuer))
    if output is OutputFormat.TABLE:
        _show(seen)
    if seen.strays and seen.found.stores:
        _name_stores(seen.found.stores)
    outcomes: dict[str, _Outcome] = {}
    if revoke and seen.found.strays:
        _may_revoke(seen, asked=yes, lost=cluster_id is not None)
        outcomes = asyncio.run(_revoke(reach, issuer, seen))
    _report(seen, outcomes, output)
    _complain(seen, outcomes)
    left = [one for one in seen.strays if outcomes.get(one) not in (_Outcome.REVOKED, _Outcome.SPARED)]
    if seen.found.failures or _Outcome.FAILED in outcomes.values() or (exit_code and left):
        raise typer.Exit(1)


class _Outcome(StrEnum):
    """What became of a stray that was to be revoked."""

    REVOKED = "revoked"
    SPARED = "spared"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the first look found."""

    found: Findings
    cluster: str
    namespace: str
    whole: bool

    @property
    def strays(self) -> list[KeyId]:
        return [stray.key.key_id for _, stray in self.found.strays]


async def _look(reach: Reach, issuer: str | None) -> _Seen:
    from keywright.bootstrap import sweeping  # noqa: PLC0415 - as above
    from keywright.cli.output import progress  # noqa: PLC0415

    with progress() as told:
        async with sweeping(reach, issuer, told) as sweep:
            found = await sweep.sweeper.look(sweep.issuers)
            return _Seen(found, sweep.cluster_id, sweep.namespace, sweep.whole)


def _may_revoke(seen: _Seen, *, asked: bool, lost: bool) -> None:
    """Ends the command unless somebody says yes; a caller who does not see everything is not asked."""
    if not seen.whole:
        raise Rejected(
            "--revoke needs the right to list ApiKeys and Secrets in all namespaces: what is a stray to you may be another namespace's",
            reason="Forbidden",
        )
    if asked:
        return
    if lost:
        typer.echo(f"They carry the id {seen.cluster}: make sure that no other cluster's operator uses it.", err=True)
    used = sum(1 for _, stray in seen.found.strays if stray.key.last_used is not None)
    if used:
        typer.echo(
            f"Used at some time: {used} of {len(seen.strays)}. Make sure that no other cluster holds them.", err=True
        )
    keys = "this key" if len(seen.strays) == 1 else f"these {len(seen.strays)} keys"
    if not typer.confirm(f"Revoke {keys}? Whoever uses one is refused from then on.", err=True):
        typer.echo("Nothing was revoked.", err=True)
        raise typer.Exit(1)


async def _revoke(reach: Reach, issuer: str | None, seen: _Seen) -> dict[str, _Outcome]:
    """Look again, with new connections, and revoke what was shown and is a stray still."""
    from keywright.bootstrap import sweeping  # noqa: PLC0415 - as above
    from keywright.cli.output import progress  # noqa: PLC0415

    outcomes: dict[str, _Outcome] = {}
    with progress() as told:
        async with sweeping(reach, issuer, told) as sweep:
            again = await sweep.sweeper.look(sweep.issuers)
            for ref, error in again.failures:
                typer.echo(f"keywright: {_named(ref)} could not be looked at again: {error}", err=True)
            now = {stray.key.key_id: ref for ref, stray in again.strays}
            for key_id in seen.strays:
                if key_id not in now:
                    outcomes[key_id] = _Outcome.FAILED if again.failures else _Outcome.SPARED
                    continue
                try:
                    await sweep.sweeper.revoke(now[key_id], key_id)
                    outcomes[key_id] = _Outcome.REVOKED
                except KeywrightError as error:
                    outcomes[key_id] = _Outcome.FAILED
                    typer.echo(f"keywright: key {key_id} could not be revoked: {error}", err=True)
    return outcomes


def _show(seen: _Seen) -> None:
    from keywright.cli.output import say, say_table  # noqa: PLC0415 - as above

    strays, retained = seen.found.strays, seen.found.retained
    if strays:
        say_table((*_COLUMNS, "WHY"), [(*_cells(ref, stray.key), stray.why) for ref, stray in strays])
    elif not seen.found.failures:
        say(f"No strays of cluster {seen.cluster}.")
    if retained:
        say("")
        say("Left on purpose (deletionPolicy: Retain), never swept:")
        say_table((*_COLUMNS, "SECRET"), [(*_cells(ref, kept.key), str(kept.place)) for ref, kept in retained])


def _name_stores(stores: tuple[Ref, ...]) -> None:
    """Before anybody is asked: a key that was left in Vault on purpose looks as if it were nobody's."""
    names = ", ".join(map(_named, stores[:_STORES_NAMED])) + (" and others" if len(stores) > _STORES_NAMED else "")
    typer.echo(
        f"keywright: paths in Vault are not read ({names}): a key that deletionPolicy: Retain left there is among the strays. "
        "The path that holds it says so in its field keywright.dev/key-id.",
        err=True,
    )


def _report(seen: _Seen, outcomes: dict[str, _Outcome], output: OutputFormat) -> None:
    from keywright.cli.output import say, say_document  # noqa: PLC0415 - as above

    if output is OutputFormat.TABLE:
        for key_id, outcome in outcomes.items():
            if outcome is _Outcome.REVOKED:
                say(f"Revoked key {key_id}.")
            elif outcome is _Outcome.SPARED:
                say(f"Left key {key_id}: it is no stray any more.")
        return
    strays = [_document(ref, stray.key) | {"why": stray.why} for ref, stray in seen.found.strays]
    for stray in strays:
        if stray["keyId"] in outcomes:
            stray["outcome"] = str(outcomes[stray["keyId"]])
    retained = [_document(ref, kept.key) | {"secret": str(kept.place)} for ref, kept in seen.found.retained]
    say_document(output, {"clusterId": seen.cluster, "strays": strays, "retained": retained})


def _complain(seen: _Seen, outcomes: dict[str, _Outcome]) -> None:
    """What a person must know besides the result."""
    for ref, error in seen.found.failures:
        typer.echo(f"keywright: {_named(ref)} could not be looked at: {error}", err=True)
    if not seen.whole:
        typer.echo(
            f"keywright: you may list ApiKeys and Secrets in namespace {seen.namespace} only: keys of others look like strays.",
            err=True,
        )
    elif seen.strays and not outcomes:
        count = "1 stray" if len(seen.strays) == 1 else f"{len(seen.strays)} strays"
        typer.echo(
            f"{count} of cluster {seen.cluster}; --revoke ends them, once you know that nobody should have them.",
            err=True,
        )


def _named(ref: Ref) -> str:
    from keywright.planning.used import called_in  # noqa: PLC0415 - as above

    return called_in(ref)


def _cells(ref: Ref, key: ListedKey) -> tuple[str, ...]:
    return (
        key.key_id,
        key.masked,
        key.name or "",
        key.workspace_name or key.workspace_id or "",
        f"{key.created_at:%Y-%m-%dT%H:%M:%SZ}" if key.created_at else "unknown",
        str(key.expires_on or "never"),
        str(key.last_used or "never"),
        _named(ref),
    )


def _document(ref: Ref, key: ListedKey) -> dict[str, Any]:
    kind, namespace, name = ref
    return {
        "keyId": str(key.key_id),
        "maskedKey": key.masked,
        "name": key.name,
        "workspace": {"id": key.workspace_id, "name": key.workspace_name},
        "createdAt": f"{key.created_at:%Y-%m-%dT%H:%M:%SZ}" if key.created_at else None,
        "expiresOn": str(key.expires_on) if key.expires_on else None,
        "lastUsed": str(key.last_used) if key.last_used else None,
        "issuer": {"kind": kind, "namespace": namespace, "name": name},
    }
