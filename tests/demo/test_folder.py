"""The folder's promise: nothing of a demo is left, and nothing of anybody else is touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from keywright.demo.folder import Folder
from keywright.devcluster.processes import Process, is_alive, spawn
from keywright.errors import Terminal

if TYPE_CHECKING:
    from pathlib import Path

LASTING = ["/bin/sleep", "600"]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Orphans of other demos on this machine are not this test's."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_temporary_folder_and_its_processes_go_with_the_block(temporary: Path):
    """Also when the block fails."""
    with suppress(RuntimeError), Folder.claim(None) as folder:
        process = folder.start("operator", LASTING, {})
        assert folder.path.parent == temporary
        raise RuntimeError("in the midst")
    assert not is_alive(process)
    assert list(temporary.iterdir()) == []


def test_a_folder_of_the_users_keeps_what_is_not_ours(tmp_path: Path):
    """Files that were there stay, ours go."""
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "notes").write_text("mine")
    with Folder.claim(tmp_path / "dir") as folder:
        folder.start("operator", LASTING, {})
    assert [path.name for path in (tmp_path / "dir").iterdir()] == ["notes"]


@pytest.mark.parametrize("name", ["kubeconfig", "logs", "plane", "sandbox", "tmp"])
def test_files_of_our_names_that_are_not_ours_are_refused(tmp_path: Path, name: str):
    """Above all no kubeconfig of the user's is replaced or removed."""
    folder = tmp_path / "dir"
    folder.mkdir()
    (folder / name).write_text("mine")
    with pytest.raises(Terminal, match=rf"{name} is there already and is not of a demo: choose another folder"):
        Folder.claim(folder)
    assert [path.read_text() for path in folder.iterdir()] == ["mine"]


def test_two_demos_do_not_share_a_folder(tmp_path: Path):
    """The second one says so and leaves the first one alone."""
    with Folder.claim(tmp_path / "dir") as folder:
        process = folder.start("operator", LASTING, {})
        with pytest.raises(Terminal, match="Another demo runs in"):
            Folder.claim(tmp_path / "dir")
        assert is_alive(process)


def test_logs_are_kept_where_they_are_wanted_and_the_next_demo_takes_over(tmp_path: Path):
    """After a failure the user looks into them; then the folder can be used again."""
    with Folder.claim(tmp_path / "dir") as folder:
        folder.log("operator").write_text("why")
        folder.keeps_logs = True
    assert folder.log("operator").read_text() == "why"
    assert not folder.sandbox.exists()
    with Folder.claim(tmp_path / "dir") as again:
        assert not again.log("operator").exists()
    assert not (tmp_path / "dir").exists()


def test_what_a_killed_demo_left_is_ended_by_the_next(temporary: Path):
    """Processes too: they are remembered in its folder."""
    killed = (
        f"import tempfile, os, signal\ntempfile.tempdir = {str(temporary)!r}\n"
        "from keywright.demo.folder import Folder\n"
        f"Folder.claim(None).start('operator', {LASTING}, {{}})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", killed], check=False)
    (orphan,) = temporary.iterdir()
    (process,) = Folder(orphan)._remembered()
    assert is_alive(process)
    with Folder.claim(None) as folder:
        assert not is_alive(process)
        assert list(temporary.iterdir()) == [folder.path]


def test_a_signal_while_a_process_starts_comes_when_it_is_remembered(monkeypatch: pytest.MonkeyPatch):
    """Else it would be one that nobody ends."""

    def spawn_and_be_interrupted(argv: list[str], **options: Any) -> Process:
        process = spawn(argv, **options)
        os.kill(os.getpid(), signal.SIGINT)
        return process

    monkeypatch.setattr("keywright.demo.folder.spawn", spawn_and_be_interrupted)
    with Folder.claim(None) as folder:
        with pytest.raises(KeyboardInterrupt):
            folder.start("operator", LASTING, {})
        (process,) = folder._remembered()
        assert is_alive(process)
    assert not is_alive(process)


def test_a_folder_that_cannot_be_made(tmp_path: Path):
    """A file in its way is said as such."""
    (tmp_path / "file").touch()
    with pytest.raises(Terminal, match=r"file/demo cannot be made: choose another one"):
        Folder.claim(tmp_path / "file" / "demo")
