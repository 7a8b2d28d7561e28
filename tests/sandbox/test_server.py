"""The command `keywright sandbox` as a process, and the files it keeps."""

from __future__ import annotations

import signal
import socket
import sqlite3
import stat
import subprocess
import sys

import pytest

from keywright.cli.sandbox import sandbox as command
from keywright.errors import KeywrightError, Rejected
from keywright.sandbox.plaintext import LENGTH
from keywright.sandbox.server import Settings, admin_key, run
from keywright.sandbox.store import Store

pytestmark = pytest.mark.slow


def refused(tmp_path, **settings):
    """What `run` says where it cannot begin."""
    with pytest.raises(Rejected) as caught:
        run(
            Settings(
                **{
                    "host": "127.0.0.1",
                    "port": 0,
                    "data": tmp_path / "data",
                    "admin_key_file": tmp_path / "key",
                    **settings,
                }
            ),
            lambda _: pytest.fail("it began"),
        )
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_it_says_where_it_listens_and_ends_on_sigterm_and_sigint(tmp_path):
    """One line on stdout when it answers, flushed to a pipe; exit 0 both ways; the files are its owner's only."""
    for number in (signal.SIGTERM, signal.SIGINT):
        with subprocess.Popen(
            [
                *(sys.executable, "-m", "keywright", "sandbox", "--listen", "127.0.0.1:0"),
                *("--data", str(tmp_path / "data"), "--admin-key-file", str(tmp_path / "key")),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            line = process.stdout.readline()
            assert line.startswith("sandbox issuer listening on http://127.0.0.1:"), process.stderr.read()
            with socket.create_connection(("127.0.0.1", int(line.rpartition(":")[2]))) as idle:
                idle.sendall(b"GET / HTTP/1.1\r\nHost: sandbox\r\n\r\n")
                assert b"303" in idle.recv(65536)
                process.send_signal(number)
                assert process.wait() == 0
                idle.settimeout(60)
                while idle.recv(65536):
                    """What was left of the answer."""
            assert (process.stdout.read(), process.stderr.read()) == ("", "")
    for name in ("key", "data"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "key"]


def test_its_options_take_effect_and_its_data_stays(a_process):
    """--max-validity-days clamps and lasts over a start without it; --rate-limit answers 429; the key file is kept."""
    sandbox = a_process("--max-validity-days", "1")
    sandbox.start()
    first = sandbox.admin_key
    assert len(first) == LENGTH
    _, workspaces = sandbox.call("GET", "/v1/admin/workspaces")
    _, users = sandbox.call("GET", "/v1/admin/users")
    body = {"workspace_uuid": workspaces["items"][0]["uuid"], "user_id": users["members"][0]["uuid"]}
    made = [sandbox.call("POST", "/v1/admin/api-keys", body)[1]]
    assert sandbox.stop() == 0
    again = a_process("--rate-limit", "1/s")
    again.start()
    assert again.admin_key == first
    made.append(again.call("POST", "/v1/admin/api-keys", body)[1])
    assert all(key["expiration_date"] is not None for key in made)
    statuses = [again.call("GET", "/v1/models", key=made[0]["key"])[0] for _ in range(20)]
    assert 429 in statuses
    assert again.stop() == 0


@pytest.mark.parametrize(
    "option",
    [
        {"listen": "8080"},
        {"listen": "127.0.0.1:x"},
        {"listen": "127.0.0.1:65536"},
        {"listen": "::1:80"},
        {"listen": ":80"},
        {"rate_limit": "5"},
        {"rate_limit": "0/s"},
        {"rate_limit": "-1/s"},
        {"rate_limit": "x/s"},
        {"max_validity_days": -1},
        {"max_validity_days": 99_999_999},
    ],
    ids=str,
)
def test_wrong_usage_says_what_to_write(tmp_path, option):
    """One line, and exit 2 by its reason."""
    options = {"listen": "127.0.0.1:0", "data": tmp_path / "data", "admin_key_file": tmp_path / "key", **option}
    with pytest.raises(Rejected, match="--") as caught:
        command(**options)
    assert caught.value.reason == "Usage"
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_said(tmp_path):
    """With the address, and what else to do."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert refused(tmp_path, port=port) == (
            f"cannot listen on 127.0.0.1:{port}: Address already in use; choose another --listen (port 0 takes any)"
        )


def test_an_address_that_is_not_ours_is_said(tmp_path):
    """Neither a host without an address nor another machine's."""
    assert "cannot listen on no.such.host.invalid:0" in refused(tmp_path, host="no.such.host.invalid")
    assert "cannot listen on 192.0.2.1:0" in refused(tmp_path, host="192.0.2.1")


def test_a_missing_folder_is_said(tmp_path):
    """For the data file and the admin key file."""
    assert "does not exist" in refused(tmp_path, data=tmp_path / "no" / "data")
    assert "does not exist" in refused(tmp_path, admin_key_file=tmp_path / "no" / "key")


def test_a_data_file_of_something_else_is_left_alone(tmp_path):
    """Text, another program's database, a folder."""
    text = tmp_path / "text"
    text.write_text("not a database " * 100)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE notes (note TEXT)")
    connection.close()
    before = text.read_bytes(), other.read_bytes()
    for path in (text, other):
        assert refused(tmp_path, data=path) == f"{path} is not a sandbox database; name another data file"
    assert "Is a directory" in refused(tmp_path, data=tmp_path)
    assert (text.read_bytes(), other.read_bytes()) == before


def test_a_data_file_of_another_version_is_left_alone(tmp_path):
    """Its tables may be others."""
    Store.open(tmp_path / "data").close()
    with sqlite3.connect(tmp_path / "data") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert "another keywright version" in refused(tmp_path)


def test_an_empty_data_file_is_a_new_one(tmp_path):
    """As `mktemp` leaves it."""
    (tmp_path / "data").touch()
    Store.open(tmp_path / "data").close()


def test_an_admin_key_file_is_kept_as_it_is(tmp_path):
    """Read without its line's end; one that holds no key is an error, not a new key."""
    path = tmp_path / "key"
    path.write_text("my-own-key\n")
    assert admin_key(path) == "my-own-key"
    assert path.read_text() == "my-own-key\n"
    for content in ("", "\n", "two words", "two\nlines", "é", "a\x00b"):
        path.write_text(content)
        with pytest.raises(KeywrightError, match="holds no admin key"):
            admin_key(path)
    with pytest.raises(KeywrightError, match="Is a directory"):
        admin_key(tmp_path)
