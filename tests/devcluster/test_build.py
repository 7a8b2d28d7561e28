"""Building into the cache: once, whole or not at all, and with errors that say what to change."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from keywright.devcluster import Building, Note, Progress, Source, provide
from keywright.devcluster.recipes import CONTROL_PLANE
from keywright.errors import Terminal

NAMES = [recipe.name for recipe in CONTROL_PLANE]
Eventually = Callable[[Callable[[], bool]], None]


def test_builds_what_is_missing_and_only_once(fake_go):
    """The first call builds each binary as a step of its own, the second finds them."""
    told: list[Progress] = []
    first = provide(CONTROL_PLANE, environ=fake_go.environ, progress=told.append)
    assert fake_go.builds == NAMES
    assert all(binary.source is Source.CACHE and os.access(binary.path, os.X_OK) for binary in first.all)
    finished = [event for event in told if isinstance(event, Building) and event.finished]
    assert [(event.number, event.total) for event in finished] == [(1, 3), (2, 3), (3, 3)]
    assert finished[-1].fraction == 1.0

    assert provide(CONTROL_PLANE, environ=fake_go.environ) == first
    assert fake_go.builds == NAMES


def test_takes_what_is_there_and_builds_the_rest(fake_go, tmp_path: Path):
    """setup-envtest brings no kube-controller-manager: that one alone is built."""
    assets = tmp_path / "assets"
    assets.mkdir()
    for name in ("etcd", "kube-apiserver"):
        (assets / name).write_text("#!/bin/sh\necho Kubernetes v1.30.1\n")
        (assets / name).chmod(0o755)
    told: list[Progress] = []
    binaries = provide(
        CONTROL_PLANE, environ={**fake_go.environ, "KUBEBUILDER_ASSETS": str(assets)}, progress=told.append
    )
    assert fake_go.builds == ["kube-controller-manager"]
    assert [binary.source for binary in binaries.all] == [Source.ASSETS, Source.ASSETS, Source.CACHE]
    assert any(isinstance(event, Note) and "v1.30" in event.text for event in told), "their versions differ"


def test_the_users_go_settings_do_not_get_in_the_way(fake_go):
    """Flags, workspaces and targets of the user's are set aside; proxies are kept."""
    environ = fake_go.environ | {
        "GOFLAGS": "-mod=vendor",
        "GOWORK": "/somewhere/go.work",
        "GOOS": "plan9",
        "GOTOOLCHAIN": "auto",
        "GOPROXY": "https://goproxy.invalid",
    }
    provide(CONTROL_PLANE[:1], environ=environ)
    seen = dict(line.split("=", 1) for line in (fake_go.here / "environment").read_text().splitlines() if "=" in line)
    assert seen["GOFLAGS"] == "-mod=readonly"
    assert seen["GOWORK"] == "off"
    assert seen["GOTOOLCHAIN"] == "local"
    assert seen["GOOS"] == sys.platform
    assert seen["CGO_ENABLED"] == "0"
    assert seen["GOPROXY"] == "https://goproxy.invalid"
    assert Path(seen["GOTMPDIR"]).is_relative_to(fake_go.cache)


def test_a_failed_step_leaves_the_finished_ones_and_nothing_half_written(fake_go):
    """A build that fails after writing part of its output is not in the cache, and the next call goes on from there."""
    fake_go.then("kube-apiserver", "echo 'x.go:1: undefined: y' >&2; exit 1")
    with pytest.raises(Terminal):
        provide(CONTROL_PLANE, environ=fake_go.environ)
    assert [path.name for path in fake_go.cache.glob("*/*") if path.parent.name != "logs"] == ["etcd"]
    assert fake_go.work_folders == []

    fake_go.then("kube-apiserver", "")
    provide(CONTROL_PLANE, environ=fake_go.environ)
    assert fake_go.builds == ["etcd", "kube-apiserver", "kube-apiserver", "kube-controller-manager"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_compilers_and_leaves_nothing_half_written(
    fake_go, eventually: Eventually, number: signal.Signals
):
    """Ctrl-C, or SIGTERM to the command, ends go's whole group; finished steps stay."""
    fake_go.then(
        "kube-apiserver",
        '/bin/sleep 600 & echo $! > "$here/compiler"; echo $$ > "$here/pid"; wait',
    )
    command = subprocess.Popen(
        [sys.executable, "-c", "from keywright.cli.devcluster import app; app()", "build"],
        env={**fake_go.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        eventually(lambda: (fake_go.here / "pid").exists() and (fake_go.here / "pid").read_text().strip() != "")
        command.send_signal(number)
        _, said = command.communicate(timeout=30)
    finally:
        command.kill()
        command.wait()
    assert command.returncode == 128 + number
    assert "Traceback" not in said
    for name in ("pid", "compiler"):
        pid = int((fake_go.here / name).read_text())
        eventually(lambda pid=pid: is_gone(pid))
    assert fake_go.work_folders == []
    assert [path.name for path in fake_go.cache.glob("*/*") if path.parent.name != "logs"] == ["etcd"]


def is_gone(pid: int) -> bool:
    """Whether no such process runs; a zombie that nobody reaps counts as gone."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    said = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return said.stdout.strip()[:1] in {"", "Z"}


def test_a_second_build_waits_and_uses_what_the_first_made(fake_go, eventually: Eventually):
    """Started beside another one, it says that it waits, and builds nothing itself."""
    fake_go.then("etcd", 'while [ ! -f "$here/go-on" ]; do /bin/sleep 0.02; done')
    told: list[Progress] = []
    made: list[Path] = []

    def build(progress: Callable[[Progress], None]) -> None:
        made.append(provide(CONTROL_PLANE[:1], environ=fake_go.environ, progress=progress)["etcd"].path)

    first = threading.Thread(target=build, args=(lambda _: None,))
    second = threading.Thread(target=build, args=(told.append,))
    first.start()
    eventually(lambda: fake_go.builds == ["etcd"])
    second.start()
    eventually(lambda: len(told) > 0)
    (fake_go.here / "go-on").touch()
    first.join(30)
    second.join(30)
    assert fake_go.builds == ["etcd"]
    assert len(set(made)) == 1
    assert told == [
        Note(f"Another build (process {os.getpid()}) is at work on this machine: waiting for it, to use what it makes.")
    ]


def test_what_a_killed_build_left_is_swept(fake_go):
    """Kill -9 leaves a work folder; the next build removes it."""
    (fake_go.cache / ".building-abandoned" / "tmp").mkdir(parents=True)
    provide(CONTROL_PLANE[:1], environ=fake_go.environ)
    assert fake_go.work_folders == []


def test_no_go(fake_go, tmp_path: Path):
    """Without Go, the message names the version to install and the other way."""
    with pytest.raises(
        Terminal, match=r"no go is on PATH: install Go 1\.26\.0 or newer, or set KUBEBUILDER_A"
    ) as raised:
        provide(CONTROL_PLANE, environ={**fake_go.environ, "PATH": str(tmp_path)})
    assert raised.value.reason == "GoMissing"


@pytest.mark.parametrize("version", ["go1.21.13", "go1.25", "go1.9"])
def test_go_too_old(fake_go, version: str):
    """Both versions are named, and nothing is downloaded instead."""
    fake_go.version(version)
    with pytest.raises(Terminal, match=rf"is Go {version[2:]}, and .* needs Go 1\.26\.0 or newer") as raised:
        provide(CONTROL_PLANE, environ=fake_go.environ)
    assert raised.value.reason == "GoTooOld"
    assert fake_go.builds == []


@pytest.mark.parametrize("version", ["go1.26.0", "go1.27rc1", "devel go1.28-3f1a"])
def test_go_new_enough(fake_go, version: str):
    """Release candidates and development versions are compared by their numbers."""
    fake_go.version(version)
    assert provide(CONTROL_PLANE[:1], environ=fake_go.environ)["etcd"].path.is_file()


@pytest.mark.parametrize(
    ("output", "reason", "message"),
    [
        (
            'go: example.org/a@v1: Get "https://goproxy.invalid/a": dial tcp: lookup goproxy.invalid: no such host',
            "NoNetwork",
            "The Go module proxy does not answer while building etcd: check the network, GOPROXY and HTTPS_PROXY",
        ),
        ("go: module lookup disabled by GOPROXY=off", "NoNetwork", "check the network, GOPROXY"),
        ("x.o: write: no space left on device", "DiskFull", "The disk is full while building etcd: free some"),
        ("compile: signal: killed", "BuildKilled", "most likely for want of memory"),
        ("a.go:1:2: undefined: B", "BuildFailed", "a.go:1:2: undefined: B"),
    ],
)
def test_what_a_failure_means(fake_go, output: str, reason: str, message: str):
    """Go's words become one sentence that says what to change; anything unknown is quoted, with the log's place."""
    fake_go.then("etcd", f"echo 'example.org/compiled/fine'; echo '{output}' >&2; exit 1")
    with pytest.raises(Terminal) as raised:
        provide(CONTROL_PLANE[:1], environ=fake_go.environ)
    assert raised.value.reason == reason
    assert message in str(raised.value)
    assert "compiled/fine" not in str(raised.value)
    if reason == "BuildFailed":
        assert str(fake_go.cache / "logs" / "etcd.log") in str(raised.value)


def test_too_little_space_is_said_before_the_build(fake_go, monkeypatch: pytest.MonkeyPatch):
    """Eight minutes are not spent on a disk that will be full."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=10**10, used=9 * 10**9, free=10**9))
    with pytest.raises(Terminal, match=r"needs about 4\.6 GB, and .*gocache has 1\.0 GB free") as raised:
        provide(CONTROL_PLANE, environ=fake_go.environ)
    assert raised.value.reason == "DiskFull"
    assert fake_go.builds == []


def test_a_cache_that_cannot_be_written(fake_go, tmp_path: Path):
    """The message names the cache and the variable that moves it."""
    (tmp_path / "file").touch()
    with pytest.raises(Terminal, match=r"cannot be written: make it writable, or set XDG_CACHE_HOME") as raised:
        provide(CONTROL_PLANE, environ={**fake_go.environ, "XDG_CACHE_HOME": str(tmp_path / "file")})
    assert raised.value.reason == "CacheNotWritable"
