"""`make simulate N=… SEED=…`: many histories, on all cores; the last line is the verdict.

A batch's seed is SEED plus its number, so that `make simulate N=200 SEED=<that>` plays just that one again.
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tests.simulation.search import BATCH, search


def main() -> int:
    """Exit status 1 where a history breaks an invariant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, help="histories, rounded up to whole batches of 200")
    parser.add_argument("seed", type=int)
    asked = parser.parse_args()
    seeds = range(asked.seed, asked.seed + max(1, -(-asked.count // BATCH)))
    console = Console(stderr=True)
    violations = 0
    columns = (TextColumn("histories"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with ProcessPoolExecutor(os.cpu_count()) as pool, Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(seeds) * BATCH)
        for seed, found in zip(seeds, pool.map(search, seeds), strict=True):
            progress.advance(task, BATCH)
            if found is not None:
                violations += 1
                console.print(f"seed {seed}:\n{found}\n", markup=False, highlight=False)
    print(f"{len(seeds) * BATCH} histories from seed {asked.seed}, {violations} violations")  # noqa: T201 - the verdict
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
