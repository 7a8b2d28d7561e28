"""How fast 1,000 ApiKeys become working keys, and how fast all of them rotate, beside the floor in the same run.

The floor is one bare aiohttp client (bare.py), 50 at once, that does per key exactly the calls that cannot be left out: create,
finalizer patch, intent patch, POST at the issuer, Secret create, status patch; for a rotation the annotation, intent
patch, POST, Secret patch, status patch. Its bodies are those that the operator wrote for a first key. The operator does the
same work from the moment its ApiKeys are created, or annotated, until the last is settled. The issuer's request budget is
set out of the way and new keys are unchecked. Each round has a control plane and a sandbox of its own for each side; the
order alternates. Figures are ratios: absolute ones are this machine's.

usage: make bench [BENCH="--keys 1000 --rounds 3"]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.bare import AT_ONCE, Bare, Written, spec_of
from benchmarks.grounds import a_site, an_operator
from tests.e2e.team import GROUP
from tests.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.e2e.team import Team
    from tests.running import Operator

PATIENCE = 600.0
"""Seconds for one side of one round, on the slowest machine."""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Times:
    """Seconds that one side took: to issue all keys, and to rotate all of them."""

    issue: float
    rotate: float


@dataclass(frozen=True)
class Figures:
    """One round: both sides, and what the operator used for one issuance and in all."""

    floor: Times
    operator: Times
    cpu_ms_per_key: float
    rss_mb: float

    @property
    def ratio(self) -> float:
        """The operator's throughput as a share of the floor's, issuing."""
        return self.floor.issue / self.operator.issue

    @property
    def rotation_ratio(self) -> float:
        """The same, rotating."""
        return self.floor.rotate / self.operator.rotate


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
            one = rounds[-1]
            console.print(
                f"round {number}: ratio {one.ratio:.2f}, of rotations {one.rotation_ratio:.2f}", highlight=False
            )
    show(rounds, wanted.keys)


def show(rounds: list[Figures], keys: int) -> None:
    """The table, and the lines that are quoted."""
    table = Table(title=f"{keys} ApiKeys at once, {AT_ONCE} requests at once")
    for column in ("round", "", "floor keys/s", "keywright keys/s", "ratio", "CPU ms/key", "RSS MB"):
        table.add_column(column, justify="right")
    for number, one in enumerate(rounds, 1):
        table.add_row(
            str(number),
            "issue",
            f"{keys / one.floor.issue:.0f}",
            f"{keys / one.operator.issue:.0f}",
            f"{one.ratio:.2f}",
            f"{one.cpu_ms_per_key:.2f}",
            f"{one.rss_mb:.0f}",
        )
        table.add_row(
            "",
            "rotate",
            f"{keys / one.floor.rotate:.0f}",
            f"{keys / one.operator.rotate:.0f}",
            f"{one.rotation_ratio:.2f}",
        )
    Console().print(table)
    print(f"ratio to the floor: {statistics.median(one.ratio for one in rounds):.2f} (median of {len(rounds)})")
    rotating = statistics.median(one.rotation_ratio for one in rounds)
    print(f"ratio to the floor, rotating: {rotating:.2f} (median of {len(rounds)})")


def operator_side(keys: int) -> tuple[tuple[Times, float, float], Written]:
    """Seconds, CPU ms per issued key and RSS of the operator; and what it wrote for a first key."""
    with (
        tempfile.TemporaryDirectory(prefix="keywright-bench-") as folder,
        a_site(Path(folder)) as team,
        an_operator(team.plane, Path(folder)) as operator,
    ):
        written = first_key(team)
        before = cpu_seconds(operator)
        issued = asyncio.run(until_settled(team, operator, keys, lambda bare_client: bare_client.create))
        cpu = (cpu_seconds(operator) - before) * 1000 / keys
        verify(team, keys)
        # Events give way to issuing, and follow it: not at the cost of the next figure.
        wait_for(lambda: events(team) >= keys, "all events of the first keys are written", pause=1)
        rotated = asyncio.run(until_settled(team, operator, keys, lambda bare_client: bare_client.ask))
        verify(team, keys, revision=2)
        return (Times(issued, rotated), cpu, rss_mb(operator)), written


def events(team: Team) -> int:
    """How many there are."""
    return len(team.plane.call("GET", f"/api/v1/namespaces/{team.namespace}/events")["items"])


def floor_side(keys: int, written: Written) -> Times:
    """Seconds of the bare client."""
    with tempfile.TemporaryDirectory(prefix="keywright-bench-") as folder, a_site(Path(folder)) as team:
        times = asyncio.run(bare(team, keys, written))
        verify(team, keys, revision=2)
        return times


def first_key(team: Team) -> Written:
    """One key by the operator, and its rotation, as the pattern for the floor's bodies."""
    team.create("pattern", **spec_of("pattern"))
    first = team.ready("pattern")
    secret = team.secret("pattern-key")
    assert secret is not None
    [key] = team.live_keys("pattern")
    team.annotate("pattern", rotate="now")
    second = team.ready("pattern", revision=2)
    kept = {name: secret["metadata"][name] for name in ("labels", "annotations", "ownerReferences")}
    return Written(first, second, {"metadata": kept, "type": secret["type"], "data": secret["data"]}, key["name"])


async def until_settled(
    team: Team, operator: Operator, keys: int, act: Callable[[Bare], Callable[[str], Awaitable[object]]]
) -> float:
    """Do this for each name, 50 at once; the end is when the operator has settled one more key for each."""
    async with Bare(team) as bare_client:
        before = await bare_client.settled(operator)
        begun = time.monotonic()
        await bare_client.for_each(keys, act(bare_client))
        deadline = begun + PATIENCE
        while await bare_client.settled(operator) < before + keys:
            assert time.monotonic() < deadline, "the operator does not come to an end"
            await asyncio.sleep(0.25)
        return time.monotonic() - begun


async def bare(team: Team, keys: int, written: Written) -> Times:
    """Do all that has to be done for each key, and nothing else: issue all, then rotate all."""
    async with Bare(team) as bare_client:
        await bare_client.resolve()
        begun = time.monotonic()
        await bare_client.for_each(keys, lambda name: bare_client.issue(name, written))
        issued = time.monotonic()
        await bare_client.for_each(keys, lambda name: bare_client.rotate(name, written))
        return Times(issued - begun, time.monotonic() - issued)


def verify(team: Team, keys: int, *, revision: int = 1) -> None:
    """Each ApiKey is Ready with a key that lives, the first one or a later, and each Secret stands."""
    items = team.plane.call("GET", f"{GROUP}/namespaces/{team.namespace}/apikeys")["items"]
    ready = [
        item["status"]["keyId"]
        for item in items
        if any(c["type"] == "Ready" and c["status"] == "True" for c in item["status"]["conditions"])
        and item["status"]["revision"] >= revision
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
