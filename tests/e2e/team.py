"""A team with a namespace: applies YAML, looks at statuses, reads its Secret and calls the platform with what is in it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from tests.running import wait_for

if TYPE_CHECKING:
    from tests.conftest import Plane
    from tests.running import Operator, Sandbox

__all__ = ["Team"]

MERGE = "application/merge-patch+json"
GROUP = "/apis/keywright.dev/v1alpha1"


class Team:
    """One namespace of one plane, and the platform."""

    def __init__(self, plane: Plane, sandbox: Sandbox, namespace: str, operator: Operator | None = None) -> None:
        """`operator`: who serves it, where the test looks at that too."""
        self.plane = plane
        self.sandbox = sandbox
        self.namespace = namespace
        self.operator = operator

    # What is applied.

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

    def secret(self, name: str = "search-key") -> dict[str, Any] | None:
        """The Secret, or None."""
        items = self.plane.call("GET", f"/api/v1/namespaces/{self.namespace}/secrets")["items"]
        return next((item for item in items if item["metadata"]["name"] == name), None)

    def text(self, name: str = "search-key", key: str = "api-key") -> str:
        """What stands under one data key of a Secret."""
        secret = self.secret(name)
        assert secret is not None, f"there is no Secret {name}"
        text = base64.b64decode(secret["data"][key]).decode()
        self.sandbox.shown.add(text)
        return text

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
        try:
            return wait_for(
                lambda: (
                    self.condition(name, of_type).get("reason") == reason and self.condition(name, of_type)["message"]
                ),
                reason,
            )
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
