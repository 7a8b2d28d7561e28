"""Bodies in and out, and the shape of every refusal.

A refusal never repeats what was sent: it may have been a key. 422 has the reference's HTTPValidationError, the others a
sentence under `detail`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeVar

from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastapi import Request

__all__ = ["answer", "invalid", "read_body", "refuse"]

_LARGEST_BODY: Final = 1 << 20
"""Bytes; the longest body with a meaning is about 3 KiB."""

_JSON: Final = "application/json"

_Shape = TypeVar("_Shape", bound=BaseModel)


def answer(body: BaseModel) -> Response:
    """200 with a model as JSON."""
    return Response(body.model_dump_json(), media_type=_JSON)


def refuse(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    """A refusal with a sentence."""
    return Response(json.dumps({"detail": sentence}), status_code=status, headers=headers, media_type=_JSON)


def invalid(errors: Sequence[Any]) -> Response:
    """422. Of each error only where, what and its kind: `input` and `ctx` would repeat the request."""
    detail = [{"loc": list(error["loc"]), "msg": error["msg"], "type": error["type"]} for error in errors]
    return Response(json.dumps({"detail": detail}), status_code=422, media_type=_JSON)


async def read_body(shape: type[_Shape], request: Request) -> _Shape:
    """The body read as `shape`. Raises RequestValidationError, which becomes a 422.

    pydantic reads the bytes itself: unlike json.loads it refuses deep nesting, broken UTF-8 and lone surrogates.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _JSON:
        raise _unreadable("the Content-Type must be application/json", "content_type")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY:
            raise _unreadable("the body is too long", "too_long")
    try:
        return shape.model_validate_json(bytes(body))
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in errors]) from None


def _unreadable(sentence: str, kind: str) -> RequestValidationError:
    return RequestValidationError([{"loc": ("body",), "msg": sentence, "type": kind}])
