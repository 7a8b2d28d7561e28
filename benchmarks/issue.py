"""How fast 1,000 ApiKeys become working keys, beside the floor in the same run.

The floor is one bare aiohttp client, 50 at once, that does per key exactly the calls that cannot be left out (create, finalizer
patch, intent patch, POST at the issuer, Secret create, status patch), with the very bodies that the operator wrote for
a first key. The operator does the same work from the moment its ApiKeys are created until each is Ready and each Secret
stands. The issuer's request budget is set out of the way and new keys are unchecked. Each round has a control plane and
a sandbox of its own for each side; the order alternates. Figures are ratios: absolute ones are this machine's.

usage: make bench [BENCH="--keys 1000 --rounds 3"]
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import os
import ssl
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import aiohttp
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.conftest import Plane, apply_all
from tests.e2e.team import GROUP, Team
from tests.running import Operator, Sandbox

from keywright.devcluster import Cluster, write_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

AT_ONCE = 50
MERGE = {"Content-Type": "application/merge-patch+json"}
PATIENCE = 600.0
"""Seconds for one side of one round, on the slowest machine."""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Figures:
    """One round: seconds of each side, and what the operator used."""

    floor: float
    operator: float
    cpu_ms_per_key: float
    rss_mb: float

    @property
    def ratio(self) -> float:
        """The operator's throughput as a share of the floor's."""
        return self.floor / self.operator


@dataclass(frozen=True)
class Written:
    """What the operator wrote for one key: its status, its Secret without a name, the key's name at the issuer."""

    status: dict[str, Any]
    secret: dict[str, Any]
    name: str


def main() -> None:
    """Run all rounds and print the table."""
    parser = argparse.ArgumentParser(prog="make bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keys", type=int, default=1000, help="how many ApiKeys (default 1000)")
    parser.add_argument("--rounds", type=int, default=3, help="how many rounds; the median counts (default 3)")
    wanted = parser.parse_args()
    rounds: list[Figures] = []
    written: Written | None = None
    console = Console(stderr=True)
    with console.status("") as status:
        for number in range(1, wanted.rounds + 1):
            status.update(f"round {number} of {wanted.rounds}: {wanted.keys} keys")
            if written is None or number % 2:
                taken, written = operator_side(wanted.keys)
                floor = floor_side(wanted.keys, written)
            else:
                floor = floor_side(wanted.keys, written)
                taken, written = operator_side(wanted.keys)
            rounds.append(Figures(floor, *taken))
            console.print(f"round {number}: ratio {rounds[-1].ratio:.2f}", highlight=False)
    show(rounds, wanted.keys)


def show(rounds: list[Figures], keys: int) -> None:
    """The table, and the line that is quoted."""
    table = Table(title=f"{keys} ApiKeys at once, {AT_ONCE} requests at once")
    for column in ("round", "floor keys/s", "keywright keys/s", "ratio", "CPU ms per key", "RSS MB"):
        table.add_column(column, justify="right")
    for number, one in enumerate(rounds, 1):
        table.add_row(
            str(number),
            f"{keys / one.floor:.0f}",
            f"{keys / one.operator:.0f}",
            f"{one.ratio:.2f}",
            f"{one.cpu_ms_per_key:.2f}",
            f"{one.rss_mb:.0f}",
        )
    Console().print(table)
    print(f"ratio to the floor: {statistics.median(one.ratio for one in rounds):.2f} (median of {len(rounds)})")


@contextmanager
def a_site(folder: Path) -> Iterator[Team]:
    """A control plane with kinds and rights, a sandbox, and a team in it."""
    cluster = Cluster.up(folder / "plane")
    sandbox = Sandbox(folder / "sandbox")
    try:
        sandbox.start()
        plane = Plane(cluster, ssl.create_default_context(cafile=str(cluster.ca_file)))
        apply_all(plane)
        team = Team(plane, sandbox, "bench")
        plane.call("POST", "/api/v1/namespaces", {"metadata": {"name": team.namespace}})
        team.create_admin_secret()
        team.create_issuer(spec={"requests": {"perSecond": 100_000, "burst": 100_000}, "checkNewKeys": False})
        yield team
    finally:
        sandbox.stop()
        cluster.down()


def operator_side(keys: int) -> tuple[tuple[float, float, float], Written]:
    """Seconds, CPU ms per key and RSS of the operator; and what it wrote for a first key."""
    with tempfile.TemporaryDirectory(prefix="keywright-bench-") as folder, a_site(Path(folder)) as team:
        plane, kubeconfig = team.plane, Path(folder) / "kubeconfig"
        token = plane.token_of("keywright-system", "keywright")
        write_kubeconfig(kubeconfig, server=plane.server, ca_file=plane.ca_file, token=token)
        operator = Operator(Path(folder) / "operator", kubeconfig)
        operator.start()
        try:
            written = first_key(team)
            before = cpu_seconds(operator)
            seconds = asyncio.run(until_ready(team, operator, keys))
            cpu = (cpu_seconds(operator) - before) * 1000 / keys
            verify(team, keys)
            return (seconds, cpu, rss_mb(operator)), written
        except AssertionError as error:
            raise SystemExit(f"{error}\nThe operator's last words:\n{operator.said()[-3000:]}") from error
        finally:
            operator.stop()


def floor_side(keys: int, written: Written) -> float:
    """Seconds of the bare client."""
    with tempfile.TemporaryDirectory(prefix="keywright-bench-") as folder, a_site(Path(folder)) as team:
        seconds = asyncio.run(bare(team, keys, written))
        verify(team, keys)
        return seconds


def first_key(team: Team) -> Written:
    """One key by the operator, as the pattern for the floor's bodies."""
    team.create("pattern", **spec_of("pattern"))
    status = team.ready("pattern")
    secret = team.secret("pattern-key")
    assert secret is not None
    [key] = team.live_keys("pattern")
    kept = {name: secret["metadata"][name] for name in ("labels", "annotations", "ownerReferences")}
    return Written(status, {"metadata": kept, "type": secret["type"], "data": secret["data"]}, key["name"])


def spec_of(name: str) -> dict[str, Any]:
    """Of every ApiKey here."""
    return {
        "issuerRef": {"kind": "KeyIssuer", "name": "mistral"},
        "workspace": "search-prod",
        "expiry": {"validity": "90d"},
        "target": {"secret": {"name": f"{name}-key"}},
    }


async def until_ready(team: Team, operator: Operator, keys: int) -> float:
    """Create all, 50 at once; the end is when the operator has settled the last."""
    async with Bare(team) as bare_client:
        begun = time.monotonic()
        await bare_client.for_each(keys, bare_client.create)
        deadline = begun + PATIENCE
        while await bare_client.settled(operator) < keys + 1:
            assert time.monotonic() < deadline, "the operator does not come to an end"
            await asyncio.sleep(0.25)
        return time.monotonic() - begun


async def bare(team: Team, keys: int, written: Written) -> float:
    """Do all that has to be done for each key, and nothing else."""
    async with Bare(team) as bare_client:
        await bare_client.resolve()

        async def one(name: str) -> None:
            await bare_client.issue(name, written)

        begun = time.monotonic()
        await bare_client.for_each(keys, one)
        return time.monotonic() - begun


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
        status = copy.deepcopy(written.status)
        attempt = {
            "id": "a1b2c3d4",
            "startedAt": status["issuedAt"],
            "reason": "NotIssued",
            "generation": 1,
            "issuer": status["issuer"],
            "target": f"{name}-key",
            "handled": {},
        }
        status["target"]["name"] = f"{name}-key"
        intent = {
            "attempt": attempt,
            "target": status["target"],
            "next": status["next"],
            "conditions": status["conditions"],
        }
        made = await self._patch(name, made, {"status": intent}, "/status")
        asked = {
            "name": written.name,
            "user_id": self._user,
            "workspace_uuid": self._workspace,
            "expiration": status["expiresAt"][:10],
        }
        async with self._platform.post(f"{self._admin}/api-keys", json=asked) as answer:
            answer.raise_for_status()
            key = await answer.json()
        secret = copy.deepcopy(written.secret)
        secret["metadata"]["name"] = f"{name}-key"
        secret["metadata"]["ownerReferences"][0] |= {"name": name, "uid": made["metadata"]["uid"]}
        async with self._kube.post(self._secrets, json=secret) as answer:
            answer.raise_for_status()
            await answer.read()
        await self._patch(name, made, {"status": {**status, "keyId": key["key_id"], "attempt": None}}, "/status")

    async def _patch(self, name: str, seen: dict[str, Any], body: dict[str, Any], sub: str = "") -> dict[str, Any]:
        metadata = {**body.get("metadata", {}), "resourceVersion": seen["metadata"]["resourceVersion"]}
        patch = {**body, "metadata": metadata}
        async with self._kube.patch(f"{self._api_keys}/{name}{sub}", json=patch, headers=MERGE) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def settled(self, operator: Operator) -> int:
        """How many keys the operator counts as issued."""
        async with self._platform.get(operator.metrics) as answer:
            lines = (await answer.text()).splitlines()
        counts = [float(line.split()[-1]) for line in lines if line.startswith("keywright_keys_issued_total{")]
        return int(sum(counts))


def verify(team: Team, keys: int) -> None:
    """Each ApiKey is Ready with a key that lives, and each Secret stands."""
    items = team.plane.call("GET", f"{GROUP}/namespaces/{team.namespace}/apikeys")["items"]
    ready = [
        item["status"]["keyId"]
        for item in items
        if any(c["type"] == "Ready" and c["status"] == "True" for c in item["status"]["conditions"])
    ]
    secrets = team.plane.call("GET", f"/api/v1/namespaces/{team.namespace}/secrets?labelSelector=keywright.dev/managed")
    live = {key["key_id"] for key in team.sandbox.live_keys()}
    assert len(ready) >= keys, f"{len(ready)} of {keys} are Ready"
    assert len(secrets["items"]) >= keys, f"{len(secrets['items'])} Secrets stand"
    assert live >= set(ready), "a key that a status names does not live"


def cpu_seconds(operator: Operator) -> float:
    """User and system time so far."""
    assert operator.process is not None
    fields = Path(f"/proc/{operator.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_mb(operator: Operator) -> float:
    """The most memory that it held."""
    assert operator.process is not None
    lines = Path(f"/proc/{operator.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    main()
