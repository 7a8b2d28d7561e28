"""A team with a namespace: applies YAML, looks at statuses, reads its target and calls the platform with what is in it.

The target is a Secret here, and a path in Vault in vault_team.py: what is done to it and asked of it goes through the methods that both
have, so that one set of promises holds for both. A target is described as a Secret would be.
"""

from __future__ import annotations

import base64
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from tests.running import wait_for

if TYPE_CHECKING:
    from tests.conftest import Plane
    from tests.running import Operator, Sandbox
    from tests.sinks import Sink

__all__ = ["Team"]

MERGE = "application/merge-patch+json"
GROUP = "/apis/keywright.dev/v1alpha1"


class Team:
    """One namespace of one plane, and the platform."""

    sink: ClassVar[Sink] = "secret"
    operator_in: str = "keywright-system"
    """Where the operator's ServiceAccount lies."""

    def __init__(self, plane: Plane, sandbox: Sandbox, namespace: str, operator: Operator | None = None) -> None:
        """`operator`: who serves it, where the test looks at that too."""
        self.plane = plane
        self.sandbox = sandbox
        self.namespace = namespace
        self.operator = operator

    # What is applied.

    def prepare(self, *, with_issuer: bool = True) -> None:
        """What has to stand before the first ApiKey."""
        if with_issuer:
            self.create_admin_secret()
            self.create_issuer()

    def create_admin_secret(
        self, name: str = "mistral-admin", key: str | None = None, data_key: str = "admin-key"
    ) -> None:
        """The Secret with the admin key, as a person would make it."""
        self.plane.call(
            "POST",
            f"/api/v1/namespaces/{self.namespace}/secrets",
            {"metadata": {"name": name}, "stringData": {data_key: key or self.sandbox.admin_key}},
        )

    def create_issuer(self, name: str = "mistral", *, kind: str = "KeyIssuer", **changes: Any) -> None:
        """An issuer at the sandbox, with its budget out of the way; `changes` go into spec.mistral, `spec` into spec."""
        spec = changes.pop("spec", {})
        reference = {"name": "mistral-admin", "key": "admin-key"}
        where = f"namespaces/{self.namespace}/keyissuers"
        if kind == "ClusterKeyIssuer":
            reference["namespace"] = self.namespace
            where = "clusterkeyissuers"
        mistral = {"url": self.sandbox.url, "user": "admin@example.com", "adminKeySecretRef": reference} | changes
        body = {
            "apiVersion": "keywright.dev/v1alpha1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": {"mistral": mistral, "requests": {"perSecond": 1000, "burst": 1000}} | spec,
        }
        self.plane.call("POST", f"{GROUP}/{where}", body)

    def create(self, name: str = "search", *, issuer: str = "mistral", **spec: Any) -> dict[str, Any]:
        """An ApiKey; `spec` replaces what stands in the default."""
        body = {
            "apiVersion": "keywright.dev/v1alpha1",
            "kind": "ApiKey",
            "metadata": {"name": name, "annotations": spec.pop("annotations", {})},
            "spec": {
                "issuerRef": {"name": issuer},
                "workspace": "search-prod",
                "expiry": {"validity": "90d"},
                "target": {"secret": {"name": f"{name}-key"}},
            }
            | spec,
        }
        return self.plane.call("POST", f"{GROUP}/namespaces/{self.namespace}/apikeys", body)

    def patch(self, name: str, body: dict[str, Any]) -> None:
        """A merge patch of an ApiKey."""
        self.plane.call("PATCH", self._path(name), body, content_type=MERGE)

    def annotate(self, name: str, **annotations: str) -> None:
        """Set annotations under keywright.dev/."""
        self.patch(
            name, {"metadata": {"annotations": {f"keywright.dev/{key}": value for key, value in annotations.items()}}}
        )

    def patch_issuer(self, body: dict[str, Any], name: str = "mistral") -> None:
        """A merge patch of a KeyIssuer."""
        path = f"{GROUP}/namespaces/{self.namespace}/keyissuers/{name}"
        self.plane.call("PATCH", path, body, content_type=MERGE)

    def delete(self, name: str = "search") -> None:
        """Ask for the deletion of an ApiKey."""
        self.plane.call("DELETE", self._path(name))

    def patch_secret(self, name: str, body: dict[str, Any]) -> None:
        """A merge patch of a Secret."""
        self.plane.call("PATCH", f"/api/v1/namespaces/{self.namespace}/secrets/{name}", body, content_type=MERGE)

    def delete_secret(self, name: str) -> None:
        """Delete a Secret."""
        self.plane.call("DELETE", f"/api/v1/namespaces/{self.namespace}/secrets/{name}")

    # What is done to a target, by others than keywright.

    def make_target(self, name: str, data: dict[str, str], **metadata: Any) -> None:
        """Somebody makes it by hand."""
        body = {"metadata": {"name": name, **metadata}, "stringData": data}
        self.plane.call("POST", f"/api/v1/namespaces/{self.namespace}/secrets", body)

    def edit_target(self, name: str, body: dict[str, Any]) -> None:
        """A merge patch."""
        self.patch_secret(name, body)

    def replace_target(self, name: str, **metadata: Any) -> None:
        """Its data, and of its metadata this alone: kubectl replace."""
        data = (self.target(name) or {})["data"]
        path = f"/api/v1/namespaces/{self.namespace}/secrets/{name}"
        self.plane.call("PUT", path, {"metadata": {"name": name, **metadata}, "data": data})

    def delete_target(self, name: str = "search-key") -> None:
        """Somebody deletes it."""
        self.delete_secret(name)

    def overwrite_target(self, name: str, data: dict[str, str]) -> None:
        """Another controller writes its own values, under a field manager's name of its own, wherever the target stands."""
        path = f"/api/v1/namespaces/{self.namespace}/secrets/{name}?fieldManager=rogue-controller"
        with suppress(RuntimeError):
            self.plane.call("PATCH", path, {"stringData": data}, content_type=MERGE)

    overwriter: ClassVar = "the field manager rogue-controller"
    """How messages call who does that."""

    def restore_target(self, saved: dict[str, Any], labels: dict[str, str]) -> None:
        """As it once was, from a backup that puts its own labels on and drops owners."""
        metadata = {part: saved["metadata"][part] for part in ("name", "annotations")}
        metadata["labels"] = saved["metadata"]["labels"] | labels
        body = {"metadata": metadata, "data": saved["data"]}
        self.plane.call("POST", f"/api/v1/namespaces/{self.namespace}/secrets", body)

    # What is seen.

    def status(self, name: str = "search") -> dict[str, Any]:
        """The ApiKey's status."""
        return self.plane.call("GET", self._path(name)).get("status") or {}

    def exists(self, name: str = "search") -> bool:
        """Whether the ApiKey is there."""
        items = self.plane.call("GET", f"{GROUP}/namespaces/{self.namespace}/apikeys")["items"]
        return any(item["metadata"]["name"] == name for item in items)

    def condition(self, name: str = "search", of_type: str = "Ready") -> dict[str, Any]:
        """One condition; empty where it does not stand."""
        return next((c for c in self.status(name).get("conditions", ()) if c["type"] == of_type), {})

    def issuer_status(self, name: str = "mistral") -> dict[str, Any]:
        """Of a KeyIssuer."""
        path = f"{GROUP}/namespaces/{self.namespace}/keyissuers/{name}"
        return self.plane.call("GET", path).get("status") or {}

    def issuer_ready(self, name: str = "mistral") -> dict[str, Any]:
        """A KeyIssuer's condition."""
        return next((c for c in self.issuer_status(name).get("conditions", ()) if c["type"] == "Ready"), {})

    def secret(self, name: str = "search-key") -> dict[str, Any] | None:
        """The Secret, or None."""
        items = self.plane.call("GET", f"/api/v1/namespaces/{self.namespace}/secrets")["items"]
        return next((item for item in items if item["metadata"]["name"] == name), None)

    def target(self, name: str = "search-key") -> dict[str, Any] | None:
        """What stands there: metadata and data; None: nothing."""
        return self.secret(name)

    def looks(self, name: str = "search-key") -> dict[str, Any]:
        """All that a repair puts back."""
        target = self.target(name) or {"metadata": {}}
        parts = {part: target["metadata"].get(part) for part in ("labels", "annotations", "ownerReferences")}
        return parts | {"data": target.get("data")}

    def text(self, name: str = "search-key", key: str = "api-key") -> str:
        """What stands under one data key of a target."""
        target = self.target(name)
        assert target is not None, f"there is no {self.called(name)}"
        return self.shown(base64.b64decode(target["data"][key]).decode())

    def shown(self, text: str) -> str:
        """A plaintext was read: it is looked for in logs and objects."""
        self.sandbox.shown.add(text)
        return text

    def where(self, name: str) -> tuple[str, dict[str, str]]:
        """The URL from which a consumer reads a target, and the headers that let it."""
        path = f"/api/v1/namespaces/{self.namespace}/secrets/{name}"
        return self.plane.server + path, {"Authorization": f"Bearer {self.plane.admin_token}"}

    def found(self, answer: dict[str, Any]) -> tuple[str, str] | None:
        """Plaintext and key id in what a consumer was answered; None where there is no key."""
        text = answer.get("data", {}).get("api-key")
        annotations = answer["metadata"].get("annotations", {})
        return text and (self.shown(base64.b64decode(text).decode()), annotations.get("keywright.dev/key-id", ""))

    def held(self, name: str = "search-key") -> tuple[str, str] | None:
        """The same, read once; raises RuntimeError or OSError where there is nothing, or nobody to ask."""
        return self.found(self.plane.call("GET", f"/api/v1/namespaces/{self.namespace}/secrets/{name}"))

    def called(self, name: str) -> str:
        """A target, as messages call it."""
        return f"Secret {name}"

    def home(self, name: str = "search", status: dict[str, Any] | None = None) -> str:
        """The name of the target in which an ApiKey's status, as it is or as it was seen, has its key."""
        return (status or self.status(name))["target"]["name"]

    def is_bound(self, name: str = "search-key") -> bool:
        """Whether it goes with its ApiKey."""
        target = self.target(name)
        return target is not None and bool(target["metadata"].get("ownerReferences"))

    def events(self, name: str = "search") -> list[tuple[str, str]]:
        """Reason and message of each event about an object of this name."""
        items = self.plane.call("GET", f"/api/v1/namespaces/{self.namespace}/events")["items"]
        return [(e["reason"], e["message"]) for e in items if e["involvedObject"]["name"] == name]

    def live_keys(self, name: str = "search") -> list[dict[str, Any]]:
        """The live keys at the platform that carry the tag of the ApiKey as it stands."""
        uid = self.plane.call("GET", self._path(name))["metadata"]["uid"]
        return self.sandbox.live_keys(f"/{uid[:8]}/")

    def made(self, name: str = "search") -> int:
        """How many keys the platform ever made in the name of an ApiKey with the default label, as its own audit log has it."""
        status, logs = self.sandbox.call("GET", "/v1/admin/audit-logs?event_type=api_key.create&limit=100000")
        assert status == 200, status
        return sum(f"{self.namespace}/{name} [kw/" in log["target_metadata"].get("name", "") for log in logs)

    # What is waited for.

    def ready(self, name: str = "search", *, revision: int = 1) -> dict[str, Any]:
        """The status once it is Ready at this revision."""

        def seen() -> dict[str, Any] | None:
            status = self.status(name)
            conditions = {c["type"]: c for c in status.get("conditions", ())}
            is_ready = conditions.get("Ready", {}).get("status") == "True"
            return status if is_ready and status.get("revision") == revision else None

        try:
            return wait_for(seen, f"{name} is Ready at revision {revision}")
        except AssertionError:
            raise AssertionError(f"{name} is not Ready at revision {revision}: {self.status(name)}") from None

    def says(self, reason: str, name: str = "search", *, of_type: str = "Ready") -> str:
        """The message of a condition once it has this reason."""

        def seen() -> str | None:
            condition = self.condition(name, of_type)
            return condition["message"] if condition.get("reason") == reason else None

        try:
            return wait_for(seen, reason)
        except AssertionError:
            raise AssertionError(f"{of_type} is not {reason}: {self.status(name)}") from None

    def gone(self, name: str = "search") -> None:
        """Wait until the ApiKey is gone."""
        try:
            wait_for(lambda: not self.exists(name), f"{name} is gone")
        except AssertionError:
            raise AssertionError(f"{name} is still there: {self.status(name)}") from None

    def _path(self, name: str) -> str:
        return f"{GROUP}/namespaces/{self.namespace}/apikeys/{name}"
