"""The commands as a person meets them: help with examples, one line for an error, the exit code that is documented."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from keywright import __version__

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = (
    ("run",),
    ("demo",),
    ("rotate",),
    ("sandbox",),
    ("sweep",),
    ("devcluster", "up"),
    ("devcluster", "down"),
    ("devcluster", "env"),
    ("devcluster", "build"),
)


def keywright(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the console script, its output going to a pipe."""
    bare = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "HOME": "/nonexistent"}
    command = [sys.executable, "-m", "keywright", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=bare | environ)


pytestmark = pytest.mark.slow


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_with_an_example(command: tuple[str, ...]):
    """--help says what it does and shows a call."""
    said = keywright(*command, "--help")
    assert said.returncode == 0
    assert "xample" in said.stdout
    assert f"keywright {' '.join(command)}" in said.stdout
    assert "\x1b" not in said.stdout, "a pipe gets no colours"


def test_the_version_is_the_packages():
    """On one line."""
    assert keywright("version").stdout == f"keywright {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "--min-interval", "soon"), "--min-interval"),
        (("run", "--lease-duration", "15"), "30m, 12h or 15d"),
        (("run", "--lease-duration", "2s"), "write 3s to 1h"),
        (("run", "--lease-duration", "2h"), "write 3s to 1h"),
        (("run", "--kubeconfig", "K", "--namespace", "search"), "--cluster-id"),
        (("run", "--kubeconfig", "K", "--cluster-id", "Not_this"), "1 to 8 characters"),
        (("run", "--kubeconfig", "K", "--cluster-id", "ok", "--health-address", "nowhere"), "HOST:PORT"),
        (("run", "--no-such-option"), "--no-such-option"),
        (("rotate", "--kubeconfig", "K"), "NAME"),
        (("rotate", "a", "--kubeconfig", "K", "--wait", "--dry-run"), "leave one out"),
        (("rotate", "a", "--kubeconfig", "K", "--timeout", "5m"), "--wait, which is not there"),
        (("rotate", "a", "--kubeconfig", "K", "--wait", "--timeout", "soon"), "30m, 12h or 15d"),
        (("sweep", "--kubeconfig", "K", "--revoke"), "add --yes"),
        (("sweep", "--kubeconfig", "K", "--yes"), "--yes"),
        (("sweep", "--kubeconfig", "K", "--cluster-id", "Not_this"), "1 to 8 characters"),
        (("sweep", "--kubeconfig", "K", "-o", "csv"), "csv"),
    ],
    ids=[
        *("duration", "no duration", "short lease", "long lease", "no cluster id", "cluster id", "address", "option"),
        *("no name", "wait for nothing", "timeout of nothing", "timeout"),
        *("unanswered", "yes to what", "lost", "output"),
    ],
)
def test_wrong_usage_is_status_2_and_says_what_to_write(arguments: tuple[str, ...], words: str, tmp_path: Path):
    """Nothing was begun."""
    kubeconfig = a_kubeconfig(tmp_path)
    said = keywright(*(str(kubeconfig) if argument == "K" else argument for argument in arguments))
    assert said.returncode == 2, said.stderr
    assert words in said.stderr
    assert "Traceback" not in said.stderr


def test_a_missing_kubeconfig_is_one_line(tmp_path: Path):
    """Status 1, and where it was looked for."""
    said = keywright("run", "--kubeconfig", str(tmp_path / "none"))
    assert said.returncode == 1
    [line] = said.stderr.splitlines()
    assert line == f"keywright: there is no kubeconfig at {tmp_path}/none: give --kubeconfig or set KUBECONFIG"


def a_kubeconfig(folder: Path) -> Path:
    """Of a cluster that is not there."""
    path = folder / "kubeconfig"
    path.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n"
        "users: [{name: c, user: {}}]\ncontexts: [{name: c, context: {cluster: c, user: c}}]\n"
    )
    return path
