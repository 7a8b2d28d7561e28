"""`keywright doctor` as a person at a terminal of 80 columns and 24 lines sees it, in clusters where one thing is wrong."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.conftest import ROOT
from tests.e2e.shifted import AHEAD
from tests.running import environment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.proxy import Loop
    from tests.conftest import Plane
    from tests.running import Operator, Sandbox

__all__ = ["Consultation", "Ward", "consult", "consult_json"]

_LINES, _COLUMNS = 24, 80
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@dataclass(frozen=True, slots=True)
class Ward:
    """A control plane with one operator that leads, a platform, and room for what is to go wrong."""

    plane: Plane
    sandbox: Sandbox
    operator: Operator
    loop: Loop
    folder: Path


@dataclass(frozen=True, slots=True)
class Consultation:
    """What a person has seen: the exit status, and the first screen as running text."""

    status: int
    screen: str

    def names(self, cause: str, remedy: str) -> None:
        """The first screen has a line that is wrong with this cause, and its remedy after it. Both are patterns."""
        assert self.status == 1, self.screen
        found = re.search(rf"✗ [^✗✓!→]*{cause}[^✗✓!→]*→ [^✗✓!→]*{remedy}", self.screen)
        assert found, f"neither {cause!r} nor {remedy!r} in:\n{self.screen}"


def consult(plane: Plane, *arguments: str, kubeconfig: Path | None = None, ahead: Path | None = None) -> Consultation:
    """Run it; `ahead` names the file of seconds by which the person's own clock is ahead."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, _COLUMNS, 0, 0))
    process = subprocess.Popen(
        _command(plane, arguments, kubeconfig, ahead),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env=_environ(ahead),
    )
    os.close(theirs)
    said = bytearray()
    while piece := _read(ours):
        said += piece
    os.close(ours)
    status = process.wait(120)
    lines = [line.rstrip() for line in _ESCAPES.sub("", said.decode()).splitlines()]
    assert max(map(len, lines)) <= _COLUMNS
    return Consultation(status, " ".join(" ".join(lines[:_LINES]).split()))


def consult_json(plane: Plane, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Status, and what a program reads."""
    done = subprocess.run(
        _command(plane, ("-o", "json", *arguments), None, None),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=_environ(None),
    )
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def _command(plane: Plane, arguments: tuple[str, ...], kubeconfig: Path | None, ahead: Path | None) -> list[str]:
    module = "tests.e2e.shifted" if ahead else "keywright"
    login = ("--kubeconfig", str(kubeconfig or plane.kubeconfig), "--allow-insecure-issuers")
    return [sys.executable, "-m", module, "doctor", *login, *arguments]


def _environ(ahead: Path | None) -> dict[str, str]:
    path = os.pathsep.join((str(ROOT / "operator"), str(ROOT)))
    bare = {name: value for name, value in environment().items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    return {**bare, "TERM": "xterm", "PYTHONPATH": path, **({AHEAD: str(ahead)} if ahead else {})}


def _read(terminal: int) -> bytes:
    """Empty once the last writer has gone: Linux says so by an error."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""
