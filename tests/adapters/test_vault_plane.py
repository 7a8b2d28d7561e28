"""The Vault sink on a real Vault: the port's laws, what people do to paths, and paths that would climb."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from tests.adapters.kube_wire import connected
from tests.adapters.test_vault_paths import HOSTILE
from tests.adapters.vault_place import NAMESPACE, RealVault, a_place
from tests.e2e.vault_team import allow_tokens
from tests.planning.builders import CLUSTER
from tests.ports.sink_contract import SinkContract
from tests.running import wait_for
from tests.vaults import Vault, vault_of

from keywright.adapters.kube_objects import KubeCluster
from keywright.adapters.vault_sink import VaultSink
from keywright.errors import Conflict, Rejected
from keywright.keys import KeyId
from keywright.planning.layout import layout_digest_of
from keywright.planning.observed import Absent, Foreign, Present, TargetLayout
from keywright.ports.lease import Unshared

if TYPE_CHECKING:
    from tests.conftest import Plane


pytestmark = pytest.mark.plane


@pytest.fixture(scope="session")
def vault(plane: Plane) -> Vault:
    """The Vault beside the plane."""
    return vault_of(plane)


class OnVault(SinkContract):
    """Delivers into paths. Vault has no annotation that gives a path away, and no field managers that tell who wrote."""

    test_what_is_given_away_is_told = None
    test_an_adopted_secret_keeps_what_others_put_there = None
    test_nothing_goes_over_what_is_not_given_away = None
    test_a_fence_takes_over_what_is_given_away = None
    test_a_read_tells_who_changed_the_data = None

    def a_layout(self, place: Any, **changes: Any) -> TargetLayout:
        """Of a path that does not exist yet."""
        name = f"VaultStore/vault/sink/{secrets.token_hex(4)}"
        return replace(TargetLayout(place.namespace, name, "api-key", None, {}, {}, ""), **changes)


class TestVaultSink(OnVault):
    """The port's laws, and what is Vault's own."""

    @pytest.fixture
    async def place(self, vault: Vault):
        """A mount for each."""
        place = a_place(vault)
        yield place
        place.stores.close()

    async def test_people_see_whose_it_is(self, place: RealVault):
        """Key id, attempt, revision and end stand in fields of the same version, and the custom metadata names ApiKey and cluster."""
        delivery, _ = await self.delivered(place)
        path = place.path(delivery.layout.name)
        data, metadata = place.vault.data(path, place.mount), place.vault.metadata(path, place.mount)
        assert data["keywright.dev/key-id"] == delivery.record.key_id
        assert data["keywright.dev/attempt"] == delivery.record.attempt
        assert data["keywright.dev/revision"] == "1"
        assert data["keywright.dev/expires-on"] == str(delivery.record.expires_on)
        assert metadata["custom_metadata"] == {
            "keywright.dev/apikey": f"{NAMESPACE}/mistral",
            "keywright.dev/apikey-uid": place.owner_uid,
            "keywright.dev/cluster": CLUSTER,
        }
        assert delivery.plaintext.reveal() not in json.dumps(metadata)

    async def test_with_merge_other_peoples_fields_stay(self, place: RealVault):
        """Through delivery, rotation and our going; without merge the path is refused."""
        layout = self.a_layout(place)
        path = place.path(layout.name)
        place.vault.put(path, {"password": "theirs", "nested": {"a": 1}}, place.mount)
        place.vault.call(
            "POST", f"{place.mount}/metadata/{path}", {"custom_metadata": {"team": "x"}, "max_versions": 7}
        )
        with pytest.raises(Conflict):
            await place.port.deliver(self.a_delivery(place, layout), None)
        assert isinstance(await place.port.read(place.namespace, layout.name), Foreign)
        merging = replace(layout, merge=True)
        await place.port.rehearse(merging, self.an_owner(place), None)
        first = await place.port.deliver(self.a_delivery(place, merging), None)
        place.vault.patch(path, {"password": "changed"}, place.mount)
        assert await place.port.moved(place.namespace, layout.name) is True
        state = await self.read(place, layout)
        assert (state.record, state.digest) == (first.record, first.digest)
        second = self.a_delivery(place, merging)
        after = await place.port.deliver(second, state.version)
        theirs = {"password": "changed", "nested": {"a": 1}}
        assert await place.texts(layout.name) == {**theirs, "api-key": second.plaintext.reveal()}
        await place.port.clean(place.namespace, layout.name, after.version, adopted=False)
        assert place.vault.data(path, place.mount) == theirs
        metadata = place.vault.metadata(path, place.mount)
        assert (metadata["custom_metadata"], metadata["max_versions"]) == ({"team": "x"}, 7)
        for number in metadata["versions"]:
            _, old = place.vault.ask("GET", f"{place.mount}/data/{path}?version={number}")
            assert second.plaintext.reveal() not in json.dumps(old)

    async def test_a_field_of_somebody_elses_is_not_written_over(self, place: RealVault):
        """With merge, and the same name: refused, and said."""
        layout = self.a_layout(place, merge=True)
        place.vault.put(place.path(layout.name), {"api-key": "theirs"}, place.mount)
        for act in (
            place.port.rehearse(layout, self.an_owner(place), None),
            place.port.deliver(self.a_delivery(place, layout), None),
        ):
            with pytest.raises(Rejected, match="already has the field api-key"):
                await act

    async def test_older_versions_of_a_dead_key_are_destroyed(self, place: RealVault):
        """Also those that a fence or a new layout made of it; the current one, and those of living keys, stay readable."""
        first, present = await self.delivered(place)
        layout, path = first.layout, place.path(first.layout.name)
        present = await place.port.fence(layout, first.owner, "aaaaaaa1", present.version)
        present = await place.port.rewrite(replace(layout, key="other"), first.owner, first.record, present.version)
        second = self.a_delivery(place, layout)
        present = await place.port.deliver(second, present.version)
        third = self.a_delivery(place, layout)
        await place.port.deliver(third, present.version)
        await place.port.prune(place.namespace, layout.name, first.record.key_id)
        await place.port.prune(place.namespace, layout.name, first.record.key_id)
        versions = place.vault.metadata(path, place.mount)["versions"]
        assert [versions[n]["destroyed"] for n in sorted(versions)] == [True, True, True, False, False]
        assert await place.texts(layout.name) == {"api-key": third.plaintext.reveal()}
        await place.port.prune(place.namespace, layout.name, KeyId(str(third.record.key_id)))
        assert await place.texts(layout.name) == {"api-key": third.plaintext.reveal()}, "what stands there stays"

    async def test_kept_versions_stay(self, vault: Vault):
        """keepVersions: nothing is destroyed."""
        place = a_place(vault, keepVersions=True)
        first, present = await self.delivered(place)
        await place.port.deliver(self.a_delivery(place, first.layout), present.version)
        await place.port.prune(place.namespace, first.layout.name, first.record.key_id)
        versions = vault.metadata(place.path(first.layout.name), place.mount)["versions"]
        assert not any(version["destroyed"] for version in versions.values())
        place.stores.close()

    @pytest.mark.parametrize("what", ["deleted", "destroyed", "overwritten", "restored"])
    async def test_what_people_do_is_seen_by_metadata_alone(self, place: RealVault, what: str):
        """A look at the version tells; what is read then is ours and not what was delivered, so that it is written over once."""
        delivery, present = await self.delivered(place)
        layout, path = delivery.layout, place.path(delivery.layout.name)
        assert await place.port.moved(place.namespace, layout.name) is False
        if what == "deleted":
            place.vault.call("DELETE", f"{place.mount}/data/{path}")
        elif what == "destroyed":
            place.vault.call("PUT", f"{place.mount}/destroy/{path}", {"versions": [1]})
        elif what == "overwritten":
            place.vault.put(path, {"api-key": "by hand"}, place.mount)
        else:
            place.vault.remove(path, place.mount)
            place.vault.put(path, {"api-key": "by hand"}, place.mount)
        assert await place.port.moved(place.namespace, layout.name) is True
        assert place.port.known(place.namespace, layout.name) is None
        assert await place.port.moved(place.namespace, layout.name) is False
        state = await place.port.read(place.namespace, layout.name)
        if what == "restored":
            assert isinstance(state, Foreign), "made again by hand: it is theirs"
            return
        assert isinstance(state, Present)
        assert state.record is None or state.digest != state.record.digest
        again = self.a_delivery(place, layout)
        if what == "overwritten":
            with pytest.raises(Conflict):
                await place.port.deliver(again, present.version)
        await place.port.deliver(again, state.version)
        assert await place.texts(layout.name) == {"api-key": again.plaintext.reveal()}

    async def test_custom_metadata_that_was_taken_away_comes_back_without_a_version(self, place: RealVault):
        """It shows as another layout; what stands there is not written again."""
        delivery, _ = await self.delivered(place)
        path = place.path(delivery.layout.name)
        place.vault.call("POST", f"{place.mount}/metadata/{path}", {"custom_metadata": {"team": "x"}})
        assert await place.port.moved(place.namespace, delivery.layout.name) is True
        state = await self.read(place, delivery.layout)
        assert (state.record, state.layout_digest) == (delivery.record, "drifted")
        again = await place.port.rewrite(delivery.layout, delivery.owner, delivery.record, state.version)
        assert again.layout_digest == layout_digest_of(delivery.layout, delivery.owner)
        metadata = place.vault.metadata(path, place.mount)
        assert metadata["current_version"] == 1
        assert metadata["custom_metadata"]["team"] == "x"
        assert metadata["custom_metadata"]["keywright.dev/apikey"] == str(delivery.owner.key)

    async def test_an_older_incarnation_is_no_version_of_this_one(self, place: RealVault):
        """Removed and made again, a path begins with version 1 anew: who saw the first one may not write over it."""
        delivery, present = await self.delivered(place)
        await place.port.clean(place.namespace, delivery.layout.name, present.version, adopted=False)
        fenced = await place.port.fence(delivery.layout, delivery.owner, "aaaaaaa1", None)
        assert fenced.version.partition("@")[0] == present.version.partition("@")[0] == "1"
        with pytest.raises(Conflict):
            await place.port.deliver(self.a_delivery(place, delivery.layout), present.version)

    @pytest.mark.parametrize("part", ["data", "metadata", "destroy"])
    async def test_a_missing_policy_is_found_before_and_printed(self, vault: Vault, part: str):
        """The lines can be pasted: with them, and only them, added it goes."""
        mount = vault.a_mount()
        vault.allow(f"{mount}-poor", f"{NAMESPACE}/", mount=mount, without=(part,))
        place = a_place(vault, mount=mount, policy=f"{mount}-poor")
        layout = self.a_layout(place)
        with pytest.raises(Rejected, match="add to the policy") as caught:
            await place.port.rehearse(layout, self.an_owner(place), None)
        assert caught.value.reason == "TargetRefused"
        lines = str(caught.value).partition("of its role: ")[2]
        assert lines.count("path ") == 1
        assert f'"{mount}/{part}/{place.path(layout.name)}"' in lines
        policy = vault.call("GET", f"sys/policies/acl/{mount}-poor")["data"]["policy"]
        vault.call("PUT", f"sys/policies/acl/{mount}-poor", {"policy": f"{policy}\n{lines}"})
        await place.port.rehearse(layout, self.an_owner(place), None)
        await place.port.deliver(self.a_delivery(place, layout), None)
        place.stores.close()

    async def test_a_mount_that_is_not_kv_version_2_is_named(self, vault: Vault):
        """Version 1 as such; one that does not exist with what to write."""
        old = vault.a_mount("1")
        vault.call(
            "PUT",
            f"sys/policies/acl/{old}",
            {"policy": f'path "{old}/*" {{ capabilities = ["create", "read", "update"] }}'},
        )
        for mount, reason, says in (
            (old, "StoreInvalid", "is KV version 1; it must be KV version 2"),
            ("nowhere", "TargetRefused", "unless nothing is mounted at nowhere"),
        ):
            place = a_place(vault, mount=mount, policy=old)
            layout = self.a_layout(place)
            with pytest.raises(Rejected, match=says) as caught:
                await place.port.rehearse(layout, self.an_owner(place), None)
            assert caught.value.reason == reason
            place.stores.close()

    async def test_a_login_without_any_policy_is_told_all_of_it(self, vault: Vault):
        """As a new user's first: every line is printed, to be pasted."""
        place = a_place(vault, mount=vault.a_mount(), policy="default")
        layout = self.a_layout(place)
        with pytest.raises(Rejected, match="add to the policy") as caught:
            await place.port.rehearse(layout, self.an_owner(place), None)
        for part in ("data", "metadata", "destroy"):
            assert f'path "{place.mount}/{part}/{place.path(layout.name)}"' in str(caught.value)
        place.stores.close()

    async def test_what_is_written_during_a_look_is_seen(self, vault: Vault):
        """A path without any version takes two requests: by a delivery between them it is neither nobody's nor somebody else's."""

        def meanwhile(operation: str, code: str, _seconds: float) -> None:
            if (operation, code) == ("read", "404"):
                vault.put(path, data, place.mount, over=0)

        place = a_place(vault, on_request=meanwhile)
        other = a_place(vault, mount=place.mount)
        delivery, _ = await self.delivered(other)
        other.stores.close()
        path = place.path(delivery.layout.name)
        data = vault.data(path, place.mount)
        assert data is not None
        vault.remove(path, place.mount)
        state = await self.read(place, delivery.layout)
        assert (state.record, state.digest) == (delivery.record, delivery.record.digest)
        place.stores.close()

    async def test_another_clusters_path_is_left(self, place: RealVault):
        """A cluster restored elsewhere shares the Vault: what it delivered is not ours."""
        delivery, _ = await self.delivered(place)
        other = VaultSink(place.stores, "othercls", Unshared())
        state = await other.read(place.namespace, delivery.layout.name)
        assert isinstance(state, Foreign)
        assert CLUSTER in state.whose

    async def test_a_token_that_was_revoked_is_replaced_once(self, vault: Vault):
        """By hand, under us: the next request logs in again."""
        mount = vault.a_mount()
        vault.allow(mount, f"{NAMESPACE}/", mount=mount)
        vault.ask("POST", "sys/auth/approle", {"type": "approle"})
        vault.call("POST", f"auth/approle/role/{mount}", {"token_policies": [mount], "token_ttl": "10m"})
        role_id = vault.call("GET", f"auth/approle/role/{mount}/role-id")["data"]["role_id"]
        secret_id = vault.call("POST", f"auth/approle/role/{mount}/secret-id", {})["data"]["secret_id"]
        auth = {"appRole": {"roleId": role_id, "secretIdSecretRef": {"name": "vault", "key": "secret-id"}}}
        place = a_place(vault, mount=mount, policy=mount, auth=auth)
        place.cluster.server.values["Secret", NAMESPACE, "vault"] = {"secret-id": secret_id}
        delivery, _ = await self.delivered(place)
        accessors = vault.call("LIST", "auth/token/accessors")["data"]["keys"]
        for accessor in accessors:
            _, found = vault.ask("POST", "auth/token/lookup-accessor", {"accessor": accessor})
            if mount in (found.get("data") or {}).get("policies", ()):
                vault.call("POST", "auth/token/revoke-accessor", {"accessor": accessor})
        assert isinstance(await place.port.read(place.namespace, delivery.layout.name), Present)
        place.stores.close()


async def test_a_token_is_short_lived_and_made_out_for_vault(plane: Plane, namespace: str, tmp_path):
    """Under the operator's own rights: none without the Role of examples/vault/; with it, of that one ServiceAccount, for ten minutes."""
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    wait_for(lambda: plane.call("GET", accounts)["items"], "the namespace has its ServiceAccount")
    async with await connected(plane, tmp_path) as api:
        cluster = KubeCluster(api, lambda: datetime.now(UTC))
        with pytest.raises(Rejected, match="serviceaccounts/token") as caught:
            await cluster.token(namespace, "default", ["vault"])
        assert caught.value.reason == "StoreRefused"
        allow_tokens(plane, namespace, "default", "nobody")
        with pytest.raises(Rejected, match=f"there is no ServiceAccount {namespace}/nobody"):
            await cluster.token(namespace, "nobody", ["vault"])
        token = (await cluster.token(namespace, "default", ["vault"])).reveal()
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        assert claims["aud"] == ["vault"]
        assert claims["sub"] == f"system:serviceaccount:{namespace}:default"
        assert claims["exp"] - claims["iat"] <= 610
        with pytest.raises(Rejected):
            await cluster.token(namespace, "keywright", ["vault"])


async def test_no_hostile_path_leaves_the_prefix(vault: Vault):
    """Whatever a path says, nothing is written outside the namespace's prefix, with a token that may write anywhere."""
    mount = vault.a_mount()
    vault.call(
        "PUT",
        f"sys/policies/acl/{mount}",
        {"policy": f'path "{mount}/*" {{ capabilities = ["create", "read", "update", "delete", "list"] }}'},
    )
    vault.put("billing/mistral", {"theirs": "1"}, mount)
    place = a_place(vault, mount=mount, policy=mount)
    contract = OnVault()
    for path in HOSTILE.values():
        layout = replace(contract.a_layout(place), name=f"VaultStore/vault/{path}")
        for act in (
            lambda layout=layout: place.port.rehearse(layout, contract.an_owner(place), None),
            lambda layout=layout: place.port.deliver(contract.a_delivery(place, layout), None),
            lambda layout=layout: place.port.fence(layout, contract.an_owner(place), "aaaaaaa1", None),
            lambda layout=layout: place.port.read(place.namespace, layout.name),
            lambda layout=layout: place.port.clean(place.namespace, layout.name, "1@x", adopted=False),
            lambda layout=layout: place.port.prune(place.namespace, layout.name, KeyId("x")),
        ):
            with pytest.raises(Rejected) as caught:
                await act()
            assert caught.value.reason == "InvalidSpec"
    assert vault.call("LIST", f"{mount}/metadata/")["data"]["keys"] == ["billing/"]
    assert vault.data("billing/mistral", mount) == {"theirs": "1"}
    for path in ("..a", "a b", "日本/鍵", "ü.é"):
        layout = replace(contract.a_layout(place), name=f"VaultStore/vault/{path}")
        delivery = contract.a_delivery(place, layout)
        await place.port.deliver(delivery, None)
        assert vault.data(f"{NAMESPACE}/{path}", mount)["api-key"] == delivery.plaintext.reveal()
        assert await place.port.read(NAMESPACE, layout.name) != Absent()
    assert vault.call("LIST", f"{mount}/metadata/")["data"]["keys"] == ["billing/", f"{NAMESPACE}/"]
    place.stores.close()
