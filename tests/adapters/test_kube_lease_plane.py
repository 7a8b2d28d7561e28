"""Leases on the real apiserver: it keeps the laws that the election relies on, and the manifests give the rights to it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.adapters.kube_wire import connected
from tests.ports.lease_contract import LeaseContract

from keywright.adapters.kube import KubeApi
from keywright.adapters.kube_lease import KubeLease, Place, place_of
from keywright.errors import NotLeading, Unauthorized
from keywright.planning.leases import Lease

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Plane

pytestmark = pytest.mark.plane


class TestLeases(LeaseContract):
    """On the apiserver, as the admin."""

    @pytest.fixture
    async def api(self, plane: Plane):
        """A connection."""
        async with await KubeApi.connect(str(plane.kubeconfig)) as one:
            yield one

    @pytest.fixture
    def folder(self, namespace: str):
        """A new namespace's."""
        return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


async def a_lease(plane: Plane, folder: Path, identity: str, place: Place) -> KubeLease:
    """As the operator's own ServiceAccount."""
    return KubeLease(
        await connected(plane, folder),
        place,
        identity=identity,
        duration=15.0,
        clock=time.monotonic,
        now=lambda: datetime.now(UTC),
        sleep=asyncio.sleep,
    )


def as_people_see_it(plane: Plane, place: Place) -> Lease:
    """What `keywright status` makes of it."""
    return Lease.of(
        {"metadata": {"namespace": place.namespace, "name": place.name}, "spec": lease_in(plane, place)},
    )


async def test_the_operators_rights_are_enough_for_its_lease(plane: Plane, tmp_path: Path):
    """Made, renewed, given back and taken by another, in keywright-system, under exactly the rights of manifests/."""
    place = place_of((), "keywright-system")
    first, second = [await a_lease(plane, tmp_path, identity, place) for identity in "ab"]
    try:
        async with asyncio.timeout(120):
            await first.acquire()
            holding = asyncio.create_task(first.hold())
            before = lease_in(plane, place)
            while lease_in(plane, place)["renewTime"] == before["renewTime"]:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
            first.require(1.0)
            assert as_people_see_it(plane, place).is_held(datetime.now(UTC), timedelta(minutes=1))
            holding.cancel()
            await asyncio.wait((holding,))
            await first.release()
            assert not as_people_see_it(plane, place).is_held(datetime.now(UTC))
            with pytest.raises(NotLeading):
                first.require(0)
            await second.acquire()
            second.require(1.0)
            assert lease_in(plane, place)["holderIdentity"] == "b"
            assert lease_in(plane, place)["leaseTransitions"] == before["leaseTransitions"] + 1
            await second.release()
    finally:
        await first.close()
        await second.close()


async def test_no_other_lease_is_the_operators(plane: Plane, tmp_path: Path):
    """Neither by name nor by namespace: those of other programs stay out of reach."""
    async with await connected(plane, tmp_path) as api:
        for path in ("keywright-system/leases/other", "kube-system/leases/keywright"):
            with pytest.raises(Unauthorized):
                await api.request("GET", f"/apis/coordination.k8s.io/v1/namespaces/{path}")


def lease_in(plane: Plane, place: Place) -> dict:
    """Its spec, as the admin reads it."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{place.namespace}/leases/{place.name}"
    return plane.call("GET", path)["spec"]
