"""What every Cluster must do, on a real apiserver or in memory: methods over a `place`, which subclasses give as a fixture.

Each method makes objects of its own in `place.namespace`, so that they may run at the same time over one apiserver.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from keywright.api.apikey import FINALIZER, KeyIssuerIdentity
from keywright.api.base import SecretKeyRef
from keywright.errors import Conflict
from keywright.keys import ResourceKey
from keywright.ports.cluster import IN_USE, Cluster, EventNote, Object

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ClusterContract", "ClusterPlace"]

STATUS: dict[str, Any] = {
    "observedGeneration": 1,
    "revision": 3,
    "keyId": "51124696-1465-404b-821b-28c2622d731f",
    "expiresAt": "2027-02-22T23:59:59Z",
    "handled": {"rotate": "1"},
    "previous": [],
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "reason": "Issued",
            "message": "A sentence.",
            "lastTransitionTime": "2026-11-24T12:00:00Z",
        }
    ],
}


class ClusterPlace(Protocol):
    """A Cluster, a namespace, and the hands of somebody else in it. What these make, the port has seen when they return."""

    port: Cluster
    namespace: str

    async def create(self, kind: str, name: str, spec: Mapping[str, Any]) -> Object:
        """Somebody creates an ApiKey or KeyIssuer."""
        ...

    async def annotate(self, seen: Object, name: str, value: str) -> None:
        """Somebody else edits the object; the port has NOT seen it yet."""
        ...

    async def delete(self, seen: Object) -> Object | None:
        """Somebody deletes the object; returns it as it stands then, None: it is gone."""
        ...

    async def create_secret(self, name: str, data: Mapping[str, str]) -> None:
        """Somebody creates a Secret that is none of keywright's."""
        ...


def a_spec(**names: str) -> dict[str, Any]:
    """Of an ApiKey; `names` of its issuer and its secret."""
    issuer, secret = names.get("issuer", "mistral"), names.get("secret", "mistral-key")
    return {
        "issuerRef": {"kind": "KeyIssuer", "name": issuer},
        "workspace": "w",
        "target": {"secret": {"name": secret}},
    }


def a_name(word: str) -> str:
    """That nothing else has."""
    return f"{word}-{secrets.token_hex(4)}"


def key_of(seen: Object) -> ResourceKey:
    """Namespace and name."""
    return ResourceKey(seen["metadata"]["namespace"], seen["metadata"]["name"])


def keys_of(objects: Any) -> set[ResourceKey]:
    """Of several."""
    return {key_of(obj) for obj in objects}


class ClusterContract:
    """The laws."""

    async def an_api_key(self, place: ClusterPlace, **spec: str) -> Object:
        """A new one."""
        return await place.create("ApiKey", a_name("ak"), a_spec(**spec))

    async def test_what_was_seen_is_known(self, place: ClusterPlace):
        """By name, among all, by its Secret and by its issuer; what was not is None."""
        secret, issuer = a_name("secret"), a_name("issuer")
        key = key_of(await self.an_api_key(place, issuer=issuer, secret=secret))
        identity = KeyIssuerIdentity(kind="KeyIssuer", name=issuer, uid="any")
        known = place.port.api_key(key)
        assert known
        assert known["spec"]["target"]["secret"]["name"] == secret
        assert key in keys_of(place.port.api_keys())
        assert keys_of(place.port.claimants(place.namespace, secret)) == {key}
        assert list(place.port.claimants("another", secret)) == []
        assert set(place.port.users_of(identity, place.namespace)) == {key}
        assert place.port.count_users(identity, place.namespace, place.namespace) == 1
        assert place.port.count_users(identity, place.namespace, "another") == 0
        assert place.port.api_key(ResourceKey(place.namespace, "nobody")) is None

    async def test_an_issuer_has_dependents_while_anything_of_an_api_key_names_it(self, place: ClusterPlace):
        """The wanted issuer, and the makers of keys and attempts, by kind and name: whatever their uid was."""
        wanted, made, tried = a_name("wanted"), a_name("made"), a_name("tried")
        seen = await self.an_api_key(place, issuer=wanted)

        def dependents(name: str, namespace: str | None = None) -> set[ResourceKey]:
            return keys_of(place.port.dependents("KeyIssuer", namespace or place.namespace, name))

        assert dependents(wanted) == {key_of(seen)}
        assert dependents(made) == set()
        identity = {"kind": "KeyIssuer", "name": made, "uid": "of-old"}
        closed = {
            "id": "aaaaaaa1",
            "closedAt": "2026-11-24T12:00:00Z",
            "outcome": "lost",
            "issuer": {"kind": "ClusterKeyIssuer", "name": tried, "uid": "x"},
        }
        stands = await place.port.patch_status(
            seen, {**STATUS, "issuer": {**identity, "name": wanted}, "closedAttempts": [closed]}
        )
        previous = {"keyId": "key-0", "issuer": identity, "revokeAt": "2026-11-24T12:00:00Z"}
        stands = await place.port.patch_status(stands, {**stands["status"], "previous": [previous]})
        for name in (wanted, made):
            assert dependents(name) == {key_of(seen)}
            assert dependents(name, "another") == set()
        assert keys_of(place.port.dependents("ClusterKeyIssuer", None, tried)) == {key_of(seen)}
        await place.port.patch_status(stands, STATUS)
        assert dependents(made) == set()
        assert list(place.port.dependents("ClusterKeyIssuer", None, tried)) == []
        assert dependents(wanted) == {key_of(seen)}

    async def test_a_status_is_written_and_known_at_once(self, place: ClusterPlace):
        """The answer and what is known are what was written, guarded for the next write."""
        seen = await self.an_api_key(place)
        stands = await place.port.patch_status(seen, STATUS)
        assert stands["status"] == STATUS
        assert stands["metadata"]["resourceVersion"] != seen["metadata"]["resourceVersion"]
        assert stands["metadata"]["generation"] == seen["metadata"]["generation"]
        assert place.port.api_key(key_of(seen)) == stands
        again = await place.port.patch_status(stands, {**STATUS, "revision": 4})
        assert again["status"]["revision"] == 4

    async def test_a_status_is_replaced_whole(self, place: ClusterPlace):
        """What the new one lacks is gone, at every depth."""
        stands = await place.port.patch_status(await self.an_api_key(place), STATUS)
        smaller = {"revision": 3, "handled": {"compromised": "x"}, "previous": [], "conditions": []}
        assert (await place.port.patch_status(stands, smaller))["status"] == smaller

    async def test_the_same_status_again_is_no_write(self, place: ClusterPlace):
        """Nothing is sent that changes nothing."""
        stands = await place.port.patch_status(await self.an_api_key(place), STATUS)
        again = await place.port.patch_status(stands, STATUS)
        assert again["metadata"]["resourceVersion"] == stands["metadata"]["resourceVersion"]

    async def test_a_stale_write_conflicts(self, place: ClusterPlace):
        """Somebody wrote in between: nothing of ours is written; read again, it works."""
        seen = await self.an_api_key(place)
        await place.annotate(seen, "by", "somebody")
        with pytest.raises(Conflict):
            await place.port.patch_status(seen, STATUS)
        with pytest.raises(Conflict):
            await place.port.add_finalizer(seen)
        fresh = await place.port.refresh(key_of(seen))
        assert fresh
        assert fresh["metadata"]["annotations"]["by"] == "somebody"
        assert "revision" not in (fresh.get("status") or {})
        assert FINALIZER not in (fresh["metadata"].get("finalizers") or ())
        assert (await place.port.patch_status(fresh, STATUS))["status"] == STATUS

    async def test_an_annotation_is_set_whoever_wrote_meanwhile(self, place: ClusterPlace):
        """A request is no decision: it goes beside what stands there, and is known at once; a rehearsal writes nothing."""
        seen = await self.an_api_key(place)
        await place.annotate(seen, "by", "somebody")
        assert await place.port.annotate(key_of(seen), "keywright.dev/rotate", "1", rehearse=True)
        fresh = await place.port.refresh(key_of(seen))
        assert fresh
        assert fresh["metadata"]["annotations"] == {"by": "somebody"}
        stands = await place.port.annotate(key_of(seen), "keywright.dev/rotate", "1", rehearse=False)
        assert stands
        assert stands["metadata"]["annotations"] == {"by": "somebody", "keywright.dev/rotate": "1"}
        assert stands["metadata"]["generation"] == seen["metadata"]["generation"]
        known = place.port.api_key(key_of(seen))
        assert known
        assert known["metadata"]["annotations"] == stands["metadata"]["annotations"]

    async def test_an_annotation_of_what_is_not_there_is_none(self, place: ClusterPlace):
        """Nothing is created by it, rehearsed or not."""
        nobody = ResourceKey(place.namespace, "nobody")
        assert await place.port.annotate(nobody, "keywright.dev/rotate", "1", rehearse=True) is None
        assert await place.port.annotate(nobody, "keywright.dev/rotate", "1", rehearse=False) is None
        assert await place.port.refresh(nobody) is None

    async def test_a_write_to_what_is_gone_conflicts(self, place: ClusterPlace):
        """And it is known to be gone."""
        seen = await self.an_api_key(place)
        assert await place.delete(seen) is None
        with pytest.raises(Conflict):
            await place.port.patch_status(seen, STATUS)
        assert await place.port.refresh(key_of(seen)) is None
        assert place.port.api_key(key_of(seen)) is None

    async def test_a_write_to_a_namesake_conflicts(self, place: ClusterPlace):
        """Deleted and created again: another object."""
        seen = await self.an_api_key(place)
        await place.delete(seen)
        again = await place.create("ApiKey", seen["metadata"]["name"], seen["spec"])
        with pytest.raises(Conflict):
            await place.port.patch_status(seen, STATUS)
        known = place.port.api_key(key_of(seen))
        assert known
        assert known["metadata"]["uid"] == again["metadata"]["uid"] != seen["metadata"]["uid"]

    async def test_the_finalizer_goes_on_once_and_off(self, place: ClusterPlace):
        """Putting it on twice is one write; taking it off where it is not is none."""
        seen = await self.an_api_key(place)
        held = await place.port.add_finalizer(seen)
        assert held["metadata"]["finalizers"] == [FINALIZER]
        again = await place.port.add_finalizer(held)
        assert again["metadata"]["resourceVersion"] == held["metadata"]["resourceVersion"]
        await place.port.remove_finalizer(held)
        fresh = await place.port.refresh(key_of(seen))
        assert fresh
        assert not fresh["metadata"].get("finalizers")

    async def test_a_deleted_object_waits_for_its_finalizer(self, place: ClusterPlace):
        """Its status can still be written; with the finalizer it goes, and that counts as done twice."""
        held = await place.port.add_finalizer(await self.an_api_key(place))
        deleting = await place.delete(held)
        assert deleting
        assert "deletionTimestamp" in deleting["metadata"]
        assert deleting["metadata"]["generation"] == held["metadata"]["generation"] + 1
        deleting = await place.port.patch_status(deleting, STATUS)
        await place.port.remove_finalizer(deleting)
        assert place.port.api_key(key_of(held)) is None
        assert await place.port.refresh(key_of(held)) is None
        await place.port.remove_finalizer(deleting)

    async def test_a_stale_removal_of_the_finalizer_conflicts(self, place: ClusterPlace):
        """Somebody wrote in between: it stays on."""
        held = await place.port.add_finalizer(await self.an_api_key(place))
        await place.annotate(held, "by", "somebody")
        with pytest.raises(Conflict):
            await place.port.remove_finalizer(held)
        fresh = await place.port.refresh(key_of(held))
        assert fresh
        assert FINALIZER in fresh["metadata"]["finalizers"]
        await place.port.remove_finalizer(fresh)

    async def test_an_issuer_is_known_and_its_status_written(self, place: ClusterPlace):
        """As for ApiKeys."""
        name = a_name("issuer")
        spec = {"mistral": {"user": "dev@example.com", "adminKeySecretRef": {"name": "admin", "key": "key"}}}
        seen = await place.create("KeyIssuer", name, spec)
        known = place.port.issuer("KeyIssuer", place.namespace, name)
        assert known
        assert known["metadata"]["uid"] == seen["metadata"]["uid"]
        assert place.port.issuer("KeyIssuer", place.namespace, "nobody") is None
        await place.port.patch_status(known, {"keys": 3, "strays": 0, "conditions": []})
        written = place.port.issuer("KeyIssuer", place.namespace, name)
        assert written
        assert written["status"]["keys"] == 3

    async def test_an_issuer_has_a_finalizer_of_its_own(self, place: ClusterPlace):
        """On once, guarded; a deleted issuer waits for it."""
        spec = {"mistral": {"user": "dev@example.com", "adminKeySecretRef": {"name": "admin", "key": "key"}}}
        seen = await place.create("KeyIssuer", a_name("issuer"), spec)
        held = await place.port.add_finalizer(seen)
        assert held["metadata"]["finalizers"] == [IN_USE]
        assert place.port.issuer("KeyIssuer", place.namespace, seen["metadata"]["name"]) == held
        assert await place.port.add_finalizer(held) == held
        with pytest.raises(Conflict):
            await place.port.add_finalizer(seen)
        deleting = await place.delete(held)
        assert deleting
        await place.port.remove_finalizer(deleting)
        assert place.port.issuer("KeyIssuer", place.namespace, seen["metadata"]["name"]) is None
        with pytest.raises(Conflict):
            await place.port.add_finalizer(seen)

    async def test_a_value_is_read_by_name(self, place: ClusterPlace):
        """None where the Secret, its data key or the value is not there."""
        name = a_name("admin")
        await place.create_secret(name, {"key": "value-1", "empty": ""})

        async def read(secret: str, key: str) -> str | None:
            value = await place.port.read_value("Secret", place.namespace, SecretKeyRef(name=secret, key=key))
            return value.reveal() if value else None

        assert await read(name, "key") == "value-1"
        assert await read(name, "empty") is None
        assert await read(name, "other") is None
        assert await read("nobody", "key") is None

    async def test_a_namespace_has_labels(self, place: ClusterPlace):
        """A mapping, be it empty."""
        assert dict(await place.port.namespace_labels(place.namespace)) is not None

    async def test_a_namespace_is_not_ending_by_itself(self, place: ClusterPlace):
        """Nobody has asked for its deletion."""
        assert await place.port.is_ending(place.namespace) is False

    async def test_an_event_never_fails(self, place: ClusterPlace):
        """Not even about what is gone."""
        seen = await self.an_api_key(place)
        await place.delete(seen)
        place.port.note(EventNote(about=seen, type="Normal", reason="Issued", message="A sentence."))
