"""What a shell offers after a Tab: names from the cluster, asked for with a short deadline; silence where there are none to be had.

Also kubectl's: it runs `kubectl_complete-keywright` from the PATH, with the words of the line, and reads cobra's format.
"""

from __future__ import annotations

import asyncio
import io
import os
import shlex
import sys
from contextlib import redirect_stdout, suppress
from typing import TYPE_CHECKING, Final, NoReturn

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
    from keywright.adapters.kube_login import contexts_of  # noqa: PLC0415 - only a Tab waits for it

    return [name for name in contexts_of(ctx.params.get("kubeconfig")) if name.startswith(incomplete)]


def _names(ctx: typer.Context, paths: Callable[[str], Iterable[tuple[str, str]]]) -> list[str]:
    """The names under these paths, each with its prefix; nothing where the cluster does not answer in time."""
    from keywright.adapters.kube import KubeApi  # noqa: PLC0415 - as above
    from keywright.errors import KeywrightError  # noqa: PLC0415

    async def ask() -> list[str]:
        async with (
            asyncio.timeout(_DEADLINE),
            await KubeApi.connect(params.get("kubeconfig"), params.get("context")) as api,
        ):
            namespace = params.get("namespace") or api.login.namespace
            lists = await asyncio.gather(*(_list(api, path, prefix) for path, prefix in paths(namespace)))
        return sorted(name for names in lists for name in names)

    params = ctx.params
    try:
        return asyncio.run(ask())
    except (KeywrightError, TimeoutError, OSError):
        return []


async def _list(api: KubeApi, path: str, prefix: str) -> list[str]:
    """One page; a kind that may not be listed does not hide the other."""
    from keywright.errors import Terminal  # noqa: PLC0415 - as above

    try:
        page = await api.request("GET", path, params={"limit": _MOST}, deadline=_DEADLINE)
    except Terminal:
        return []
    return [f"{prefix}{item['metadata']['name']}" for item in page.get("items") or ()]


def complete_for_kubectl() -> NoReturn:
    """The program `kubectl_complete-keywright`: the words after `kubectl keywright`, the last one unfinished.

    Asks Typer as fish would, which is answered as cobra answers: a line for each, the value, a tab, and what it is.
    """
    from keywright.cli.main import app  # noqa: PLC0415 - as above

    *words, incomplete = sys.argv[1:] or [""]
    line = shlex.join(["keywright", *words])
    os.environ |= {
        "_KEYWRIGHT_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_ARGS": f"{line} {shlex.quote(incomplete) if incomplete else ''}",
    }
    answer = io.StringIO()
    with suppress(SystemExit), redirect_stdout(answer):
        app(prog_name="keywright")
    for offer in (*filter(None, answer.getvalue().splitlines()), _NO_FILES):
        typer.echo(offer)
    sys.exit(0)
