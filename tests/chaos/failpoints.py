"""Named places around each outside effect of the real operator, where a test may end or freeze its process.

Runs inside the operator under test. The classes that the operator is built from are replaced by ones that do the same and
pass by such a place before and after each effect: `before create`, `after patch_status:intent`, and so on. What is to happen
at which of them stands in a file that the test writes and this process takes away the moment it acts.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keywright import bootstrap
from keywright.adapters import mistral
from keywright.adapters.kube_objects import KubeCluster
from keywright.adapters.kube_secret import SecretSink
from keywright.adapters.kube_workloads import KubeWorkloads
from keywright.adapters.mistral import MistralIssuer
from keywright.adapters.vault_sink import VaultSink
from keywright.planning.steps import WriteStatus
from keywright.reconcile import engine
from keywright.reconcile.execute import Executor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["MET", "ORDERS", "PLACES", "install", "watch"]

ORDERS = "fail-at.json"
"""The file with what is asked: {at, apikey, act}; apikey null: any."""
MET = "met.json"
"""The same file, once it was acted upon."""
PLACES = "places"
"""The places that were passed: a line each, with the ApiKey at work."""

_ACTS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "term": signal.SIGTERM}
_apikey: ContextVar[str | None] = ContextVar("apikey", default=None)
_purpose: ContextVar[str] = ContextVar("purpose", default="issuer")
_folder = Path()
_places = -1


def watch(folder: Path) -> None:
    """Where this process finds its orders. What it needs is opened here: it may be without a file to spare later on."""
    global _folder, _places  # noqa: PLW0603 -- one process, one operator
    _folder = folder
    _places = os.open(folder / PLACES, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def install() -> None:
    """Have every operator that this process, or a fork of it, builds pass by the places."""
    for cls, effects in (
        (_Cluster, ("add_finalizer", "remove_finalizer", "patch_status")),
        (_Sink, ("deliver", "fence", "rewrite", "clean")),
        (_Vault, ("deliver", "fence", "rewrite", "clean", "prune")),
        (_Workloads, ("restart",)),
        (_Issuer, ("create", "revoke", "check")),
        (bootstrap.Operator, ("sync",)),
    ):
        for effect in effects:
            setattr(cls, effect, _passing(effect, getattr(cls, effect)))
    bootstrap.KubeCluster = _Cluster
    bootstrap.SecretSink = _Sink
    bootstrap.VaultSink = _Vault
    bootstrap.KubeWorkloads = _Workloads
    mistral.MistralIssuer = _Issuer
    engine.Executor = _Executor


class _Cluster(KubeCluster):
    """Passes by the places."""


class _Sink(SecretSink):
    """Passes by the places."""


class _Vault(VaultSink):
    """Passes by the places."""


class _Workloads(KubeWorkloads):
    """Passes by the places."""


class _Issuer(MistralIssuer):
    """Passes by the places."""


class _Executor(Executor):
    """Tells the places whose step it is, and what a status is written for."""

    async def take(self, step: Any, s: Any, seen: Any) -> Any:
        apikey = _apikey.set(s.observed.subject.key.name)
        purpose = _purpose.set(step.purpose if isinstance(step, WriteStatus) else "issuer")
        try:
            return await super().take(step, s, seen)
        finally:
            _apikey.reset(apikey)
            _purpose.reset(purpose)


def _passing(effect: str, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def around(*arguments: Any, **named: Any) -> Any:
        name = f"{effect}:{_purpose.get()}" if effect == "patch_status" else effect
        _pass(f"before {name}")
        answer = await call(*arguments, **named)
        _pass(f"after {name}")
        return answer

    return around


def _pass(place: str) -> None:
    os.write(_places, f"{_apikey.get()} {place}\n".encode())
    orders = _folder / ORDERS
    if not orders.exists():
        return
    asked = json.loads(orders.read_text())
    if asked["at"] != place or asked["apikey"] not in (None, _apikey.get()):
        return
    orders.rename(_folder / MET)
    act = _ACTS[asked["act"]]
    if act is signal.SIGTERM:
        os.kill(os.getpid(), act)
    else:
        # To this very thread: the process stands still before the next line.
        signal.pthread_kill(threading.get_ident(), act)
