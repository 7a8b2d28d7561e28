"""ApiKeys, values and namespaces on the real apiserver, under exactly the rights that manifests/ give the operator."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

import pytest
from tests.adapters.kube_builders import NOW, an_api_key
from tests.adapters.kube_secrecy import MERGE, a_key

from keywright.adapters.kube_objects import KubeCluster
from keywright.api.apikey import FINALIZER, KeyIssuerIdentity
from keywright.api.base import ConfigMapKeyRef, SecretKeyRef
from keywright.errors import Conflict, Rejected, Unauthorized, Unavailable
from keywright.keys import ResourceKey, SecretValue
from keywright.ports.cluster import EventNote

if TYPE_CHECKING:
    from tests.conftest import Plane


pytestmark = [pytest.mark.plane, pytest.mark.usefixtures("no_plaintext_in_logs")]


@pytest.fixture
def cluster(api):
    """A cluster that has seen nothing yet."""
    return KubeCluster(api, lambda: NOW)


@pytest.fixture
def applied(plane: Plane, namespace: str):
    """Apply an ApiKey as a user; returns what the apiserver made of it."""

    def make(name: str = "search", **metadata: Any) -> dict[str, Any]:
        body = an_api_key(namespace, name)
        body["metadata"] |= metadata
        return plane.call("POST", f"/apis/keywright.dev/v1alpha1/namespaces/{namespace}/apikeys", body)

    return make


async def test_a_status_is_written_whole_and_guarded(cluster, applied, plane, namespace):
    """What was removed is gone; what was decided for an older version is a Conflict and changes nothing."""
    seen = applied()
    cluster.seen("ApiKey", "ADDED", seen)
    first = await cluster.patch_status(seen, {"keyId": "one", "revision": 1, "attempt": None})
    assert first["status"] == {"keyId": "one", "revision": 1}
    assert cluster.api_key(ResourceKey(namespace, "search"))["status"] == first["status"]
    assert await cluster.patch_status(first, first["status"]) is first, "no difference is no write"
    second = await cluster.patch_status(first, {"revision": 2})
    assert second["status"] == {"revision": 2}
    with pytest.raises(Conflict):
        await cluster.patch_status(first, {"keyId": "late"})
    fresh = await cluster.refresh(ResourceKey(namespace, "search"))
    assert fresh["status"] == {"revision": 2}


async def test_a_field_that_the_installed_crd_drops_is_noticed(cluster, applied):
    """An older CRD prunes what it does not know: said, instead of written again for ever."""
    seen = applied()
    with pytest.raises(
        Rejected, match=r"older than this operator and dropped status\.invented: run kubectl apply"
    ) as caught:
        await cluster.patch_status(seen, {"keyId": "one", "invented": {"a": 1}})
    assert caught.value.reason == "InvalidSpec"


async def test_the_finalizer_goes_on_and_off_guarded(cluster, applied, plane, namespace):
    """Others' finalizers stay; a stale view is a Conflict; an object that is gone counts as done."""
    seen = applied(finalizers=["example.com/theirs"])
    on = await cluster.add_finalizer(seen)
    assert on["metadata"]["finalizers"] == ["example.com/theirs", FINALIZER]
    assert await cluster.add_finalizer(on) is on
    with pytest.raises(Conflict):
        await cluster.add_finalizer(seen)
    at = f"/apis/keywright.dev/v1alpha1/namespaces/{namespace}/apikeys/search"
    plane.call("DELETE", at)
    deleted = await cluster.refresh(ResourceKey(namespace, "search"))
    with pytest.raises(Conflict):
        await cluster.remove_finalizer(on)
    await cluster.remove_finalizer(deleted)
    left = plane.call("GET", at)
    assert left["metadata"]["finalizers"] == ["example.com/theirs"]
    plane.call("PATCH", at, {"metadata": {"finalizers": None}}, content_type=MERGE)
    await cluster.remove_finalizer(deleted)
    assert cluster.api_key(ResourceKey(namespace, "search")) is None
    assert await cluster.refresh(ResourceKey(namespace, "search")) is None
    with pytest.raises(Conflict):
        await cluster.patch_status(deleted, {"keyId": "late"})


async def test_an_apikey_made_again_is_another_one(cluster, applied, plane, namespace):
    """What was decided for the first is refused for the second, and late news of the first are none."""
    first = await cluster.add_finalizer(applied())
    at = f"/apis/keywright.dev/v1alpha1/namespaces/{namespace}/apikeys/search"
    plane.call("PATCH", at, {"metadata": {"finalizers": None}}, content_type=MERGE)
    plane.call("DELETE", at)
    second = applied()
    with pytest.raises(Conflict):
        await cluster.patch_status(first, {"keyId": "late"})
    assert cluster.seen("ApiKey", "ADDED", second)
    assert not cluster.seen("ApiKey", "DELETED", first)
    assert not cluster.seen("ApiKey", "MODIFIED", first)
    assert cluster.api_key(ResourceKey(namespace, "search"))["metadata"]["uid"] == second["metadata"]["uid"]


async def test_a_list_tells_of_absence_and_the_index_follows(api, applied, plane, namespace):
    """After a gap in the watch, what was deleted is gone from every question."""
    cluster = KubeCluster(api, lambda: NOW, [namespace])
    applied("one")
    applied("two")
    assert sorted(key.name for key in await cluster.sync()) == ["one", "two"]
    issuer = KeyIssuerIdentity(kind="KeyIssuer", name="mistral", uid="u")
    assert cluster.count_users(issuer, namespace, namespace) == 2
    assert len(list(cluster.claimants(namespace, "search-key"))) == 2
    plane.call("DELETE", f"/apis/keywright.dev/v1alpha1/namespaces/{namespace}/apikeys/one")
    assert [key.name for key in await cluster.sync()] == ["one"]
    assert [key.name for key in cluster.users_of(issuer, namespace)] == ["two"]
    assert await cluster.sync() == []


async def test_events_are_written_once_by_all_replicas(api, applied, plane, namespace):
    """The same words of two operators are one event about the very object."""
    seen = applied()
    for _ in range(2):
        cluster = KubeCluster(api, lambda: NOW)
        for _ in range(2):
            cluster.note(EventNote(seen, "Warning", "TargetForeign", "the target is somebody else's"))
        await cluster.drain(60)
    listed = plane.call("GET", f"/api/v1/namespaces/{namespace}/events")["items"]
    [event] = [one for one in listed if one["involvedObject"]["uid"] == seen["metadata"]["uid"]]
    assert (event["type"], event["reason"]) == ("Warning", "TargetForeign")
    assert "the target is somebody else's" in plane.kubectl("describe", "apikey", "search", "-n", namespace)


async def test_values_are_read_by_name(cluster, secrets_of, plane, namespace):
    """A Secret's or ConfigMap's data key less the blanks around it; missing, empty and unreadable ones are told apart."""
    admin_key = a_key()
    data = {"key": base64.b64encode(f" {admin_key}\n".encode()).decode(), "empty": "", "binary": "/w=="}
    secrets_of("POST", "", {"metadata": {"name": "admin"}, "data": data})
    plane.call(
        "POST",
        f"/api/v1/namespaces/{namespace}/configmaps",
        {"metadata": {"name": "ca"}, "data": {"ca.crt": "PEM"}, "binaryData": {"other": "UEVN"}},
    )

    async def read(kind, name, key):
        ref = (SecretKeyRef if kind == "Secret" else ConfigMapKeyRef)(name=name, key=key)
        return await cluster.read_value(kind, namespace, ref)

    assert await read("Secret", "admin", "key") == SecretValue(admin_key)
    assert await read("Secret", "admin", "empty") is None
    assert await read("Secret", "admin", "missing") is None
    assert await read("Secret", "missing", "key") is None
    assert await read("ConfigMap", "ca", "ca.crt") == await read("ConfigMap", "ca", "other") == SecretValue("PEM")
    with pytest.raises(Rejected, match="holds bytes that are no UTF-8 text"):
        await read("Secret", "admin", "binary")


async def test_labels_of_a_namespace_are_asked_for_once_a_minute(cluster, plane, namespace):
    """However many ask at once; a namespace that is not there is Unavailable, and asked for anew."""
    plane.call("PATCH", f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": {"team": "a"}}}, content_type=MERGE)
    found = await asyncio.gather(*(cluster.namespace_labels(namespace) for _ in range(20)))
    assert all(labels["team"] == "a" for labels in found)
    plane.call("PATCH", f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": {"team": "b"}}}, content_type=MERGE)
    assert (await cluster.namespace_labels(namespace))["team"] == "a"
    for _ in range(2):
        with pytest.raises(Unavailable):
            await cluster.namespace_labels("nowhere")


async def test_a_right_that_is_missing_is_named(api, namespace):
    """What manifests/ do not grant is refused with verb and resource."""
    with pytest.raises(Unauthorized, match=r'cannot patch resource "namespaces" in API group ""'):
        await api.request("PATCH", f"/api/v1/namespaces/{namespace}", body={}, content_type=MERGE)


async def test_a_namespace_on_its_way_out_is_known_as_such(cluster, plane):
    """While something holds it, and once it is gone."""
    with plane.a_namespace() as namespace:
        at = f"/api/v1/namespaces/{namespace}"
        keep = {"metadata": {"name": "keep", "finalizers": ["example.com/keep"]}}
        plane.call("POST", f"{at}/configmaps", keep)
        assert await cluster.is_ending(namespace) is False
        plane.call("DELETE", at)
        assert await cluster.is_ending(namespace) is True
        plane.call("PATCH", f"{at}/configmaps/keep", {"metadata": {"finalizers": None}}, content_type=MERGE)
    assert await cluster.is_ending("never-made") is True
