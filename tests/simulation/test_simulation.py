"""The real planner and reconciler in worlds where everything goes wrong: no history breaks an invariant, and each guard is needed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.simulation.guards import GUARDS
from tests.simulation.history import ACTS, Act, History
from tests.simulation.people import People
from tests.simulation.regressions import REGRESSIONS
from tests.simulation.search import BATCH, search, told, told_for_some_seed
from tests.simulation.world import play

if TYPE_CHECKING:
    from collections.abc import Callable

HISTORIES = int(os.environ.get("KEYWRIGHT_HISTORIES", "20000"))
SEED = 1
_ENOUGH = 60
"""Histories that a guard's absence is searched in, beside the one that is kept for it."""


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEED, SEED + HISTORIES // BATCH))
def test_no_history_breaks_an_invariant(seed: int, record_property: Callable[[str, object], None]):
    """I1 to I6 hold at every step of each, and once it is quiet; else the shortest such history is shown."""
    found = search(seed)
    assert found is None, f"make simulate N={BATCH} SEED={seed} shows:\n{found}"
    record_property("histories", BATCH)


@pytest.mark.slow
@pytest.mark.parametrize("name", GUARDS)
def test_each_guard_is_needed(name: str, record_property: Callable[[str, object], None]):
    """Without it an invariant breaks: in the history kept for it, and mostly among the first of a search, too."""
    assert told(REGRESSIONS[name]) is None, "with the guard all is well"
    with GUARDS[name].off():
        found = told_for_some_seed(REGRESSIONS[name])
        searched = search(SEED, _ENOUGH, shrink=False)
    assert found, f"{name} can be left out unnoticed"
    by = f"history {searched.after} of a search shows it too" if searched else f"the first {_ENOUGH} of a search do not"
    record_property(
        "guard", f"{name}: {GUARDS[name].rule}\n  without it: {found.problem}; {by}\n{_indented(found.history)}"
    )


def test_every_guard_has_its_history():
    """None without the other."""
    assert set(GUARDS) == set(REGRESSIONS)


@pytest.mark.parametrize("what", dict.fromkeys(ACTS))
def test_people_can_do_everything(what: str):
    """Each act by itself, at once and a while after the first key, in each of its variants."""
    for arg in range(8):
        assert told(History("elected", (Act(0.0, what, arg), Act(400.0, what, arg), Act(1.0, what, arg)), ())) is None
    assert hasattr(People, f"_{what.replace(' ', '_').lower()}")


def test_the_same_history_plays_the_same():
    """In another process, with other hashes of strings: what was seen once can be seen again."""
    code = "from tests.simulation.test_simulation import fingerprint; print(fingerprint())"
    told_by = {
        subprocess.run(
            (sys.executable, "-c", code),
            env={**os.environ, "PYTHONHASHSEED": hashes, "PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hashes in ("1", "2")
    }
    assert told_by == {f"{fingerprint()}\n"}


def fingerprint() -> str:
    """Of all that happens in some histories."""
    trace: list[str] = []
    for history in REGRESSIONS.values():
        trace += play(history, keep_trace=True).trace or []
    return hashlib.sha256("\n".join(trace).encode()).hexdigest()


def _indented(history: History) -> str:
    return "\n".join(f"    {line}" for line in str(history).splitlines())
