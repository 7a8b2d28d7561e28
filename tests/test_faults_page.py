"""docs/faults.md: every fault has its row, and every test that a row names exists."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest
from tests.simulation.history import ACTS, POINTS

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "faults.md").read_text("utf-8")

FAULTS = {"C": 13, "I": 14, "K": 15, "V": 6, "T": 4, "U": 10, "L": 3}
"""How many there are of each kind: the names are stable."""

NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)))


def functions_of(path: Path) -> set[str]:
    """The functions of a module: tests, and the scenarios that a test plays."""
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("name", sorted({name for name, _ in NAMED}))
def test_every_test_that_the_page_names_exists(name: str):
    """Collected by reading, so that no plane is needed."""
    functions = functions_of(TESTS / name)
    assert [f"{file}::{test}" for file, test in NAMED if file == name and test not in functions] == []


def test_every_fault_has_one_row():
    """None is forgotten, none told twice, and none has an empty place for its tests."""
    rows = [line.split(" | ") for line in PAGE.splitlines() if re.match(r"\| [A-Z]\d+ \|", line)]
    found = Counter(row[0].removeprefix("| ") for row in rows)
    assert found == Counter(f"{kind}{n}" for kind, most in FAULTS.items() for n in range(1, most + 1))
    for row in rows:
        assert len(row) == len(("id", "fault", "must hold", "tests", "simulation")), row[0]
        assert "`" in row[3] or "not " in row[3], row[0]


def test_what_the_page_says_is_simulated_is():
    """Each name in the last column is an act, or a point at which something goes wrong."""
    rows = [line.split(" | ") for line in PAGE.splitlines() if re.match(r"\| [A-Z]\d+ \|", line)]
    named = {name for row in rows for name in re.findall(r"`([^`]+)`", row[-1])}
    assert len(named) > 30
    assert named - {*ACTS, *POINTS} == set()
    assert not any("…" in row[-1] for row in rows)


def test_the_page_is_read_as_it_is_written():
    """A name that is mistyped would be found."""
    assert ("chaos/test_kills.py", "at_each_boundary_of_an_issuance") in NAMED
    assert "at_each_boundary_of_nothing" not in functions_of(TESTS / "chaos" / "test_kills.py")
