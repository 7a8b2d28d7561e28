"""How ApiKeys, issuers and stores stand, as metrics: computed when somebody asks, from what watches have told.

An idle key costs nothing; a scrape walks over all of them once, in a thread beside the event loop. Reads plain objects as the
apiserver gave them, and passes over what it cannot read: a status that somebody spoilt is the reconciler's to tell.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from keywright.metrics import FLEET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from prometheus_client.core import Metric

    from keywright.ports.cluster import Object

__all__ = ["Fleet"]

_DAY: Final = 86_400.0
_BUCKETS: Final = (0.0, 3600.0, 6 * 3600.0, *(days * _DAY for days in (1, 2, 3, 7, 14, 30, 60, 90, 180, 365)))
"""Seconds; what is at or below the first has expired."""
_STATES: Final = ("current", "overlapping", "to_be_revoked", "expired", "stray")
_READY: Final = ("True", "False", "Unknown")


@dataclass(slots=True)
class _Count:
    """What a walk over all ApiKeys has found so far, at `now`."""

    now: float
    ready: Counter[str] = field(default_factory=Counter)
    stalled: Counter[str] = field(default_factory=Counter)
    keys: Counter[str] = field(default_factory=Counter)
    used_late: int = 0
    backlog_since: float | None = None
    """When the oldest key that is to be revoked should have ended."""
    overdue: int = 0
    overdue_since: float | None = None
    window_used: float = 0.0
    ends: list[tuple[float, str, str]] = field(default_factory=list)
    """When each current key expires, with namespace and name."""

    def add(self, seen: Object) -> None:
        meta, status = seen["metadata"], seen.get("status") or {}
        said = {c.get("type"): c for c in status.get("conditions") or ()}
        self.ready[said.get("Ready", {}).get("status", "Unknown")] += 1
        if (stalled := said.get("Stalled")) and stalled.get("status") == "True":
            self.stalled[stalled.get("reason", "")] += 1
        deleted = _seconds(meta.get("deletionTimestamp"))
        spec = seen.get("spec") or {}
        if deleted is not None and spec.get("deletionPolicy") == "Retain":
            deleted = None
        for previous in status.get("previous") or ():
            self.used_late += "usedOn" in previous
            due = _seconds(
                (previous.get("rolloutsUntil") if status.get("rollout") else None) or previous.get("revokeAt")
            )
            self._ending(due if deleted is None else deleted)
        if not status.get("keyId"):
            return
        ends = _seconds(status.get("expiresAt"))
        if ends is not None:
            self.ends.append((ends, meta["namespace"], meta["name"]))
        if ends is not None and ends <= self.now:
            self.keys["expired"] += 1
        elif deleted is not None:
            self._ending(deleted)
        else:
            self.keys["current"] += 1
        renewal = _seconds(status.get("renewalTime"))
        if renewal is not None and renewal < self.now and "deletionTimestamp" not in meta and not spec.get("suspend"):
            self._late(renewal, ends)

    def _ending(self, due: float | None) -> None:
        """A key that is to end at `due`."""
        if due is None or due > self.now:
            self.keys["overlapping"] += 1
        else:
            self.keys["to_be_revoked"] += 1
            self.backlog_since = due if self.backlog_since is None else min(due, self.backlog_since)

    def _late(self, renewal: float, ends: float | None) -> None:
        """A key whose renewal time is over."""
        self.overdue += 1
        self.overdue_since = renewal if self.overdue_since is None else min(renewal, self.overdue_since)
        if ends is not None:
            self.window_used = max(self.window_used, (self.now - renewal) / max(ends - renewal, 1.0))


class Fleet(Collector):
    """A collector over what is known of the cluster. Tells once of what it has read: nothing where it stands by, and reads nothing."""

    def __init__(
        self,
        *,
        api_keys: Callable[[], Iterable[Object]],
        issuers: Callable[[], Iterable[Object]],
        stores: Callable[[], Iterable[Object]],
        strays: Callable[[], int],
        clock: Callable[[], datetime],
        most_apikeys: int,
    ) -> None:
        """`clock` gives aware UTC; `most_apikeys`: how many ApiKeys have a series of their own at most."""
        self._api_keys, self._issuers, self._stores, self._strays = api_keys, issuers, stores, strays
        self._clock = clock
        self._most = most_apikeys
        self._held: tuple[Iterable[Object], list[Object], list[Object], int] | None = None

    def read(self) -> None:
        """Take hold of what is known now; in the event loop, where that does not change meanwhile. No walk, a list of each."""
        self._held = list(self._api_keys()), list(self._issuers()), list(self._stores()), self._strays()

    def collect(self) -> Iterator[Metric]:
        """In any thread: objects are never changed, only replaced. So none is held longer than this takes."""
        held, self._held = self._held, None
        if held is None:
            return
        seen, issuers, stores, strays = held
        count = _Count(self._clock().timestamp())
        for one in seen:
            count.add(one)
        count.keys["stray"] = strays
        yield _by("keywright_apikeys", {word: count.ready[word] for word in _READY})
        yield _by("keywright_apikeys_stalled", count.stalled)
        yield _by("keywright_keys", {state: count.keys[state] for state in _STATES})
        yield _one("keywright_old_keys_in_use", count.used_late)
        yield _one("keywright_revocation_overdue_seconds", _since(count.now, count.backlog_since))
        yield _one("keywright_renewals_overdue", count.overdue)
        yield _one("keywright_renewal_overdue_seconds", _since(count.now, count.overdue_since))
        yield _one("keywright_renewal_window_used_ratio", count.window_used)
        yield _distribution("keywright_key_time_to_expiry_seconds", [ends - count.now for ends, _, _ in count.ends])
        each = _family("keywright_apikey_expiry_timestamp_seconds")
        for ends, namespace, name in heapq.nsmallest(self._most, count.ends):
            each.add_metric((namespace, name), ends)
        yield each
        yield _readiness("keywright_issuer_ready", issuers)
        yield _readiness("keywright_store_ready", stores)


def _family(name: str) -> GaugeMetricFamily:
    declared = FLEET[name]
    return GaugeMetricFamily(name, declared.tells, labels=declared.labels)


def _one(name: str, value: float) -> GaugeMetricFamily:
    family = _family(name)
    family.add_metric((), value)
    return family


def _by(name: str, values: dict[str, int]) -> GaugeMetricFamily:
    family = _family(name)
    for label, value in values.items():
        family.add_metric((label,), value)
    return family


def _readiness(name: str, objects: Sequence[Object]) -> GaugeMetricFamily:
    family = _family(name)
    for seen in objects:
        conditions = (seen.get("status") or {}).get("conditions") or ()
        ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
        meta = seen["metadata"]
        family.add_metric((seen["kind"], meta.get("namespace") or "", meta["name"]), float(ready))
    return family


def _distribution(name: str, values: list[float]) -> HistogramMetricFamily:
    within = [0] * (len(_BUCKETS) + 1)
    for value in values:
        within[bisect_left(_BUCKETS, value)] += 1
    total, buckets = 0, []
    for bound, count in zip((*map(str, _BUCKETS), "+Inf"), within, strict=True):
        total += count
        buckets.append((bound, float(total)))
    family = HistogramMetricFamily(name, FLEET[name].tells)
    family.add_metric((), buckets=buckets, sum_value=sum(values))
    return family


def _since(now: float, then: float | None) -> float:
    return 0.0 if then is None else max(0.0, now - then)


def _seconds(text: Any) -> float | None:
    """A time of the API in seconds since 1970; None for anything else."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
