"""The same team with its keys in Vault: what it asks of Secrets is asked of paths, so that one set of promises holds for both.

A test that says `secret` means the target: here a path of the same name, read with Vault's root token as a Secret would be read
with the admin's.
"""

from __future__ import annotations

import base64
import itertools
import json
from typing import TYPE_CHECKING, Any

from tests.e2e.team import GROUP, Team
from tests.running import wait_for

if TYPE_CHECKING:
    from tests.conftest import Plane
    from tests.running import Operator, Sandbox
    from tests.vaults import Vault

__all__ = ["LOOK", "InVault", "VaultTeam", "allow_tokens", "set_up"]

RIGHTS = "/apis/rbac.authorization.k8s.io/v1/namespaces"
LOOK = "2s"
"""How often paths are looked over: short, so that a repair can be seen."""


def set_up(plane: Plane, vault: Vault, namespace: str) -> None:
    """What an administrator does for a namespace: policy and role in Vault, and the right to its ServiceAccount's tokens."""
    vault.allow(namespace, f"{namespace}/")
    vault.role(namespace, namespace)
    allow_tokens(plane, namespace, "default")


def allow_tokens(plane: Plane, namespace: str, *accounts: str) -> None:
    """The Role of examples/vault/: the operator may make tokens of these ServiceAccounts."""
    rule = {
        "apiGroups": [""],
        "resources": ["serviceaccounts/token"],
        "resourceNames": [*accounts],
        "verbs": ["create"],
    }
    plane.call("POST", f"{RIGHTS}/{namespace}/roles", {"metadata": {"name": "keywright-vault"}, "rules": [rule]})
    body = {
        "metadata": {"name": "keywright-vault"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "keywright-vault"},
        "subjects": [{"kind": "ServiceAccount", "name": "keywright", "namespace": "keywright-system"}],
    }
    plane.call("POST", f"{RIGHTS}/{namespace}/rolebindings", body)


class InVault(Team):
    """Instead of Secrets. Wants `vault`."""

    vault: Vault
    address: str | None = None
    """Where the store leads, if not to the Vault itself."""

    def create_store(self, name: str = "vault", **spec: Any) -> None:
        """A VaultStore that logs in as the namespace's ServiceAccount."""
        set_up(self.plane, self.vault, self.namespace)
        described = {
            "address": self.address or self.vault.address,
            "prefix": "{namespace}/",
            "auth": {"kubernetes": {"role": self.namespace}},
            "checkInterval": LOOK,
            **spec,
        }
        body = {
            "apiVersion": "keywright.dev/v1alpha1",
            "kind": "VaultStore",
            "metadata": {"name": name},
            "spec": described,
        }
        self.plane.call("POST", f"{GROUP}/namespaces/{self.namespace}/vaultstores", body)

    def store_ready(self, name: str = "vault") -> dict[str, Any]:
        """The store's condition."""
        status = self.plane.call("GET", f"{GROUP}/namespaces/{self.namespace}/vaultstores/{name}").get("status") or {}
        return next((c for c in status.get("conditions", ()) if c["type"] == "Ready"), {})

    def create(self, name: str = "search", *, issuer: str = "mistral", **spec: Any) -> dict[str, Any]:
        """An ApiKey that delivers into Vault."""
        target = spec.pop("target", {"secret": {"name": f"{name}-key"}})
        return super().create(name, issuer=issuer, **{**spec, "target": _in_vault(target)})

    def patch(self, name: str, body: dict[str, Any]) -> None:
        """A merge patch of an ApiKey; a Secret's name means a path."""
        spec = body.get("spec") or {}
        if "target" in spec:
            body = {**body, "spec": {**spec, "target": _in_vault(spec["target"], whole=False)}}
        super().patch(name, body)

    def secret(self, name: str = "search-key") -> dict[str, Any] | None:
        """The path, as a Secret would be: data, and the record as annotations."""
        data = self.vault.data(self.path(name))
        if data is None:
            return None
        record = {k: v for k, v in data.items() if k.startswith("keywright.dev/") and k != "keywright.dev/record"}
        rest = json.loads(data.get("keywright.dev/record", "{}"))
        return {
            "metadata": {
                "name": name,
                "labels": {"keywright.dev/managed": "true"},
                "annotations": record,
                "ownerReferences": [{"uid": rest.get("apikey-uid")}],
            },
            "data": {
                k: base64.b64encode(v.encode()).decode() for k, v in data.items() if not k.startswith("keywright.dev/")
            },
        }

    def patch_secret(self, name: str, body: dict[str, Any]) -> None:
        """Somebody writes fields of the path."""
        fields = {**body.get("stringData", {}), **body.get("metadata", {}).get("annotations", {})}
        self.vault.patch(self.path(name), fields)

    def delete_secret(self, name: str) -> None:
        """Somebody removes the path."""
        self.vault.remove(self.path(name))

    def path(self, name: str) -> str:
        """Below the mount."""
        return f"{self.namespace}/{name}"


class VaultTeam(InVault):
    """A Team whose target is Vault."""

    def rotated(self, revision: int, name: str = "search") -> None:
        """Ask for keys until there is one of this revision: triggers within seconds of one another are one."""
        asked = itertools.count()

        def there() -> bool:
            if self.status(name).get("revision", 0) >= revision:
                return True
            self.annotate(name, rotate=f"{revision}-{next(asked)}")
            return False

        wait_for(there, f"{name} is at revision {revision}", pause=1.0)
        self.ready(name, revision=revision)

    def __init__(self, plane: Plane, sandbox: Sandbox, namespace: str, operator: Operator | None, vault: Vault) -> None:
        """`vault`: beside the plane."""
        super().__init__(plane, sandbox, namespace, operator)
        self.vault = vault


def _in_vault(target: dict[str, Any], *, whole: bool = True) -> dict[str, Any]:
    """The same target in Vault; `whole` False: a part of it."""
    secret = target.get("secret")
    if secret is None:
        return target
    plain: dict[str, Any] = {"storeRef": {"name": "vault"}} if whole else {}
    if whole and "template" not in secret:
        plain["field"] = "api-key"
    names = {"name": "path", "key": "field", "template": "template"}
    return {"vault": plain | {names[k]: v for k, v in secret.items() if k in names}}
