"""A kubeconfig for a WireServer, and what errors of the Kubernetes adapters give away."""

from __future__ import annotations

import asyncio
import base64
import gc
from asyncio.base_subprocess import BaseSubprocessTransport
from typing import TYPE_CHECKING, Any

import yaml

from keywright.adapters.kube import KubeApi

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Plane

__all__ = ["a_kubeconfig", "a_status", "connected", "holds", "plugins_ended"]


def a_kubeconfig(path: Path, server: str, user: dict[str, Any], **cluster: Any) -> str:
    """Write one; returns its path as the operator takes it."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(yaml.safe_dump(document))
    return str(path)


async def connected(plane: Plane, folder: Path) -> KubeApi:
    """The apiserver as the operator's own ServiceAccount, under exactly the rights of manifests/."""
    authority = base64.b64encode(plane.ca_file.read_bytes()).decode()
    user = {"token": plane.token_of("keywright-system", "keywright")}
    cluster = {"certificate-authority-data": authority}
    return await KubeApi.connect(a_kubeconfig(folder / "kubeconfig", plane.server, user, **cluster))


async def plugins_ended() -> None:
    """Wait for all processes of this loop: it must not be closed before they are."""
    loop = asyncio.get_running_loop()
    while any(_runs_in(loop, one) for one in gc.get_objects()):  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.02)


def _runs_in(loop: asyncio.AbstractEventLoop, one: object) -> bool:
    """Not the browser's driver, which lives in the session's loop for as long as the session."""
    return isinstance(one, BaseSubprocessTransport) and one._loop is loop and not one._closed


def a_status(reason: str, message: str = "", *causes: dict[str, str], **details: Any) -> dict[str, Any]:
    """A metav1.Status."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "message": message,
        "details": {**details, "causes": list(causes)},
    }


def holds(said: str, plaintext: str) -> bool:
    """Whether a plaintext stands in it, bare or in base64 at any offset."""
    inner = (base64.b64encode(b"x" * shift + plaintext.encode()).decode()[4:36] for shift in range(3))
    return plaintext in said or any(part in said for part in inner)
