"""A cluster's folder: what is ours in it, and what is remembered."""

from __future__ import annotations

import stat
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import yaml

from keywright.devcluster import write_kubeconfig
from keywright.devcluster.layout import Layout, State
from keywright.devcluster.processes import Process
from keywright.errors import Terminal

if TYPE_CHECKING:
    from pathlib import Path

STATE = State(port=20001, admin_token="made-up", vault_token="made-up-too")


def test_state_survives_a_round_trip_in_a_private_file(tmp_path: Path):
    """The next command knows what this one did; nobody else can read it."""
    layout = Layout(tmp_path)
    state = replace(STATE, vault_port=20002, apiserver_flags=("--v=2",), processes={"etcd": Process(12, "then")})
    state.save(layout)
    assert State.load(layout) == state
    assert stat.S_IMODE(layout.state.stat().st_mode) == 0o600
    assert "made-up" not in repr(state)


def test_no_state_is_no_cluster(tmp_path: Path):
    """Neither an empty folder nor a missing one holds a cluster."""
    assert State.load(Layout(tmp_path)) is None
    assert State.load(Layout(tmp_path / "missing")) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"port": 1, "processes": {}, "apiserver_flags": [], "new": 1}'])
def test_a_state_of_something_else_is_refused(tmp_path: Path, text: str):
    """A file of the same name that is not ours leads to no guess about processes."""
    layout = Layout(tmp_path)
    layout.state.write_text(text)
    with pytest.raises(Terminal, match="was not written by this version of keywright"):
        State.load(layout)


def test_remove_takes_what_is_ours_and_leaves_the_rest(tmp_path: Path):
    """Somebody else's file in the folder stays, and so does the folder."""
    layout = Layout(tmp_path / "dev")
    layout.directory.mkdir()
    STATE.save(layout)
    layout.logs.mkdir()
    layout.log("etcd").touch()
    (layout.directory / ".state.json.half-written").touch()
    (layout.directory / "notes.txt").touch()
    layout.remove()
    assert [path.name for path in layout.directory.iterdir()] == ["notes.txt"]
    (layout.directory / "notes.txt").unlink()
    layout.remove()
    assert not layout.directory.exists()


def test_remove_does_not_follow_a_symlink(tmp_path: Path):
    """A folder that was replaced by a link loses the link, not what it points to."""
    layout = Layout(tmp_path / "dev")
    layout.directory.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    layout.logs.symlink_to(elsewhere)
    layout.remove()
    assert (elsewhere / "kept").exists()


def test_a_folder_with_files_of_our_names_is_refused(tmp_path: Path):
    """`down` would remove them: `up` says so first."""
    (tmp_path / "logs").mkdir()
    with pytest.raises(Terminal, match=r"/logs is there already .*choose another directory"):
        Layout(tmp_path).refuse_strangers()


def test_a_kubeconfig_is_whole_and_private(tmp_path: Path):
    """It carries its authority and token, and names the namespace where one is given."""
    (tmp_path / "ca.crt").write_text("an authority")
    path = tmp_path / "kubeconfig"
    write_kubeconfig(
        path, server="https://127.0.0.1:1", ca_file=tmp_path / "ca.crt", token="made-up", namespace="team-search"
    )
    document = yaml.safe_load(path.read_text())
    assert document["clusters"][0]["cluster"] == {
        "server": "https://127.0.0.1:1",
        "certificate-authority-data": "YW4gYXV0aG9yaXR5",
    }
    assert document["users"][0]["user"] == {"token": "made-up"}
    assert document["contexts"][0]["context"]["namespace"] == "team-search"
    assert document["current-context"] == document["contexts"][0]["name"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
