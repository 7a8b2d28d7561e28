"""Failures of `up`, and what `down` and `env` do without a running plane; programs stand in for the components."""

from __future__ import annotations

import contextlib
import shlex
import socket
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from keywright.cli.devcluster import app
from keywright.devcluster import Cluster
from keywright.devcluster.layout import Layout, State
from keywright.errors import Terminal

if TYPE_CHECKING:
    from pathlib import Path

LASTING = "#!/bin/sh\nexec /bin/sleep 600\n"


@pytest.fixture
def components(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder of programs that start and do nothing; a test replaces the one that is to fail."""
    folder = tmp_path / "assets"
    folder.mkdir()

    def program(name: str, script: str) -> None:
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)

    for name in ("etcd", "kube-apiserver", "kube-controller-manager"):
        program(name, LASTING)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(folder))
    return program


def processes_of(folder: Path) -> list[str]:
    """Command lines that run from this folder."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if str(folder) in line and "pytest" not in line]


def test_a_component_that_ends_is_named_with_its_last_words(components, tmp_path: Path):
    """Which one, where it came from, what it said; and nothing of the attempt is left."""
    components("kube-apiserver", "#!/bin/sh\necho 'unknown flag: --x'\nexit 1\n")
    with pytest.raises(Terminal, match=r"kube-apiserver \(from KUBEBUILDER_ASSETS: .*\) ended while") as raised:
        Cluster.up(tmp_path / "dev")
    assert raised.value.reason == "StartFailed"
    assert str(raised.value).endswith("unknown flag: --x")
    assert not (tmp_path / "dev").exists()
    assert processes_of(tmp_path / "assets") == []


def test_a_crash_is_told_by_its_cause_and_not_by_its_stack(components, tmp_path: Path):
    """Go prints pages of goroutines after the one line that matters."""
    components(
        "etcd", "#!/bin/sh\necho 'panic: the cause'\necho\nprintf 'goroutine 1 [running]:\\nmain.main()\\n'\nexit 2\n"
    )
    with pytest.raises(Terminal, match=r"etcd .* ended while starting") as raised:
        Cluster.up(tmp_path / "dev")
    assert str(raised.value).endswith("panic: the cause")


def test_a_full_disk_met_by_a_component_is_said(components, tmp_path: Path):
    """The words of etcd, which reserves its log at once."""
    components("etcd", "#!/bin/sh\necho 'panic: failed to create WAL: no space left on device'\nexit 2\n")
    with pytest.raises(Terminal, match=r"The disk is full at .*/dev: free about 300 MB there, or choose") as raised:
        Cluster.up(tmp_path / "dev")
    assert raised.value.reason == "DiskFull"
    assert not (tmp_path / "dev").exists()


@pytest.fixture
def mounted(tmp_path: Path):
    """Mount a tmpfs with some options, for as long as the test runs."""
    place = tmp_path / "mounted"
    place.mkdir()

    def mount(options: str) -> Path:
        done = subprocess.run(("mount", "-t", "tmpfs", "-o", options, "tmpfs", place), capture_output=True, check=False)
        if done.returncode:
            pytest.skip("needs the right to mount a tmpfs")
        return place

    yield mount
    subprocess.run(("umount", place), capture_output=True, check=False)


def test_a_disk_without_room_for_our_own_files(components, mounted):
    """Not even the state can be written: a sentence, and nothing half-written."""
    place = mounted("size=64k")
    with (place / "fill").open("wb", buffering=0) as fill, contextlib.suppress(OSError):
        while True:
            fill.write(b"x" * 4096)
    with pytest.raises(Terminal, match=r"The disk is full at .*/dev: free"):
        Cluster.up(place / "dev")
    assert [path.name for path in place.iterdir()] == ["fill"]


def test_a_directory_that_cannot_be_written(components, mounted):
    """A read-only disk is said as such."""
    with pytest.raises(Terminal, match=r"cannot be written: choose another one \(Read-only file system\)"):
        Cluster.up(mounted("ro"))


def test_a_program_that_cannot_run_is_named(components, tmp_path: Path):
    """A binary for another machine is not a traceback."""
    components("etcd", "\x7fELF of another machine")
    with pytest.raises(Terminal, match=r"/etcd cannot be run: put a working etcd there"):
        Cluster.up(tmp_path / "dev")
    assert not (tmp_path / "dev").exists()


def test_a_taken_port_is_said(components, tmp_path: Path):
    """Asked for by number, a port that somebody listens on is an error with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Terminal, match=rf"Port {port} on 127\.0\.0\.1 is taken: end what listens there") as raised:
            Cluster.up(tmp_path / "dev", port=port)
    assert raised.value.reason == "PortTaken"
    assert not (tmp_path / "dev").exists()


def test_a_port_lost_in_a_race_is_tried_again_elsewhere(components, tmp_path: Path):
    """A port taken between our look and the apiserver's is replaced, thrice at most."""
    components(
        "kube-apiserver",
        f'#!/bin/sh\necho "$@" >> {tmp_path}/tries\necho "listen tcp: bind: address already in use"\nexit 1\n',
    )
    with pytest.raises(Terminal) as raised:
        Cluster.up(tmp_path / "dev")
    assert raised.value.reason == "PortTaken"
    assert len((tmp_path / "tries").read_text().splitlines()) == 3


def test_a_folder_of_somebody_else_is_refused_and_left_alone(components, tmp_path: Path):
    """Files of our names that we did not make stay as they are."""
    (tmp_path / "kubeconfig").write_text("precious")
    with pytest.raises(Terminal) as raised:
        Cluster.up(tmp_path)
    assert raised.value.reason == "DirectoryInUse"
    assert (tmp_path / "kubeconfig").read_text() == "precious"


def test_a_folder_that_cannot_be_made(tmp_path: Path):
    """A file in its way is said as such."""
    (tmp_path / "file").touch()
    with pytest.raises(Terminal, match=r"file/dev cannot be made: choose another one"):
        Cluster.up(tmp_path / "file" / "dev")


def test_down_without_a_cluster_is_done_already(tmp_path: Path):
    """It succeeds, says so, and makes no folder."""
    result = CliRunner().invoke(app, ["down", "--dir", str(tmp_path / "dev")])
    assert result.exit_code == 0
    assert "There is no cluster" in result.stdout
    assert not (tmp_path / "dev").exists()


def test_env_without_a_cluster_says_how_to_get_one(tmp_path: Path):
    """An empty `eval` would leave the user at their own cluster."""
    with pytest.raises(Terminal, match=r"There is no cluster in .*/dev: run keywright devcluster up --dir"):
        Cluster.load(tmp_path / "dev")


def test_env_prints_lines_that_a_shell_reads_back(tmp_path: Path):
    """Quoted, so that a folder with blanks and quotes works."""
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    state = State(port=20001, admin_token="made-up", vault_token="secret word")
    state.save(Layout(folder))
    result = CliRunner().invoke(app, ["env", "--dir", str(folder)])
    assert result.stdout == f"export KUBECONFIG={shlex.quote(str(folder / 'kubeconfig'))}\n"
    replace(state, vault_port=20002).save(Layout(folder))
    result = CliRunner().invoke(app, ["env", "--dir", str(folder)])
    assert result.stdout.splitlines()[1:] == [
        "export VAULT_ADDR=http://127.0.0.1:20002",
        "export VAULT_TOKEN='secret word'",
    ]


@pytest.mark.parametrize("command", ["up", "down", "env", "build"])
def test_help_has_an_example_and_no_colours(command: str):
    """Each subcommand shows how it is typed."""
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "Example: " in result.stdout
    assert "\x1b" not in result.stdout
