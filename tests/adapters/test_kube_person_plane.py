"""What commands ask of a real apiserver on behalf of a person: the end of an ApiKey, guarded; and looks that change nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.adapters.kube_builders import an_api_key

from keywright.adapters.kube import KubeApi
from keywright.adapters.kube_ending import KubeEnding
from keywright.adapters.kube_inspection import KubeInspection
from keywright.api.base import GROUP
from keywright.errors import Conflict
from keywright.keys import ResourceKey
from keywright.planning.diagnosis.kinds import CRDS
from keywright.planning.diagnosis.rights import Right

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import Plane

pytestmark = pytest.mark.plane
KINDS = f"/apis/{GROUP}/v1alpha1/namespaces"
MERGE = "application/merge-patch+json"


@pytest.fixture
async def api(plane: Plane) -> AsyncIterator[KubeApi]:
    """As the admin."""
    async with await KubeApi.connect(str(plane.kubeconfig)) as one:
        yield one


async def test_an_end_is_guarded_by_what_was_seen(plane: Plane, namespace: str, api: KubeApi):
    """Of two who write, the later is told so; a rehearsal changes nothing; what is gone counts as deleted."""
    made = plane.call("POST", f"{KINDS}/{namespace}/apikeys", an_api_key(namespace))
    name = made["metadata"]["name"]
    path, key, ending = f"{KINDS}/{namespace}/apikeys/{name}", ResourceKey(namespace, name), KubeEnding(api)
    plane.call("PATCH", path, {"spec": {"deletionPolicy": "Retain"}}, content_type=MERGE)
    seen = await ending.seen(key)
    assert seen is not None
    assert (await ending.bind(seen, rehearse=True))["spec"]["deletionPolicy"] == "Revoke"
    await ending.delete(seen, rehearse=True)
    assert await ending.seen(key) == seen

    plane.call("PATCH", path, {"metadata": {"labels": {"somebody": "else"}}}, content_type=MERGE)
    with pytest.raises(Conflict):
        await ending.bind(seen, rehearse=False)
    with pytest.raises(Conflict):
        await ending.delete(seen, rehearse=False)
    seen = await ending.seen(key)
    assert seen is not None
    bound = await ending.bind(seen, rehearse=False)
    with pytest.raises(Conflict):
        await ending.delete(seen, rehearse=False)
    await ending.delete(bound, rehearse=False)
    assert await ending.seen(key) is None
    await ending.delete(bound, rehearse=False)


async def test_what_an_apiserver_tells_whoever_looks(plane: Plane, namespace: str, api: KubeApi):
    """Its version and clock, what it serves, what others may do; and nothing of an issuer that may not be asked."""
    inspection = KubeInspection(api, allow_insecure=False)
    assert (await inspection.hello()).startswith("v1.")
    date = await inspection.date()
    assert date is not None
    assert abs(date - datetime.now(UTC)) < timedelta(minutes=1)
    assert {"apikeys", "keyissuers", "clusterkeyissuers"} <= await inspection.served()
    assert [(await inspection.crd(name) or {})["metadata"]["name"] for name in CRDS] == list(CRDS)
    assert await inspection.crd("absent.keywright.dev") is None
    operator, nobody = "system:serviceaccount:keywright-system:keywright", f"system:serviceaccount:{namespace}:nobody"
    assert await inspection.may(Right("patch", GROUP, "apikeys/status", namespace), operator)
    assert not await inspection.may(Right("delete", GROUP, "apikeys", namespace), operator)
    assert not await inspection.may(Right("list", GROUP, "apikeys", namespace), nobody)
    assert await inspection.may(Right("delete", GROUP, "apikeys", namespace))
    plane.call("POST", f"{KINDS}/{namespace}/apikeys", an_api_key(namespace))
    [seen] = await inspection.objects("ApiKey", namespace)
    assert seen["kind"] == "ApiKey"
    assert not await inspection.is_ending(namespace)
    assert await inspection.is_ending("absent")
    assert await inspection.date_at(plane.server, None) is None, "loopback, and a certificate that nobody trusts"
