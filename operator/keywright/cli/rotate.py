"""`keywright rotate`: a new key now. Parses, calls, prints; what is shown while it waits is in watching.py."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer

from keywright.cli.options import ContextOption, KubeconfigOption, NamesArgument, NamespaceOption, seconds_of
from keywright.errors import KeywrightError

if TYPE_CHECKING:
    from keywright.bootstrap import Reach
    from keywright.cli.watching import Watching
    from keywright.planning.trigger import Standing, Trigger
    from keywright.reconcile.rotate import Rotator

__all__ = ["rotate"]

_PATIENCE: Final = "10m"
"""A rotation takes seconds; a platform that asks for a pause, or a leader that has just died, takes minutes."""


def rotate(  # noqa: PLR0917 - options of a command are no positional arguments
    names: NamesArgument,
    wait: Annotated[
        bool,
        typer.Option("--wait", help="Return when the new keys are delivered, and say meanwhile what they wait for."),
    ] = False,
    compromised: Annotated[
        bool,
        typer.Option(
            "--compromised",
            help="The keys leaked: as soon as each new one is delivered, all older ones are revoked, without an overlap. "
            "With --wait: until they are.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and change nothing.")] = False,
    timeout: Annotated[
        str | None, typer.Option(help=f"With --wait: how long, such as 90s or 1h. Default: {_PATIENCE}.")
    ] = None,
    namespace: NamespaceOption = None,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Replace keys now.

    Each ApiKey gets a new key in its target; the old one works on for spec.rotation.overlap, so that consumers can move
    over. It needs your right to get and patch ApiKeys, and sets the annotation keywright.dev/rotate (with --compromised:
    keywright.dev/compromised), which the operator answers. Where one name is wrong, nothing is asked for.

    For example:

      keywright rotate search --wait

      keywright rotate search billing -n prod --dry-run

      keywright rotate search --compromised --wait --timeout 2m
    """
    from keywright.bootstrap import Reach  # noqa: PLC0415 - --help does not wait for the imports
    from keywright.planning.trigger import Trigger  # noqa: PLC0415

    if wait and dry_run:
        raise typer.BadParameter("nothing would come of --dry-run to wait for: leave one out", param_hint="--wait")
    if timeout is not None and not wait:
        raise typer.BadParameter("it is for --wait, which is not there", param_hint="--timeout")
    patience = timedelta(seconds=seconds_of(timeout or _PATIENCE, "--timeout"))
    trigger = Trigger.COMPROMISED if compromised else Trigger.ROTATE
    wanted = list(dict.fromkeys(names))
    reach = Reach(kubeconfig, context, namespace)
    if not asyncio.run(_rotate(reach, trigger, wanted, dry_run=dry_run, patience=patience if wait else None)):
        raise typer.Exit(1)


async def _rotate(
    reach: Reach, trigger: Trigger, names: list[str], *, dry_run: bool, patience: timedelta | None
) -> bool:
    """Whether all went well. `patience` None: do not wait."""
    from keywright.bootstrap import rotating  # noqa: PLC0415 - as above
    from keywright.cli.output import progress, say  # noqa: PLC0415
    from keywright.cli.watching import watching  # noqa: PLC0415
    from keywright.keys import ResourceKey  # noqa: PLC0415

    async with rotating(reach) as (rotator, namespace):
        with progress() as told:
            told("reading ApiKeys")
            all_of_them = await rotator.look(trigger, [ResourceKey(namespace, name) for name in names])
        if dry_run:
            for standing in all_of_them:
                say(_line(standing, " ".join(rotator.prospects(trigger, standing))))
            say("Nothing was changed (--dry-run).")
            return True
        if patience is None:
            asked = [await _ask(rotator, trigger, standing) for standing in all_of_them]
            return all(asked)
        with watching(names) as shown:
            done = await asyncio.gather(*(_follow(rotator, trigger, one, shown, patience) for one in all_of_them))
        return all(done)


async def _ask(rotator: Rotator, trigger: Trigger, standing: Standing) -> bool:
    """Ask, and say what comes of it."""
    from keywright.cli.output import printable, say  # noqa: PLC0415 - as above

    name = standing.subject.key.name
    try:
        await rotator.ask(trigger, standing)
    except KeywrightError as error:
        typer.echo(f"keywright: {name}: asking failed: {printable(str(error))}", err=True)
        return False
    say(_line(standing, "Asked. " + " ".join(rotator.prospects(trigger, standing))))
    return True


async def _follow(rotator: Rotator, trigger: Trigger, standing: Standing, shown: Watching, patience: timedelta) -> bool:
    """Ask, and show how far it is until it is done."""
    from keywright.planning.trigger import Answer, State  # noqa: PLC0415 - as above

    name = standing.subject.key.name
    try:
        request = await rotator.ask(trigger, standing)
    except KeywrightError as error:
        shown.tell(name, Answer(State.FAILED, f"Asking failed: {error}."))
        return False
    last = await rotator.follow(request, lambda answer: shown.tell(name, answer), patience)
    return last.state is State.DONE


def _line(standing: Standing, text: str) -> str:
    from keywright.cli.output import printable  # noqa: PLC0415 - as above

    return f"{standing.subject.key.name}: {printable(text)}"
