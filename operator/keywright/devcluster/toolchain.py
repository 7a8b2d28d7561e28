"""The Go toolchain on this machine: finding it, the environment builds run in, and what its failures mean.

Go's own messages are long and end in a wrong place; a user gets one sentence saying what to change.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from keywright.devcluster.binaries import GO_PLATFORM
from keywright.errors import Terminal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Toolchain", "disk_full", "explain_failure", "find_toolchain"]

_INSTEAD = "or set KUBEBUILDER_ASSETS to a directory that has the binaries"
_DEADLINE = 30  # seconds for go's own questions, which need no network
_LAST_LINES = 8
_CAUSE_LIMIT = 160  # characters: enough for the host that was asked and what became of it

_NO_NETWORK = re.compile(
    r"dial tcp|lookup \S+.*(no such host|server misbehaving|i/o timeout)|proxyconnect|no such host|"
    r"network is unreachable|TLS handshake timeout|connection (refused|reset)|disabled by GOPROXY=off",
)
_NO_SPACE = re.compile(r"no space left on device|disk quota exceeded")
_KILLED = re.compile(r"signal: killed")
# What `go build -v` says of work that goes well: a package per line, and downloads.
_CHATTER = re.compile(r"^(go: downloading .*|[\w./~-]+)$")


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A Go that is new enough, and the environment for its builds."""

    go: Path
    environ: Mapping[str, str]

    def cache_directories(self) -> tuple[Path, ...]:
        """Where Go keeps compiled packages and modules; they need not exist yet."""
        said = _ask(self.go, ("env", "GOCACHE", "GOMODCACHE"), self.environ)
        return tuple(Path(line) for line in said.split() if os.path.isabs(line))  # noqa: PTH117 - GOCACHE may be "off"


def find_toolchain(environ: Mapping[str, str], *, needs: str) -> Toolchain:
    """Go on PATH, at least of version `needs` such as 1.26.0; raises Terminal otherwise."""
    found = shutil.which("go", path=environ.get("PATH", os.defpath))
    if found is None:
        raise Terminal(
            f"The control plane is built once with Go, and no go is on PATH: install Go {needs} or newer, {_INSTEAD}.",
            reason="GoMissing",
        )
    go = Path(found)
    environ = _build_environment(environ)
    said = _ask(go, ("version",), environ)
    version = re.search(r"\bgo(\d+(?:\.\d+)*)", said)
    if version is not None and _numbers(version[1]) < _numbers(needs):
        raise Terminal(
            f"{go} is Go {version[1]}, and the control plane needs Go {needs} or newer to be built: install it, "
            f"{_INSTEAD}.",
            reason="GoTooOld",
        )
    return Toolchain(go, environ)


def explain_failure(name: str, output: str, log: Path) -> Terminal:
    """What a failed `go build` means, from its output; `log` holds the whole of it."""
    lines = [line for line in output.splitlines() if line.strip() and not _CHATTER.match(line)]
    for line in lines:
        if _NO_SPACE.search(line):
            return disk_full(f"while building {name}")
        if _NO_NETWORK.search(line):
            return Terminal(
                f"The Go module proxy does not answer while building {name}: check the network, GOPROXY and "
                f"HTTPS_PROXY, then try again, what is finished stays ({_cause(line)}).",
                reason="NoNetwork",
            )
        if _KILLED.search(line):
            return Terminal(
                f"Building {name} was killed, most likely for want of memory: free about 3 GB, then try again; "
                f"what is finished stays (log: {log}).",
                reason="BuildKilled",
            )
    last = "\n".join(f"  {line}" for line in lines[-_LAST_LINES:])
    return Terminal(
        f"Building {name} failed, and the whole output is in {log}; it ends with:\n{last}", reason="BuildFailed"
    )


def disk_full(where: str) -> Terminal:
    """The disk is full; `where` completes the sentence."""
    return Terminal(
        f"The disk is full {where}: free some space, or put XDG_CACHE_HOME, GOCACHE and GOMODCACHE on another disk; "
        "what is finished stays.",
        reason="DiskFull",
    )


def _build_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The user's own, with everything settled that would change what is built or fail in somebody's setup."""
    goos, goarch = GO_PLATFORM
    return {
        **environ,
        "CGO_ENABLED": "0",  # no C compiler needed
        "GO111MODULE": "on",
        "GOARCH": goarch,
        "GOFLAGS": "-mod=readonly",  # a user's -mod=vendor or -tags would break or change the build
        "GOOS": goos,
        "GOTOOLCHAIN": "local",  # an old Go is told to the user, not replaced by a download
        "GOWORK": "off",  # the package may be installed inside somebody's workspace
        "LC_ALL": "C",  # failures are recognised by the system's English words
    }


def _ask(go: Path, arguments: tuple[str, ...], environ: Mapping[str, str]) -> str:
    try:
        said = subprocess.run(  # noqa: S603 - fixed arguments
            [go, *arguments], env=environ, capture_output=True, text=True, timeout=_DEADLINE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Terminal(f"{go} cannot be run: reinstall Go, {_INSTEAD} ({error}).", reason="GoMissing") from error
    if said.returncode != 0:
        words = " ".join(said.stderr.split()) or f"exit code {said.returncode}"
        raise Terminal(f"{go} does not work: reinstall Go, {_INSTEAD} ({words[:200]}).", reason="GoMissing")
    return said.stdout


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(part) for part in version.split(".")]
    return (*numbers, 0, 0, 0)[:3]


def _cause(line: str) -> str:
    """The tail of a chain of errors, where the cause stands; whole links of it, as far as they fit."""
    cause = ""
    for link in reversed(line.strip().split(": ")):
        longer = f"{link}: {cause}" if cause else link
        if cause and len(longer) > _CAUSE_LIMIT:
            break
        cause = longer
    return cause[-_CAUSE_LIMIT:]
