"""Ending exactly the processes that were started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from keywright.devcluster import processes
from keywright.devcluster.processes import Process, is_alive, send, spawn, stop


@pytest.fixture
def started(tmp_path: Path):
    """Start shell scripts, which are gone after the test."""
    begun: list[Process] = []

    def start(script: str) -> Process:
        environ = {"PATH": "/usr/bin:/bin"}
        begun.append(spawn(["/bin/sh", "-c", script], log=tmp_path / "log", directory=tmp_path, environ=environ))
        return begun[-1]

    yield start
    stop(begun, grace=0)


def test_a_recycled_process_id_is_nobody_of_ours():
    """A process of the same number that started at another moment is neither alive nor signalled."""
    somebody = subprocess.Popen(["/bin/sleep", "600"], start_new_session=True)
    try:
        recycled = Process(somebody.pid, "another moment")
        assert not is_alive(recycled)
        stop([recycled], grace=1)
        send(recycled, signal.SIGKILL)
        assert somebody.poll() is None
    finally:
        somebody.kill()
        somebody.wait()


def test_a_child_that_ended_is_not_alive_and_is_reaped(started, eventually):
    """No zombie stays with a long-running test session."""
    process = started("exit 3")
    eventually(lambda: not is_alive(process))
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_stop_ends_what_ignores_the_polite_signal(started, tmp_path: Path, eventually):
    """After the grace comes SIGKILL, for the whole group."""
    process = started("trap '' TERM; /bin/sleep 600 & echo ready; while :; do wait; done")
    eventually(lambda: "ready" in (tmp_path / "log").read_text())
    stop([process], grace=0.2)
    assert not is_alive(process)


def test_stop_ends_what_is_paused(started):
    """A frozen process would never see SIGTERM."""
    process = started("/bin/sleep 600")
    send(process, signal.SIGSTOP)
    stop([process], grace=10)
    assert not is_alive(process)


def test_logs_are_appended(started, tmp_path: Path, eventually):
    """A restart keeps what was said before it."""
    for word in ("one", "two"):
        process = started(f"echo {word}")
        eventually(lambda process=process: not is_alive(process))
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


@pytest.mark.skipif(not Path("/bin/ps").exists(), reason="ps is how systems without /proc are asked")
def test_a_system_without_proc_is_asked_through_ps(started, monkeypatch: pytest.MonkeyPatch):
    """The same process gives the same answer twice, and a process that is gone gives none."""
    process = started("/bin/sleep 600")
    monkeypatch.setattr(processes.sys, "platform", "darwin")
    first = processes._started(process.pid)
    assert first
    assert processes._started(process.pid) == first
    monkeypatch.undo()
    stop([process], grace=5)
    monkeypatch.setattr(processes.sys, "platform", "darwin")
    assert processes._started(process.pid) is None


def test_who_starts_one_may_end_without_it(tmp_path: Path):
    """A command that brought a cluster up ends in silence, warnings on, and what it started goes on."""
    script = (
        "from pathlib import Path; from keywright.devcluster.processes import spawn; import os;"
        f"print(spawn(['/bin/sleep', '600'], log=Path({str(tmp_path / 'log')!r}), directory=Path('/'), environ=os.environ).pid)"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], env=environ, capture_output=True, text=True, check=True
    )
    try:
        assert done.stderr == ""
        os.kill(int(done.stdout), 0)
    finally:
        os.kill(int(done.stdout), signal.SIGKILL)
