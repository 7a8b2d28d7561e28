"""Writing kubeconfig files: whole in one file, so that they work from anywhere and for any client."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import yaml

from keywright.devcluster.layout import write_private

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write_kubeconfig"]

_NAME = "keywright-dev"


def write_kubeconfig(path: Path, *, server: str, ca_file: Path, token: str, namespace: str | None = None) -> None:
    """Write a kubeconfig of one cluster, one user with a bearer token, and one context; mode 0600, replaced at once."""
    context: dict[str, Any] = {"cluster": _NAME, "user": _NAME}
    if namespace is not None:
        context["namespace"] = namespace
    authority = base64.b64encode(ca_file.read_bytes()).decode("ascii")
    document: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": _NAME, "cluster": {"server": server, "certificate-authority-data": authority}}],
        "users": [{"name": _NAME, "user": {"token": token}}],
        "contexts": [{"name": _NAME, "context": context}],
        "current-context": _NAME,
    }
    write_private(path, yaml.safe_dump(document, sort_keys=False))
