"""How results look to people and to programs."""

from __future__ import annotations

import json

import pytest
import yaml

from keywright.cli.options import OutputFormat
from keywright.cli.output import printable, progress, say_document, say_table

HOSTILE = "a\x1b[31mred\x07\n[bold]b"


def test_a_table_in_a_pipe_is_aligned_text(capsys: pytest.CaptureFixture[str]):
    """A line a row, no colours, nothing cut however long, and control characters spelt out."""
    long = "x" * 300
    say_table(("KEY", "NAME"), [("1", HOSTILE), ("22", long)])
    said = capsys.readouterr().out
    assert said.splitlines() == ["KEY  NAME", "1    a\\x1b[31mred\\x07\\n[bold]b", f"22   {long}"]


def test_a_table_on_a_terminal_shows_brackets_as_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """A name is no markup."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    say_table(("KEY", "NAME"), [("1", "[bold]b[/bold] [kw/a/b/c]")])
    assert "[bold]b[/bold] [kw/a/b/c]" in capsys.readouterr().out


@pytest.mark.parametrize(("output", "read"), [(OutputFormat.JSON, json.loads), (OutputFormat.YAML, yaml.safe_load)])
def test_a_document_reads_back(output: OutputFormat, read, capsys: pytest.CaptureFixture[str]):
    """And holds no control character as it is."""
    document = {"strays": [{"name": HOSTILE, "lastUsed": None}], "retained": []}
    say_document(output, document)
    said = capsys.readouterr().out
    assert read(said) == document
    assert printable(said.replace("\n", "")) == said.replace("\n", "")


def test_progress_in_a_pipe_is_silent_for_two_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Then a line now and then, on stderr."""
    now = 0.0
    monkeypatch.setattr("keywright.cli.output.time.monotonic", lambda: now)
    with progress() as told:
        for at in range(5):
            now = float(at)
            told(f"page {at}")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "page 2…\npage 4…\n")
