"""How findings look to people and to programs; and wrong usage of the commands that end or examine things."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from keywright.cli.main import app
from keywright.cli.verdict import say_findings
from keywright.planning.diagnosis.finding import Check, note, ok, wrong

LONG = "keyissuer/mistral in search: " + "the platform refused the admin key " * 3
FINDINGS = [
    wrong(Check.ISSUERS, LONG.strip(), "put a valid one there\x1b[31m"),
    note(Check.RIGHTS, "you may look"),
    ok(Check.CLOCK, "well"),
]


def test_in_a_pipe_each_finding_is_a_line(capsys: pytest.CaptureFixture[str]):
    """State, what was looked at, what is wrong, an arrow, what to do; control characters spelt out."""
    say_findings(FINDINGS, "search")
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "1 thing is wrong, 1 to know, 1 ok (namespace search alone was looked at)."
    assert lines[0] == f"wrong  issuers    {LONG.strip()} → put a valid one there\\x1b[31m"
    assert lines[1:] == ["note   rights     you may look", "ok     clock      well"]


def test_on_a_terminal_it_folds_beside_a_mark(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """No line is longer than the terminal is wide; the remedy stands below."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    say_findings(FINDINGS, None)
    said = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert max(len(line) for line in said.splitlines()) <= 80
    lines = [line.rstrip() for line in said.splitlines()]
    assert lines[0] == "1 thing is wrong, 1 to know, 1 ok."
    assert lines[2].startswith("✗ keyissuer/mistral in search: the platform refused")
    assert "  → put a valid one there\\x1b[31m" in lines


def test_nothing_wrong_says_so(capsys: pytest.CaptureFixture[str]):
    """In as many words."""
    say_findings([ok(Check.CLOCK, "well")], None)
    assert capsys.readouterr().out.startswith("Nothing is wrong, 1 ok.\n")


@pytest.mark.parametrize("command", ["doctor", "workspaces", "revoke"])
def test_the_commands_explain_themselves_with_an_example(command: str):
    """--help says what it does and shows a call."""
    said = CliRunner().invoke(app, [command, "--help"])
    assert said.exit_code == 0
    assert "For example:" in said.output
    assert f"keywright {command}" in said.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["revoke"], "NAME"),
        (["revoke", "a", "--yes", "--yes", "--timeout", "soon"], "30m, 12h or 15d"),
        (["revoke", "a", "--yes", "--yes", "--no-wait", "--timeout", "5m"], "leave one out"),
        (["doctor", "-o", "csv"], "csv"),
    ],
    ids=["no name", "timeout", "wait for nothing", "output"],
)
def test_wrong_usage_is_status_2(arguments: list[str], words: str):
    """And says what to write."""
    said = CliRunner().invoke(app, arguments)
    assert said.exit_code == 2
    assert words in said.output
