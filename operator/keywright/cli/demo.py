"""`keywright demo`: everything on this machine, and the lives of a few keys to watch. Parses, calls, prints."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import Annotated

import typer

__all__ = ["demo"]


def demo(
    once: Annotated[
        bool,
        typer.Option("--once", help="Show the whole life of all keys, then end: 0 when all of it was seen, else 1."),
    ] = False,
    with_vault: Annotated[
        bool, typer.Option("--with-vault", help="Start a Vault, too, and let one key go straight into it.")
    ] = False,
    directory: Annotated[
        Path | None,
        typer.Option(
            "--dir", metavar="DIR", help="The demo's folder; keeps the logs when it fails. Default: a temporary one."
        ),
    ] = None,
) -> None:
    """Watch the life of a few keys on this machine.

    Starts a control plane, the sandbox issuer and the operator, applies examples/, and shows how each key is requested,
    issued, delivered, proved by a call, rotated, refused and deleted. Then everything stays up to look around, until
    Ctrl-C ends and removes it. Your own kubeconfig and clusters are not touched.

    For example:

      keywright demo

      keywright demo --once | tee demo.txt

      keywright demo --with-vault
    """
    from rich.console import Console  # noqa: PLC0415 - --help does not wait for the demo's imports

    from keywright.demo.showing import Showing  # noqa: PLC0415 - as above

    raise typer.Exit(Showing(Console(), once=once, with_vault=with_vault).run(directory))
