"""docs/security.md: every promise names its tests, and every test that the page names exists."""

from __future__ import annotations

import re

from tests.test_faults_page import TESTS, functions_of

PAGE = (TESTS.parent / "docs" / "security.md").read_text("utf-8")


def test_every_test_that_the_page_names_exists():
    """By file and function."""
    named = re.findall(r"`([\w/]+\.py)(?:::(\w+))?`", PAGE)
    assert len(named) > 30
    assert [(file, test) for file, test in named if not (TESTS / file).exists()] == []
    assert [(file, test) for file, test in named if test and test not in functions_of(TESTS / file)] == []


def test_every_promise_has_a_test():
    """None is only a sentence."""
    promises = PAGE.partition("## Promises")[2].partition("## What is not promised")[0]
    rows = [row for row in promises.splitlines() if row.startswith("| ")][2:]
    assert len(rows) > 12
    assert [row for row in rows if "::test_" not in row and "::a_" not in row] == []
