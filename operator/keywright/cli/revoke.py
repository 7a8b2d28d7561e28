"""`keywright revoke`: the end of ApiKeys and of all their keys. Parses, asks twice, calls, prints."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer

from keywright.cli.options import ContextOption, KubeconfigOption, NamesArgument, NamespaceOption, seconds_of
from keywright.errors import KeywrightError, Rejected

if TYPE_CHECKING:
    from keywright.bootstrap import Reach
    from keywright.cli.watching import Watching
    from keywright.planning.revocation import Doomed
    from keywright.reconcile.revoke import Revoker

__all__ = ["revoke"]

_PATIENCE: Final = "10m"
"""A revocation takes seconds; one that waits for a platform or for late keys takes minutes."""
_QUESTIONS: Final = 2


def revoke(  # noqa: PLR0917 - options of a command are no positional arguments
    names: NamesArgument,
    yes: Annotated[
        int,
        typer.Option(
            "--yes", "-y", count=True, help="Answers one of the two questions: write it twice to be asked nothing."
        ),
    ] = 0,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Return when the keys are revoked and the ApiKeys are gone.")
    ] = True,
    timeout: Annotated[
        str | None, typer.Option(help=f"How long to wait, such as 90s or 1h. Default: {_PATIENCE}.")
    ] = None,
    namespace: NamespaceOption = None,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Revoke all keys of ApiKeys, and delete these.

    All keys are revoked, current and older ones, whatever spec.deletionPolicy says, and what was delivered is removed. The operator
    does it, also where the ApiKey is suspended; if none runs, it is done once one does. Whoever uses the keys is refused from then on.
    It needs your right to get, patch and delete ApiKeys. Where one name is wrong, nothing is revoked.

    For example:

      keywright revoke search -n shop

      keywright revoke search billing -n shop --yes --yes

      keywright revoke search --no-wait
    """
    from keywright.bootstrap import Reach  # noqa: PLC0415 - --help does not wait for the imports

    if timeout is not None and not wait:
        raise typer.BadParameter("with --no-wait there is nothing to wait for: leave one out", param_hint="--timeout")
    if yes == 1:
        raise Rejected(
            "one --yes is not enough, since what is revoked cannot be had back: write --yes --yes, or none to be asked",
            reason="Usage",
        )
    if not yes and not sys.stdin.isatty():
        raise Rejected(
            "it asks twice before it revokes, and here nobody can answer: write --yes --yes once you are sure",
            reason="Usage",
        )
    patience = timedelta(seconds=seconds_of(timeout or _PATIENCE, "--timeout"))
    wanted = list(dict.fromkeys(names))
    reach = Reach(kubeconfig, context, namespace)
    if not asyncio.run(_revoke(reach, wanted, asked=yes >= _QUESTIONS, patience=patience if wait else None)):
        raise typer.Exit(1)


async def _revoke(reach: Reach, names: list[str], *, asked: bool, patience: timedelta | None) -> bool:
    """Whether all went well. `patience` None: do not wait."""
    from keywright.cli.output import progress, say  # noqa: PLC0415 - as above
    from keywright.cli.watching import watching  # noqa: PLC0415
    from keywright.errands import revoking  # noqa: PLC0415
    from keywright.keys import ResourceKey  # noqa: PLC0415

    async with revoking(reach) as (revoker, namespace):
        with progress() as told:
            told("reading ApiKeys")
            all_of_them = await revoker.look([ResourceKey(namespace, name) for name in names])
        _warn(all_of_them, asked=asked)
        if not asked and not _sure(all_of_them, namespace):
            typer.echo("Nothing was revoked.", err=True)
            return False
        if patience is None:
            ended = [await _end(revoker, one) for one in all_of_them]
            for one, well in zip(all_of_them, ended, strict=True):
                if well:
                    say(f"{one.subject.key.name}: The deletion is asked for; the operator revokes its keys first.")
            return all(ended)
        with watching(names) as shown:
            done = await asyncio.gather(*(_follow(revoker, one, shown, patience) for one in all_of_them))
        return all(done)


def _warn(all_of_them: list[Doomed], *, asked: bool) -> None:
    """What would happen, to whoever is asked; who would undo it, to everybody."""
    from keywright.cli.output import printable  # noqa: PLC0415 - as above
    from keywright.planning.revocation import prospect, warnings  # noqa: PLC0415

    for one in all_of_them:
        name = one.subject.key.name
        if not asked:
            typer.echo(f"{name}: {printable(prospect(one))}", err=True)
        for warning in warnings(one):
            typer.echo(f"keywright: {name}: {printable(warning)}", err=True)


def _sure(all_of_them: list[Doomed], namespace: str) -> bool:
    """Two questions, as the console's trash icon asks."""
    names, keys = ", ".join(one.subject.key.name for one in all_of_them), sum(one.keys for one in all_of_them)
    counted = {0: "Delete", 1: "Revoke the key of"}.get(keys, f"Revoke the {keys} keys of")
    if not typer.confirm(f"{counted} {names} in namespace {namespace}?", err=True):
        return False
    return typer.confirm("Whoever uses them is refused at once, and it cannot be undone. Really?", err=True)


async def _end(revoker: Revoker, doomed: Doomed) -> bool:
    from keywright.cli.output import printable  # noqa: PLC0415 - as above

    try:
        await revoker.end(doomed)
    except KeywrightError as error:
        typer.echo(f"keywright: {doomed.subject.key.name}: deleting failed: {printable(str(error))}", err=True)
        return False
    return True


async def _follow(revoker: Revoker, doomed: Doomed, shown: Watching, patience: timedelta) -> bool:
    """Ask, and show how far it is until it is gone."""
    from keywright.planning.trigger import Answer, State  # noqa: PLC0415 - as above

    name = doomed.subject.key.name
    try:
        await revoker.end(doomed)
    except KeywrightError as error:
        shown.tell(name, Answer(State.FAILED, f"Deleting failed: {error}."))
        return False
    last = await revoker.follow(doomed, lambda answer: shown.tell(name, answer), patience)
    return last.state is State.DONE
