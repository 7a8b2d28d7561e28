"""Starting components in an order that is quick, and knowing when each one works or why it does not.

Decides nothing about what should run: that is `cluster.py`. Every process started is in the state file before the next
one starts.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from keywright.devcluster import vault
from keywright.devcluster.components import (
    APISERVER,
    CONTROLLER_MANAGER,
    ETCD,
    VAULT_SERVER,
    audit_policy,
    command,
    token_file,
)
from keywright.devcluster.kubeconfig import write_kubeconfig
from keywright.devcluster.layout import Layout, State, write_private
from keywright.devcluster.loopback import Answer, Endpoint, free_port, is_free, listens
from keywright.devcluster.processes import Process, is_alive, spawn
from keywright.devcluster.progress import Note, Report
from keywright.errors import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from keywright.devcluster.binaries import Binaries

__all__ = ["Launcher", "disk_full", "is_running", "port_taken"]

_POLL = 0.03  # seconds
_DEADLINE = 60.0  # seconds for one component; a busy CI machine takes ten times as long as a quiet one
_PATIENCE = 30.0  # seconds for a cluster that was ready before: a busy machine may stand still for some
_LAST_LINES = 10
_PORT_TRIES = 3
_OK = 200
_ADDRESS_IN_USE = re.compile(r"address already in use")
_NO_SPACE = re.compile(r"no space left on device|disk quota exceeded")
_STACK_BEGINS = re.compile(r"goroutine \d+.* \[")  # Go's dump of a crash: pages that say less than the line before
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", re.DOTALL)


class _PortLostError(Exception):
    """Somebody took the port between our look and the component's."""


class _EndedSinceError(Exception):
    """A component that was found running, and so was not started, has ended since."""


def port_taken(port: int) -> Terminal:
    """The port that was asked for is not free."""
    return Terminal(
        f"Port {port} on 127.0.0.1 is taken: end what listens there, or choose another port.", reason="PortTaken"
    )


def disk_full(directory: Path) -> Terminal:
    """There is no room for the cluster's files."""
    return Terminal(
        f"The disk is full at {directory}: free about 300 MB there, or choose another directory.", reason="DiskFull"
    )


def is_running(state: State, component: str) -> bool:
    """Whether the component that was started last is still there."""
    process = state.processes.get(component)
    return process is not None and is_alive(process)


class Launcher:
    """One `up` or restart; the cluster's lock is held. `state` is always what is in the file."""

    def __init__(self, layout: Layout, state: State, binaries: Binaries, progress: Report) -> None:
        """`state` may be that of an earlier life of this cluster."""
        self.layout = layout
        self.state = state
        self.started: list[Process] = []
        self._binaries = binaries
        self._progress = progress
        self._logged: dict[str, int] = {}

    def write_files(self) -> None:
        """What the components read; the state first, so that `down` knows the folder as ours."""
        self.state.save(self.layout)
        for folder in (self.layout.etcd, self.layout.certificates, self.layout.logs, self.layout.scratch):
            folder.mkdir(mode=0o700, exist_ok=True)
        write_private(self.layout.tokens, token_file(self.state))
        if self.state.audit:
            write_private(self.layout.audit_policy, audit_policy())

    def start_control_plane(self, *, fixed_port: bool) -> None:
        """Whatever of etcd, kube-apiserver and kube-controller-manager does not run; returns when all work.

        etcd and the apiserver start together: the apiserver tries until etcd is there. One that was still ending when it
        was looked for, as after a kill -9 of all, is started as well.
        """
        while True:
            try:
                self._start_missing(fixed_port=fixed_port)
            except _EndedSinceError:
                continue
            return

    def _start_missing(self, *, fixed_port: bool) -> None:
        if not is_running(self.state, ETCD):
            self._start(ETCD)
        self.start_apiserver(fixed_port=fixed_port)
        self._write_kubeconfig()
        if not is_running(self.state, CONTROLLER_MANAGER):
            self._start(CONTROLLER_MANAGER)
        # The first thing that its controllers do, and the proof that they do anything.
        self._wait_for(
            "kube-controller-manager made no ServiceAccount in the namespace default",
            lambda: self._found("/api/v1/namespaces/default/serviceaccounts/default"),
            (ETCD, APISERVER, CONTROLLER_MANAGER),
        )

    def start_apiserver(self, *, fixed_port: bool) -> None:
        """Start it where it does not run, and return when /readyz is ok."""
        for _ in range(_PORT_TRIES):
            if not is_running(self.state, APISERVER):
                self._settle_port(fixed=fixed_port)
                self._start(APISERVER)
            try:
                self._wait_until_ready()
            except _PortLostError:
                continue
            return
        raise port_taken(self.state.port)

    def still_works(self, components: tuple[str, ...]) -> bool:
        """Whether a cluster whose components all run works as well; False where one ends meanwhile.

        Terminal where they run for some seconds and it does not.
        """
        deadline = time.monotonic() + _PATIENCE
        while not self._found("/readyz"):
            if not all(is_running(self.state, component) for component in components):
                return False
            if time.monotonic() > deadline:
                raise Terminal(
                    f"The cluster in {self.layout.directory} runs, but is not ready: look into {self.layout.logs}, or "
                    "take it down and up again.",
                    reason="NotReady",
                )
            time.sleep(_POLL)
        return all(is_running(self.state, component) for component in components)

    def start_vault(self) -> None:
        """Vault, unsealed, with the kubernetes auth method pointing here."""
        vault.place_plugin(self.layout, self._binaries)
        for _ in range(_PORT_TRIES):
            self._remember(replace(self.state, vault_port=free_port()))
            self._start(VAULT_SERVER)
            try:
                self._wait_for("Vault did not unseal", lambda: vault.is_unsealed(self.state), (VAULT_SERVER,))
            except _PortLostError:
                continue
            vault.configure_kubernetes_auth(self.layout, self.state)
            return
        raise port_taken(self.state.vault_port or 0)

    def _settle_port(self, *, fixed: bool) -> None:
        if is_free(self.state.port):
            return
        if fixed:
            raise port_taken(self.state.port)
        port = free_port()
        self._progress(Note(f"Port {self.state.port} is taken by now: the apiserver gets {port}."))
        self._remember(replace(self.state, port=port))

    def _start(self, component: str) -> None:
        log = self.layout.log(component)
        self._logged[component] = log.stat().st_size if log.exists() else 0
        how = command(component, self.layout, self.state, self._binaries, os.environ)
        try:
            process = spawn(how.argv, log=log, directory=how.directory, environ=how.environ)
        except OSError as error:
            raise Terminal(
                f"{how.argv[0]} cannot be run: put a working {component} there ({error.strerror}).",
                reason="StartFailed",
            ) from error
        self.started.append(process)
        self._remember(replace(self.state, processes={**self.state.processes, component: process}))

    def _remember(self, state: State) -> None:
        state.save(self.layout)
        self.state = state

    def _wait_until_ready(self) -> None:
        needed = (ETCD, APISERVER)
        self._wait_for("kube-apiserver listens on no port", self._has_certificates, needed)
        self._wait_for("kube-apiserver is not ready", lambda: self._found("/readyz"), needed)
        # /readyz is ok a moment before the first namespace is there.
        self._wait_for("there is no namespace default", lambda: self._found("/api/v1/namespaces/default"), needed)

    def _has_certificates(self) -> bool:
        """The apiserver writes its pair before it listens, so that a taken connection means a whole file."""
        if not listens(self.state.port):
            return False
        try:
            blocks = _PEM.findall((self.layout.certificates / "apiserver.crt").read_text("ascii"))
        except FileNotFoundError:
            return False
        write_private(self.layout.ca_file, blocks[-1])  # the pair first, its authority last
        return True

    def _found(self, path: str) -> bool:
        answer = self._ask(path)
        return answer is not None and answer.status == _OK

    def _ask(self, path: str) -> Answer | None:
        bearer = {"Authorization": f"Bearer {self.state.admin_token}"}
        return Endpoint(self.state.server, bearer, self.layout.ca_file).ask("GET", path)

    def _write_kubeconfig(self) -> None:
        write_kubeconfig(
            self.layout.kubeconfig,
            server=self.state.server,
            ca_file=self.layout.ca_file,
            token=self.state.admin_token,
        )

    def _wait_for(self, complaint: str, condition: Callable[[], bool], components: tuple[str, ...]) -> None:
        deadline = time.monotonic() + _DEADLINE
        while not condition():
            for component in components:
                if not is_running(self.state, component):
                    raise self._ended(component)
            if time.monotonic() > deadline:
                raise Terminal(
                    f"After {_DEADLINE:.0f} s {complaint}: give the machine room and try again; "
                    f"the end of the log of {components[-1]}:\n{self._last_words(components[-1])}",
                    reason="StartTimeout",
                )
            time.sleep(_POLL)

    def _ended(self, component: str) -> Exception:
        if self.state.processes.get(component) not in self.started:
            return _EndedSinceError()
        words = self._last_words(component)
        if _ADDRESS_IN_USE.search(words):
            return _PortLostError()
        if _NO_SPACE.search(words):
            return disk_full(self.layout.directory)
        binary = self._binaries[component]
        return Terminal(
            f"{component} (from {binary.source}: {binary.path}) ended while starting; its log ends with:\n{words}",
            reason="StartFailed",
        )

    def _last_words(self, component: str) -> str:
        with self.layout.log(component).open("rb") as log:
            log.seek(self._logged.get(component, 0))
            lines = log.read().decode("utf-8", "replace").splitlines()
        stack = next((number for number, line in enumerate(lines) if _STACK_BEGINS.match(line)), len(lines))
        said = [line for line in lines[:stack] if line.strip()]
        return "\n".join(f"  {line[:400]}" for line in said[-_LAST_LINES:]) or "  (nothing)"
