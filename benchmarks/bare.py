"""The floor: one bare client, 50 requests at once, that does for each key what cannot be left out, and nothing else."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import aiohttp
from tests.e2e.team import GROUP, MERGE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.e2e.team import Team
    from tests.running import Operator

__all__ = ["AT_ONCE", "Bare", "Written", "spec_of"]

AT_ONCE = 50
_MERGE = {"Content-Type": MERGE}


@dataclass(frozen=True)
class Written:
    """What the operator wrote for one key: its status, with the first key and once rotated, its Secret without a name, the key's name.

    The name is the one at the issuer.
    """

    first: dict[str, Any]
    second: dict[str, Any]
    secret: dict[str, Any]
    name: str


def spec_of(name: str) -> dict[str, Any]:
    """Of every ApiKey here."""
    return {
        "issuerRef": {"kind": "KeyIssuer", "name": "mistral"},
        "workspace": "search-prod",
        "expiry": {"validity": "90d"},
        "target": {"secret": {"name": f"{name}-key"}},
    }


class Bare:
    """The least that a client can be."""

    def __init__(self, team: Team) -> None:
        self._team = team
        self._kube = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=team.plane.tls, limit=AT_ONCE),
            headers={"Authorization": f"Bearer {team.plane.admin_token}"},
        )
        self._platform = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=AT_ONCE),
            headers={"Authorization": f"Bearer {team.sandbox.admin_key}"},
        )
        self._api_keys = f"{team.plane.server}{GROUP}/namespaces/{team.namespace}/apikeys"
        self._secrets = f"{team.plane.server}/api/v1/namespaces/{team.namespace}/secrets"
        self._admin = f"{team.sandbox.url}/v1/admin"
        self._user = self._workspace = ""
        self._stands: dict[str, tuple[str, str]] = {}
        """By name: the version of its Secret, and the key in it."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._kube.close()
        await self._platform.close()

    async def resolve(self) -> None:
        """Once for all keys: the user and the workspace."""
        async with self._platform.get(f"{self._admin}/users") as answer:
            self._user = (await answer.json())["members"][0]["uuid"]
        async with self._platform.get(f"{self._admin}/workspaces") as answer:
            items = (await answer.json())["items"]
            self._workspace = next(one["uuid"] for one in items if one["name"] == "search-prod")

    async def for_each(self, keys: int, do: Callable[[str], Awaitable[Any]]) -> None:
        """Every name, 50 at once."""
        names = iter(range(keys))

        async def work() -> None:
            for number in names:
                await do(f"key-{number:04}")

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))

    async def create(self, name: str) -> dict[str, Any]:
        """The ApiKey."""
        kind = {"apiVersion": "keywright.dev/v1alpha1", "kind": "ApiKey"}
        body = {**kind, "metadata": {"name": name}, "spec": spec_of(name)}
        async with self._kube.post(self._api_keys, json=body) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def issue(self, name: str, written: Written) -> None:
        """Create, finalizer, intent, POST, Secret, settle."""
        made = await self.create(name)
        made = await self._patch(name, made, {"metadata": {"finalizers": ["keywright.dev/revoke"]}})
        status = copy.deepcopy(written.first)
        made = await self._intend(name, made, status, "NotIssued")
        key = await self._post(written.name, status)
        secret = copy.deepcopy(written.secret)
        secret["metadata"]["name"] = f"{name}-key"
        secret["metadata"]["ownerReferences"][0] |= {"name": name, "uid": made["metadata"]["uid"]}
        async with self._kube.post(self._secrets, json=secret) as answer:
            answer.raise_for_status()
            self._stands[name] = (await answer.json())["metadata"]["resourceVersion"], key["key_id"]
        await self._patch(name, made, {"status": {**status, "keyId": key["key_id"], "attempt": None}}, "/status")

    async def ask(self, name: str) -> dict[str, Any]:
        """The annotation that asks for a rotation: a person's part."""
        body = {"metadata": {"annotations": {"keywright.dev/rotate": "now"}}}
        async with self._kube.patch(f"{self._api_keys}/{name}", json=body, headers=_MERGE) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def rotate(self, name: str, written: Written) -> None:
        """The annotation, intent, POST, Secret, settle; the old key lives on for its overlap."""
        made = await self.ask(name)
        status = copy.deepcopy(written.second)
        made = await self._intend(name, made, status, "Triggered")
        key = await self._post(written.name, status)
        version, before = self._stands[name]
        metadata = {"resourceVersion": version, "annotations": written.secret["metadata"]["annotations"]}
        body = {"metadata": metadata | {"labels": written.secret["metadata"]["labels"]}, "data": written.secret["data"]}
        async with self._kube.patch(f"{self._secrets}/{name}-key", json=body, headers=_MERGE) as answer:
            answer.raise_for_status()
            await answer.read()
        status["previous"][0]["keyId"] = before
        await self._patch(name, made, {"status": {**status, "keyId": key["key_id"], "attempt": None}}, "/status")

    async def _intend(self, name: str, made: dict[str, Any], status: dict[str, Any], reason: str) -> dict[str, Any]:
        """Write the attempt down; `status` is the one that it ends with, made this name's own."""
        status["target"]["name"] = f"{name}-key"
        attempt = {
            "id": "a1b2c3d4",
            "startedAt": status["issuedAt"],
            "reason": reason,
            "generation": 1,
            "issuer": status["issuer"],
            "target": f"{name}-key",
            "handled": status.get("handled", {}),
        }
        intent = {
            "attempt": attempt,
            "target": status["target"],
            "next": status["next"],
            "conditions": status["conditions"],
        }
        return await self._patch(name, made, {"status": intent}, "/status")

    async def _post(self, name: str, status: dict[str, Any]) -> dict[str, Any]:
        asked = {
            "name": name,
            "user_id": self._user,
            "workspace_uuid": self._workspace,
            "expiration": status["expiresAt"][:10],
        }
        async with self._platform.post(f"{self._admin}/api-keys", json=asked) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def _patch(self, name: str, seen: dict[str, Any], body: dict[str, Any], sub: str = "") -> dict[str, Any]:
        metadata = {**body.get("metadata", {}), "resourceVersion": seen["metadata"]["resourceVersion"]}
        patch = {**body, "metadata": metadata}
        async with self._kube.patch(f"{self._api_keys}/{name}{sub}", json=patch, headers=_MERGE) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def settled(self, operator: Operator) -> int:
        """How many keys the operator counts as issued."""
        async with self._platform.get(operator.metrics) as answer:
            lines = (await answer.text()).splitlines()
        counts = [float(line.split()[-1]) for line in lines if line.startswith("keywright_keys_issued_total{")]
        return int(sum(counts))
