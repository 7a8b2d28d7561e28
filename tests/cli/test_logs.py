"""Log lines: one record is one line whatever it says, and what looks like a key of the platform is in none."""

from __future__ import annotations

import base64
import json
import logging
import subprocess
import sys

import pytest
from tests.adapters.wire_server import a_plaintext

from keywright.cli.logs import JsonLines, TextLines, without_keys

HOSTILE = 'a\nb\r\x1b[31mred\x07\u202e\u2028\x85"}\t{"level":"error"'


def a_record(message: str, error: Exception | None = None) -> logging.LogRecord:
    """As a logger makes one."""
    caught = (type(error), error, None) if error else None
    return logging.LogRecord("keywright.x", logging.WARNING, __file__, 1, "%s", (message,), caught)


@pytest.mark.parametrize("around", ["{}", "key={},", "'\\n{}'", "Bearer {}", "/v1/{}/x", '"{}"', "<{}>\n{}"])
def test_what_looks_like_a_key_is_blotted_out(around: str):
    """Bare or in base64, in the message or in an error's own words, whoever logs it."""
    for plaintext in [a_plaintext() for _ in range(50)]:
        for form in (plaintext, base64.b64encode(plaintext.encode()).decode()):
            record = a_record(around.replace("{}", form), ValueError(around.replace("{}", form)))
            for line in (JsonLines().format(record), TextLines().format(record)):
                assert form.rstrip("=") not in line
                assert "********" in line


@pytest.mark.parametrize(
    "text",
    [
        "key 0e7f8f43-0000-4000-8000-000000000001, revision 7",
        "0e7f8f43000040008000000000000001",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "Issued key HQSx...Ug6Y in Secret team/search-key",
        "ApiKey a-name-of-thirty-two-characters-x refused",
        "https://api.mistral.ai/v1/admin/api-keys?limit=100&offset=200&name=kw",
        "HTTPSConnectionPoolTimeoutErrorClass2",
    ],
)
def test_what_is_no_key_stays_readable(text: str):
    """Ids, digests, masked keys, names and addresses."""
    assert without_keys(text) == text


def test_a_record_is_one_line_of_json_whatever_it_says():
    """Newlines, colours, directions of text and half a JSON object are letters of a string."""
    line = JsonLines().format(a_record(HOSTILE, ValueError(HOSTILE)))
    assert len(line.splitlines()) == 1
    assert line.isascii()
    assert json.loads(line)["message"] == HOSTILE


def test_no_control_character_reaches_a_terminal():
    """Nor by the words of an error; a traceback keeps its own lines."""
    first, *rest = TextLines().format(a_record(HOSTILE, ValueError(HOSTILE))).split("\n")
    assert "a\\nb\\r\\x1b[31mred\\x07" in first
    assert all(line.isprintable() for line in (first, *rest))


def test_what_nobody_caught_is_a_log_line_too():
    """An error that ends the process, and a library's warning: no shape of their own, no key."""
    plaintext = a_plaintext()
    program = (
        "import warnings; from keywright.cli.run import LogFormat, LogLevel, _set_up_logging\n"
        "_set_up_logging(LogFormat.JSON, LogLevel.INFO)\n"
        f"warnings.warn('beware {plaintext}')\n"
        f"raise ValueError('{plaintext}')"
    )
    done = subprocess.run((sys.executable, "-c", program), capture_output=True, text=True, check=False, timeout=60)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.returncode == 1
    assert [line["level"] for line in lines] == ["warning", "critical"]
    assert plaintext not in done.stderr
    assert "traceback" in lines[1]
