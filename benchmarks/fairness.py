"""How much later a team's first key comes while another team has thousands of broken ApiKeys, all of them due at once.

The floor is the same first key without the others, in the same run.

usage: make bench
"""

from __future__ import annotations

import secrets
import statistics
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.grounds import a_site, an_operator, settle_in
from tests.e2e.noise import first_key, flood
from tests.e2e.team import Team
from tests.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

BROKEN = 5_000
TIMES = 10


def main() -> None:
    """Measure, and print the lines that are quoted."""
    console = Console(stderr=True)
    with (
        tempfile.TemporaryDirectory(prefix="keywright-bench-") as folder,
        a_site(Path(folder)) as noisy,
        an_operator(noisy.plane, Path(folder)),
        console.status("first keys, nobody else there") as status,
    ):

        @contextmanager
        def a_team() -> Iterator[Team]:
            yield settle_in(Team(noisy.plane, noisy.sandbox, f"team-{secrets.token_hex(4)}"))

        alone = [first_key(a_team) for _ in range(TIMES)]
        status.update(f"{BROKEN} ApiKeys of a workspace that does not exist")
        last = flood(noisy, BROKEN, "no-such-workspace")
        wait_for(lambda: all(noisy.condition(name) for name in last), "all are looked at", seconds=600, pause=0.5)
        beside = []
        for i in range(TIMES):
            status.update(f"first keys beside them: {i + 1} of {TIMES}")
            edit = {"spec": {"inventoryInterval": f"{61 + i}m"}}
            beside.append(first_key(a_team, lambda edit=edit: noisy.patch_issuer(edit)))
    for what, seconds in (("alone", alone), (f"beside {BROKEN:,} broken ApiKeys", beside)):
        print(f"first key {what}: {statistics.median(seconds):.2f} s in the median, {max(seconds):.2f} s at most")
    print(f"delayed by {max(beside) - statistics.median(alone):.2f} s at most ({TIMES} times)")


if __name__ == "__main__":
    main()
