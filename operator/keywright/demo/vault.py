"""The demo's Vault: set up by examples/vault/, as docs/vault.md says, and looked at with its root token.

What stands at a path is shown as a Secret would be, so that a life is told in the same words wherever its key lies.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from keywright.demo.shipped import shipped
from keywright.errors import Terminal

if TYPE_CHECKING:
    from keywright.demo.cluster import Document
    from keywright.keys import SecretValue

__all__ = ["DemoVault"]

_POLICY: Final = "keywright-shop"
_PREFIX: Final = "keywright.dev/"
_RECORD: Final = f"{_PREFIX}record"
_SUCCESS: Final = range(200, 300)


class DemoVault:
    """One Vault with KV version 2 at secret/ and the kubernetes method, as devcluster starts it."""

    def __init__(self, address: str, token: SecretValue) -> None:
        """`token` may do everything."""
        self.address = address
        self._token = token

    async def set_up(self) -> None:
        """Policy and role of examples/vault/."""
        folder = shipped("examples") / "vault"
        async with self._session() as session:
            policy = {"policy": (folder / "policy.hcl").read_text("utf-8")}
            await self._write(session, f"sys/policies/acl/{_POLICY}", policy)
            await self._write(
                session, f"auth/kubernetes/role/{_POLICY}", json.loads((folder / "role.json").read_text("utf-8"))
            )

    def store_for(self, example: Document) -> Document:
        """The example's store, pointed at this Vault."""
        return {**example, "spec": {**example["spec"], "address": self.address, "checkInterval": "5s"}}

    async def seen(self, api_key: Document) -> Document | None:
        """What an ApiKey has delivered into Vault, as a Secret would look; None where there is nothing."""
        target = (api_key["spec"].get("target") or {}).get("vault")
        if target is None:
            return None
        namespace = api_key["metadata"]["namespace"]
        path = f"{namespace}/{target['path']}"
        try:
            async with self._session() as session, session.get(f"{self.address}/v1/secret/data/{path}") as answer:
                data = (await answer.json())["data"]["data"] if answer.status in _SUCCESS else None
        except (aiohttp.ClientError, TimeoutError):
            return None
        return None if data is None else as_secret(namespace, f"secret/{path}", data)

    def _session(self) -> aiohttp.ClientSession:
        headers = {"X-Vault-Token": self._token.reveal(), "X-Vault-Request": "true"}
        return aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=10))

    async def _write(self, session: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> None:
        async with session.post(f"{self.address}/v1/{path}", json=body) as answer:
            if answer.status not in _SUCCESS:
                raise Terminal(f"The demo's Vault refused {path} ({answer.status}).", reason="StartFailed")


def as_secret(namespace: str, name: str, data: dict[str, Any]) -> Document:
    """The record as annotations, the fields as data."""
    record = {name: value for name, value in data.items() if name.startswith(_PREFIX) and name != _RECORD}
    rest = json.loads(data.get(_RECORD, "{}"))
    record |= {_PREFIX + name: value for name, value in rest.items() if isinstance(value, str)}
    fields = {name: value for name, value in data.items() if not name.startswith(_PREFIX) and isinstance(value, str)}
    return {
        "kind": "Vault path",
        "metadata": {"namespace": namespace, "name": name, "annotations": record},
        "data": {name: base64.b64encode(value.encode()).decode() for name, value in fields.items()},
    }
