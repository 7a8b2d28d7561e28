"""A real Vault beside a plane, as somebody with its root token sees it: what an administrator sets up, and what people do to paths."""

from __future__ import annotations

import json
import secrets
import urllib.parse
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

from tests.conftest import beside_vault
from tests.exchange import PLAIN

if TYPE_CHECKING:
    from tests.conftest import Plane

__all__ = ["Vault", "vault_of"]


@dataclass(frozen=True)
class Vault:
    """`call` speaks with the root token."""

    address: str
    token: str = field(repr=False)
    shown: set[str] = field(default_factory=set, repr=False)
    """Plaintexts that tests have read from it."""

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """One request; an answer that is no success raises RuntimeError. An empty one is an empty object."""
        status, answer = self.ask(method, path, body)
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {answer}")
        return answer

    def ask(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> tuple[int, dict[str, Any]]:
        """Status and answer."""
        headers = {"X-Vault-Token": token or self.token, "X-Vault-Request": "true"}
        status, said = PLAIN.send(method, f"{self.address}/v1/{urllib.parse.quote(path)}", body, headers)
        return status, json.loads(said or b"{}")

    # What an administrator sets up.

    def allow(self, name: str, prefix: str, *, mount: str = "secret", without: tuple[str, ...] = ()) -> None:
        """A policy for all that keywright does below a prefix."""
        needed = {
            "data": ["create", "read", "update"],
            "metadata": ["read", "update", "delete"],
            "destroy": ["update"],
        }
        lines = [
            f'path "{mount}/{part}/{prefix}*" {{ capabilities = {json.dumps(caps)} }}'
            for part, caps in needed.items()
            if part not in without
        ]
        self.call("PUT", f"sys/policies/acl/{name}", {"policy": "\n".join(lines)})

    def role(self, name: str, namespace: str, *, policy: str | None = None, **changes: Any) -> None:
        """A role of the kubernetes method for the namespace's ServiceAccount `default`."""
        role = {
            "bound_service_account_names": "default",
            "bound_service_account_namespaces": namespace,
            "audience": "vault",
            "token_policies": [policy or name],
            "token_ttl": "10m",
        }
        self.call("POST", f"auth/kubernetes/role/{name}", {**role, **changes})

    def a_token(self, policy: str, **changes: Any) -> str:
        """One with this policy."""
        made = self.call("POST", "auth/token/create", {"policies": [policy], "no_default_policy": False, **changes})
        return str(made["auth"]["client_token"])

    def a_mount(self, version: str = "2") -> str:
        """A KV engine of its own."""
        name = f"kv-{secrets.token_hex(4)}"
        self.call("POST", f"sys/mounts/{name}", {"type": "kv", "options": {"version": version}})
        return name

    # What people see and do.

    def version(self, path: str, mount: str = "secret") -> dict[str, Any] | None:
        """The latest version, data and metadata; None where there is none."""
        status, answer = self.ask("GET", f"{mount}/data/{path}")
        return answer["data"] if status == 200 else None

    def data(self, path: str, mount: str = "secret") -> dict[str, Any] | None:
        """The latest version's data; None where there is none."""
        version = self.version(path, mount)
        return version["data"] if version else None

    def metadata(self, path: str, mount: str = "secret") -> dict[str, Any] | None:
        """Versions and custom metadata."""
        status, answer = self.ask("GET", f"{mount}/metadata/{path}")
        return answer["data"] if status == 200 else None

    def put(self, path: str, data: dict[str, Any], mount: str = "secret", *, over: int | None = None) -> None:
        """`vault kv put`: all fields anew; `over` this version alone (`-cas`), if told."""
        options = {} if over is None else {"options": {"cas": over}}
        self.call("POST", f"{mount}/data/{path}", {"data": data, **options})

    def patch(self, path: str, data: dict[str, Any], mount: str = "secret") -> None:
        """`vault kv patch`: these fields, the others stay."""
        self.put(path, {**(self.data(path, mount) or {}), **data}, mount)

    def remove(self, path: str, mount: str = "secret") -> None:
        """`vault kv metadata delete`."""
        self.call("DELETE", f"{mount}/metadata/{path}")

    def describe(self, path: str, custom: dict[str, str], mount: str = "secret") -> None:
        """`vault kv metadata put -custom-metadata`: all of it anew."""
        self.call("POST", f"{mount}/metadata/{path}", {"custom_metadata": custom})


_FOUND: dict[str, Vault] = {}
_ASKING = Lock()


def vault_of(plane: Plane) -> Vault:
    """The Vault beside a plane, started by whoever asks first; of one process the same each time."""
    with _ASKING:
        if (found := _FOUND.get(plane.server)) is None:
            cluster = beside_vault(plane)
            assert cluster.vault_address
            assert cluster.vault_token
            found = _FOUND[plane.server] = Vault(cluster.vault_address, cluster.vault_token)
        return found
