"""Forms as browsers send them, read once and strictly. What was sent is never repeated in a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["Refusal", "read_form"]

_LARGEST: Final = 1 << 16
"""Bytes; the longest form with a meaning is a name of 255 characters, each written as up to 12."""

_FIELDS: Final = 20


class Refusal(Exception):
    """A request that gets a page with a sentence instead: `status`, and the text."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form, without blanks around them; of two with one name the last. Raises Refusal."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Refusal(415, "A form is sent as application/x-www-form-urlencoded.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST:
            raise Refusal(413, "The form is too long.")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_FIELDS, errors="strict")
    except ValueError:
        raise Refusal(400, "The form cannot be read.") from None
    return {name: value.strip() for name, value in pairs}
