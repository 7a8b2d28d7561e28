"""Prometheus' own programs, as make prometheus leaves them or the machine has them."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from keywright.metrics import FLEET, Metrics

__all__ = ["ROOT", "declared", "program", "series_named"]

ROOT = Path(__file__).parents[2]


def program(name: str) -> str:
    """promtool, or prometheus; without it the test is skipped."""
    # make test unpacks Debian's there.
    found = shutil.which(name, path=f"{os.environ['PATH']}:{ROOT / '.stamps' / 'tools'}")
    if found is None:
        # Where nobody reads what was skipped it counts as broken.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"there is no {name}: make prometheus")
    return found


def declared() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Type and labels of all series of ours, by the names under which metrics.py declares them."""
    registry = Metrics.create().registry
    own = {
        collector._name + ("_total" if collector._type == "counter" else ""): (collector._type, collector._labelnames)
        for collector in registry._collector_to_names
        if getattr(collector, "_name", "").startswith("keywright_")
    }
    return own | {name: (one.type, one.labels) for name, one in FLEET.items()}


def series_named(query: str) -> set[str]:
    """The declared names that a query rests on; a histogram's parts mean the histogram."""
    known = declared()
    return {
        re.sub(r"_(bucket|count|sum)$", "", n) if n not in known else n for n in re.findall(r"\bkeywright_\w+", query)
    }
