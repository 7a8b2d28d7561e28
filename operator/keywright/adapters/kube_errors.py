"""What the apiserver's answers mean: one HTTP answer in, one of keywright.errors out. Pure.

Owns which parts of a Status may be repeated to a user. Must not quote a message that an answer to a Secret's write
carries: admission and validation put values into their sentences. Neighbour: kube.py, the only caller.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from keywright.errors import Ambiguous, Conflict, KeywrightError, RateLimited, Rejected, Unauthorized, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Answer", "Gone", "NotFound", "error_of"]

MESSAGE_LIMIT: Final = 300
"""Characters of an apiserver's message that are passed on: enough for every sentence of its own, too few to flood a
log."""

_SERVER_ERROR: Final = 500

_FIELD: Final = re.compile(r"[-\w.\[\]/]{1,120}")

_SAYS_NO_VALUE: Final = re.compile(
    r'(?:secrets(?: "[-.a-z0-9]*")? is forbidden: )?'
    r"(?:"
    r'User "[^"]{1,200}" cannot [a-z]+ resource "[a-z/]+" in API group "" in the namespace "[-a-z0-9]+"'
    r"|exceeded quota: [-.\w]+, requested: [-\w./=,]+, used: [-\w./=,]+, limited: [-\w./=,]+"
    r"|ValidatingAdmissionPolicy '[-.\w]+' with binding '[-.\w]+' denied request"
    r'|admission webhook "[-.\w/]+" denied the request'
    r")"
)
"""Beginnings of messages that are made of names and numbers alone; what follows them is cut off."""

_HINTS: Final = {
    (
        "type",
        "FieldValueInvalid",
    ): "the type of a Secret cannot be changed: delete the Secret, or write its old type into the spec",
    ("data", "FieldValueForbidden"): "the Secret is immutable: delete it, or name another target",
    ("immutable", "FieldValueForbidden"): "the Secret is immutable: delete it, or name another target",
    ("data", "FieldValueTooLong"): "the data is too large: a Secret holds at most 1 MiB",
    ("metadata.annotations", "FieldValueTooLong"): "the template and the annotations together are larger than 256 KiB",
}
"""Causes that a message in our own words serves better."""


class NotFound(Rejected):
    """404.

    `named`: the server knows the resource and has no object of that name; else the path itself is unknown to it.
    """

    def __init__(self, message: str, *, named: bool) -> None:
        """`named`: absence is certain."""
        super().__init__(message, reason="NotFound")
        self.named = named


class Gone(Rejected):
    """410: a list's continuation is too old; list again from the start."""

    def __init__(self, message: str) -> None:
        """Built from the sentence alone."""
        super().__init__(message, reason="Expired")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer that is no success. `write`: the request would have changed something."""

    request: str
    status: int
    body: bytes
    retry_after: str | None
    write: bool
    confidential: bool


def error_of(answer: Answer) -> KeywrightError:
    """The error to raise."""
    said = _status(answer.body)
    sentence = f"the apiserver answered {answer.request} with {_words(said, answer)}"
    match answer.status:
        case 401 | 403:
            return Unauthorized(sentence, reason="Unauthorized" if answer.status == 401 else "Forbidden")  # noqa: PLR2004 -- an HTTP status is its own name
        case 404:
            return NotFound(sentence, named=bool(_details(said).get("name")))
        case 409:
            return Conflict(sentence)
        case 410:
            return Gone(sentence)
        case 429:
            return RateLimited(sentence, after=_seconds(answer.retry_after))
        case status if status >= _SERVER_ERROR or status < 400:  # noqa: PLR2004 -- as above; a redirect or 1xx says nothing of the deed
            return Ambiguous(sentence) if answer.write else Unavailable(sentence, after=_seconds(answer.retry_after))
        case _:
            return Rejected(sentence, reason=_word(said.get("reason")) or "Rejected")


def _status(body: bytes) -> Mapping[str, Any]:
    """A metav1.Status, or nothing where a proxy or a bare `404 page not found` answered."""
    try:
        status = json.loads(body)
    except ValueError:
        return {}
    return status if isinstance(status, dict) and status.get("kind") == "Status" else {}


def _details(status: Mapping[str, Any]) -> Mapping[str, Any]:
    details = status.get("details")
    return details if isinstance(details, dict) else {}


def _words(status: Mapping[str, Any], answer: Answer) -> str:
    causes = [
        (str(cause.get("field", "")), _word(cause.get("reason")))
        for cause in _details(status).get("causes") or ()
        if isinstance(cause, dict)
    ]
    reason = _word(status.get("reason"))
    head = f"{answer.status} {reason}".rstrip()
    if hint := next((_HINTS[cause] for cause in causes if cause in _HINTS), None):
        return f"{head}: {hint}"
    message = _printable(str(status.get("message", "")))
    if not answer.confidential:
        return f"{head}: {message}" if message else head
    if any(reason == "NamespaceTerminating" for _, reason in causes):
        return f"{head}: the namespace is being deleted"
    if safe := _SAYS_NO_VALUE.match(message):
        return f"{head}: {safe[0]}"
    fields = ", ".join(f"{field} ({reason})" for field, reason in causes if _FIELD.fullmatch(field))
    return f"{head}: {fields}" if fields else head


def _word(value: Any) -> str:
    """A CamelCase word, or nothing."""
    return value if isinstance(value, str) and value.isascii() and value.isalpha() else ""


def _printable(text: str) -> str:
    """One line, cut, without control characters: it goes into logs and conditions."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= MESSAGE_LIMIT else f"{line[: MESSAGE_LIMIT - 1]}…"


def _seconds(retry_after: str | None) -> float | None:
    """The apiserver gives Retry-After in seconds only."""
    return float(retry_after) if retry_after and retry_after.isdecimal() else None
