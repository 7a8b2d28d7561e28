"""Vault in development mode beside the apiserver: in memory, with ServiceAccounts of this cluster able to log in.

KV version 2 is at `secret/`, as `vault server -dev` sets it up; the auth method is an external plugin, since the build
without Vault's user interface and cloud clients (`-tags minimal`) has none built in.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from keywright.devcluster.loopback import Endpoint
from keywright.errors import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from keywright.devcluster.binaries import Binaries
    from keywright.devcluster.layout import Layout, State

__all__ = ["configure_kubernetes_auth", "is_unsealed", "place_plugin"]

_PLUGIN = "vault-plugin-auth-kubernetes"


def place_plugin(layout: Layout, binaries: Binaries) -> None:
    """Vault registers every file in its plugin folder, so that the plugin needs a folder of its own, and no symlink."""
    plugins = layout.vault / "plugins"
    plugins.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = plugins / _PLUGIN
    place.unlink(missing_ok=True)
    source: Path = binaries[_PLUGIN].path.resolve()
    with suppress(OSError):  # another disk, or a file system without hard links
        os.link(source, place)
        return
    shutil.copy2(source, place)


def is_unsealed(state: State) -> bool:
    """Whether Vault answers requests."""
    answer = _endpoint(state).ask("GET", "/v1/sys/health")
    return answer is not None and answer.status == 200  # noqa: PLR2004 - initialised, unsealed, active


def configure_kubernetes_auth(layout: Layout, state: State) -> None:
    """Mount the plugin at auth/kubernetes and point it at the apiserver; roles are for the user to make."""
    _write(state, "/v1/sys/auth/kubernetes", {"type": _PLUGIN})
    config = {
        "kubernetes_host": state.server,
        "kubernetes_ca_cert": layout.ca_file.read_text("ascii"),
        "token_reviewer_jwt": state.admin_token,
        "disable_local_ca_jwt": True,
    }
    _write(state, "/v1/auth/kubernetes/config", config)


def _write(state: State, path: str, body: dict[str, Any]) -> None:
    answer = _endpoint(state).ask("POST", path, body)
    if answer is None or answer.status >= 300:  # noqa: PLR2004 - the end of success
        outcome = "no answer" if answer is None else f"status {answer.status}"
        raise Terminal(
            f"Vault refused to set up its kubernetes auth method at {path} ({outcome}): look into the log of vault.",
            reason="StartFailed",
        )


def _endpoint(state: State) -> Endpoint:
    assert state.vault_address is not None, "asked for only with Vault"
    return Endpoint(state.vault_address, {"X-Vault-Token": state.vault_token}, timeout=20)
