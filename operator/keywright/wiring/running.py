"""The operator's life: log in, wait for the CRDs, list, watch, work, and stop without losing anything."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import kopf

from keywright import __version__
from keywright.adapters.kube import KubeApi
from keywright.adapters.kube_login import Login
from keywright.adapters.kube_reviews import Reviews
from keywright.bootstrap import Operator, cluster_id_of, lease_of, valid_cluster_id
from keywright.errors import Ambiguous, Rejected, Retryable, Terminal, Unauthorized
from keywright.ports.lease import Unshared
from keywright.wiring.election import Election
from keywright.wiring.endpoints import Endpoints
from keywright.wiring.watches import registry_for, settings

if TYPE_CHECKING:
    from pathlib import Path

    from keywright.bootstrap import Options

__all__ = ["Addresses", "run"]

_log = logging.getLogger(__name__)
_SYNC_AGAIN: Final = 5.0
_LISTS_FRESH: Final = 2.0
"""Seconds for which lists are fresh enough to begin on; who has stood by for longer lists again, as watches may lag."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """HOST:PORT of each listener; None: not served.

    `metrics_auth`: metrics are for those alone whom the apiserver allows to get /metrics; `metrics_tls`: a folder with tls.crt and tls.key.
    """

    metrics: str | None = None
    health: str | None = None
    metrics_auth: bool = False
    metrics_tls: Path | None = None


async def run(options: Options, addresses: Addresses) -> None:
    """Run until SIGTERM or SIGINT, then finish what is in flight. Raises KeywrightError where it cannot begin."""
    stop = asyncio.Event()
    _stop_on_signals(asyncio.get_running_loop(), stop)
    login = await Login.load(options.kubeconfig, options.context)
    lease = lease_of(login, options)
    api, reviewing = KubeApi(login, lease or Unshared()), KubeApi(login, Unshared())
    endpoints = Endpoints()
    operator: Operator | None = None
    try:
        cluster_id = await _cluster_id(api, options, stop)
        if cluster_id is None:
            return
        operator = Operator(api, options, cluster_id, lease)
        synced = asyncio.Event()
        if addresses.health:
            at = await endpoints.serve_health(addresses.health, synced.is_set)
            _log.info("probes at http://%s/healthz and /readyz", at)
        if addresses.metrics:
            at = await endpoints.serve_metrics(
                addresses.metrics,
                operator.metrics.scrape,
                review=Reviews(reviewing, "/metrics").of if addresses.metrics_auth else None,
                certificate=addresses.metrics_tls,
            )
            _log.info("metrics at %s://%s/metrics", "https" if addresses.metrics_tls else "http", at)
        if not await _sync(operator, stop):
            return
        _spare_the_collector()
        synced.set()
        scope = f"namespaces {', '.join(options.namespaces)}" if options.namespaces else "the whole cluster"
        _log.info("keywright %s (process %d) serves %s, cluster id %s", __version__, os.getpid(), scope, cluster_id)
        await _watch(operator, Election(lease) if lease else None, stop)
    finally:
        if operator is not None:
            await operator.close()
        await api.close()
        await reviewing.close()
        if lease is not None:
            await lease.close()
        await endpoints.close()


async def _watch(operator: Operator, election: Election | None, stop: asyncio.Event) -> None:
    """Have kopf watch, and work, until told to stop. Raises where the watches cannot go on.

    The work ends first and the watches last: kopf waits 5 s for every task in the loop that it does not know, and then
    cancels it, be it ours and in the midst of a request.
    """
    loop = asyncio.get_running_loop()
    listed_at = loop.time()
    before = asyncio.all_tasks()
    unwatch = asyncio.Event()
    watches = await kopf.spawn_tasks(
        registry=registry_for(operator, operator.api.login),
        settings=settings(),
        standalone=True,
        clusterwide=operator.cluster_scope,
        namespaces=list(operator.options.namespaces),
        stop_flag=unwatch,
    )
    _stop_on_signals(loop, stop)  # kopf has put its own handlers in their place
    working = asyncio.create_task(_work(operator, election, stop, listed_at), name="work")
    await asyncio.wait((*watches, working), return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    await asyncio.wait((working,))
    unwatch.set()
    loop.set_exception_handler(_quiet_about_watches)
    try:
        await kopf.run_tasks(watches, ignored=before)
    except kopf.LoginError as error:
        raise Unauthorized(
            f"the apiserver at {operator.api.login.server} accepts the credentials no more; see the kubeconfig or the ServiceAccount",
            reason="Unauthorized",
        ) from error
    working.result()


async def _work(operator: Operator, election: Election | None, stop: asyncio.Event, listed_at: float) -> None:
    """Work until told to stop; with an election, only from the moment this process leads, with fresh lists."""
    try:
        if election is not None:
            election.stand()
            await _either(election.won, stop)
        stale = asyncio.get_running_loop().time() - listed_at > _LISTS_FRESH
        if not stop.is_set() and (not stale or await _sync(operator, stop)):
            operator.start()
            await stop.wait()
        _log.info("stopping: finishing what is in flight")
        if await operator.finish():
            _log.info("stopped")
        else:
            _log.warning("stopped; a request did not end in time, its intent is written down and will be looked at")
    finally:
        if election is not None:
            await election.leave()


async def _either(one: asyncio.Event, other: asyncio.Event) -> None:
    """Wait for the first of two."""
    waiting = [asyncio.create_task(event.wait()) for event in (one, other)]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()


def _spare_the_collector() -> None:
    """Look for cycles less often, and never again in what was listed at the start: in a burst it took a tenth of the CPU.

    Cycles that do come about (exceptions with their tracebacks) are small, and still found.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _stop_on_signals(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


def _quiet_about_watches(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Watches that kopf leaves open are closed by asyncio, outer and inner generator at once, with a traceback each."""
    if "asyncgen" not in context:
        loop.default_exception_handler(context)


async def _cluster_id(api: KubeApi, options: Options, stop: asyncio.Event) -> str | None:
    """What the user says, or the cluster's own; None where it was told to stop meanwhile."""
    if options.cluster_id is not None:
        return valid_cluster_id(options.cluster_id)
    if options.namespaces:
        raise Rejected(
            "--namespace needs --cluster-id: up to 8 characters of a-z, 0-9 and - that tell this cluster's keys from others'",
            reason="Usage",
        )
    while not stop.is_set():
        try:
            return await cluster_id_of(api)
        except (Retryable, Ambiguous, Terminal) as error:
            await _pause(stop, error)
    return None


async def _sync(operator: Operator, stop: asyncio.Event) -> bool:
    """Wait for CRDs, rights and apiserver, and say so; False where it was told to stop meanwhile."""
    while not stop.is_set():
        try:
            await operator.sync()
        except (Retryable, Ambiguous, Terminal) as error:
            await _pause(stop, error)
        else:
            return True
    return False


async def _pause(stop: asyncio.Event, error: Exception) -> None:
    _log.warning("waiting: %s", error)
    try:
        await asyncio.wait_for(stop.wait(), _SYNC_AGAIN)
    except TimeoutError:
        return
