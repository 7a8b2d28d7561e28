"""`keywright sandbox`: the sandbox issuer alone. Parses, calls `keywright.sandbox.server`, prints."""

from __future__ import annotations

import re
from pathlib import Path  # noqa: TC003 - Typer reads it
from typing import Annotated, Final

import typer

from keywright.errors import Rejected

__all__ = ["sandbox"]

_LISTEN: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]/\s]+)):([0-9]{1,5})")
_RATE: Final = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)/s")
_LAST_PORT: Final = 65535
_LONGEST_POLICY: Final = 36_500


def sandbox(
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where to answer, for example 127.0.0.1:8080; port 0 takes any.")
    ],
    data: Annotated[
        Path, typer.Option(metavar="FILE", help="The data file (SQLite), made where absent; keys are kept as hashes.")
    ],
    admin_key_file: Annotated[
        Path, typer.Option(metavar="FILE", help="Holds the Admin API key; made, with mode 0600, where absent.")
    ],
    max_validity_days: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="The organization's expiration policy: no new key is valid for longer. It stays in the data file; "
            "0 removes it.",
        ),
    ] = None,
    rate_limit: Annotated[
        str | None, typer.Option(metavar="N/s", help="Answer 429 beyond N requests per second. Default: no limit.")
    ] = None,
) -> None:
    """Run the sandbox issuer: a stand-in for the Mistral platform's Admin API on this machine.

    When it answers it prints one line with its base URL; SIGTERM or Ctrl-C end it. A new data file starts with the
    workspaces Default, search-prod and billing, and the users admin@example.com and dev@example.com.

    For example:

      keywright sandbox --listen 127.0.0.1:8080 --data s.db --admin-key-file s.key

      curl -H "x-api-key: $(cat s.key)" http://127.0.0.1:8080/v1/admin/users
    """
    host, port = _address(listen)
    rate = _rate(rate_limit)
    if max_validity_days is not None and not 0 <= max_validity_days <= _LONGEST_POLICY:
        raise Rejected(f"--max-validity-days is 0 to {_LONGEST_POLICY}, not {max_validity_days}", reason="Usage")
    try:
        from keywright.sandbox.server import Settings, run  # noqa: PLC0415 - an extra, and --help does not wait for it
    except ModuleNotFoundError as missing:
        raise Rejected(
            f"the sandbox needs {missing.name}, which is not installed: pip install 'keywright[sandbox]'",
            reason="Sandbox",
        ) from None
    run(Settings(host, port, data, admin_key_file, max_validity_days, rate), _announce)


def _announce(url: str) -> None:
    # Flushed by echo itself: a test or the demo waits for this line on a pipe.
    typer.echo(f"sandbox issuer listening on {url}")


def _address(listen: str) -> tuple[str, int]:
    found = _LISTEN.fullmatch(listen)
    if found is None or int(found[3]) > _LAST_PORT:
        raise Rejected(f"--listen is HOST:PORT, for example 127.0.0.1:8080, not {listen!r}", reason="Usage")
    return found[1] or found[2], int(found[3])


def _rate(text: str | None) -> float | None:
    if text is None:
        return None
    found = _RATE.fullmatch(text)
    if found is None or float(found[1]) == 0:
        raise Rejected(
            f"--rate-limit is a number of requests per second, for example 5/s, not {text!r}", reason="Usage"
        )
    return float(found[1])
