"""How log lines look: one JSON object a line, or text for people. Control characters never reach a terminal.

A second net under the rule that nothing logs a secret: what looks like a key of the platform is blotted out, whoever logs it. By its
shape alone: a list of the plaintexts in hand would be one more place that holds them.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["JsonLines", "TextLines", "log_what_nobody_caught", "without_keys"]

_FIELDS: Final = ("apikey", "issuer", "store", "namespace", "reason", "step", "key_id", "retry_in_seconds")
"""Extra fields that our log calls give."""

_KEYS: Final = re.compile(
    # Not in the midst of a word, but right behind an escape, as in the repr of a text. Upper and lower case mixed: no uuid, hash or
    # Kubernetes name is.
    r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt]))(?=[a-z0-9]*[A-Z])(?=[A-Z0-9]*[a-z])"
    # 32 of [A-Za-z0-9], as the platform makes them; or that in base64, as a Secret has it: 43 more of the same.
    r"(?:[A-Za-z0-9]{32}|[A-Za-z0-9]{43}=?)(?![A-Za-z0-9])"
)
_BLOT: Final = "********"


def without_keys(text: str) -> str:
    """The text, less all that looks like a key of the platform."""
    return _KEYS.sub(_BLOT, text)


def log_what_nobody_caught() -> None:
    """Such errors, and warnings of libraries, become log lines like all others: nothing reaches stderr in a shape of its own."""

    def log(of_type: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if issubclass(of_type, KeyboardInterrupt):
            sys.__excepthook__(of_type, error, traceback)
            return
        logging.getLogger("keywright").critical("unexpected %s", of_type.__name__, exc_info=(of_type, error, traceback))

    sys.excepthook = log
    logging.captureWarnings(capture=True)


class JsonLines(logging.Formatter):
    """{"time", "level", "logger", "message", …}: JSON escapes what a hostile name might hold."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": without_keys(record.getMessage()),
        }
        line |= {name: value for name in _FIELDS if (value := record.__dict__.get(name)) is not None}
        if record.exc_info:
            line["traceback"] = without_keys(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=True)


class TextLines(logging.Formatter):
    """time level message [apikey]."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and a traceback where there is one."""
        time = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        about = record.__dict__.get("apikey")
        text = f"{time} {record.levelname:<7} {f'{about}: ' if about else ''}{record.getMessage()}"
        lines = [text, *(self.formatException(record.exc_info).split("\n") if record.exc_info else ())]
        return "\n".join(without_keys(_printable(line)) for line in lines)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
