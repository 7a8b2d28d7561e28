"""The one Typer app, and how its errors end: 0 done, 1 it did not work, 2 wrong usage."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from keywright import __version__
from keywright.cli import demo, devcluster
from keywright.cli.doctor import doctor
from keywright.cli.memory import keep_to_itself
from keywright.cli.revoke import revoke
from keywright.cli.rotate import rotate
from keywright.cli.run import run
from keywright.cli.sandbox import sandbox
from keywright.cli.status import status
from keywright.cli.sweep import sweep
from keywright.cli.why import why
from keywright.cli.workspaces import workspaces
from keywright.errors import KeywrightError, Terminal

__all__ = ["app", "main"]

app = typer.Typer(
    name="keywright",
    help="cert-manager for API keys: keys as Kubernetes resources, issued, delivered, rotated and revoked.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(run)
app.command()(demo.demo)
app.command()(sandbox)
app.command()(status)
app.command()(why)
app.command()(rotate)
app.command()(revoke)
app.command()(sweep)
app.command()(doctor)
app.command()(workspaces)
app.add_typer(devcluster.app, name="devcluster")


@app.command()
def version() -> None:
    """Print the version.

    For example:

      keywright version
    """
    typer.echo(f"keywright {__version__}")


def main() -> NoReturn:
    """The console script: errors are one line."""
    keep_to_itself()
    try:
        app()
    except KeywrightError as error:
        typer.echo(f"keywright: {error}", err=True)
        sys.exit(2 if isinstance(error, Terminal) and error.reason == "Usage" else 1)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)
