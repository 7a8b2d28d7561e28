"""What a shell offers after a Tab: names from the cluster, asked for with a short deadline; silence where there are none to be had.

Also kubectl's: it runs `kubectl_complete-keywright` from the PATH, with the words of the line, and reads cobra's format.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from keywright.adapters.kube import KubeApi

__all__ = ["api_keys", "complete_for_kubectl", "contexts", "issuers", "namespaces"]

_DEADLINE: Final = 2.0
"""Seconds: whoever presses Tab waits no longer."""
_MOST: Final = 500
"""One page: nobody chooses from more."""
_NO_FILES: Final = ":4"
"""ShellCompDirectiveNoFileComp of cobra: names of files are none."""
_GROUP: Final = "/apis/keywright.dev/v1alpha1"


def api_keys(ctx: typer.Context, incomplete: str) -> list[str]:
    """ApiKeys of the namespace that the line names, less those that stand there already."""
    chosen = ctx.params.get("names") or ()
    found = _names(ctx, lambda namespace: [(f"{_GROUP}/namespaces/{namespace}/apikeys", "")])
    return [name for name in found if name.startswith(incomplete) and name not in chosen]


def issuers(ctx: typer.Context, incomplete: str) -> list[str]:
    """keyissuer/NAME of the namespace, and clusterkeyissuer/NAME where they may be listed."""
    found = _names(
        ctx,
        lambda namespace: [
            (f"{_GROUP}/namespaces/{namespace}/keyissuers", "keyissuer/"),
            (f"{_GROUP}/clusterkeyissuers", "clusterkeyissuer/"),
        ],
    )
    return [name for name in found if name.startswith(incomplete)]


def namespaces(ctx: typer.Context, incomplete: str) -> list[str]:
    """Those that may be listed."""
    return [name for name in _names(ctx, lambda _: [("/api/v1/namespaces", "")]) if name.startswith(incomplete)]


def contexts(ctx: typer.Context, incomplete: str) -> list[str]:
    """The kubeconfig's contexts."""
    from kubernetes.config import list_kube_config_contexts  # noqa: PLC0415 - only a Tab waits for it

    try:
        found, _ = list_kube_config_contexts(ctx.params.get("kubeconfig") or os.environ.get("KUBECONFIG"))
    except Exception:  # noqa: BLE001 - the loader raises what it likes, and a Tab has nobody to tell
        return []
    return [context["name"] for context in found if context["name"].startswith(incomplete)]


def _names(ctx: typer.Context, paths: Callable[[str], Iterable[tuple[str, str]]]) -> list[str]:
    """The names under these paths, each with its prefix; nothing where the cluster does not answer in time."""
    from keywright.errors import KeywrightError  # noqa: PLC0415 - as above

    try:
        return asyncio.run(asyncio.wait_for(_ask(ctx.params, paths), _DEADLINE))
    except (KeywrightError, TimeoutError, OSError):
        return []


async def _ask(params: dict[str, Any], paths: Callable[[str], Iterable[tuple[str, str]]]) -> list[str]:
    from keywright.adapters.kube import KubeApi  # noqa: PLC0415 - as above

    async with await KubeApi.connect(params.get("kubeconfig"), params.get("context")) as api:
        namespace = params.get("namespace") or api.login.namespace
        lists = await asyncio.gather(*(_list(api, path, prefix) for path, prefix in paths(namespace)))
    return sorted(name for names in lists for name in names)


async def _list(api: KubeApi, path: str, prefix: str) -> list[str]:
    """One page; a kind that may not be listed does not hide the other."""
    from keywright.errors import Terminal  # noqa: PLC0415 - as above

    try:
        page = await api.request("GET", path, params={"limit": _MOST}, deadline=_DEADLINE)
    except Terminal:
        return []
    return [f"{prefix}{item['metadata']['name']}" for item in page.get("items") or ()]


def complete_for_kubectl() -> NoReturn:
    """The program `kubectl_complete-keywright`: the words after `kubectl keywright`, the last one unfinished."""
    from click.shell_completion import ShellComplete  # noqa: PLC0415 - as above

    from keywright.cli.main import app  # noqa: PLC0415

    *words, incomplete = sys.argv[1:] or [""]
    completer = ShellComplete(typer.main.get_command(app), {}, "keywright", "_KEYWRIGHT_COMPLETE")
    for item in completer.get_completions(words, incomplete):
        if item.type == "plain":
            typer.echo(f"{item.value}\t{item.help}" if item.help else item.value)
    typer.echo(_NO_FILES)
    sys.exit(0)
