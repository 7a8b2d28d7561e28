"""Every series, declared once; docs/metrics.md tells of each.

Most are counted as things happen. Those of FLEET tell how ApiKeys and issuers stand: they are computed when somebody asks, by
reconcile/fleet.py, so that nothing is done for a key that nothing happens to.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from keywright import __version__
from keywright.api.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client.metrics import MetricWrapperBase

__all__ = ["FLEET", "Declared", "Metrics"]

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_OBJECT: Final = ("kind", "namespace", "name")
"""Labels of an issuer's or a store's series; namespace is empty for a cluster's."""
_ISSUE_REASONS: Final = (
    Reason.NOT_ISSUED,
    Reason.TARGET_MISSING,
    Reason.TARGET_DRIFTED,
    Reason.KEY_GONE,
    Reason.SPEC_CHANGED,
    Reason.TRIGGERED,
    Reason.COMPROMISED,
    Reason.SCHEDULED,
    Reason.RENEWAL_DUE,
    Reason.EXPIRED,
)
_REVOKE_REASONS: Final = (
    Reason.REVOKED,
    Reason.DELETING,
    Reason.GRANT_LOST,
    Reason.ATTEMPT_LOST,
    Reason.LATE_KEY_REVOKED,
)
_CLOSE_REASONS: Final = (Reason.ATTEMPT_LOST, Reason.ISSUE_FAILED, Reason.DELIVERY_FAILED, Reason.KEY_CHECK_FAILED)
_ERRORS: Final = ("Ambiguous", "Conflict", "RateLimited", "Rejected", "Unauthorized", "Unavailable")

# When each counter began: as many series again, and nobody asks.
disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Declared:
    """A series of the fleet: what it is called, what it tells, and by what."""

    name: str
    tells: str
    labels: tuple[str, ...] = ()
    type: Literal["gauge", "histogram"] = "gauge"


FLEET: Final = {
    declared.name: declared
    for declared in (
        Declared("keywright_apikeys", "ApiKeys, by what their condition Ready says.", ("ready",)),
        Declared("keywright_apikeys_stalled", "ApiKeys that wait for a person, by the reason of Stalled.", ("reason",)),
        Declared(
            "keywright_keys",
            "Keys by state: current, overlapping, to_be_revoked (their time has come), expired, stray.",
            ("state",),
        ),
        Declared(
            "keywright_old_keys_in_use",
            "Older keys, still alive, that were used after the day on which they were replaced.",
        ),
        Declared(
            "keywright_revocation_overdue_seconds",
            "Age of the revocation backlog: how long ago the oldest key that is to be revoked should have ended.",
        ),
        Declared("keywright_renewals_overdue", "Current keys whose renewal time is over; suspended ones apart."),
        Declared("keywright_renewal_overdue_seconds", "How long ago the oldest overdue renewal was due."),
        Declared(
            "keywright_renewal_window_used_ratio",
            "Of the time from a key's renewal time to its end, how much is over: the most of all overdue ones; 1 and more: expired.",
        ),
        Declared(
            "keywright_key_time_to_expiry_seconds",
            "How long current keys still work, as of now: a distribution, not counted up. Those that never expire apart.",
            type="histogram",
        ),
        Declared(
            "keywright_apikey_expiry_timestamp_seconds",
            "When an ApiKey's current key expires, in seconds since 1970: of those that end first, at most --metrics-apikeys.",
            ("namespace", "name"),
        ),
        Declared("keywright_issuer_ready", "1 where an issuer can be used, 0 where not or not known yet.", _OBJECT),
        Declared("keywright_store_ready", "1 where a store can be used, 0 where not or not known yet.", _OBJECT),
    )
}
"""What is computed when it is asked for, in the order in which it is shown."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """The operator's series in one registry."""

    registry: CollectorRegistry
    issued: Counter
    adopted: Counter
    revoked: Counter
    delivered: Counter
    attempts_closed: Counter
    failures: Counter
    restarted: Counter
    irrevocable: Gauge
    reconcile_seconds: Histogram
    reconcile_errors: Counter
    queue_depth: Gauge
    queue_overdue_seconds: Gauge
    issuer_request_seconds: Histogram
    vault_request_seconds: Histogram
    leader: Gauge
    stray_keys: Gauge
    last_pass: Gauge
    usage: Gauge
    readings: dict[str, Callable[[], None]] = field(default_factory=dict)
    """What is read in the event loop each time that somebody asks, by what it is about."""
    scraping: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def scrape(self) -> bytes:
        """All series as text, one scrape at a time. What belongs to the event loop is read in it, the rest is done in a thread."""
        async with self.scraping:
            for read in self.readings.values():
                read()
            return await asyncio.to_thread(generate_latest, self.registry)

    @classmethod
    def create(cls) -> Metrics:
        """All series in a registry of their own: two operators in one process do not share them.

        Those whose labels are known exist at 0 from the start: a rate needs the value before the first event.
        """
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        build = Gauge("keywright_build_info", "1, with the version that runs.", ["version"], registry=registry)
        build.labels(__version__).set(1)
        metrics = cls(
            registry=registry,
            issued=Counter(
                "keywright_keys_issued_total",
                "Keys issued and delivered, by reason: NotIssued is a first key, all others replace one.",
                ["reason"],
                registry=registry,
            ),
            adopted=Counter(
                "keywright_keys_adopted_total", "Delivered keys taken over without issuing.", registry=registry
            ),
            revoked=Counter("keywright_keys_revoked_total", "Keys revoked, by reason.", ["reason"], registry=registry),
            delivered=Counter(
                "keywright_deliveries_total",
                "Keys written into a target, by its kind; the same key laid out anew counts as well.",
                ["target"],
                registry=registry,
            ),
            attempts_closed=Counter(
                "keywright_attempts_closed_total",
                "Attempts that ended without a delivery, by reason; AttemptLost: they were interrupted.",
                ["reason"],
                registry=registry,
            ),
            failures=Counter(
                "keywright_step_failures_total",
                "Steps that were refused or got no answer, by step and reason.",
                ["step", "reason"],
                registry=registry,
            ),
            restarted=Counter(
                "keywright_workloads_restarted_total",
                "Workloads of rotation.restart that were restarted for a new key.",
                registry=registry,
            ),
            irrevocable=Gauge(
                "keywright_irrevocable_keys",
                "Keys that are to end and cannot be revoked or looked for: the credentials of their issuer are gone.",
                registry=registry,
            ),
            reconcile_seconds=Histogram(
                "keywright_reconcile_duration_seconds",
                "How long one pass over one name of a queue took; a pass over an issuer waits between its pages.",
                ["queue"],
                buckets=_SECONDS,
                registry=registry,
            ),
            reconcile_errors=Counter(
                "keywright_reconcile_errors_total",
                "Passes that ended with an error and are repeated, by error.",
                ["error"],
                registry=registry,
            ),
            queue_depth=Gauge("keywright_queue_depth", "Names in a queue that are due.", ["queue"], registry=registry),
            queue_overdue_seconds=Gauge(
                "keywright_queue_overdue_seconds",
                "How long the oldest due name of a queue has waited.",
                ["queue"],
                registry=registry,
            ),
            issuer_request_seconds=Histogram(
                "keywright_issuer_request_duration_seconds",
                "Requests to issuers, by operation and status code (or error).",
                ["operation", "code"],
                buckets=_SECONDS,
                registry=registry,
            ),
            vault_request_seconds=Histogram(
                "keywright_vault_request_duration_seconds",
                "Requests to Vault, by operation and status code (or error).",
                ["operation", "code"],
                buckets=_SECONDS,
                registry=registry,
            ),
            leader=Gauge("keywright_leader", "1 where this process works, 0 where it stands by.", registry=registry),
            stray_keys=Gauge(
                "keywright_stray_keys",
                "Live keys with this cluster's tag that nothing written down names, by issuer.",
                _OBJECT,
                registry=registry,
            ),
            last_pass=Gauge(
                "keywright_inventory_last_pass_timestamp_seconds",
                "When all keys of an issuer were last listed, in seconds since 1970.",
                _OBJECT,
                registry=registry,
            ),
            usage=Gauge(
                "keywright_workspace_usage",
                "What a workspace has used this month (UTC), as its issuer reports it, all models together; with --usage-interval.",
                [*_OBJECT, "workspace", "category", "measure"],
                registry=registry,
            ),
        )
        _begin(metrics.issued, _ISSUE_REASONS)
        _begin(metrics.revoked, _REVOKE_REASONS)
        _begin(metrics.attempts_closed, _CLOSE_REASONS)
        _begin(metrics.delivered, ("Secret", "Vault"))
        _begin(metrics.reconcile_errors, _ERRORS)
        return metrics


def _begin(series: MetricWrapperBase, values: Iterable[str]) -> None:
    for value in values:
        series.labels(value)
