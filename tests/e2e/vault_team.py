"""The same team with its keys in Vault: what is asked of Secrets is asked of paths, read with Vault's root token.

A Secret's name means a path of that name. A version's fields are the data; what keywright writes beside them are the annotations,
whether in a field of its own or in the one of JSON; the custom metadata are the labels.
"""

from __future__ import annotations

import base64
import itertools
import json
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from tests.e2e.team import GROUP, Team
from tests.running import wait_for
from tests.vaults import vault_of

if TYPE_CHECKING:
    from tests.conftest import Plane
    from tests.running import Operator, Sandbox
    from tests.sinks import Sink
    from tests.vaults import Vault

__all__ = ["LOOK", "TEAMS", "InVault", "VaultTeam", "allow_tokens", "set_up"]

RIGHTS = "/apis/rbac.authorization.k8s.io/v1/namespaces"
LOOK = "2s"
"""How often paths are looked over: short, so that a repair can be seen."""
OURS = "keywright.dev/"
RECORD = f"{OURS}record"
PLACE = "VaultStore/vault/"


def set_up(plane: Plane, vault: Vault, namespace: str, operator_in: str = "keywright-system") -> None:
    """What an administrator does for a namespace: policy and role in Vault, and the right to its ServiceAccount's tokens."""
    vault.allow(namespace, f"{namespace}/")
    vault.role(namespace, namespace)
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    wait_for(lambda: plane.call("GET", accounts)["items"], "the namespace has its ServiceAccount")
    allow_tokens(plane, namespace, "default", operator_in=operator_in)


def allow_tokens(plane: Plane, namespace: str, *accounts: str, operator_in: str = "keywright-system") -> None:
    """The Role of examples/vault/: the operator, whose ServiceAccount lies there, may make tokens of these ServiceAccounts."""
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
        "subjects": [{"kind": "ServiceAccount", "name": "keywright", "namespace": operator_in}],
    }
    plane.call("POST", f"{RIGHTS}/{namespace}/rolebindings", body)
    may = partial(plane.may, "create", "", "serviceaccounts/token", namespace)
    wait_for(lambda: all(may(name=account, operator_in=operator_in) for account in accounts), "the right is known")


class InVault(Team):
    """Instead of Secrets. Wants `vault`."""

    sink: ClassVar[Sink] = "vault"
    vault: Vault
    address: str | None = None
    """Where the store leads, if not to the Vault itself."""

    # What is applied.

    def prepare(self, *, with_issuer: bool = True) -> None:
        """A store, too."""
        self.create_store()
        super().prepare(with_issuer=with_issuer)

    def create_store(self, name: str = "vault", **spec: Any) -> None:
        """A VaultStore that logs in as the namespace's ServiceAccount."""
        set_up(self.plane, self.vault, self.namespace, self.operator_in)
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

    # What is done to a target, by others than keywright.

    def make_target(self, name: str, data: dict[str, str], **metadata: Any) -> None:
        """Somebody writes a path; labels and annotations go into its custom metadata."""
        self.vault.put(self.path(name), data)
        if custom := {**metadata.get("labels", {}), **metadata.get("annotations", {})}:
            self.vault.describe(self.path(name), custom)

    def edit_target(self, name: str, body: dict[str, Any]) -> None:
        """Somebody writes a new version, and other custom metadata, over what stands there at that moment."""

        def edited() -> bool:
            version = self.vault.version(self.path(name))
            assert version is not None, f"there is no {self.called(name)}"
            data, over = dict(version["data"]), version["metadata"]
            for field, value in body.get("data", {}).items():
                _set(data, field, value and base64.b64decode(value).decode())
            data |= body.get("stringData", {})
            metadata = body.get("metadata", {})
            if "annotations" in metadata:
                _annotate(data, metadata["annotations"])
            with suppress(RuntimeError):  # keywright was quicker
                self.vault.put(self.path(name), data, over=over["version"])
                if "labels" in metadata:
                    self.vault.describe(self.path(name), _labelled(over["custom_metadata"] or {}, metadata["labels"]))
                return True
            return False

        wait_for(edited, f"{name} is edited")

    def replace_target(self, name: str, **metadata: Any) -> None:
        """Its fields, and of its record this alone."""
        version = self.vault.version(self.path(name))
        assert version is not None, f"there is no {self.called(name)}"
        record = json.loads(version["data"][RECORD])
        data = {field: value for field, value in version["data"].items() if not field.startswith(OURS)}
        if metadata.get("annotations"):
            data[RECORD] = json.dumps({part: record[part] for part in ("cluster", "fields")})
            _annotate(data, metadata["annotations"])
        self.vault.put(self.path(name), data)
        self.vault.describe(self.path(name), metadata.get("labels", {}))

    def delete_target(self, name: str = "search-key") -> None:
        """Somebody removes the path."""
        self.vault.call("GET", f"secret/data/{self.path(name)}")  # as a Secret: what is not there is not deleted
        self.vault.remove(self.path(name))

    def overwrite_target(self, name: str, data: dict[str, str]) -> None:
        """Vault does not tell who writes. As of a Secret: what is so already is not written again, over a delivery under way."""
        there = self.vault.data(self.path(name))
        if there is not None and not data.items() <= there.items():
            self.vault.put(self.path(name), {**there, **data})

    overwriter: ClassVar = "somebody"

    def restore_target(self, saved: dict[str, Any], labels: dict[str, str]) -> None:
        """All of the version and of the custom metadata."""
        name = saved["metadata"]["name"]
        self.vault.put(self.path(name), saved["version"])
        self.vault.describe(self.path(name), saved["metadata"]["labels"] | labels)

    # What is seen.

    def target(self, name: str = "search-key") -> dict[str, Any] | None:
        """A path, as a Secret would be; `version` is what stands there in truth."""
        version = self.vault.version(self.path(name))
        if version is None:
            return None
        data = version["data"]
        record = json.loads(data.get(RECORD, "{}"))
        annotations = {OURS + part: value for part, value in record.items()}
        annotations |= {field: value for field, value in data.items() if field.startswith(OURS) and field != RECORD}
        fields = {field: value for field, value in data.items() if not field.startswith(OURS)}
        return {
            "metadata": {
                "name": name,
                "labels": version["metadata"]["custom_metadata"] or {},
                "annotations": annotations,
            },
            "data": {field: base64.b64encode(value.encode()).decode() for field, value in fields.items()},
            "version": data,
        }

    def shown(self, text: str) -> str:
        """As for Secrets; and where no trace of it may be in the cluster."""
        self.vault.shown.add(text)
        return super().shown(text)

    def where(self, name: str) -> tuple[str, dict[str, str]]:
        """Vault's own URL."""
        return f"{self.vault.address}/v1/secret/data/{self.path(name)}", {"X-Vault-Token": self.vault.token}

    def found(self, answer: dict[str, Any]) -> tuple[str, str] | None:
        """From a version."""
        data = answer["data"]["data"]
        text = data.get("api-key")
        return text and (self.shown(text), data.get(f"{OURS}key-id", ""))

    def held(self, name: str = "search-key") -> tuple[str, str] | None:
        """The latest version's."""
        return self.found(self.vault.call("GET", f"secret/data/{self.path(name)}"))

    def called(self, name: str) -> str:
        """A path, as messages call it."""
        return f"Vault path {name} (vaultstore/vault)"

    def home(self, name: str = "search", status: dict[str, Any] | None = None) -> str:
        """The path, without the store."""
        return super().home(name, status).removeprefix(PLACE)

    def is_bound(self, name: str = "search-key") -> bool:
        """Nothing is written for it: whoever deletes the ApiKey decides."""
        return self.target(name) is not None

    def path(self, name: str) -> str:
        """Below the mount."""
        return f"{self.namespace}/{name}"


class VaultTeam(InVault):
    """A Team whose target is the Vault beside its plane."""

    def __init__(self, plane: Plane, sandbox: Sandbox, namespace: str, operator: Operator | None = None) -> None:
        """As a Team's."""
        super().__init__(plane, sandbox, namespace, operator)
        self.vault = vault_of(plane)

    def rotated(self, revision: int, name: str = "search") -> None:
        """Ask for keys until there is one of this revision, or of a later one: triggers within seconds of one another are one."""
        asked = itertools.count()

        def there() -> int | None:
            if (found := self.status(name).get("revision", 0)) >= revision:
                return found
            self.annotate(name, rotate=f"{revision}-{next(asked)}")
            return None

        found = wait_for(there, f"{name} is at revision {revision}", pause=1.0)
        wait_for(lambda: self.condition(name).get("status") == "True", f"{name} is Ready at revision {found}")


TEAMS: dict[Sink, type[Team]] = {"secret": Team, "vault": VaultTeam}
"""By where their keys stand."""


def _set(fields: dict[str, Any], name: str, value: str | None) -> None:
    """As a merge patch does."""
    if value is None:
        fields.pop(name, None)
    else:
        fields[name] = value


def _labelled(custom: dict[str, str], labels: dict[str, str | None] | None) -> dict[str, str]:
    """Custom metadata after a merge patch of it; None: without any."""
    after = dict(custom) if labels is not None else {}
    for label, value in (labels or {}).items():
        _set(after, label, value)
    return after


def _annotate(data: dict[str, Any], annotations: dict[str, str | None] | None) -> None:
    """Edit what keywright has written of a version, in its own field or in the record; None: all of it goes."""
    if annotations is None:
        for field in [field for field in data if field.startswith(OURS)]:
            del data[field]
        return
    record = json.loads(data[RECORD])
    for name, value in annotations.items():
        _set(data if name in data else record, name if name in data else name.removeprefix(OURS), value)
    data[RECORD] = json.dumps(record, separators=(",", ":"))


def _in_vault(target: dict[str, Any], *, whole: bool = True) -> dict[str, Any]:
    """The same target in Vault; `whole` False: a part of it."""
    secret = target.get("secret")
    if secret is None:
        return target
    plain: dict[str, Any] = {"storeRef": {"name": "vault"}} if whole else {}
    if whole or secret.get("template"):
        plain["field"] = None if secret.get("template") else "api-key"
    names = {"name": "path", "key": "field", "template": "template", "adopt": "merge"}
    said = plain | {names[k]: v for k, v in secret.items() if k in names}
    return {"vault": {k: v for k, v in said.items() if v is not None} if whole else said}
