"""The three parts that run: control plane, sandbox issuer, operator. Starts them and knows whether they still run.

Ending them is `folder.py`'s, which does so however the demo ends.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from typing import TYPE_CHECKING, Final

import aiohttp

from keywright.demo import cluster as kubernetes
from keywright.devcluster import Cluster, write_kubeconfig
from keywright.devcluster.processes import Process, is_alive
from keywright.errors import Terminal
from keywright.keys import SecretValue

if TYPE_CHECKING:
    from pathlib import Path

    from keywright.adapters.kube import KubeApi
    from keywright.demo.folder import Folder
    from keywright.devcluster import Report

__all__ = ["LAST_LINES", "Plane"]

LAST_LINES: Final = 15
_DEADLINE: Final = 60.0
"""Seconds for a part to be ready; a busy machine takes ten times as long as a quiet one."""
_PAUSE: Final = 0.05
_OK: Final = 200

_AT: Final = re.compile(r"https?://[\w.\[\]:-]+:[0-9]+")
_PROBES: Final = re.compile(r"probes at (https?://[\w.\[\]:-]+:[0-9]+)")


class Plane:
    """What runs in a demo's folder."""

    def __init__(self, folder: Folder) -> None:
        """Starts nothing yet."""
        self._folder = folder
        self._running: dict[str, Process] = {}
        self._cluster: Cluster | None = None

    @property
    def cluster(self) -> Cluster:
        """The control plane, once it is up."""
        assert self._cluster is not None, "up comes first"
        return self._cluster

    def up(self, namespace: str, report: Report, *, with_vault: bool = False) -> None:
        """Control plane and sandbox, perhaps Vault; builds what is missing, which takes minutes the first time.

        Leaves a kubeconfig of the admin whose kubectl works in `namespace`.
        """
        self._start(
            "sandbox",
            "sandbox",
            "--listen=127.0.0.1:0",
            f"--data={self._folder.sandbox / 'data'}",
            f"--admin-key-file={self.admin_key_file}",
        )
        self._cluster = Cluster.up(self._folder.plane, with_vault=with_vault, progress=report)
        write_kubeconfig(
            self._folder.kubeconfig,
            server=self._cluster.server,
            ca_file=self._cluster.ca_file,
            token=self._cluster.admin_token,
            namespace=namespace,
        )

    async def sandbox(self) -> tuple[str, SecretValue]:
        """Its address and its admin key, when it is ready."""
        url = await self._said("sandbox", _AT)
        return url, SecretValue(self.admin_key_file.read_text("utf-8").strip())

    async def start_operator(self, api: KubeApi) -> None:
        """Under the rights of manifests/ and no others; returns when it is ready."""
        write_kubeconfig(
            self._folder.operator_kubeconfig,
            server=self.cluster.server,
            ca_file=self.cluster.ca_file,
            token=await kubernetes.token(api),
        )
        self._start(
            "operator",
            "run",
            f"--kubeconfig={self._folder.operator_kubeconfig}",
            "--allow-insecure-issuers",
            "--log-format=text",
            "--min-interval=1s",  # Whoever plays with it shall not have to wait five minutes.
            "--health-address=127.0.0.1:0",
        )
        probes = await self._said("operator", _PROBES)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _DEADLINE
        async with aiohttp.ClientSession() as session:
            while not await _is_ok(session, f"{probes}/readyz"):
                self.check()
                if loop.time() > deadline:
                    raise Terminal(f"The operator is not ready after {_DEADLINE:.0f} s.", reason="StartFailed")
                await asyncio.sleep(_PAUSE)

    def check(self) -> None:
        """Raise Terminal where a process of ours has ended by itself."""
        for component, process in self._running.items():
            if not is_alive(process):
                last = self.last_lines(component, 1)
                raise Terminal(
                    f"The {component} has ended by itself{': ' + last[0].strip() if last else '.'}",
                    reason="ProcessEnded",
                )

    def last_lines(self, component: str, count: int = LAST_LINES) -> list[str]:
        """Of what it said; none where it never started."""
        try:
            return self._folder.log(component).read_text("utf-8", "replace").splitlines()[-count:]
        except FileNotFoundError:
            return []

    @property
    def admin_key_file(self) -> Path:
        """What opens the sandbox's pages; it goes with the folder."""
        return self._folder.sandbox / "admin-key"

    def _start(self, component: str, *arguments: str) -> None:
        argv = [sys.executable, "-P", "-m", "keywright", *arguments]
        environ = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
        # Ended by force, a process leaves its temporary files behind: they go with the folder.
        environ |= {"PYTHONUNBUFFERED": "1", "TMPDIR": str(self._folder.scratch)}
        self._running[component] = self._folder.start(component, argv, environ)

    async def _said(self, component: str, pattern: re.Pattern[str]) -> str:
        """What the pattern finds in the component's output, as soon as it is there."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _DEADLINE
        while True:
            if found := pattern.search(self._folder.log(component).read_text("utf-8", "replace")):
                return found[found.re.groups]
            self.check()
            if loop.time() > deadline:
                raise Terminal(f"The {component} is not ready after {_DEADLINE:.0f} s.", reason="StartFailed")
            await asyncio.sleep(_PAUSE)


async def _is_ok(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as answer:
            return answer.status == _OK
    except aiohttp.ClientError:
        return False
