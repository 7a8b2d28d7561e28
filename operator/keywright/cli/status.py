"""`keywright status`: what is due when, what is wrong, and what to do. Parses, calls, prints; how it looks is in status_view.py."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from keywright.cli.completion import api_keys
from keywright.cli.options import ContextOption, KubeconfigOption, NamespaceOption, OutputFormat, OutputOption

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from keywright.adapters.kube_fleet import FleetReader
    from keywright.api.report import EventReport, FleetReport

__all__ = ["status"]

_EVENTS: Final = 10
"""The last ones that are told."""
_QUIET: Final = 1.0
"""Seconds that news are collected for before they are shown: a rotation is a handful of writes, and 10,000 keys take a second."""
_REPAINT: Final = 10.0
"""Seconds after which relative times are counted anew."""


def status(  # noqa: PLR0917 - options of a command are no positional arguments
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="One ApiKey in full. Default: all.", autocompletion=api_keys),
    ] = None,
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="ApiKeys of all namespaces.")] = False,
    output: OutputOption = OutputFormat.TABLE,
    watch: Annotated[
        bool,
        typer.Option("--watch", "-w", help="Go on: in place on a terminal, a line for each change in a pipe."),
    ] = False,
    namespace: NamespaceOption = None,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Show what is wrong and what to do about it, then the keys by what is due next.

    A trouble that holds up many ApiKeys is told once. Where no operator seems to be at work, that is said first. It needs
    the right to list ApiKeys (ClusterRole keywright-view), and tells more where issuers, stores, events and the Lease may be
    read. On a terminal it fits one screen; a pipe gets every line. JSON and YAML keep to docs/status.schema.json.

    For example:

      keywright status

      keywright status -A --watch

      keywright status search -n prod

      keywright status -A -o json | jq .summary
    """
    if name is not None and all_namespaces:
        raise typer.BadParameter("a NAME is one of a namespace: give -n in place of -A", param_hint="-A")
    if watch and output is not OutputFormat.TABLE:
        raise typer.BadParameter(
            f"it does not go with -o {output}; for programs there is kubectl get ak --watch -o json",
            param_hint="--watch",
        )
    if namespace is not None and all_namespaces:
        raise typer.BadParameter("it does not go with -n: leave one out", param_hint="-A")
    asyncio.run(_status(name, _Where(kubeconfig, context, namespace, all_namespaces), output, watch=watch))


class _Where:
    """Which cluster, and where in it."""

    def __init__(
        self, kubeconfig: str | None, context: str | None, namespace: str | None, all_namespaces: bool
    ) -> None:
        self.kubeconfig = kubeconfig
        self.context = context
        self.namespace = namespace
        self.all_namespaces = all_namespaces


async def _status(name: str | None, where: _Where, output: OutputFormat, *, watch: bool) -> None:
    from keywright.adapters.kube import KubeApi  # noqa: PLC0415 - --help does not wait for the imports
    from keywright.adapters.kube_fleet import FleetReader  # noqa: PLC0415
    from keywright.cli.output import progress, say_document  # noqa: PLC0415

    async with await KubeApi.connect(where.kubeconfig, where.context) as api:
        namespace = None if where.all_namespaces else where.namespace or api.login.namespace
        with progress() as told:
            reader = FleetReader(api, namespace, name, told)
            await reader.read()
            report = await _report(reader, name)
        if output is not OutputFormat.TABLE:
            say_document(output, report.to_dict())
        elif watch:
            await _follow(reader, name, report)
        else:
            _show(report)


async def _report(reader: FleetReader, name: str | None) -> FleetReport:
    from keywright.planning.fleet import detailed, report_of  # noqa: PLC0415 - as above

    read, now = reader.seen(), datetime.now(UTC)
    report = report_of(read, now)
    if name is None or not read.api_keys:
        return report
    [seen] = read.api_keys
    return detailed(report, read, seen, _events(await reader.events(seen.uid)), now)


def _events(found: list[dict[str, Any]] | None) -> list[EventReport] | None:
    from keywright.api.report import EventReport  # noqa: PLC0415 - as above

    if found is None:
        return None
    return [
        EventReport(
            at=datetime.fromisoformat(
                event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"]
            ),
            type=event.get("type") or "Normal",
            reason=event.get("reason") or "",
            message=event.get("message") or "",
        )
        for event in found[-_EVENTS:]
    ]


def _show(report: FleetReport) -> None:
    from rich.console import Console  # noqa: PLC0415 - as above

    from keywright.cli.output import say  # noqa: PLC0415

    console = Console()
    lines = _lines(report, console)
    if not console.is_terminal:
        for line in lines:
            say(line.plain.rstrip())
        return
    for line in lines:
        console.print(line, soft_wrap=True)


def _lines(report: FleetReport, console: Console) -> list[Text]:
    from keywright.cli.status_view import Screen, detail, fleet  # noqa: PLC0415 - as above

    terminal = console.is_terminal
    screen = Screen(
        console.width if terminal else None,
        console.height if terminal else None,
        glyphs=console.encoding.lower().startswith("utf"),
    )
    one = len(report.api_keys) == 1 and report.api_keys[0].detail is not None
    return detail(report, screen) if one else fleet(report, screen)


async def _follow(reader: FleetReader, name: str | None, report: FleetReport) -> None:
    """Until Ctrl-C, or until the one ApiKey is gone; news are shown together where they come together."""
    from rich.console import Console  # noqa: PLC0415 - as above
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from keywright.cli.output import say  # noqa: PLC0415
    from keywright.cli.status_view import changes  # noqa: PLC0415

    console, news = Console(), asyncio.Event()
    following = asyncio.create_task(reader.follow(news.set), name="following")
    try:
        if not console.is_terminal:
            _show(report)
            while True:
                await _heard(news, following)
                newer = await _report(reader, name)
                for line in changes(report, newer):
                    say(line)
                report = newer
                if _over(report, name):
                    return
        with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
            while not _over(report, name):
                live.update(Text("\n").join(_lines(report, console)), refresh=True)
                await _heard(news, following)
                report = await _report(reader, name)
        say(f"{name} is gone.")
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def _over(report: FleetReport, name: str | None) -> bool:
    """Whether the one that was asked for is gone."""
    return name is not None and not report.api_keys


async def _heard(news: asyncio.Event, following: asyncio.Task[None]) -> None:
    """Wait for news, or until times want to be counted anew; raises what ended the following."""
    waiting = asyncio.create_task(news.wait())
    await asyncio.wait((waiting, following), timeout=_REPAINT, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if following.done():
        following.result()
    await asyncio.sleep(_QUIET)
    news.clear()
