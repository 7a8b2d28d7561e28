"""What lies in a development cluster's folder, and what is remembered of it between two commands.

`state.json` is the first file written and the last one removed: a folder without it holds nothing of ours.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from keywright.devcluster.processes import Process
from keywright.errors import Terminal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Layout", "State", "write_private"]


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths below one folder, which is absolute."""

    directory: Path

    @property
    def kubeconfig(self) -> Path:
        """For people and tests: the admin's."""
        return self.directory / "kubeconfig"

    @property
    def ca_file(self) -> Path:
        """The apiserver's own certificate authority."""
        return self.directory / "ca.crt"

    @property
    def certificates(self) -> Path:
        """Where kube-apiserver keeps the pair that it signs for itself."""
        return self.directory / "certs"

    @property
    def etcd(self) -> Path:
        """Data and sockets of etcd."""
        return self.directory / "etcd"

    @property
    def vault(self) -> Path:
        """Vault's plugin folder."""
        return self.directory / "vault"

    @property
    def logs(self) -> Path:
        """One file per component, and the audit log."""
        return self.directory / "logs"

    @property
    def audit_log(self) -> Path:
        """One JSON event per line and per request answered."""
        return self.logs / "audit.log"

    @property
    def audit_policy(self) -> Path:
        """What is audited."""
        return self.directory / "audit-policy.yaml"

    @property
    def tokens(self) -> Path:
        """The static token file."""
        return self.directory / "tokens.csv"

    @property
    def scratch(self) -> Path:
        """Home and temporary folder of the components: nothing of theirs goes elsewhere."""
        return self.directory / "tmp"

    @property
    def state(self) -> Path:
        """What `State` holds."""
        return self.directory / "state.json"

    @property
    def lock(self) -> Path:
        """Held by the one command at work on this folder."""
        return self.directory / ".keywright.lock"

    def log(self, component: str) -> Path:
        """Output of one component."""
        return self.logs / f"{component}.log"

    def _contents(self) -> tuple[Path, ...]:
        return (
            self.kubeconfig,
            self.ca_file,
            self.certificates,
            self.etcd,
            self.vault,
            self.logs,
            self.audit_policy,
            self.tokens,
            self.scratch,
        )

    def refuse_strangers(self) -> None:
        """Raise Terminal when the folder holds files of our names that are not ours: `down` would remove them."""
        for path in self._contents():
            if path.exists() or path.is_symlink():
                raise Terminal(
                    f"{path} is there already and is not of a development cluster: choose another directory.",
                    reason="DirectoryInUse",
                )

    def remove(self) -> None:
        """Everything of ours, then the folder itself where nothing else is in it."""
        for path in self._contents():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        for path in (*self._contents(), self.state):
            for half_written in self.directory.glob(f".{path.name}.*"):  # by a command that was killed
                half_written.unlink()
        self.state.unlink(missing_ok=True)
        self.lock.unlink(missing_ok=True)
        if not any(self.directory.iterdir()):
            self.directory.rmdir()


@dataclass(frozen=True, slots=True)
class State:
    """What the next command needs to know; tokens are random and die with the cluster."""

    port: int
    admin_token: str = field(repr=False)
    vault_token: str = field(repr=False)
    vault_port: int | None = None
    audit: bool = False
    apiserver_flags: tuple[str, ...] = ()
    processes: Mapping[str, Process] = field(default_factory=dict)

    @property
    def server(self) -> str:
        """The apiserver's URL."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def vault_address(self) -> str | None:
        """Vault's URL, where it was asked for."""
        return None if self.vault_port is None else f"http://127.0.0.1:{self.vault_port}"

    def save(self, layout: Layout) -> None:
        """Replace the file at once: a crash leaves the old one or the new one."""
        write_private(layout.state, json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, layout: Layout) -> State | None:
        """None: no cluster was ever brought up here, or it was taken down. Raises Terminal on a file it cannot read."""
        try:
            text = layout.state.read_text("utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            said = json.loads(text)
            processes = {name: Process(**process) for name, process in said.pop("processes").items()}
            flags = tuple(said.pop("apiserver_flags"))
            return cls(**said, apiserver_flags=flags, processes=processes)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise Terminal(
                f"{layout.state} was not written by this version of keywright: take the cluster down with the version "
                "that made it, or end its processes and remove the directory.",
                reason="StateUnreadable",
            ) from error


def write_private(path: Path, text: str) -> None:
    """Replace `path` as a whole, readable by its owner only."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mkstemp's mode is 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:  # an interrupt too leaves no temporary file
        Path(temporary).unlink(missing_ok=True)
        raise
