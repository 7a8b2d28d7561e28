"""`keywright devcluster`: a control plane on this machine. Parses, calls `keywright.devcluster`, prints."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from keywright.devcluster import CONTROL_PLANE, VAULT, Cluster, provide, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["app"]

app = typer.Typer(
    name="devcluster",
    help="A real Kubernetes control plane on this machine, for development, tests and the demo.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_INTERRUPTED = 130  # 128 + SIGINT, as shells have it

DirectoryOption = Annotated[
    Path,
    typer.Option("--dir", metavar="DIR", help="The cluster's folder; nothing outside it is written but the cache."),
]
VaultOption = Annotated[bool, typer.Option("--with-vault", help="Vault too, with ServiceAccounts able to log in.")]


@app.command(
    epilog='Example: keywright devcluster up --dir .dev; eval "$(keywright devcluster env --dir .dev)"; kubectl get ns'
)
def up(
    directory: DirectoryOption,
    with_vault: VaultOption = False,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The apiserver's port; default: one that is free.")
    ] = None,
) -> None:
    """Start a control plane in DIR and return when it is ready; one that runs there already is left alone."""
    began = time.monotonic()
    console = Console(stderr=True)
    with _interruptible(console), shown(console) as report:
        cluster = Cluster.up(directory, with_vault=with_vault, port=port, progress=report)
    _say(f"{cluster.server} is ready after {time.monotonic() - began:.1f} s.")
    if cluster.vault_address is not None:
        _say(f"Vault is at {cluster.vault_address}.")
    _say(f'Use it:      eval "$(keywright devcluster env --dir {shlex.quote(str(directory))})"')
    _say(f"Take it down: keywright devcluster down --dir {shlex.quote(str(directory))}")


@app.command(epilog="Example: keywright devcluster down --dir .dev")
def down(directory: DirectoryOption) -> None:
    """End the control plane in DIR and remove its files; done already is done."""
    if Cluster.take_down(directory):
        _say(f"The cluster in {directory} is down and its files are removed.")
    else:
        _say(f"There is no cluster in {directory}.")


@app.command(epilog='Example: eval "$(keywright devcluster env --dir .dev)"')
def env(directory: DirectoryOption) -> None:
    """Print the shell lines that point kubectl (and vault) at the cluster in DIR."""
    cluster = Cluster.load(directory)
    _export("KUBECONFIG", str(cluster.kubeconfig))
    if cluster.vault_address is not None and cluster.vault_token is not None:
        _export("VAULT_ADDR", cluster.vault_address)
        _export("VAULT_TOKEN", cluster.vault_token)


@app.command(epilog="Example: KUBEBUILDER_ASSETS=$(setup-envtest use -p path) keywright devcluster build")
def build(with_vault: VaultOption = False) -> None:
    """Find the binaries, or build them once into the cache, and say where each one is.

    Looked for in KUBEBUILDER_ASSETS, PATH and the cache, in this order. A build needs Go and a Go module proxy, about
    5 GB of disk, and eight minutes on two cores. Interrupted, it goes on from there the next time.
    """
    console = Console(stderr=True)
    with _interruptible(console), shown(console) as report:
        binaries = provide((*CONTROL_PLANE, *VAULT) if with_vault else CONTROL_PLANE, progress=report)
    width = max(len(binary.name) for binary in binaries.all)
    for binary in binaries.all:
        _say(f"{binary.name:<{width}}  {binary.path}  (from {binary.source})")


def _export(name: str, value: str) -> None:
    _say(f"export {name}={shlex.quote(value)}")


def _say(line: str) -> None:
    typer.echo(line)


@contextmanager
def _interruptible(console: Console) -> Iterator[None]:
    """SIGTERM and a closed terminal tidy up as Ctrl-C does; an interrupt is one line, no traceback."""

    def leave(number: int, _: FrameType | None) -> None:
        sys.exit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    except KeyboardInterrupt:
        console.print("Interrupted: what was finished stays, and the next run goes on from there.", highlight=False)
        raise typer.Exit(_INTERRUPTED) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
