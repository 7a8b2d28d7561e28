"""A control plane in a folder: up, used, disturbed, down. The handle that commands, tests and benchmarks hold.

Each change takes the folder's lock and reads the state anew, so that handles in several processes agree. Nothing
outside the folder is written (but the cache of binaries), above all no kubeconfig of the user's.
"""

from __future__ import annotations

import errno
import secrets
import signal
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from keywright.devcluster.binaries import Binaries
from keywright.devcluster.build import provide
from keywright.devcluster.components import APISERVER, CONTROLLER_MANAGER, ETCD, VAULT_SERVER
from keywright.devcluster.launch import Launcher, disk_full, is_running, port_taken
from keywright.devcluster.layout import Layout, State
from keywright.devcluster.locks import exclusive
from keywright.devcluster.loopback import free_port, is_free
from keywright.devcluster.processes import Process, send, stop
from keywright.devcluster.progress import Note, Report, silent
from keywright.devcluster.recipes import CONTROL_PLANE, VAULT
from keywright.errors import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["Cluster"]

_GRACE = 8.0  # seconds; a quiet apiserver takes 2
_FULL = {errno.ENOSPC, errno.EDQUOT}
_NOT_OURS = {errno.EACCES, errno.EPERM, errno.EROFS}
_CORE = (ETCD, APISERVER, CONTROLLER_MANAGER)


class Cluster:
    """One development cluster. Make one with `up` or `load`."""

    def __init__(self, layout: Layout, state: State) -> None:
        """For `up` and `load`."""
        self._layout = layout
        self._state = state

    @classmethod
    def up(
        cls,
        directory: Path,
        *,
        audit: bool = False,
        with_vault: bool = False,
        port: int | None = None,
        apiserver_flags: Sequence[str] = (),
        progress: Report | None = None,
    ) -> Cluster:
        """Bring the cluster up in `directory` and return when it works, within about 3 s once the binaries exist.

        A cluster that already runs there stays as it is; one whose processes are gone, as after a reboot, starts again
        with its data. `port` is the apiserver's (default: a free one, or that of before). `audit` writes `audit_log`.
        Raises Terminal with what to change; what was started is then ended again, and a new folder removed.
        """
        report = progress or silent
        layout = Layout(directory.absolute())
        _make(layout.directory)
        with _alone(layout, report), ExitStack() as undo:
            remembered = State.load(layout)
            if remembered is None:
                layout.refuse_strangers()
                undo.callback(layout.remove)
            state = _wanted(remembered, audit=audit, port=port, apiserver_flags=tuple(apiserver_flags))
            vault = with_vault or state.vault_port is not None
            components = (*_CORE, VAULT_SERVER) if vault else _CORE
            if all(is_running(state, component) for component in components) and Launcher(
                layout, state, Binaries(()), report
            ).still_works(components):
                report(Note(f"The cluster in {layout.directory} is already up."))
                return cls(layout, _kept(undo, state))
            binaries = provide((*CONTROL_PLANE, *VAULT) if vault else CONTROL_PLANE, progress=report)
            launcher = Launcher(layout, state, binaries, report)
            # New data goes with the folder: killing is enough, and an apiserver that waits for etcd heeds nothing else.
            undo.callback(lambda: stop(launcher.started, grace=0 if remembered is None else _GRACE))
            launcher.write_files()
            launcher.start_control_plane(fixed_port=port is not None)
            if vault and not is_running(state, VAULT_SERVER):
                launcher.start_vault()
            return cls(layout, _kept(undo, launcher.state))

    @classmethod
    def load(cls, directory: Path) -> Cluster:
        """The cluster that was brought up in `directory`, running or not; Terminal where there is none."""
        layout = Layout(directory.absolute())
        state = State.load(layout)
        if state is None:
            raise Terminal(
                f"There is no cluster in {layout.directory}: run keywright devcluster up --dir {layout.directory}.",
                reason="NotUp",
            )
        return cls(layout, state)

    @staticmethod
    def take_down(directory: Path) -> bool:
        """End every process of the cluster in `directory` and remove its files; False where there was none."""
        layout = Layout(directory.absolute())
        if not (layout.state.exists() or layout.lock.exists()):
            return False
        with _alone(layout, silent):
            state = State.load(layout)
            if state is not None:
                _stop(state)
            layout.remove()
            return state is not None

    def down(self) -> None:
        """As `take_down`, for this one; again is harmless."""
        self.take_down(self._layout.directory)

    @property
    def directory(self) -> Path:
        """Where everything of this cluster lies."""
        return self._layout.directory

    @property
    def kubeconfig(self) -> Path:
        """The admin's."""
        return self._layout.kubeconfig

    @property
    def ca_file(self) -> Path:
        """The authority that signed the apiserver's certificate."""
        return self._layout.ca_file

    @property
    def audit_log(self) -> Path:
        """JSON lines, when the cluster was brought up with `audit`."""
        return self._layout.audit_log

    @property
    def server(self) -> str:
        """The apiserver's URL."""
        return self._state.server

    @property
    def admin_token(self) -> str:
        """Of a user in system:masters."""
        return self._state.admin_token

    @property
    def vault_address(self) -> str | None:
        """Vault's URL; None without it."""
        return self._state.vault_address

    @property
    def vault_token(self) -> str | None:
        """Vault's root token; None without Vault."""
        return self._state.vault_token if self._state.vault_port is not None else None

    @property
    def pids(self) -> dict[str, int]:
        """Of the components that run now, by name."""
        state = self._reload()
        return {name: process.pid for name, process in state.processes.items() if is_running(state, name)}

    def log(self, component: str) -> Path:
        """What one component has said."""
        return self._layout.log(component)

    def stop_apiserver(self, *, grace: float = _GRACE) -> None:
        """End kube-apiserver alone; `grace=0` is kill -9."""
        with _alone(self._layout, silent):
            stop([self._process(APISERVER)], grace=grace)

    def start_apiserver(self) -> None:
        """Start kube-apiserver again at the same port and return when it is ready."""
        with _alone(self._layout, silent):
            launcher = Launcher(self._layout, self._reload(), provide(CONTROL_PLANE), silent)
            launcher.start_apiserver(fixed_port=True)
            self._state = launcher.state

    def restart_apiserver(self, *, grace: float = _GRACE) -> None:
        """Stop, then start; clients see refused connections in between."""
        self.stop_apiserver(grace=grace)
        self.start_apiserver()

    def pause_etcd(self) -> None:
        """Freeze etcd: the apiserver's requests to it hang until `resume_etcd`."""
        send(self._process(ETCD), signal.SIGSTOP)

    def resume_etcd(self) -> None:
        """Let a paused etcd go on."""
        send(self._process(ETCD), signal.SIGCONT)

    def _process(self, component: str) -> Process:
        process = self._reload().processes.get(component)
        if process is None:
            raise Terminal(f"{component} was never started in {self.directory}.", reason="NotUp")
        return process

    def _reload(self) -> State:
        self._state = State.load(self._layout) or replace(self._state, processes={})
        return self._state


def _make(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Terminal(
            f"The directory {directory} cannot be made: choose another one ({error.strerror}).", reason="DirectoryInUse"
        ) from error


@contextmanager
def _alone(layout: Layout, report: Report) -> Iterator[None]:
    def waiting(holder: str) -> None:
        report(
            Note(f"Another command (process {holder or 'unknown'}) is at work in {layout.directory}: waiting for it.")
        )

    try:
        with exclusive(layout.lock, waiting=waiting):
            yield
    except OSError as error:
        if error.errno in _FULL:
            raise disk_full(layout.directory) from error
        if error.errno in _NOT_OURS:
            raise Terminal(
                f"The directory {layout.directory} cannot be written: choose another one ({error.strerror}).",
                reason="DirectoryInUse",
            ) from error
        raise


def _wanted(remembered: State | None, *, audit: bool, port: int | None, apiserver_flags: tuple[str, ...]) -> State:
    """The state to bring about, from what was remembered and what is asked for now."""
    if remembered is None:
        if port is not None and not is_free(port):
            raise port_taken(port)
        return State(
            port=port or free_port(),
            admin_token=secrets.token_urlsafe(32),
            vault_token=secrets.token_urlsafe(32),
            audit=audit,
            apiserver_flags=apiserver_flags,
        )
    wanted = replace(
        remembered,
        port=port or remembered.port,
        audit=audit or remembered.audit,
        apiserver_flags=apiserver_flags or remembered.apiserver_flags,
    )
    if wanted != remembered and is_running(remembered, APISERVER):
        raise Terminal(
            "The cluster is up with another port, audit setting or apiserver flags: take it down first.",
            reason="AlreadyUp",
        )
    return wanted


def _kept(undo: ExitStack, state: State) -> State:
    undo.pop_all()
    return state


def _stop(state: State) -> None:
    """End all, etcd last: the apiserver writes to it as it ends."""
    first = [process for name, process in state.processes.items() if name != ETCD]
    last = [process for name, process in state.processes.items() if name == ETCD]
    stop(first, grace=_GRACE)
    stop(last, grace=_GRACE)
