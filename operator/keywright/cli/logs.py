"""How log lines look: one JSON object a line, or text for people. Control characters never reach a terminal."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Final

__all__ = ["JsonLines", "TextLines"]

_FIELDS: Final = ("apikey", "issuer", "reason", "step", "key_id", "retry_in_seconds")
"""Extra fields that our log calls give."""


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
            "message": record.getMessage(),
        }
        line |= {name: value for name in _FIELDS if (value := record.__dict__.get(name)) is not None}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True)


class TextLines(logging.Formatter):
    """time level message [apikey]."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and a traceback where there is one."""
        time = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        about = record.__dict__.get("apikey")
        text = f"{time} {record.levelname:<7} {f'{about}: ' if about else ''}{record.getMessage()}"
        text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text
