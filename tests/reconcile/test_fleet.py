"""The fleet as metrics: what is counted of ApiKeys, issuers and stores as they stand, and what a walk over many costs the loop."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from keywright.metrics import FLEET, Metrics
from keywright.reconcile.fleet import Fleet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def at(moment: timedelta) -> str:
    """A time of the API."""
    return (NOW + moment).isoformat().replace("+00:00", "Z")


def an_api_key(name: str = "search", *, deleted: timedelta | None = None, **status: Any) -> dict[str, Any]:
    """One that is Ready, as a watch has it; `spec` among the changes replaces its spec."""
    spec = status.pop("spec", {})
    meta = {"namespace": "shop", "name": name} | ({"deletionTimestamp": at(deleted)} if deleted is not None else {})
    conditions = [{"type": "Ready", "status": "True", "reason": "Issued"}]
    return {
        "kind": "ApiKey",
        "metadata": meta,
        "spec": spec,
        "status": {"keyId": f"id-{name}", "conditions": conditions} | status,
    }


def an_object(kind: str, name: str, namespace: str | None, ready: str | None) -> dict[str, Any]:
    """An issuer or a store."""
    conditions = [] if ready is None else [{"type": "Ready", "status": ready}]
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace}, "status": {"conditions": conditions}}


class Read(Fleet):
    """As a scrape has it."""

    def collect(self) -> Iterator[Metric]:
        """Read before."""
        self.read()
        return super().collect()


def seen(
    *api_keys: dict[str, Any],
    issuers: list[dict[str, Any]] | None = None,
    stores: list[dict[str, Any]] | None = None,
    most: int = 10,
) -> CollectorRegistry:
    """A registry over these, read each time that it is asked."""
    fleet = Read(
        api_keys=lambda: api_keys,
        issuers=lambda: issuers or [],
        stores=lambda: stores or [],
        strays=lambda: 3,
        clock=lambda: NOW,
        most_apikeys=most,
    )
    registry = CollectorRegistry()
    registry.register(fleet)
    return registry


def by(registry: CollectorRegistry, name: str, label: str) -> dict[str, float]:
    """Values of a series by one of its labels."""
    return {s.labels[label]: s.value for family in registry.collect() for s in family.samples if s.name == name}


def test_keys_are_counted_by_state():
    """An older key overlaps until its time, and the rollout that it waits for, are over; with its ApiKey all go, but for Retain."""
    overlapping = {"keyId": "a", "revokeAt": at(HOUR)}
    due = {"keyId": "b", "revokeAt": at(-2 * HOUR), "usedOn": "2026-11-24"}
    held = {"keyId": "c", "revokeAt": at(-3 * HOUR), "rolloutsUntil": at(HOUR)}
    registry = seen(
        an_api_key("one", previous=[overlapping, due]),
        an_api_key("two", previous=[held], rollout={"pending": []}),
        an_api_key("old", expiresAt=at(-DAY)),
        an_api_key("going", deleted=-5 * HOUR, previous=[overlapping]),
        an_api_key("kept", deleted=-9 * HOUR, spec={"deletionPolicy": "Retain"}),
        an_api_key("new", keyId=None, conditions=[]),
    )
    keys = by(registry, "keywright_keys", "state")
    assert keys == {"current": 3, "overlapping": 2, "to_be_revoked": 3, "expired": 1, "stray": 3}
    assert registry.get_sample_value("keywright_revocation_overdue_seconds") == 5 * 3600
    assert registry.get_sample_value("keywright_old_keys_in_use") == 1


def test_who_is_ready_and_who_waits_for_a_person():
    """By Ready and by the reason of Stalled; what has no status yet is unknown."""
    stalled = [
        {"type": "Ready", "status": "False", "reason": "NotGranted"},
        {"type": "Stalled", "status": "True", "reason": "NotGranted"},
    ]
    over = [{"type": "Ready", "status": "True"}, {"type": "Stalled", "status": "False", "reason": "NotGranted"}]
    registry = seen(
        an_api_key("one"),
        an_api_key("two", conditions=stalled),
        an_api_key("three", conditions=over),
        {"kind": "ApiKey", "metadata": {"namespace": "shop", "name": "new"}},
    )
    assert by(registry, "keywright_apikeys", "ready") == {"True": 2, "False": 1, "Unknown": 1}
    assert by(registry, "keywright_apikeys_stalled", "reason") == {"NotGranted": 1}


def test_a_renewal_is_overdue_by_its_age_and_by_what_is_left():
    """The one that is worst off; not one that is suspended, being deleted, or not due yet. Without an end only the age tells."""
    late = {"renewalTime": at(-DAY), "expiresAt": at(3 * DAY)}
    registry = seen(
        an_api_key("late", **late),
        an_api_key("scheduled", renewalTime=at(-2 * DAY)),
        an_api_key("in time", renewalTime=at(HOUR), expiresAt=at(DAY)),
        an_api_key("suspended", renewalTime=at(-9 * DAY), expiresAt=at(DAY), spec={"suspend": True}),
        an_api_key("going", deleted=-HOUR, renewalTime=at(-9 * DAY), expiresAt=at(DAY)),
    )
    assert registry.get_sample_value("keywright_renewals_overdue") == 2
    assert registry.get_sample_value("keywright_renewal_overdue_seconds") == 2 * 86_400
    assert registry.get_sample_value("keywright_renewal_window_used_ratio") == 0.25
    nothing = seen(an_api_key(renewalTime=at(HOUR), expiresAt=at(DAY)))
    for name in (
        "renewals_overdue",
        "renewal_overdue_seconds",
        "renewal_window_used_ratio",
        "revocation_overdue_seconds",
    ):
        assert nothing.get_sample_value(f"keywright_{name}") == 0


def test_time_to_expiry_is_a_distribution_and_a_series_for_those_that_end_first():
    """An expired key counts as such, one without an end nowhere; a series of their own have no more than were asked for."""
    api_keys = [an_api_key(f"k{days}", expiresAt=at(days * DAY)) for days in (400, 20, -1, 5, 1)]
    registry = seen(*api_keys, an_api_key("for ever"), most=2)
    buckets = by(registry, "keywright_key_time_to_expiry_seconds_bucket", "le")
    assert [buckets[le] for le in ("0.0", "3600.0", "86400.0", "604800.0", "31536000.0", "+Inf")] == [1, 1, 2, 3, 4, 5]
    assert registry.get_sample_value("keywright_key_time_to_expiry_seconds_count") == 5
    each = by(registry, "keywright_apikey_expiry_timestamp_seconds", "name")
    assert each == {"k-1": (NOW - DAY).timestamp(), "k1": (NOW + DAY).timestamp()}
    assert by(seen(*api_keys, most=0), "keywright_apikey_expiry_timestamp_seconds", "name") == {}


def test_issuers_and_stores_are_ready_or_not():
    """Not yet looked at is not ready; a cluster's has an empty namespace."""
    registry = seen(
        issuers=[an_object("KeyIssuer", "a", "shop", "True"), an_object("ClusterKeyIssuer", "b", None, "False")],
        stores=[an_object("VaultStore", "c", "shop", None)],
    )
    label = {"kind": "KeyIssuer", "namespace": "shop", "name": "a"}
    assert registry.get_sample_value("keywright_issuer_ready", label) == 1
    label = {"kind": "ClusterKeyIssuer", "namespace": "", "name": "b"}
    assert registry.get_sample_value("keywright_issuer_ready", label) == 0
    assert by(registry, "keywright_store_ready", "name") == {"c": 0}


@pytest.mark.parametrize("value", ["", "soon", "2026-13-45T00:00:00Z", 17, None, "9999-12-31T23:59:59Z"])
def test_a_status_that_somebody_spoilt_ends_no_scrape(value: object):
    """Whatever stands where a time should be, the others are told of."""
    times = {"expiresAt": value, "renewalTime": value, "previous": [{"revokeAt": value}, {}]}
    registry = seen(an_api_key("spoilt", **times), an_api_key("well", expiresAt=at(DAY)))
    assert by(registry, "keywright_apikeys", "ready")["True"] == 2


def test_what_is_told_is_what_is_declared():
    """Each series of the fleet, in its order, with its type and labels; and nothing of what was not read."""
    registry = seen(an_api_key(expiresAt=at(DAY)), issuers=[an_object("KeyIssuer", "a", "b", "True")])
    told = list(registry.collect())
    assert [(family.name, family.type) for family in told] == [(one.name, one.type) for one in FLEET.values()]
    for family in told:
        for sample in family.samples:
            assert sample.labels.keys() - {"le"} == set(FLEET[family.name].labels)
    standing_by = Fleet(api_keys=list, issuers=list, stores=list, strays=lambda: 0, clock=lambda: NOW, most_apikeys=10)
    assert list(standing_by.collect()) == []


async def test_a_scrape_of_a_large_fleet_holds_nobody_up():
    """10,000 ApiKeys: while they are walked over, the event loop goes on; only lists are made in it."""
    times = {"expiresAt": at(DAY), "renewalTime": at(HOUR), "previous": [{"keyId": "x", "revokeAt": at(HOUR)}]}
    many = [an_api_key(f"search-{i}", **times) for i in range(10_000)]
    walking, turned = threading.Event(), threading.Event()

    def clock() -> datetime:
        """Asked for in the midst: the walk goes on once the loop has."""
        walking.set()
        assert turned.wait(60), "the loop waits for the walk"
        return NOW

    metrics = Metrics.create()
    fleet = Fleet(api_keys=lambda: many, issuers=list, stores=list, strays=lambda: 0, clock=clock, most_apikeys=10_000)
    metrics.registry.register(fleet)
    metrics.readings["fleet"] = fleet.read
    scrape = asyncio.create_task(metrics.scrape())
    while not (walking.is_set() or scrape.done()):  # noqa: ASYNC110 -- set in a thread
        await asyncio.sleep(0.001)
    turned.set()
    assert (await scrape).count(b"\nkeywright_apikey_expiry_timestamp_seconds{") == 10_000
