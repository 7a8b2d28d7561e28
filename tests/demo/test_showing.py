"""The command itself, from outside: the whole life, Ctrl-C, and what is left of it (nothing)."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import requests
from typer.testing import CliRunner

from keywright.cli.main import app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEADLINE = 420.0
"""Seconds, on a machine that is busy with other tests as well."""

together = pytest.mark.xdist_group("demo")
"""One demo at a time: each is a control plane of its own."""


@contextmanager
def a_demo(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command in a process, its temporary files in `folder`, and a kubeconfig that it must not use."""
    foreign = folder.parent / "kubeconfig"
    foreign.write_text("not: read")
    folder.mkdir()
    environ = {**os.environ, "TMPDIR": str(folder), "KUBECONFIG": str(foreign), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "keywright", "demo", *arguments],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
        assert foreign.read_text() == "not: read"
    finally:
        process.terminate()  # It cleans up by itself then, should a test have failed half-way.
        process.communicate(timeout=DEADLINE)


def left_of(folder: Path) -> list[str]:
    """Files in the folder, and processes that run from it."""
    listed = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [*map(str, folder.iterdir()), *(line for line in listed.splitlines() if str(folder) in line)]


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """What it prints, up to the line with this text; fails where it ends without."""
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"{text!r} was never printed:\n{seen}")


def signed_in(shown: str) -> str:
    """The platform's page with all keys, as what the demo has printed leads to it."""
    (url,) = re.findall(r"sandbox +(\S+) plays the platform", shown)
    (command,) = re.findall(r"sign in +(cat \S+)", shown)
    form = {"admin_key": subprocess.run(command.split(), capture_output=True, text=True, check=True).stdout.strip()}
    with requests.Session() as browser:
        assert browser.post(f"{url}/sign-in", data=form, timeout=60).ok
        return browser.get(f"{url}/organization/api-keys", timeout=60).text


@pytest.mark.plane
@together
def test_once_shows_the_whole_life_and_leaves_nothing(tmp_path: Path):
    """Each key goes through each stage, the one in Vault, too; no plaintext is printed, the exit code is 0."""
    folder = tmp_path / "demo"
    with a_demo(folder, "--once", "--with-vault") as process:
        shown, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, shown
    for name in ("billing", "minimal", "search", "vaulted"):
        for word in ("requested", "issued", "delivered", "proved", "rotated", "refused", "deleted"):
            assert re.search(rf"shop/{name} +{word} ", shown), (name, word, shown)
    assert re.search(r"shop/search +overlap ", shown), "both keys work for a while"
    assert "\x1b" not in shown
    assert not re.search(r"[A-Za-z0-9]{32}", shown)
    assert left_of(folder) == []


@pytest.mark.plane
@together
def test_it_stays_up_for_looking_around_until_ctrl_c(tmp_path: Path):
    """It says how: the kubeconfig that it names works, the platform's pages open with its admin key; Ctrl-C is its proper end."""
    folder = tmp_path / "demo"
    with a_demo(folder) as process:
        shown = read_until(process, "kubectl delete secret")
        (kubeconfig,) = re.findall(r"export KUBECONFIG=(\S+)", shown)
        listed = subprocess.run(
            ["kubectl", "--kubeconfig", kubeconfig, "get", "ak", "-o", "name"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert listed.split() == ["apikey.keywright.dev/billing", "apikey.keywright.dev/search"]
        page = signed_in(shown)
        assert "ApiKey shop/billing" in page
        assert "ApiKey shop/minimal" not in page
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, rest
    assert "nothing is left" in rest
    assert left_of(folder) == []


@pytest.mark.plane
@together
def test_a_part_that_ends_is_a_failure_that_says_so(tmp_path: Path):
    """Exit code 1, one line with what happened, the log kept where a folder was named."""
    folder = tmp_path / "demo"
    with a_demo(folder, "--once", "--dir", str(folder / "here")) as process:
        read_until(process, "operator   runs")
        listed = subprocess.run(["ps", "-ww", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
        (operator,) = [line for line in listed.splitlines() if f"--kubeconfig={folder}" in line]
        os.kill(int(operator.split()[0]), signal.SIGKILL)
        shown, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 1, shown
    assert re.search(r"^keywright: The operator has ended by itself", shown, re.MULTILINE)
    assert (folder / "here" / "logs" / "operator.log").exists()
    assert not (folder / "here" / "plane").exists()


@pytest.mark.plane
@together
def test_sigterm_in_the_midst_of_it_cleans_up(tmp_path: Path):
    """As a supervisor would end it; the exit code tells that it did not come to its end."""
    folder = tmp_path / "demo"
    with a_demo(folder, "--once") as process:
        read_until(process, "start  ")  # The control plane is being started now.
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=DEADLINE)
    assert process.returncode == 128 + signal.SIGTERM
    assert left_of(folder) == []


def test_help_has_an_example_and_no_colours():
    """How it is typed is the first thing to look up."""
    result = CliRunner().invoke(app, ["demo", "--help"])
    assert result.exit_code == 0
    assert "keywright demo --once" in result.stdout
    assert "\x1b" not in result.stdout
