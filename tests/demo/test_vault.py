"""The demo's Vault: what stands at a path is told as a Secret would be, and the examples fit one another."""

from __future__ import annotations

import json
from dataclasses import replace

from tests.planning.builders import CLUSTER, KEY, UID, a_record

from keywright.adapters.kube_template import Texts
from keywright.adapters.vault_manifest import version_data
from keywright.demo.cluster import examples
from keywright.demo.reading import plaintext_in, read_secret
from keywright.demo.shipped import shipped
from keywright.demo.vault import as_secret
from keywright.keys import SecretValue
from keywright.planning.layout import Owner
from keywright.planning.observed import TargetLayout


def test_what_was_delivered_into_vault_is_read_as_from_a_secret():
    """Whose it is, which key, and the plaintext by its digest."""
    plaintext = SecretValue("x1" * 16)
    record = replace(a_record(), digest=plaintext.digest())
    layout = TargetLayout("search", "VaultStore/vault/search/mistral", "api_key", None, {}, {}, "")
    texts = Texts("api_key", None, record).render(plaintext)
    data = version_data(layout, Owner(KEY, UID, CLUSTER, bound=True), record, texts, foreign={"n": 1})
    seen = as_secret("search", "secret/search/mistral", data)
    key, delivered = read_secret(seen)
    assert key == KEY
    assert (delivered.key_id, delivered.masked, delivered.data_keys) == (record.key_id, record.masked, ("api_key",))
    assert delivered.place == "Vault path secret/search/mistral"
    assert plaintext_in(seen) == plaintext


def test_the_vault_examples_fit_one_another():
    """Role, ServiceAccount, store and ApiKey name each other; the policy allows what the store's prefix leads to."""
    folder = shipped("examples") / "vault"
    role = json.loads((folder / "role.json").read_text())
    by_kind = {document["kind"]: document for file, document in examples(vault=True) if file.parent == folder}
    assert set(by_kind) == {"ServiceAccount", "Role", "RoleBinding", "VaultStore", "ApiKey"}
    auth = by_kind["VaultStore"]["spec"]["auth"]["kubernetes"]
    account = by_kind["ServiceAccount"]["metadata"]
    assert auth["role"] == role["token_policies"][0] == "keywright-shop"
    assert auth["serviceAccountRef"] == {"name": account["name"], "audiences": [role["audience"]]}
    assert role["bound_service_account_names"] == account["name"]
    assert role["bound_service_account_namespaces"] == account["namespace"]
    assert by_kind["Role"]["rules"][0]["resourceNames"] == [account["name"]]
    assert by_kind["ApiKey"]["spec"]["target"]["vault"]["storeRef"]["name"] == by_kind["VaultStore"]["metadata"]["name"]
    policy = (folder / "policy.hcl").read_text()
    for part in ("data", "metadata", "destroy"):
        assert f'path "secret/{part}/{account["namespace"]}/*"' in policy
    assert all(file.read_text().startswith("# ") for file in folder.glob("*.yaml"))
