"""What workspaces have used, by their issuer's own report: one request an issuer and interval, and only where somebody asked for it.

Of an organization's workspaces only those are told of in which an ApiKey has its key: the others are nobody's business here, and
there may be many. Owns the series keywright_workspace_usage.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from keywright.api.apikey import KeyIssuerIdentity
from keywright.errors import Ambiguous, Retryable, Terminal
from keywright.reconcile.account import log_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keywright.metrics import Metrics
    from keywright.ports.cluster import Cluster, Object
    from keywright.reconcile.directory import IssuerDirectory, Ref

__all__ = ["UsageReports"]

_log = logging.getLogger(__name__)


class UsageReports:
    """Of all issuers."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        directory: IssuerDirectory,
        metrics: Metrics,
        monotonic: Callable[[], float],
        interval: float | None,
    ) -> None:
        """`interval`: seconds between two readings of an issuer's report; None: none is read."""
        self._cluster = cluster
        self._directory = directory
        self._metrics = metrics
        self._monotonic = monotonic
        self._interval = interval
        self._due: dict[Ref, float] = {}
        self._shown: dict[Ref, set[tuple[str, ...]]] = {}

    async def refresh(self, ref: Ref) -> timedelta | None:
        """Read one issuer's report where that is due; returns when it is next, None: not again. What cannot be read is said, no more."""
        if self._interval is None:
            return None
        found = self._cluster.issuer(*ref)
        if found is None:
            self._due.pop(ref, None)
            self._show(ref, {})
            return None
        now = self._monotonic()
        if now >= self._due.get(ref, now):
            self._due[ref] = now + self._interval
            await self._read(ref, found)
        return timedelta(seconds=max(0.0, self._due[ref] - now))

    async def _read(self, ref: Ref, found: Object) -> None:
        identity = KeyIssuerIdentity.model_validate({"kind": ref[0], "name": ref[2], "uid": found["metadata"]["uid"]})
        try:
            report = await (await self._directory.client(identity, ref[1], ending=True)).usage()
        except (Retryable, Terminal, Ambiguous) as error:
            self._directory.failed(identity, ref[1], error)
            _log.warning("the usage report cannot be read: %s", error, extra=log_fields(ref))
            return
        names = self._workspaces(ref, identity.uid)
        amounts: dict[tuple[str, ...], float] = defaultdict(float)
        for used in report:
            if (name := names.get(used.workspace_id.lower())) is not None:
                amounts[ref[0], ref[1] or "", ref[2], name, used.category, used.measure] += used.amount
        self._show(ref, amounts)

    def _workspaces(self, ref: Ref, uid: str) -> dict[str, str]:
        """Where this issuer's ApiKeys have their keys: names by id."""
        statuses = [seen.get("status") or {} for seen in self._cluster.dependents(*ref)]
        places = [s["workspace"] for s in statuses if s.get("workspace") and (s.get("issuer") or {}).get("uid") == uid]
        return {place["id"].lower(): place.get("name") or place["id"] for place in places}

    def _show(self, ref: Ref, amounts: Mapping[tuple[str, ...], float]) -> None:
        for labels, amount in amounts.items():
            self._metrics.usage.labels(*labels).set(amount)
        for labels in self._shown.pop(ref, set()) - amounts.keys():
            with suppress(KeyError):
                self._metrics.usage.remove(*labels)
        if amounts:
            self._shown[ref] = set(amounts)
