"""Every series, declared once. Those without labels exist at 0 from the start, the others from their first count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["Metrics"]

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ISSUER: Final = ("kind", "namespace", "name")
"""Labels of an issuer's series; namespace is empty for a ClusterKeyIssuer."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """The operator's series in one registry."""

    registry: CollectorRegistry
    issued: Counter
    adopted: Counter
    revoked: Counter
    restarted: Counter
    irrevocable: Gauge
    old_keys_in_use: Gauge
    attempts_closed: Counter
    reconcile_seconds: Histogram
    reconcile_errors: Counter
    queue_depth: Gauge
    queue_overdue_seconds: Gauge
    issuer_request_seconds: Histogram
    leader: Gauge
    stray_keys: Gauge
    last_pass: Gauge

    @classmethod
    def create(cls) -> Metrics:
        """All series in a registry of their own: two operators in one process do not share them."""
        registry = CollectorRegistry()
        return cls(
            registry=registry,
            issued=Counter(
                "keywright_keys_issued_total", "Keys issued and delivered, by reason.", ["reason"], registry=registry
            ),
            adopted=Counter(
                "keywright_keys_adopted_total", "Delivered keys taken over without issuing.", registry=registry
            ),
            revoked=Counter("keywright_keys_revoked_total", "Keys revoked.", registry=registry),
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
            old_keys_in_use=Gauge(
                "keywright_old_keys_in_use",
                "Older keys, still alive, that were used after the day on which they were replaced.",
                registry=registry,
            ),
            attempts_closed=Counter(
                "keywright_attempts_closed_total",
                "Attempts that ended without a delivery, by reason.",
                ["reason"],
                registry=registry,
            ),
            reconcile_seconds=Histogram(
                "keywright_reconcile_duration_seconds",
                "How long one pass over one ApiKey took.",
                buckets=_SECONDS,
                registry=registry,
            ),
            reconcile_errors=Counter(
                "keywright_reconcile_errors_total",
                "Passes that ended with an error and are repeated, by error.",
                ["error"],
                registry=registry,
            ),
            queue_depth=Gauge("keywright_queue_depth", "Names in the queue that are due.", registry=registry),
            queue_overdue_seconds=Gauge(
                "keywright_queue_overdue_seconds", "How long the oldest due name has waited.", registry=registry
            ),
            issuer_request_seconds=Histogram(
                "keywright_issuer_request_duration_seconds",
                "Requests to issuers, by operation and status code (or error).",
                ["operation", "code"],
                buckets=_SECONDS,
                registry=registry,
            ),
            leader=Gauge("keywright_leader", "1 where this process works, 0 where it stands by.", registry=registry),
            stray_keys=Gauge(
                "keywright_stray_keys",
                "Live keys with this cluster's tag that nothing written down names, by issuer.",
                _ISSUER,
                registry=registry,
            ),
            last_pass=Gauge(
                "keywright_inventory_last_pass_timestamp_seconds",
                "When all keys of an issuer were last listed, in seconds since 1970.",
                _ISSUER,
                registry=registry,
            ),
        )
