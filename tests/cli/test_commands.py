"""The commands as a person meets them: help with examples, one line for an error, the exit code that is documented."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import typer
from typer.core import TyperGroup

from keywright import __version__
from keywright.cli.main import app

if TYPE_CHECKING:
    from pathlib import Path


def commands(of: TyperGroup | None = None, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command there is, by its words."""
    found = []
    for name, command in (of or typer.main.get_group(app)).commands.items():
        inner = isinstance(command, TyperGroup)
        found += commands(command, (*path, name)) if inner else [(*path, name)]
    return found


def keywright(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the console script, its output going to a pipe."""
    bare = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "HOME": "/nonexistent"}
    command = [sys.executable, "-m", "keywright", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=bare | environ)


pytestmark = pytest.mark.slow


@pytest.mark.parametrize("command", commands(), ids=" ".join)
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
        (("status", "search", "-A", "--kubeconfig", "K"), "give -n in place of -A"),
        (("status", "-n", "prod", "-A", "--kubeconfig", "K"), "leave one out"),
        (("status", "--watch", "-o", "json", "--kubeconfig", "K"), "kubectl get ak --watch -o json"),
        (("status", "-o", "csv"), "csv"),
        (("why", "--kubeconfig", "K"), "NAME"),
    ],
    ids=[
        *("duration", "no duration", "short lease", "long lease", "no cluster id", "cluster id", "address", "option"),
        *("no name", "wait for nothing", "timeout of nothing", "timeout"),
        *("unanswered", "yes to what", "lost", "output"),
        *("one of all", "one of many", "watch a document", "output of status", "why what"),
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


@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("status", "search"),
        ("status", "-A", "-o", "json"),
        ("why", "search"),
        ("rotate", "search"),
        ("sweep",),
    ],
    ids=" ".join,
)
def test_a_cluster_that_does_not_answer_is_one_line(command: tuple[str, ...], tmp_path: Path):
    """Status 1, its address, nothing on stdout."""
    said = keywright(*command, "--kubeconfig", str(a_kubeconfig(tmp_path)))
    assert said.returncode == 1
    assert said.stdout == ""
    [line] = said.stderr.splitlines()
    assert line == "keywright: the apiserver at http://127.0.0.1:1 cannot be reached: connection refused"


def a_kubeconfig(folder: Path) -> Path:
    """Of a cluster that is not there."""
    path = folder / "kubeconfig"
    path.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n"
        "users: [{name: c, user: {}}]\ncontexts: [{name: c, context: {cluster: c, user: c}}]\n"
    )
    return path
