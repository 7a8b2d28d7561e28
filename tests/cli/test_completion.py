"""What a shell offers after a Tab: commands and options for bash, zsh, fish and kubectl; silence where no cluster answers."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.cli.test_commands import a_kubeconfig, keywright

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

KUBECTL = "from keywright.cli import complete_for_kubectl; complete_for_kubectl()"


def asked(shell: str, words: str) -> subprocess.CompletedProcess[str]:
    """As a shell's completion script asks, the last word unfinished."""
    line = f"keywright {words}"
    environ = {
        "_KEYWRIGHT_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
    }
    bare = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "HOME": "/nonexistent"}
    command = [sys.executable, "-c", "import sys; sys.argv[0] = 'keywright'; from keywright.cli import main; main()"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=bare | environ)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_commands_and_options_are_offered(shell: str):
    """By each shell's own protocol."""
    assert "status" in asked(shell, "st").stdout
    assert "--watch" in asked(shell, "status --w").stdout


@pytest.mark.parametrize(
    "words",
    [
        *("status ", "rotate ", "why ", "revoke ", "status -n ", "doctor -n "),
        *("sweep --issuer ", "workspaces --issuer ", "status --context "),
    ],
)
def test_without_a_cluster_nothing_is_offered_and_nothing_said(words: str):
    """A Tab has nobody to complain to."""
    said = asked("fish", words)
    assert said.stdout.strip() == ""
    assert said.stderr == ""


def test_contexts_come_from_the_kubeconfig(tmp_path: Path):
    """No cluster is asked."""
    assert asked("fish", f"status --kubeconfig {a_kubeconfig(tmp_path)} --context ").stdout.split() == ["c"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str):
    """`--show-completion` prints what `--install-completion` installs; Typer asks who the shell is."""
    said = keywright("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert said.returncode == 0, said.stderr
    assert "complete" in said.stdout


def test_kubectl_is_answered_as_cobra_answers(tmp_path: Path):
    """A line for each, value, tab, help; then the directive that names of files are none."""
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(tmp_path)}

    def offered(*words: str) -> list[str]:
        command = [sys.executable, "-c", KUBECTL, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environ)
        assert done.stderr == ""
        return done.stdout.splitlines()

    *found, directive = offered("st")
    assert directive == ":4"
    assert [line.split("\t")[0] for line in found] == ["status"]
    assert any(line.startswith("--all-namespaces\t") for line in offered("status", "--"))
    assert len(offered("")) > 8
    assert offered("rotate", "") == [":4"], "no cluster"
