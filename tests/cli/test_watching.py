"""How a wait looks: a line for each change in a pipe, a row for each name on a terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keywright.cli.watching import watching
from keywright.planning.trigger import Answer, State

if TYPE_CHECKING:
    import pytest

WAITS, DONE = Answer(State.WAITING, "Asked for."), Answer(State.DONE, "Key abcd...wxyz stands in Secret s.")
FAILED = Answer(State.FAILED, "It is \x1b[31msuspended.")


def test_in_a_pipe_each_change_is_a_line(capsys: pytest.CaptureFixture[str]):
    """What became of it on stdout, all else on stderr; the same words once, and no colours."""
    with watching(["search", "billing"]) as shown:
        for answer in (WAITS, WAITS, DONE):
            shown.tell("search", answer)
        shown.tell("billing", WAITS)
        shown.tell("billing", FAILED)
    said = capsys.readouterr()
    assert said.out == "search: Key abcd...wxyz stands in Secret s.\n"
    assert said.err.splitlines() == [
        "search: Asked for.",
        "billing: Asked for.",
        "keywright: billing: It is \\x1b[31msuspended.",
    ]


def test_on_a_terminal_each_name_is_a_row(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """The last picture stays: what is done, what failed, and for how long it took."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    with watching(["search", "billing", "third"]) as shown:
        shown.tell("search", WAITS)
        shown.tell("search", DONE)
        shown.tell("billing", FAILED)
    said = capsys.readouterr().out
    assert "\x1b[32m✓\x1b[0m" in said
    assert "\x1b[31m✗\x1b[0m" in said
    assert "It is \\x1b[31msuspended." in said, "a name is no command to the terminal"
    last = said.rpartition("✓")[2]
    assert "Key abcd...wxyz stands in Secret s." in last
    assert re.search(r"m\d+ s\x1b", last)
    assert "Asking." in last
