"""keywright's own programs as tests and benchmarks run them: real processes that are waited for, and ended by their id."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from prometheus_client.parser import text_string_to_metric_families
from tests.exchange import PLAIN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Operator", "Program", "Sandbox", "audited", "environment", "wait_for"]

T = TypeVar("T")

PATIENCE = 120.0
"""Seconds that a condition has to come true: generous, since machines are shared and slow."""
_LONGEST_PAUSE = 0.5


def wait_for(condition: Callable[[], T], what: str, *, seconds: float = PATIENCE, pause: float = 0.05) -> T:
    """The first true answer; AssertionError with `what` and the last answer where none comes."""
    began = time.monotonic()
    while not (answer := condition()):
        waited = time.monotonic() - began
        assert waited < seconds, f"after {seconds:g} s still not: {what}; last seen: {answer!r}"
        # What takes long is asked about less often: who asks takes the machine from who works.
        time.sleep(max(pause, min(_LONGEST_PAUSE, waited / 10)))
    return answer


def environment() -> dict[str, str]:
    """Of this process, as a copy: scenarios run beside pytest's main thread, which notes the running test there and takes it out again."""
    while True:
        with suppress(KeyError):  # it was taken out just now
            return dict(os.environ)


@dataclass
class Program:
    """One process; all that it says goes to a file."""

    command: tuple[str, ...]
    log: Path
    environ: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    module: ClassVar[str] = "keywright"
    """What is run."""

    def start(self) -> None:
        """Begin; what it says follows what it said before."""
        self.process = self.spawn()

    def spawn(self) -> subprocess.Popen[bytes]:
        """The process itself."""
        environ = environment() | {"PYTHONUNBUFFERED": "1"} | self.environ
        with self.log.open("ab") as said:
            return subprocess.Popen(
                (sys.executable, "-m", self.module, *self.command),
                stdout=said,
                stderr=subprocess.STDOUT,
                env=environ,
            )

    def said(self) -> str:
        """All that it has said."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def says(self, pattern: str, since: int = 0) -> re.Match[str]:
        """Wait for words; an end of the process before them is an error that shows what it said."""

        def found() -> re.Match[str] | None:
            said = re.search(pattern, self.said()[since:])
            if said is None and self.process is not None and self.process.poll() is not None:
                raise AssertionError(
                    f"{self.command[0]} ended with {self.process.returncode}: {self.said()[since:][-2000:]}"
                )
            return said

        return wait_for(found, f"{self.command[0]} says {pattern}")

    def signal(self, number: int) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def ended(self, *, seconds: float = PATIENCE) -> int:
        """Wait for the end; returns the exit status."""
        assert self.process is not None
        return self.process.wait(seconds)

    def stop(self) -> int:
        """SIGTERM, then its exit status."""
        if self.process is None or self.process.poll() is not None:
            return self.process.returncode if self.process else 0
        self.signal(signal.SIGTERM)
        try:
            return self.ended()
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Sandbox(Program):
    """The sandbox issuer: `url`, `admin_key`."""

    def __init__(self, folder: Path, *flags: str) -> None:
        """`folder` holds its data; `flags` go to the command."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._flags = flags
        self._port = 0
        super().__init__((), folder / "log")
        self.url = ""
        self.admin_key = ""
        self.shown: set[str] = set()
        """Plaintexts that tests have read from Secrets."""

    def start(self) -> None:
        """Begin, or begin again on the same data and port; returns when it listens."""
        key_file = self._folder / "admin.key"
        self.command = (
            "sandbox",
            "--listen",
            f"127.0.0.1:{self._port}",
            "--data",
            str(self._folder / "data"),
            "--admin-key-file",
            str(key_file),
            *self._flags,
        )
        since = len(self.said())
        super().start()
        self.url = self.says(r"(http://[\d.]+:\d+)", since)[1]
        self._port = int(self.url.rpartition(":")[2])
        self.admin_key = key_file.read_text().strip()

    def call(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> tuple[int, Any]:
        """Status and JSON of one request, with the admin key unless another is given."""
        headers = {"Authorization": f"Bearer {key or self.admin_key}", "Content-Type": "application/json"}
        status, said = PLAIN.send(method, self.url + path, body, headers)
        return status, json.loads(said or b"null") if status < HTTPStatus.BAD_REQUEST else None

    def accepts(self, key: str) -> bool:
        """Whether an ordinary key works, as a consumer would find out."""
        status, _ = self.call("GET", "/v1/models", key=key)
        assert status in (200, 401), status
        return status == 200

    def live_keys(self, name: str = "") -> list[dict[str, Any]]:
        """The live keys whose name contains this, each once: the list may shift under the pages."""
        found: dict[str, dict[str, Any]] = {}
        offset = 0
        while True:
            query = urllib.parse.urlencode({"limit": 1000, "offset": offset, "name": name})
            status, page = self.call("GET", f"/v1/admin/api-keys?{query}")
            assert status == 200, status
            if not page["keys"]:
                return list(found.values())
            found |= {key["key_id"]: key for key in page["keys"]}
            offset += len(page["keys"])

    def posts(self, name: str = "") -> int:
        """How many keys whose name contains this were ever made, by the platform's own audit log."""
        query = urllib.parse.urlencode({"event_type": "api_key.create", "limit": 1_000_000})
        status, logs = self.call("GET", f"/v1/admin/audit-logs?{query}")
        assert status == 200, status
        return sum(name in log["target_metadata"]["name"] for log in logs)

    def revoked_at(self, key_id: str) -> datetime:
        """When a key that is dead was revoked, by the same log."""
        status, logs = self.call("GET", "/v1/admin/audit-logs?event_type=api_key.delete&limit=1000000")
        assert status == 200, status
        return next(
            datetime.fromisoformat(log["created_at"]) for log in logs if log["target_metadata"]["key_id"] == key_id
        )


def audited(log: Path) -> list[dict[str, Any]]:
    """Each request that an apiserver's audit log tells of; its last line may be half written."""
    whole, _, _ = log.read_text(encoding="utf-8").rpartition("\n")
    return [json.loads(line) for line in whole.split("\n") if line]


class Operator(Program):
    """`keywright run`; `metrics` and `health` are its addresses."""

    def __init__(self, folder: Path, kubeconfig: Path, *flags: str) -> None:
        """`flags` go to the command, behind those that every test wants."""
        folder.mkdir(parents=True, exist_ok=True)
        command = (
            "run",
            "--kubeconfig",
            str(kubeconfig),
            "--allow-insecure-issuers",
            "--log-format",
            "text",
            "--health-address",
            "127.0.0.1:0",
            "--metrics-address",
            "127.0.0.1:0",
            *flags,
        )
        super().__init__(command, folder / "operator.log")
        self.health = ""
        self.metrics = ""

    def start(self) -> None:
        """Begin; returns when it is ready."""
        since = len(self.said())
        super().start()
        self.metrics = self.says(r"metrics at (https?://[^\s\"]+)", since)[1]
        self.health = self.says(r"probes at (http://\S+)/healthz", since)[1]
        wait_for(self.is_ready, "the operator is ready")

    def is_ready(self) -> bool:
        """What /readyz says."""
        try:
            with urllib.request.urlopen(f"{self.health}/readyz", timeout=30) as answer:  # noqa: S310 -- loopback
                return answer.status == 200
        except OSError:  # not yet, or too busy to say
            return False

    def gave_away(self, plaintexts: set[str]) -> set[str]:
        """Those that stand in what it has said, as they are or in base64."""
        said = self.said()
        return {p for p in plaintexts if p in said or base64.b64encode(p.encode()).decode().rstrip("=") in said}

    def series(self, name: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each sample of this name that /metrics shows now."""
        with urllib.request.urlopen(self.metrics, timeout=60) as answer:  # noqa: S310 -- loopback
            families = text_string_to_metric_families(answer.read().decode())
        return [(s.labels, s.value) for family in families for s in family.samples if s.name == name]
